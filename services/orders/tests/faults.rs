//! What happens when something is away, fails, or comes too late.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod stand;

use std::time::Duration;

use stand::catalog::Stock;
use stand::commands::{body_of, cancel, order_id, place, place_of, ship};
use stand::{DEAD, ORDERS, SOON, WEBHOOKS, database, only, stand as prepared, started};
use steelyard_domain::event::OrderEvent;
use steelyard_domain::order::{OrderStatus, Reason};
use steelyard_testkit::{proxy, wait_for};

#[tokio::test]
async fn while_catalog_is_down_nothing_is_lost_or_parked_and_afterwards_all_is_settled() {
    let stand = started().await;
    stand.catalog.go_down();
    let commands: Vec<_> = (0..60)
        .map(|n| place(&format!("c{}", n % 20), &n.to_string()))
        .collect();
    stand.send(&commands).await;
    wait_for("the worker has noticed", SOON, async || {
        stand.catalog.refusals() > 2
    })
    .await;
    assert_eq!(stand.number("SELECT count(*) FROM orders").await, 0);
    stand.catalog.come_back();
    stand.drained().await;
    assert_eq!(
        stand
            .number("SELECT count(*) FROM orders WHERE status = 'confirmed'")
            .await,
        60
    );
    assert_eq!(stand.depths(DEAD).await, (0, 0));
    stand.receive(WEBHOOKS, 60).await;
}

#[tokio::test]
async fn while_postgres_or_redis_is_away_commands_wait() {
    let mut stand = prepared().await;
    let proxy = proxy(stand.database.address());
    stand.configure(database(stand.database.url_via(proxy.address())));
    stand.start().await;
    // A worker that has not heard yet whether it is paused would receive nothing.
    stand.send(&[place("a", "0")]).await;
    stand.settled(order_id("a", "0")).await;
    proxy.refuse();
    stand.send(&[place("a", "1")]).await;
    stand.redis.kill().await;
    stand.send(&[place("b", "1")]).await;
    // Which of the two it met first, and whether it has received both, is chance.
    wait_for("the worker waits", SOON, async || {
        stand.readiness().await.2.starts_with("waits for")
    })
    .await;
    proxy.restore();
    stand.redis.start_again().await;
    for customer in ["a", "b"] {
        let order = stand.settled(order_id(customer, "1")).await;
        assert_eq!(order.status, OrderStatus::Confirmed);
    }
    stand.drained().await;
    assert_eq!(stand.depths(DEAD).await, (0, 0));
}

#[tokio::test]
async fn while_redis_is_away_the_worker_says_so_and_goes_on_by_itself() {
    let mut stand = started().await;
    assert_eq!(
        stand.readiness().await,
        (200, "ok".to_owned(), "ok".to_owned())
    );
    stand.redis.kill().await;
    stand.send(&[place("a", "1")]).await;
    wait_for("the worker says what it waits for", SOON, async || {
        let (status, overall, worker) = stand.readiness().await;
        // Queries are answered all the same.
        status == 200 && overall == "degraded" && worker.starts_with("waits for redis")
    })
    .await;
    stand.redis.start_again().await;
    assert_eq!(
        stand.settled(order_id("a", "1")).await.status,
        OrderStatus::Confirmed
    );
    wait_for("the worker waits for nothing", SOON, async || {
        stand.readiness().await.1 == "ok"
    })
    .await;
}

#[tokio::test]
async fn queries_do_not_wait_for_connections_that_the_worker_has() {
    let mut stand = prepared().await;
    stand.configure(only("worker,api"));
    stand.configure(|config| {
        config.database_connections_max = 2;
        config.limits.set_messages_max = 1;
    });
    stand.start().await;
    stand.send(&[place("a", "1")]).await;
    stand.settled(order_id("a", "1")).await;
    let mut held = stand.pool.begin().await.unwrap();
    let lock = "LOCK TABLE customers IN SHARE ROW EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *held).await.unwrap();
    let commands: Vec<_> = (0..4).map(|n| place(&format!("c{n}"), "1")).collect();
    stand.send(&commands).await;
    wait_for("the worker has all its connections", SOON, async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name = 'orders' AND wait_event_type = 'Lock'";
        stand.number(waiting).await == 2
    })
    .await;
    assert!(stand.find(order_id("a", "1")).await.is_some());
    held.rollback().await.unwrap();
    for n in 0..4 {
        stand.settled(order_id(&format!("c{n}"), "1")).await;
    }
}

#[tokio::test]
async fn an_order_that_catalog_fails_on_holds_up_its_own_customer_only() {
    let stand = started().await;
    let bad = order_id("c7", "1");
    stand.catalog.fail_on(bad);
    let mut commands: Vec<_> = (0..20).map(|n| place(&format!("c{n}"), "1")).collect();
    commands.push(place("c7", "2"));
    stand.send(&commands).await;
    for n in (0..20).filter(|n| *n != 7) {
        stand.settled(order_id(&format!("c{n}"), "1")).await;
    }
    // The later order of the same customer has not overtaken.
    assert!(stand.find(order_id("c7", "2")).await.is_none());
    stand.catalog.fail_no_more();
    assert_eq!(stand.settled(order_id("c7", "2")).await.sequence, 2);
    assert_eq!(stand.settled(bad).await.sequence, 1);
}

#[tokio::test]
async fn a_worker_whose_customer_was_taken_over_writes_nothing_for_that_customer() {
    let stand = started().await;
    let pool = stand.pool.clone();
    // Between the worker's read and its transaction, the holder of a newer lease was here.
    stand.catalog.before_answer(async move {
        let newer = "INSERT INTO customers (customer_id, fence) VALUES ('a', 9000000000000000000)";
        sqlx::query(newer).execute(&pool).await.unwrap();
    });
    stand.send(&[place("a", "1"), place("b", "1")]).await;
    stand.settled(order_id("b", "1")).await;
    wait_for("the order was refused and waits", SOON, async || {
        stand.catalog.stock(order_id("a", "1")) == Some(Stock::Held)
    })
    .await;
    assert!(stand.find(order_id("a", "1")).await.is_none());
    assert_eq!(
        stand
            .number("SELECT count(*) FROM orders WHERE customer_id = 'a'")
            .await,
        0
    );
    assert_eq!(
        stand
            .number("SELECT count(*) FROM outbox WHERE key = 'a'")
            .await,
        0
    );
    sqlx::query("UPDATE customers SET fence = 1 WHERE customer_id = 'a'")
        .execute(&stand.pool)
        .await
        .unwrap();
    assert_eq!(stand.settled(order_id("a", "1")).await.sequence, 1);
    assert_eq!(stand.depths(DEAD).await, (0, 0));
}

#[tokio::test]
async fn what_a_superseded_worker_wrote_late_is_seen_although_its_token_is_smaller() {
    let stand = started().await;
    stand.send(&[place("a", "1")]).await;
    stand.settled(order_id("a", "1")).await;
    let pool = stand.pool.clone();
    stand.catalog.before_answer(async move {
        let late = "UPDATE customers SET fence = fence + 1, last_sequence = 7";
        sqlx::query(late).execute(&pool).await.unwrap();
    });
    stand.send(&[place("a", "2")]).await;
    assert_eq!(stand.settled(order_id("a", "2")).await.sequence, 8);
}

#[tokio::test]
async fn a_crash_between_commit_and_delete_has_no_second_effect() {
    let mut stand = prepared().await;
    let proxy = proxy(stand.sqs_address());
    stand.configure(|config| {
        config.sqs = steelyard_queue::SqsConfig::local(format!("http://{}", proxy.address()));
        config.limits.visibility = Duration::from_secs(3);
    });
    stand.start().await;
    let id = order_id("a", "1");
    // From the moment of the reservation on, nothing gets through to the queue.
    let (cut, was_cut) = tokio::sync::oneshot::channel();
    let proxy = std::sync::Arc::new(proxy);
    let cutter = std::sync::Arc::clone(&proxy);
    stand.catalog.before_answer(async move {
        cutter.refuse();
        let _ = cut.send(());
    });
    stand.send(&[place("a", "1")]).await;
    was_cut.await.unwrap();
    let before = stand.settled(id).await;
    stand.kill();
    proxy.restore();
    assert_eq!(
        stand.depths(ORDERS).await,
        (0, 1),
        "the message is not deleted"
    );
    stand.start().await;
    stand.drained().await;
    assert_eq!(stand.find(id).await, Some(before));
    assert_eq!(stand.number("SELECT count(*) FROM inbox").await, 1);
    stand.receive(WEBHOOKS, 1).await;
}

#[tokio::test]
async fn a_rejected_orders_message_stays_until_catalog_has_released_it() {
    let mut stand = prepared().await;
    stand.start().await;
    let id = order_id("a", "1");
    let body = body_of("a", &[("gone", 1, "2.55")]);
    let catalog = std::sync::Arc::clone(&stand.catalog);
    let sealed = place_of("a", "1", &body);
    // The release after the commit fails for as long as catalog is down.
    stand.catalog.after_reserve(move || catalog.go_down());
    stand.send(&[sealed]).await;
    assert_eq!(stand.settled(id).await.status, OrderStatus::Rejected);
    wait_for("the release was refused", SOON, async || {
        stand.catalog.refusals() > 0
    })
    .await;
    assert_eq!(stand.catalog.stock(id), None);
    assert_ne!(
        stand.depths(ORDERS).await,
        (0, 0),
        "the message is not deleted"
    );
    stand.catalog.come_back();
    stand.drained().await;
    assert_eq!(stand.catalog.stock(id), Some(Stock::Released));
    assert_eq!(stand.number("SELECT count(*) FROM orders").await, 1);
}

#[tokio::test]
async fn a_cancellation_waits_for_catalog_and_is_not_true_before_the_stock_is_back() {
    let stand = started().await;
    let id = order_id("a", "1");
    stand.send(&[place("a", "1")]).await;
    stand.settled(id).await;
    stand.catalog.go_down();
    stand
        .send(&[cancel("a", id, "c"), ship("a", id, "s")])
        .await;
    wait_for("catalog was asked", SOON, async || {
        stand.catalog.refusals() > 0
    })
    .await;
    assert_eq!(stand.find(id).await.unwrap().status, OrderStatus::Confirmed);
    stand.catalog.come_back();
    let order = stand.once(id, |order| order.history.len() == 3).await;
    assert_eq!(order.status, OrderStatus::Cancelled);
    assert_eq!(stand.catalog.stock(id), Some(Stock::Released));
}

/// Found by `cargo stack chaos --seed 4`: the stock was given back before the commit, the commit was lost, and the next
/// attempt took the order for one that somebody else had released.
#[tokio::test]
async fn an_order_that_is_cancelled_in_its_own_set_is_the_same_after_a_lost_transaction() {
    let mut stand = prepared().await;
    let proxy = std::sync::Arc::new(proxy(stand.database.address()));
    stand.configure(database(stand.database.url_via(proxy.address())));
    stand.start().await;
    let id = order_id("a", "1");
    let postgres = std::sync::Arc::clone(&proxy);
    // From the moment of the reservation on, nothing gets through to Postgres.
    stand.catalog.after_reserve(move || postgres.refuse());
    stand.send(&[place("a", "1"), cancel("a", id, "c")]).await;
    wait_for("the set was handed back", SOON, async || {
        stand.catalog.stock(id).is_some() && stand.depths(ORDERS).await == (2, 0)
    })
    .await;
    proxy.restore();
    let order = stand.once(id, |order| order.history.len() == 2).await;
    assert_eq!(order.reason, Some(Reason::CustomerRequest));
    let statuses: Vec<_> = order.history.iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [OrderStatus::Confirmed, OrderStatus::Cancelled]);
    assert_eq!(order.total.to_string(), "22.43");
    stand.drained().await;
    assert_eq!(stand.catalog.stock(id), Some(Stock::Released));
    stand.receive(WEBHOOKS, 2).await;
}

#[tokio::test]
async fn two_workers_share_the_work_and_a_customers_orders_stay_in_sequence() {
    let mut stand = prepared().await;
    stand.start().await;
    stand.configure(only("worker"));
    stand.start().await;
    let mut commands = Vec::new();
    for round in 0..10 {
        commands.extend((0..12).map(|n| place(&format!("c{n}"), &round.to_string())));
    }
    stand.send(&commands).await;
    stand.drained().await;
    for customer in 0..12 {
        for round in 0..10 {
            let id = order_id(&format!("c{customer}"), &round.to_string());
            assert_eq!(stand.settled(id).await.sequence, round + 1);
        }
    }
    assert_eq!(stand.depths(DEAD).await, (0, 0));
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_hand_and_leaves_the_rest_on_the_queue() {
    let mut stand = started().await;
    let commands: Vec<_> = (0..300).map(|n| place(&format!("c{n}"), "1")).collect();
    stand.send(&commands).await;
    let began = tokio::time::Instant::now();
    stand.stop().await;
    assert!(began.elapsed() < Duration::from_secs(30));
    stand.start().await;
    stand.drained().await;
    assert_eq!(
        stand
            .number("SELECT count(*) FROM orders WHERE status = 'confirmed'")
            .await,
        300
    );
    assert_eq!(stand.number("SELECT count(*) FROM inbox").await, 300);
    assert_eq!(stand.depths(DEAD).await, (0, 0));
}

#[tokio::test]
async fn events_wait_in_the_outbox_while_their_queues_are_away_and_keep_their_order() {
    let mut stand = prepared().await;
    stand.configure(only("worker,api"));
    stand.start().await;
    let proxy = proxy(stand.sqs_address());
    stand.configure(only("relay"));
    stand.configure(|config| {
        config.sqs = steelyard_queue::SqsConfig::local(format!("http://{}", proxy.address()));
    });
    proxy.refuse();
    stand.start().await;
    let id = order_id("a", "1");
    stand
        .send(&[
            place("a", "1"),
            ship("a", id, "s"),
            place("a", "2"),
            place("b", "1"),
        ])
        .await;
    stand.drained().await;
    assert_eq!(stand.number("SELECT count(*) FROM outbox").await, 4);
    assert_eq!(stand.depths(WEBHOOKS).await, (0, 0));
    proxy.restore();
    let told = stand.receive(WEBHOOKS, 4).await;
    let told: Vec<OrderEvent> = told
        .iter()
        .map(|message| serde_json::from_str(&message.body).unwrap())
        .collect();
    let of_a = told
        .iter()
        .filter(|event| event.customer_id.as_str() == "a");
    let of_a: Vec<_> = of_a
        .map(|event| (event.order.sequence, event.kind.as_str()))
        .collect();
    let expected = [
        (1, "order.confirmed"),
        (1, "order.shipped"),
        (2, "order.confirmed"),
    ];
    assert_eq!(of_a, expected);
    wait_for("the outbox is empty", SOON, async || {
        stand.number("SELECT count(*) FROM outbox").await == 0
    })
    .await;
}

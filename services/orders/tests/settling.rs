//! What commands do, by the way of a real queue, database and Redis.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod stand;

use stand::catalog::Stock;
use stand::commands::{body_of, cancel, order_id, pay, place, place_of, send_back, ship};
use stand::{
    DEAD, DOCUMENTS, ORDERS, SOON, WEBHOOKS, one_big_set, only, spared_by, stand as prepared,
    started,
};
use steelyard_domain::event::OrderEvent;
use steelyard_domain::order::{FulfillmentStatus, OrderStatus, PaymentStatus, Reason, Refusal};
use steelyard_testkit::{FakeAgent, wait_for};

#[tokio::test]
async fn an_order_is_settled_with_exact_totals_and_told_to_documents_and_webhooks() {
    let stand = started().await;
    stand.send(&[place("17850", "536365")]).await;
    let order = stand.settled(order_id("17850", "536365")).await;
    assert_eq!(order.status, OrderStatus::Confirmed);
    // 6 × 2.55 + 3.39 = 18.69, and 20 % of it is 3.738.
    assert_eq!(order.subtotal.to_string(), "18.69");
    assert_eq!(order.tax_total.to_string(), "3.74");
    assert_eq!(order.total.to_string(), "22.43");
    assert_eq!(order.lines[0].name, "the holder");
    assert_eq!((order.sequence, order.version), (1, 1));
    assert_eq!(stand.catalog.stock(order.id), Some(Stock::Held));

    for queue in [DOCUMENTS, WEBHOOKS] {
        let messages = stand.receive(queue, 1).await;
        let event: OrderEvent = serde_json::from_str(&messages[0].body).unwrap();
        assert_eq!(event.order, order);
        assert_eq!(messages[0].group_id.as_deref(), Some("17850"));
    }
    stand.drained().await;
    assert_eq!(stand.number("SELECT count(*) FROM outbox").await, 0);
}

#[tokio::test]
async fn an_order_that_cannot_be_taken_is_rejected_with_its_reason_and_holds_no_stock() {
    let stand = started().await;
    let mut reasons = Vec::new();
    for (key, sku, reason) in [
        ("1", "gone", Reason::UnknownSku),
        ("2", "dear", Reason::PriceChanged),
        ("3", "euro", Reason::CurrencyMismatch),
    ] {
        let body = body_of("a", &[("holder", 1, "2.55"), (sku, 1, "2.55")]);
        stand.send(&[place_of("a", key, &body)]).await;
        reasons.push((order_id("a", key), reason));
    }
    // One is there, and two customers want it.
    let body = |who| body_of(who, &[("scarce", 1, "1")]);
    stand.send(&[place_of("b", "1", &body("b"))]).await;
    assert_eq!(
        stand.settled(order_id("b", "1")).await.status,
        OrderStatus::Confirmed
    );
    stand.send(&[place_of("c", "1", &body("c"))]).await;
    reasons.push((order_id("c", "1"), Reason::OutOfStock));

    for (id, reason) in reasons {
        let order = stand.settled(id).await;
        assert_eq!(
            (order.status, order.reason),
            (OrderStatus::Rejected, Some(reason))
        );
        assert!(order.reason_detail.unwrap().starts_with("/lines/"));
        assert!(order.tax_total.is_zero());
    }
    stand.drained().await;
    for (who, key) in [("a", "1"), ("c", "1")] {
        assert_eq!(
            stand.catalog.stock(order_id(who, key)),
            Some(Stock::Released)
        );
    }
    let rejected = stand
        .number("SELECT count(*) FROM orders WHERE status = 'rejected'")
        .await;
    assert_eq!(rejected, 4);
}

#[tokio::test]
async fn a_duplicate_has_one_effect_and_a_conflict_is_recorded() {
    let mut stand = prepared().await;
    let id = order_id("a", "1");
    let other = place_of("a", "1", &body_of("a", &[("holder", 7, "2.55")]));
    let mut again = place("a", "1");
    // As after SQS's five minutes: the same command, delivered as another message.
    again.deduplication_id = "later".into();
    stand.send(&[place("a", "1"), other, again]).await;
    stand.start().await;
    stand.drained().await;
    let order = stand.settled(id).await;
    assert_eq!(order.lines[0].quantity, 6);
    assert_eq!(order.conflicts.len(), 1);
    stand.receive(WEBHOOKS, 1).await;
    assert_eq!(stand.number("SELECT count(*) FROM inbox").await, 1);
    assert_eq!(stand.depths(DEAD).await, (0, 0));
}

#[tokio::test]
async fn an_orders_life_is_told_event_by_event_and_what_cannot_be_is_refused() {
    let stand = started().await;
    let id = order_id("a", "1");
    stand
        .send(&[
            place("a", "1"),
            send_back("a", id, "r0", true),
            pay("a", id, "p1"),
            pay("a", id, "p2"),
            ship("a", id, "s1"),
            cancel("a", id, "c1"),
            send_back("a", id, "r1", true),
        ])
        .await;
    let order = stand.once(id, |order| order.history.len() == 7).await;
    assert_eq!(order.status, OrderStatus::Completed);
    assert_eq!(order.payment_status, PaymentStatus::Refunded);
    assert_eq!(order.fulfillment_status, FulfillmentStatus::Returned);
    let refused: Vec<_> = order
        .history
        .iter()
        .filter_map(|entry| entry.refused)
        .collect();
    let expected = [
        Refusal::NotShipped,
        Refusal::AlreadyPaid,
        Refusal::AlreadyShipped,
    ];
    assert_eq!(refused, expected);
    assert_eq!(stand.catalog.stock(id), Some(Stock::Restocked));

    let told = stand.receive(WEBHOOKS, 4).await;
    let told: Vec<OrderEvent> = told
        .iter()
        .map(|message| serde_json::from_str(&message.body).unwrap())
        .collect();
    let kinds: Vec<_> = told.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "order.confirmed",
            "order.paid",
            "order.shipped",
            "order.returned"
        ]
    );
    assert!(told.iter().all(|event| event.order.total == order.total));
    // A payment makes no document.
    stand.receive(DOCUMENTS, 3).await;
}

#[tokio::test]
async fn a_cancelled_order_gives_its_stock_back() {
    let stand = started().await;
    let id = order_id("a", "1");
    stand.send(&[place("a", "1")]).await;
    stand.settled(id).await;
    stand.send(&[cancel("a", id, "c")]).await;
    let order = stand
        .once(id, |order| order.status == OrderStatus::Cancelled)
        .await;
    assert_eq!(order.reason, Some(Reason::CustomerRequest));
    assert_eq!(order.history[1].note.as_deref(), Some("too late"));
    assert_eq!(stand.catalog.stock(id), Some(Stock::Released));
}

#[tokio::test]
async fn a_cancellation_that_comes_before_its_order_waits_for_it() {
    let stand = started().await;
    let id = order_id("a", "1");
    stand.send(&[cancel("a", id, "c")]).await;
    stand.drained().await;
    assert_eq!(stand.number("SELECT count(*) FROM tombstones").await, 1);
    stand.send(&[place("a", "1")]).await;
    let order = stand.settled(id).await;
    assert_eq!(order.status, OrderStatus::Cancelled);
    assert_eq!((order.sequence, order.history.len()), (1, 2));
    assert_eq!(stand.catalog.stock(id), Some(Stock::Released));
    assert_eq!(stand.number("SELECT count(*) FROM tombstones").await, 0);
}

#[tokio::test]
async fn a_stranger_changes_nothing() {
    let stand = started().await;
    let id = order_id("a", "1");
    stand.send(&[place("a", "1")]).await;
    let before = stand.settled(id).await;
    stand.send(&[cancel("mallory", id, "c")]).await;
    stand.drained().await;
    assert_eq!(stand.find(id).await, Some(before));
    let recorded = "SELECT count(*) FROM ignored WHERE customer_id = 'mallory'";
    assert_eq!(stand.number(recorded).await, 1);
    // The key is still the owner's to use.
    stand.send(&[cancel("a", id, "c")]).await;
    stand
        .once(id, |order| order.status == OrderStatus::Cancelled)
        .await;
}

#[tokio::test]
async fn many_customers_orders_fall_into_sets_and_each_customers_are_numbered_in_sequence() {
    let mut stand = prepared().await;
    stand.configure(only("worker,relay,api"));
    let mut commands = Vec::new();
    for round in 0..6 {
        for customer in 0..40 {
            commands.push(place(&format!("c{customer}"), &round.to_string()));
        }
    }
    stand.send(&commands).await;
    stand.start().await;
    stand.drained().await;
    for customer in 0..40 {
        for round in 0..6 {
            let order = stand
                .settled(order_id(&format!("c{customer}"), &round.to_string()))
                .await;
            assert_eq!(order.sequence, round + 1);
        }
    }
    let told = stand.receive(WEBHOOKS, 240).await;
    let mut latest = std::collections::HashMap::new();
    for message in told {
        let event: OrderEvent = serde_json::from_str(&message.body).unwrap();
        let before = latest.insert(event.customer_id.clone(), event.order.sequence);
        assert_eq!(
            before.unwrap_or(0) + 1,
            event.order.sequence,
            "in order per customer"
        );
    }
    assert_eq!(stand.number("SELECT count(*) FROM outbox").await, 0);
}

#[tokio::test]
async fn one_bad_order_among_fifty_is_parked_and_the_others_are_settled() {
    let mut stand = prepared().await;
    stand.configure(one_big_set);
    let mut commands: Vec<_> = (0..50).map(|n| place(&format!("c{n}"), "1")).collect();
    // The gateway refuses NUL, so nothing that it sealed can hold one. Postgres refuses it, too.
    let mut bad = body_of("c31", &[("holder", 1, "2.55")]);
    bad.reference = Some("nul\0".into());
    commands[31] = place_of("c31", "1", &bad);
    stand.send(&commands).await;
    stand.start().await;
    stand.drained().await;
    assert_eq!(
        stand
            .number("SELECT count(*) FROM orders WHERE status = 'confirmed'")
            .await,
        49
    );
    let parked = stand.receive(DEAD, 1).await;
    assert_eq!(parked[0].body, commands[31].body);
    assert!(stand.find(order_id("c31", "1")).await.is_none());
}

#[tokio::test]
async fn what_is_no_command_is_parked_with_its_body_and_holds_nobody_up() {
    let stand = started().await;
    let good = place("a", "1");
    let raw = |group: &str, dedup: &str, body: &str| {
        steelyard_queue::OutgoingMessage::fifo(group, dedup, body)
    };
    stand
        .send_raw(vec![
            raw("a", "1", "not JSON"),
            raw("a", "2", &good.body.replace("\"v\":2", "\"v\":9")),
            // In a stranger's group it could overtake its own customer's commands.
            raw("b", "3", &good.body),
            raw("a", "4", &good.body),
        ])
        .await;
    assert_eq!(
        stand.settled(order_id("a", "1")).await.status,
        OrderStatus::Confirmed
    );
    stand.drained().await;
    let mut parked: Vec<_> = stand
        .receive(DEAD, 3)
        .await
        .into_iter()
        .map(|message| message.body)
        .collect();
    parked.sort();
    assert!(parked.contains(&"not JSON".to_owned()));
    assert_eq!(stand.depths(ORDERS).await, (0, 0));
}

#[tokio::test]
async fn a_worker_with_commands_in_hand_asks_ecs_to_spare_its_task() {
    let mut agent = FakeAgent::start().await.unwrap();
    let mut stand = prepared().await;
    stand.configure(spared_by(&agent.uri));
    stand.start().await;
    assert!(!agent.was_asked(), "it has nothing in hand");
    let mut sent = 0_u32;
    wait_for("the agent is asked", SOON, async || {
        // A command is in hand for some milliseconds only.
        stand.send(&[place("a", &sent.to_string())]).await;
        sent += 1;
        agent.was_asked()
    })
    .await;
}

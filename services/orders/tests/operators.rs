//! What the gateway can ask for operators: dry runs that leave nothing, an audit that only grows, maintenance.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod stand;

use std::time::Duration;

use serde_json::{Value, json};
use stand::commands::{Sealed, body_of, cancel, order_id, pay, place, place_of, seal_at, ship};
use stand::{DEAD, ORDERS, SOON, Stand, stand as prepared, started};
use steelyard_domain::command::{CommandKind, VERSION};
use steelyard_domain::ops::{DryRun, DryVerdict, paths};
use steelyard_domain::order::OrderStatus;
use steelyard_testkit::wait_for;
use time::OffsetDateTime;

async fn dry_run(stand: &Stand, sealed: &Sealed) -> DryRun {
    let request = json!({"body": sealed.body, "group_id": sealed.group_id});
    let (status, answer) = stand.ask("POST", paths::DRY_RUN, &request).await;
    assert_eq!(status, 200, "{answer}");
    serde_json::from_value(answer).unwrap()
}

/// Every row of the schema that a worker writes, as text.
async fn everything(stand: &Stand) -> Vec<String> {
    let sql = "SELECT row(c.*)::text FROM customers c UNION ALL SELECT row(o.id, o.version)::text FROM orders o
         UNION ALL SELECT row(i.message_id)::text FROM inbox i UNION ALL SELECT row(t.message_id)::text FROM tombstones t
         UNION ALL SELECT row(g.message_id)::text FROM ignored g UNION ALL SELECT row(b.event_id)::text FROM outbox b
         ORDER BY 1";
    sqlx::query_scalar(sql)
        .fetch_all(&stand.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_nothing_of_it_stays() {
    let stand = started().await;
    let (order, gone) = (order_id("a", "1"), body_of("a", &[("gone", 1, "2.55")]));
    stand.send(&[place("a", "1")]).await;
    stand.settled(order).await;
    stand.drained().await;
    wait_for("its events have left", SOON, async || {
        stand.number("SELECT count(*) FROM outbox").await == 0
    })
    .await;
    let mut nul = body_of("a", &[("holder", 1, "2.55")]);
    nul.reference = Some("nul\0".into());
    let mut garbled = place("a", "x");
    garbled.body = garbled.body.replace(&format!("\"v\":{VERSION}"), "\"v\":9");
    let last_year = OffsetDateTime::now_utc() - Duration::from_hours(365 * 24);
    let of_last_year = seal_at(
        last_year,
        "a",
        order_id("a", "old"),
        "old",
        CommandKind::Cancel,
        &json!({"reason": "customer_request"}),
    );
    let before = everything(&stand).await;

    for (sealed, verdict) in [
        (place("a", "2"), DryVerdict::Settles),
        (place("b", "1"), DryVerdict::Settles),
        (place_of("a", "3", &gone), DryVerdict::Settles),
        (place("a", "1"), DryVerdict::Duplicate),
        (place_of("a", "1", &gone), DryVerdict::Conflict),
        (cancel("a", order, "c"), DryVerdict::Settles),
        (
            ship("a", order_id("a", "9"), "s"),
            DryVerdict::WaitsForOrder,
        ),
        (pay("b", order, "p"), DryVerdict::Ignored),
        (place_of("a", "4", &nul), DryVerdict::Parks),
        (garbled, DryVerdict::Parks),
        (of_last_year, DryVerdict::Parks),
    ] {
        let run = dry_run(&stand, &sealed).await;
        assert_eq!(run.verdict, verdict, "{} {run:?}", sealed.body);
        assert_eq!(everything(&stand).await, before, "{}", sealed.body);
    }
    assert_eq!(
        stand.catalog.stock(order_id("b", "1")),
        None,
        "nothing is held"
    );

    let run = dry_run(&stand, &place("b", "1")).await;
    assert_eq!(run.orders[0].status, OrderStatus::Confirmed);
    assert_eq!(run.orders[0].total.to_string(), "22.43");
    assert_eq!(run.catalog.reserve, [order_id("b", "1")]);
    assert_eq!(run.events[0].kind, "order.confirmed");
    let run = dry_run(&stand, &place_of("a", "3", &gone)).await;
    assert_eq!(run.orders[0].status, OrderStatus::Rejected);
    let run = dry_run(&stand, &cancel("a", order, "c")).await;
    assert_eq!(
        (run.orders[0].status, run.catalog.release),
        (OrderStatus::Cancelled, vec![order])
    );

    // What was tried out happens just so.
    stand.send(&[cancel("a", order, "c")]).await;
    let done = stand.once(order, |order| order.version == 2).await;
    assert_eq!(done.status, run.orders[0].status);
    let run = dry_run(&stand, &ship("a", order, "s")).await;
    assert_eq!(
        (run.verdict, run.reason.as_deref()),
        (DryVerdict::Refused, Some("not_active"))
    );
}

#[tokio::test]
async fn a_dry_run_is_not_in_the_way_of_a_worker() {
    let stand = started().await;
    let body = body_of("a", &[("holder", 1, "2.55")]);
    let tried = place_of("a", "tried", &body);
    let commands: Vec<_> = (0..30)
        .map(|n| place_of("a", &n.to_string(), &body))
        .collect();
    stand.send(&commands).await;
    let request = json!({"body": tried.body, "group_id": tried.group_id});
    while stand.depths(ORDERS).await != (0, 0) {
        let (status, answer) = stand.ask("POST", paths::DRY_RUN, &request).await;
        // Busy is an answer; an error of ours is not.
        assert!(status == 200 || status == 503, "{answer}");
    }
    let last = stand.settled(order_id("a", "29")).await;
    assert_eq!(last.sequence, 30);
    assert_eq!(stand.depths(DEAD).await, (0, 0));
}

#[tokio::test]
async fn the_audit_only_grows_and_is_read_page_by_page() {
    let stand = started().await;
    for n in 0..5 {
        let action = if n % 2 == 0 { "redrive" } else { "edit" };
        let entry = json!({"by": "olga", "action": action, "subject": format!("letter-{n}"), "reason": "why", "detail": {"n": n}});
        let (status, written) = stand.ask("POST", paths::AUDIT, &entry).await;
        assert_eq!((status, &written["detail"]["n"]), (201, &json!(n)));
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let (_, body) = stand
            .get(&format!("{}?limit=2{cursor}", paths::AUDIT))
            .await;
        let page: Value = serde_json::from_str(&body).unwrap();
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| e["detail"]["n"].clone()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(json!(seen), json!([4, 3, 2, 1, 0]));
    let (_, body) = stand.get(&format!("{}?action=edit", paths::AUDIT)).await;
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap()["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let (status, _) = stand
        .get(&format!("{}?action=redrive{cursor}", paths::AUDIT))
        .await;
    assert_eq!(status, 400, "a cursor of another list");

    for sql in [
        "UPDATE ops_audit SET by = 'x'",
        "DELETE FROM ops_audit",
        "TRUNCATE ops_audit",
    ] {
        let refused = sqlx::query(sql).execute(&stand.pool).await.unwrap_err();
        assert!(
            refused.to_string().contains("append-only"),
            "{sql}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_worker_that_starts_in_maintenance_takes_nothing() {
    let mut stand = prepared().await;
    stand.start().await;
    let pause = json!({"by": "olga", "set": {"processing": "paused", "reason": "upgrade"}});
    let (status, _) = stand.ask("PUT", paths::MAINTENANCE, &pause).await;
    assert_eq!(status, 200);
    stand.stop().await;
    stand.send(&[place("a", "1")]).await;
    stand.start().await;
    wait_for("the worker reports", SOON, async || {
        let (_, body) = stand.get(paths::PROCESSING).await;
        let all: Value = serde_json::from_str(&body).unwrap();
        all["workers"][0]["breakers"][0]["dependency"] == "maintenance"
    })
    .await;
    // Never received, so it costs no receive count: what is in the queue has not been touched.
    assert_eq!(stand.depths(ORDERS).await, (1, 0));
    let received = stand.receive(ORDERS, 1).await;
    assert_eq!(received[0].receive_count, 1);
}

#[tokio::test]
async fn a_pause_ends_by_itself_and_its_end_is_checked() {
    let stand = started().await;
    let now = time::OffsetDateTime::now_utc();
    let format = &time::format_description::well_known::Rfc3339;
    let set = |seconds: i64| {
        let until = (now + time::Duration::seconds(seconds))
            .format(format)
            .unwrap();
        json!({"by": "olga", "set": {"processing": "paused", "reason": "a moment", "until": until}})
    };
    let (status, refused) = stand.ask("PUT", paths::MAINTENANCE, &set(-1)).await;
    assert_eq!(
        (status, &refused["errors"][0]["pointer"]),
        (422, &json!("/until"))
    );
    let (status, _) = stand.ask("PUT", paths::MAINTENANCE, &set(4)).await;
    assert_eq!(status, 200);
    stand.send(&[place("a", "1")]).await;
    let order = stand.settled(order_id("a", "1")).await;
    assert_eq!(order.status, OrderStatus::Confirmed);
}

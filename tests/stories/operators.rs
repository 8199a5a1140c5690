//! What the person on call can do: look, try, correct, send back; and stop the workers for a while.
#![expect(clippy::unwrap_used, reason = "a story stops at the first surprise")]

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steelyard_domain::order::OrderStatus;
use steelyard_testkit::wait_for;
use steelyard_tests::{Client, PATIENCE, Part, System, order_of, sealed_place};

const LETTERS: &str = "/v1/ops/dead-letters";
const MAINTENANCE: &str = "/v1/ops/maintenance";

async fn call(ops: &Client, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let mut request = ops.call(method, path);
    if !body.is_null() {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn get(ops: &Client, path: &str) -> Value {
    let (status, body) = call(ops, Method::GET, path, &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_order_is_parked_looked_at_tried_corrected_and_settles_in_sequence() {
    let system = System::start().await;
    let office = system.client("office", "catalog:write");
    office.stock(&[("TEA", 100)]).await;
    let shop = system.client("shop", "storefront");
    let ops = system.client("olga", "ops");

    let first = shop.place("1", &order_of("alice", &[("TEA", 1)])).await;
    // What a gateway with a hole in its validation would send: Postgres takes no NUL.
    let mut order = order_of("alice", &[("TEA", 2)]);
    order["reference"] = json!("nul\0");
    let (bad, receipt) = sealed_place("alice", "bad", &order);
    let body = bad.body.clone();
    system.send(bad).await;
    let after = shop.place("2", &order_of("alice", &[("TEA", 4)])).await;
    assert_eq!(shop.settled(&first).await.sequence, 1);
    assert_eq!(shop.settled(&after).await.sequence, 2, "the others went on");
    wait_for("it is parked", PATIENCE, async || {
        system.dead_letters().await == 1
    })
    .await;

    let mut page = Value::Null;
    for _ in 0..3 {
        page = get(&ops, LETTERS).await;
        assert_eq!(page["data"].as_array().unwrap().len(), 1, "{page}");
        assert_eq!(page["complete"], true, "looking takes nothing away");
    }
    let letter = &page["data"][0];
    assert_eq!(letter["command"]["customer_id"], "alice");
    assert_eq!(letter["command"]["order_id"], receipt.id.to_string());
    assert_eq!(letter["body"]["payload"]["reference"], "nul\0");
    assert!(letter["first_failed_at"].is_string() && letter["reason"].is_string());
    assert_eq!(letter["history"].as_array().unwrap().len(), 1);
    let path = format!("{LETTERS}/{}", letter["id"].as_str().unwrap());
    assert_eq!(get(&ops, &path).await["body"], letter["body"]);

    // As it is it would be parked again; corrected it would not. Neither leaves a trace.
    let available = shop.available("TEA").await;
    let dry = format!("{path}/dry-run");
    let (_, run) = call(&ops, Method::POST, &dry, &Value::Null).await;
    assert_eq!(run["verdict"], "parks", "{run}");
    let mut corrected = letter["body"].clone();
    corrected["payload"]["reference"] = json!("no nul");
    let (status, run) = call(&ops, Method::POST, &dry, &json!({"body": corrected})).await;
    assert_eq!(
        (status, &run["verdict"]),
        (StatusCode::OK, &json!("settles")),
        "{run}"
    );
    assert_eq!(run["orders"][0]["status"], "confirmed");
    assert_eq!(run["orders"][0]["sequence"], 3);
    assert_eq!(run["orders"][0]["subtotal"], "2.00");
    assert_eq!(run["events"][0]["type"], "order.confirmed");
    assert_eq!(shop.available("TEA").await, available);
    assert!(shop.order(&receipt).await.is_none());

    // A correction is of the same command, and one that a worker can read.
    let redrive = format!("{path}/redrive");
    let mut other = corrected.clone();
    other["order_id"] = json!(first.id);
    for (wrong, pointer) in [(other, "/body/message_id"), (json!({"v": 1}), "/body")] {
        let wrong = json!({"reason": "a try", "body": wrong});
        let (status, refused) = call(&ops, Method::POST, &redrive, &wrong).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    let good = json!({"reason": "the reference held a NUL", "body": corrected});
    let (status, done) = call(&ops, Method::POST, &redrive, &good).await;
    assert_eq!(
        (status, &done["moved"]),
        (StatusCode::OK, &json!(1)),
        "{done}"
    );
    let settled = shop.settled(&receipt).await;
    assert_eq!(settled.status, OrderStatus::Confirmed);
    assert_eq!(
        (settled.sequence, settled.reference.as_deref()),
        (3, Some("no nul"))
    );
    assert_eq!(system.dead_letters().await, 0);

    let audit = get(&ops, "/v1/ops/audit").await;
    let edit = &audit["data"][1];
    assert_eq!(
        (&edit["action"], &edit["by"]),
        (&json!("edit"), &json!("olga"))
    );
    assert_eq!(edit["detail"]["before"], json!(body));
    assert!(edit["detail"]["after"].as_str().unwrap().contains("no nul"));
    assert_eq!(audit["data"][0]["detail"]["results"][0]["outcome"], "moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_redriven_twice_takes_effect_once() {
    let system = System::start().await;
    let office = system.client("office", "catalog:write");
    office.stock(&[("TEA", 100)]).await;
    let shop = system.client("shop", "storefront");
    let ops = system.client("olga", "ops");
    let (command, receipt) = sealed_place("alice", "1", &order_of("alice", &[("TEA", 5)]));
    // The same command among the dead three times: redrives that broke off between send and delete.
    for n in 0..3 {
        let mut copy = command.clone();
        copy.dedup_id = Some(format!("copy-{n}"));
        system.send_to_dead_letters(copy).await;
    }
    let all = json!({"filter": {"customer_id": "alice"}, "reason": "after a crash"});
    let path = format!("{LETTERS}/redrive");
    let (status, done) = call(&ops, Method::POST, &path, &all).await;
    assert_eq!(
        (status, &done["moved"]),
        (StatusCode::OK, &json!(3)),
        "{done}"
    );
    let later = shop.place("2", &order_of("alice", &[("TEA", 1)])).await;
    assert_eq!(
        shop.settled(&later).await.sequence,
        2,
        "the copies made no orders"
    );
    let order = shop.settled(&receipt).await;
    assert_eq!((order.version, order.conflicts.len()), (1, 0));
    assert_eq!(shop.available("TEA").await, 94);
    assert_eq!(system.dead_letters().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_postgres_nothing_is_redriven_since_it_could_not_be_written_down() {
    let system = System::start().await;
    let ops = system.client("olga", "ops");
    let (command, _) = sealed_place("alice", "1", &order_of("alice", &[("TEA", 5)]));
    system.send_to_dead_letters(command).await;
    system.take_postgres_away();
    let all = json!({"filter": {}, "reason": "a try"});
    let path = format!("{LETTERS}/redrive");
    let (status, refused) = call(&ops, Method::POST, &path, &all).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{refused}");
    assert_eq!(refused["code"], "audit_unavailable");
    assert_eq!(system.backlog().await, 0);
    let page = get(&ops, LETTERS).await;
    assert_eq!(
        page["data"].as_array().unwrap().len(),
        1,
        "it can be seen all the same"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_maintenance_orders_are_taken_and_none_settles_until_it_is_over() {
    let mut system = System::with_workers(2).await;
    let office = system.client("office", "catalog:write");
    office.stock(&[("TEA", 100)]).await;
    let shop = system.client("shop", "storefront");
    let ops = system.client("olga", "ops");

    let pause = json!({"processing": "paused", "reason": "upgrade of Postgres"});
    let (status, state) = call(&ops, Method::PUT, MAINTENANCE, &pause).await;
    assert_eq!(
        (status, &state["changed_by"]),
        (StatusCode::OK, &json!("olga")),
        "{state}"
    );
    all_workers_are(&ops, "paused").await;

    let mut taken = Vec::new();
    for n in 0..20 {
        let order = order_of(&format!("customer-{}", n % 5), &[("TEA", 1)]);
        taken.push(shop.place(&format!("order-{n}"), &order).await);
    }
    // Whoever waits is told when to come again.
    let waiting = shop
        .call(Method::POST, "/v1/orders")
        .header("idempotency-key", "waits")
        .header("prefer", "wait=2")
        .json(&order_of("customer-0", &[("TEA", 1)]));
    let answer = waiting.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED, "nothing settles");
    assert_eq!(answer.headers()["retry-after"], "120", "no end is known");

    // It outlives restarts of everything, and of Postgres.
    for part in [Part::Gateway, Part::Orders(1), Part::Orders(2)] {
        system.down(part).await;
        system.up(part).await;
    }
    system.take_postgres_away();
    system.bring_postgres_back();
    all_workers_are(&ops, "paused").await;
    assert_eq!(system.backlog().await, 21);
    for receipt in &taken {
        assert_eq!(receipt.status, OrderStatus::Accepted);
    }
    let queues = get(&ops, "/v1/ops/queues").await;
    let breaker = &queues["workers"][0]["breakers"][0];
    assert_eq!(breaker["dependency"], "maintenance", "{queues}");
    assert_eq!(breaker["why"], "upgrade of Postgres");
    assert_eq!(queues["queues"][0]["depth"], 21);

    let go_on = json!({"processing": "running", "reason": "done"});
    let (status, _) = call(&ops, Method::PUT, MAINTENANCE, &go_on).await;
    assert_eq!(status, StatusCode::OK);
    let mut sequences = [0; 5];
    for (n, receipt) in taken.iter().enumerate() {
        let order = shop.settled(receipt).await;
        assert_eq!(order.status, OrderStatus::Confirmed);
        sequences[n % 5] += 1;
        assert_eq!(
            order.sequence,
            sequences[n % 5],
            "in the order of acceptance"
        );
    }
    assert_eq!(system.dead_letters().await, 0);
    let audit = get(&ops, "/v1/ops/audit?action=maintenance").await;
    assert_eq!(audit["data"][0]["detail"]["after"], "running");
    assert_eq!(audit["data"][1]["detail"]["after"], "paused");
}

/// Waits until both workers say so.
async fn all_workers_are(ops: &Client, state: &str) {
    wait_for(&format!("all workers are {state}"), PATIENCE, async || {
        let queues = ops.call(Method::GET, "/v1/ops/queues").send().await;
        let Ok(queues) = queues.unwrap().json::<Value>().await else {
            return false;
        };
        let workers = queues["workers"].as_array().cloned().unwrap_or_default();
        queues["workers_known"] == "all"
            && workers.len() == 2
            && workers.iter().all(|worker| worker["processing"] == state)
    })
    .await;
}

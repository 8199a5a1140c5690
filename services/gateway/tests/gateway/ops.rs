//! Operators' routes: looking, redriving, and what is refused.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steelyard_domain::command::{CommandFrame, CommandKind};
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_domain::order::PlaceOrder;
use steelyard_domain::order::place::{PlaceOrderBody, PlaceRights};
use steelyard_queue::OutgoingMessage;
use steelyard_queue::testing::Held;
use time::OffsetDateTime;

use crate::support::{Canned, DEAD_LETTERS, Gateway, Peer, QUEUE, Setting, order, problem};

const LETTERS: &str = "/v1/ops/dead-letters";
const AUDIT: &str = "/internal/ops/audit";
const CHECK: &str = "/internal/ops/check";

async fn gateway() -> (Gateway, Peer) {
    let peer = Peer::start().await;
    let entry = json!({
        "id": 7, "at": "2026-11-24T12:00:00Z", "by": "olga", "action": "redrive", "subject": "s",
        "reason": "r", "detail": {}
    });
    peer.say(AUDIT, Canned::json(&entry));
    let setting = Setting {
        orders: peer.url.clone(),
        queues: vec![QUEUE, DEAD_LETTERS],
        ..Setting::default()
    };
    (setting.start().await, peer)
}

async fn ask(
    gateway: &Gateway,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> reqwest::Response {
    let mut request = gateway.by("olga", "ops", method, path);
    if let Some(body) = body {
        request = request.json(body);
    }
    request.send().await.unwrap()
}

async fn get(gateway: &Gateway, path: &str) -> Value {
    let answer = ask(gateway, Method::GET, path, None).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

fn place(customer: &str, key: &str) -> OutgoingMessage {
    let customer: CustomerId = customer.parse().unwrap();
    let mut body = order();
    body["customer_id"] = json!(customer.as_str());
    let body: PlaceOrderBody = serde_json::from_value(body).unwrap();
    let rights = PlaceRights { may_price: false };
    let place: PlaceOrder = body.check(customer.clone(), rights).unwrap();
    let key = key.parse().unwrap();
    let frame = CommandFrame {
        order_id: OrderId::derive("i", &customer, &key),
        customer_id: &customer,
        key: &key,
        accepted_at: OffsetDateTime::UNIX_EPOCH,
        requested_by: "shop",
    };
    let sealed = frame.seal(CommandKind::Place, &place).unwrap();
    OutgoingMessage::fifo(sealed.group_id, sealed.deduplication_id, sealed.body)
}

/// As the consumer parks it.
fn parked(message: OutgoingMessage, n: usize, reason: &str) -> OutgoingMessage {
    let parked = json!({
        "reason": reason, "first_failed_at": "2026-11-24T10:00:00Z",
        "parked_at": format!("2026-11-24T10:00:{n:02}Z"), "receive_count": 3, "queue": QUEUE,
        "message_id": format!("m{n}"), "dedup_id": message.dedup_id,
        "sequence_number": format!("{n:020}"), "sent_at_ms": 0,
    });
    message.with_attribute("parked", parked.to_string())
}

fn bodies(held: &[Held]) -> Vec<String> {
    held.iter().map(|held| held.message.body.clone()).collect()
}

/// Three of alice, one of bob that nobody can read.
fn some_letters(gateway: &Gateway) -> Vec<String> {
    let letters = [
        parked(place("alice", "1"), 1, "numeric field overflow"),
        parked(
            OutgoingMessage::fifo("bob", "d", "not JSON"),
            2,
            "not an order command",
        ),
        parked(place("alice", "2"), 3, "numeric field overflow"),
        parked(place("alice", "3"), 4, "the clock stood still"),
    ];
    let put = letters.iter().map(|letter| {
        gateway.queue.put(DEAD_LETTERS, letter).unwrap();
        letter.body.clone()
    });
    put.collect()
}

#[tokio::test]
async fn letters_are_shown_decoded_filtered_and_page_by_page_and_stay_where_they_are() {
    let (gateway, _peer) = gateway().await;
    let put = some_letters(&gateway);
    let mut seen = Vec::new();
    let mut path = format!("{LETTERS}?limit=3");
    loop {
        let page = get(&gateway, &path).await;
        assert_eq!(page["complete"], true);
        seen.extend(page["data"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("{LETTERS}?limit=3&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 4);
    let unreadable = seen
        .iter()
        .find(|letter| letter["raw"] == "not JSON")
        .unwrap();
    assert!(unreadable["undecodable"].is_string() && unreadable["command"].is_null());
    let first = seen
        .iter()
        .find(|l| l["parked_at"] == "2026-11-24T10:00:01Z")
        .unwrap();
    assert_eq!(first["command"]["type"], "order.place");
    assert_eq!(first["body"]["payload"]["reference"], "536365");
    assert_eq!(first["first_failed_at"], "2026-11-24T10:00:00Z");
    assert_eq!(first["history"][0]["receive_count"], 3);

    for (filter, count) in [
        ("customer_id=alice", 3),
        ("customer_id=bob", 1),
        ("reason=OVERFLOW", 2),
        ("type=order.place", 3),
        ("type=order.cancel", 0),
        ("parked_from=2026-11-24T10:00:03Z", 2),
        (
            "parked_from=2026-11-24T10:00:01Z&parked_to=2026-11-24T10:00:03Z&customer_id=alice",
            1,
        ),
    ] {
        let page = get(&gateway, &format!("{LETTERS}?{filter}")).await;
        assert_eq!(page["data"].as_array().unwrap().len(), count, "{filter}");
    }
    let held = gateway.queue.held(DEAD_LETTERS);
    assert_eq!(bodies(&held), put, "in their places");
    assert!(held.iter().all(|held| held.visible), "and visible");

    for (query, pointer) in [
        ("limit=0", "query/limit"),
        ("cursor=x", "query/cursor"),
        ("type=x", "query/type"),
    ] {
        let answer = ask(&gateway, Method::GET, &format!("{LETTERS}?{query}"), None).await;
        let refused = problem(answer).await;
        assert_eq!(
            (&refused["code"], &refused["errors"][0]["pointer"]),
            (&json!("invalid_query"), &json!(pointer))
        );
    }
}

#[tokio::test]
async fn a_redrive_by_filter_moves_just_those_in_order_and_is_written_down_first() {
    let (gateway, peer) = gateway().await;
    let put = some_letters(&gateway);
    let body = json!({"filter": {"reason": "overflow", "type": "order.place"}, "reason": "fixed in 1.4.2"});
    let path = format!("{LETTERS}/redrive");
    let answer = ask(&gateway, Method::POST, &path, Some(&body)).await;
    assert_eq!(answer.status(), 200);
    let done: Value = answer.json().await.unwrap();
    assert_eq!(
        (&done["moved"], &done["more"], &done["audit_id"]),
        (&json!(2), &json!(false), &json!(7))
    );
    assert_eq!(
        bodies(&gateway.queue.held(QUEUE)),
        [put[0].clone(), put[2].clone()]
    );
    assert_eq!(
        bodies(&gateway.queue.held(DEAD_LETTERS)),
        [put[1].clone(), put[3].clone()]
    );
    let sent = &gateway.queue.held(QUEUE)[0].message;
    assert_eq!(sent.group_id.as_deref(), Some("alice"));
    let note: Value = serde_json::from_str(sent.attributes["redriven"].as_text().unwrap()).unwrap();
    assert_eq!((&note["by"], &note["times"]), (&json!("olga"), &json!(1)));
    assert_eq!(note["history"][0]["reason"], "numeric field overflow");

    let seen = peer.seen();
    let entries: Vec<Value> = seen
        .iter()
        .map(|seen| serde_json::from_slice(&seen.body).unwrap())
        .collect();
    assert_eq!(entries[0]["action"], "redrive");
    assert_eq!(entries[0]["reason"], "fixed in 1.4.2");
    assert_eq!(entries[0]["detail"]["letters"].as_array().unwrap().len(), 2);
    assert_eq!(entries[1]["action"], "redrive.result");
    assert_eq!(entries[1]["detail"]["entry"], 7);
}

#[tokio::test]
async fn a_redrive_takes_the_letters_that_are_named_and_says_which_are_not_there() {
    let (gateway, _peer) = gateway().await;
    let put = some_letters(&gateway);
    let page = get(&gateway, &format!("{LETTERS}?customer_id=bob")).await;
    let id = page["data"][0]["id"].clone();
    let body = json!({"ids": [id, "elsewhere"], "reason": "a try"});
    let path = format!("{LETTERS}/redrive");
    let done: Value = ask(&gateway, Method::POST, &path, Some(&body))
        .await
        .json()
        .await
        .unwrap();
    let outcomes: Vec<_> = done["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["outcome"].clone())
        .collect();
    assert_eq!(json!(outcomes), json!(["moved", "not_found"]));
    assert_eq!(bodies(&gateway.queue.held(QUEUE)), [put[1].clone()]);
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_done() {
    let (gateway, peer) = gateway().await;
    let put = some_letters(&gateway);
    peer.say(AUDIT, Canned::problem(503, "database_away"));
    let id = get(&gateway, LETTERS).await["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let one = format!("{LETTERS}/{id}/redrive");
    for (path, body) in [
        (
            format!("{LETTERS}/redrive"),
            json!({"filter": {}, "reason": "a try"}),
        ),
        (one, json!({"reason": "a try"})),
    ] {
        let answer = ask(&gateway, Method::POST, &path, Some(&body)).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!(problem(answer).await["code"], "audit_unavailable");
    }
    assert!(gateway.queue.held(QUEUE).is_empty());
    let held = gateway.queue.held(DEAD_LETTERS);
    assert_eq!(bodies(&held), put);
    assert!(held.iter().all(|held| held.visible));
}

#[tokio::test]
async fn a_correction_gets_its_fingerprint_and_is_checked_by_the_worker_before_it_is_sent() {
    let (gateway, peer) = gateway().await;
    some_letters(&gateway);
    let page = get(&gateway, &format!("{LETTERS}?customer_id=alice&limit=1")).await;
    let letter = &page["data"][0];
    let path = format!("{LETTERS}/{}/redrive", letter["id"].as_str().unwrap());
    let mut corrected = letter["body"].clone();
    corrected["payload"]["reference"] = json!("corrected");
    let body = json!({"reason": "a typing error", "body": corrected});

    peer.say(CHECK, Canned::json(&json!({"refusal": "it has 0 lines"})));
    let answer = ask(&gateway, Method::POST, &path, Some(&body)).await;
    let refused = problem(answer).await;
    assert_eq!(
        (&refused["status"], &refused["errors"][0]["detail"]),
        (&json!(422), &json!("it has 0 lines"))
    );
    assert!(gateway.queue.held(QUEUE).is_empty());

    peer.say(CHECK, Canned::json(&json!({"refusal": null})));
    let answer = ask(&gateway, Method::POST, &path, Some(&body)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let sent = gateway.commands();
    assert_eq!(sent.len(), 1, "it decodes, so its fingerprint is right");
    assert_eq!(
        sent[0].message_id.to_string(),
        letter["command"]["message_id"].as_str().unwrap()
    );
    let entries = peer.seen();
    let edit = entries
        .iter()
        .map(|seen| serde_json::from_slice::<Value>(&seen.body).unwrap());
    let edit = edit
        .into_iter()
        .find(|entry| entry["action"] == "edit")
        .unwrap();
    assert!(
        edit["detail"]["after"]
            .as_str()
            .unwrap()
            .contains("corrected")
    );
    assert_eq!(edit["detail"]["before_sha256"], letter["body_sha256"]);
}

#[tokio::test]
async fn a_redrive_without_a_reason_or_a_choice_is_refused_with_its_place() {
    let (gateway, _peer) = gateway().await;
    for (body, pointer) in [
        (json!({"filter": {}, "reason": ""}), "/reason"),
        (json!({"reason": "x"}), ""),
        (json!({"filter": {}, "ids": ["a"], "reason": "x"}), ""),
        (json!({"ids": [], "reason": "x"}), "/ids"),
        (json!({"filter": {}, "limit": 101, "reason": "x"}), "/limit"),
        (
            json!({"filter": {"colour": "red"}, "reason": "x"}),
            "/filter/colour",
        ),
    ] {
        let answer = ask(
            &gateway,
            Method::POST,
            &format!("{LETTERS}/redrive"),
            Some(&body),
        )
        .await;
        let refused = problem(answer).await;
        assert_eq!(
            (&refused["status"], &refused["errors"][0]["pointer"]),
            (&json!(422), &json!(pointer)),
            "{body}"
        );
    }
    let answer = ask(
        &gateway,
        Method::GET,
        &format!("{LETTERS}?queue=webhooks"),
        None,
    )
    .await;
    assert_eq!(
        answer.status(),
        404,
        "a queue that this gateway was not told of"
    );
}

#[tokio::test]
async fn queues_are_shown_with_what_is_known_and_null_where_nothing_is() {
    let (gateway, peer) = gateway().await;
    some_letters(&gateway);
    gateway.queue.put(QUEUE, &place("alice", "9")).unwrap();
    let queues = get(&gateway, "/v1/ops/queues").await;
    let (orders, dead) = (&queues["queues"][0], &queues["queues"][1]);
    assert_eq!(
        (&orders["name"], &orders["depth"]),
        (&json!(QUEUE), &json!(1))
    );
    assert_eq!(
        (&dead["name"], &dead["depth"]),
        (&json!(DEAD_LETTERS), &json!(4))
    );
    for unknown in [
        "oldest_age_s",
        "drain_per_min",
        "arrival_per_min",
        "seconds_to_empty",
    ] {
        assert_eq!(orders[unknown], Value::Null, "{unknown}");
    }
    assert_eq!(
        (&orders["oldest_source"], &dead["oldest_source"]),
        (&json!("unknown"), &json!("unknown"))
    );
    assert_eq!(
        (&queues["workers_known"], &queues["maintenance"]),
        (&json!("none"), &Value::Null)
    );

    let processing = json!({
        "maintenance": {"processing": "running", "reason": null, "until": null, "changed_by": null, "changed_at": null},
        "workers": [{
            "instance": "w", "reported_at": "2026-11-24T12:00:00Z", "processing": "running",
            "breakers": [{"dependency": "postgres", "why": "refused", "since": "2026-11-24T11:59:00Z", "probes": 3}],
            "in_hand": 2, "settled_per_min": 6, "oldest_age_s": 42, "last_poll_age_s": 1
        }],
        "all_workers": true
    });
    peer.say("/internal/ops/processing", Canned::json(&processing));
    get(&gateway, LETTERS).await;
    let queues = get(&gateway, "/v1/ops/queues").await;
    let (orders, dead) = (&queues["queues"][0], &queues["queues"][1]);
    assert_eq!(
        (&orders["oldest_age_s"], &orders["drain_per_min"]),
        (&json!(42), &json!(6))
    );
    assert_eq!(dead["oldest_source"], "last_look");
    assert_eq!(queues["workers"][0]["breakers"][0]["probes"], 3);
}

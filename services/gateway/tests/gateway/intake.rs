//! `POST /v1/orders`: what 202 promises.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steelyard_domain::command::{Command, CommandMessage};
use steelyard_gateway::{Limits, Rate};
use steelyard_queue::testing::{Call, Faults};
use steelyard_queue::{ReceiveRequest, SqsConfig, SqsTransport, Transport};

use crate::support::{Gateway, PATIENCE, QUEUE, Setting, order, problem};

#[tokio::test]
async fn an_order_is_accepted_with_everything_but_the_queue_down() {
    // No Redis, no catalog, no orders service: see `Setting::default`.
    let gateway = Gateway::start().await;
    let answer = gateway.place("536365", &order()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let receipt: Value = answer.json().await.unwrap();
    assert_eq!(
        location,
        format!("/v1/orders/{}", receipt["id"].as_str().unwrap())
    );
    insta::assert_json_snapshot!(receipt, { ".accepted_at" => "[time]" });

    let commands = gateway.commands();
    assert_eq!(commands.len(), 1);
    assert_eq!(
        commands[0].order_id.to_string(),
        receipt["id"].as_str().unwrap()
    );
    assert_eq!(commands[0].requested_by, "shop");
    let Command::Place(placed) = &commands[0].command else {
        panic!("not a place command")
    };
    assert_eq!(placed.lines.len(), 2);
    assert!(!placed.prices_authoritative);
    let held = gateway.queue.held(QUEUE);
    assert_eq!(held[0].message.group_id.as_deref(), Some("17850"));
    assert!(held[0].message.attributes.contains_key("traceparent"));
}

#[tokio::test]
async fn the_same_key_is_the_same_order_and_another_body_is_told_apart() {
    let gateway = Gateway::start().await;
    let mut ids = Vec::new();
    let mut other = order();
    other["lines"][0]["quantity"] = json!(7);
    for body in [&order(), &order(), &other] {
        let answer = gateway.place("536365", body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let receipt: Value = answer.json().await.unwrap();
        ids.push(receipt["id"].clone());
    }
    assert!(ids.iter().all(|id| *id == ids[0]));
    // The retry was swallowed by the queue; the conflict reaches the worker.
    let commands = gateway.commands();
    assert_eq!(commands.len(), 2);
    assert_eq!(commands[0].message_id, commands[1].message_id);
    assert_ne!(commands[0].fingerprint, commands[1].fingerprint);

    let mut elsewhere = order();
    elsewhere["customer_id"] = json!("13047");
    let answer = gateway.place("536365", &elsewhere).send().await.unwrap();
    let receipt: Value = answer.json().await.unwrap();
    assert_ne!(
        receipt["id"], ids[0],
        "keys of two customers have nothing to do with each other"
    );
}

#[tokio::test]
async fn without_the_queue_nothing_is_accepted_and_afterwards_the_retry_is() {
    let gateway = Gateway::start().await;
    gateway.ready().await;
    gateway.queue.set_outage(true);
    let answer = gateway.place("k", &order()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(problem(answer).await["code"], "queue_unavailable");
    gateway.queue.set_outage(false);
    let answer = gateway.place("k", &order()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(gateway.commands().len(), 1);
}

#[tokio::test]
async fn the_gateway_starts_without_its_queue_and_is_ready_once_that_is_there() {
    let gateway = Setting {
        queues: Vec::new(),
        ..Setting::default()
    }
    .start()
    .await;
    let ready = gateway
        .http
        .get(format!("{}/readyz", gateway.admin))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let alive = gateway
        .http
        .get(format!("{}/healthz", gateway.admin))
        .send()
        .await
        .unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
    let answer = gateway.place("k", &order()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    gateway.queue.add_queue(QUEUE);
    steelyard_testkit::wait_for("an order is accepted", PATIENCE, async || {
        let answer = gateway.place("k", &order()).send().await.unwrap();
        answer.status() == StatusCode::ACCEPTED
    })
    .await;
    gateway.ready().await;
}

#[tokio::test]
async fn every_202_of_many_at_once_is_in_the_queue_though_the_queue_misbehaves() {
    let setting = Setting {
        send_timeout: Duration::from_secs(10),
        ..Setting::default()
    };
    let gateway = setting.start().await;
    let faults = Faults {
        call_fails: 10,
        answer_lost: 10,
        entry_fails: 20,
        ..Faults::default()
    };
    gateway.queue.set_faults(faults);
    let mut answers = Vec::new();
    for n in 0..200 {
        let mut body = order();
        body["customer_id"] = json!(format!("c{}", n % 23));
        answers.push(tokio::spawn(gateway.place(&format!("k{n}"), &body).send()));
    }
    let mut accepted = 0;
    for answer in answers {
        let answer = answer.await.unwrap().unwrap();
        if answer.status() == StatusCode::ACCEPTED {
            let receipt: Value = answer.json().await.unwrap();
            let id = receipt["id"].as_str().unwrap().to_owned();
            let held = gateway.commands();
            assert!(
                held.iter()
                    .any(|command| command.order_id.to_string() == id),
                "{id} is lost"
            );
            accepted += 1;
        }
    }
    assert!(accepted > 150, "{accepted}");
    let calls = gateway.queue.calls();
    let sends = calls
        .iter()
        .filter(|(_, call)| matches!(call, Call::Send(_)))
        .count();
    assert!(
        sends < 200,
        "{sends} calls for 200 orders: they were not gathered"
    );
}

#[tokio::test]
async fn a_customer_orders_for_itself_and_names_nobody_else() {
    let gateway = Gateway::start().await;
    let place = |body: &Value| {
        gateway
            .by("alice", "customer", Method::POST, "/v1/orders")
            .header("idempotency-key", "k")
            .json(body)
            .send()
    };
    let mut body = order();
    body.as_object_mut().unwrap().remove("customer_id");
    let answer = place(&body).await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let receipt: Value = answer.json().await.unwrap();
    assert_eq!(receipt["customer_id"], "alice");

    let answer = place(&order()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let body = problem(answer).await;
    assert_eq!(
        (&body["code"], &body["errors"][0]["pointer"]),
        (&json!("other_customer"), &json!("/customer_id"))
    );
    assert_eq!(gateway.commands().len(), 1);
}

#[tokio::test]
async fn prices_and_times_stand_only_with_the_scope_for_it() {
    let gateway = Gateway::start().await;
    let mut body = order();
    body["placed_at"] = json!("2010-12-01T08:26:00Z");
    body["lines"][0]["name"] = json!("POSTAGE");
    let refused = problem(gateway.place("k", &body).send().await.unwrap()).await;
    let places: Vec<_> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["pointer"])
        .collect();
    assert_eq!(places, ["/placed_at", "/lines/0/name"]);

    let import = gateway.by(
        "import",
        "storefront orders:price",
        Method::POST,
        "/v1/orders",
    );
    let answer = import
        .header("idempotency-key", "k")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let Command::Place(placed) = &gateway.commands()[0].command else {
        panic!("no order")
    };
    assert!(placed.prices_authoritative && placed.placed_at.is_some());
}

#[tokio::test]
async fn a_client_over_its_rate_is_told_when_to_come_back() {
    let limits = Limits {
        rate: Some(Rate { per_s: 1, burst: 2 }),
        ..Limits::default()
    };
    let gateway = Setting {
        limits,
        ..Setting::default()
    }
    .start()
    .await;
    for _ in 0..2 {
        let answer = gateway.place("k", &order()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
    let answer = gateway.place("k", &order()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(problem(answer).await["code"], "too_many_requests");
    let other = gateway
        .by("alice", "customer", Method::GET, "/v1/orders/x")
        .send()
        .await
        .unwrap();
    assert_eq!(
        other.status(),
        StatusCode::NOT_FOUND,
        "another client is not touched"
    );
}

#[tokio::test]
async fn a_stop_answers_what_is_in_hand_and_ends() {
    let mut gateway = Gateway::start().await;
    gateway.ready().await;
    let latency_max = Duration::from_millis(100);
    gateway.queue.set_faults(Faults {
        latency_max,
        ..Faults::default()
    });
    let mut answers = Vec::new();
    for n in 0..20 {
        answers.push(tokio::spawn(
            gateway.place(&format!("k{n}"), &order()).send(),
        ));
    }
    steelyard_testkit::wait_for("some are under way", PATIENCE, async || {
        gateway.queue.len(QUEUE) > 0
    })
    .await;
    gateway.stop.cancel();
    for answer in answers {
        // Refused connections are fine; a 202 must be true.
        if let Ok(answer) = answer.await.unwrap()
            && answer.status() == StatusCode::ACCEPTED
        {
            let receipt: Value = answer.json().await.unwrap();
            let id = receipt["id"].as_str().unwrap();
            assert!(
                gateway
                    .commands()
                    .iter()
                    .any(|command| command.order_id.to_string() == id)
            );
        }
    }
    let served = gateway.served.take().unwrap();
    tokio::time::timeout(PATIENCE, served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn whatever_validation_lets_through_a_real_sqs_server_takes() {
    let spec = localsqs::QueueSpec::new(QUEUE);
    let config = localsqs::Config {
        queues: vec![spec],
        ..localsqs::Config::default()
    };
    let sqs = steelyard_testkit::sqs_with(config).await;
    let transport = Arc::new(SqsTransport::connect(SqsConfig::local(sqs.url())).await);
    let setting = Setting {
        transport: Some(Arc::clone(&transport) as Arc<dyn Transport>),
        send_timeout: Duration::from_secs(10),
        ..Setting::default()
    };
    let gateway = setting.start().await;
    gateway.ready().await;
    let customers = [
        "17850",
        "two words",
        "Łódź 漢字 😀",
        "sha256:00",
        "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    ];
    for customer in customers {
        let mut body = order();
        body["customer_id"] = json!(customer);
        body["ship_to"]["name"] = json!("\u{fffd}\u{e000}\u{200d}\u{10fffd}\u{d7ff} \\ \" ' <&>");
        let answer = gateway.place("k", &body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{customer}");
    }
    let queue = transport.queue_url(QUEUE).await.unwrap();
    let request = ReceiveRequest {
        messages_max: 10,
        wait: Duration::from_secs(1),
        visibility: Duration::from_secs(30),
        attempt_id: None,
    };
    let received = transport.receive(&queue, request).await.unwrap();
    let mut got: Vec<_> = received
        .iter()
        .map(|message| {
            CommandMessage::decode(&message.body)
                .unwrap()
                .customer_id
                .to_string()
        })
        .collect();
    got.sort();
    let mut expected = customers.map(str::to_owned);
    expected.sort();
    assert_eq!(got, expected);
    assert!(
        received
            .iter()
            .all(|message| message.attributes.contains_key("traceparent"))
    );
}

//! One order, followed.

use reqwest::{Method, StatusCode};
use serde_json::json;
use steelyard_runtime::contract::Service;
use steelyard_runtime::indicators::{self, Indicator};
use steelyard_testkit::{CollectedSpan, wait_for};
use steelyard_tests::PATIENCE;

use super::Shop;
use super::shop::SERVICE_TOKEN;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
/// What nobody may find in a log.
const PRIVATE: [&str; 7] = [
    "Ada Lovelace",
    "St James",
    "SW1Y 4JH",
    "ada@example.org",
    "gift for Charles",
    SERVICE_TOKEN,
    "a secret of the tests",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_request_over_the_queue_to_the_settlement_and_to_the_invoice() {
    let shop = Shop::open().await;
    shop.stock("TEA").await;
    let alice = shop.token("alice", "customer");
    let order_id = place(&shop, &alice).await;

    let mut found = None;
    wait_for("the whole trace has come", PATIENCE, async || {
        found = Way::of(&shop);
        found.is_some()
    })
    .await;
    let way = found.expect("the wait has found it");
    assert_eq!(way.request.parent_id.as_deref(), Some(CALLER));
    assert_eq!(way.request.attributes["http.response.status_code"], "201");
    assert_eq!(way.settle.attributes["order_id"], order_id);
    assert_eq!(way.settle.attributes["subject"], "order.place");
    assert_eq!(way.settle.attributes["outcome"], "done");
    assert_eq!(way.event.attributes["event"], "order.confirmed");
    assert_eq!(way.issue.attributes["order_id"], order_id);
    assert_eq!(way.issue.attributes["outcome"], "done");

    // The set is a trace of its own: it is nobody's child, and linked to all who sent a message of it.
    let linked = way.settle.links.first();
    let (set_trace, set_span) = linked.expect("it is linked to its set");
    assert_ne!(set_trace, TRACE);
    let mut set = None;
    wait_for("the set's span has come", PATIENCE, async || {
        set = shop.collector.span(set_span);
        set.is_some()
    })
    .await;
    let set = set.expect("the wait has found it");
    assert_eq!(set.parent_id, None);
    let sender = (TRACE.to_owned(), way.send.span_id.clone());
    assert!(set.links.contains(&sender), "{set:?}");
    wait_for("the catalog's part of the set", PATIENCE, async || {
        let spans = shop.collector.spans_of(set_trace);
        spans
            .iter()
            .any(|span| span.service == "catalog" && span.name.ends_with("/internal/reservations"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_name_request_trace_and_order_and_nothing_private_whatever_is_logged() {
    let shop = Shop::open().await;
    shop.stock("TEA").await;
    let alice = shop.token("alice", "customer");
    let filter = shop.admin("gateway", "/log-filter");
    let before = place(&shop, &alice).await;
    assert!(shop.lines_of("gateway", TRACE).is_empty(), "it logs info");

    let change = |filter: &'static str| {
        shop.http
            .put(format!("{}?for=10m", shop.admin("gateway", "/log-filter")))
            .body(filter)
    };
    let refused = change("steelyard=loud").send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let changed = change("trace").send().await.expect("an answer");
    assert_eq!(changed.status(), StatusCode::OK);
    let again = place(&shop, &alice).await;
    assert_eq!(again, before);
    wait_for("the gateway logs the request", PATIENCE, async || {
        let lines = shop.lines_of("gateway", TRACE);
        lines.iter().any(|line| line["target"] == "access")
    })
    .await;
    let lines = shop.lines_of("gateway", TRACE);
    let access = lines.iter().find(|line| line["target"] == "access");
    let request = &access.expect("an access line")["spans"][0];
    assert_eq!(request["request_id"], "story-1");
    assert_eq!(request["order_id"], before);

    let back = shop.http.delete(&filter).send().await.expect("an answer");
    let back: serde_json::Value = back.json().await.expect("JSON");
    assert_eq!(back["filter"], "info");

    let password = shop
        .database
        .url
        .split(['/', '@'])
        .find_map(|part| part.split_once(':'));
    let password = password
        .map(|(_, password)| password)
        .filter(|password| password.len() >= 8);
    let private = PRIVATE.into_iter().chain([alice.as_str()]).chain(password);
    for text in private {
        for (service, said) in shop.all_said() {
            let line = said.lines().find(|line| line.contains(text));
            assert_eq!(line, None, "{service} logs {text}");
        }
    }
    assert!(
        shop.said("orders").contains("\"level\":\"TRACE\""),
        "it says all that it has to say"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_indicator_is_there_once_an_order_was_settled_scraped_and_pushed_alike() {
    let shop = Shop::open().await;
    shop.stock("TEA").await;
    let alice = shop.token("alice", "customer");
    place(&shop, &alice).await;
    // These stay away until something goes wrong.
    let rare = [
        indicators::LOCK_WAIT,
        indicators::FENCE_REFUSALS,
        indicators::SEND_FAILURES,
        indicators::EVENTS_REFUSED,
        indicators::CATALOG_RACES,
        indicators::TAP_CLOSED,
    ];
    let services: [&Service; 4] = [
        &steelyard_documents::SERVICE,
        &steelyard_gateway::SERVICE,
        &steelyard_orders::SERVICE,
        &steelyard_catalog::SERVICE,
    ];
    for service in services {
        let declared = (service.needs)().indicators;
        // The catalog has no queue here.
        let is_silent = |one: &Indicator| {
            let of_queues = [indicators::SQS_REQUESTS, indicators::OUTCOMES];
            service.name == "catalog" && of_queues.contains(one)
        };
        let often = declared
            .into_iter()
            .filter(|one| !rare.contains(one) && !is_silent(one));
        for indicator in often {
            let (name, metric) = (service.name, indicator.metric);
            let url = shop.admin(name, "/metrics");
            wait_for(&format!("{name} shows {metric}"), PATIENCE, async || {
                let scraped = shop.http.get(&url).send().await.expect("an answer");
                let scraped = scraped.text().await.expect("a text");
                scraped.contains(&format!("# TYPE {metric} "))
            })
            .await;
            wait_for(&format!("{name} pushes {metric}"), PATIENCE, async || {
                let samples = shop.collector.samples_of(metric);
                samples.iter().any(|sample| {
                    sample.service == name
                        && indicator
                            .by
                            .is_none_or(|label| sample.attributes.contains_key(label))
                })
            })
            .await;
        }
    }
    let accepted = shop.collector.samples_of(indicators::ACCEPTED.metric);
    assert!(
        accepted.iter().any(|sample| sample.value >= 1.0),
        "{accepted:?}"
    );
}

/// Places an order within the story's trace and waits until it is settled; answers its id.
async fn place(shop: &Shop, token: &str) -> String {
    let call = shop
        .call(Method::POST, "/v1/orders", token)
        .header("idempotency-key", "1")
        .header("prefer", "wait=20")
        .header("x-request-id", "story-1")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .json(&json!({
            "customer_id": "alice", "currency": "GBP", "email": "ada@example.org",
            "lines": [{"sku": "TEA", "quantity": 2, "unit_price": "1.00"}],
            "ship_to": {"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
                        "postcode": "SW1Y 4JH", "country": "GB"},
            "metadata": {"note": "gift for Charles"},
        }));
    let answer = call.send().await.expect("the gateway answers");
    let traceparent = answer.headers()["traceparent"].to_str().expect("a text");
    assert!(
        traceparent.starts_with(&format!("00-{TRACE}-")),
        "{traceparent}"
    );
    let order: serde_json::Value = answer.json().await.expect("an order");
    assert_eq!(order["status"], "confirmed", "{order}");
    order["id"].as_str().expect("an id").to_owned()
}

/// The spans on an order's way, each a child of the one before.
struct Way {
    request: CollectedSpan,
    send: CollectedSpan,
    settle: CollectedSpan,
    event: CollectedSpan,
    issue: CollectedSpan,
}

impl Way {
    fn of(shop: &Shop) -> Option<Self> {
        let spans = shop.collector.spans_of(TRACE);
        let child = |service: &str, name: &str, parent: &str| {
            let fits = |span: &&CollectedSpan| {
                span.service == service
                    && span.name == name
                    && span.parent_id.as_deref() == Some(parent)
            };
            spans.iter().find(fits).cloned()
        };
        let request = child("gateway", "POST /v1/orders", CALLER)?;
        let send = child("gateway", "send", &request.span_id)?;
        let settle = child("orders", "settle", &send.span_id)?;
        // The event goes to two queues.
        let events = spans.iter().filter(|span| {
            span.service == "orders"
                && span.name == "send"
                && span.parent_id.as_deref() == Some(&settle.span_id)
        });
        let (event, issue) = events
            .filter_map(|event| Some((event.clone(), child("documents", "issue", &event.span_id)?)))
            .next()?;
        Some(Self {
            request,
            send,
            settle,
            event,
            issue,
        })
    }
}

//! What a queue can hold that no gateway sent: set aside with a reason, never an effect, never a crash loop.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod stand;

use serde_json::Value;
use stand::commands::{body_of, cancel, order_id, pay, place, place_of, seal_at};
use stand::{DEAD, Stand, WEBHOOKS, started};
use steelyard_domain::command::{CommandKind, PayOrder};
use steelyard_domain::id::OrderId;
use steelyard_domain::order::OrderStatus;
use steelyard_queue::{OutgoingMessage, Parked, Received};
use time::{Duration, OffsetDateTime};

/// A message as somebody's script would send it.
fn raw(group: &str, dedup: &str, body: impl Into<String>) -> OutgoingMessage {
    OutgoingMessage::fifo(group, dedup, body)
}

/// Sends the messages and one good order of each customer behind them; gives the dead letters once
/// those are settled.
async fn parked(stand: &Stand, bad: Vec<OutgoingMessage>, customers: &[&str]) -> Vec<Received> {
    let count = bad.len();
    for message in bad {
        // Each by itself: together they can be more than a batch may hold.
        stand.send_raw(vec![message]).await;
    }
    for customer in customers {
        stand.send(&[place(customer, "good")]).await;
    }
    for customer in customers {
        let order = stand.settled(order_id(customer, "good")).await;
        assert_eq!(order.status, OrderStatus::Confirmed);
        assert_eq!(order.sequence, 1, "something else had an effect");
    }
    stand.drained().await;
    let dead = stand.receive(DEAD, count).await;
    stand.receive(WEBHOOKS, customers.len()).await;
    let good = i64::try_from(customers.len()).unwrap();
    for (rows, expected) in [
        ("SELECT count(*) FROM orders", good),
        ("SELECT count(*) FROM inbox", good),
        ("SELECT count(*) FROM tombstones", 0),
        ("SELECT count(*) FROM ignored", 0),
    ] {
        assert_eq!(stand.number(rows).await, expected, "{rows}");
    }
    dead
}

fn reason(letter: &Received) -> String {
    let parked = Parked::from_attributes(&letter.attributes).unwrap();
    // Found out at the first look: no crash loop, no retries.
    assert_eq!(parked.receive_count, 1, "{}", parked.reason);
    parked.reason
}

/// The letter with this body says this.
fn says(dead: &[Received], body: &str, words: &str) {
    let letter = dead.iter().find(|letter| letter.body == body);
    let reason = reason(letter.unwrap());
    assert!(reason.contains(words), "{reason}");
}

#[tokio::test]
async fn what_is_not_an_order_command_is_parked_with_its_reason() {
    let stand = started().await;
    let sealed = place("a", "1").body;
    let unknown_version = sealed.replace("\"v\":2", "\"v\":7");
    let unknown_kind = sealed.replace("order.place", "order.destroy");
    let deep = "[".repeat(200_000);
    let bodies = [
        ("not JSON", "not an order command"),
        ("null", "not an order command"),
        ("{\"v\":2}", "not an order command"),
        (deep.as_str(), "not an order command"),
        (unknown_version.as_str(), "version 7 is not known"),
        (unknown_kind.as_str(), "unknown variant"),
    ];
    let bad = bodies.iter().enumerate();
    let bad = bad.map(|(n, (body, _))| raw("a", &n.to_string(), *body));
    let dead = parked(&stand, bad.collect(), &["a"]).await;
    for (body, words) in bodies {
        says(&dead, body, words);
    }
}

#[tokio::test]
async fn a_message_of_one_mebibyte_is_parked_whole() {
    let stand = started().await;
    let largest = "x".repeat(1 << 20);
    // Room for a reason, and nothing else wrong but its length and what it is.
    let roomy = format!("{{\"v\":2,\"junk\":\"{}\"}}", "y".repeat((1 << 20) - 4_096));
    let bad = vec![raw("a", "1", &largest), raw("a", "2", &roomy)];
    let dead = parked(&stand, bad, &["a"]).await;
    // Not a byte of room for the reason: the log has it.
    let whole = dead.iter().find(|letter| letter.body == largest).unwrap();
    assert!(Parked::from_attributes(&whole.attributes).is_none());
    says(&dead, &roomy, "not an order command");
}

#[tokio::test]
async fn a_group_that_is_no_customers_or_another_customers_is_parked() {
    let stand = started().await;
    let sealed = place("a", "1").body;
    // In a stranger's group it could overtake its own customer's commands.
    let bad = vec![
        raw("b", "1", &sealed),
        raw("!no-customer!", "2", &sealed),
        raw("sha256:00", "3", cancel("a", order_id("a", "1"), "c").body),
    ];
    let bodies: Vec<String> = bad.iter().map(|message| message.body.clone()).collect();
    let dead = parked(&stand, bad, &["a", "b"]).await;
    for body in bodies {
        says(&dead, &body, "its customer's is \"a\"");
    }
}

/// One that nobody derived: UUIDv4.
fn random_id() -> OrderId {
    "9c858901-8a57-4791-81fe-4c455b099bc9".parse().unwrap()
}

#[tokio::test]
async fn a_forged_order_id_is_parked_and_takes_nobodys_place() {
    let stand = started().await;
    let body = body_of("mallory", &[("holder", 6, "2.55")]);
    let forge = |order_id, key: &str| {
        let now = OffsetDateTime::now_utc();
        seal_at(now, "mallory", order_id, key, CommandKind::Place, &body)
    };
    // The id that alice's next order will have, under a message id that fits it …
    let squatted = forge(order_id("alice", "good"), "k");
    // … and one from a hat.
    let random = forge(random_id(), "k");
    // The message of one order with the id of another in it.
    let own = order_id("mallory", "1").to_string();
    let moved = place("mallory", "1").body;
    let moved = moved.replace(&own, &order_id("mallory", "2").to_string());
    let payment = pay("mallory", order_id("mallory", "good"), "p").body;
    let payment = payment.replace(
        &order_id("mallory", "good").to_string(),
        &order_id("alice", "good").to_string(),
    );
    let bad = vec![
        raw("mallory", "1", &squatted.body),
        raw("mallory", "2", &random.body),
        raw("mallory", "3", &moved),
        raw("mallory", "4", &payment),
    ];
    let dead = parked(&stand, bad, &["mallory", "alice"]).await;
    says(&dead, &squatted.body, "customer gets under this key");
    says(&dead, &random.body, "is no order id");
    says(&dead, &moved, "does not belong to this order");
    says(&dead, &payment, "does not belong to this order");
    assert_eq!(stand.catalog.stock(random_id()), None, "no stock is held");
}

#[tokio::test]
async fn a_message_of_last_year_is_a_duplicate_if_it_had_its_effect_and_parked_if_not() {
    let stand = started().await;
    let last_year = OffsetDateTime::now_utc() - Duration::days(365);
    let body = body_of("a", &[("holder", 6, "2.55")]);
    let placed = |key: &str, at| {
        let id = order_id("a", key);
        seal_at(at, "a", id, key, CommandKind::Place, &body)
    };
    // Took effect in its time: last year's message with the same id comes out of some archive.
    stand.send(&[place_of("a", "1", &body)]).await;
    let before = stand.settled(order_id("a", "1")).await;
    stand.receive(WEBHOOKS, 1).await;
    stand
        .send_raw(vec![raw("a", "replay", placed("1", last_year).body)])
        .await;
    stand.drained().await;
    assert_eq!(stand.find(order_id("a", "1")).await, Some(before));
    assert_eq!(stand.depths(DEAD).await, (0, 0), "a duplicate is done");
    assert_eq!(stand.depths(WEBHOOKS).await, (0, 0));

    // Never seen: nobody waits for it any more.
    let never = placed("2", last_year);
    let pay = PayOrder {
        payment_reference: None,
    };
    let id = order_id("a", "1");
    let paid = seal_at(last_year, "a", id, "p", CommandKind::Pay, &pay);
    stand.send(&[never, paid]).await;
    stand.drained().await;
    let dead = stand.receive(DEAD, 2).await;
    for letter in &dead {
        assert!(reason(letter).contains("a replay"), "{}", reason(letter));
    }
    assert!(stand.find(order_id("a", "2")).await.is_none());
    assert_eq!(stand.catalog.stock(order_id("a", "2")), None);
    assert_eq!(stand.number("SELECT count(*) FROM inbox").await, 1);
    // What waited out an outage as long as queues keep messages is none.
    let late = OffsetDateTime::now_utc() - Duration::days(28);
    stand.send(&[placed("3", late)]).await;
    assert_eq!(stand.settled(order_id("a", "3")).await.sequence, 2);
}

#[tokio::test]
async fn what_the_gateway_never_lets_through_is_parked() {
    let stand = started().await;
    let sealed = place("a", "1").body;
    let mut envelope: Value = serde_json::from_str(&sealed).unwrap();
    envelope["payload"]["lines"][0]["quantity"] = (-6).into();
    let mut negative = body_of("a", &[("holder", 1, "2.55")]);
    negative.lines[0].quantity = -6;
    let negative = place_of("a", "2", &negative).body;
    let tampered = envelope.to_string();
    let bad = vec![raw("a", "1", &tampered), raw("a", "2", &negative)];
    let dead = parked(&stand, bad, &["a"]).await;
    says(&dead, &tampered, "fingerprint");
    says(&dead, &negative, "not an order that the gateway takes");
}

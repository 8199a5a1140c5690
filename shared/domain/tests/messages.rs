//! Every message that was ever written can still be read, and what is written today is pinned.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;

use steelyard_domain::command::{
    CancelOrder, Command, CommandFrame, CommandKind, CommandMessage, DecodeError, OutgoingCommand,
    PayOrder, ReturnOrder, ShipOrder, VERSION,
};
use steelyard_domain::id::{CustomerId, IdempotencyKey, OrderId};
use steelyard_domain::order::place::{PlaceOrderBody, PlaceRights};
use steelyard_domain::order::{PlaceOrder, Reason};
use time::macros::datetime;

fn fixtures() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    found.sort();
    found
}

fn order() -> PlaceOrder {
    let body: PlaceOrderBody = serde_json::from_str(
        r#"{"customer_id":"17850","currency":"GBP","reference":"536365","placed_at":"2010-12-01T08:26:00Z",
            "lines":[{"sku":"85123A","quantity":6,"unit_price":"2.55","name":"WHITE HANGING HEART T-LIGHT HOLDER"}],
            "ship_to":{"name":"A. Buyer","line1":"1 High Street","city":"London","postcode":"N1 1AA","country":"GB"},
            "email":"a@example.com","payment":{"method":"invoice"},"metadata":{"channel":"web"}}"#,
    )
    .unwrap();
    body.check("17850".parse().unwrap(), PlaceRights { may_price: true })
        .unwrap()
}

fn seal(kind: CommandKind) -> OutgoingCommand {
    let customer: CustomerId = "17850".parse().unwrap();
    let key: IdempotencyKey = "536365".parse().unwrap();
    let frame = CommandFrame {
        order_id: OrderId::derive("https://id.example", &customer, &key),
        customer_id: &customer,
        key: &key,
        accepted_at: datetime!(2026-11-22 10:00:00.123456 UTC),
        requested_by: "shop",
    };
    match kind {
        CommandKind::Place => frame.seal(kind, &order()),
        CommandKind::Cancel => frame.seal(
            kind,
            &CancelOrder {
                reason: Reason::CustomerRequest,
                note: Some("too late".into()),
            },
        ),
        CommandKind::Pay => frame.seal(
            kind,
            &PayOrder {
                payment_reference: Some("pi_1".into()),
            },
        ),
        CommandKind::Ship => frame.seal(
            kind,
            &ShipOrder {
                tracking_number: Some("GB1".into()),
            },
        ),
        CommandKind::Return => frame.seal(
            kind,
            &ReturnOrder {
                restock: true,
                note: None,
            },
        ),
    }
    .unwrap()
}

#[test]
fn every_message_ever_written_can_still_be_read() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= CommandKind::ALL.len());
    for (name, body) in fixtures {
        let message = CommandMessage::decode(body.trim_end())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(name.starts_with(message.command.kind().as_str()), "{name}");
    }
}

#[test]
fn what_is_written_today_is_the_newest_fixture() {
    for kind in CommandKind::ALL {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/fixtures/{}.v{VERSION}.json", kind.as_str()));
        let sealed = seal(kind).body;
        assert_eq!(
            sealed,
            fs::read_to_string(&path).unwrap().trim_end(),
            "a changed message needs a new version and fixture"
        );
    }
}

#[test]
fn an_order_comes_out_as_it_went_in() {
    let message = CommandMessage::decode(&seal(CommandKind::Place).body).unwrap();
    assert_eq!(message.command, Command::Place(Box::new(order())));
    assert_eq!(
        message.accepted_at,
        datetime!(2026-11-22 10:00:00.123456 UTC)
    );
}

#[test]
fn a_message_that_was_tampered_with_is_told_apart() {
    let body = seal(CommandKind::Place).body;
    let richer = body.replace("\"quantity\":6", "\"quantity\":7");
    assert!(matches!(
        CommandMessage::decode(&richer),
        Err(DecodeError::Fingerprint)
    ));
    for other in [0, VERSION + 1] {
        let version = body.replace(&format!("\"v\":{VERSION}"), &format!("\"v\":{other}"));
        assert!(matches!(
            CommandMessage::decode(&version),
            Err(DecodeError::Version(version)) if version == other
        ));
    }
    let stolen = body.replacen("\"customer_id\":\"17850\"", "\"customer_id\":\"17851\"", 1);
    assert!(matches!(
        CommandMessage::decode(&stolen),
        Err(DecodeError::Customer)
    ));
    for junk in ["", "{}", "null", "\u{0}", "[1,2", &"[".repeat(100_000)] {
        assert!(matches!(
            CommandMessage::decode(junk),
            Err(DecodeError::Json(_))
        ));
    }
}

#[test]
fn ids_that_were_made_up_or_moved_are_told_apart() {
    let sealed = seal(CommandKind::Cancel).body;
    let customer = "17850".parse().unwrap();
    let own = OrderId::derive("https://id.example", &customer, &"536365".parse().unwrap());
    let other = OrderId::derive("https://id.example", &customer, &"536366".parse().unwrap());
    let with_order = |id: &str| CommandMessage::decode(&sealed.replace(&own.to_string(), id));
    assert!(matches!(
        with_order(&other.to_string()),
        Err(DecodeError::MessageId)
    ));
    assert!(matches!(
        with_order("48a71472-6ff7-46fa-a142-539a97e9c2cb"),
        Err(DecodeError::OrderId(_))
    ));
    let keyless = sealed.replace("\"idempotency_key\":\"536365\",", "");
    assert!(matches!(
        CommandMessage::decode(&keyless),
        Err(DecodeError::KeyMissing)
    ));
    let placed = CommandMessage::decode(&seal(CommandKind::Place).body).unwrap();
    assert!(placed.is_order_of("https://id.example"));
    assert!(!placed.is_order_of("https://other.example"));
}

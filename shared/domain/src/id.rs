//! Ids. Order and command ids are *derived*, so a retry finds the same id with no store consulted
//! (promise P2); customer ids, SKUs and idempotency keys are checked when they are made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::fault::Invalid;
use crate::text;

/// Hashes parts so that no two different lists of parts read alike: each is preceded by its
/// length.
fn digest(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn uuid_v8(digest: &[u8; 32]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                // Only the hyphenated form: one id has one spelling, in URLs, keys and logs.
                if text.len() != 36 {
                    return Err(Invalid::new("invalid_id", "must be a UUID such as 018f4d2e-…"));
                }
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| Invalid::new("invalid_id", "must be a UUID such as 018f4d2e-…"))
            }
        }
    };
}

uuid_id! {
    /// An order: UUIDv8 (RFC 9562) from SHA-256 over issuer, customer and idempotency key.
    OrderId
}

uuid_id! {
    /// One command about an order (place, cancel, pay, …), the unit of "once": two requests with
    /// the same idempotency key are the same command. It is the `message_id` on the queue and the
    /// key of the inbox.
    CommandId
}

impl OrderId {
    /// The id of the order that `customer` of `issuer` placed under `key`.
    #[must_use]
    pub fn derive(issuer: &str, customer: &CustomerId, key: &IdempotencyKey) -> Self {
        let parts = [
            issuer.as_bytes(),
            customer.as_str().as_bytes(),
            key.as_str().as_bytes(),
        ];
        Self(uuid_v8(&digest("steelyard/order/1", &parts)))
    }
}

impl CommandId {
    /// The id of the command of `kind` (`order.cancel`, …) about `order` under `key`.
    #[must_use]
    pub fn derive(order: OrderId, kind: &str, key: &IdempotencyKey) -> Self {
        let parts = [
            order.0.as_bytes().as_slice(),
            kind.as_bytes(),
            key.as_str().as_bytes(),
        ];
        Self(uuid_v8(&digest("steelyard/command/1", &parts)))
    }
}

/// SHA-256 of what a command asks for, so that the same key with another body is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a command's payload as it is serialized.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        Self(Sha256::digest(payload).into())
    }

    /// `MessageDeduplicationId` for a command: the same command with the same body, and nothing
    /// else, is a duplicate to SQS. Were the body left out, SQS would answer a conflicting request
    /// with success and never deliver it (Amazon SQS developer guide, "Using the message
    /// deduplication ID").
    #[must_use]
    pub fn deduplication_id(&self, command: CommandId) -> String {
        hex::encode(digest(
            "steelyard/dedup/1",
            &[command.0.as_bytes(), &self.0],
        ))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.as_bytes(), &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                let check: fn(&str) -> Result<(), Invalid> = $check;
                check(&text)?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A customer as the token's `sub` or a storefront names them: 1–128 characters.
    CustomerId, |text| trimmed_line(text, 128)
}

text_id! {
    /// A stock-keeping unit: 1–64 characters, case counts.
    Sku, |text| trimmed_line(text, 64)
}

text_id! {
    /// The `Idempotency-Key` header: 1–255 printable ASCII characters
    /// (draft-ietf-httpapi-idempotency-key-header; the length is ours).
    IdempotencyKey, |text| {
        if text.is_empty() {
            return Err(Invalid::new("required", "must not be empty"));
        }
        if text.len() > 255 {
            return Err(Invalid::new("too_long", "must have at most 255 characters"));
        }
        if !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(Invalid::new("invalid_character", "only printable ASCII is allowed"));
        }
        Ok(())
    }
}

/// A line that reads the same when somebody trims it: `"a"` and `"a "` must not be two customers.
fn trimmed_line(text: &str, chars_max: usize) -> Result<(), Invalid> {
    text::line(text, chars_max)?;
    if text.trim().len() != text.len() {
        return Err(Invalid::new(
            "untrimmed",
            "must not begin or end with white space",
        ));
    }
    Ok(())
}

impl CustomerId {
    /// `MessageGroupId` for this customer's commands.
    ///
    /// SQS takes up to 128 alphanumeric and ASCII punctuation characters; a customer with others
    /// (or one that looks like our own hash) is hashed, so that two customers never share a group.
    #[must_use]
    pub fn message_group_id(&self) -> String {
        const HASHED: &str = "sha256:";
        let plain = self.0.len() <= 128
            && !self.0.starts_with(HASHED)
            && self.0.bytes().all(|b| b.is_ascii_graphic());
        if plain {
            self.0.clone()
        } else {
            format!(
                "{HASHED}{}",
                hex::encode(digest("steelyard/group/1", &[self.0.as_bytes()]))
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CommandId, CustomerId, Fingerprint, IdempotencyKey, OrderId, Sku};

    fn customer(text: &str) -> CustomerId {
        text.parse().expect("a customer id")
    }

    fn key(text: &str) -> IdempotencyKey {
        text.parse().expect("a key")
    }

    #[test]
    fn the_same_key_of_the_same_customer_is_the_same_order_for_ever() {
        let id = OrderId::derive("https://id.example", &customer("17850"), &key("536365"));
        // Pinned: a change here would make retries of yesterday's orders new orders.
        assert_eq!(id.to_string(), "48a71472-6ff7-86fa-a142-539a97e9c2cb");
        assert_eq!(id.0.get_version_num(), 8);
    }

    #[test]
    fn parts_cannot_be_shifted_from_one_field_into_another() {
        let a = OrderId::derive("i", &customer("ab"), &key("c"));
        let b = OrderId::derive("i", &customer("a"), &key("bc"));
        let c = OrderId::derive("ia", &customer("b"), &key("c"));
        assert!(a != b && a != c && b != c);
    }

    #[test]
    fn another_body_under_the_same_key_has_another_deduplication_id() {
        let order = OrderId::derive("i", &customer("a"), &key("k"));
        let command = CommandId::derive(order, "order.place", &key("k"));
        let one = Fingerprint::of(b"{}").deduplication_id(command);
        assert_ne!(one, Fingerprint::of(b"[]").deduplication_id(command));
        assert_eq!(one.len(), 64);
        assert_ne!(command, CommandId::derive(order, "order.cancel", &key("k")));
    }

    #[test]
    fn a_customer_that_sqs_would_refuse_as_group_is_hashed() {
        assert_eq!(customer("guest-536365").message_group_id(), "guest-536365");
        for odd in ["two words", "Łódź", "sha256:00"] {
            let group = customer(odd).message_group_id();
            assert!(group.starts_with("sha256:") && group.len() == 71, "{group}");
        }
        assert!("a ".parse::<CustomerId>().is_err());
        assert!("BANK CHARGES".parse::<Sku>().is_ok());
        assert!("x".repeat(256).parse::<IdempotencyKey>().is_err());
    }

    #[test]
    fn an_id_has_one_spelling() {
        assert!(
            "48A714726FF786FAA142539A97E9C2CB"
                .parse::<OrderId>()
                .is_err()
        );
        assert!(
            "{48a71472-6ff7-86fa-a142-539a97e9c2cb}"
                .parse::<OrderId>()
                .is_err()
        );
    }
}

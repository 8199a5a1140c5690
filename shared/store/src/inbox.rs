//! Which messages were seen before: the "once" of promise P2.
//!
//! [`record`] runs in the transaction of the messages' effects, so that a message is marked as seen
//! exactly when its effect is there.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

/// The table, for a service's migrations: `inbox`, one row per message, kept for ever.
pub const DDL: &str = include_str!("../sql/inbox.sql");

/// A message by its id and the SHA-256 of what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The same for every delivery and every retry.
    pub id: Uuid,
    /// Tells requests apart that share an id.
    pub fingerprint: [u8; 32],
}

/// What the inbox knew of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: its effect is the caller's to make, in the same transaction.
    New,
    /// It took effect before.
    Duplicate,
    /// Another request took effect under this id.
    Conflict,
}

/// Marks `messages` as seen, in one statement while all are new and in two otherwise; one answer
/// per message, in their order. Of messages that share an id in one call, the first is the new one.
///
/// Another transaction that records the same id is waited for: if it commits, the message is no
/// longer new here.
///
/// # Errors
/// Those of Postgres; the caller's transaction is to be rolled back.
pub async fn record(
    connection: &mut PgConnection,
    messages: &[Message],
) -> Result<Vec<Seen>, sqlx::Error> {
    let mut first: HashMap<Uuid, [u8; 32]> = HashMap::with_capacity(messages.len());
    for message in messages {
        first.entry(message.id).or_insert(message.fingerprint);
    }
    // Sorted, so that two calls with the same ids never wait for each other in a circle.
    let mut ids: Vec<Uuid> = first.keys().copied().collect();
    ids.sort_unstable();
    let fingerprints: Vec<&[u8]> = ids.iter().map(|id| first[id].as_slice()).collect();
    let inserted: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO inbox (message_id, fingerprint)
         SELECT * FROM unnest($1::uuid[], $2::bytea[])
         ON CONFLICT (message_id) DO NOTHING
         RETURNING message_id",
    )
    .bind(&ids)
    .bind(&fingerprints)
    .fetch_all(&mut *connection)
    .await?;

    let mut fresh: HashMap<Uuid, bool> = inserted.into_iter().map(|id| (id, true)).collect();
    ids.retain(|id| !fresh.contains_key(id));
    if !ids.is_empty() {
        let known: Vec<(Uuid, Vec<u8>)> =
            sqlx::query_as("SELECT message_id, fingerprint FROM inbox WHERE message_id = ANY($1)")
                .bind(&ids)
                .fetch_all(&mut *connection)
                .await?;
        for (id, stored) in known {
            let stored = <[u8; 32]>::try_from(stored)
                .map_err(|_| sqlx::Error::Decode("a fingerprint is not 32 bytes long".into()))?;
            first.insert(id, stored);
        }
    }
    let seen = messages.iter().map(|message| {
        if fresh.get_mut(&message.id).is_some_and(std::mem::take) {
            Seen::New
        } else if first.get(&message.id) == Some(&message.fingerprint) {
            Seen::Duplicate
        } else {
            Seen::Conflict
        }
    });
    Ok(seen.collect())
}

//! A message in a dead-letter queue, and the message that a redrive makes of it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::consumer::{PARKED, Parked};
use crate::message::{AttributeValue, Attributes, MESSAGE_BYTES_MAX, OutgoingMessage, Received};

/// Name of the message attribute that holds a [`Redriven`] as JSON.
pub const REDRIVEN: &str = "redriven";

/// Earlier parkings that a message carries along: its first one and the latest.
const HISTORY_MAX: usize = 4;
const BY_CHARS_MAX: usize = 128;
/// SQS's limit.
const ATTRIBUTES_MAX: usize = 10;

/// What a redrive leaves on a message, as JSON in the attribute [`REDRIVEN`]. It stays on it when the message is
/// parked again, so that a dead letter knows its whole history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// Who did it.
    pub by: String,
    /// When (RFC 3339, UTC).
    pub at: String,
    /// How often it has been redriven, this time included.
    pub times: u32,
    /// The dead letter that it was.
    pub from: String,
    /// How it was parked before, oldest first: the first time, and the latest ones.
    #[serde(default)]
    pub history: Vec<Parked>,
}

/// What to send instead of what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The corrected body.
    pub body: String,
    /// The group that it belongs to.
    pub group_id: Option<String>,
    /// Tells this body from another: part of the deduplication id. At most 64 characters that SQS takes in one.
    pub tag: String,
}

/// A message in a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    received: Received,
    parked: Option<Parked>,
    redriven: Option<Redriven>,
}

impl Letter {
    pub(super) fn new(received: Received) -> Self {
        let redriven = received
            .attributes
            .get(REDRIVEN)
            .and_then(AttributeValue::as_text);
        Self {
            parked: Parked::from_attributes(&received.attributes),
            redriven: redriven.and_then(|json| serde_json::from_str(json).ok()),
            received,
        }
    }

    /// Its id in the dead-letter queue.
    pub fn id(&self) -> &str {
        &self.received.message_id
    }

    /// The message as it is.
    pub fn received(&self) -> &Received {
        &self.received
    }

    /// Why it was parked; `None` for one that SQS's own redrive policy moved, or that left no room to say.
    pub fn parked(&self) -> Option<&Parked> {
        self.parked.as_ref()
    }

    /// The latest redrive that it came back from.
    pub fn redriven(&self) -> Option<&Redriven> {
        self.redriven.as_ref()
    }

    /// Every parking that is known, oldest first; the last is the present one.
    pub fn history(&self) -> impl Iterator<Item = &Parked> {
        let before = self.redriven.iter().flat_map(|before| &before.history);
        before.chain(&self.parked)
    }

    /// Where it stood in its first queue: what a group is put in order by when it goes back.
    fn first_place(&self) -> Option<&str> {
        self.history().next()?.sequence_number.as_deref()
    }

    pub(super) fn group(&self) -> Option<&str> {
        self.received.group_id.as_deref()
    }

    pub(super) fn receipt(&self) -> &str {
        &self.received.receipt_handle
    }

    /// The message for the queue that it came from: the same body, group and attributes, and who redrove it.
    ///
    /// The deduplication id is made of the dead letter's id, which is new each time a message is parked: SQS's five
    /// minutes never swallow a redrive, but they do swallow the repetition of one whose delete failed.
    pub fn into_origin(
        self,
        by: &str,
        now: OffsetDateTime,
        fifo: bool,
        replacement: Option<Replacement>,
    ) -> OutgoingMessage {
        let history = kept(self.history().cloned().collect());
        let redriven = Redriven {
            by: printable(by),
            at: now.format(&Rfc3339).unwrap_or_default(),
            times: self.redriven.as_ref().map_or(0, |before| before.times) + 1,
            from: self.received.message_id.clone(),
            history,
        };
        let Received {
            message_id,
            mut attributes,
            ..
        } = self.received;
        // It is not parked any more; the history says that it was.
        attributes.remove(PARKED);
        let (body, group_id, tag) = match replacement {
            None => (self.received.body, self.received.group_id, None),
            Some(new) => (new.body, new.group_id, Some(new.tag)),
        };
        let dedup_id = match tag {
            None => format!("redrive-{message_id}"),
            Some(tag) => format!("redrive-{message_id}-{tag}"),
        };
        let mut outgoing = OutgoingMessage {
            group_id: group_id.or_else(|| fifo.then_some(message_id)),
            dedup_id: fifo.then_some(dedup_id),
            body,
            attributes,
        };
        note(&mut outgoing, redriven);
        outgoing
    }
}

/// Writes the redrive onto the message, as far as SQS's limits leave room.
fn note(outgoing: &mut OutgoingMessage, mut redriven: Redriven) {
    if outgoing.attributes.len() >= ATTRIBUTES_MAX && !outgoing.attributes.contains_key(REDRIVEN) {
        return;
    }
    loop {
        let Ok(json) = serde_json::to_string(&redriven) else {
            return;
        };
        let json = AttributeValue::text(json);
        outgoing.attributes.insert(REDRIVEN.to_owned(), json);
        if outgoing.size_bytes() <= MESSAGE_BYTES_MAX {
            return;
        }
        outgoing.attributes.remove(REDRIVEN);
        if redriven.history.pop().is_none() {
            return;
        }
    }
}

/// The first parking and the latest ones.
fn kept(mut history: Vec<Parked>) -> Vec<Parked> {
    if history.len() > HISTORY_MAX {
        history.drain(1..=history.len() - HISTORY_MAX);
    }
    history
}

/// Puts one group's letters into the order in which they first stood in their queue, if all of them know it: one that
/// was redriven and parked again has come to stand behind those that were not.
pub(super) fn in_sequence(letters: &mut [Letter]) {
    if letters.iter().all(|letter| letter.first_place().is_some()) {
        letters.sort_by(|a, b| a.first_place().cmp(&b.first_place()));
    }
}

/// Cut to length, without the characters that SQS refuses.
fn printable(text: &str) -> String {
    let allowed = |c: &char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().filter(allowed).take(BY_CHARS_MAX).collect()
}

/// The attributes that are a message's own, without what parking and redriving noted.
pub fn own_attributes(attributes: &Attributes) -> impl Iterator<Item = (&str, &AttributeValue)> {
    attributes
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .filter(|(name, _)| !matches!(*name, PARKED | REDRIVEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(n: usize) -> Parked {
        Parked {
            reason: format!("reason {n}"),
            first_failed_at: String::new(),
            parked_at: String::new(),
            receive_count: 1,
            queue: "orders.fifo".to_owned(),
            message_id: n.to_string(),
            dedup_id: None,
            sequence_number: Some(format!("{n:020}")),
            sent_at_ms: None,
        }
    }

    fn letter(id: &str, parked: &Parked, redriven: Option<&Redriven>) -> Letter {
        let mut attributes = Attributes::new();
        let json = |text: String| AttributeValue::text(text);
        attributes.insert(
            PARKED.to_owned(),
            json(serde_json::to_string(parked).expect("JSON")),
        );
        if let Some(redriven) = redriven {
            let text = serde_json::to_string(redriven).expect("JSON");
            attributes.insert(REDRIVEN.to_owned(), json(text));
        }
        attributes.insert("traceparent".to_owned(), json("00-1".to_owned()));
        Letter::new(Received {
            message_id: id.to_owned(),
            receipt_handle: String::new(),
            body: "body".to_owned(),
            attributes,
            group_id: Some("alice".to_owned()),
            dedup_id: Some("old".to_owned()),
            sequence_number: None,
            receive_count: 1,
            first_received_at_ms: None,
            sent_at_ms: None,
        })
    }

    fn redriven_of(message: &OutgoingMessage) -> Redriven {
        let json = message.attributes[REDRIVEN].as_text().expect("text");
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn a_message_that_is_parked_again_and_again_keeps_its_first_failure_and_the_latest() {
        let mut before = None;
        for n in 1..=9 {
            let letter = letter(&format!("dead-{n}"), &parked(n), before.as_ref());
            let message = letter.into_origin("olga", OffsetDateTime::UNIX_EPOCH, true, None);
            assert_eq!(message.group_id.as_deref(), Some("alice"));
            assert_eq!(message.dedup_id, Some(format!("redrive-dead-{n}")));
            assert_eq!(message.attributes["traceparent"].as_text(), Some("00-1"));
            assert!(!message.attributes.contains_key(PARKED));
            before = Some(redriven_of(&message));
        }
        let before = before.expect("nine redrives");
        assert_eq!((before.times, before.by.as_str()), (9, "olga"));
        let reasons: Vec<&str> = before.history.iter().map(|p| p.reason.as_str()).collect();
        assert_eq!(reasons, ["reason 1", "reason 7", "reason 8", "reason 9"]);
    }

    #[test]
    fn a_letter_that_came_back_goes_before_those_that_first_stood_behind_it() {
        let back = Redriven {
            by: String::new(),
            at: String::new(),
            times: 1,
            from: String::new(),
            history: vec![parked(1)],
        };
        let mut letters = [
            letter("b", &parked(2), None),
            letter("a", &parked(7), Some(&back)),
        ];
        in_sequence(&mut letters);
        assert_eq!(letters.map(|letter| letter.id().to_owned()), ["a", "b"]);
    }

    #[test]
    fn a_message_without_room_for_its_history_is_redriven_all_the_same() {
        let mut letter = letter("x", &parked(1), None);
        letter.received.body = "b".repeat(MESSAGE_BYTES_MAX - 100);
        let message = letter.into_origin("olga", OffsetDateTime::UNIX_EPOCH, true, None);
        assert!(message.size_bytes() <= MESSAGE_BYTES_MAX);
        assert!(!message.attributes.contains_key(REDRIVEN));
    }
}

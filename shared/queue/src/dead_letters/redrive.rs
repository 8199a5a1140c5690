//! Sending held letters back to where they came from.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use time::OffsetDateTime;

use super::hold::Held;
use super::letter::{Letter, Replacement, in_sequence};
use crate::backoff::Backoff;
use crate::producer::Producer;
use crate::transport::EntryError;

/// Groups that are sent back at the same time; a group's letters go one after the other.
const GROUPS_AT_ONCE_MAX: usize = 16;
/// Attempts to delete a letter that was sent.
const DELETES_MAX: u32 = 3;
const DELETE_AGAIN: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));

/// What became of one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedriveOutcome {
    /// It is in its queue again, and no longer here.
    Moved,
    /// It is in its queue again, and still here: it could not be deleted. Redriving it again is harmless.
    Copied(String),
    /// The queue did not acknowledge it in time, or refused it: it is still here, and may be there too.
    Failed(String),
    /// It stands behind one of its group that could not be sent, and must not overtake it.
    Behind,
    /// It was held too long to be sure of it; try again.
    OutOfTime,
}

/// One letter's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The letter's id.
    pub id: String,
    /// What became of it.
    pub outcome: RedriveOutcome,
}

impl Held<'_> {
    /// Sends these letters back through `origin`, the producer of the queue that they came from, and deletes each one
    /// once its message is acknowledged. Groups keep their order. What could not be sent stays held until it is put
    /// back.
    ///
    /// `replace` gives the corrected body of a letter, if it has one.
    pub async fn redrive(
        &mut self,
        ids: &HashSet<String>,
        origin: &Producer,
        by: &str,
        replace: impl Fn(&Letter) -> Option<Replacement> + Sync,
    ) -> Vec<Redrive> {
        let mut wanted = self.take(|letter| ids.contains(letter.id()));
        // Groups come in the order in which each was first seen.
        let mut groups: Vec<Vec<Letter>> = Vec::new();
        while let Some(first) = wanted.first() {
            let group = first.group().map(str::to_owned);
            let (mut same, rest): (Vec<_>, Vec<_>) = match group {
                None => (vec![wanted.remove(0)], wanted),
                Some(group) => wanted
                    .into_iter()
                    .partition(|letter| letter.group() == Some(&group)),
            };
            in_sequence(&mut same);
            groups.push(same);
            wanted = rest;
        }
        let this = &*self;
        let replace = &replace;
        let done: Vec<_> = stream::iter(groups)
            .map(|group| async move { this.redrive_group(group, origin, by, replace).await })
            .buffered(GROUPS_AT_ONCE_MAX)
            .collect()
            .await;
        let mut results = Vec::new();
        for (of_group, left) in done {
            results.extend(of_group);
            self.give_back(left);
        }
        results
    }

    /// Results, and the letters that are still held.
    async fn redrive_group(
        &self,
        letters: Vec<Letter>,
        origin: &Producer,
        by: &str,
        replace: &(impl Fn(&Letter) -> Option<Replacement> + Sync),
    ) -> (Vec<Redrive>, Vec<Letter>) {
        let fifo = origin.queue().ends_with(".fifo");
        let (mut results, mut left) = (Vec::with_capacity(letters.len()), Vec::new());
        let mut is_blocked = false;
        for letter in letters {
            let outcome = if is_blocked {
                RedriveOutcome::Behind
            } else if !self.has_time() {
                RedriveOutcome::OutOfTime
            } else {
                let replacement = replace(&letter);
                let now = OffsetDateTime::now_utc();
                let message = letter.clone().into_origin(by, now, fifo, replacement);
                match origin.send(message).await {
                    Err(error) => RedriveOutcome::Failed(error.to_string()),
                    Ok(_sent) => match self.delete(&letter).await {
                        Ok(()) => RedriveOutcome::Moved,
                        Err(error) => RedriveOutcome::Copied(error),
                    },
                }
            };
            is_blocked |= !matches!(outcome, RedriveOutcome::Moved | RedriveOutcome::Copied(_));
            results.push(Redrive {
                id: letter.id().to_owned(),
                outcome: outcome.clone(),
            });
            if outcome != RedriveOutcome::Moved {
                left.push(letter);
            }
        }
        (results, left)
    }

    async fn delete(&self, letter: &Letter) -> Result<(), String> {
        let desk = self.desk;
        let receipts = [letter.receipt().to_owned()];
        let mut attempt = 0;
        loop {
            attempt += 1;
            let call = async {
                let url = desk.url().await?;
                desk.transport.delete_batch(url, &receipts).await
            };
            let error = match desk.bounded(call).await {
                Ok(mut results) => {
                    match results.pop().unwrap_or_else(|| Err(EntryError::missing())) {
                        Ok(()) => return Ok(()),
                        // No longer ours to delete.
                        Err(error) if error.sender_fault || error.is_lost_lease() => {
                            return Err(error.to_string());
                        }
                        Err(error) => error.to_string(),
                    }
                }
                Err(error) => error.to_string(),
            };
            if attempt >= DELETES_MAX {
                return Err(error);
            }
            tokio::time::sleep(DELETE_AGAIN.jittered(attempt)).await;
        }
    }
}

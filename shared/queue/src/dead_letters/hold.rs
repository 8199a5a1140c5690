//! Holding what is in reach, and putting it back.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::Instant;

use super::DeadLetters;
use super::letter::Letter;
use crate::message::{BATCH_ENTRIES_MAX, Received};
use crate::transport::{ReceiveRequest, TransportError, VisibilityChange};

/// SQS may answer a short poll with nothing although there is something; a long poll asks everywhere.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// Attempts of a call whose answer was lost.
const ATTEMPTS_MAX: u32 = 2;

/// What a look holds. Dropped without [`Held::put_back`], it becomes visible again after its timeout.
pub struct Held<'a> {
    pub(super) desk: &'a DeadLetters,
    letters: Vec<Letter>,
    complete: bool,
    pub(super) until: Instant,
    receives_left: usize,
    _turn: MutexGuard<'a, ()>,
}

impl DeadLetters {
    /// Holds every letter in reach; waits for its turn, as long as it takes.
    ///
    /// # Errors
    /// Those of the queue; what was held by then is put back.
    pub async fn hold(&self) -> Result<Held<'_>, TransportError> {
        let turn = self.turn.lock().await;
        let before = self.depths().await?;
        let mut held = Held {
            desk: self,
            letters: Vec::new(),
            complete: before.in_flight == 0,
            until: Instant::now() + self.options.visibility,
            receives_left: self.options.receives_max,
            _turn: turn,
        };
        match held.fill(before.visible).await {
            Ok(()) => Ok(held),
            Err(error) => {
                held.put_back().await;
                Err(error)
            }
        }
    }
}

impl Held<'_> {
    /// The letters in reach: each group's in order, oldest first.
    pub fn letters(&self) -> &[Letter] {
        &self.letters
    }

    /// Whether these are all there are, as far as SQS's approximate figures tell: no limit was met, no group has
    /// ten or more, and nobody else holds any.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Puts everything that was not redriven back; what fails comes back by itself after its timeout.
    pub async fn put_back(mut self) {
        let letters = std::mem::take(&mut self.letters);
        self.release(&letters).await;
    }

    pub(super) fn take(&mut self, wanted: impl Fn(&Letter) -> bool) -> Vec<Letter> {
        let (taken, kept) = std::mem::take(&mut self.letters)
            .into_iter()
            .partition(wanted);
        self.letters = kept;
        taken
    }

    pub(super) fn give_back(&mut self, letters: Vec<Letter>) {
        self.letters.extend(letters);
    }

    /// Until too little of the timeout is left to be sure that a letter is still held.
    pub(super) fn has_time(&self) -> bool {
        Instant::now() + self.desk.options.visibility / 3 < self.until
    }

    async fn fill(&mut self, expected: u64) -> Result<(), TransportError> {
        let mut cut = VecDeque::new();
        let mut wait = Duration::ZERO;
        loop {
            let brought = self.receive(wait).await?;
            if !brought.is_empty() {
                wait = Duration::ZERO;
                self.keep(brought, &mut cut);
            } else if wait.is_zero() && (self.letters.len() as u64) < expected {
                wait = SECOND_LOOK;
            } else {
                break;
            }
            if !self.may_go_on(1) {
                break;
            }
        }
        self.deepen(cut).await?;
        let mut of_group: HashMap<&str, usize> = HashMap::new();
        for group in self.letters.iter().filter_map(Letter::group) {
            *of_group.entry(group).or_default() += 1;
        }
        if self.is_fifo() && of_group.values().any(|count| *count >= BATCH_ENTRIES_MAX) {
            self.complete = false;
        }
        Ok(())
    }

    /// A group that stood at the end of a full answer may have been cut short, and gives no more while these are held.
    /// They are let go, and received again as the only ones that can be: now up to ten come.
    async fn deepen(&mut self, mut cut: VecDeque<String>) -> Result<(), TransportError> {
        while let Some(group) = cut.pop_front() {
            if !self.may_go_on(2) {
                return Ok(());
            }
            let seen = self.take(|letter| letter.group() == Some(&group));
            if seen.len() < BATCH_ENTRIES_MAX {
                self.release(&seen).await;
                let brought = self.receive(Duration::ZERO).await?;
                self.keep(brought, &mut cut);
                cut.retain(|other| *other != group);
            } else {
                self.give_back(seen);
            }
        }
        Ok(())
    }

    fn may_go_on(&mut self, receives: usize) -> bool {
        let may = self.receives_left >= receives && self.has_time();
        self.complete &= may;
        may
    }

    fn is_fifo(&self) -> bool {
        self.desk.queue.ends_with(".fifo")
    }

    /// Takes what a receive brought. A letter that came twice (its timeout ran out) is held by its latest receipt.
    fn keep(&mut self, brought: Vec<Received>, cut: &mut VecDeque<String>) {
        if brought.len() >= BATCH_ENTRIES_MAX
            && self.is_fifo()
            && let Some(group) = brought.last().and_then(|last| last.group_id.clone())
            && !cut.contains(&group)
        {
            cut.push_back(group);
        }
        for received in brought {
            let letter = Letter::new(received);
            let known = self
                .letters
                .iter_mut()
                .find(|held| held.id() == letter.id());
            match known {
                Some(held) => *held = letter,
                None => self.letters.push(letter),
            }
        }
    }

    async fn receive(&mut self, wait: Duration) -> Result<Vec<Received>, TransportError> {
        self.receives_left = self.receives_left.saturating_sub(1);
        let desk = self.desk;
        // Asked again with the same id, SQS brings the same messages again instead of hiding them.
        let attempt = format!("{:032x}", rand::random::<u128>());
        let mut attempts = 0;
        loop {
            attempts += 1;
            let request = ReceiveRequest {
                messages_max: BATCH_ENTRIES_MAX,
                wait,
                visibility: desk.options.visibility,
                attempt_id: self.is_fifo().then(|| attempt.clone()),
            };
            let call = async { desk.transport.receive(desk.url().await?, request).await };
            match desk.bounded(call).await {
                Err(error) if error.is_retryable() && attempts < ATTEMPTS_MAX => {
                    tracing::debug!(%error, queue = desk.queue(), "a look into dead letters is repeated");
                }
                answered => return answered,
            }
        }
    }

    /// Makes letters visible, the last ones first: until its head is visible, a group is closed to others.
    pub(super) async fn release(&self, letters: &[Letter]) {
        let changes: Vec<VisibilityChange> = letters
            .iter()
            .rev()
            .map(|letter| VisibilityChange {
                receipt_handle: letter.receipt().to_owned(),
                visibility: Duration::ZERO,
            })
            .collect();
        let desk = self.desk;
        for chunk in changes.chunks(BATCH_ENTRIES_MAX) {
            let call = async {
                let url = desk.url().await?;
                desk.transport.change_visibility_batch(url, chunk).await
            };
            match desk.bounded(call).await {
                Ok(results) => {
                    let failed = results.iter().filter(|result| result.is_err()).count();
                    if failed > 0 {
                        tracing::debug!(
                            letters = failed,
                            queue = desk.queue(),
                            "dead letters come back by their timeout"
                        );
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, queue = desk.queue(), "dead letters come back by their timeout");
                }
            }
        }
    }
}

impl std::fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held")
            .field("letters", &self.letters.len())
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

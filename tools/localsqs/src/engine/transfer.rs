//! Messages on their way from one queue to another: dead letters, and their way back.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    message::{Content, Message, Visibility},
    queue::Queue,
    settings::Redrive,
    state::State,
};
use crate::{error::Error, journal::record::Record};

/// A message on its way to another queue: out of the first, not yet in the second.
pub(crate) struct Transfer {
    pub(crate) to: Arc<Queue>,
    pub(crate) seq: u64,
    pub(crate) message: Message,
}

impl Transfer {
    pub(crate) fn arrive(self) {
        let Self { to, seq, message } = self;
        // A queue deleted meanwhile takes its messages with it.
        let _ = to.with(|state, _| state.put(seq, message));
    }
}

impl Queue {
    /// Takes a message that was received too often out of the queue.
    pub(super) fn dead_letter(
        &self,
        state: &mut State,
        now_ms: u64,
        seq: u64,
        redrive: Option<&(Redrive, Arc<Self>)>,
    ) -> Option<Transfer> {
        let (redrive, target) = redrive?;
        let message = state.message(seq)?;
        if message.receive_count - message.receives_elsewhere < redrive.receives_max {
            return None;
        }
        let mut message = message.clone();
        message.receives_elsewhere = message.receive_count;
        message.dead_letter_source = Some(Arc::clone(&self.arn));
        message.visibility = Visibility::Visible;
        if state.settings.fifo {
            // A FIFO dead-letter queue's retention starts anew; a standard one's counts from the first send.
            message.sent_ms = now_ms;
            // AWS's guide ("dead-letter queue redrive"): the id of the message takes the place of its deduplication id, so
            // that letters that happen to share one are told apart.
            let mut content = Content::clone(&message.content);
            content.deduplication_id = Some(message.id.to_string());
            message.content = Arc::new(content);
        }
        Some(self.transfer(state, seq, message, Arc::clone(target)))
    }

    fn transfer(
        &self,
        state: &mut State,
        from_seq: u64,
        mut message: Message,
        to: Arc<Self>,
    ) -> Transfer {
        let seq = self.core.seq();
        state.remove(from_seq);
        if self.core.journal.get().is_some() {
            message.logged_at = self.core.log(&Record::Moved {
                from: self.uid,
                from_seq,
                to: to.uid,
                to_seq: seq,
                message: message.clone(),
            });
        }
        Transfer { to, seq, message }
    }

    /// Moves up to `max` visible messages away, each to where `target` says; one without a target stays. Redriven
    /// messages are new messages: with an id and a send time of their own (AWS's guide, "dead-letter queue redrive").
    /// Returns how many went, and how many had nowhere to go.
    pub(crate) fn move_out(
        &self,
        max: usize,
        target: impl Fn(&Message) -> Option<Arc<Self>>,
    ) -> Result<(usize, usize), Error> {
        let (transfers, stuck) = self.with(|state, now_ms| {
            let mut transfers = Vec::new();
            let mut stuck = 0;
            for seq in state.take(max) {
                let Some(message) = state.message(seq) else {
                    continue;
                };
                if let Some(to) = target(message) {
                    let message = Message::new(
                        Uuid::new_v4(),
                        Arc::clone(&message.content),
                        now_ms,
                        Visibility::Visible,
                    );
                    transfers.push(self.transfer(state, seq, message, to));
                } else {
                    stuck += 1;
                    state.set_visibility(seq, Visibility::Visible);
                }
            }
            (transfers, stuck)
        })?;
        let moved = transfers.len();
        for transfer in transfers {
            transfer.arrive();
        }
        Ok((moved, stuck))
    }
}

//! What is done by receipt handle: deleting, and changing visibility.

use super::{
    message::Visibility, queue::Queue, receipt::Receipt, settings::VISIBILITY_SECONDS_MAX,
    state::State,
};
use crate::{error::Error, journal::record::Record};

impl Queue {
    /// Deletes by receipt handles; each has a result of its own. What is acknowledged stays deleted over a crash.
    pub(crate) async fn delete(&self, handles: &[&str]) -> Result<Vec<Result<(), Error>>, Error> {
        self.core.writable()?;
        let (results, logged_at) = self.with(|state, _| {
            let mut seqs = Vec::with_capacity(handles.len());
            let results: Vec<_> = handles
                .iter()
                .map(|handle| {
                    if let Some(seq) = self.deletable(state, handle)? {
                        state.remove(seq);
                        seqs.push(seq);
                    }
                    Ok(())
                })
                .collect();
            let logged_at = if seqs.is_empty() {
                0
            } else {
                self.core.log(&Record::Removed {
                    queue: self.uid,
                    seqs,
                })
            };
            (results, logged_at)
        })?;
        self.core.durable(logged_at).await?;
        Ok(results)
    }

    /// Which message a handle deletes. None: it is gone already, or was handed to someone else since (on standard queues
    /// "the request will succeed, but the message might not be deleted").
    fn deletable(&self, state: &State, handle: &str) -> Result<Option<u64>, Error> {
        let receipt = self.receipt(handle)?;
        let Some(message) = state.message(receipt.message) else {
            return Ok(None);
        };
        let latest = message.receipt == receipt.receipt;
        if state.settings.fifo {
            return if latest && matches!(message.visibility, Visibility::InFlight { .. }) {
                Ok(Some(receipt.message))
            } else {
                Err(Error::invalid_value(
                    handle,
                    "ReceiptHandle",
                    "The receipt handle has expired.",
                ))
            };
        }
        Ok(latest.then_some(receipt.message))
    }

    /// Changes visibility timeouts by receipt handle, in seconds from now.
    pub(crate) fn change_visibility(
        &self,
        changes: &[(&str, u64)],
    ) -> Result<Vec<Result<(), Error>>, Error> {
        self.core.writable()?;
        self.with(|state, now_ms| {
            changes
                .iter()
                .map(|(handle, seconds)| self.change_one(state, now_ms, handle, *seconds))
                .collect()
        })
    }

    fn change_one(
        &self,
        state: &mut State,
        now_ms: u64,
        handle: &str,
        seconds: u64,
    ) -> Result<(), Error> {
        let receipt = self.receipt(handle)?;
        let gone = || {
            Error::invalid_value(
                handle,
                "ReceiptHandle",
                "Message does not exist or is not available for visibility timeout change.",
            )
        };
        let message = state.message(receipt.message).ok_or_else(gone)?;
        let in_flight = matches!(message.visibility, Visibility::InFlight { .. });
        if message.receipt != receipt.receipt || !in_flight {
            return Err(match state.settings.fifo {
                true => {
                    Error::invalid_value(handle, "ReceiptHandle", "The receipt handle has expired.")
                }
                false if in_flight => gone(),
                false => Error::message_not_in_flight(),
            });
        }
        if now_ms + seconds * 1_000 > message.received_ms + VISIBILITY_SECONDS_MAX * 1_000 {
            return Err(Error::invalid_value(
                seconds,
                "VisibilityTimeout",
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
            ));
        }
        let visibility = match seconds {
            0 => Visibility::Visible,
            _ => Visibility::InFlight {
                until_ms: now_ms + seconds * 1_000,
            },
        };
        self.change_visibility_logged(state, receipt.message, visibility);
        Ok(())
    }

    pub(super) fn change_visibility_logged(
        &self,
        state: &mut State,
        seq: u64,
        visibility: Visibility,
    ) {
        state.set_visibility(seq, visibility);
        self.core.log(&Record::VisibilityChanged {
            queue: self.uid,
            seq,
            visibility,
        });
    }

    fn receipt(&self, handle: &str) -> Result<Receipt, Error> {
        let receipt = Receipt::decode(handle)?;
        if receipt.queue == self.uid {
            Ok(receipt)
        } else {
            Err(Error::receipt_handle_invalid(handle))
        }
    }
}

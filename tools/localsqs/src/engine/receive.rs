//! Handing messages out, and waiting for some to hand out.

use std::{
    pin::{Pin, pin},
    sync::atomic::Ordering,
};

use tokio::sync::futures::Notified;

use super::{
    Registry,
    dedup::{Attempt, Given},
    message::{Message, Visibility},
    queue::Queue,
    receipt::Receipt,
    state::State,
    transfer::Transfer,
};
use crate::{
    error::Error,
    journal::record::{Received, Record},
};

/// What a receive asks for.
pub(crate) struct Receive<'a> {
    pub(crate) max: usize,
    pub(crate) visibility_seconds: Option<u64>,
    pub(crate) wait_seconds: Option<u64>,
    pub(crate) attempt: Option<&'a str>,
}

/// A message handed out.
pub(crate) struct Delivery {
    pub(crate) handle: Receipt,
    pub(crate) message: Message,
}

impl Queue {
    /// Receives messages, waiting for the first as long as the request or the queue says. Stopping the server ends the
    /// wait with an empty answer. A caller that goes away while it waits takes no messages.
    pub(crate) async fn receive(
        &self,
        request: &Receive<'_>,
        registry: &Registry,
    ) -> Result<Vec<Delivery>, Error> {
        self.core.writable()?;
        let (deliveries, wait_ms) = self.try_receive(request, registry)?;
        if !deliveries.is_empty() || wait_ms == 0 {
            return self.on_disk(deliveries).await;
        }
        let deadline_ms = self.core.clock.now_ms().saturating_add(wait_ms);
        loop {
            // In line before looking, so that nothing can come unseen in between.
            let mut news = pin!(self.news.notified());
            news.as_mut().enable();
            let (deliveries, _) = self.try_receive(request, registry)?;
            if !deliveries.is_empty() || self.core.clock.now_ms() >= deadline_ms {
                return self.on_disk(deliveries).await;
            }
            if self.wait(news, deadline_ms).await {
                return Ok(Vec::new());
            }
        }
    }

    /// Waits for news, a timer, or the deadline. True: the server stops.
    async fn wait(&self, news: Pin<&mut Notified<'_>>, deadline_ms: u64) -> bool {
        let next_timer_ms = self.state.lock().next_timer_ms().unwrap_or(u64::MAX);
        tokio::select! {
            () = news => false,
            () = self.core.clock.sleep_until_ms(deadline_ms.min(next_timer_ms)) => false,
            () = self.core.stop.cancelled() => true,
        }
    }

    /// Nothing is handed out that a crash could take back.
    async fn on_disk(&self, deliveries: Vec<Delivery>) -> Result<Vec<Delivery>, Error> {
        let logged_at = deliveries
            .iter()
            .map(|delivery| delivery.message.logged_at)
            .max()
            .unwrap_or(0);
        self.core.durable(logged_at).await?;
        Ok(deliveries)
    }

    fn try_receive(
        &self,
        request: &Receive<'_>,
        registry: &Registry,
    ) -> Result<(Vec<Delivery>, u64), Error> {
        let (result, wait_ms, transfers) = self.with(|state, now_ms| {
            let mut transfers = Vec::new();
            let result = self.hand_out(state, now_ms, request, registry, &mut transfers);
            (
                result,
                request.wait_seconds.unwrap_or(state.settings.wait_seconds) * 1_000,
                transfers,
            )
        })?;
        for transfer in transfers {
            transfer.arrive();
        }
        Ok((result?, wait_ms))
    }

    fn hand_out(
        &self,
        state: &mut State,
        now_ms: u64,
        request: &Receive<'_>,
        registry: &Registry,
        dead: &mut Vec<Transfer>,
    ) -> Result<Vec<Delivery>, Error> {
        let visibility_ms = request
            .visibility_seconds
            .unwrap_or(state.settings.visibility_seconds)
            * 1_000;
        let visibility = match visibility_ms {
            0 => Visibility::Visible,
            _ => Visibility::InFlight {
                until_ms: now_ms + visibility_ms,
            },
        };
        let attempt = request.attempt.filter(|_| state.settings.fifo);
        if let Some(again) =
            attempt.and_then(|attempt| self.hand_out_again(state, attempt, visibility))
        {
            return Ok(again);
        }
        let mut deliveries = Vec::new();
        // Each round either hands out something, or moves dead letters away: it ends.
        while deliveries.is_empty() {
            let room = self
                .core
                .in_flight_messages_max
                .saturating_sub(state.in_flight());
            if room == 0 {
                if state.settings.fifo || !state.has_ready() {
                    break;
                }
                return Err(Error::over_limit("Too many messages in flight."));
            }
            let seqs = state.take(request.max.min(room));
            if seqs.is_empty() {
                break;
            }
            let redrive = state.settings.redrive.clone().and_then(|redrive| {
                let target = registry.by_arn(&redrive.target_arn)?;
                Some((redrive, target))
            });
            for seq in seqs {
                match self.dead_letter(state, now_ms, seq, redrive.as_ref()) {
                    Some(transfer) => dead.push(transfer),
                    None => deliveries.extend(self.hand_out_one(state, now_ms, seq, visibility)),
                }
            }
        }
        if deliveries.is_empty() {
            return Ok(deliveries);
        }
        // What is left is for the next waiting receive.
        state.news = true;
        if let (Some(attempt), Visibility::InFlight { until_ms }) = (attempt, visibility) {
            let given = deliveries
                .iter()
                .map(|delivery| Given {
                    seq: delivery.handle.message,
                    receipt: delivery.handle.receipt,
                    until_ms,
                })
                .collect();
            state
                .attempts
                .insert(attempt.to_owned(), now_ms, Attempt { given });
        }
        if self.core.journal.get().is_some() {
            let messages = deliveries
                .iter()
                .map(|delivery| Received {
                    seq: delivery.handle.message,
                    receipt: delivery.message.receipt,
                    receive_count: delivery.message.receive_count,
                    first_received_ms: delivery.message.first_received_ms,
                    received_ms: now_ms,
                    visibility,
                })
                .collect();
            self.core.log(&Record::Received {
                queue: self.uid,
                messages,
            });
        }
        Ok(deliveries)
    }

    /// The same messages once more, if the client asks for a receive whose answer it lost, and nothing has happened to
    /// them since. Their timeout starts anew; it is no further receive.
    fn hand_out_again(
        &self,
        state: &mut State,
        attempt: &str,
        visibility: Visibility,
    ) -> Option<Vec<Delivery>> {
        let given = state.attempts.get(attempt)?.given.clone();
        let unchanged = given.iter().all(|given| {
            state.message(given.seq).is_some_and(|message| {
                message.receipt == given.receipt
                    && message.visibility
                        == Visibility::InFlight {
                            until_ms: given.until_ms,
                        }
            })
        });
        if !unchanged {
            return None;
        }
        let mut deliveries = Vec::with_capacity(given.len());
        for Given { seq, receipt, .. } in &given {
            self.change_visibility_logged(state, *seq, visibility);
            let message = state.message(*seq)?.clone();
            let handle = Receipt {
                queue: self.uid,
                message: *seq,
                receipt: *receipt,
            };
            deliveries.push(Delivery { handle, message });
        }
        if let (Visibility::InFlight { until_ms }, Some(attempt)) =
            (visibility, state.attempts.get_mut(attempt))
        {
            for given in &mut attempt.given {
                given.until_ms = until_ms;
            }
        }
        Some(deliveries)
    }

    fn hand_out_one(
        &self,
        state: &mut State,
        now_ms: u64,
        seq: u64,
        visibility: Visibility,
    ) -> Option<Delivery> {
        let receipt = self.core.next_receipt.fetch_add(1, Ordering::Relaxed);
        let message = state.message_mut(seq)?;
        message.receive_count += 1;
        message.receipt = receipt;
        message.received_ms = now_ms;
        if message.first_received_ms == 0 {
            message.first_received_ms = now_ms;
        }
        let delivered = message.clone();
        state.set_visibility(seq, visibility);
        Some(Delivery {
            handle: Receipt {
                queue: self.uid,
                message: seq,
                receipt,
            },
            message: delivered,
        })
    }
}

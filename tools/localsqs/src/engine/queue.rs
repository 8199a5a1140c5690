//! One queue: what can be done with it, each step under its lock, logged in the order in which it happened, and told to
//! the receives that wait.

use std::{
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, futures::Notified};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Registry,
    dedup::{Attempt, FirstSend, Given},
    message::{Content, Message, Visibility},
    receipt::Receipt,
    settings::{AttributeMap, Redrive, Settings, VISIBILITY_SECONDS_MAX},
    state::State,
};
use crate::{
    Clock,
    error::Error,
    journal::{
        Journal,
        record::{Received, Record},
    },
};

/// What all queues of a server share.
pub(crate) struct Core {
    pub(crate) clock: Clock,
    /// Empty while the log is replayed, and for good when messages are kept in memory.
    pub(crate) journal: OnceLock<Journal>,
    pub(crate) stop: CancellationToken,
    pub(crate) in_flight_messages_max: usize,
    pub(crate) stored_bytes_max: usize,
    pub(crate) stored_bytes: AtomicUsize,
    /// Messages are numbered across all queues, so that one that moves keeps an unambiguous place.
    pub(crate) next_seq: AtomicU64,
    pub(crate) next_receipt: AtomicU64,
}

impl Core {
    /// Appends to the log; returns the place up to which it must be on disk for this record to be safe.
    pub(crate) fn log(&self, record: &Record) -> u64 {
        self.journal.get().map_or(0, |journal| journal.append(record))
    }

    /// Returns once the log is on disk up to `place`.
    pub(crate) async fn durable(&self, place: u64) -> Result<(), Error> {
        match self.journal.get() {
            Some(journal) => journal.durable(place).await.map_err(Error::unavailable),
            None => Ok(()),
        }
    }

    /// Refuses a change up front when the log cannot take it.
    pub(crate) fn writable(&self) -> Result<(), Error> {
        match self.journal.get() {
            Some(journal) => journal.writable().map_err(Error::unavailable),
            None => Ok(()),
        }
    }

    fn seq(&self) -> u64 {
        self.next_seq.fetch_add(1, Ordering::Relaxed)
    }
}

/// A message to be sent, checked already.
pub(crate) struct Outgoing {
    pub(crate) content: Arc<Content>,
    /// `None`: the queue's own.
    pub(crate) delay_seconds: Option<u64>,
}

/// What a send came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) id: Uuid,
    pub(crate) seq: u64,
}

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

pub(crate) struct Queue {
    pub(crate) uid: u64,
    pub(crate) name: Arc<str>,
    pub(crate) arn: Arc<str>,
    core: Arc<Core>,
    state: Mutex<State>,
    news: Notify,
}

impl Queue {
    pub(crate) fn new(uid: u64, name: &str, arn: &str, core: Arc<Core>, state: State) -> Self {
        Self { uid, name: Arc::from(name), arn: Arc::from(arn), core, state: Mutex::new(state), news: Notify::new() }
    }

    /// Runs `change` on the queue as it is now, then tells waiting receives what they need to know.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State, u64) -> T) -> Result<T, Error> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(Error::no_such_queue());
        }
        let now_ms = self.core.clock.now_ms();
        let timer_before = state.next_timer_ms();
        let bytes_before = state.stored_bytes();
        let expired = state.advance(now_ms);
        if !expired.is_empty() {
            self.core.log(&Record::Removed { queue: self.uid, seqs: expired });
        }
        let result = change(&mut state, now_ms);
        self.announce(state, timer_before, bytes_before);
        Ok(result)
    }

    fn announce(&self, mut state: MutexGuard<'_, State>, timer_before: Option<u64>, bytes_before: usize) {
        let bytes_after = state.stored_bytes();
        if bytes_after >= bytes_before {
            self.core.stored_bytes.fetch_add(bytes_after - bytes_before, Ordering::Relaxed);
        } else {
            self.core.stored_bytes.fetch_sub(bytes_before - bytes_after, Ordering::Relaxed);
        }
        let ready = std::mem::take(&mut state.news) && state.has_ready();
        let timer_after = state.next_timer_ms();
        // A waiting receive sleeps until the next timer that it saw; an earlier one it must be told of.
        let earlier_timer = timer_after.is_some_and(|after| timer_before.is_none_or(|before| after < before));
        drop(state);
        if earlier_timer {
            self.news.notify_waiters();
        }
        if ready {
            // One receive wakes; what it leaves behind wakes the next.
            self.news.notify_one();
        }
    }

    /// For the replay of the log, before the queue is in use: no log, no waiting receives, any time.
    pub(crate) fn restore<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let before = state.stored_bytes();
        let result = change(&mut state);
        let after = state.stored_bytes();
        self.core.stored_bytes.fetch_add(after, Ordering::Relaxed);
        self.core.stored_bytes.fetch_sub(before, Ordering::Relaxed);
        result
    }

    /// The number that the next message of any queue gets.
    pub(crate) fn next_seq(&self) -> u64 {
        self.core.next_seq.load(Ordering::Relaxed)
    }

    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        self.with(|state, _| state.settings.clone())
    }

    /// Sends messages; all that are acknowledged are on disk.
    pub(crate) async fn send(&self, outgoing: Vec<Outgoing>) -> Result<Vec<Sent>, Error> {
        self.core.writable()?;
        let bytes: usize = outgoing.iter().map(|message| message.content.size_bytes()).sum();
        if self.core.stored_bytes.load(Ordering::Relaxed) + bytes > self.core.stored_bytes_max {
            return Err(Error::unavailable(format_args!(
                "The server keeps no more than {} bytes of messages.",
                self.core.stored_bytes_max
            )));
        }
        let (sent, logged_at) = self.with(|state, now_ms| {
            let mut logged_at = 0;
            let mut sent = Vec::with_capacity(outgoing.len());
            for message in outgoing {
                let one = self.send_one(state, now_ms, message, &mut logged_at);
                sent.push(one);
            }
            (sent, logged_at)
        })?;
        self.core.durable(logged_at).await?;
        Ok(sent)
    }

    fn send_one(&self, state: &mut State, now_ms: u64, outgoing: Outgoing, logged_at: &mut u64) -> Sent {
        let Outgoing { content, delay_seconds } = outgoing;
        let key = content.deduplication_id.as_deref().filter(|_| state.settings.fifo).map(|id| {
            match &content.group {
                // A group id has no NUL.
                Some(group) if state.settings.deduplicate_per_group => format!("{group}\0{id}"),
                _ => id.to_owned(),
            }
        });
        if let Some(first) = key.as_deref().and_then(|key| state.first_sends.get(key)) {
            *logged_at = (*logged_at).max(first.logged_at);
            return Sent { id: first.id, seq: first.seq };
        }
        let (id, seq) = (Uuid::new_v4(), self.core.seq());
        let delay_ms = delay_seconds.unwrap_or(state.settings.delay_seconds) * 1_000;
        let visibility =
            if delay_ms == 0 { Visibility::Visible } else { Visibility::Delayed { until_ms: now_ms + delay_ms } };
        let mut message = Message::new(id, content, now_ms, visibility);
        if self.core.journal.get().is_some() {
            message.logged_at = self.core.log(&Record::Put {
                queue: self.uid,
                seq,
                message: message.clone(),
                first_send: key.clone(),
            });
            *logged_at = message.logged_at;
        }
        if let Some(key) = key {
            state.first_sends.insert(key, now_ms, FirstSend { id, seq, logged_at: message.logged_at });
        }
        state.put(seq, message);
        Sent { id, seq }
    }

    /// Receives messages, waiting for the first as long as the request or the queue says. Stopping the server ends the
    /// wait with an empty answer. A caller that goes away while it waits takes no messages.
    pub(crate) async fn receive(&self, request: &Receive<'_>, registry: &Registry) -> Result<Vec<Delivery>, Error> {
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
    async fn wait(&self, news: std::pin::Pin<&mut Notified<'_>>, deadline_ms: u64) -> bool {
        let next_timer_ms = self.state.lock().next_timer_ms().unwrap_or(u64::MAX);
        tokio::select! {
            () = news => false,
            () = self.core.clock.sleep_until_ms(deadline_ms.min(next_timer_ms)) => false,
            () = self.core.stop.cancelled() => true,
        }
    }

    /// Nothing is handed out that a crash could take back.
    async fn on_disk(&self, deliveries: Vec<Delivery>) -> Result<Vec<Delivery>, Error> {
        let logged_at = deliveries.iter().map(|delivery| delivery.message.logged_at).max().unwrap_or(0);
        self.core.durable(logged_at).await?;
        Ok(deliveries)
    }

    fn try_receive(&self, request: &Receive<'_>, registry: &Registry) -> Result<(Vec<Delivery>, u64), Error> {
        let (result, wait_ms, transfers) = self.with(|state, now_ms| {
            let mut transfers = Vec::new();
            let result = self.hand_out(state, now_ms, request, registry, &mut transfers);
            (result, request.wait_seconds.unwrap_or(state.settings.wait_seconds) * 1_000, transfers)
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
        let visibility_ms = request.visibility_seconds.unwrap_or(state.settings.visibility_seconds) * 1_000;
        let visibility = match visibility_ms {
            0 => Visibility::Visible,
            _ => Visibility::InFlight { until_ms: now_ms + visibility_ms },
        };
        let attempt = request.attempt.filter(|_| state.settings.fifo);
        if let Some(again) = attempt.and_then(|attempt| self.hand_out_again(state, attempt, visibility)) {
            return Ok(again);
        }
        let mut deliveries = Vec::new();
        // Each round either hands out something, or moves dead letters away: it ends.
        while deliveries.is_empty() {
            let room = self.core.in_flight_messages_max.saturating_sub(state.in_flight());
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
                .map(|delivery| Given { seq: delivery.handle.message, receipt: delivery.handle.receipt, until_ms })
                .collect();
            state.attempts.insert(attempt.to_owned(), now_ms, Attempt { given });
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
            self.core.log(&Record::Received { queue: self.uid, messages });
        }
        Ok(deliveries)
    }

    /// The same messages once more, if the client asks for a receive whose answer it lost, and nothing has happened to
    /// them since. Their timeout starts anew; it is no further receive.
    fn hand_out_again(&self, state: &mut State, attempt: &str, visibility: Visibility) -> Option<Vec<Delivery>> {
        let given = state.attempts.get(attempt)?.given.clone();
        let unchanged = given.iter().all(|given| {
            state.message(given.seq).is_some_and(|message| {
                message.receipt == given.receipt
                    && message.visibility == Visibility::InFlight { until_ms: given.until_ms }
            })
        });
        if !unchanged {
            return None;
        }
        let mut deliveries = Vec::with_capacity(given.len());
        for Given { seq, receipt, .. } in &given {
            self.change_visibility_logged(state, *seq, visibility);
            let message = state.message(*seq)?.clone();
            let handle = Receipt { queue: self.uid, message: *seq, receipt: *receipt };
            deliveries.push(Delivery { handle, message });
        }
        if let (Visibility::InFlight { until_ms }, Some(attempt)) = (visibility, state.attempts.get_mut(attempt)) {
            for given in &mut attempt.given {
                given.until_ms = until_ms;
            }
        }
        Some(deliveries)
    }

    fn hand_out_one(&self, state: &mut State, now_ms: u64, seq: u64, visibility: Visibility) -> Option<Delivery> {
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
        Some(Delivery { handle: Receipt { queue: self.uid, message: seq, receipt }, message: delivered })
    }

    /// Takes a message that was received too often out of the queue.
    fn dead_letter(
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
        }
        Some(self.transfer(state, seq, message, Arc::clone(target)))
    }

    fn transfer(&self, state: &mut State, from_seq: u64, mut message: Message, to: Arc<Self>) -> Transfer {
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
                let Some(message) = state.message(seq) else { continue };
                if let Some(to) = target(message) {
                    let message = Message::new(Uuid::new_v4(), Arc::clone(&message.content), now_ms, Visibility::Visible);
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
            let logged_at =
                if seqs.is_empty() { 0 } else { self.core.log(&Record::Removed { queue: self.uid, seqs }) };
            (results, logged_at)
        })?;
        self.core.durable(logged_at).await?;
        Ok(results)
    }

    /// Which message a handle deletes. None: it is gone already, or was handed to someone else since (on standard queues
    /// "the request will succeed, but the message might not be deleted").
    fn deletable(&self, state: &State, handle: &str) -> Result<Option<u64>, Error> {
        let receipt = self.receipt(handle)?;
        let Some(message) = state.message(receipt.message) else { return Ok(None) };
        let latest = message.receipt == receipt.receipt;
        if state.settings.fifo {
            return if latest && matches!(message.visibility, Visibility::InFlight { .. }) {
                Ok(Some(receipt.message))
            } else {
                Err(Error::invalid_value(handle, "ReceiptHandle", "The receipt handle has expired."))
            };
        }
        Ok(latest.then_some(receipt.message))
    }

    /// Changes visibility timeouts by receipt handle, in seconds from now.
    pub(crate) fn change_visibility(&self, changes: &[(&str, u64)]) -> Result<Vec<Result<(), Error>>, Error> {
        self.core.writable()?;
        self.with(|state, now_ms| {
            changes.iter().map(|(handle, seconds)| self.change_one(state, now_ms, handle, *seconds)).collect()
        })
    }

    fn change_one(&self, state: &mut State, now_ms: u64, handle: &str, seconds: u64) -> Result<(), Error> {
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
                true => Error::invalid_value(handle, "ReceiptHandle", "The receipt handle has expired."),
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
            _ => Visibility::InFlight { until_ms: now_ms + seconds * 1_000 },
        };
        self.change_visibility_logged(state, receipt.message, visibility);
        Ok(())
    }

    fn change_visibility_logged(&self, state: &mut State, seq: u64, visibility: Visibility) {
        state.set_visibility(seq, visibility);
        self.core.log(&Record::VisibilityChanged { queue: self.uid, seq, visibility });
    }

    fn receipt(&self, handle: &str) -> Result<Receipt, Error> {
        let receipt = Receipt::decode(handle)?;
        if receipt.queue == self.uid { Ok(receipt) } else { Err(Error::receipt_handle_invalid(handle)) }
    }

    /// Removes all messages. AWS allows it once a minute.
    pub(crate) async fn purge(&self) -> Result<(), Error> {
        self.core.writable()?;
        let logged_at = self.with(|state, now_ms| {
            if state.purged_ms.is_some_and(|purged_ms| now_ms < purged_ms + 60_000) {
                return Err(Error::purge_in_progress(&self.name));
            }
            state.purged_ms = Some(now_ms);
            let below = self.core.next_seq.load(Ordering::Relaxed);
            state.purge(below);
            Ok(self.core.log(&Record::Purged { queue: self.uid, below }))
        })??;
        self.core.durable(logged_at).await
    }

    /// Changes attributes or tags, and logs the queue as it is then.
    pub(crate) async fn configure(
        &self,
        change: impl FnOnce(&mut Settings, &mut AttributeMap) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.core.writable()?;
        let logged_at = self.with(|state, now_ms| {
            let mut settings = state.settings.clone();
            change(&mut settings, &mut state.tags)?;
            state.configure(settings, now_ms);
            Ok(self.core.log(&self.as_record(state)))
        })??;
        self.core.durable(logged_at).await
    }

    /// Marks the queue as gone; waiting receives learn of it at once.
    pub(crate) fn delete_queue(&self) -> Result<u64, Error> {
        let logged_at = self.with(|state, _| {
            state.deleted = true;
            self.core.stored_bytes.fetch_sub(state.stored_bytes(), Ordering::Relaxed);
            self.core.log(&Record::QueueDeleted { queue: self.uid })
        })?;
        self.news.notify_waiters();
        Ok(logged_at)
    }

    pub(crate) fn as_record(&self, state: &State) -> Record {
        Record::Queue {
            queue: self.uid,
            name: self.name.to_string(),
            attributes: state.settings.to_log(),
            tags: state.tags.clone(),
            created_ms: state.created_ms,
            modified_ms: state.modified_ms,
        }
    }
}

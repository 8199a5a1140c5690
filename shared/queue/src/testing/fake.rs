//! The fake queue service.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::faults::Faults;
use super::store::{Held, Store, Take};
use crate::message::{BATCH_ENTRIES_MAX, MESSAGE_BYTES_MAX, OutgoingMessage, Received, Sent};
use crate::transport::{
    BoxFuture, Depths, EntryError, EntryResults, QueueUrl, ReceiveRequest, Transport,
    TransportError, VisibilityChange,
};

/// What was asked of the fake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `send_batch` with the bodies of its entries.
    Send(Vec<String>),
    /// `receive`, with the ids that it brought.
    Receive(Vec<String>),
    /// `delete_batch`, with the receipt handles.
    Delete(Vec<String>),
    /// `change_visibility_batch`, with receipt handles and new visibility.
    ChangeVisibility(Vec<(String, Duration)>),
}

/// The calls so far, each with its time since the fake was made.
pub type Calls = Vec<(Duration, Call)>;

struct State {
    rng: StdRng,
    faults: Faults,
    outage: bool,
    hanging_receives: u32,
    stores: BTreeMap<String, Store>,
    calls: Calls,
    /// Answers of FIFO receives by attempt id: a repeated attempt brings the same messages.
    attempts: HashMap<String, Vec<Received>>,
}

/// SQS in memory, in tokio's time, misbehaving as told. Clones share everything.
#[derive(Clone)]
pub struct FakeQueue {
    seed: u64,
    epoch: Instant,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl FakeQueue {
    /// A fake with these queues. Print the seed when a test fails: [`FakeQueue::seed`].
    pub fn new(seed: u64, queues: &[&str]) -> Self {
        let epoch = Instant::now();
        let stores = queues
            .iter()
            .map(|name| ((*name).to_owned(), Store::new(name, epoch)))
            .collect();
        Self {
            seed,
            epoch,
            state: Arc::new(Mutex::new(State {
                rng: StdRng::seed_from_u64(seed),
                faults: Faults::default(),
                outage: false,
                hanging_receives: 0,
                stores,
                calls: Vec::new(),
                attempts: HashMap::new(),
            })),
            changed: Arc::new(Notify::new()),
        }
    }

    /// Where its dice come from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Misbehaves like this from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// During an outage every call fails as unreachable.
    pub fn set_outage(&self, outage: bool) {
        self.state().outage = outage;
        self.changed.notify_waiters();
    }

    /// The next `count` receives never answer.
    pub fn hang_receives(&self, count: u32) {
        self.state().hanging_receives = count;
    }

    /// A redrive policy: what was received this often goes to `<name minus .fifo>-dead[.fifo]` at the next receive.
    pub fn set_receives_max(&self, queue: &str, receives_max: u32) {
        if let Some(store) = self.state().stores.get_mut(queue) {
            store.receives_max = Some(receives_max);
        }
    }

    /// Adds a queue later on.
    pub fn add_queue(&self, name: &str) {
        let store = Store::new(name, self.epoch);
        self.state().stores.insert(name.to_owned(), store);
    }

    /// Puts a message into a queue without a call.
    ///
    /// # Errors
    /// Says why SQS would refuse it.
    pub fn put(&self, queue: &str, message: &OutgoingMessage) -> Result<Sent, EntryError> {
        let missing = || EntryError {
            code: "QueueDoesNotExist".to_owned(),
            message: queue.to_owned(),
            sender_fault: true,
        };
        let sent = self
            .state()
            .stores
            .get_mut(queue)
            .ok_or_else(missing)?
            .send(message, Instant::now());
        self.changed.notify_waiters();
        sent
    }

    /// Makes the first message of a group with this body visible at once, whoever holds it: its visibility ran out.
    pub fn take_away(&self, queue: &str, body: &str, group: &str) {
        if let Some(store) = self.state().stores.get_mut(queue) {
            store.take_away(body, group, Instant::now());
        }
        self.changed.notify_waiters();
    }

    /// How many messages a queue has, visible or not.
    pub fn len(&self, queue: &str) -> usize {
        self.state().stores.get(queue).map_or(0, Store::len)
    }

    /// What is in a queue, in order.
    pub fn held(&self, queue: &str) -> Vec<Held> {
        let now = Instant::now();
        self.state()
            .stores
            .get(queue)
            .map(|store| store.held(now))
            .unwrap_or_default()
    }

    /// The bodies of what is in a queue, in order.
    pub fn bodies(&self, queue: &str) -> Vec<String> {
        self.held(queue)
            .into_iter()
            .map(|held| held.message.body)
            .collect()
    }

    /// The calls so far.
    pub fn calls(&self) -> Calls {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, call: Call) {
        let at = self.epoch.elapsed();
        self.state().calls.push((at, call));
    }

    fn dice(&self, per_mille: impl Fn(&Faults) -> u32) -> bool {
        let mut state = self.state();
        let frequency = per_mille(&state.faults);
        frequency > 0 && state.rng.random_range(0..1000) < frequency
    }

    async fn latency(&self) {
        let pause = {
            let mut state = self.state();
            let max = u64::try_from(state.faults.latency_max.as_micros()).unwrap_or(0);
            if max == 0 {
                0
            } else {
                state.rng.random_range(0..=max)
            }
        };
        if pause > 0 {
            sleep(Duration::from_micros(pause)).await;
        }
    }

    /// What a receive brings may be on its way for long.
    async fn linger(&self) {
        if !self.dice(|faults| faults.answer_late) {
            return;
        }
        let late = {
            let mut state = self.state();
            let max = u64::try_from(state.faults.late_max.as_millis()).unwrap_or(0);
            state.rng.random_range(0..=max)
        };
        sleep(Duration::from_millis(late)).await;
    }

    async fn enter(&self) -> Result<(), TransportError> {
        self.latency().await;
        if self.state().outage {
            return Err(TransportError::Unreachable("outage".to_owned()));
        }
        if self.dice(|faults| faults.call_fails) {
            return Err(TransportError::Unavailable {
                code: "InternalError".to_owned(),
                message: "dice".to_owned(),
            });
        }
        Ok(())
    }

    async fn leave<T>(&self, answer: T) -> Result<T, TransportError> {
        self.latency().await;
        if self.dice(|faults| faults.answer_lost) {
            return Err(TransportError::Timeout("answer lost".to_owned()));
        }
        Ok(answer)
    }

    /// Runs one batch call entry by entry.
    async fn batch<E, T>(
        &self,
        queue: &QueueUrl,
        entries: &[E],
        mut each: impl FnMut(&mut Store, &E) -> Result<T, EntryError>,
    ) -> Result<EntryResults<T>, TransportError> {
        self.enter().await?;
        if entries.is_empty() || entries.len() > BATCH_ENTRIES_MAX {
            return Err(TransportError::Refused {
                code: "TooManyEntriesInBatchRequest".to_owned(),
                message: format!("{} entries", entries.len()),
            });
        }
        let mut results = Vec::with_capacity(entries.len());
        for entry in entries {
            if self.dice(|faults| faults.entry_fails) {
                let code = "InternalError".to_owned();
                results.push(Err(EntryError {
                    code,
                    message: "dice".to_owned(),
                    sender_fault: false,
                }));
                continue;
            }
            let mut state = self.state();
            let store = store(&mut state, queue)?;
            results.push(each(store, entry));
        }
        self.changed.notify_waiters();
        self.leave(results).await
    }

    fn take(
        &self,
        queue: &QueueUrl,
        request: &ReceiveRequest,
    ) -> Result<Vec<Received>, TransportError> {
        let now = Instant::now();
        let mut state = self.state();
        let State {
            rng,
            faults,
            stores,
            ..
        } = &mut *state;
        let store = stores
            .get_mut(queue.as_str())
            .ok_or_else(|| TransportError::NoSuchQueue(queue.as_str().to_owned()))?;
        let fifo = store.is_fifo();
        let take = Take {
            messages_max: request.messages_max.clamp(1, BATCH_ENTRIES_MAX),
            visibility: request.visibility,
        };
        let (received, dead) = store.receive(&take, now, |visibility| {
            if !fifo && faults.duplicated > 0 && rng.random_range(0..1000) < faults.duplicated {
                return Duration::ZERO;
            }
            if faults.visibility_cut > 0 && rng.random_range(0..1000) < faults.visibility_cut {
                return visibility / rng.random_range(4..40);
            }
            visibility
        });
        if !dead.is_empty() {
            let name = store.name().trim_end_matches(".fifo").to_owned();
            let dead_name = if fifo {
                format!("{name}-dead.fifo")
            } else {
                format!("{name}-dead")
            };
            if let Some(dead_letters) = stores.get_mut(&dead_name) {
                for message in dead {
                    let _sent = dead_letters.send(&message, now);
                }
            }
        }
        Ok(received)
    }

    async fn poll(
        &self,
        queue: &QueueUrl,
        request: ReceiveRequest,
    ) -> Result<Vec<Received>, TransportError> {
        self.enter().await?;
        let hangs = {
            let mut state = self.state();
            let hangs = state.hanging_receives > 0;
            state.hanging_receives = state.hanging_receives.saturating_sub(1);
            hangs
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        let repeated = request
            .attempt_id
            .as_ref()
            .and_then(|id| self.state().attempts.get(id).cloned());
        let received = match repeated {
            Some(again) => again,
            None => self.wait_for_messages(queue, &request).await?,
        };
        if let Some(id) = request.attempt_id {
            let mut state = self.state();
            state.attempts.insert(id, received.clone());
        }
        self.note(Call::Receive(
            received
                .iter()
                .map(|message| message.message_id.clone())
                .collect(),
        ));
        self.linger().await;
        self.leave(received).await
    }

    async fn wait_for_messages(
        &self,
        queue: &QueueUrl,
        request: &ReceiveRequest,
    ) -> Result<Vec<Received>, TransportError> {
        let until = Instant::now() + request.wait;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.state().outage {
                return Err(TransportError::Unreachable("outage".to_owned()));
            }
            let received = self.take(queue, request)?;
            let now = Instant::now();
            if !received.is_empty() || now >= until {
                return Ok(received);
            }
            let next = {
                let mut state = self.state();
                store(&mut state, queue)?
                    .next_visible(now)
                    .unwrap_or(until)
                    .min(until)
            };
            tokio::select! {
                () = changed => {}
                () = sleep_until(next) => {}
            }
        }
    }
}

fn store<'a>(state: &'a mut State, queue: &QueueUrl) -> Result<&'a mut Store, TransportError> {
    let missing = || TransportError::NoSuchQueue(queue.as_str().to_owned());
    state.stores.get_mut(queue.as_str()).ok_or_else(missing)
}

impl Transport for FakeQueue {
    fn queue_url<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<QueueUrl, TransportError>> {
        Box::pin(async move {
            self.enter().await?;
            let url = QueueUrl::new(name);
            store(&mut self.state(), &url)?;
            Ok(url)
        })
    }

    fn depths<'a>(&'a self, queue: &'a QueueUrl) -> BoxFuture<'a, Result<Depths, TransportError>> {
        Box::pin(async move {
            self.enter().await?;
            Ok(store(&mut self.state(), queue)?.depths(Instant::now()))
        })
    }

    fn send_batch<'a>(
        &'a self,
        queue: &'a QueueUrl,
        messages: &'a [OutgoingMessage],
    ) -> BoxFuture<'a, Result<EntryResults<Sent>, TransportError>> {
        Box::pin(async move {
            self.note(Call::Send(
                messages
                    .iter()
                    .map(|message| message.body.clone())
                    .collect(),
            ));
            if messages
                .iter()
                .map(OutgoingMessage::size_bytes)
                .sum::<usize>()
                > MESSAGE_BYTES_MAX
            {
                return Err(TransportError::Refused {
                    code: "BatchRequestTooLong".to_owned(),
                    message: "the entries together are larger than 1 MiB".to_owned(),
                });
            }
            if messages.iter().any(|message| message.body.is_empty()) {
                return Err(TransportError::Refused {
                    code: "MissingParameter".to_owned(),
                    message: "an entry has no body".to_owned(),
                });
            }
            self.batch(queue, messages, |store, message| {
                store.send(message, Instant::now())
            })
            .await
        })
    }

    fn receive<'a>(
        &'a self,
        queue: &'a QueueUrl,
        request: ReceiveRequest,
    ) -> BoxFuture<'a, Result<Vec<Received>, TransportError>> {
        Box::pin(self.poll(queue, request))
    }

    fn delete_batch<'a>(
        &'a self,
        queue: &'a QueueUrl,
        receipt_handles: &'a [String],
    ) -> BoxFuture<'a, Result<EntryResults<()>, TransportError>> {
        Box::pin(async move {
            self.note(Call::Delete(receipt_handles.to_vec()));
            self.batch(queue, receipt_handles, |store, receipt| {
                store.delete(receipt, Instant::now())
            })
            .await
        })
    }

    fn change_visibility_batch<'a>(
        &'a self,
        queue: &'a QueueUrl,
        changes: &'a [VisibilityChange],
    ) -> BoxFuture<'a, Result<EntryResults<()>, TransportError>> {
        Box::pin(async move {
            let noted = changes
                .iter()
                .map(|change| (change.receipt_handle.clone(), change.visibility))
                .collect();
            self.note(Call::ChangeVisibility(noted));
            self.batch(queue, changes, |store, change| {
                store.change_visibility(&change.receipt_handle, change.visibility, Instant::now())
            })
            .await
        })
    }
}

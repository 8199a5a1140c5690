//! Sends what the outbox holds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Delivery, Event, Sink, SinkAway};
use crate::retry::Backoff;

/// How a relay works.
#[derive(Debug, Clone, Copy)]
pub struct RelayOptions {
    /// Messages that one pass takes at most.
    pub batch_rows_max: u16,
    /// How often it looks when nobody wakes it.
    pub poll_every: Duration,
    /// Longest wait for one answer of the sink; the pass's transaction stays open meanwhile.
    pub deliver_max: Duration,
    /// Between passes while the sink or the database is away.
    pub away: Backoff,
    /// Between tries of a message that the sink refused.
    pub refused: Backoff,
}

impl Default for RelayOptions {
    /// 500 messages a pass, a look every second, 30 s for the sink, 100 ms to 30 s while something
    /// is away, 1 s to 5 min for a refused message.
    fn default() -> Self {
        Self {
            batch_rows_max: 500,
            poll_every: Duration::from_secs(1),
            deliver_max: Duration::from_secs(30),
            away: Backoff {
                first: Duration::from_millis(100),
                longest: Duration::from_secs(30),
            },
            refused: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(300),
            },
        }
    }
}

/// Tells a relay of this process that there is something to send; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Call it after the commit of a transaction that appended.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Sends what the outbox holds to a [`Sink`].
#[derive(Debug)]
pub struct Relay<S> {
    pool: PgPool,
    sink: S,
    options: RelayOptions,
    waker: Waker,
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Sink(#[from] SinkAway),
}

impl<S: Sink> Relay<S> {
    /// A relay of the table `outbox` in the pool's schema.
    pub fn new(pool: PgPool, sink: S, options: RelayOptions) -> Self {
        Self {
            pool,
            sink,
            options,
            waker: Waker::default(),
        }
    }

    /// What wakes this relay.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Sends until `stop`; a delivery in hand is finished and marked.
    pub async fn run(&self, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let pause = match self.pass(&stop).await {
                Ok(taken) if taken == usize::from(self.options.batch_rows_max) => continue,
                Ok(_) => {
                    failures = 0;
                    self.options.poll_every
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "the outbox waits");
                    self.options.away.wait(failures)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
                // While something is away, new messages are no reason to hurry.
                () = self.waker.0.notified(), if failures == 0 => {}
            }
        }
    }

    /// Takes what is due, in order, delivers it and marks what became of it. Answers how many were
    /// taken.
    async fn pass(&self, stop: &CancellationToken) -> Result<usize, PassError> {
        let waiting: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM outbox)")
            .fetch_one(&self.pool)
            .await?;
        if !waiting {
            return Ok(0);
        }
        let mut transaction = self.pool.begin().await?;
        // Held until the transaction ends, so also when this process or its connection dies.
        let alone: bool = sqlx::query_scalar(
            "SELECT pg_try_advisory_xact_lock(hashtext('steelyard.outbox'), 'outbox'::regclass::oid::int)",
        )
        .fetch_one(&mut *transaction)
        .await?;
        if !alone {
            transaction.rollback().await?;
            return Ok(0);
        }
        let due: Vec<Event> = sqlx::query_as(
            "SELECT id, event_id, key, topic, payload, traceparent, attempts
             FROM outbox
             WHERE NOT EXISTS (SELECT FROM outbox held
                               WHERE held.key = outbox.key AND held.retry_at > now())
             ORDER BY id
             LIMIT $1",
        )
        .bind(i64::from(self.options.batch_rows_max))
        .fetch_all(&mut *transaction)
        .await?;
        let taken = due.len();
        let mut outcome = Outcome::default();
        let delivered = self.deliver_in_waves(due, &mut outcome, stop).await;
        self.mark(&mut transaction, &outcome).await?;
        transaction.commit().await?;
        delivered?;
        Ok(taken)
    }

    async fn deliver_in_waves(
        &self,
        due: Vec<Event>,
        outcome: &mut Outcome,
        stop: &CancellationToken,
    ) -> Result<(), SinkAway> {
        let mut held: HashSet<String> = HashSet::new();
        for mut wave in waves(due) {
            if stop.is_cancelled() {
                break;
            }
            wave.retain(|event| !held.contains(&event.key));
            let deliver = self.sink.deliver(&wave);
            let answered = tokio::time::timeout(self.options.deliver_max, deliver).await;
            let deliveries =
                answered.unwrap_or_else(|_| Err(SinkAway("no answer in time".into())))?;
            for (event, delivery) in wave.into_iter().zip(deliveries) {
                match delivery {
                    Delivery::Sent => outcome.sent.push(event.id),
                    Delivery::Failed(reason) => {
                        let Event {
                            event_id,
                            key,
                            topic,
                            attempts,
                            ..
                        } = event;
                        tracing::warn!(%event_id, topic, attempts, reason, "a message was refused");
                        let failures = u32::try_from(attempts).unwrap_or(0) + 1;
                        let wait = self.options.refused.wait(failures);
                        outcome.refused.push((event.id, wait));
                        held.insert(key);
                    }
                }
            }
        }
        Ok(())
    }

    async fn mark(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        outcome: &Outcome,
    ) -> Result<(), sqlx::Error> {
        if !outcome.sent.is_empty() {
            sqlx::query("DELETE FROM outbox WHERE id = ANY($1)")
                .bind(&outcome.sent)
                .execute(&mut **transaction)
                .await?;
            metrics::counter!("outbox_sent_total").increment(outcome.sent.len() as u64);
        }
        if !outcome.refused.is_empty() {
            let ids: Vec<i64> = outcome.refused.iter().map(|(id, _)| *id).collect();
            let waits_ms = outcome.refused.iter().map(|(_, wait)| wait.as_millis());
            let waits_ms: Vec<i64> = waits_ms
                .map(|ms| i64::try_from(ms).unwrap_or(i64::MAX))
                .collect();
            sqlx::query(
                "UPDATE outbox SET attempts = attempts + 1,
                        retry_at = clock_timestamp() + refused.wait_ms * interval '1 ms'
                 FROM unnest($1::bigint[], $2::bigint[]) AS refused (id, wait_ms)
                 WHERE outbox.id = refused.id",
            )
            .bind(&ids)
            .bind(&waits_ms)
            .execute(&mut **transaction)
            .await?;
            metrics::counter!("outbox_refused_total").increment(ids.len() as u64);
        }
        Ok(())
    }
}

/// What became of a pass's messages; those in neither list stay as they are.
#[derive(Debug, Default)]
struct Outcome {
    sent: Vec<i64>,
    refused: Vec<(i64, Duration)>,
}

/// Splits messages so that none shares a wave with another of its key, and those of a key come in
/// their order, wave after wave.
fn waves(due: Vec<Event>) -> Vec<Vec<Event>> {
    let mut earlier: HashMap<String, usize> = HashMap::new();
    let mut waves: Vec<Vec<Event>> = Vec::new();
    for event in due {
        let wave = earlier.entry(event.key.clone()).or_default();
        if *wave == waves.len() {
            waves.push(Vec::new());
        }
        waves[*wave].push(event);
        *wave += 1;
    }
    waves
}

//! The queues and what is needed to look into them.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steelyard_queue::{
    DeadLetters, DeadLettersOptions, Depths, Held, Letter, Producer, ProducerOptions, QueueUrl,
    Transport, TransportError,
};
use steelyard_runtime::http::HttpError;
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

use crate::config::Config;

const CALL_MAX: Duration = Duration::from_secs(5);

/// Whose queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Name {
    /// Commands for the order workers.
    #[default]
    Orders,
    /// Events of which documents are made.
    Documents,
    /// Events for shops' own systems.
    Webhooks,
}

/// A queue with its dead-letter queue.
pub(crate) struct Line {
    pub(super) name: Name,
    pub(super) queue: Gauge,
    pub(super) dead_letters: DeadLetters,
    pub(super) dead: Gauge,
    producer: OnceLock<Producer>,
    make_producer: Box<dyn Fn() -> Producer + Send + Sync>,
    seen: Mutex<Option<Seen>>,
}

/// What the latest look into a dead-letter queue saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// When the oldest letter was parked.
    pub(super) oldest: Option<OffsetDateTime>,
}

/// Every line that this gateway knows.
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    pub(crate) fn new(config: &Config, transport: &Arc<dyn Transport>, orders: &Producer) -> Self {
        let others = [
            (Name::Documents, &config.documents_queue),
            (Name::Webhooks, &config.webhooks_queue),
        ];
        let others = others.into_iter().filter_map(|(name, queue)| {
            let queue = queue.clone()?;
            let dead = dead_letters_of(&queue);
            let (transport, options) = (Arc::clone(transport), config.producer.clone());
            Some(Line::new(name, queue, dead, transport, options, None))
        });
        let dead = config.dead_letters_queue.clone();
        let (queue, options) = (config.orders_queue.clone(), config.producer.clone());
        let producer = Some(orders.clone());
        let transport = Arc::clone(transport);
        let orders = Line::new(Name::Orders, queue, dead, transport, options, producer);
        Self(std::iter::once(orders).chain(others).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Line> {
        self.0.iter()
    }

    /// The line of this name.
    ///
    /// # Errors
    /// 404: this gateway was not told of it.
    pub(super) fn get(&self, name: Name) -> Result<&Line, HttpError> {
        let found = self.0.iter().find(|line| line.name == name);
        found.ok_or_else(|| HttpError::not_found("this gateway knows no such queue"))
    }
}

/// `orders-dead-letters.fifo` for `orders.fifo`.
pub(crate) fn dead_letters_of(queue: &str) -> String {
    match queue.strip_suffix(".fifo") {
        Some(name) => format!("{name}-dead-letters.fifo"),
        None => format!("{queue}-dead-letters"),
    }
}

impl Line {
    fn new(
        name: Name,
        queue: String,
        dead: String,
        transport: Arc<dyn Transport>,
        options: ProducerOptions,
        producer: Option<Producer>,
    ) -> Self {
        let made = OnceLock::new();
        if let Some(producer) = producer {
            made.get_or_init(|| producer);
        }
        let gauge = |queue: &str| Gauge::new(Arc::clone(&transport), queue);
        Self {
            name,
            queue: gauge(&queue),
            dead: gauge(&dead),
            dead_letters: DeadLetters::new(
                Arc::clone(&transport),
                dead,
                DeadLettersOptions::default(),
            ),
            producer: made,
            make_producer: Box::new(move || {
                Producer::start(Arc::clone(&transport), queue.clone(), options.clone())
            }),
            seen: Mutex::default(),
        }
    }

    /// Where its dead letters came from; made when it is first needed.
    pub(super) fn producer(&self) -> &Producer {
        self.producer.get_or_init(|| (self.make_producer)())
    }

    /// Holds the dead letters in reach.
    ///
    /// # Errors
    /// 503 when the queue cannot be asked.
    pub(super) async fn hold(&self) -> Result<Held<'_>, HttpError> {
        let held = self.dead_letters.hold().await;
        let held = held.map_err(|error| queue_away(&error))?;
        let parked = held.letters().iter().filter_map(super::view::parked_at);
        let seen = Seen {
            oldest: parked.min(),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(held)
    }

    /// A copy of one letter; the others, and it, are put back.
    ///
    /// # Errors
    /// 404 when it is not in reach, 503 when the queue cannot be asked.
    pub(super) async fn letter(&self, id: &str) -> Result<Letter, HttpError> {
        let held = self.hold().await?;
        let found = held.letters().iter().find(|letter| letter.id() == id);
        let found = found.cloned();
        let complete = held.is_complete();
        held.put_back().await;
        found.ok_or_else(|| not_in_reach(complete))
    }

    pub(super) fn seen(&self) -> Option<Seen> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 404, with what that means.
pub(super) fn not_in_reach(complete: bool) -> HttpError {
    HttpError::not_found(if complete {
        "there is no dead letter of this id"
    } else {
        "no dead letter of this id is in reach: somebody else may hold it at the moment, or it stands behind ten \
         others of its customer"
    })
}

/// 503: the queue cannot be asked.
pub(super) fn queue_away(error: &TransportError) -> HttpError {
    tracing::warn!(%error, "a queue cannot be asked");
    HttpError::unavailable("queue_unavailable", "the queue cannot be asked", 2)
}

/// How full a queue is, and how fast that changes.
pub(crate) struct Gauge {
    transport: Arc<dyn Transport>,
    name: String,
    url: OnceCell<QueueUrl>,
    /// When it was looked at, and what was there; oldest first.
    samples: Mutex<Vec<(Instant, u64)>>,
}

/// Looks that are remembered …
const SAMPLES_MAX: usize = 8;
/// … if they lie this far apart …
const SAMPLE_APART: Duration = Duration::from_secs(5);
/// … and not longer ago than this.
const SAMPLE_AGE_MAX: Duration = Duration::from_secs(180);

impl Gauge {
    pub(super) fn new(transport: Arc<dyn Transport>, name: &str) -> Self {
        Self {
            transport,
            name: name.to_owned(),
            url: OnceCell::new(),
            samples: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn depths(&self) -> Result<Depths, TransportError> {
        let ask = async {
            let url = self
                .url
                .get_or_try_init(|| self.transport.queue_url(&self.name));
            self.transport.depths(url.await?).await
        };
        let asked = timeout(CALL_MAX, ask).await;
        let depths = asked.unwrap_or_else(|_elapsed| {
            Err(TransportError::Timeout("no answer in time".to_owned()))
        })?;
        self.remember(total(depths));
        Ok(depths)
    }

    fn remember(&self, depth: u64) {
        let now = Instant::now();
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.retain(|(at, _)| *at + SAMPLE_AGE_MAX > now);
        if samples
            .last()
            .is_none_or(|(at, _)| *at + SAMPLE_APART <= now)
        {
            samples.push((now, depth));
        }
        if samples.len() > SAMPLES_MAX {
            samples.remove(0);
        }
    }

    /// Messages by which it grew per minute (shrank, if negative) over the last looks; unknown without two of them.
    pub(super) fn growth_per_min(&self) -> Option<i64> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let ((from, before), (to, after)) = (samples.first()?, samples.last()?);
        let ms = i64::try_from(to.duration_since(*from).as_millis()).ok()?;
        let grown = i64::try_from(*after).ok()? - i64::try_from(*before).ok()?;
        (ms > 0).then(|| grown.saturating_mul(60_000) / ms)
    }
}

/// Everything that is in a queue.
pub(super) const fn total(depths: Depths) -> u64 {
    depths.visible + depths.in_flight + depths.delayed
}

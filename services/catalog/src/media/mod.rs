//! Product images: uploaded straight to S3, checked, and made into renditions that a CDN delivers.
//!
//! ```text
//! POST …/images ─► row `pending`, presigned PUT (type and size signed)
//! PUT to S3     ─► uploads/{id}
//! …/complete    ─► row `processing`, message to the queue
//! worker        ─► sniffs, bounds, decodes, scales ─► images/{id}/{width}-{hash}.webp, .avif ─► row `ready` or `refused`
//! sweep         ─► announces again what no message came for; removes what nobody completed, refused and removed ones
//! ```
//!
//! The row is the truth; messages are reminders. A message that is lost is sent again by the sweep, one that
//! comes twice finds the row settled.
//!
//! **Invariant:** nothing that was uploaded is ever delivered: what a CDN serves was encoded here, from pixels. Metadata
//! (GPS, comments, colour profiles) goes no further.
//!
//! **Invariant:** the size of an upload is bounded before it is stored, its pixels before they are decoded, and the
//! work on it in time and in number, on threads of its own.
//!
//! **Invariant:** a key under `images/` never changes its bytes: it holds their hash, and may be cached for ever.

mod config;
mod http;
mod render;
mod rows;
mod shown;
mod sweep;
mod task;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use steelyard_objects::Bucket;
use steelyard_queue::{
    Backoff, Consumer, ConsumerOptions, Producer, ProducerOptions, SqsTransport, Tap, Transport,
};
use steelyard_runtime::protection::TaskAgent;
use steelyard_status::ProductNews;
use steelyard_store::Database;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::events::Events;

pub use config::MediaConfig;
pub(crate) use config::{POLL_WAIT, RENDER_MAX};
pub(crate) use http::routes;
pub(crate) use sweep::Sweep;
use worker::Worker;

/// How long an upload may be begun after it was announced.
const UPLOAD_TTL: Duration = Duration::from_mins(15);
/// The breaker of Postgres.
const POSTGRES: &str = "postgres";
/// The breaker of S3.
const S3: &str = "s3";

/// What requests and the worker share; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    bucket: Bucket,
    /// Without a slash at its end.
    base_url: Arc<str>,
    tasks: Producer,
    database: Database,
    /// For reads: they never wait for connections that changes have.
    reads: PgPool,
    /// Who is told of products whose images are others now: queues,
    events: Events,
    /// and gateways.
    news: Option<ProductNews>,
}

/// The module's parts, to be run by the service.
pub(crate) struct Parts {
    pub(crate) media: Media,
    pub(crate) consumer: Option<Consumer<Worker>>,
    pub(crate) sweep: Sweep,
    agent: Option<TaskAgent>,
}

impl Parts {
    /// What the worker waits for, for `/readyz`: not a reason to be unready, since requests are taken all the same.
    pub(crate) fn waits_for(
        &self,
    ) -> Option<impl Fn() -> Result<(), String> + Send + Sync + use<>> {
        let worker = self.consumer.as_ref().map(Consumer::handle)?;
        Some(move || {
            let closed = worker.health().paused_by;
            let reasons = closed
                .iter()
                .map(|closed| format!("waits for {}: {}", closed.dependency, closed.why));
            let reasons: Vec<String> = reasons.collect();
            if reasons.is_empty() {
                Ok(())
            } else {
                Err(reasons.join("; "))
            }
        })
    }

    /// Works and sweeps until `stop`, and finishes what is in hand.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let worker = self.consumer.as_ref().map(Consumer::handle);
        let spare = async {
            if let (Some(agent), Some(worker)) = (self.agent, worker) {
                let is_busy = || worker.health().in_hand > 0;
                agent.keep(is_busy, stop.clone()).await;
            }
        };
        let work = async {
            let Some(consumer) = self.consumer else {
                return;
            };
            // Until the schema is there, nothing can be settled: receive nothing.
            let ready = self.media.database.ready();
            if stop.run_until_cancelled(ready).await.is_some() {
                let report = consumer.run(stop.clone()).await;
                tracing::info!(?report, "the images' worker stopped");
            }
        };
        tokio::join!(work, spare, self.sweep.run(stop.clone()));
    }
}

/// Prepares everything. Nothing is connected yet.
pub(crate) async fn start(
    config: &MediaConfig,
    database: &Database,
    reads: &PgPool,
    events: Events,
    news: Option<ProductNews>,
) -> Parts {
    let bucket = Bucket::connect(config.s3.clone(), config.bucket.clone()).await;
    let transport: Arc<dyn Transport> = Arc::new(SqsTransport::connect(config.sqs.clone()).await);
    let options = ProducerOptions {
        // A request waits for it, and the sweep sends what was not sent.
        send_timeout: Duration::from_secs(3),
        ..ProducerOptions::default()
    };
    let tasks = Producer::start(Arc::clone(&transport), config.queue.clone(), options);
    let media = Media {
        bucket,
        base_url: config.base_url.trim_end_matches('/').into(),
        tasks,
        database: database.clone(),
        reads: reads.clone(),
        events,
        news,
    };
    let consumer = (config.renders_max > 0).then(|| {
        let worker = Worker {
            media: media.clone(),
            tap: tap(&media),
            render_max: config.render_max,
            threads: Arc::new(Semaphore::new(config.renders_max)),
        };
        let tap = worker.tap.clone();
        Consumer::builder(transport, config.queue.as_str(), worker)
            .dead_letters(config.dead_letters_queue.as_str())
            .tap(tap)
            .options(consumer_options(
                config.renders_max,
                config.render_max,
                config.poll_wait,
            ))
            .build()
    });
    let sweep = Sweep::new(media.clone(), config.sweep_every);
    Parts {
        media,
        consumer,
        sweep,
        agent: config.agent.clone(),
    }
}

fn tap(media: &Media) -> Tap {
    let (bucket, database) = (media.bucket.clone(), media.database.clone());
    Tap::new()
        .with_probe(S3, move || {
            let bucket = bucket.clone();
            async move { bucket.is_well().await }
        })
        .with_probe(POSTGRES, move || {
            let database = database.clone();
            async move { rows::can_write(database.pool()).await }
        })
}

/// How a worker that renders so many images at once receives.
pub(crate) fn consumer_options(
    renders_max: usize,
    render_max: Duration,
    poll_wait: Duration,
) -> ConsumerOptions {
    ConsumerOptions {
        poll_wait,
        polls_max: 1,
        // One poll's worth; what waits for a thread is kept by heartbeats.
        in_hand_max: 10,
        set_messages_max: 1,
        sets_in_flight_max: renders_max,
        window_messages_min: renders_max,
        set_slow_after: render_max,
        set_linger_max: Duration::ZERO,
        backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        stop_polls_max: poll_wait + Duration::from_secs(1),
        ..ConsumerOptions::default()
    }
}

/// Where an upload lies.
fn upload_key(id: uuid::Uuid) -> String {
    format!("uploads/{id}")
}

/// Where an image's renditions lie.
fn renditions_prefix(id: uuid::Uuid) -> String {
    format!("images/{id}/")
}

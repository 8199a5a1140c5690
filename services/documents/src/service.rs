//! The service as a whole: open, work, stop.

use std::io;
use std::time::Duration;

use sqlx::PgPool;
use steelyard_objects::{Bucket, S3Config};
use steelyard_queue::{Consumer, ConsumerOptions, Handle, SqsTransport};
use steelyard_runtime::config::Secret;
use steelyard_runtime::http::{Doors, Health, Listen, OpenError};
use steelyard_runtime::protection::TaskAgent;
use steelyard_runtime::telemetry::Metrics;
use steelyard_store::{Database, InvalidUrl, MigrateError, PoolOptions, connect};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::archive::Archive;
use crate::bundle::{Bundles, Jobs};
use crate::config::{Config, Issuing, Limits};
use crate::db::{self, months};
use crate::http;
use crate::theme::Themes;
use crate::worker::{NO_THEME, Printer, THEME, Worker, guarded_tap};

/// How long requests in hand may take after the stop.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(12);
/// The worker is alive if a poll succeeded within this time.
const POLL_AGE_MAX: Duration = Duration::from_secs(80);
/// How often it is seen to that the next months have their partitions.
const MONTHS_EVERY: Duration = Duration::from_hours(6);
/// The same after it failed.
const MONTHS_AGAIN: Duration = Duration::from_secs(60);

pub(crate) fn consumer_options(limits: &Limits) -> ConsumerOptions {
    ConsumerOptions {
        set_messages_max: limits.set_messages_max,
        sets_in_flight_max: limits.sets_in_flight_max,
        visibility: limits.visibility,
        poll_wait: limits.poll_wait,
        // The open poll ends by itself, and a little more.
        stop_polls_max: limits.poll_wait + Duration::from_secs(1),
        ..ConsumerOptions::default()
    }
}

/// Why the service cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `DATABASE_URL` cannot be used.
    #[error("DATABASE_URL: {0}")]
    Database(#[from] InvalidUrl),
    /// A listener could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A listener broke.
    #[error("the listener broke: {0}")]
    Serve(#[from] io::Error),
    /// The schema is not as this release needs it.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

/// What the service is given to run with.
#[derive(Debug)]
pub struct Deps {
    doors: Doors,
    metrics: Metrics,
    database: Database,
    queries: PgPool,
    bucket: Bucket,
    public: Bucket,
    archive: Archive,
    service_token: Secret,
    agent: Option<TaskAgent>,
    desk: Option<Desk>,
}

/// What documents are issued with, ready.
#[derive(Debug)]
struct Desk {
    issuing: Issuing,
    themes: Themes,
    printer: Printer,
}

impl Desk {
    async fn open(issuing: &Issuing, s3: &S3Config) -> Self {
        let printer = Printer::default();
        let mut themes = Box::pin(Themes::new(&issuing.theme, s3.clone(), printer.clone())).await;
        // One that may be away is waited for behind the tap, and not here.
        if !themes.is_far() {
            themes.look().await;
        }
        Self {
            issuing: issuing.clone(),
            themes,
            printer,
        }
    }

    async fn consumer(self, pool: &PgPool, bucket: &Bucket) -> (Consumer<Worker>, Themes) {
        let Self {
            issuing,
            themes,
            printer,
        } = self;
        let tap = guarded_tap(pool.clone(), bucket.clone(), printer.clone());
        if printer.press().is_none() {
            tap.close(THEME, NO_THEME);
        }
        let worker = Worker {
            pool: pool.clone(),
            shop: issuing.shop,
            printer,
            bucket: bucket.clone(),
            tap: tap.clone(),
        };
        let transport = std::sync::Arc::new(SqsTransport::connect(issuing.sqs).await);
        let consumer = Consumer::builder(transport, issuing.queue.as_str(), worker)
            .dead_letters(issuing.dead_letters_queue.as_str())
            .tap(tap)
            .options(consumer_options(&issuing.limits))
            .build();
        (consumer, themes)
    }
}

impl Deps {
    /// The real parts. Postgres, S3 and SQS may be away.
    ///
    /// # Errors
    /// A listener that cannot be opened, a URL that is none.
    pub async fn connect(config: &Config, metrics: Metrics) -> Result<Self, Error> {
        let options = PoolOptions {
            connections_max: config.database_connections_max,
            ..PoolOptions::new("documents")
        };
        let database = Database::new(config.database_url.expose(), &options, db::migrations())?;
        let options = PoolOptions {
            application_name: "documents-queries",
            // The tables have a partition a month, for years.
            plans_are_kept: true,
            ..options
        };
        let queries = connect(config.database_url.expose(), &options)?;
        // On the heap once, instead of in every caller's future.
        let bucket = Box::pin(Bucket::connect(config.s3.clone(), &config.bucket)).await;
        Ok(Self {
            doors: Doors::open(&config.listen).await?,
            metrics,
            database,
            archive: Archive::new(queries.clone(), bucket.clone(), config.archive.clone()),
            queries,
            bucket,
            public: Box::pin(Bucket::connect(config.s3_public(), &config.bucket)).await,
            service_token: config.service_token.clone(),
            agent: config.agent.clone(),
            desk: match &config.issuing {
                Some(issuing) => Some(Box::pin(Desk::open(issuing, &config.s3)).await),
                None => None,
            },
        })
    }

    /// Where it listens (a port 0 has become a number).
    #[must_use]
    pub const fn addrs(&self) -> Listen {
        self.doors.addrs()
    }
}

/// Issues and serves until `stop`.
///
/// # Errors
/// When a listener breaks or the schema does not fit.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), Error> {
    // On the heap once, instead of in every caller's future.
    Box::pin(work(deps, stop)).await
}

async fn work(deps: Deps, stop: CancellationToken) -> Result<(), Error> {
    let Deps {
        doors,
        metrics,
        database,
        queries,
        bucket,
        public,
        archive,
        service_token,
        agent,
        desk,
    } = deps;
    tracing::info!(api = %doors.addrs().api, admin = %doors.addrs().admin, "serving");
    let (consumer, themes) = match desk {
        Some(desk) => Some(Box::pin(desk.consumer(database.pool(), &bucket)).await).unzip(),
        None => {
            tracing::warn!("SHOP is not set: no documents are issued");
            (None, None)
        }
    };
    let bundles = Bundles::new(queries.clone(), bucket.clone(), archive.clone());
    let jobs = Jobs::new(bundles.clone(), database.clone());
    let app = http::App {
        database: database.clone(),
        queries: queries.clone(),
        public,
        archive,
        bundles,
    };
    let routes = http::routes(app, service_token);
    let worker = consumer.as_ref().map(Consumer::handle);
    let health = health(&database, worker.clone());
    let (worked, served) = (CancellationToken::new(), CancellationToken::new());
    let issue = async {
        // Until the schema is there, nothing can be issued: receive nothing.
        if let Some(consumer) = consumer
            && stop.run_until_cancelled(database.ready()).await.is_some()
        {
            let report = consumer.run(stop.clone()).await;
            tracing::info!(?report, "the worker stopped");
        }
        stop.cancelled().await;
        worked.cancel();
        Ok::<(), Error>(())
    };
    let serve = async {
        let result = doors
            .serve(routes, health, metrics, worked.clone(), DRAIN_MAX)
            .await;
        served.cancel();
        result.map_err(Error::from)
    };
    let keep = async {
        // It ends with the stop only.
        stop.run_until_cancelled(keep_months(&database)).await;
        Ok::<(), Error>(())
    };
    let refresh = async {
        if let Some(themes) = themes {
            stop.run_until_cancelled(Box::pin(themes.keep())).await;
        }
        Ok::<(), Error>(())
    };
    let bundle = async {
        jobs.run(&stop).await;
        Ok::<(), Error>(())
    };
    let spare = async {
        if let Some(agent) = agent {
            let issues = || {
                worker
                    .as_ref()
                    .is_some_and(|worker| worker.health().in_hand > 0)
            };
            let is_busy = || issues() || jobs.is_making();
            agent.keep(is_busy, stop.clone()).await;
        }
        Ok::<(), Error>(())
    };
    let tend = async { database.tend(served.clone()).await.map_err(Error::from) };
    tokio::try_join!(issue, spare, serve, keep, refresh, bundle, tend)?;
    queries.close().await;
    database.pool().close().await;
    Ok(())
}

/// Makes the partitions of the months to come, before they come.
async fn keep_months(database: &Database) {
    loop {
        database.ready().await;
        let pool = database.pool();
        let kept = async {
            months::make_ahead(pool, OffsetDateTime::now_utc().date()).await?;
            months::strays(pool).await
        };
        let pause = match kept.await {
            Ok(strays) => {
                metrics::gauge!("documents_outside_months").set(strays as f64);
                MONTHS_EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "the partitions of the next months cannot be made yet");
                MONTHS_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

fn health(database: &Database, worker: Option<Handle>) -> Health {
    let known = database.clone();
    let health = Health::new().ready("postgres", move || known.check());
    match worker {
        Some(worker) => with_worker(health, database.clone(), worker),
        None => health,
    }
}

fn with_worker(health: Health, database: Database, worker: Handle) -> Health {
    let waiting = worker.clone();
    health
        .whole("worker", move || {
            let reasons: Vec<String> = waiting
                .health()
                .paused_by
                .iter()
                .map(|closed| format!("waits for {}: {}", closed.dependency, closed.why))
                .collect();
            if reasons.is_empty() {
                Ok(())
            } else {
                Err(reasons.join("; "))
            }
        })
        .live("worker", move || {
            let health = worker.health();
            // Before the schema is there it does not poll, on purpose.
            if !database.is_migrated() || health.is_live(POLL_AGE_MAX) {
                return Ok(());
            }
            let age = health.last_good_poll_age.unwrap_or(health.running_for);
            Err(format!("no poll has succeeded for {} s", age.as_secs()))
        })
}

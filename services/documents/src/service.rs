//! The service as a whole: open, work, stop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use steelyard_paper::{Press, RenderError};
use steelyard_queue::{Consumer, ConsumerOptions, Handle, SqsTransport};
use steelyard_runtime::contract::{Needs, Ports, Service};
use steelyard_runtime::http::{Doors, Health, OpenError, envelope};
use steelyard_runtime::telemetry::{self, Metrics};
use steelyard_store::{Database, InvalidUrl, MigrateError, PoolOptions};
use tokio_util::sync::CancellationToken;

use crate::config::{ADMIN_PORT, Config, Issuing, Limits, PORT};
use crate::db;
use crate::files::{Files, Folder};
use crate::worker::{Printer, Worker, guarded_tap};

const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long requests in hand may take after the stop.
const DRAIN_MAX: Duration = Duration::from_secs(12);
/// The worker is alive if a poll succeeded within this time.
const POLL_AGE_MAX: Duration = Duration::from_secs(80);

/// The service, as its `main` and those who deploy it know it. Where `SHOP` is not set it needs no queue and no schema.
pub const SERVICE: Service = Service {
    name: "documents",
    ports: Ports {
        api: PORT,
        admin: ADMIN_PORT,
    },
    read: |env| drop(Config::from_env(env)),
    needs: || Needs {
        stop_seconds_max: stop_max(&consumer_options(&Limits::default())).as_secs(),
        ..Needs::default()
    },
};

/// The worker, then requests, then telemetry.
fn stop_max(consumer: &ConsumerOptions) -> Duration {
    let worker = consumer.stop_polls_max
        + consumer.stop_drain_max
        + consumer.cancel_grace
        + consumer.stop_flush_max;
    worker + DRAIN_MAX + telemetry::FLUSH_MAX
}

fn consumer_options(limits: &Limits) -> ConsumerOptions {
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
    /// The theme's fonts cannot be used.
    #[error("THEME: {0}")]
    Theme(#[from] RenderError),
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
    /// The open listeners.
    pub doors: Doors,
    /// The process's metrics.
    pub metrics: Metrics,
    /// What documents are issued with.
    pub issuing: Option<Desk>,
}

/// What documents are issued with, ready.
#[derive(Debug)]
pub struct Desk {
    config: Issuing,
    database: Database,
    printer: Printer,
    /// Where files go.
    pub files: Arc<dyn Files>,
}

impl Desk {
    fn open(config: &Issuing) -> Result<Self, Error> {
        let options = PoolOptions {
            connections_max: config.database_connections_max,
            ..PoolOptions::new("documents")
        };
        Ok(Self {
            database: Database::new(config.database_url.expose(), &options, db::migrations())?,
            printer: Printer::new(Press::new(config.theme.clone())?),
            files: Arc::new(Folder::new(&config.folder)),
            config: config.clone(),
        })
    }

    async fn consumer(&self) -> Consumer<Worker> {
        let Self {
            config,
            database,
            printer,
            files,
        } = self;
        let tap = guarded_tap(database.pool().clone(), Arc::clone(files));
        let worker = Worker {
            pool: database.pool().clone(),
            shop: config.shop.clone(),
            printer: printer.clone(),
            files: Arc::clone(files),
            tap: tap.clone(),
        };
        let options = consumer_options(&config.limits);
        let transport = Arc::new(SqsTransport::connect(config.sqs.clone()).await);
        Consumer::builder(transport, config.queue.as_str(), worker)
            .dead_letters(config.dead_letters_queue.as_str())
            .tap(tap)
            .options(options)
            .build()
    }
}

impl Deps {
    /// The real parts.
    ///
    /// # Errors
    /// A listener that cannot be opened, a URL that is none, a font that cannot be used.
    pub async fn connect(config: &Config, metrics: Metrics) -> Result<Self, Error> {
        Ok(Self {
            doors: Doors::open(&config.listen).await?,
            metrics,
            issuing: config.issuing.as_ref().map(Desk::open).transpose()?,
        })
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
        issuing,
    } = deps;
    tracing::info!(api = %doors.addrs().api, admin = %doors.addrs().admin, "serving");
    let routes = envelope(Router::new(), BODY_BYTES_MAX);
    let Some(desk) = issuing else {
        tracing::warn!("SHOP is not set: no documents are issued");
        let health = Health::new();
        return Ok(doors
            .serve(routes, health, metrics, stop, DRAIN_MAX)
            .await?);
    };
    let consumer = desk.consumer().await;
    let database = &desk.database;
    let health = health(database, consumer.handle());
    let (worked, served) = (CancellationToken::new(), CancellationToken::new());
    let issue = async {
        // Until the schema is there, nothing can be issued: receive nothing.
        if stop.run_until_cancelled(database.ready()).await.is_some() {
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
    let tend = async { database.tend(served.clone()).await.map_err(Error::from) };
    tokio::try_join!(issue, serve, tend)?;
    database.pool().close().await;
    Ok(())
}

fn health(database: &Database, worker: Handle) -> Health {
    let (known, migrated) = (database.clone(), database.clone());
    let waiting = worker.clone();
    Health::new()
        .ready("postgres", move || known.check())
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
            if !migrated.is_migrated() || health.is_live(POLL_AGE_MAX) {
                return Ok(());
            }
            let age = health.last_good_poll_age.unwrap_or(health.running_for);
            Err(format!("no poll has succeeded for {} s", age.as_secs()))
        })
}

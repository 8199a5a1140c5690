//! The service as a whole: open, work, stop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use steelyard_queue::{Consumer, ConsumerOptions, Handle, SqsTransport, Transport};
use steelyard_runtime::client::Internal;
use steelyard_runtime::http::{Doors, Health, Listen, OpenError};
use steelyard_runtime::telemetry::Metrics;
use steelyard_sequence::{LeaseError, LeaseOptions, Leases};
use steelyard_status::{Publisher, Redis};
use steelyard_store::outbox::{Relay, RelayOptions};
use steelyard_store::{Database, InvalidUrl, MigrateError, PoolOptions, connect};
use tokio_util::sync::CancellationToken;

use crate::catalog::{CALL_MAX, Catalog};
use crate::config::{Config, Limits};
use crate::ops::{Known, Observed, Pulse, Steer};
use crate::relay::Queues;
use crate::worker::{Turns, Worker, guarded_tap};
use crate::{db, http};

/// How long requests in hand may take after the stop.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(12);
/// The worker is alive if a poll succeeded within this time: the poll's own wait, and a minute in
/// which its hands may be full.
const POLL_AGE_MAX: Duration = Duration::from_secs(80);

/// Why the service cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `DATABASE_URL` or `DATABASE_READER_URL` cannot be used.
    #[error("DATABASE_URL or DATABASE_READER_URL: {0}")]
    Database(#[from] InvalidUrl),
    /// `REDIS_URL` cannot be used.
    #[error("REDIS_URL: {0}")]
    Redis(#[from] steelyard_status::Error),
    /// `REDIS_URL` cannot be used for leases.
    #[error("REDIS_URL: {0}")]
    Leases(#[from] LeaseError),
    /// The TLS set-up of this machine cannot be used.
    #[error("calls to catalog cannot be made: {0}")]
    Client(String),
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

/// The orders service with its listeners open.
#[derive(Debug)]
pub struct Orders {
    doors: Doors,
    config: Config,
    database: Database,
    queries: PgPool,
    reader: Option<PgPool>,
}

impl Orders {
    /// Opens the listeners. Everything else may be away.
    ///
    /// # Errors
    /// An address that cannot be had, or a URL that is none.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let options = PoolOptions {
            connections_max: config.database_connections_max,
            ..PoolOptions::new("orders")
        };
        let database = Database::new(config.database_url.expose(), &options, db::migrations())?;
        let options = PoolOptions {
            application_name: "orders-queries",
            ..options
        };
        let queries = connect(config.database_url.expose(), &options)?;
        let reader = config.database_reader_url.as_ref();
        let reader = reader
            .map(|url| connect(url.expose(), &options))
            .transpose()?;
        Ok(Self {
            doors: Doors::open(&config.listen).await?,
            config,
            database,
            queries,
            reader,
        })
    }

    /// Where it listens (a port 0 has become a number).
    #[must_use]
    pub const fn addrs(&self) -> Listen {
        self.doors.addrs()
    }

    /// Works until `stop`: then takes no more, finishes what is in hand within limits, and answers
    /// queries until that is done.
    ///
    /// # Errors
    /// A migration that does not fit, a listener that breaks, or a setting that only shows to be
    /// wrong in use.
    pub async fn run(self, metrics: Metrics, stop: CancellationToken) -> Result<(), Error> {
        // On the heap once, instead of in every caller's future.
        Box::pin(self.work(metrics, stop)).await
    }

    async fn work(self, metrics: Metrics, stop: CancellationToken) -> Result<(), Error> {
        let Self {
            doors,
            config,
            database,
            queries,
            reader,
        } = self;
        let transport: Arc<dyn Transport> =
            Arc::new(SqsTransport::connect(config.sqs.clone()).await);
        let relay = relay(&config, &database, &transport);
        let catalog = catalog(&config)?;
        let (consumer, steer) = if config.roles.worker {
            let (consumer, steer) = consumer(&config, &database, &transport, &relay, &catalog)?;
            (Some(consumer), Some(Arc::new(steer)))
        } else {
            (None, None)
        };
        let known = steer.clone().map(Known::new);
        let worker = consumer.as_ref().map(Consumer::handle);
        let health = health(&database, worker.clone());
        let app = http::App {
            database: database.clone(),
            queries,
            reader,
            catalog,
            tax: config.tax.clone(),
            issuer: config.issuer.clone(),
            known,
        };
        let routes = if config.roles.api {
            http::routes(app, config.service_token.clone())
        } else {
            http::no_routes()
        };

        // The stop goes through in this order: consumer, relay, listeners, database.
        let worked = CancellationToken::new();
        let sent = CancellationToken::new();
        let served = CancellationToken::new();
        let work = async {
            if let Some(consumer) = consumer {
                // Until the schema is there, nothing can be settled, and until the maintenance
                // state is known, nothing may be: receive nothing.
                let heard = async {
                    database.ready().await;
                    if let Some(steer) = &steer {
                        steer.heard().await;
                    }
                };
                if stop.run_until_cancelled(heard).await.is_some() {
                    let report = consumer.run(stop.clone()).await;
                    tracing::info!(?report, "the worker stopped");
                }
            }
            stop.cancelled().await;
            worked.cancel();
            Ok(())
        };
        let send = async {
            if config.roles.relay && worked.run_until_cancelled(database.ready()).await.is_some() {
                relay.run(worked.clone()).await;
            }
            worked.cancelled().await;
            sent.cancel();
            Ok(())
        };
        let serve = async {
            let result = doors
                .serve(routes, health, metrics, sent.clone(), DRAIN_MAX)
                .await;
            served.cancel();
            result.map_err(Error::from)
        };
        let spare = async {
            if let (Some(agent), Some(worker)) = (&config.agent, &worker) {
                let is_busy = || worker.health().in_hand > 0;
                agent.keep(is_busy, stop.clone()).await;
            }
            Ok(())
        };
        let steered = async {
            if let Some(steer) = &steer {
                steer.run(worked.clone()).await;
            }
            Ok(())
        };
        let tend = async { database.tend(served.clone()).await.map_err(Error::from) };
        tokio::try_join!(work, spare, steered, send, serve, tend)?;
        database.pool().close().await;
        Ok(())
    }
}

fn relay(config: &Config, database: &Database, transport: &Arc<dyn Transport>) -> Relay<Queues> {
    // A process without the role neither looks the queues up nor sends.
    let if_relay = |queue: &Option<String>| queue.clone().filter(|_| config.roles.relay);
    let documents = if_relay(&config.documents_queue);
    let webhooks = if_relay(&config.webhooks_queue);
    let queues = Queues::start(transport, documents.as_deref(), webhooks.as_deref());
    Relay::new(database.pool().clone(), queues, RelayOptions::default())
}

fn consumer(
    config: &Config,
    database: &Database,
    transport: &Arc<dyn Transport>,
    relay: &Relay<Queues>,
    catalog: &Catalog,
) -> Result<(Consumer<Observed<Worker>>, Steer), Error> {
    let redis = config.redis_url.expose();
    let turns = Turns::new(Leases::connect(
        redis,
        lease_options(config.limits.lease_ttl),
    )?);
    let tap = guarded_tap(database.pool().clone(), turns.clone(), catalog.clone());
    let worker = Worker {
        pool: database.pool().clone(),
        catalog: catalog.clone(),
        turns,
        publisher: Publisher::new(Redis::new(redis)?),
        tap: tap.clone(),
        tax: config.tax.clone(),
        issuer: config.issuer.clone(),
        relay: relay.waker(),
    };
    let options = consumer_options(&config.limits);
    let queue = config.orders_queue.as_str();
    let pulse = Arc::<Pulse>::default();
    let worker = Observed::new(worker, Arc::clone(&pulse));
    let consumer = Consumer::builder(Arc::clone(transport), queue, worker)
        .dead_letters(config.dead_letters_queue.as_str())
        .tap(tap.clone())
        .options(options)
        .build();
    let steer = Steer::new(database.clone(), tap, consumer.handle(), pulse);
    Ok((consumer, steer))
}

/// The consumer's limits under these settings.
pub(crate) fn consumer_options(limits: &Limits) -> ConsumerOptions {
    ConsumerOptions {
        set_messages_max: limits.set_messages_max,
        sets_in_flight_max: limits.sets_in_flight_max,
        in_hand_max: limits.in_hand_max,
        visibility: limits.visibility,
        poll_wait: limits.poll_wait,
        // The open poll ends by itself, and a little more.
        stop_polls_max: limits.poll_wait + Duration::from_secs(1),
        ..ConsumerOptions::default()
    }
}

/// A call may take a tenth of the lease's time, as [`LeaseOptions::call_timeout`] asks.
fn lease_options(ttl: Duration) -> LeaseOptions {
    let default = LeaseOptions::default();
    LeaseOptions {
        ttl,
        call_timeout: default.call_timeout.min(ttl / 10),
        ..default
    }
}

fn catalog(config: &Config) -> Result<Catalog, Error> {
    let (url, token) = (config.catalog_url.clone(), config.service_token.clone());
    let http = Internal::new("catalog", url, token, CALL_MAX)
        .map_err(|error| Error::Client(error.to_string()))?;
    Ok(Catalog::new(&http))
}

fn health(database: &Database, worker: Option<Handle>) -> Health {
    let known = database.clone();
    let health = Health::new().ready("postgres", move || known.check());
    let Some(worker) = worker else { return health };
    let (waiting, migrated) = (worker.clone(), database.clone());
    // Not `ready`: queries are answered all the same, and nobody could take over what waits for Redis.
    let health = health.whole("worker", move || {
        let paused_by = waiting.health().paused_by;
        let reasons = paused_by.iter().map(|closed| {
            let seconds = closed.since.elapsed().as_secs();
            format!(
                "waits for {} since {seconds} s: {}",
                closed.dependency, closed.why
            )
        });
        let reasons: Vec<String> = reasons.collect();
        if reasons.is_empty() {
            Ok(())
        } else {
            Err(reasons.join("; "))
        }
    });
    health.live("worker", move || {
        let health = worker.health();
        // Before the schema is there it does not poll, on purpose.
        if !migrated.is_migrated() || health.is_live(POLL_AGE_MAX) {
            return Ok(());
        }
        let age = health.last_good_poll_age.unwrap_or(health.running_for);
        Err(format!("no poll has succeeded for {} s", age.as_secs()))
    })
}

/// [`Orders::open`] and [`Orders::run`].
///
/// # Errors
/// See [`Error`].
pub async fn run(config: Config, metrics: Metrics, stop: CancellationToken) -> Result<(), Error> {
    Orders::open(config).await?.run(metrics, stop).await
}

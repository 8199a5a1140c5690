//! The service as a whole: open, serve, stop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::migrate::Migrator;
use steelyard_queue::{SqsTransport, Transport};
use steelyard_runtime::client::Internal;
use steelyard_runtime::http::{Doors, Health, Listen, OpenError};
use steelyard_runtime::telemetry::Metrics;
use steelyard_status::{ProductNews, Redis};
use steelyard_store::outbox::{self, Relay, RelayOptions};
use steelyard_store::{Database, InvalidUrl, MigrateError, PoolOptions, connect, migrator};
use tokio_util::sync::CancellationToken;

use crate::chores::{Reconcile, keep_fresh};
use crate::config::Config;
use crate::events::{Events, Queue};
use crate::http::{App, Shared, routes};
use crate::media::{self, Parts};
use crate::reservations::Desk;

/// How long requests in hand may take after the stop; an import that takes longer is cut off, and
/// sending it again finishes it.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(20);
/// How long orders may take to say which orders it has.
const ORDERS_MAX: Duration = Duration::from_secs(10);
/// Transactions that reserve at a time, at most: fewer when there are fewer than twice as many connections.
const RESERVING_MAX: u32 = 4;

/// Why the catalog cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `DATABASE_URL` cannot be used.
    #[error("DATABASE_URL: {0}")]
    Url(#[from] InvalidUrl),
    /// `REDIS_URL` cannot be used.
    #[error("REDIS_URL: {0}")]
    Redis(#[from] steelyard_status::Error),
    /// The TLS set-up of this machine cannot be used.
    #[error("calls to orders cannot be made: {0}")]
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

/// The catalog with its listeners open: who connects now is answered once it runs.
#[derive(Debug)]
pub struct Catalog {
    doors: Doors,
    database: Database,
    reads: PgPool,
    news: Option<ProductNews>,
    /// On the heap: it would make every future large that holds a catalog.
    config: Box<Config>,
}

/// All migrations of the schema.
pub(crate) fn migrations() -> Migrator {
    migrator([
        (1, "catalog", include_str!("../migrations/0001_catalog.sql")),
        (2, "shop", include_str!("../migrations/0002_shop.sql")),
        (3, "imports", include_str!("../migrations/0003_imports.sql")),
        (4, "search", include_str!("../migrations/0004_search.sql")),
        (
            5,
            "unsettled",
            include_str!("../migrations/0005_unsettled.sql"),
        ),
        (6, "outbox", outbox::DDL),
        (7, "media", include_str!("../migrations/0007_media.sql")),
        (8, "listed", include_str!("../migrations/0008_listed.sql")),
        (
            9,
            "lists_and_sample",
            include_str!("../migrations/0009_lists_and_sample.sql"),
        ),
        (10, "parts", include_str!("../migrations/0010_parts.sql")),
    ])
}

impl Catalog {
    /// Opens the listeners. Postgres may be away.
    ///
    /// # Errors
    /// An address that cannot be had, or a URL that is none.
    pub async fn open(config: &Config) -> Result<Self, Error> {
        let options = PoolOptions {
            connections_max: config.database_connections_max,
            ..PoolOptions::new("catalog")
        };
        let url = config.database_url.expose();
        let database = Database::new(url, &options, migrations())?;
        let options = PoolOptions {
            application_name: "catalog-reads",
            ..options
        };
        let redis = config.redis_url.as_ref();
        let redis = redis.map(|url| Redis::new(url.expose())).transpose()?;
        Ok(Self {
            doors: Doors::open(&config.listen).await?,
            database,
            reads: connect(url, &options)?,
            news: redis.map(ProductNews::start),
            config: Box::new(config.clone()),
        })
    }

    /// Where it listens (a port 0 has become a number).
    #[must_use]
    pub const fn addrs(&self) -> Listen {
        self.doors.addrs()
    }

    /// Migrates the schema and serves until `stop`. Ready when Postgres is.
    ///
    /// # Errors
    /// A migration that does not fit, or a listener that breaks.
    pub async fn run(self, metrics: Metrics, stop: CancellationToken) -> Result<(), Error> {
        // On the heap once, instead of in every caller's future.
        Box::pin(self.work(metrics, stop)).await
    }

    async fn work(self, metrics: Metrics, stop: CancellationToken) -> Result<(), Error> {
        let Self {
            doors,
            database,
            reads,
            news,
            config,
        } = self;
        let known = database.clone();
        let health = Health::new().ready("postgres", move || known.check());
        let relay = relay(&config, database.pool()).await;
        let events = Events::new(relay.as_ref().map(Relay::waker));
        let transactions_max = RESERVING_MAX
            .min(config.database_connections_max / 2)
            .max(1);
        let transactions_max = usize::try_from(transactions_max).unwrap_or(1);
        let pool = database.pool().clone();
        let (desk, clerk) = Desk::open(pool, events.clone(), transactions_max);
        let reconcile = reconcile(&config)?;
        let images = match &config.media {
            Some(media) => {
                Some(media::start(media, &database, &reads, events.clone(), news.clone()).await)
            }
            None => None,
        };
        let health = match images.as_ref().and_then(Parts::waits_for) {
            Some(waits_for) => health.whole("images", waits_for),
            None => health,
        };
        let app = App::new(Shared {
            database: database.clone(),
            reads: reads.clone(),
            desk,
            events: events.clone(),
            language: config.language.clone(),
            import_bytes_max: config.import_bytes_max,
            media: images.as_ref().map(|parts| parts.media.clone()),
        });
        let routes = routes(app, config.service_token, news);
        let tended = CancellationToken::new();
        let serve = async {
            let served = doors
                .serve(routes, health, metrics, stop.clone(), DRAIN_MAX)
                .await;
            // Only now: requests that are drained still want to know of the database.
            tended.cancel();
            served.map_err(Error::from)
        };
        let tend = async { database.tend(tended.clone()).await.map_err(Error::from) };
        let reserve = async {
            clerk.run(tended.clone()).await;
            Ok(())
        };
        let chores = async {
            let fresh = keep_fresh(&database, &config.language, &events, &stop);
            let reconcile = async {
                if let Some(reconcile) = &reconcile {
                    reconcile.run(&database, &reads, &stop).await;
                }
            };
            tokio::join!(fresh, reconcile);
            Ok(())
        };
        let render = async {
            if let Some(images) = images {
                Box::pin(images.run(stop.clone())).await;
            }
            Ok(())
        };
        let send = async {
            if let Some(relay) = &relay
                && tended.run_until_cancelled(database.ready()).await.is_some()
            {
                relay.run(tended.clone()).await;
            }
            Ok(())
        };
        tokio::try_join!(serve, tend, reserve, chores, render, send)?;
        reads.close().await;
        database.pool().close().await;
        Ok(())
    }
}

/// Sends events, if there is a queue for them.
async fn relay(config: &Config, pool: &PgPool) -> Option<Relay<Queue>> {
    let queue = config.events_queue.as_ref()?;
    let transport: Arc<dyn Transport> = Arc::new(SqsTransport::connect(config.sqs.clone()).await);
    let queue = Queue::start(&transport, queue);
    Some(Relay::new(pool.clone(), queue, RelayOptions::default()))
}

fn reconcile(config: &Config) -> Result<Option<Reconcile>, Error> {
    let Some(url) = &config.orders else {
        return Ok(None);
    };
    let token = config.service_token.clone();
    let orders = Internal::new("orders", url.clone(), token, ORDERS_MAX);
    Ok(Some(Reconcile {
        orders: orders.map_err(|error| Error::Client(error.to_string()))?,
        every: config.reconcile_every,
        age_min: config.reconcile_age,
    }))
}

/// [`Catalog::open`] and [`Catalog::run`].
///
/// # Errors
/// See [`Error`].
pub async fn run(config: &Config, metrics: Metrics, stop: CancellationToken) -> Result<(), Error> {
    Catalog::open(config).await?.run(metrics, stop).await
}

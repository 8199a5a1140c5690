//! The service as a whole: open, serve, stop.

use std::io;
use std::time::Duration;

use steelyard_runtime::config::Secret;
use steelyard_runtime::http::{Doors, Health, Listen, OpenError};
use steelyard_runtime::telemetry::Metrics;
use steelyard_status::{ProductNews, Redis};
use steelyard_store::{Database, InvalidUrl, MigrateError, PoolOptions, migrator};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::http::{App, routes};

/// How long requests in hand may take after the stop; an import that takes longer is cut off, and
/// sending it again finishes it.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(20);

/// Why the catalog cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `DATABASE_URL` cannot be used.
    #[error("DATABASE_URL: {0}")]
    Url(#[from] InvalidUrl),
    /// `REDIS_URL` cannot be used.
    #[error("REDIS_URL: {0}")]
    Redis(#[from] steelyard_status::Error),
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
    token: Secret,
    news: Option<ProductNews>,
    import_bytes_max: u64,
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
        let migrations = migrator([(1, "catalog", include_str!("../migrations/0001_catalog.sql"))]);
        let database = Database::new(config.database_url.expose(), &options, migrations)?;
        let redis = config.redis_url.as_ref();
        let redis = redis.map(|url| Redis::new(url.expose())).transpose()?;
        Ok(Self {
            doors: Doors::open(&config.listen).await?,
            database,
            token: config.service_token.clone(),
            news: redis.map(ProductNews::start),
            import_bytes_max: config.import_bytes_max,
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
        let known = self.database.clone();
        let health = Health::new().ready("postgres", move || known.check());
        let app = App::new(self.database.clone(), self.import_bytes_max);
        let routes = routes(app, self.token, self.news);
        let tended = CancellationToken::new();
        let serve = async {
            let served = self
                .doors
                .serve(routes, health, metrics, stop, DRAIN_MAX)
                .await;
            // Only now: requests that are drained still want to know of the database.
            tended.cancel();
            served.map_err(Error::from)
        };
        let tend = async {
            self.database
                .tend(tended.clone())
                .await
                .map_err(Error::from)
        };
        tokio::try_join!(serve, tend)?;
        self.database.pool().close().await;
        Ok(())
    }
}

/// [`Catalog::open`] and [`Catalog::run`].
///
/// # Errors
/// See [`Error`].
pub async fn run(config: &Config, metrics: Metrics, stop: CancellationToken) -> Result<(), Error> {
    Catalog::open(config).await?.run(metrics, stop).await
}

//! `documents migrate`: brings the schema up to date and ends, before a deploy.

use std::time::Duration;

use steelyard_runtime::config::{Env, Faults, Secret};
use steelyard_runtime::contract::{Needs, Ports, Service};
use steelyard_runtime::telemetry;
use steelyard_store::{Database, PoolOptions};

use crate::db;
use crate::service::Error;

/// The task, as those who deploy it know it. It listens nowhere.
pub const MIGRATE: Service = Service {
    name: "documents-migrate",
    ports: Ports { api: 0, admin: 0 },
    read: |env| drop(migrate_url(env)),
    needs: || Needs {
        // A migration that is stopped is rolled back.
        stop_seconds_max: telemetry::FLUSH_MAX.as_secs(),
        schema: Some("documents"),
        ..Needs::default()
    },
};

/// How long Postgres may be away. One that has paused takes half a minute to come back.
const AWAY_MAX: Duration = Duration::from_mins(5);

/// `DATABASE_URL`, which is all that is needed.
///
/// # Errors
/// When it is missing, or none of Postgres.
pub(crate) fn migrate_url(env: &Env) -> Result<Secret, Faults> {
    let mut reader = env.reader();
    let url = reader.secret_url("DATABASE_URL", &["postgres", "postgresql"]);
    reader.finish(|| url)
}

/// Applies what the schema lacks. Instances that do so at once wait for each other.
///
/// # Errors
/// Postgres away for too long, or a schema that this release does not fit.
pub(crate) async fn migrate(url: &Secret) -> Result<(), Error> {
    let options = PoolOptions {
        application_name: "documents-migrate",
        connections_max: 1,
        ..PoolOptions::new("documents")
    };
    let database = Database::new(url.expose(), &options, db::migrations())?;
    database.migrate_within(AWAY_MAX).await?;
    database.pool().close().await;
    Ok(())
}

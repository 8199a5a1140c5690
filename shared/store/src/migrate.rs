//! Bringing a schema up to date.

use std::time::Duration;

use sqlx::migrate::{MigrateError as Cause, Migration, MigrationType, Migrator};
use sqlx::{Connection as _, PgConnection, PgPool, SqlSafeStr as _};

use crate::fault::is_outage;

/// Longest run of one migration statement, and longest wait for another instance that migrates.
const STATEMENT_MAX: Duration = Duration::from_secs(600);

/// Why a schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Postgres could not be reached or used: try again later.
    #[error("the database is away: {0}")]
    Outage(sqlx::Error),
    /// Postgres is there and has refused this process each time since its start: the setting is wrong, and a person has to
    /// look. Postgres's words name user and database, never the password.
    #[error("DATABASE_URL: {reason} (Postgres: {said})")]
    Refused {
        /// What of the setting is wrong.
        reason: &'static str,
        /// What Postgres said.
        said: String,
    },
    /// A migration does not fit the schema as it is: a person has to look.
    #[error("the schema {schema} cannot be migrated: {cause}")]
    Broken {
        /// Which.
        schema: String,
        /// What Postgres or the migrator said.
        cause: Cause,
    },
}

/// Makes a migrator from `(version, description, SQL)`. A migration that was released is never
/// changed: its checksum is compared with what was applied. What a newer release has applied beyond
/// these is left alone, so that old instances restart during a deploy.
pub fn migrator(
    migrations: impl IntoIterator<Item = (i64, &'static str, &'static str)>,
) -> Migrator {
    let migrations = migrations.into_iter().map(|(version, description, sql)| {
        let kind = MigrationType::Simple;
        Migration::new(version, description.into(), kind, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.set_ignore_missing(true);
    migrator
}

/// Makes `schema` if it is missing and applies what is new, each migration in a transaction of its
/// own. Instances that start together wait for each other (an advisory lock).
///
/// # Errors
/// [`MigrateError::Outage`] to try again, [`MigrateError::Broken`] not to.
pub async fn migrate(pool: &PgPool, schema: &str, migrator: &Migrator) -> Result<(), MigrateError> {
    // Detached, so that a failure never leaves the advisory lock behind in the pool.
    let connection = pool.acquire().await.map_err(MigrateError::Outage)?;
    let mut connection = connection.detach();
    let migrated = apply(&mut connection, schema, migrator).await;
    let closed = connection.close().await;
    match migrated {
        Ok(()) => closed.map_err(MigrateError::Outage),
        Err(Cause::Execute(error) | Cause::ExecuteMigration(error, _)) if is_outage(&error) => {
            Err(MigrateError::Outage(error))
        }
        Err(cause) => Err(MigrateError::Broken {
            schema: schema.to_owned(),
            cause,
        }),
    }
}

async fn apply(
    connection: &mut PgConnection,
    schema: &str,
    migrator: &Migrator,
) -> Result<(), Cause> {
    let limit = STATEMENT_MAX.as_millis().to_string();
    sqlx::query("SELECT set_config('statement_timeout', $1, false)")
        .bind(limit)
        .execute(&mut *connection)
        .await?;
    // `CREATE SCHEMA IF NOT EXISTS` would ask for the right to create one even when it is there.
    let missing: bool = sqlx::query_scalar("SELECT to_regnamespace(quote_ident($1)) IS NULL")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    if missing {
        let create = format!(
            "CREATE SCHEMA IF NOT EXISTS \"{}\"",
            schema.replace('"', "\"\"")
        );
        let made = sqlx::query(sqlx::AssertSqlSafe(create))
            .execute(&mut *connection)
            .await;
        // Two instances at once: IF NOT EXISTS does not see the other's uncommitted schema.
        match made {
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {}
            made => made.map(|_| ())?,
        }
    }
    migrator.run_direct(None, connection, false).await
}

//! The pool, and what each of its connections is told at its start.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool};

/// A connection that lay idle for longer is asked whether it still lives before it is used.
const TRUSTED_IDLE_MAX: Duration = Duration::from_secs(1);

/// How a service uses Postgres.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// The service's name, as `pg_stat_activity` shows it.
    pub application_name: &'static str,
    /// The schema that holds all its tables; made by [`crate::migrate`] when it is missing.
    pub schema: &'static str,
    /// Connections at most. Few suffice where work comes in sets, and every one costs the server
    /// some megabytes.
    pub connections_max: u32,
    /// Longest wait for a connection, opening one included.
    pub acquire_max: Duration,
    /// Longest run of one statement (`statement_timeout`).
    pub statement_max: Duration,
    /// A statement is planned once per connection, whatever its values (`plan_cache_mode`): for tables of many partitions,
    /// where a plan takes longer than what it is for.
    pub plans_are_kept: bool,
}

impl PoolOptions {
    /// The service's own schema, 8 connections, 3 s to get one, 10 s per statement.
    #[must_use]
    pub const fn new(service: &'static str) -> Self {
        Self {
            application_name: service,
            schema: service,
            connections_max: 8,
            acquire_max: Duration::from_secs(3),
            statement_max: Duration::from_secs(10),
            plans_are_kept: false,
        }
    }
}

/// The database URL cannot be used. Its text is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database URL is not of the form postgres://user:password@host:port/database")]
pub struct InvalidUrl;

/// Makes a pool. No connection is opened before the first use, so Postgres may be away.
///
/// # Errors
/// [`InvalidUrl`] when the text is no Postgres URL.
pub fn connect(url: &str, options: &PoolOptions) -> Result<PgPool, InvalidUrl> {
    let connect: PgConnectOptions = url.parse().map_err(|_| InvalidUrl)?;
    let plans = if options.plans_are_kept {
        "force_generic_plan"
    } else {
        "auto"
    };
    let connect = connect
        .application_name(options.application_name)
        .options([
            ("search_path", options.schema.to_owned()),
            (
                "statement_timeout",
                options.statement_max.as_millis().to_string(),
            ),
            ("plan_cache_mode", plans.to_owned()),
            // One request has no use for all of the server; and the parts of a `UNION ALL` are read in turn.
            ("max_parallel_workers_per_gather", "0".to_owned()),
        ])
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(options.connections_max)
        .acquire_timeout(options.acquire_max)
        // A ping before every use would be a round trip per transaction.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED_IDLE_MAX {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(connect);
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use super::{InvalidUrl, PoolOptions, connect};

    #[tokio::test]
    async fn a_url_that_cannot_be_used_is_refused_without_its_password() {
        let options = PoolOptions::new("orders");
        assert!(connect("postgres://me:pw@localhost/shop", &options).is_ok());
        let refused = connect("hunter2", &options).map(|_| ());
        assert_eq!(refused, Err(InvalidUrl));
        assert!(!InvalidUrl.to_string().contains("hunter2"));
    }
}

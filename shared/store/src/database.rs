//! A service's database through its life: away, migrated, reachable, away again.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fault::refusal;
use crate::migrate::{MigrateError, migrate};
use crate::pool::{InvalidUrl, PoolOptions, connect};
use crate::retry::Backoff;

/// How often a database that is there is asked whether it still is.
const PING_EVERY: Duration = Duration::from_secs(2);
/// Between tries while it is away: short, for a service is ready only after that.
const AWAY: Backoff = Backoff {
    first: Duration::from_millis(50),
    longest: Duration::from_secs(2),
};

/// So many refusals in a row, some seven seconds of them, end a process that was never let in: its `DATABASE_URL` is wrong.
/// One more try may be all that is needed while roles are made or a password is rotated.
const REFUSALS_MAX: u32 = 10;

/// What is known about the database.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Not migrated by this process yet, for this reason.
    Fresh(Arc<str>),
    /// Migrated and reachable.
    Ready,
    /// Migrated, but away now, for this reason.
    Away(Arc<str>),
}

/// A pool with its migrations and its readiness; cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    schema: &'static str,
    migrator: Arc<Migrator>,
    state: watch::Sender<State>,
}

impl Database {
    /// Makes the pool; nothing is connected or migrated before [`Database::tend`].
    ///
    /// # Errors
    /// [`InvalidUrl`] when the text is no Postgres URL.
    pub fn new(url: &str, options: &PoolOptions, migrator: Migrator) -> Result<Self, InvalidUrl> {
        let fresh = State::Fresh("not connected yet".into());
        Ok(Self {
            pool: connect(url, options)?,
            schema: options.schema,
            migrator: Arc::new(migrator),
            state: watch::Sender::new(fresh),
        })
    }

    /// The pool. Before the first [`Database::is_migrated`], tables may be missing.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Whether this process has seen the schema up to date; stays true.
    #[must_use]
    pub fn is_migrated(&self) -> bool {
        !matches!(*self.state.borrow(), State::Fresh(_))
    }

    /// For `/readyz`: whether the database is migrated and answered the last ping; never blocks.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self) -> Result<(), String> {
        match &*self.state.borrow() {
            State::Ready => Ok(()),
            State::Fresh(reason) | State::Away(reason) => Err(reason.to_string()),
        }
    }

    /// Waits until the database is migrated and reachable; as long as it takes.
    pub async fn ready(&self) {
        let mut state = self.state.subscribe();
        // The sender is `self`'s own, so it outlives the wait.
        drop(state.wait_for(|state| *state == State::Ready).await);
    }

    /// Migrates the schema, through outages, then pings the database every 2 s until `stop`.
    ///
    /// # Errors
    /// [`MigrateError::Broken`] when a migration does not fit, [`MigrateError::Refused`] when Postgres keeps refusing a
    /// process that it never let in: the service cannot run. One that was let in before waits (a password in rotation).
    pub async fn tend(&self, stop: CancellationToken) -> Result<(), MigrateError> {
        let tended = stop.run_until_cancelled(async {
            self.migrate_through_outages(None).await?;
            self.watch().await;
            Ok(())
        });
        tended.await.unwrap_or(Ok(()))
    }

    /// Migrates the schema and ends: for a task before a deploy. A database that is away is waited for as long as
    /// `away_max`.
    ///
    /// # Errors
    /// [`MigrateError`].
    pub async fn migrate_within(&self, away_max: Duration) -> Result<(), MigrateError> {
        self.migrate_through_outages(Some(Instant::now() + away_max))
            .await
    }

    async fn migrate_through_outages(&self, until: Option<Instant>) -> Result<(), MigrateError> {
        let (mut failures, mut refusals) = (0, 0);
        loop {
            match migrate(&self.pool, self.schema, &self.migrator).await {
                Ok(()) => {
                    tracing::info!(schema = self.schema, "the database is ready");
                    self.state.send_replace(State::Ready);
                    return Ok(());
                }
                Err(MigrateError::Outage(error)) => {
                    failures += 1;
                    let pause = AWAY.wait(failures);
                    let refused = refusal(&error);
                    refusals = refused.map_or(0, |_| refusals + 1);
                    if let Some(reason) = refused
                        && refusals >= REFUSALS_MAX
                    {
                        let said = error.to_string();
                        return Err(MigrateError::Refused { reason, said });
                    }
                    if until.is_some_and(|until| Instant::now() + pause > until) {
                        return Err(MigrateError::Outage(error));
                    }
                    let what = refused.unwrap_or("the database is away");
                    tracing::warn!(schema = self.schema, %error, failures, "{what}");
                    self.state
                        .send_replace(State::Fresh(error.to_string().into()));
                    tokio::time::sleep(pause).await;
                }
                Err(broken) => return Err(broken),
            }
        }
    }

    async fn watch(&self) {
        let mut failures = 0;
        loop {
            let pause = match sqlx::query("SELECT 1").execute(&self.pool).await {
                Ok(_) => {
                    failures = 0;
                    self.now(State::Ready);
                    PING_EVERY
                }
                Err(error) => {
                    failures += 1;
                    self.now(State::Away(error.to_string().into()));
                    AWAY.wait(failures)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes a state over, with a log line when it is another kind than before.
    fn now(&self, new: State) {
        let before = self.state.send_replace(new.clone());
        match (before, new) {
            (State::Ready, State::Away(reason)) => {
                tracing::warn!(schema = self.schema, %reason, "the database is away");
            }
            (State::Away(_), State::Ready) => {
                tracing::info!(schema = self.schema, "the database is back");
            }
            _ => {}
        }
    }
}

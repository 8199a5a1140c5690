//! The connection, with limits short enough that nobody hangs on a Redis that is gone.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::{Client, FromRedisValue, RedisError};

use crate::watch::TooMany;

/// The longest that one call takes, connecting included.
pub const CALL_MAX: Duration = Duration::from_millis(800);
const CONNECT_MAX: Duration = Duration::from_millis(300);
const RESPONSE_MAX: Duration = Duration::from_millis(400);

/// Why Redis gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is none that Redis's client understands.
    #[error("REDIS_URL cannot be used: {0}")]
    Url(String),
    /// Not reachable, or it refused.
    #[error("Redis is not available: {0}")]
    Unavailable(String),
    /// No answer within [`CALL_MAX`].
    #[error("Redis did not answer in time")]
    TimedOut,
    /// What is stored is not what was written.
    #[error("Redis holds something unreadable: {0}")]
    Corrupt(#[from] serde_json::Error),
    /// Too many orders are watched.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Unavailable(error.to_string())
        }
    }
}

/// One multiplexed connection to Redis that comes back by itself; cheap to clone. It is opened by
/// the first call, so a Redis that is down delays no start.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    manager: ConnectionManager,
}

impl Redis {
    /// A connection to the server at `url` (`redis://` or `rediss://`). Must be called inside a
    /// Tokio runtime.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn new(url: &str) -> Result<Self, Error> {
        // The client's words may repeat the URL and so its password: only the kind is kept.
        let unusable = |error: RedisError| Error::Url(format!("{:?}", error.kind()));
        let client = Client::open(url).map_err(unusable)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(100))
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(RESPONSE_MAX));
        let manager =
            ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(unusable)?;
        Ok(Self { client, manager })
    }

    pub(crate) async fn call<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Error> {
        let mut manager = self.manager.clone();
        let called = tokio::time::timeout(CALL_MAX, command.query_async(&mut manager));
        Ok(called.await.map_err(|_elapsed| Error::TimedOut)??)
    }

    pub(crate) async fn call_all(&self, commands: &redis::Pipeline) -> Result<(), Error> {
        let mut manager = self.manager.clone();
        let called = tokio::time::timeout(CALL_MAX, commands.query_async::<()>(&mut manager));
        Ok(called.await.map_err(|_elapsed| Error::TimedOut)??)
    }

    pub(crate) async fn pubsub(&self, channel: &str) -> Result<PubSub, Error> {
        let opened = tokio::time::timeout(CALL_MAX, async {
            let mut pubsub = self.client.get_async_pubsub().await?;
            pubsub.subscribe(channel).await?;
            Ok::<_, RedisError>(pubsub)
        });
        Ok(opened.await.map_err(|_elapsed| Error::TimedOut)??)
    }
}

/// Without the URL: it may hold a password.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redis")
    }
}

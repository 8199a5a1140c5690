//! The connection, with limits short enough that nobody hangs on a Redis that is gone.

use std::time::Duration;

use steelyard_redis::redis::aio::PubSub;
use steelyard_redis::redis::{Cmd, FromRedisValue, Pipeline};
use steelyard_redis::{InvalidUrl, Limits, RedisUrl};

use crate::watch::TooMany;

/// The longest that one call takes, connecting included.
pub const CALL_MAX: Duration = Duration::from_millis(800);
const CONNECT_MAX: Duration = Duration::from_millis(300);

/// Why Redis gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is none.
    #[error("REDIS_URL {0}")]
    Url(#[from] InvalidUrl),
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

impl From<steelyard_redis::Error> for Error {
    fn from(error: steelyard_redis::Error) -> Self {
        match error {
            steelyard_redis::Error::TimedOut => Self::TimedOut,
            steelyard_redis::Error::Unavailable(reason)
            | steelyard_redis::Error::Refused(reason) => Self::Unavailable(reason),
        }
    }
}

/// A connection to Redis that comes back by itself; cheap to clone. It is opened by the first call, so a Redis that is
/// down delays no start.
#[derive(Clone, Debug)]
pub struct Redis(steelyard_redis::Redis);

impl Redis {
    /// A connection to what `url` names: one server, a replica set or a cluster, see [`steelyard_redis`]. Must be used
    /// inside a Tokio runtime.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn new(url: &str) -> Result<Self, Error> {
        let url: RedisUrl = url.parse()?;
        let limits = Limits {
            connect_max: CONNECT_MAX,
            call_max: CALL_MAX,
        };
        Ok(Self(steelyard_redis::Redis::new(&url, limits)?))
    }

    pub(crate) async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        Ok(self.0.query(command).await?)
    }

    pub(crate) async fn call_each(&self, commands: &Pipeline) -> Result<(), Error> {
        Ok(self.0.each(commands).await?)
    }

    pub(crate) async fn pubsub(&self, channel: &str) -> Result<PubSub, Error> {
        Ok(self.0.subscribe(channel).await?)
    }
}

//! A connection that is made when it is needed, and again when it is of no more use.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, Shared, join_all};
use redis::aio::PubSub;
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, ScriptInvocation, Value};

use crate::error::{Error, ends_connection};
use crate::link::{Link, Target};
use crate::url::{InvalidUrl, RedisUrl};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A TCP connection to one host, with its handshake.
    pub connect_max: Duration,
    /// A call as a whole, connecting included.
    pub call_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_max: Duration::from_millis(500),
            call_max: Duration::from_secs(1),
        }
    }
}

/// Sentinels or a cluster's nodes are asked one after the other: that goes on when its first caller has given up.
const OPEN_MAX: Duration = Duration::from_secs(10);

type Opening = Shared<BoxFuture<'static, Result<Link, RedisError>>>;

/// Redis, whatever it is made of. One connection, shared by all clones; cheap to clone.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    limits: Limits,
    name: String,
    current: Mutex<Current>,
}

/// The connection, numbered, so that only the one that failed is given up.
#[derive(Default)]
struct Current {
    number: u64,
    opening: Option<Opening>,
}

enum Call<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
    Each(&'a Pipeline),
}

impl Redis {
    /// Opens nothing yet: that is for the first call, so a Redis that is down delays no start.
    ///
    /// # Errors
    /// [`InvalidUrl`] for what the client cannot use.
    pub fn new(url: &RedisUrl, limits: Limits) -> Result<Self, InvalidUrl> {
        let target = Target::new(url, &limits).map_err(|_| InvalidUrl::Unreadable)?;
        Ok(Self {
            inner: Arc::new(Inner {
                target,
                limits,
                name: url.to_string(),
                current: Mutex::default(),
            }),
        })
    }

    /// Sends a command.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        read(self.call(Call::Command(command)).await?)
    }

    /// Runs a script, which is sent along when the server does not know it. In a cluster all its keys must share a hash
    /// tag.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Error> {
        read(self.call(Call::Script(script)).await?)
    }

    /// Sends many commands at once, each for itself, wherever their keys lie. Some may have been carried out when it
    /// fails.
    ///
    /// # Errors
    /// The first one's, see [`Error`].
    pub async fn each(&self, commands: &Pipeline) -> Result<(), Error> {
        self.call(Call::Each(commands)).await.map(drop)
    }

    /// A connection of its own that listens on a channel.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn subscribe(&self, channel: &str) -> Result<PubSub, Error> {
        let subscribed = self.inner.target.subscribe(channel);
        match tokio::time::timeout(self.inner.limits.call_max, subscribed).await {
            Ok(result) => Ok(result?),
            Err(_elapsed) => Err(Error::TimedOut),
        }
    }

    async fn call(&self, call: Call<'_>) -> Result<Value, Error> {
        let mut number = None;
        let called =
            tokio::time::timeout(self.inner.limits.call_max, self.attempt(&call, &mut number));
        match called.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(error.into()),
            Err(_elapsed) => {
                // Silent for too long: perhaps a host that is gone, of which nobody tells us.
                if let Some(number) = number {
                    self.give_up(number, "no answer in time");
                }
                Err(Error::TimedOut)
            }
        }
    }

    /// Leaves the number of the open connection that it waits on in `number`.
    async fn attempt(
        &self,
        call: &Call<'_>,
        number: &mut Option<u64>,
    ) -> Result<Value, RedisError> {
        loop {
            let (this, opening, is_new) = self.open();
            let mut link = match opening.await {
                Ok(link) => link,
                Err(error) => {
                    self.give_up(this, "it could not be opened");
                    return Err(error);
                }
            };
            let is_second = number.replace(this).is_some();
            let error = match send(&mut link, call).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if ends_connection(&error) {
                self.give_up(this, error.category());
                // Closed while nobody used it, most likely. All that goes through here may be sent twice.
                if error.is_connection_dropped() && !is_new && !is_second {
                    continue;
                }
            }
            return Err(error);
        }
    }

    /// The connection, open or being opened, and whether that was begun just now.
    fn open(&self) -> (u64, Opening, bool) {
        let mut current = self.current();
        if let Some(opening) = &current.opening {
            return (current.number, opening.clone(), false);
        }
        let inner = Arc::clone(&self.inner);
        let open = async move {
            let opened = tokio::time::timeout(OPEN_MAX, inner.target.open(&inner.limits)).await;
            opened.unwrap_or_else(|_elapsed| {
                Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
            })
        };
        let opening = open.boxed().shared();
        // It goes on when its first caller has given up: what is slow to open is there for the next one.
        tokio::spawn(opening.clone().map(drop));
        current.number += 1;
        current.opening = Some(opening.clone());
        (current.number, opening, true)
    }

    fn give_up(&self, number: u64, why: &str) {
        let mut current = self.current();
        if current.number == number && current.opening.take().is_some() {
            tracing::debug!(redis = %self.inner.name, why, "a connection to Redis is given up");
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // A panic while the lock is held leaves plain data behind, good to go on with.
        self.inner
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send(link: &mut Link, call: &Call<'_>) -> Result<Value, RedisError> {
    match call {
        Call::Command(command) => command.query_async(link).await,
        Call::Script(script) => script.invoke_async(link).await,
        Call::Each(commands) => match link {
            Link::Node(node) => commands.query_async(node).await,
            // Their keys lie on different nodes; the connection sorts them.
            Link::Cluster(cluster) => {
                let sent = commands.cmd_iter().map(|command| {
                    let mut cluster = cluster.clone();
                    async move { command.query_async::<Value>(&mut cluster).await }
                });
                let answers = join_all(sent).await;
                answers
                    .into_iter()
                    .collect::<Result<Vec<_>, _>>()
                    .map(|_| Value::Nil)
            }
        },
    }
}

fn read<T: FromRedisValue>(value: Value) -> Result<T, Error> {
    redis::from_redis_value(value).map_err(|error| Error::Refused(error.to_string()))
}

/// Without the password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({})", self.inner.name)
    }
}

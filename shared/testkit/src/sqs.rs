use localsqs::{Config, Server};

use crate::must;

/// Starts an SQS server in this process, in memory, on a free port; [`Server::url`] is its endpoint. It stops when dropped.
///
/// # Panics
/// When no port is free.
pub async fn sqs() -> Server {
    sqs_with(Config::default()).await
}

/// Starts an SQS server in this process as `config` says: with queues, a clock that the test turns, a log on disk.
///
/// # Panics
/// When it does not start.
pub async fn sqs_with(config: Config) -> Server {
    must("start an SQS server", Server::start(config).await)
}

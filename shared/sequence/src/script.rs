//! The three scripts, called in time and with their errors sorted.

use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::{ErrorKind, RedisError, Script, ServerErrorKind};

use crate::leases::LeaseError;

#[derive(Debug)]
pub(crate) struct Scripts {
    acquire: Script,
    renew: Script,
    release: Script,
    call_timeout: Duration,
}

impl Scripts {
    pub(crate) fn new(call_timeout: Duration) -> Self {
        Self {
            acquire: Script::new(include_str!("scripts/acquire.lua")),
            renew: Script::new(include_str!("scripts/renew.lua")),
            release: Script::new(include_str!("scripts/release.lua")),
            call_timeout,
        }
    }

    /// One token or "" per pair of keys.
    pub(crate) async fn acquire(
        &self,
        connection: &mut ConnectionManager,
        keys: &[String],
        owner: &str,
        lease_ms: u64,
        token_ms: u64,
    ) -> Result<Vec<String>, LeaseError> {
        let mut call = self.acquire.prepare_invoke();
        call.key(keys).arg(owner).arg(lease_ms).arg(token_ms);
        self.bounded(call.invoke_async(connection)).await
    }

    /// One flag per key: still ours.
    pub(crate) async fn renew(
        &self,
        connection: &mut ConnectionManager,
        keys: &[String],
        lease_ms: u64,
        values: &[String],
    ) -> Result<Vec<bool>, LeaseError> {
        let mut call = self.renew.prepare_invoke();
        call.key(keys).arg(lease_ms).arg(values);
        self.bounded(call.invoke_async(connection)).await
    }

    /// How many were released.
    pub(crate) async fn release(
        &self,
        connection: &mut ConnectionManager,
        keys: &[String],
        values: &[String],
    ) -> Result<u64, LeaseError> {
        let mut call = self.release.prepare_invoke();
        call.key(keys).arg(values);
        self.bounded(call.invoke_async(connection)).await
    }

    pub(crate) async fn ping(&self, connection: &mut ConnectionManager) -> Result<(), LeaseError> {
        let ping = redis::cmd("PING");
        self.bounded(ping.query_async::<String>(connection))
            .await
            .map(|_pong| ())
    }

    async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, LeaseError> {
        match tokio::time::timeout(self.call_timeout, call).await {
            Ok(result) => result.map_err(|error| sort(&error)),
            Err(_elapsed) => Err(LeaseError::Unavailable(format!(
                "no answer within {:?}",
                self.call_timeout
            ))),
        }
    }
}

/// What passes by itself once Redis is well again, and what does not.
fn sort(error: &RedisError) -> LeaseError {
    let passing = error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.is_cluster_error()
        || error.code() == Some("OOM")
        || matches!(
            error.kind(),
            ErrorKind::Io
                | ErrorKind::ClusterConnectionNotFound
                | ErrorKind::Server(
                    ServerErrorKind::BusyLoading
                        | ServerErrorKind::MasterDown
                        | ServerErrorKind::ReadOnly
                        | ServerErrorKind::TryAgain
                        | ServerErrorKind::ClusterDown
                )
        );
    if passing {
        LeaseError::Unavailable(error.to_string())
    } else {
        LeaseError::Refused(error.to_string())
    }
}

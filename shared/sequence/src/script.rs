//! The three scripts.

use steelyard_redis::Redis;
use steelyard_redis::redis::{self, Script};

use crate::options::LeaseError;

/// How long a probe's key stays.
const PROBE_MS: u64 = 1_000;

#[derive(Debug)]
pub(crate) struct Scripts {
    redis: Redis,
    acquire: Script,
    renew: Script,
    release: Script,
}

impl Scripts {
    pub(crate) fn new(redis: Redis) -> Self {
        Self {
            redis,
            acquire: Script::new(include_str!("scripts/acquire.lua")),
            renew: Script::new(include_str!("scripts/renew.lua")),
            release: Script::new(include_str!("scripts/release.lua")),
        }
    }

    /// One token or "" per pair of keys.
    pub(crate) async fn acquire(
        &self,
        keys: &[String],
        owner: &str,
        lease_ms: u64,
        token_ms: u64,
    ) -> Result<Vec<String>, LeaseError> {
        let mut call = self.acquire.prepare_invoke();
        call.key(keys).arg(owner).arg(lease_ms).arg(token_ms);
        Ok(self.redis.invoke(&call).await?)
    }

    /// One flag per key: still ours.
    pub(crate) async fn renew(
        &self,
        keys: &[String],
        lease_ms: u64,
        values: &[String],
    ) -> Result<Vec<bool>, LeaseError> {
        let mut call = self.renew.prepare_invoke();
        call.key(keys).arg(lease_ms).arg(values);
        Ok(self.redis.invoke(&call).await?)
    }

    /// How many were released.
    pub(crate) async fn release(
        &self,
        keys: &[String],
        values: &[String],
    ) -> Result<u64, LeaseError> {
        let mut call = self.release.prepare_invoke();
        call.key(keys).arg(values);
        Ok(self.redis.invoke(&call).await?)
    }

    /// Writes all these keys.
    pub(crate) async fn probe(&self, keys: impl Iterator<Item = String>) -> Result<(), LeaseError> {
        let mut writes = redis::pipe();
        for key in keys {
            writes
                .cmd("SET")
                .arg(key)
                .arg(1)
                .arg("PX")
                .arg(PROBE_MS)
                .ignore();
        }
        Ok(self.redis.each(&writes).await?)
    }
}

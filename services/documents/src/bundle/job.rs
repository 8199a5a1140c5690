//! Making bundles, one after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steelyard_store::Database;
use tokio_util::sync::CancellationToken;

use super::rows::{self, Claimed};
use super::{Bundles, Error};

/// Whoever says nothing for so long has lost its bundle.
const CLAIM_S: f64 = 120.0;
/// Longest that one bundle may take.
const ATTEMPT_MAX: Duration = Duration::from_mins(30);
/// How often it is looked whether another instance's crash, or its caller, has left something to do.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The same after something failed.
const AGAIN_AFTER: Duration = Duration::from_secs(15);

/// The job of an instance.
#[derive(Debug)]
pub(crate) struct Jobs {
    bundles: Bundles,
    database: Database,
    making: AtomicBool,
}

impl Jobs {
    pub(crate) const fn new(bundles: Bundles, database: Database) -> Self {
        Self {
            bundles,
            database,
            making: AtomicBool::new(false),
        }
    }

    /// Whether a bundle is in hand: another instance would begin it anew.
    pub(crate) fn is_making(&self) -> bool {
        self.making.load(Ordering::Relaxed)
    }

    /// Makes whatever is asked for until `stop`. What it was at is left to another instance.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        loop {
            let worked = async {
                self.database.ready().await;
                let claimed = rows::claim(&self.bundles.pool, CLAIM_S).await;
                claimed.inspect_err(|error| tracing::warn!(%error, "no bundle can be taken"))
            };
            let Some(claimed) = stop.run_until_cancelled(worked).await else {
                return;
            };
            let pause = match claimed {
                Ok(Some(claimed)) => {
                    self.making.store(true, Ordering::Relaxed);
                    let made = self.make(&claimed, stop).await;
                    self.making.store(false, Ordering::Relaxed);
                    if made {
                        continue;
                    }
                    AGAIN_AFTER
                }
                Ok(None) => LOOK_EVERY,
                Err(_) => AGAIN_AFTER,
            };
            let asked = self.bundles.asked.notified();
            let waited = stop.run_until_cancelled(tokio::time::timeout(pause, asked));
            if waited.await.is_none() {
                return;
            }
        }
    }

    /// Makes one; whether that went well.
    async fn make(&self, claimed: &Claimed, stop: &CancellationToken) -> bool {
        let making = tokio::time::timeout(ATTEMPT_MAX, self.attempt(claimed));
        let Some(made) = stop.run_until_cancelled(making).await else {
            if let Err(error) = rows::release(&self.bundles.pool, claimed).await {
                tracing::warn!(bundle = %claimed.id, %error, "a bundle is left to its claim's end");
            }
            return false;
        };
        let why = match made {
            Ok(Ok(())) => return true,
            Ok(Err(Error::Lost)) => {
                tracing::warn!(bundle = %claimed.id, "another instance has taken the bundle over");
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("it took more than {} s", ATTEMPT_MAX.as_secs()),
        };
        tracing::warn!(bundle = %claimed.id, attempt = claimed.attempts, why, "a bundle was not made");
        // What went wrong is for the log: callers learn that, not how.
        let told = "the documents could not be read; ask again";
        match rows::put_back(&self.bundles.pool, claimed, told).await {
            Ok(true) => {
                metrics::counter!("documents_bundles_total", "outcome" => "failed").increment(1);
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(bundle = %claimed.id, %error, "a bundle is left to its claim's end");
            }
        }
        false
    }

    async fn attempt(&self, claimed: &Claimed) -> Result<(), Error> {
        let bundles = &self.bundles;
        let written = Box::pin(bundles.write(claimed, CLAIM_S)).await?;
        let mut connection = bundles.pool.acquire().await?;
        rows::finish(&mut connection, claimed, &written).await?;
        metrics::counter!("documents_bundles_total", "outcome" => "made").increment(1);
        tracing::info!(
            bundle = %claimed.id,
            documents = written.documents,
            left_out = written.left_out,
            bytes = written.bytes,
            "a bundle is made"
        );
        Ok(())
    }
}

//! What was left over: work that nobody was told of, uploads that nobody completed, objects of what is gone.

use std::time::Duration;

use steelyard_queue::OutgoingMessage;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::task::Task;
use super::{Media, UPLOAD_TTL, renditions_prefix, rows, upload_key};

/// An upload that has begun may go on beyond its request's time.
const UPLOAD_GRACE: Duration = Duration::from_mins(45);
/// Who works on an image that is removed meanwhile is done with it after that: pictures are put under a row that is
/// there, so that they are found again.
const WORK_GRACE: Duration = Duration::from_mins(15);
/// How long a refusal can be looked at.
const REFUSED_KEPT: Duration = Duration::from_hours(7 * 24);
/// Images of each kind that one round looks at.
const ROUND_MAX: i64 = 100;

/// Looks for what was left over, now and then. Any number of instances may do it: each step is harmless twice.
#[derive(Debug)]
pub(crate) struct Sweep {
    media: Media,
    every: Duration,
}

/// Why something was left for the next round.
#[derive(Debug, thiserror::Error)]
pub(super) enum Left {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Objects(#[from] steelyard_objects::Error),
    #[error(transparent)]
    Queue(#[from] steelyard_queue::SendError),
    #[error("a task cannot be written: {0}")]
    Task(#[from] serde_json::Error),
}

impl Sweep {
    pub(super) const fn new(media: Media, every: Duration) -> Self {
        Self { media, every }
    }

    /// Sweeps until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let sweeping = async {
            self.media.database.ready().await;
            let mut ticks = interval(self.every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Err(error) = self.round().await {
                    tracing::warn!(%error, "images could not be swept; later");
                }
            }
        };
        stop.run_until_cancelled(sweeping).await;
    }

    async fn round(&self) -> Result<(), Left> {
        let pool = self.media.database.pool();
        for id in rows::to_announce(pool, ROUND_MAX).await? {
            self.media.announce(id).await?;
        }
        let pending_s_max = seconds(UPLOAD_TTL + UPLOAD_GRACE);
        let given_up = rows::give_up(pool, pending_s_max, seconds(REFUSED_KEPT)).await?;
        metrics::counter!("catalog_images_given_up_total").increment(given_up);
        let removed_s_min = seconds(WORK_GRACE);
        for id in rows::to_clear(pool, pending_s_max, removed_s_min, ROUND_MAX).await? {
            self.clear(id).await?;
            rows::cleared(pool, id).await?;
        }
        Ok(())
    }

    /// Removes all objects of an image.
    async fn clear(&self, id: Uuid) -> Result<(), steelyard_objects::Error> {
        let bucket = &self.media.bucket;
        bucket.delete(&upload_key(id)).await?;
        // A few widths, in two formats: one page holds them all.
        for object in bucket.list(&renditions_prefix(id), None).await? {
            bucket.delete(&object.key).await?;
        }
        metrics::counter!("catalog_images_cleared_total").increment(1);
        Ok(())
    }
}

impl Media {
    /// Reminds a worker of an upload.
    pub(super) async fn announce(&self, id: Uuid) -> Result<(), Left> {
        let body = serde_json::to_string(&Task::new(id))?;
        self.tasks.send(OutgoingMessage::standard(body)).await?;
        rows::was_announced(self.database.pool(), id).await?;
        Ok(())
    }
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

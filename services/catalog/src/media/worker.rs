//! Works on uploads: checks them, renders them, says what became of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use steelyard_domain::media::{IMAGE_BYTES_MAX, ImageStatus, Refusal};
use steelyard_objects::{Error, Kept};
use steelyard_queue::{Delivery, Handler, Outcome, Set, Tap};
use steelyard_store::is_outage;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::render::{Deadline, Refused, Rendered, render};
use super::rows::{self, Row};
use super::task::Task;
use super::{Media, POSTGRES, S3, renditions_prefix, upload_key};
use crate::products::variant_of;

/// How long a picture waits for a thread: all of them may have been left behind with others.
const THREAD_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long messages wait when a dependency is away: the tap decides when they really go on.
const AWAY_WAIT: Duration = Duration::from_secs(1);
/// Renditions that are put at once.
const PUTS_MAX: usize = 4;

/// What every instance does with messages.
pub(crate) struct Worker {
    pub(super) media: Media,
    /// Closed while something is away.
    pub(super) tap: Tap,
    /// The longest that one picture is worked on. Its thread looks at the time between steps; one that does not come to
    /// the next step in half as long again is left behind, and holds its permit until it does.
    pub(super) render_max: Duration,
    /// One permit for each thread that may render.
    pub(super) threads: Arc<Semaphore>,
}

/// Why an upload has no outcome yet.
enum Trouble {
    /// A dependency is away: nobody's fault.
    Away(&'static str, String),
    /// Every thread is busy with others.
    Busy,
    /// Something refused what it should not have: to be tried again, and looked at if it stays so.
    Odd(String),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        if is_outage(&error) {
            Self::Away(POSTGRES, error.to_string())
        } else {
            Self::Odd(error.to_string())
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        if error.is_outage() {
            Self::Away(S3, error.to_string())
        } else {
            Self::Odd(error.to_string())
        }
    }
}

impl Handler for Worker {
    async fn handle(&self, set: &Set) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(set.len());
        for delivery in set.deliveries() {
            outcomes.push(self.one(delivery).await);
        }
        outcomes
    }
}

impl Worker {
    async fn one(&self, delivery: &Delivery) -> Outcome {
        let task = match Task::read(&delivery.body) {
            Ok(task) => task,
            Err(reason) => return Outcome::park(format!("it is no task: {reason}")),
        };
        match self.work(task.image_id).await {
            Ok(()) => Outcome::Done,
            Err(Trouble::Away(dependency, why)) => {
                self.tap.close(dependency, why);
                Outcome::wait(AWAY_WAIT, dependency)
            }
            Err(Trouble::Busy) => Outcome::wait(AWAY_WAIT, "all threads are busy"),
            Err(Trouble::Odd(why)) => {
                tracing::error!(image_id = %task.image_id, why, "an upload could not be worked on");
                Outcome::retry(AWAY_WAIT, why)
            }
        }
    }

    async fn work(&self, id: Uuid) -> Result<(), Trouble> {
        let pool = self.media.database.pool();
        let waiting = rows::one(pool, id).await?;
        // Removed, or settled by an earlier message.
        let Some(row) = waiting.filter(|row| row.status == ImageStatus::Processing) else {
            return Ok(());
        };
        let began = Instant::now();
        let settled = match self.rendered(&row).await? {
            Ok(rendered) => {
                self.publish(&row, rendered).await?;
                "ready"
            }
            Err(refusal) => {
                tracing::info!(image_id = %id, code = refusal.code, "an upload was refused");
                rows::refused(pool, id, &refusal).await?;
                self.media.bucket.delete(&upload_key(id)).await?;
                "refused"
            }
        };
        metrics::histogram!("catalog_image_seconds").record(began.elapsed());
        metrics::counter!("catalog_images_total", "outcome" => settled).increment(1);
        Ok(())
    }

    /// The upload as pictures, or why there are none.
    async fn rendered(&self, row: &Row) -> Result<Result<Rendered, Refusal>, Trouble> {
        let bytes_max = usize::try_from(IMAGE_BYTES_MAX).unwrap_or(usize::MAX);
        let upload = match self.media.bucket.get(&upload_key(row.id), bytes_max).await {
            Ok(object) => object.body,
            Err(Error::NotFound(_)) => {
                return Ok(Err(refusal("not_uploaded", "there is no upload any more")));
            }
            Err(Error::TooLarge { bytes_max }) => {
                let detail = format!("the file has more than {bytes_max} bytes");
                return Ok(Err(refusal("too_large", detail)));
            }
            Err(error) => return Err(error.into()),
        };
        if upload.len() as u64 != row.bytes {
            let detail = format!("{} bytes came, {} were announced", upload.len(), row.bytes);
            return Ok(Err(refusal("wrong_size", detail)));
        }
        let rendered = self.on_a_thread(upload, row).await?;
        Ok(rendered.map_err(|refused| refusal(refused.code(), refused.to_string())))
    }

    async fn on_a_thread(
        &self,
        upload: Bytes,
        row: &Row,
    ) -> Result<Result<Rendered, Refused>, Trouble> {
        let permit = Arc::clone(&self.threads).acquire_owned();
        // The semaphore is never closed.
        let Ok(Ok(permit)) = tokio::time::timeout(THREAD_WAIT_MAX, permit).await else {
            return Err(Trouble::Busy);
        };
        let announced = row.content_type;
        let given_up = CancellationToken::new();
        let deadline = Deadline {
            until: Instant::now() + self.render_max,
            avif_until: Instant::now() + self.render_max / 2,
            given_up: given_up.clone(),
        };
        // Dropped when nobody waits any more: the service stops, or the message is no longer ours.
        let _waits = given_up.drop_guard();
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            render(upload.into(), announced, &deadline)
        });
        Ok(
            match tokio::time::timeout(self.render_max * 3 / 2, work).await {
                Ok(Ok(rendered)) => rendered,
                Ok(Err(failed)) => Err(Refused::Undecodable(words(&failed).to_owned())),
                Err(_elapsed) => Err(Refused::TooSlow),
            },
        )
    }

    /// Puts the pictures where the CDN finds them, and then says so: a row never names what is not there.
    async fn publish(&self, row: &Row, rendered: Rendered) -> Result<(), Trouble> {
        let Rendered {
            width,
            height,
            pictures,
        } = rendered;
        let prefix = renditions_prefix(row.id);
        let kept: Vec<rows::Kept> = stream::iter(pictures)
            .map(async |picture| {
                let kept = rows::Kept {
                    content_type: picture.content_type,
                    width: picture.width,
                    height: picture.height,
                    bytes: picture.file.len() as u64,
                    key: prefix.clone() + &picture.file_name(),
                };
                let how = Kept::new(picture.content_type.as_str()).cached_for_ever();
                let body = Bytes::from(picture.file);
                self.media.bucket.put(&kept.key, body, &how).await?;
                Ok::<_, Error>(kept)
            })
            .buffered(PUTS_MAX)
            .try_collect()
            .await?;
        let pool = self.media.database.pool();
        // If it was removed meanwhile, the sweep finds these objects under its prefix.
        if rows::ready(pool, &self.media.events, row, (width, height), &kept).await? {
            self.media.events.wake();
            if let Some(news) = &self.media.news {
                match variant_of(&self.media.reads, &row.sku).await {
                    // It is shown with its variants' images.
                    Ok(Some(of)) => news.tell(of),
                    Ok(None) => {}
                    Err(_) => news.tell_all(),
                }
                news.tell(row.sku.clone());
            }
        }
        Ok(())
    }
}

fn words(failed: &JoinError) -> &'static str {
    if failed.is_panic() {
        "the decoder failed on it"
    } else {
        "reading it was broken off"
    }
}

fn refusal(code: &str, detail: impl Into<String>) -> Refusal {
    Refusal {
        code: code.to_owned(),
        detail: detail.into(),
    }
}

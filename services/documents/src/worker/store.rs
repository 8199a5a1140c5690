//! Files into the bucket, several at once.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use steelyard_objects::{Bucket, Error, Kept};

use super::print::Refused;
use crate::db::Stored;

/// Files of a set that are put at the same time: a put waits for S3 far longer than it works.
const PUTS_MAX: usize = 8;

/// A file to be kept, and what its row will know of it.
pub(super) struct File {
    pub(super) bytes: Bytes,
    pub(super) kept: Kept,
    pub(super) stored: Stored,
}

/// Puts all of them; to put a file twice is to put it once. Answers which are there, and which S3 refuses.
///
/// # Errors
/// When S3 is away. Some may be there then.
pub(super) async fn put(
    bucket: &Bucket,
    files: Vec<File>,
) -> Result<(Vec<Stored>, Refused), Error> {
    let puts = files.into_iter().map(|file| async move {
        let File {
            bytes,
            kept,
            stored,
        } = file;
        match bucket.put(&stored.key, bytes, &kept).await {
            Ok(()) => Ok(Ok(stored)),
            Err(error) if error.is_outage() => Err(error),
            Err(error) => Ok(Err((
                stored.id,
                format!(
                    "the file of document {} cannot be stored: {error}",
                    stored.id
                ),
            ))),
        }
    });
    let done: Vec<_> = stream::iter(puts)
        .buffer_unordered(PUTS_MAX)
        .try_collect()
        .await?;
    let (mut there, mut refused) = (Vec::with_capacity(done.len()), Refused::default());
    for one in done {
        match one {
            Ok(stored) => there.push(stored),
            Err((id, reason)) => drop(refused.insert(id, reason)),
        }
    }
    Ok((there, refused))
}

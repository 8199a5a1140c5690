//! Files into the bucket, several at once.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use steelyard_objects::{Bucket, Error, Kept};

use super::print::Refused;
use crate::db::Stored;

/// Files of a set that are put at the same time: a put waits for S3 far longer than it works.
const PUTS_MAX: usize = 8;
/// What is read of a file that somebody else made.
const THERE_BYTES_MAX: usize = 64 << 20;

/// A file to be kept, and what its row will know of it.
pub(super) struct File {
    pub(super) bytes: Bytes,
    pub(super) kept: Kept,
    pub(super) stored: Stored,
}

/// Puts all of them; to put a file twice is to put it once, and whoever came first stands. Answers which are there, and which S3 refuses.
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
        match put_one(bucket, bytes, &kept, stored.clone()).await {
            Ok(there) => Ok(Ok(there)),
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

/// Puts a file where none is yet. What is there was made of the same row by somebody who came first, under another theme
/// maybe: that stays, and the row is told what it is, so that it never says of bytes what they are not.
async fn put_one(
    bucket: &Bucket,
    bytes: Bytes,
    kept: &Kept,
    stored: Stored,
) -> Result<Stored, Error> {
    if bucket
        .put_new(&stored.key, bytes, stored.sha256, kept)
        .await?
    {
        return Ok(stored);
    }
    let there = bucket.get(&stored.key, THERE_BYTES_MAX).await?.body;
    let sha256: [u8; 32] = Sha256::digest(&there).into();
    Ok(Stored {
        size_bytes: i64::try_from(there.len()).unwrap_or(i64::MAX),
        pages: stored.pages.filter(|_| sha256 == stored.sha256),
        sha256,
        ..stored
    })
}

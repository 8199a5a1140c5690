//! Objects of many parts.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use crate::bucket::{Bucket, Kept};
use crate::error::Error;

/// Every part but the last has so many bytes at least (S3's limit).
pub const PART_BYTES_MIN: usize = 5 << 20;

/// An object that is being put part by part. One that is given up has to be [aborted](Bucket::abort): its parts cost.
#[derive(Debug)]
pub struct PartedUpload {
    bucket: Bucket,
    key: String,
    id: String,
    parts: Vec<CompletedPart>,
}

impl Bucket {
    /// Begins an object of many parts; nothing of it is there before it is completed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn begin(&self, key: &str, kept: &Kept) -> Result<PartedUpload, Error> {
        let begin = self.client.create_multipart_upload().bucket(&self.name);
        let begun = begin
            .key(key)
            .content_type(&kept.content_type)
            .set_cache_control(kept.cache_control.map(str::to_owned))
            .set_tagging(kept.tags.clone())
            .send()
            .await
            .map_err(|error| self.error(&error, key))?;
        let id = begun.upload_id.ok_or_else(|| Error::Unavailable {
            code: "NoUploadId".to_owned(),
            message: "S3 gave no id for an upload".to_owned(),
        })?;
        Ok(PartedUpload {
            bucket: self.clone(),
            key: key.to_owned(),
            id,
            parts: Vec::new(),
        })
    }

    /// Gives an upload up; one that is not there is no error.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn abort(&self, key: &str, upload_id: &str) -> Result<(), Error> {
        let abort = self.client.abort_multipart_upload().bucket(&self.name);
        match abort.key(key).upload_id(upload_id).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            Err(error) => match self.error(&error, key) {
                Error::NotFound(_) => Ok(()),
                error => Err(error),
            },
        }
    }
}

impl PartedUpload {
    /// By which it can be aborted after a crash.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Puts the next part, of [`PART_BYTES_MIN`] or more unless it is the last.
    ///
    /// # Errors
    /// See [`Error`]; the part may be put again.
    pub async fn part(&mut self, body: Bytes) -> Result<(), Error> {
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let put = self.bucket.client.upload_part().bucket(&self.bucket.name);
        let put = put
            .key(&self.key)
            .upload_id(&self.id)
            .part_number(number)
            .content_length(i64::try_from(body.len()).unwrap_or(i64::MAX))
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(|error| self.bucket.error(&error, &self.key))?;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(put.e_tag)
            .build();
        self.parts.push(part);
        Ok(())
    }

    /// Makes the object of its parts.
    ///
    /// # Errors
    /// See [`Error`]. After an outage the object may be there or not.
    pub async fn complete(self) -> Result<(), Error> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts));
        let complete = self.bucket.client.complete_multipart_upload();
        let completed = complete
            .bucket(&self.bucket.name)
            .key(&self.key)
            .upload_id(&self.id)
            .multipart_upload(parts.build())
            .send()
            .await;
        completed
            .map(drop)
            .map_err(|error| self.bucket.error(&error, &self.key))
    }
}

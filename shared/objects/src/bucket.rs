//! One bucket.

use std::fmt;
use std::ops::Range;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::cold::{Class, Restored};
use crate::config::S3Config;
use crate::error::{Error, call_error};

/// Keys of one page of a list (S3's limit).
pub const KEYS_MAX: usize = 1_000;

/// A bucket; cheap to clone, clones share the connections.
#[derive(Clone)]
pub struct Bucket {
    pub(crate) client: Client,
    pub(crate) shared: SdkConfig,
    pub(crate) name: String,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.name).finish()
    }
}

/// How an object is kept, and what its readers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub(crate) content_type: String,
    pub(crate) cache_control: Option<&'static str>,
    pub(crate) tags: Option<String>,
}

impl Kept {
    /// With this `Content-Type`.
    pub fn new(content_type: impl Into<String>) -> Self {
        Self {
            content_type: content_type.into(),
            cache_control: None,
            tags: None,
        }
    }

    /// With tags, which lifecycle rules and policies can go by. S3 takes ten at most, and charges for each.
    #[must_use]
    pub fn tagged(mut self, tags: &[(&str, &str)]) -> Self {
        let mut written = url::form_urlencoded::Serializer::new(String::new());
        self.tags = Some(written.extend_pairs(tags).finish());
        self
    }

    /// Readers may keep it for ever: under this key there will never be other bytes.
    #[must_use]
    pub const fn cached_for_ever(mut self) -> Self {
        self.cache_control = Some("public, max-age=31536000, immutable");
        self
    }
}

/// An object with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `Content-Type`, as whoever put it said.
    pub content_type: Option<String>,
    /// The bytes.
    pub body: Bytes,
}

/// What S3 knows of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// `Content-Type`, as whoever put it said.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// How it is kept.
    pub class: Class,
    /// Whether an object of a class that is not read at once can be read now.
    pub restored: Restored,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// When it was put.
    pub modified_at: Option<OffsetDateTime>,
    /// Of its bytes: others, another one.
    pub etag: Option<String>,
}

impl Bucket {
    /// Prepares the client. No connection is made: an endpoint that is down shows at the first call.
    pub async fn connect(config: S3Config, name: impl Into<String>) -> Self {
        let (shared, s3) = crate::config::into_sdk(config).await;
        Self {
            client: Client::from_conf(s3),
            shared,
            name: name.into(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the bucket, if it is not there and these credentials may.
    ///
    /// # Errors
    /// See [`Error`]; a bucket of this name that is somebody else's is refused.
    pub async fn make(&self) -> Result<(), Error> {
        // The one region that must not be named.
        let region = self.shared.region().map(AsRef::as_ref);
        let elsewhere = region.filter(|region| *region != "us-east-1");
        let place = elsewhere.map(|region: &str| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region))
                .build()
        });
        let make = self.client.create_bucket().bucket(&self.name);
        let made = make.set_create_bucket_configuration(place).send().await;
        match made {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
            Err(error) => Err(self.error(&error, "")),
        }
    }

    /// Puts an object, in place of one that has this key.
    ///
    /// # Errors
    /// See [`Error`]. After an outage the object may be there or not.
    pub async fn put(&self, key: &str, body: Bytes, kept: &Kept) -> Result<(), Error> {
        let sha256 = Sha256::digest(&body).into();
        self.put_hashed(key, body, sha256, kept).await
    }

    /// [`Bucket::put`] of bytes whose SHA-256 is known. S3 refuses them when it is another's.
    ///
    /// # Errors
    /// See [`Bucket::put`].
    pub async fn put_hashed(
        &self,
        key: &str,
        body: Bytes,
        sha256: [u8; 32],
        kept: &Kept,
    ) -> Result<(), Error> {
        let put = self.putting(key, body, sha256, kept);
        put.send().await.map_err(|error| self.error(&error, key))?;
        Ok(())
    }

    /// [`Bucket::put_hashed`] where nothing is yet; whether it was put. What is there stays.
    ///
    /// # Errors
    /// See [`Bucket::put`].
    pub async fn put_new(
        &self,
        key: &str,
        body: Bytes,
        sha256: [u8; 32],
        kept: &Kept,
    ) -> Result<bool, Error> {
        let put = self.putting(key, body, sha256, kept).if_none_match("*");
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(false),
            Err(error) => Err(self.error(&error, key)),
        }
    }

    fn putting(
        &self,
        key: &str,
        body: Bytes,
        sha256: [u8; 32],
        kept: &Kept,
    ) -> PutObjectFluentBuilder {
        let length = i64::try_from(body.len()).unwrap_or(i64::MAX);
        let put = self.client.put_object().bucket(&self.name).key(key);
        put.content_type(&kept.content_type)
            .set_cache_control(kept.cache_control.map(str::to_owned))
            .set_tagging(kept.tags.clone())
            .content_length(length)
            .checksum_sha256(STANDARD.encode(sha256))
            .body(ByteStream::from(body))
    }

    /// Gets an object whole.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond `bytes_max`, of which no more is read; see [`Error`] for others.
    pub async fn get(&self, key: &str, bytes_max: usize) -> Result<Object, Error> {
        let got = self.client.get_object().bucket(&self.name).key(key);
        let got = got.send().await.map_err(|error| self.error(&error, key))?;
        let announced = got.content_length.and_then(|n| usize::try_from(n).ok());
        if announced.is_some_and(|bytes| bytes > bytes_max) {
            return Err(Error::TooLarge { bytes_max });
        }
        let body = read(got.body, announced.unwrap_or_default(), bytes_max).await?;
        Ok(Object {
            content_type: got.content_type,
            body,
        })
    }

    /// Gets a part of an object, less where it ends sooner.
    ///
    /// # Errors
    /// See [`Error`]; a part that begins beyond the object's end is refused.
    pub async fn range(&self, key: &str, bytes: Range<u64>) -> Result<Bytes, Error> {
        let bytes_max =
            usize::try_from(bytes.end.saturating_sub(bytes.start)).unwrap_or(usize::MAX);
        if bytes_max == 0 {
            return Ok(Bytes::new());
        }
        // The header's last byte is part of the range.
        let range = format!("bytes={}-{}", bytes.start, bytes.end - 1);
        let got = self.client.get_object().bucket(&self.name).key(key);
        let got = got.range(range).send().await;
        let got = got.map_err(|error| self.error(&error, key))?;
        read(got.body, 0, bytes_max).await
    }

    /// What S3 knows of an object; `None` when there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn head(&self, key: &str) -> Result<Option<Head>, Error> {
        let head = self.client.head_object().bucket(&self.name).key(key);
        match head.send().await {
            Ok(head) => Ok(Some(Head {
                content_type: head.content_type,
                cache_control: head.cache_control,
                bytes: bytes_of(head.content_length),
                class: Class::of(head.storage_class.as_ref().map(AsRef::as_ref)),
                restored: Restored::of(head.restore.as_deref()),
            })),
            Err(error) => match self.error(&error, key) {
                Error::NotFound(_) => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let delete = self.client.delete_object().bucket(&self.name).key(key);
        match delete.send().await.map_err(|error| self.error(&error, key)) {
            Ok(_) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Up to [`KEYS_MAX`] objects whose keys begin with `prefix` and follow `after`, in the order of their keys.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, Error> {
        let list = self.client.list_objects_v2().bucket(&self.name);
        let list = list
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .send()
            .await
            .map_err(|error| self.error(&error, ""))?;
        let listed = list.contents.unwrap_or_default().into_iter();
        let listed = listed.filter_map(|object| {
            let modified = object.last_modified.map(|at| at.secs());
            Some(Listed {
                key: object.key?,
                bytes: bytes_of(object.size),
                modified_at: modified.and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok()),
                etag: object.e_tag,
            })
        });
        Ok(listed.collect())
    }

    /// Whether the bucket can be reached, for a breaker's probe.
    pub async fn is_well(&self) -> bool {
        let head = self.client.head_bucket().bucket(&self.name);
        head.send().await.is_ok()
    }

    pub(crate) fn error<E>(&self, error: &SdkError<E>, key: &str) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        call_error(error, &self.name, key)
    }
}

fn bytes_of(length: Option<i64>) -> u64 {
    length.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

async fn read(mut body: ByteStream, expected: usize, bytes_max: usize) -> Result<Bytes, Error> {
    let mut whole = BytesMut::with_capacity(expected.min(bytes_max));
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Error::Unreachable(error.to_string()))?;
        if whole.len() + chunk.len() > bytes_max {
            return Err(Error::TooLarge { bytes_max });
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

//! S3 behind a small port: what the services do with objects, and nothing else of the SDK.
//!
//! ```no_run
//! # async fn example() -> Result<(), steelyard_objects::Error> {
//! use bytes::Bytes;
//! use steelyard_objects::{Bucket, Kept, S3Config};
//!
//! let media = Bucket::connect(S3Config::default(), "media").await;
//! let picture = Kept::new("image/webp").cached_for_ever();
//! media.put("images/1.webp", Bytes::from_static(b"..."), &picture).await?;
//! let object = media.get("images/1.webp", 1 << 20).await?;
//! assert_eq!(object.content_type.as_deref(), Some("image/webp"));
//! # Ok(()) }
//! ```
//!
//! | call | what |
//! |---|---|
//! | [`Bucket::put`], [`put_new`](Bucket::put_new), [`get`](Bucket::get), [`range`](Bucket::range), [`head`](Bucket::head) | one object, whole or in part, in memory and bounded |
//! | [`Bucket::begin`] | an object of many parts, each in memory, none of it there before all are |
//! | [`Bucket::set_class`], [`restore`](Bucket::restore) | cold storage: into it, and back for some days |
//! | [`Bucket::list`], [`delete`](Bucket::delete) | a page of keys; a key that is not there is deleted, too |
//! | [`Bucket::presign_get`], [`presign_put`](Bucket::presign_put), [`presign_post`](Bucket::presign_post) | requests that others may make without credentials |
//!
//! Every call is bounded in time ([`CALL_MAX`], retries included). [`Error::is_outage`] tells what is nobody's fault
//! from what the call itself is to blame for: the first closes a worker's tap, the second parks a message.
//!
//! What is put carries its SHA-256, and S3 refuses it when the bytes that arrived are others. The SDK's own checksums
//! are off: it would sign the checksum of an empty body into a presigned `PUT`, which then takes no other.

mod bucket;
mod cold;
mod config;
mod error;
mod multipart;
mod presign;

pub use bucket::{Bucket, Head, KEYS_MAX, Kept, Listed, Object};
pub use cold::{Class, Restored, Speed};
pub use config::{CALL_MAX, S3Config, S3Credentials};
pub use error::Error;
pub use multipart::{PART_BYTES_MIN, PartedUpload};
pub use presign::{PRESIGNED_MAX, SignedForm, SignedRequest, Upload, attachment};

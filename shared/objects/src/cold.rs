//! Storage classes: cheap to keep, and not always read at once.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{
    GlacierJobParameters, MetadataDirective, RestoreRequest, StorageClass, Tier,
};

use crate::bucket::Bucket;
use crate::error::Error;

/// How an object is kept. Below 128 KB an object is billed as 128 KB in [`Class::GlacierInstant`], and with 40 KB on top
/// in the colder ones (S3 user guide, "Understanding S3 storage classes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Read at once, kept at the full price.
    Standard,
    /// Read at once, at a price by the GB.
    GlacierInstant,
    /// Read after a restore of minutes to hours.
    Glacier,
    /// Read after a restore of half a day to two days.
    DeepArchive,
}

/// How soon a restore is asked for; sooner costs more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speed {
    /// 1–5 minutes; not from [`Class::DeepArchive`].
    Expedited,
    /// 3–5 hours, 12 from [`Class::DeepArchive`].
    Standard,
    /// 5–12 hours, 48 from [`Class::DeepArchive`].
    Bulk,
}

/// Whether an object of a class that is not read at once can be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Restored {
    /// Nobody asked for it, or it is cold again.
    Never,
    /// Asked for, and not there yet.
    Ongoing,
    /// It can be read, for the time being.
    Ready,
}

/// No class or speed of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is none of {known}")]
pub struct UnknownName {
    given: String,
    known: &'static str,
}

impl Class {
    const ALL: [Self; 4] = [
        Self::Standard,
        Self::GlacierInstant,
        Self::Glacier,
        Self::DeepArchive,
    ];

    /// S3's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::GlacierInstant => "GLACIER_IR",
            Self::Glacier => "GLACIER",
            Self::DeepArchive => "DEEP_ARCHIVE",
        }
    }

    /// Whether its objects are read without a restore.
    #[must_use]
    pub const fn is_instant(self) -> bool {
        matches!(self, Self::Standard | Self::GlacierInstant)
    }

    /// The longest that a restore takes, as S3's documentation has it.
    #[must_use]
    pub const fn restore_max(self, speed: Speed) -> Duration {
        match (self, speed) {
            (Self::Standard | Self::GlacierInstant, _) => Duration::ZERO,
            (Self::Glacier, Speed::Expedited) => Duration::from_mins(5),
            (Self::Glacier, Speed::Standard) => Duration::from_hours(5),
            (Self::Glacier, Speed::Bulk)
            | (Self::DeepArchive, Speed::Standard | Speed::Expedited) => Duration::from_hours(12),
            (Self::DeepArchive, Speed::Bulk) => Duration::from_hours(48),
        }
    }

    /// S3 names no class for [`Class::Standard`]; other classes that are read at once count as that.
    pub(crate) fn of(name: Option<&str>) -> Self {
        let known = Self::ALL
            .into_iter()
            .find(|class| Some(class.as_str()) == name);
        known.unwrap_or(Self::Standard)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let class = Self::ALL.into_iter().find(|class| class.as_str() == text);
        class.ok_or_else(|| UnknownName {
            given: text.to_owned(),
            known: "STANDARD, GLACIER_IR, GLACIER, DEEP_ARCHIVE",
        })
    }
}

impl FromStr for Speed {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "expedited" => Ok(Self::Expedited),
            "standard" => Ok(Self::Standard),
            "bulk" => Ok(Self::Bulk),
            _ => Err(UnknownName {
                given: text.to_owned(),
                known: "expedited, standard, bulk",
            }),
        }
    }
}

impl Restored {
    /// From `x-amz-restore`: `ongoing-request="false", expiry-date="…"`.
    pub(crate) fn of(header: Option<&str>) -> Self {
        match header {
            None => Self::Never,
            Some(header) if header.contains("ongoing-request=\"true\"") => Self::Ongoing,
            Some(_) => Self::Ready,
        }
    }
}

impl Bucket {
    /// Keeps an object from now on in this class; up to 5 GB. It has to be readable.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set_class(&self, key: &str, class: Class) -> Result<(), Error> {
        let copy = self.client.copy_object().bucket(&self.name).key(key);
        let copied = copy
            .copy_source(format!("{}/{}", self.name, percent_encoded(key)))
            .storage_class(StorageClass::from(class.as_str()))
            .metadata_directive(MetadataDirective::Copy)
            .send()
            .await;
        copied.map(drop).map_err(|error| self.error(&error, key))
    }

    /// Asks for an object of a cold class to be readable for `days`. One that was asked for before is no error.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn restore(&self, key: &str, days: i32, speed: Speed) -> Result<(), Error> {
        let tier = match speed {
            Speed::Expedited => Tier::Expedited,
            Speed::Standard => Tier::Standard,
            Speed::Bulk => Tier::Bulk,
        };
        let job = GlacierJobParameters::builder().tier(tier).build();
        let job = job.map_err(|error| Error::Refused {
            code: "InvalidRequest".to_owned(),
            message: error.to_string(),
        })?;
        let request = RestoreRequest::builder()
            .days(days)
            .glacier_job_parameters(job);
        let restore = self.client.restore_object().bucket(&self.name).key(key);
        match restore.restore_request(request.build()).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("RestoreAlreadyInProgress") => Ok(()),
            Err(error) => Err(self.error(&error, key)),
        }
    }
}

/// A key as a part of a URL.
fn percent_encoded(key: &str) -> String {
    let kept = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(byte);
    key.bytes()
        .map(|byte| {
            if kept(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Class, Restored, percent_encoded};

    #[test]
    fn what_s3_says_of_a_restore_is_understood() {
        let ready = "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"";
        assert_eq!(Restored::of(None), Restored::Never);
        assert_eq!(
            Restored::of(Some("ongoing-request=\"true\"")),
            Restored::Ongoing
        );
        assert_eq!(Restored::of(Some(ready)), Restored::Ready);
        assert_eq!(Class::of(None), Class::Standard);
        assert_eq!(Class::of(Some("DEEP_ARCHIVE")), Class::DeepArchive);
        assert_eq!("GLACIER".parse(), Ok(Class::Glacier));
    }

    #[test]
    fn a_key_is_a_part_of_a_url() {
        assert_eq!(percent_encoded("a/ü b+c.zip"), "a/%C3%BC%20b%2Bc.zip");
    }
}

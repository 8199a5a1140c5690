//! `s3://bucket/prefix/name`, or a path.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use steelyard_objects::{Bucket, S3Config};

use crate::import::Source;

/// A file, wherever it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In a bucket.
    S3 { bucket: String, key: String },
    /// On this machine.
    Path(PathBuf),
}

impl FromStr for Place {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let s3 = text
            .strip_prefix("s3://")
            .and_then(|rest| rest.split_once('/'));
        Ok(match s3 {
            Some((bucket, key)) => Self::S3 {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            },
            None => Self::Path(text.into()),
        })
    }
}

impl Place {
    /// The folder or prefix that it lies in, and its name there.
    pub(super) async fn open(&self, s3: S3Config) -> anyhow::Result<(Source, String)> {
        match self {
            Self::S3 { bucket, key } => {
                let name = key.rsplit('/').next().unwrap_or_default();
                anyhow::ensure!(!name.is_empty(), "s3://{bucket}/{key} names no object");
                let prefix = &key[..key.len() - name.len()];
                let bucket = Bucket::connect(s3, bucket.as_str()).await;
                Ok((Source::prefix(bucket, prefix), name.to_owned()))
            }
            Self::Path(path) => {
                let name = path.file_name().and_then(|name| name.to_str());
                let name = name.with_context(|| format!("{} names no file", path.display()))?;
                let folder = path
                    .parent()
                    .filter(|parent| !parent.as_os_str().is_empty());
                let folder = folder.unwrap_or(Path::new("."));
                let source = Source::folder(folder);
                let source = source.with_context(|| folder.display().to_string())?;
                Ok((source, name.to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_place_is_an_object_or_a_path() {
        let place = |text: &str| text.parse::<Place>().expect("infallible");
        let object = Place::S3 {
            bucket: "in".to_owned(),
            key: "2026/m.csv".to_owned(),
        };
        assert_eq!(place("s3://in/2026/m.csv"), object);
        assert_eq!(place("in/m.csv"), Place::Path("in/m.csv".into()));
    }
}

//! Where a manifest and its files lie: a folder of this machine, or a prefix in a bucket.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use steelyard_objects::Bucket;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::fault::Fault;

/// S3's limit for a key; longer names are no names.
const NAME_BYTES_MAX: usize = 1_024;

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is nothing of this name.
    #[error("there is no {0}")]
    Missing(String),
    /// It leads to where files of this import cannot lie.
    #[error("{0} is no file of this folder")]
    Outside(String),
    /// It is larger than the caller takes.
    #[error("{name} has more than {bytes_max} bytes")]
    TooLarge {
        /// Which.
        name: String,
        /// What the caller takes.
        bytes_max: u64,
    },
    /// It is not as long as it was when the import began.
    #[error("{0} was changed while it was read")]
    Changed(String),
    /// S3 is away, or refuses.
    #[error(transparent)]
    S3(steelyard_objects::Error),
    /// The disk.
    #[error("{name}: {cause}")]
    Disk {
        /// Which file.
        name: String,
        /// What the system said.
        cause: io::Error,
    },
}

impl SourceError {
    /// Whether the same may succeed later, with nobody at fault.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::S3(error) => error.is_outage(),
            // A share that is away, a machine out of descriptors.
            Self::Disk { .. } => true,
            Self::Missing(_) | Self::Outside(_) | Self::TooLarge { .. } | Self::Changed(_) => false,
        }
    }
}

impl From<SourceError> for Fault {
    fn from(error: SourceError) -> Self {
        let code = match &error {
            SourceError::Missing(_) => "missing_file",
            SourceError::Outside(_) => "key",
            SourceError::TooLarge { .. } => "too_large",
            SourceError::Changed(_) | SourceError::S3(_) | SourceError::Disk { .. } => "unreadable",
        };
        Self::new(code, error.to_string())
    }
}

/// A place with a manifest and its files; cheap to clone.
#[derive(Debug, Clone)]
pub struct Source(Arc<Place>);

#[derive(Debug)]
enum Place {
    /// Its path is canonical.
    Folder(PathBuf),
    /// With a prefix that is empty or ends with a slash.
    Prefix(Box<Bucket>, String),
}

impl Source {
    /// A folder of this machine.
    ///
    /// # Errors
    /// When there is none.
    pub fn folder(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(Place::Folder(path.canonicalize()?))))
    }

    /// What begins with `prefix` in a bucket; `prefix` is empty or ends with a slash.
    #[must_use]
    pub fn prefix(bucket: Bucket, prefix: impl Into<String>) -> Self {
        Self(Arc::new(Place::Prefix(Box::new(bucket), prefix.into())))
    }

    /// The place in words, the same whenever it is the same place.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        match &*self.0 {
            Place::Folder(root) => root.join(name).display().to_string(),
            Place::Prefix(bucket, prefix) => format!("s3://{}/{prefix}{name}", bucket.name()),
        }
    }

    /// How large a file is.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn bytes(&self, name: &str) -> Result<u64, SourceError> {
        match &*self.0 {
            Place::Folder(root) => Ok(open(root, name).await?.1),
            Place::Prefix(bucket, prefix) => {
                let head = bucket.head(&format!("{prefix}{name}")).await;
                let head = head.map_err(|error| s3(error, name))?;
                head.map(|head| head.bytes)
                    .ok_or_else(|| SourceError::Missing(name.to_owned()))
            }
        }
    }

    /// A part of a file, less where it ends sooner.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn read_at(&self, name: &str, range: Range<u64>) -> Result<Bytes, SourceError> {
        match &*self.0 {
            Place::Folder(root) => {
                let (mut file, _) = open(root, name).await?;
                let read = async {
                    file.seek(io::SeekFrom::Start(range.start)).await?;
                    let mut part = Vec::new();
                    let bytes = range.end.saturating_sub(range.start);
                    file.take(bytes).read_to_end(&mut part).await?;
                    Ok(part.into())
                };
                read.await.map_err(|cause| disk(name, cause))
            }
            Place::Prefix(bucket, prefix) => {
                let part = bucket.range(&format!("{prefix}{name}"), range).await;
                part.map_err(|error| s3(error, name))
            }
        }
    }

    /// A whole file.
    ///
    /// # Errors
    /// [`SourceError::TooLarge`] beyond `bytes_max`, of which no more is read; see [`SourceError`] for others.
    pub async fn read(&self, name: &str, bytes_max: u64) -> Result<Bytes, SourceError> {
        let too_large = || SourceError::TooLarge {
            name: name.to_owned(),
            bytes_max,
        };
        match &*self.0 {
            Place::Folder(root) => {
                let (file, bytes) = open(root, name).await?;
                if bytes > bytes_max {
                    return Err(too_large());
                }
                let mut whole = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
                // It may grow while it is read.
                let read = file.take(bytes_max + 1).read_to_end(&mut whole).await;
                read.map_err(|cause| disk(name, cause))?;
                if whole.len() as u64 > bytes_max {
                    return Err(too_large());
                }
                Ok(whole.into())
            }
            Place::Prefix(bucket, prefix) => {
                let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
                let got = bucket.get(&format!("{prefix}{name}"), limit).await;
                got.map(|object| object.body)
                    .map_err(|error| s3(error, name))
            }
        }
    }
}

/// Opens a regular file that really lies below `root`.
async fn open(root: &Path, name: &str) -> Result<(tokio::fs::File, u64), SourceError> {
    let outside = || SourceError::Outside(name.to_owned());
    if check_name(name).is_err() {
        return Err(outside());
    }
    let failed = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            SourceError::Missing(name.to_owned())
        }
        _ => disk(name, cause),
    };
    let path = tokio::fs::canonicalize(root.join(name)).await;
    let path = path.map_err(failed)?;
    // A link may lead anywhere, a pipe or a device never ends.
    if !path.starts_with(root) {
        return Err(outside());
    }
    let told = tokio::fs::metadata(&path).await.map_err(failed)?;
    if !told.is_file() {
        return Err(outside());
    }
    let file = tokio::fs::File::open(&path).await.map_err(failed)?;
    Ok((file, told.len()))
}

fn disk(name: &str, cause: io::Error) -> SourceError {
    SourceError::Disk {
        name: name.to_owned(),
        cause,
    }
}

fn s3(error: steelyard_objects::Error, name: &str) -> SourceError {
    match error {
        steelyard_objects::Error::NotFound(_) => SourceError::Missing(name.to_owned()),
        steelyard_objects::Error::TooLarge { bytes_max } => SourceError::TooLarge {
            name: name.to_owned(),
            bytes_max: bytes_max as u64,
        },
        error => SourceError::S3(error),
    }
}

/// Whether a name stays below its folder: parts that are neither empty nor dots, no backslash, nothing unprintable.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err("must have 1 to 1,024 bytes");
    }
    if name.chars().any(|c| c.is_control() || c == '\\') {
        return Err("must hold no backslash and no control character");
    }
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("must be a relative path without empty parts, . and ..");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Source, SourceError, check_name};

    #[test]
    fn a_name_stays_below_its_folder() {
        for name in ["a.pdf", "2026/11/ü b.pdf", "...", "a..b"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let long = "x".repeat(1_025);
        for name in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "a\0",
            &long,
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nothing_outside_of_the_folder_is_read_and_nothing_that_is_no_file() {
        let outer = tempfile::tempdir().expect("a folder");
        let root = outer.path().join("root");
        std::fs::create_dir_all(root.join("sub")).expect("made");
        std::fs::write(outer.path().join("secret"), "s").expect("written");
        std::fs::write(root.join("a"), "0123").expect("written");
        std::os::unix::fs::symlink("../secret", root.join("link")).expect("linked");
        std::os::unix::fs::symlink("/dev/zero", root.join("endless")).expect("linked");
        let source = Source::folder(&root).expect("a folder");
        for name in ["link", "endless", "sub", "../secret"] {
            let read = source.read(name, 10).await;
            assert!(
                matches!(read, Err(SourceError::Outside(_))),
                "{name}: {read:?}"
            );
        }
        assert_eq!(source.read("a", 4).await.expect("read"), "0123");
        assert_eq!(source.read_at("a", 1..3).await.expect("read"), "12");
        let large = source.read("a", 3).await;
        assert!(
            matches!(large, Err(SourceError::TooLarge { .. })),
            "{large:?}"
        );
        let missing = source.read("a/b", 3).await;
        assert!(
            matches!(missing, Err(SourceError::Missing(_))),
            "{missing:?}"
        );
    }
}

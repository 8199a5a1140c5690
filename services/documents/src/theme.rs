//! The theme: where it lies, and how a changed one comes into force.
//!
//! It is looked at again every [`Place::refresh`], and taken when it can be read whole; of a faulty one is told once, with line and
//! column, and the one before stays in force. Nothing is printed before there was a first one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use steelyard_objects::{Bucket, S3Config};
use steelyard_paper::{Press, Theme};

use crate::worker::Printer;

/// Files of a theme in S3, and their bytes together.
const FILES_MAX: usize = 64;
const BYTES_MAX: u64 = 64 << 20;

/// Where the theme lies, and how often it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub at: At,
    /// The pause between two looks.
    pub refresh: Duration,
}

/// Where a theme lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// It comes along.
    Plain,
    /// In a folder.
    Folder(PathBuf),
    /// Under a prefix, which is empty or ends in a slash.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix.
        prefix: String,
    },
}

/// A place that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("must be a folder, or s3://bucket/prefix/")]
pub struct InvalidPlace;

impl FromStr for At {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return Ok(Self::Folder(text.into()));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || prefix.starts_with('/') {
            return Err(InvalidPlace);
        }
        let slash = if prefix.is_empty() || prefix.ends_with('/') {
            ""
        } else {
            "/"
        };
        Ok(Self::S3 {
            bucket: bucket.to_owned(),
            prefix: format!("{prefix}{slash}"),
        })
    }
}

/// A file as it is found: name, bytes, and what changes with its content. As long as all are the same, so is the theme.
type Found = (String, u64, String);

/// Why there is no theme to take.
#[derive(Debug)]
enum Trouble {
    /// It could not be looked at: next time, maybe.
    Away(String),
    /// It was, and cannot be used as it is.
    Faulty(String),
}

#[derive(Debug)]
enum Source {
    Plain,
    Folder(PathBuf),
    S3(Box<Bucket>, String),
}

/// Keeps a printer under the theme as it is now.
#[derive(Debug)]
pub struct Themes {
    source: Source,
    printer: Printer,
    refresh: Duration,
    /// What was taken or found faulty last.
    seen: Option<Vec<Found>>,
}

impl Themes {
    /// For this printer. Nothing is read yet.
    pub async fn new(place: &Place, s3: S3Config, printer: Printer) -> Self {
        let source = match &place.at {
            At::Plain => Source::Plain,
            At::Folder(folder) => Source::Folder(folder.clone()),
            At::S3 { bucket, prefix } => {
                // On the heap once, instead of in every caller's future.
                let bucket = Box::pin(Bucket::connect(s3, bucket.as_str())).await;
                Source::S3(Box::new(bucket), prefix.clone())
            }
        };
        Self {
            source,
            printer,
            refresh: place.refresh,
            seen: None,
        }
    }

    /// Whether it lies where it may be away.
    pub(crate) const fn is_far(&self) -> bool {
        matches!(self.source, Source::S3(..))
    }

    /// Looks again and again.
    pub(crate) async fn keep(mut self) {
        loop {
            self.look().await;
            tokio::time::sleep(self.refresh).await;
        }
    }

    /// Takes what is there, if it is new and can be read whole.
    pub async fn look(&mut self) {
        let found = match self.source.find().await {
            Ok(found) => found,
            Err(error) => return self.tell(&error),
        };
        if self.seen.as_ref() == Some(&found) {
            return;
        }
        match self.source.read(&found).await {
            Ok(press) => {
                self.printer.take(press);
                tracing::info!(files = found.len(), "a theme is in force");
                metrics::gauge!("documents_theme_faulty").set(0.0);
            }
            Err(error) => {
                self.tell(&error);
                if let Trouble::Away(_) = error {
                    return;
                }
            }
        }
        self.seen = Some(found);
    }

    fn tell(&self, trouble: &Trouble) {
        let has_one = self.printer.press().is_some();
        match trouble {
            Trouble::Away(error) => tracing::warn!(error, has_one, "the theme cannot be looked at"),
            Trouble::Faulty(error) => {
                tracing::warn!(
                    error,
                    has_one,
                    "the theme is faulty; the one before, if any, stays in force"
                );
                metrics::gauge!("documents_theme_faulty").set(1.0);
            }
        }
    }
}

impl Source {
    /// Which files there are.
    async fn find(&self) -> Result<Vec<Found>, Trouble> {
        match self {
            Self::Plain => Ok(Vec::new()),
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || find_in(&folder).map_err(|error| Trouble::Away(error.to_string())))
                    .await
            }
            Self::S3(bucket, prefix) => {
                let listed = bucket.list(prefix, None).await;
                let listed = listed.map_err(|error| Trouble::Away(error.to_string()))?;
                let found = listed.into_iter().filter_map(|object| {
                    let name = object.key.strip_prefix(prefix.as_str())?.to_owned();
                    let is_folder = name.is_empty() || name.ends_with('/');
                    let content = format!("{:?} {:?}", object.etag, object.modified_at);
                    (!is_folder).then_some((name, object.bytes, content))
                });
                Ok(found.collect())
            }
        }
    }

    async fn read(&self, found: &[Found]) -> Result<Press, Trouble> {
        let faulty = |error: &dyn ToString| Trouble::Faulty(error.to_string());
        match self {
            Self::Plain => {
                blocking(move || Press::new(Theme::plain()).map_err(|error| faulty(&error))).await
            }
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || {
                    let theme = Theme::read(&folder).map_err(|error| faulty(&error))?;
                    Press::new(theme).map_err(|error| faulty(&error))
                })
                .await
            }
            Self::S3(bucket, prefix) => {
                let files = get_all(bucket, prefix, found).await?;
                let place = PathBuf::from(format!("s3://{}/{prefix}", bucket.name()));
                blocking(move || {
                    let theme = Theme::of_files(&place, &files).map_err(|error| faulty(&error))?;
                    Press::new(theme).map_err(|error| faulty(&error))
                })
                .await
            }
        }
    }
}

async fn get_all(
    bucket: &Bucket,
    prefix: &str,
    found: &[Found],
) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    let bytes: u64 = found.iter().map(|(_, bytes, _)| bytes).sum();
    if found.len() > FILES_MAX || bytes > BYTES_MAX {
        return Err(Trouble::Faulty(format!(
            "{} files of {bytes} bytes; at most {FILES_MAX} of {BYTES_MAX} are read",
            found.len()
        )));
    }
    let mut files = BTreeMap::new();
    for (name, bytes, _) in found {
        let bytes_max = usize::try_from(*bytes).unwrap_or(usize::MAX);
        // One that was changed since it was found is not the one that was: the next look finds what is there then.
        let got = bucket.get(&format!("{prefix}{name}"), bytes_max).await;
        let got = got.map_err(|error| Trouble::Away(error.to_string()))?;
        files.insert(name.clone(), got.body.to_vec());
    }
    Ok(files)
}

/// Files in a folder and those in it, in the order of their names.
fn find_in(folder: &Path) -> std::io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(&inside)? {
            let path = entry?.path();
            let about = fs::metadata(&path)?;
            if about.is_dir() {
                folders.push(path);
                continue;
            }
            let since = about.modified()?.duration_since(UNIX_EPOCH);
            let since = since.unwrap_or_default().as_nanos();
            found.push((path.display().to_string(), about.len(), since.to_string()));
            if found.len() > FILES_MAX {
                let why = format!("more than {FILES_MAX} files");
                return Err(std::io::Error::other(why));
            }
        }
    }
    found.sort();
    Ok(found)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(Trouble::Faulty(format!("reading it panicked: {panic}"))))
}

#[cfg(test)]
mod tests {
    use super::At;

    #[test]
    fn a_theme_lies_in_a_folder_or_under_a_prefix() {
        let s3 = |bucket: &str, prefix: &str| At::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        };
        for (text, at) in [
            ("themes/shop", At::Folder("themes/shop".into())),
            ("s3://b/themes/shop/", s3("b", "themes/shop/")),
            ("s3://b/themes/shop", s3("b", "themes/shop/")),
            ("s3://b", s3("b", "")),
        ] {
            assert_eq!(text.parse::<At>().expect("a place"), at);
        }
        assert!("s3:///x".parse::<At>().is_err());
    }
}

//! Where files go. The port is small, so that the shop's S3 client stands behind it.

use std::fmt::Debug;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

/// A file to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Where.
    pub key: String,
    /// What.
    pub bytes: Vec<u8>,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
}

/// The store is away, or refuses.
#[derive(Debug, thiserror::Error)]
#[error("the file store: {0}")]
pub struct FilesAway(pub String);

/// What [`Files::put`] answers.
pub type Put<'a> = Pin<Box<dyn Future<Output = Result<(), FilesAway>> + Send + 'a>>;

/// A store of files by key. To put a file twice is to put it once.
pub trait Files: Send + Sync + Debug + 'static {
    /// Keeps a file; durable when it answers.
    fn put(&self, file: NewFile) -> Put<'_>;

    /// Whether files can be put.
    fn is_well(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
}

/// A folder of this machine, for development and single machines.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// Files below `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }
}

impl Files for Folder {
    fn put(&self, file: NewFile) -> Put<'_> {
        Box::pin(async move {
            let path = self.0.join(&file.key);
            let write = async {
                let folder = path.parent().unwrap_or(&self.0);
                tokio::fs::create_dir_all(folder).await?;
                // Whole or not there: a reader never sees half a file.
                let part = path.with_extension(format!("{}.part", std::process::id()));
                tokio::fs::write(&part, &file.bytes).await?;
                tokio::fs::File::open(&part).await?.sync_all().await?;
                tokio::fs::rename(&part, &path).await
            };
            write
                .await
                .map_err(|error: std::io::Error| FilesAway(format!("{}: {error}", path.display())))
        })
    }

    fn is_well(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async { tokio::fs::create_dir_all(&self.0).await.is_ok() })
    }
}

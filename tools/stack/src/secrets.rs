//! Passwords between the parts of one stack, made at its first start.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use steelyard_localstores::random_secret;

/// The passwords. They never leave the machine, and never go into a log.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// What services present to one another.
    pub service_token: String,
    /// Password of the services' database roles.
    pub database_password: String,
    /// `AWS_SECRET_ACCESS_KEY` for the private S3.
    pub s3_secret_key: String,
}

impl Secrets {
    /// Those in the file, which is made (mode 0600) when it is not there.
    ///
    /// # Errors
    /// When the file can be neither read nor made.
    pub fn load_or_make(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!(
                    "{} is damaged; begin anew with: cargo stack --fresh",
                    path.display()
                )
            }),
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
                let secret = || random_secret().context("cannot make a password");
                let secrets = Self {
                    service_token: secret()?,
                    database_password: secret()?,
                    s3_secret_key: secret()?,
                };
                write_private(path, &serde_json::to_vec_pretty(&secrets)?)?;
                Ok(secrets)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

/// Writes a file that only its owner may read, at once or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let unfinished = path.with_extension("new");
    std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&unfinished, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

//! `.stack/run.json`: where everything is, for programs and for the other subcommands.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use steelyard_localstores::is_alive;

use crate::dir::StackDir;
use crate::secrets::write_private;

/// The file's contents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunFile {
    /// The stack's own process.
    pub pid: u32,
    /// RFC 3339.
    pub started_at: String,
    /// `one-process` or `processes`.
    pub mode: String,
    /// By name: gateway, orders-1, catalog, documents, postgres, redis, sqs, s3.
    pub parts: BTreeMap<String, Part>,
    /// By name: customer, storefront, ops, catalog.
    pub tokens: BTreeMap<String, String>,
}

/// One part of the running stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Where it answers. A store's holds its password.
    pub url: String,
    /// Where it answers about its health and metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_url: Option<String>,
    /// Its process; none for a server that the stack did not start.
    pub pid: Option<u32>,
    /// Its log file.
    pub log: Option<PathBuf>,
}

impl RunFile {
    /// Reads the file of the stack that runs in `dir`.
    ///
    /// # Errors
    /// When none runs there.
    pub fn of_running(dir: &StackDir) -> anyhow::Result<Self> {
        // A stack that was killed leaves the file behind.
        Self::read(dir).filter(|file| is_alive(file.pid)).with_context(|| {
            format!(
                "no stack runs in {}; start one with: cargo stack (in another directory: --data DIR)",
                dir.root().display()
            )
        })
    }

    /// The file of the stack that runs in `dir`, or was killed there.
    pub(crate) fn read(dir: &StackDir) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(dir.run_file()).ok()?).ok()
    }

    /// Writes the file (mode 0600: it holds tokens and passwords).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, dir: &StackDir) -> anyhow::Result<()> {
        write_private(&dir.run_file(), &serde_json::to_vec_pretty(self)?)
    }
}

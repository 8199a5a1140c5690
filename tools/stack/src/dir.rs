//! What lies under the stack's directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::sys::statvfs::statvfs;
use steelyard_localstores::{DirLock, Postgres, Redis};

/// Free space below which a start is refused: a fresh Postgres alone writes about 60 MB.
const FREE_BYTES_MIN: u64 = 300 << 20;

/// The stack's directory, `.stack` by default.
#[derive(Clone, Debug)]
pub struct StackDir {
    root: PathBuf,
}

impl StackDir {
    /// The directory at `path`, which need not be there yet.
    ///
    /// # Errors
    /// When the current directory cannot be told.
    pub fn at(path: &Path) -> anyhow::Result<Self> {
        let root = std::path::absolute(path)
            .with_context(|| format!("cannot resolve {}", path.display()))?;
        Ok(Self { root })
    }

    /// Makes the directory and takes its lock, which is held until the value is dropped.
    ///
    /// # Errors
    /// When another stack runs on it (its pid is named), or the disk is full.
    pub fn own(&self) -> anyhow::Result<DirLock> {
        std::fs::create_dir_all(self.logs()).with_context(|| {
            format!(
                "cannot create {}; choose another with --data DIR",
                self.root.display()
            )
        })?;
        check_space(&self.root, FREE_BYTES_MIN)?;
        Ok(DirLock::acquire(&self.root.join("lock"), &self.root)?)
    }

    /// Removes what earlier runs left, and nothing that is not the stack's. Needs the lock.
    ///
    /// # Errors
    /// When a server still uses its data, or the system refuses.
    pub fn remove_data(&self) -> anyhow::Result<()> {
        Postgres::remove(&self.postgres())?;
        Redis::remove(&self.redis())?;
        for dir in [self.sqs(), self.s3(), self.logs()] {
            match std::fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", dir.display()));
                }
                _ => {}
            }
        }
        for file in [
            self.run_file(),
            self.secrets(),
            self.key(),
            self.jwks(),
            self.demo_mark(),
        ] {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", file.display()));
                }
                _ => {}
            }
        }
        std::fs::create_dir_all(self.logs())
            .with_context(|| format!("cannot create {}", self.logs().display()))
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The private Postgres.
    #[must_use]
    pub fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// The private Redis.
    #[must_use]
    pub fn redis(&self) -> PathBuf {
        self.root.join("redis")
    }

    /// The log of localsqs.
    #[must_use]
    pub fn sqs(&self) -> PathBuf {
        self.root.join("sqs")
    }

    /// One folder per bucket.
    #[must_use]
    pub fn s3(&self) -> PathBuf {
        self.root.join("s3")
    }

    /// Log files.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The log file of one part.
    #[must_use]
    pub fn log(&self, part: &str) -> PathBuf {
        self.logs().join(format!("{part}.log"))
    }

    /// The private key that signs tokens, mode 0600.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.root.join("token-key.pem")
    }

    /// The public key, for the gateway.
    #[must_use]
    pub fn jwks(&self) -> PathBuf {
        self.root.join("jwks.json")
    }

    /// Passwords, mode 0600.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets.json")
    }

    /// Where everything is while a stack runs, mode 0600.
    #[must_use]
    pub fn run_file(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// The shop that issues invoices; not removed by a fresh start, since it is the user's to change.
    #[must_use]
    pub fn shop(&self) -> PathBuf {
        self.root.join("shop.toml")
    }

    /// There once the demo catalog was loaded.
    #[must_use]
    pub fn demo_mark(&self) -> PathBuf {
        self.root.join("demo-loaded")
    }
}

fn check_space(dir: &Path, bytes_min: u64) -> anyhow::Result<()> {
    let found = statvfs(dir)
        .with_context(|| format!("cannot ask for the free space of {}", dir.display()))?;
    // 32 bits wide on macOS.
    let free = (found.blocks_available() as u64).saturating_mul(found.fragment_size());
    if free < bytes_min {
        bail!(
            "only {} MB are free on the disk that holds {}, and {} MB are needed; free some, or choose another disk with --data DIR",
            free >> 20,
            dir.display(),
            bytes_min >> 20
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let error = check_space(dir.path(), u64::MAX).unwrap_err().to_string();
        assert!(
            error.starts_with("only ") && error.ends_with("choose another disk with --data DIR"),
            "{error}"
        );
        assert!(!error.contains('\n'));
    }

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let stack = StackDir::at(&dir.path().join(".stack")).unwrap();
        let lock = stack.own().unwrap();
        let error = stack.own().unwrap_err().to_string();
        assert!(
            error.contains(&format!("in use by process {}", std::process::id())),
            "{error}"
        );
        drop(lock);
        stack.own().unwrap();
    }

    #[test]
    fn a_fresh_start_removes_the_stacks_own_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let stack = StackDir::at(dir.path()).unwrap();
        let _lock = stack.own().unwrap();
        std::fs::write(dir.path().join("holiday.jpg"), "not the stack's").unwrap();
        std::fs::write(stack.secrets(), "{}").unwrap();
        stack.remove_data().unwrap();
        assert!(dir.path().join("holiday.jpg").exists());
        assert!(!stack.secrets().exists());
    }
}

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};

use crate::{DirLock, Error};

/// The account under which a server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A store's directory holds these beside the server's own `data/`.
pub(crate) const LOCK: &str = "lock";
pub(crate) const PASSWORD: &str = "password";
pub(crate) const LOG: &str = "server.log";
pub(crate) const PID: &str = "pid";

/// Where an instance's directory really lies, and under which account the server runs.
///
/// Not as root: exactly where it was asked for. As root the server runs under `postgres` or `nobody`, which must be able
/// to walk to the directory; where it could not, the data lies under `/var/lib/steelyard`, in a folder named after the
/// wanted path, so that the next start finds it again.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The store's absolute directory: the server's `data/`, its lock, password and log.
    pub dir: PathBuf,
    /// Whether that is another place than was asked for.
    pub moved: bool,
    pub(crate) run_as: Option<Account>,
}

/// Home of the data that an unprivileged account could not reach where it was wanted.
const ELSEWHERE: &str = "/var/lib/steelyard";

impl Placement {
    /// Decides where the data of `wanted` lies. Makes the parent directories, not the directory itself.
    ///
    /// # Errors
    /// When a parent directory cannot be made, or no unprivileged account exists.
    pub fn of(wanted: &Path) -> Result<Self, Error> {
        let wanted = std::path::absolute(wanted).map_err(Error::io("resolve", wanted))?;
        let parent = parent_of(&wanted);
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        let parent = parent
            .canonicalize()
            .map_err(Error::io("resolve", parent))?;
        let wanted = match wanted.file_name() {
            Some(name) => parent.join(name),
            None => parent.clone(),
        };
        if !geteuid().is_root() {
            return Ok(Self {
                dir: wanted,
                moved: false,
                run_as: None,
            });
        }
        let account = unprivileged_account()?;
        if can_walk_to(&parent, account)? {
            return Ok(Self {
                dir: wanted,
                moved: false,
                run_as: Some(account),
            });
        }
        fs::create_dir_all(ELSEWHERE).map_err(Error::io("create", Path::new(ELSEWHERE)))?;
        Ok(Self {
            dir: Path::new(ELSEWHERE).join(flat_name(&wanted)),
            moved: true,
            run_as: Some(account),
        })
    }

    /// The server's own data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Makes `dir` (mode 0700) for the server's account, or checks that it is that account's.
    pub(crate) fn make_dir(&self, dir: &Path) -> Result<(), Error> {
        use std::os::unix::fs::DirBuilderExt;
        match fs::metadata(dir) {
            Ok(found) => {
                let expected = self
                    .run_as
                    .map_or_else(|| geteuid().as_raw(), |account| account.uid);
                if found.uid() == expected {
                    return Ok(());
                }
                return Err(Error::WrongOwner {
                    dir: dir.to_owned(),
                    owner: found.uid(),
                    expected,
                });
            }
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::io("read", dir)(source)),
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .map_err(Error::io("create", dir))?;
        self.give(dir)
    }

    /// Hands a file or directory to the server's account.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        match self.run_as {
            Some(account) => chown(path, Some(account.uid), Some(account.gid))
                .map_err(Error::io("change the owner of", path)),
            None => Ok(()),
        }
    }
}

/// Removes a store's directory, unless an owner runs.
pub(crate) fn remove(store_dir: &Path) -> Result<(), Error> {
    let dir = Placement::of(store_dir)?.dir;
    if !dir.exists() {
        return Ok(());
    }
    let _lock = DirLock::acquire(&dir.join(LOCK), &dir)?;
    fs::remove_dir_all(&dir)
        .or_else(missing_is_fine)
        .map_err(Error::io("remove", &dir))
}

pub(crate) fn missing_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// `postgres` is there wherever Debian's package is, and owns nothing that a private instance could harm.
fn unprivileged_account() -> Result<Account, Error> {
    for name in ["postgres", "nobody"] {
        if let Ok(Some(user)) = User::from_name(name)
            && user.uid != Uid::from_raw(0)
        {
            return Ok(Account {
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
            });
        }
    }
    Err(Error::NoAccount)
}

/// Whether `account` may pass through `dir` and everything above it.
fn can_walk_to(dir: &Path, account: Account) -> Result<bool, Error> {
    for step in dir.ancestors() {
        let found = fs::metadata(step).map_err(Error::io("read", step))?;
        let execute = match found {
            ref m if m.uid() == account.uid => 0o100,
            ref m if m.gid() == account.gid => 0o010,
            _ => 0o001,
        };
        if found.mode() & execute == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `/root/shop/.stack/postgres` → `root+shop+.stack+postgres`: unique enough, readable, and the same at every start.
fn flat_name(path: &Path) -> String {
    path.to_string_lossy()
        .trim_start_matches('/')
        .replace('/', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_one_readable_name() {
        assert_eq!(
            flat_name(Path::new("/root/shop/.stack/postgres")),
            "root+shop+.stack+postgres"
        );
    }

    #[test]
    fn a_private_home_cannot_be_walked_by_a_stranger() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        let stranger = Account {
            uid: 4_000_000,
            gid: 4_000_000,
        };
        assert!(!can_walk_to(home.path(), stranger).unwrap());
        assert!(can_walk_to(Path::new("/"), stranger).unwrap());
    }
}

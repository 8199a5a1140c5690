//! Configuration from environment variables: all faults named at once, secrets never shown.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use url::Url;

/// A snapshot of environment variables: the process's own, or a map in tests and in the
/// one-process stack. An empty variable counts as not set.
#[derive(Clone, Default)]
pub struct Env {
    vars: HashMap<String, String>,
    watch: Option<Watch>,
}

/// How a variable was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) required: bool,
    pub(crate) secret: bool,
}

/// The variables that an [`Env`] was asked for.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<BTreeMap<String, Asked>>>);

impl Watch {
    fn note(&self, name: &str, asked: Asked) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = seen.entry(name.to_owned()).or_default();
        noted.required |= asked.required;
        noted.secret |= asked.secret;
    }

    /// What was noted so far.
    pub(crate) fn take(&self) -> BTreeMap<String, Asked> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Env {
    /// The variables of this process. One that is not UTF-8 is left out: no setting of Steelyard
    /// needs such a value.
    #[must_use]
    pub fn from_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            vars: std::env::vars_os().filter_map(utf8).collect(),
            watch: None,
        }
    }

    /// The given variables and no others.
    pub fn of<K: Into<String>, V: Into<String>>(vars: impl IntoIterator<Item = (K, V)>) -> Self {
        Self {
            vars: vars
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            watch: None,
        }
    }

    /// This snapshot, noting from now on which variables it is asked for.
    pub(crate) fn watched(mut self) -> (Self, Watch) {
        let watch = Watch::default();
        self.watch = Some(watch.clone());
        (self, watch)
    }

    fn note(&self, name: &str, asked: Asked) {
        if let Some(watch) = &self.watch {
            watch.note(name, asked);
        }
    }

    /// This snapshot with one variable set or replaced.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.vars.insert(name.into(), value.into());
        self
    }

    /// The variable's text, if it is set and not blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.note(name, Asked::default());
        self.vars
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// Reads settings, gathering faults.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            env: self,
            faults: Vec::new(),
        }
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.vars.keys()).finish()
    }
}

/// Reads settings one by one and remembers every fault, so that a deploy with three mistakes
/// fails once, not three times.
///
/// ```
/// use steelyard_runtime::config::{Env, Faults};
///
/// struct Config { catalog: url::Url, workers: u16 }
///
/// fn read(env: &Env) -> Result<Config, Faults> {
///     let mut reader = env.reader();
///     let catalog = reader.http_url("CATALOG_URL");
///     let workers = reader.or("WORKERS", 4);
///     reader.finish(|| Some(Config { catalog: catalog?, workers }))
/// }
///
/// let faults = read(&Env::of([("WORKERS", "many")])).err().expect("two faults");
/// assert_eq!(faults.0.len(), 2);
/// ```
#[derive(Debug)]
pub struct Reader<'a> {
    env: &'a Env,
    faults: Vec<ConfigFault>,
}

const REQUIRED: Asked = Asked {
    required: true,
    secret: false,
};
const REQUIRED_SECRET: Asked = Asked {
    required: true,
    secret: true,
};

impl Reader<'_> {
    /// A setting that must be there; `None` has been noted as a fault.
    pub fn required<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        self.env.note(name, REQUIRED);
        if self.env.get(name).is_none() {
            self.fault(name, "is not set");
            return None;
        }
        self.optional(name)
    }

    /// A setting that may be missing; one that does not parse is noted as a fault.
    pub fn optional<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        match self.env.get(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(name, format!("cannot be read: {error}"));
                None
            }
        }
    }

    /// A setting with a default.
    pub fn or<T>(&mut self, name: &'static str, default: T) -> T
    where
        T: FromStr<Err: fmt::Display>,
    {
        self.optional(name).unwrap_or(default)
    }

    /// A number with a default, refused outside of `range`.
    pub fn within<T>(
        &mut self,
        name: &'static str,
        default: T,
        range: std::ops::RangeInclusive<T>,
    ) -> T
    where
        T: FromStr<Err: fmt::Display> + PartialOrd + fmt::Display,
    {
        let value = self.or(name, default);
        if !range.contains(&value) {
            let (low, high) = (range.start(), range.end());
            self.fault(
                name,
                format!("must lie between {low} and {high}, but is {value}"),
            );
        }
        value
    }

    /// A time span with its unit, such as `250ms`, `5s` or `14d`.
    pub fn duration_or(&mut self, name: &'static str, default: Duration) -> Duration {
        self.optional::<humantime::Duration>(name)
            .map_or(default, Into::into)
    }

    /// An address to listen on, such as `0.0.0.0:8080`.
    pub fn listen_or(&mut self, name: &'static str, default: SocketAddr) -> SocketAddr {
        self.or(name, default)
    }

    /// The address of a peer: `http://` or `https://`, without credentials.
    pub fn http_url(&mut self, name: &'static str) -> Option<Url> {
        let url: Url = self.required(name)?;
        let fault = if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            "must begin with http:// or https:// and name a host"
        } else if !url.username().is_empty() || url.password().is_some() {
            "must not hold credentials"
        } else {
            return Some(url);
        };
        self.fault(name, fault);
        None
    }

    /// A URL that may hold a password (a database's), with one of these schemes. Faults never
    /// repeat its text.
    pub fn secret_url(&mut self, name: &'static str, schemes: &[&str]) -> Option<Secret> {
        self.env.note(name, REQUIRED_SECRET);
        let Some(text) = self.env.get(name) else {
            self.fault(name, "is not set");
            return None;
        };
        let parsed = Url::parse(text)
            .ok()
            .filter(|url| schemes.contains(&url.scheme()));
        if parsed.is_none() {
            let expected = schemes.join(":// or ");
            self.fault(
                name,
                format!("must be a URL that begins with {expected}://"),
            );
            return None;
        }
        Some(Secret(text.to_owned()))
    }

    /// A secret of a form that `check` knows, such as a URL of several hosts. What `check` says must not repeat it.
    pub fn secret_like<T, E: std::fmt::Display>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Secret> {
        self.env.note(name, REQUIRED_SECRET);
        let Some(text) = self.env.get(name) else {
            self.fault(name, "is not set");
            return None;
        };
        match check(text) {
            Ok(_read) => Some(Secret(text.to_owned())),
            Err(why) => {
                let why = why.to_string();
                self.fault(name, why);
                None
            }
        }
    }

    /// A secret that must be there, with at least `chars_min` characters.
    pub fn secret(&mut self, name: &'static str, chars_min: usize) -> Option<Secret> {
        self.env.note(name, REQUIRED_SECRET);
        match self.env.get(name) {
            None => self.fault(name, "is not set"),
            Some(text) if text.chars().count() < chars_min => {
                self.fault(name, format!("must have at least {chars_min} characters"));
            }
            Some(text) => return Some(Secret(text.to_owned())),
        }
        None
    }

    /// Notes a fault that only the caller can see, such as two settings that exclude each other.
    pub fn fault(&mut self, name: &'static str, reason: impl Into<String>) {
        self.faults.push(ConfigFault {
            name,
            reason: reason.into(),
        });
    }

    /// Builds the configuration if nothing was wrong.
    ///
    /// # Errors
    /// All faults that were noted. `build` answers `None` only for a setting whose fault is noted.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Faults> {
        if self.faults.is_empty()
            && let Some(value) = build()
        {
            return Ok(value);
        }
        Err(Faults(self.faults))
    }
}

/// One setting that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<ConfigFault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        for ConfigFault { name, reason } in &self.0 {
            write!(f, "\n  {name} {reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// A password, token or URL that holds one. It never shows in logs: only [`Secret::expose`] gives
/// the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Env, Secret};

    #[test]
    fn every_fault_is_named_at_once_and_no_secret_is_shown() {
        let env = Env::of([
            ("CATALOG_URL", "ftp://files.example"),
            ("DATABASE_URL", "mysql://me:hunter2@db"),
            ("LINGER", "5 parsecs"),
            ("TASKS", "0"),
            ("BLANK", "  "),
        ]);
        let mut reader = env.reader();
        let _ = reader.http_url("CATALOG_URL");
        let _ = reader.secret_url("DATABASE_URL", &["postgres", "postgresql"]);
        let _ = reader.duration_or("LINGER", Duration::ZERO);
        let _ = reader.within("TASKS", 1, 1..=64);
        let _ = reader.required::<String>("BLANK");
        let _ = reader.secret("SERVICE_TOKEN", 16);
        let faults = reader.finish(|| Some(())).expect_err("six faults");
        let names: Vec<_> = faults.0.iter().map(|fault| fault.name).collect();
        let expected = [
            "CATALOG_URL",
            "DATABASE_URL",
            "LINGER",
            "TASKS",
            "BLANK",
            "SERVICE_TOKEN",
        ];
        assert_eq!(names, expected);
        assert!(!faults.to_string().contains("hunter2"), "{faults}");
    }

    #[test]
    fn settings_that_are_right_come_through() {
        let env = Env::of([("WAIT", "250ms"), ("DB", "postgres://me:pw@db/shop")]).with("N", "7");
        let mut reader = env.reader();
        let wait = reader.duration_or("WAIT", Duration::ZERO);
        let db = reader.secret_url("DB", &["postgres"]);
        let n = reader.within("N", 1_u32, 1..=10);
        let (wait, db, n) = reader.finish(|| Some((wait, db?, n))).expect("no fault");
        assert_eq!((wait, n), (Duration::from_millis(250), 7));
        assert_eq!(db.expose(), "postgres://me:pw@db/shop");
        assert_eq!(
            format!("{:?} {:?}", Secret::new("x"), env.get("N")),
            "[secret] Some(\"7\")"
        );
    }
}

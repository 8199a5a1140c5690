//! How documents are archived.

use std::time::Duration;

use steelyard_objects::{Class, Speed};
use steelyard_runtime::config::{Env, Faults, Reader};

use super::Retention;
use crate::written;

/// S3 counts in whole days.
const READABLE_MIN: Duration = Duration::from_hours(24);

/// How documents are archived.
#[derive(Debug, Clone)]
pub struct Options {
    /// The class that packs are kept in. [`Class::Standard`] for an S3 that knows no classes.
    pub class: Class,
    /// Whole months that documents stay warm after their own.
    pub warm_months: u8,
    /// A pack is closed when it has so many bytes.
    pub pack_bytes: u64,
    /// Less than this is not packed: it would be billed as more.
    pub pack_bytes_min: u64,
    /// For how long what was brought back can be read.
    pub readable: Duration,
    /// How soon a pack in a class that is not read at once is asked for.
    pub speed: Speed,
    /// How long documents are kept; `None` for ever.
    pub retention: Option<Retention>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            class: Class::GlacierInstant,
            warm_months: 2,
            pack_bytes: 128 << 20,
            pack_bytes_min: 256 << 10,
            readable: Duration::from_hours(7 * 24),
            speed: Speed::Standard,
            retention: None,
        }
    }
}

impl Options {
    /// What commands are told: see [`Options::read`].
    ///
    /// # Errors
    /// Every setting that is wrong.
    pub fn from_env(env: &Env) -> Result<Self, Faults> {
        let mut reader = env.reader();
        let options = Self::read(&mut reader, env);
        reader.finish(|| Some(options))
    }

    /// `ARCHIVE_CLASS`, `ARCHIVE_WARM_MONTHS`, `ARCHIVE_READABLE`, `ARCHIVE_RESTORE_SPEED`, `RETENTION` (a file's path, or its
    /// text).
    pub(crate) fn read(reader: &mut Reader<'_>, env: &Env) -> Self {
        let default = Self::default();
        let class = reader.or("ARCHIVE_CLASS", default.class);
        let speed: Speed = reader.or("ARCHIVE_RESTORE_SPEED", default.speed);
        let warm_months = reader.within("ARCHIVE_WARM_MONTHS", default.warm_months, 0..=120);
        let readable = reader.duration_or("ARCHIVE_READABLE", default.readable);
        if readable < READABLE_MIN {
            reader.fault("ARCHIVE_READABLE", "must be 1d or more");
        }
        if class == Class::DeepArchive && speed == Speed::Expedited {
            reader.fault(
                "ARCHIVE_RESTORE_SPEED",
                "DEEP_ARCHIVE knows no expedited restore",
            );
        }
        let retention = env
            .get("RETENTION")
            .and_then(|from| written::read(reader, "RETENTION", from, Retention::parse));
        Self {
            class,
            warm_months,
            readable,
            speed,
            retention,
            ..default
        }
    }
}

#[cfg(test)]
mod tests {
    use steelyard_runtime::config::Env;

    use super::Options;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/retention.example.toml");

    #[test]
    fn rules_of_retention_are_a_file_or_its_text() {
        let rules = |from: &str| {
            let env = Env::of([("RETENTION", from)]);
            Options::from_env(&env).map(|options| options.retention)
        };
        let text = include_str!("../../retention.example.toml");
        let (by_path, by_text) = (rules(PATH), rules(text));
        assert!(by_path.as_ref().is_ok_and(Option::is_some), "{by_path:?}");
        assert_eq!(by_path.ok(), by_text.ok());
        for wrong in ["/nowhere.toml", "home = \"DE\"\n[default]"] {
            let faults = rules(wrong).expect_err("a fault");
            assert_eq!(faults.0[0].name, "RETENTION");
        }
        let nothing = Options::from_env(&Env::default()).expect("defaults");
        assert_eq!(nothing.retention, None);
    }
}

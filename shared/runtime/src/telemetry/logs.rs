//! What is logged, and changing that while the process runs.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use tokio::task::AbortHandle;
use tracing::Metadata;
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::{EnvFilter, Registry, reload};

/// The longest filter that is taken.
pub(crate) const FILTER_BYTES_MAX: usize = 1_024;
/// How long a changed filter holds when nobody says.
pub(crate) const HOLDS: Duration = Duration::from_secs(15 * 60);
/// The longest that a changed filter holds: logs are paid by the gigabyte.
pub(crate) const HOLDS_MAX: Duration = Duration::from_secs(24 * 3_600);

static LOGS: OnceLock<Logs> = OnceLock::new();

/// What this process logs. There is one per process, as there is one subscriber.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    handle: reload::Handle<EnvFilter, Registry>,
    configured: Arc<str>,
    changed: Arc<Mutex<Option<Changed>>>,
}

#[derive(Debug)]
struct Changed {
    filter: String,
    until: OffsetDateTime,
    back: AbortHandle,
}

/// What is logged now.
#[derive(Debug, Serialize)]
pub(crate) struct Filter {
    /// The filter that holds.
    filter: String,
    /// The one from the environment, which comes back.
    configured: String,
    /// When it comes back, if another one holds.
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    until: Option<OffsetDateTime>,
}

/// Why a filter cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("a filter is a level, or target=level, separated by commas: {0}")]
    Unreadable(#[from] tracing_subscriber::filter::ParseError),
    #[error("the subscriber is gone")]
    Gone(#[from] reload::Error),
}

impl Logs {
    /// The filter of the environment, and what changes it later.
    pub(super) fn new(
        configured: &str,
    ) -> Result<(reload::Layer<EnvFilter, Registry>, Self), tracing_subscriber::filter::ParseError>
    {
        let (filter, handle) = reload::Layer::new(EnvFilter::try_new(configured)?);
        let logs = Self {
            handle,
            configured: configured.into(),
            changed: Arc::default(),
        };
        Ok((filter, logs))
    }

    /// Makes this the process's, unless there is one.
    pub(super) fn install(self) {
        drop(LOGS.set(self));
    }

    /// The process's, if logging was set up.
    pub(crate) fn of_process() -> Option<&'static Self> {
        LOGS.get()
    }

    /// What is logged now.
    pub(crate) fn filter(&self) -> Filter {
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let configured = self.configured.to_string();
        match changed.as_ref() {
            Some(changed) => Filter {
                filter: changed.filter.clone(),
                until: Some(changed.until),
                configured,
            },
            None => Filter {
                filter: configured.clone(),
                until: None,
                configured,
            },
        }
    }

    /// Changes what is logged, for a while. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// A filter that cannot be read; the one before stays.
    pub(crate) fn change(&self, filter: &str, holds: Duration) -> Result<Filter, ChangeError> {
        let holds = holds.min(HOLDS_MAX);
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.reload(EnvFilter::try_new(filter)?)?;
        if let Some(before) = changed.take() {
            before.back.abort();
        }
        let logs = self.clone();
        let back = tokio::spawn(async move {
            tokio::time::sleep(holds).await;
            logs.go_back();
        });
        *changed = Some(Changed {
            filter: filter.to_owned(),
            until: OffsetDateTime::now_utc() + holds,
            back: back.abort_handle(),
        });
        drop(changed);
        tracing::warn!(filter, ?holds, "what is logged was changed");
        Ok(self.filter())
    }

    /// Logs again what the environment says.
    pub(crate) fn go_back(&self) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = changed.take() {
            before.back.abort();
        }
        // It was read once before.
        let Ok(configured) = EnvFilter::try_new(&self.configured) else {
            return;
        };
        if self.handle.reload(configured).is_ok() {
            tracing::warn!(filter = %self.configured, "what is logged is as configured again");
        }
    }
}

/// Whatever the filter says, other people's code is logged down to `debug` only: at `trace`, HTTP clients and SDKs write
/// whole requests, tokens and addresses with them.
pub(super) fn nothing_private() -> FilterFn {
    FilterFn::new(may_be_logged as fn(&Metadata<'_>) -> bool)
        .with_max_level_hint(LevelFilter::TRACE)
}

fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= LevelFilter::DEBUG || is_ours(metadata.target())
}

/// Our crates, and the access log.
fn is_ours(target: &str) -> bool {
    target.starts_with("steelyard") || target.starts_with("localsqs") || target == "access"
}

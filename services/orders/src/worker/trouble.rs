//! Whose fault it is.

use steelyard_store::{is_contention, is_outage};

use super::tap::{CATALOG, POSTGRES};
use crate::catalog::Away;
use crate::plan::PlanError;

/// Why an attempt has no result.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A dependency is away: nobody's fault.
    Away {
        dependency: &'static str,
        reason: String,
    },
    /// Something in the part cannot be stored or read; which message it is, is not known.
    Unsound(String),
}

/// What the database said.
pub(super) enum Sql {
    /// A race was lost, nothing was written.
    Raced,
    Trouble(Trouble),
}

impl From<sqlx::Error> for Sql {
    fn from(error: sqlx::Error) -> Self {
        if is_contention(&error) {
            return Self::Raced;
        }
        let reason = error.to_string();
        if !is_outage(&error) && is_the_datas_fault(&error) {
            return Self::Trouble(Trouble::Unsound(reason));
        }
        // What is neither (a missing column, a right that was taken away) fails for every message
        // alike, so it parks none.
        Self::Trouble(Trouble::Away {
            dependency: POSTGRES,
            reason,
        })
    }
}

/// By SQLSTATE (PostgreSQL manual, appendix A): 22 data exception, 23 constraint, 54 too large. A
/// stored row that cannot be read back belongs to the message that asks for it.
pub(crate) fn is_the_datas_fault(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let classes = ["22", "23", "54"];
            classes.iter().any(|class| code.starts_with(class))
        }),
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Encode(_) => true,
        _ => false,
    }
}

impl From<Away> for Trouble {
    fn from(Away(reason): Away) -> Self {
        Self::Away {
            dependency: CATALOG,
            reason,
        }
    }
}

impl From<PlanError> for Trouble {
    fn from(error: PlanError) -> Self {
        Self::Unsound(error.to_string())
    }
}

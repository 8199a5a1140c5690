//! Which days an export is of.

use std::fmt;
use std::str::FromStr;

use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, Time};

/// The longest period: a year of orders is a long night's work, and more is better done month by month.
const DAYS_MAX: i64 = 366;

/// Whole days, UTC: from the first, inclusive, to the last, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    from: Date,
    to: Date,
}

/// The text names no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no period: {reason}; write yesterday, last-month, 2026-11 or 2026-11-01..2026-12-01"
)]
pub struct PeriodError {
    text: String,
    reason: &'static str,
}

impl Period {
    /// Reads `yesterday`, `last-month`, a month, or two days with `..` between them, of which the second is not part of it.
    ///
    /// # Errors
    /// [`PeriodError`]
    pub fn read(text: &str, today: Date) -> Result<Self, PeriodError> {
        let error = |reason| PeriodError {
            text: text.to_owned(),
            reason,
        };
        let period = match text {
            "yesterday" => Self {
                from: today.previous_day().unwrap_or(today),
                to: today,
            },
            "last-month" => {
                let to = today.replace_day(1).unwrap_or(today);
                let last = to.previous_day().unwrap_or(to);
                Self {
                    from: last.replace_day(1).unwrap_or(last),
                    to,
                }
            }
            _ => match text.split_once("..") {
                Some((from, to)) => Self {
                    from: day(from).ok_or_else(|| error("the first day cannot be read"))?,
                    to: day(to).ok_or_else(|| error("the second day cannot be read"))?,
                },
                None => {
                    let from =
                        day(&format!("{text}-01")).ok_or_else(|| error("it cannot be read"))?;
                    let in_next = from + Duration::days(31);
                    Self {
                        from,
                        to: in_next.replace_day(1).unwrap_or(in_next),
                    }
                }
            },
        };
        if period.from >= period.to {
            return Err(error("it ends before it begins"));
        }
        if (period.to - period.from).whole_days() > DAYS_MAX {
            return Err(error("it is longer than a year"));
        }
        Ok(period)
    }

    /// The first day.
    #[must_use]
    pub const fn from(self) -> Date {
        self.from
    }

    /// The day after the last.
    #[must_use]
    pub const fn to(self) -> Date {
        self.to
    }

    /// Its first moment.
    #[must_use]
    pub const fn begin(self) -> OffsetDateTime {
        self.from.with_time(Time::MIDNIGHT).assume_utc()
    }

    /// The first moment after it.
    #[must_use]
    pub const fn end(self) -> OffsetDateTime {
        self.to.with_time(Time::MIDNIGHT).assume_utc()
    }
}

fn day(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        Self::read(text, OffsetDateTime::now_utc().date())
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::Period;

    #[test]
    fn a_period_is_read_by_name_by_month_and_by_days() {
        let today = date!(2026 - 03 - 01);
        for (text, read) in [
            ("yesterday", "2026-02-28..2026-03-01"),
            ("last-month", "2026-02-01..2026-03-01"),
            ("2025-12", "2025-12-01..2026-01-01"),
            ("2026-02", "2026-02-01..2026-03-01"),
            ("2025-11-30..2025-12-02", "2025-11-30..2025-12-02"),
        ] {
            let period = Period::read(text, today).expect(text);
            assert_eq!(period.to_string(), read, "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "2026-13",
            "2026-02-30..2026-03-01",
            "2026-03-01..2026-03-01",
            "2026-03-02..2026-03-01",
            "2024-01-01..2026-01-01",
            "2026-03-01..",
            "2026-03-01...2026-03-02",
        ] {
            assert!(Period::read(text, today).is_err(), "{text}");
        }
    }
}

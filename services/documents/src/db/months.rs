//! The months' partitions: there before the first document of a month is.

use sqlx::PgPool;
use time::{Date, Duration, Month};

/// How many months ahead partitions are made.
const MONTHS_AHEAD: u8 = 3;

/// Makes the partitions of `today`'s month and of the next three.
///
/// # Errors
/// Those of Postgres.
pub async fn make_ahead(pool: &PgPool, today: Date) -> sqlx::Result<()> {
    let mut month = first_of_month(today);
    for _ in 0..=MONTHS_AHEAD {
        make(pool, month).await?;
        month = next_month(month);
    }
    Ok(())
}

/// Makes the partitions of a month, unless they are there.
///
/// # Errors
/// Those of Postgres.
pub async fn make(pool: &PgPool, month: Date) -> sqlx::Result<()> {
    // Looked up before it is made: making it takes a lock that others wait for.
    let name = format!("models_{:04}_{:02}", month.year(), u8::from(month.month()));
    let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(&name)
        .fetch_one(pool)
        .await?;
    if !there {
        sqlx::query("SELECT month_partition($1)")
            .bind(month)
            .execute(pool)
            .await?;
    }
    Ok(())
}

/// How many documents lie outside every month's partition. There should be none.
///
/// # Errors
/// Those of Postgres.
pub async fn strays(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM documents_rest")
        .fetch_one(pool)
        .await
}

/// The first day of a date's month.
pub(crate) fn first_of_month(date: Date) -> Date {
    date.replace_day(1).unwrap_or(date)
}

fn next_month(first: Date) -> Date {
    let days = match first.month() {
        Month::February => 29,
        _ => 31,
    };
    first_of_month(first.saturating_add(Duration::days(days)))
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::next_month;

    #[test]
    fn every_month_has_a_next_one() {
        let mut month = date!(2023 - 11 - 01);
        let mut seen = Vec::new();
        for _ in 0..5 {
            month = next_month(month);
            seen.push(month);
        }
        let expected = [
            date!(2023 - 12 - 01),
            date!(2024 - 01 - 01),
            date!(2024 - 02 - 01),
            date!(2024 - 03 - 01),
            date!(2024 - 04 - 01),
        ];
        assert_eq!(seen, expected);
        assert_eq!(next_month(date!(2023 - 02 - 01)), date!(2023 - 03 - 01));
    }
}

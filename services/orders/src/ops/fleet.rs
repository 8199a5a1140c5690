//! What the workers say of themselves, kept where all of them can be asked at once.

use sqlx::PgPool;
use sqlx::types::Json;
use steelyard_domain::ops::WorkerReport;

/// Workers that have been silent for long are forgotten.
const REPORT: &str = "
    WITH silent AS (DELETE FROM workers WHERE reported_at < now() - interval '10 minutes')
    INSERT INTO workers (instance, report) VALUES ($1, $2)
    ON CONFLICT (instance) DO UPDATE SET reported_at = now(), report = excluded.report";

/// Five times as long as they take from report to report.
const WORKERS: &str = "
    SELECT report FROM workers WHERE reported_at > now() - interval '15 seconds'
    ORDER BY instance LIMIT 200";

/// Leaves a report.
pub(super) async fn report(pool: &PgPool, report: &WorkerReport) -> sqlx::Result<()> {
    sqlx::query(REPORT)
        .bind(&report.instance)
        .bind(Json(report))
        .execute(pool)
        .await?;
    Ok(())
}

/// Takes a report back: the worker has stopped.
pub(super) async fn leave(pool: &PgPool, instance: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM workers WHERE instance = $1")
        .bind(instance)
        .execute(pool)
        .await?;
    Ok(())
}

/// The workers that have reported lately, 200 at most.
pub(crate) async fn workers(pool: &PgPool) -> sqlx::Result<Vec<WorkerReport>> {
    let reports: Vec<Json<WorkerReport>> = sqlx::query_scalar(WORKERS).fetch_all(pool).await?;
    Ok(reports.into_iter().map(|Json(report)| report).collect())
}

//! Bundles in the schema.

use sqlx::{PgConnection, PgPool};
use steelyard_domain::document::{Bundle, BundleState, LeftOut};
use steelyard_domain::id::CustomerId;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::write::Written;
use super::{ATTEMPTS_MAX, Error, KEPT, OPEN_MAX};
use crate::kind::Kind;

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) requested_by: String,
    pub(crate) customer_id: Option<CustomerId>,
    pub(crate) kind: Option<Kind>,
    pub(crate) from: Date,
    pub(crate) to: Date,
}

/// How much a bundle would hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Size {
    pub(crate) documents: i64,
    pub(crate) bytes: i64,
}

impl Wanted {
    /// What there is of it now.
    pub(crate) async fn size(&self, pool: &PgPool) -> sqlx::Result<Size> {
        let size = sqlx::query_as(
            "SELECT count(*) AS documents, coalesce(sum(size_bytes), 0)::bigint AS bytes FROM documents
              WHERE id >= first_id($1) AND id < first_id($2 + 1)
                AND ($3::text IS NULL OR customer_id = $3) AND ($4::text IS NULL OR kind = $4)",
        )
        .bind(self.from)
        .bind(self.to)
        .bind(self.customer_id.as_ref().map(CustomerId::as_str))
        .bind(self.kind.map(Kind::as_str));
        size.fetch_one(pool).await
    }
}

const COLUMNS: &str = "id, requested_at, customer_id, kind, from_day, to_day, state, documents, left_out, left_out_of, \
                       failure, object_key, size_bytes, sha256, expires_at";

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    requested_at: OffsetDateTime,
    pub(crate) customer_id: Option<String>,
    kind: Option<String>,
    from_day: Date,
    to_day: Date,
    state: String,
    documents: i32,
    left_out: i32,
    #[sqlx(json)]
    left_out_of: Vec<LeftOut>,
    failure: Option<String>,
    pub(crate) object_key: Option<String>,
    size_bytes: Option<i64>,
    pub(crate) sha256: Option<Vec<u8>>,
    pub(crate) expires_at: Option<OffsetDateTime>,
}

impl Row {
    /// As the API shows it.
    pub(crate) fn shown(self, now: OffsetDateTime) -> Bundle {
        let state = self.state(now);
        Bundle {
            id: self.id,
            state,
            customer_id: self.customer_id,
            kind: self.kind,
            from: self.from_day,
            to: self.to_day,
            requested_at: self.requested_at,
            documents: self.documents,
            left_out: self.left_out,
            left_out_of: self.left_out_of,
            size_bytes: self.size_bytes,
            sha256: self.sha256.map(hex::encode),
            expires_at: self.expires_at,
            failure: self.failure,
        }
    }

    /// What the file is called where it is saved.
    pub(crate) fn file_name(&self) -> String {
        let kind = self.kind.as_deref().unwrap_or("documents");
        format!("{kind} {} to {}.zip", self.from_day, self.to_day)
    }

    pub(crate) fn state(&self, now: OffsetDateTime) -> BundleState {
        match self.state.as_str() {
            "waiting" => BundleState::Waiting,
            "running" => BundleState::Running,
            "failed" => BundleState::Failed,
            _ if self.expires_at.is_some_and(|end| end <= now) => BundleState::Expired,
            _ => BundleState::Ready,
        }
    }
}

/// Writes down what is asked for; `None` when the caller waits for as many as it may.
pub(crate) async fn ask(pool: &PgPool, wanted: &Wanted) -> sqlx::Result<Option<Row>> {
    let mut transaction = pool.begin().await?;
    // One caller's requests are counted one after the other.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('documents.bundles:' || $1, 0))")
        .bind(&wanted.requested_by)
        .execute(&mut *transaction)
        .await?;
    let insert = format!(
        "INSERT INTO bundles (id, requested_by, customer_id, kind, from_day, to_day)
         SELECT $1, $2, $3, $4, $5, $6
          WHERE (SELECT count(*) FROM bundles WHERE requested_by = $2 AND state IN ('waiting', 'running')) < $7
         RETURNING {COLUMNS}"
    );
    let row = sqlx::query_as(sqlx::AssertSqlSafe(insert))
        .bind(Uuid::new_v4())
        .bind(&wanted.requested_by)
        .bind(wanted.customer_id.as_ref().map(CustomerId::as_str))
        .bind(wanted.kind.map(Kind::as_str))
        .bind(wanted.from)
        .bind(wanted.to)
        .bind(OPEN_MAX)
        .fetch_optional(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(row)
}

/// A bundle; with a customer, only if it is of their documents.
pub(crate) async fn get(
    pool: &PgPool,
    id: Uuid,
    customer: Option<&CustomerId>,
) -> sqlx::Result<Option<Row>> {
    let select = format!(
        "SELECT {COLUMNS} FROM bundles WHERE id = $1 AND ($2::text IS NULL OR customer_id = $2)"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(select))
        .bind(id)
        .bind(customer.map(CustomerId::as_str))
        .fetch_optional(pool)
        .await
}

/// A bundle that this process makes.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Claimed {
    pub(super) id: Uuid,
    pub(super) claim: Uuid,
    pub(super) customer_id: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) from_day: Date,
    pub(super) to_day: Date,
    pub(super) attempts: i32,
}

/// Takes the oldest that waits, or whose maker says nothing any more.
pub(super) async fn claim(pool: &PgPool, for_seconds: f64) -> sqlx::Result<Option<Claimed>> {
    sqlx::query_as(
        "UPDATE bundles SET state = 'running', claim = gen_random_uuid(), attempts = attempts + 1,
                claimed_until = now() + make_interval(secs => $1), documents = 0, left_out = 0, left_out_of = '[]'
          WHERE id = (SELECT id FROM bundles
                       WHERE state = 'waiting' OR (state = 'running' AND claimed_until < now())
                       ORDER BY requested_at LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING id, claim, customer_id, kind, from_day, to_day, attempts",
    )
    .bind(for_seconds)
    .fetch_optional(pool)
    .await
}

/// Says that it is still being made, and how far.
pub(super) async fn extend(
    pool: &PgPool,
    claimed: &Claimed,
    for_seconds: f64,
    documents: usize,
) -> Result<(), Error> {
    let extended = sqlx::query(
        "UPDATE bundles SET claimed_until = now() + make_interval(secs => $3), documents = $4 WHERE id = $1 AND claim = $2",
    )
    .bind(claimed.id)
    .bind(claimed.claim)
    .bind(for_seconds)
    .bind(count(documents))
    .execute(pool)
    .await?;
    held(extended.rows_affected())
}

/// The bundle is there.
pub(super) async fn finish(
    connection: &mut PgConnection,
    claimed: &Claimed,
    written: &Written,
) -> Result<(), Error> {
    let finished = sqlx::query(
        "UPDATE bundles SET state = 'ready', claim = NULL, claimed_until = NULL, documents = $3, left_out = $4,
                left_out_of = $5, object_key = $6, size_bytes = $7, sha256 = $8, finished_at = now(),
                expires_at = now() + make_interval(secs => $9)
          WHERE id = $1 AND claim = $2",
    )
    .bind(claimed.id)
    .bind(claimed.claim)
    .bind(count(written.documents))
    .bind(count(written.left_out))
    .bind(sqlx::types::Json(&written.left_out_of))
    .bind(&written.key)
    .bind(i64::try_from(written.bytes).unwrap_or(i64::MAX))
    .bind(written.sha256.as_slice())
    .bind(KEPT.as_seconds_f64())
    .execute(connection)
    .await?;
    held(finished.rows_affected())
}

/// It is tried again, or given up when it was tried often enough.
pub(super) async fn put_back(pool: &PgPool, claimed: &Claimed, why: &str) -> sqlx::Result<bool> {
    let gives_up = claimed.attempts >= ATTEMPTS_MAX;
    let (state, failure) = if gives_up {
        ("failed", Some(why))
    } else {
        ("waiting", None)
    };
    sqlx::query(
        "UPDATE bundles SET state = $3, failure = $4, claim = NULL, claimed_until = NULL,
                finished_at = CASE WHEN $3 = 'failed' THEN now() END
          WHERE id = $1 AND claim = $2",
    )
    .bind(claimed.id)
    .bind(claimed.claim)
    .bind(state)
    .bind(failure)
    .execute(pool)
    .await?;
    Ok(gives_up)
}

/// Back to the others without blame: the service stops.
pub(super) async fn release(pool: &PgPool, claimed: &Claimed) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE bundles SET state = 'waiting', claim = NULL, claimed_until = NULL, attempts = attempts - 1
          WHERE id = $1 AND claim = $2",
    )
    .bind(claimed.id)
    .bind(claimed.claim)
    .execute(pool)
    .await?;
    Ok(())
}

const fn held(rows: u64) -> Result<(), Error> {
    if rows == 1 { Ok(()) } else { Err(Error::Lost) }
}

fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

//! Imports in the schema: what is known, what is settled, how far it is.

use std::collections::{BTreeSet, HashMap};

use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::fault::Fault;
use super::file::Stored;
use super::manifest::Row;
use crate::db::months;
use crate::words;

/// Faults that are kept of one import; more are counted only.
pub const FAULTS_KEPT_MAX: i64 = 100_000;

/// An import as it stands.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Import {
    /// Of the manifest's place and content.
    pub id: Uuid,
    /// The manifest's place.
    pub source: String,
    /// The manifest's size.
    pub manifest_bytes: i64,
    /// Rows of the manifest.
    pub rows_total: i64,
    /// Where the first line begins that is not settled.
    pub next_offset: i64,
    /// Which line that is.
    pub next_line: i64,
    /// Documents that this import brought.
    pub rows_imported: i64,
    /// Rows whose document was there before.
    pub rows_known: i64,
    /// Rows with a fault.
    pub rows_refused: i64,
    /// Bytes of files that this import brought.
    pub bytes_imported: i64,
    /// When it began.
    pub started_at: OffsetDateTime,
    /// When a row was settled last.
    pub updated_at: OffsetDateTime,
    /// When the last row was settled.
    pub finished_at: Option<OffsetDateTime>,
}

impl Import {
    /// Rows that are settled.
    #[must_use]
    pub const fn rows_settled(&self) -> i64 {
        self.rows_imported + self.rows_known + self.rows_refused
    }
}

const COLUMNS: &str =
    "id, source, manifest_bytes, rows_total, next_offset, next_line, rows_imported, rows_known,
    rows_refused, bytes_imported, started_at, updated_at, finished_at";

/// What a manifest is.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) id: Uuid,
    pub(super) source: String,
    pub(super) sha256: [u8; 32],
    pub(super) bytes: u64,
    pub(super) rows: u64,
}

/// The import of a manifest: the one that was begun, or a new one.
pub(super) async fn begin(pool: &PgPool, manifest: &Manifest) -> sqlx::Result<Import> {
    let insert = "INSERT INTO imports (id, source, manifest_sha256, manifest_bytes, rows_total)
                  VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING";
    sqlx::query(insert)
        .bind(manifest.id)
        .bind(&manifest.source)
        .bind(manifest.sha256.as_slice())
        .bind(whole(manifest.bytes))
        .bind(whole(manifest.rows))
        .execute(pool)
        .await?;
    let import = get(pool, manifest.id).await?;
    import.ok_or(sqlx::Error::RowNotFound)
}

/// An import as it stands.
///
/// # Errors
/// Those of Postgres.
pub async fn get(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<Import>> {
    let select = format!("SELECT {COLUMNS} FROM imports WHERE id = $1");
    sqlx::query_as(sqlx::AssertSqlSafe(select))
        .bind(id)
        .fetch_optional(pool)
        .await
}

/// The imports that something happened to last.
///
/// # Errors
/// Those of Postgres.
pub async fn latest(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<Import>> {
    let select = format!("SELECT {COLUMNS} FROM imports ORDER BY updated_at DESC, id LIMIT $1");
    sqlx::query_as(sqlx::AssertSqlSafe(select))
        .bind(limit)
        .fetch_all(pool)
        .await
}

/// Lets an import begin anew; what it brought is known then.
pub(super) async fn rewind(pool: &PgPool, id: Uuid) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    sqlx::query("DELETE FROM import_faults WHERE import_id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "UPDATE imports SET next_offset = 0, next_line = 1, rows_imported = 0, rows_known = 0, rows_refused = 0,
                bytes_imported = 0, started_at = now(), updated_at = now(), finished_at = NULL
         WHERE id = $1",
    )
    .bind(id)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}

/// The faults of an import after a line, in the order of lines.
///
/// # Errors
/// Those of Postgres.
pub async fn faults(
    pool: &PgPool,
    id: Uuid,
    after_line: i64,
    limit: i64,
) -> sqlx::Result<Vec<(i64, String, String)>> {
    sqlx::query_as(
        "SELECT line, code, detail FROM import_faults WHERE import_id = $1 AND line > $2 ORDER BY line LIMIT $3",
    )
    .bind(id)
    .bind(after_line)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// What is known of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// An import brought a file of this hash under it.
    Imported([u8; 32]),
    /// It was issued here.
    Issued,
}

impl Taken {
    /// What that means for a row with this number: nothing to do, or a fault.
    pub(super) fn judge(&self, row: &Row) -> Result<(), Fault> {
        match self {
            Self::Imported(sha256) if *sha256 == row.sha256 => Ok(()),
            Self::Imported(sha256) => {
                let detail = format!(
                    "{} is there with another file, {}",
                    row.number,
                    hex::encode(sha256)
                );
                Err(Fault::new("duplicate_number", detail))
            }
            Self::Issued => {
                let detail = format!("{} was issued here", row.number);
                Err(Fault::new("duplicate_number", detail))
            }
        }
    }
}

pub(super) type Numbers = HashMap<(String, String), Taken>;

/// Which of the rows' numbers are taken.
pub(super) async fn taken<'r>(
    connection: &mut PgConnection,
    rows: impl Iterator<Item = &'r Row>,
) -> sqlx::Result<Numbers> {
    let (kinds, numbers): (Vec<&str>, Vec<&str>) = rows
        .map(|row| (row.kind.as_str(), row.number.as_str()))
        .unzip();
    let found: Vec<(String, String, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT n.kind, n.number, n.sha256
           FROM imported_numbers n JOIN unnest($1::text[], $2::text[]) AS r (kind, number) USING (kind, number)
         UNION ALL
         SELECT d.kind, d.number, NULL
           FROM documents d JOIN unnest($1::text[], $2::text[]) AS r (kind, number) USING (kind, number)
          WHERE d.import_id IS NULL",
    )
    .bind(&kinds)
    .bind(&numbers)
    .fetch_all(connection)
    .await?;
    let found = found.into_iter().map(|(kind, number, sha256)| {
        let taken = match sha256.map(<[u8; 32]>::try_from) {
            Some(Ok(sha256)) => Taken::Imported(sha256),
            _ => Taken::Issued,
        };
        ((kind, number), taken)
    });
    Ok(found.collect())
}

/// Rows that are ready to be settled, and where the next one begins.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) from_offset: u64,
    pub(super) next_offset: u64,
    pub(super) next_line: u64,
    pub(super) stored: Vec<(Row, Stored)>,
    pub(super) known: u64,
    pub(super) faults: Vec<(u64, Fault)>,
    /// Whether nothing follows.
    pub(super) last: bool,
}

/// What became of a set of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// They are settled.
    Settled {
        /// As it stands now.
        import: Import,
        /// Objects that were put for rows whose number somebody else took meanwhile.
        orphans: Vec<String>,
    },
    /// The import is elsewhere: another process has gone on with it.
    Elsewhere,
}

/// Settles rows, all or nothing, unless somebody else did.
pub(super) async fn settle(pool: &PgPool, id: Uuid, settled: &Settled) -> sqlx::Result<Outcome> {
    // On their own: a month that is made inside would lock the table while numbers are waited for.
    let months: BTreeSet<Date> = settled
        .stored
        .iter()
        .map(|(row, _)| months::first_of_month(row.issued_on))
        .collect();
    for month in months {
        months::make(pool, month).await?;
    }
    let mut transaction = pool.begin().await?;
    // Locked first, so that two processes with one import take turns instead of each other's numbers.
    let at: Option<i64> =
        sqlx::query_scalar("SELECT next_offset FROM imports WHERE id = $1 FOR UPDATE")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
    if at != Some(whole(settled.from_offset)) {
        return Ok(Outcome::Elsewhere);
    }
    let placed = place(&mut transaction, id, &settled.stored).await?;
    let known = settled.known + placed.known.len() as u64;
    let faults = [settled.faults.clone(), placed.faults].concat();
    note(&mut transaction, id, &faults).await?;
    let update = format!(
        "UPDATE imports SET next_offset = $2, next_line = $3, rows_imported = rows_imported + $4,
                rows_known = rows_known + $5, rows_refused = rows_refused + $6, bytes_imported = bytes_imported + $7,
                updated_at = now(), finished_at = CASE WHEN $8 THEN now() END
         WHERE id = $1 RETURNING {COLUMNS}"
    );
    let import = sqlx::query_as(sqlx::AssertSqlSafe(update))
        .bind(id)
        .bind(whole(settled.next_offset))
        .bind(whole(settled.next_line))
        .bind(whole(placed.new))
        .bind(whole(known))
        .bind(whole(faults.len() as u64))
        .bind(placed.bytes)
        .bind(settled.last)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Outcome::Settled {
        import,
        orphans: placed.orphans,
    })
}

/// What became of rows whose files lie where they belong.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// Documents that are new, and their bytes.
    pub(crate) new: u64,
    pub(crate) bytes: i64,
    /// Lines whose documents were there before.
    pub(crate) known: Vec<u64>,
    /// Lines whose numbers are another document's, and the keys of what was put for them in vain.
    pub(crate) faults: Vec<(u64, Fault)>,
    pub(crate) orphans: Vec<String>,
}

/// Makes documents of rows, each number once.
pub(crate) async fn place(
    connection: &mut PgConnection,
    import_id: Uuid,
    stored: &[(Row, Stored)],
) -> sqlx::Result<Placed> {
    let mut placed = Placed::default();
    if stored.is_empty() {
        return Ok(placed);
    }
    let mut claimed = claim(connection, stored).await?;
    // Removed as it goes, so that the same row twice is one document.
    let (new, lost): (Vec<_>, Vec<_>) = stored
        .iter()
        .partition(|(row, _)| claimed.remove(&row.document_id()));
    insert(connection, import_id, &new).await?;
    placed.new = new.len() as u64;
    placed.bytes = new.iter().map(|(_, stored)| stored.bytes).sum();
    if lost.is_empty() {
        return Ok(placed);
    }
    let taken = taken(connection, lost.iter().map(|(row, _)| row)).await?;
    for (row, stored) in lost {
        let number = (row.kind.as_str().to_owned(), row.number.clone());
        match taken.get(&number).map_or(Ok(()), |taken| taken.judge(row)) {
            Ok(()) => placed.known.push(row.line),
            Err(fault) => {
                placed.faults.push((row.line, fault));
                placed.orphans.push(stored.key.clone());
            }
        }
    }
    Ok(placed)
}

/// Takes numbers for documents; the documents that have them now.
async fn claim(
    connection: &mut PgConnection,
    stored: &[(Row, Stored)],
) -> sqlx::Result<BTreeSet<Uuid>> {
    // Of rows that share a number, the first is claimed.
    let mut first: HashMap<(&str, &str), &Row> = HashMap::new();
    for (row, _) in stored {
        first
            .entry((row.kind.as_str(), row.number.as_str()))
            .or_insert(row);
    }
    let mut rows: Vec<&Row> = first.into_values().collect();
    // Sorted, so that two imports with the same numbers never wait for each other in a circle.
    rows.sort_unstable_by(|a, b| (a.kind, &a.number).cmp(&(b.kind, &b.number)));
    let hashes: Vec<&[u8]> = rows.iter().map(|row| row.sha256.as_slice()).collect();
    let claimed: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO imported_numbers (kind, number, document_id, sha256)
         SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bytea[])
         ON CONFLICT DO NOTHING RETURNING document_id",
    )
    .bind(rows.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>())
    .bind(
        rows.iter()
            .map(|row| row.number.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(rows.iter().map(|row| row.document_id()).collect::<Vec<_>>())
    .bind(hashes)
    .fetch_all(connection)
    .await?;
    Ok(claimed.into_iter().collect())
}

async fn insert(
    connection: &mut PgConnection,
    id: Uuid,
    new: &[&(Row, Stored)],
) -> sqlx::Result<()> {
    let of = |field: fn(&Row) -> &str| new.iter().map(|(row, _)| field(row)).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO documents (id, issued_on, kind, number, customer_id, order_id, currency, total, country,
                                object_key, sha256, size_bytes, words, stored_at, import_id)
         SELECT d.id, d.issued_on, d.kind, d.number, d.customer_id, d.order_id, d.currency, d.total, d.country, d.key, d.sha256,
                d.size, to_tsvector('simple', d.words), now(), $13
         FROM unnest($1::uuid[], $2::date[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::numeric[],
                     $9::text[], $10::text[], $11::bytea[], $12::bigint[], $14::text[])
              AS d (id, issued_on, kind, number, customer_id, order_id, currency, total, country, key, sha256, size, words)",
    )
    .bind(new.iter().map(|(row, _)| row.document_id()).collect::<Vec<_>>())
    .bind(new.iter().map(|(row, _)| row.issued_on).collect::<Vec<_>>())
    .bind(of(|row| row.kind.as_str()))
    .bind(of(|row| &row.number))
    .bind(of(|row| row.customer.as_str()))
    .bind(new.iter().map(|(row, _)| row.order_id).collect::<Vec<Option<Uuid>>>())
    .bind(new.iter().map(|(row, _)| row.currency.as_deref()).collect::<Vec<Option<&str>>>())
    .bind(new.iter().map(|(row, _)| row.total).collect::<Vec<Option<Decimal>>>())
    .bind(new.iter().map(|(row, _)| row.country.as_deref()).collect::<Vec<Option<&str>>>())
    .bind(new.iter().map(|(_, stored)| stored.key.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|(row, _)| row.sha256.as_slice()).collect::<Vec<&[u8]>>())
    .bind(new.iter().map(|(_, stored)| stored.bytes).collect::<Vec<_>>())
    .bind(id)
    .bind(new.iter().map(|(row, _)| words::cut(&row.number)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn note(
    connection: &mut PgConnection,
    id: Uuid,
    faults: &[(u64, Fault)],
) -> sqlx::Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO import_faults (import_id, line, code, detail)
         SELECT $1, f.* FROM unnest($2::bigint[], $3::text[], $4::text[]) AS f (line, code, detail)
          WHERE (SELECT count(*) FROM import_faults WHERE import_id = $1) < $5
         ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(
        faults
            .iter()
            .map(|(line, _)| whole(*line))
            .collect::<Vec<_>>(),
    )
    .bind(
        faults
            .iter()
            .map(|(_, fault)| fault.code)
            .collect::<Vec<_>>(),
    )
    .bind(
        faults
            .iter()
            .map(|(_, fault)| fault.detail.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(FAULTS_KEPT_MAX)
    .execute(connection)
    .await?;
    Ok(())
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

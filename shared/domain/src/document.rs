//! Documents as the API shows them.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::id::OrderId;

time::serde::format_description!(iso_date, Date, "[year]-[month]-[day]");

/// What is known of a document. Its file is at `/v1/documents/{id}/content`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Document {
    /// Its id. Ids sort by the time of issue.
    pub id: Uuid,
    /// `invoice`, `credit_note`, `delivery_note`; other words may come.
    #[schema(example = "invoice")]
    pub kind: String,
    /// The number that it bears.
    #[schema(example = "RE-2026-000001")]
    pub number: String,
    /// The day that it bears.
    #[serde(with = "iso_date")]
    #[schema(value_type = String, format = Date)]
    pub issued_on: Date,
    /// Whose it is.
    pub customer_id: String,
    /// Of which order; absent on what was issued elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The currency of `total`; both are absent where nothing is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "GBP")]
    pub currency: Option<String>,
    /// What it comes to, with tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "18.36")]
    pub total: Option<Decimal>,
    /// The language that it is in (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether its file is there.
    pub state: DocumentState,
    /// What its file is.
    #[schema(example = "application/pdf")]
    pub content_type: String,
    /// The file's bytes, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// Its pages, where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<i32>,
    /// Of the file's bytes, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// When it came here.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Whether a document's file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// The document has its number; the file follows in moments.
    Pending,
    /// It can be fetched.
    Stored,
    /// It is in the archive. Its file may be fetched all the same, or must be restored first: `content` says which.
    Archived,
    /// Its file was removed when its retention time was over.
    Removed,
}

/// How far a document's way back from the archive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restore {
    /// Whether it can be fetched.
    pub state: RestoreState,
    /// Until when it can be fetched; absent on what is not archived.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub readable_until: Option<OffsetDateTime>,
    /// When it can be fetched at the latest; absent on what can be already.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub expected_at: Option<OffsetDateTime>,
}

/// See [`Restore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestoreState {
    /// It can be fetched.
    Ready,
    /// It is on its way: hours, by its storage class.
    Restoring,
}

/// What a bundle is asked to hold: all documents of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleBody {
    /// Whose documents. A customer's token has its own in any case; left out by staff: everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 128)]
    pub customer_id: Option<String>,
    /// Only those of this kind: `invoice`, `credit_note`, `delivery_note`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40)]
    pub kind: Option<String>,
    /// The first day.
    #[schema(format = Date, example = "2026-11-01")]
    pub from: String,
    /// The last day.
    #[schema(format = Date, example = "2026-11-30")]
    pub to: String,
}

/// A zip of the documents of a period. Its file is at `/v1/documents/bundles/{id}/content`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bundle {
    /// Its id.
    pub id: Uuid,
    /// How far it is.
    pub state: BundleState,
    /// Whose documents; absent for everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// Of which kind; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The first day.
    #[serde(with = "iso_date")]
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The last day.
    #[serde(with = "iso_date")]
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub requested_at: OffsetDateTime,
    /// Documents in it so far.
    pub documents: i32,
    /// Documents of the period whose files could not be read.
    pub left_out: i32,
    /// The first 100 of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out_of: Vec<LeftOut>,
    /// The zip's bytes, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// Of the zip's bytes, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Until when it can be fetched.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub expires_at: Option<OffsetDateTime>,
    /// Why it could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// See [`Bundle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BundleState {
    /// Nobody is at it yet.
    Waiting,
    /// It is being made.
    Running,
    /// It can be fetched.
    Ready,
    /// It could not be made; ask for it again.
    Failed,
    /// It was there, and is gone; ask for it again.
    Expired,
}

/// A document that is not in a bundle although it is of its period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftOut {
    /// Its id.
    pub id: Uuid,
    /// Its number.
    pub number: String,
    /// Why.
    pub reason: LeftOutReason,
}

/// See [`LeftOut`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutReason {
    /// Its file is in cold storage: restore it, and ask for the bundle again.
    Archived,
    /// Its file is not made yet.
    Pending,
    /// Its file was removed when its retention time was over.
    Removed,
    /// Its file is missing, or not what it was: the shop was told.
    Damaged,
}

/// A bulk import, and how far it is. Begun by `documents import`, a task or the Lambda.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DocumentImport {
    /// Of the manifest's place and content.
    pub id: Uuid,
    /// The manifest's place.
    #[schema(example = "s3://inbox/2026-11/manifest.csv")]
    pub source: String,
    /// Rows of the manifest.
    pub rows_total: i64,
    /// Documents that it brought so far.
    pub rows_imported: i64,
    /// Rows whose document was there before.
    pub rows_known: i64,
    /// Rows with a fault: see `/v1/documents/imports/{id}/faults`.
    pub rows_refused: i64,
    /// Bytes of files that it brought so far.
    pub bytes_imported: i64,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When a row was settled last. Long ago: whoever worked on it has died, and running it again goes on.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// When the last row was settled.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub finished_at: Option<OffsetDateTime>,
}

/// A row of a manifest that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportFault {
    /// Its line, from 1.
    pub line: i64,
    /// Stable, for programs.
    #[schema(example = "missing_file")]
    pub code: String,
    /// For people: what is wrong.
    pub detail: String,
}

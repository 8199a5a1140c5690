//! Makes documents of events.
//!
//! A set goes: decode → read what was charged → decide → **one transaction** (inbox, numbers, rows) → render → store →
//! note that it is stored → outcomes. What a crash leaves, and what the redelivery does:
//!
//! | a crash … | … leaves | … and the redelivery |
//! |---|---|---|
//! | before the commit | nothing: no number was taken | starts afresh |
//! | after the commit | a number and its document, without a file | finds the inbox row, renders and stores |
//! | after the file was stored | a file that the row does not know of | finds it, and tells the row what it is |
//! | after the row knows | all of it | is told so: `Done` |
//!
//! **Invariant:** a file is made of its row alone, so every attempt makes the same bytes under the same theme. Of two themes the
//! file that was put first stays, for a file is only put where none is.
//!
//! **Invariant:** nothing takes a number that could not be made into a document: amounts are added up before. A theme
//! that cannot render it parks the event; the document keeps its number, and a redrive makes the file.

mod decide;
mod decode;
mod print;
mod store;

use std::time::Duration;

use sqlx::PgPool;
use steelyard_objects::Bucket;
use steelyard_queue::{Delivery, Handler, Outcome, Set, Tap};
use steelyard_runtime::messages::MessageSpans;
use steelyard_store::{is_contention, is_outage};

use crate::db::{self, Issued};
use crate::shop::Shop;
use decide::Decided;
pub use print::Printer;

/// The breaker of Postgres.
pub const POSTGRES: &str = "postgres";
/// The breaker of S3.
pub const S3: &str = "s3";
/// The breaker of the theme, which may lie in S3.
pub const THEME: &str = "theme";
/// Why it is closed.
pub const NO_THEME: &str = "no theme could be read yet";
/// How long events wait when a dependency is away: the tap decides when they really go on.
const AWAY_WAIT: Duration = Duration::from_secs(1);
/// How long events wait after a lost race.
const RACE_WAIT: Duration = Duration::from_millis(100);

/// Everything that a worker needs.
#[derive(Debug)]
pub struct Worker {
    /// The schema `documents`.
    pub pool: PgPool,
    /// Who issues, and how numbers look.
    pub shop: Shop,
    /// Makes files.
    pub printer: Printer,
    /// Keeps them.
    pub bucket: Bucket,
    /// Closed while something is away.
    pub tap: Tap,
}

/// Why a set has no result.
enum Trouble {
    /// A dependency is away: nobody's fault.
    Away(&'static str, String),
    /// A race was lost.
    Raced(String),
    /// Something in the set cannot be stored or read.
    Unsound(String),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        let reason = error.to_string();
        if is_contention(&error) {
            Self::Raced(reason)
        } else if is_outage(&error) || !is_the_datas_fault(&error) {
            // What is neither fails for every event alike, so it parks none.
            Self::Away(POSTGRES, reason)
        } else {
            Self::Unsound(reason)
        }
    }
}

/// By SQLSTATE (PostgreSQL manual, appendix A): 22 data exception, 23 constraint, 54 too large.
fn is_the_datas_fault(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["22", "23", "54"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Encode(_) => true,
        _ => false,
    }
}

impl Handler for Worker {
    async fn handle(&self, set: &Set) -> Vec<Outcome> {
        let senders = set.deliveries().iter().map(Delivery::traceparent);
        let spans = MessageSpans::begin("issue", senders);
        let outcomes = match self.settle(set, &spans).await {
            Ok(outcomes) => outcomes,
            Err(trouble) => self.everyone(set, trouble),
        };
        spans.end(outcomes.iter().map(Outcome::as_str));
        outcomes
    }
}

impl Worker {
    async fn settle(&self, set: &Set, spans: &MessageSpans) -> Result<Vec<Outcome>, Trouble> {
        let events: Vec<_> = set.deliveries().iter().map(decode::event).collect();
        for (at, came) in events.iter().enumerate() {
            if let Ok(came) = came {
                spans.name(at, came.event.order.id, came.event.kind.as_str());
            }
        }
        let readable = || events.iter().flatten();
        let orders: Vec<_> = readable().map(|event| event.event.order.id).collect();
        let charged = db::invoices_of(&self.pool, &orders).await?;
        let decided = decide::all(&events, &self.shop, charged);

        let (mut outcomes, mut asked, mut at) = (Vec::new(), Vec::new(), Vec::new());
        for (i, decided) in decided.into_iter().enumerate() {
            outcomes.push(match decided {
                Decided::Issue(wanted) => {
                    at.push(i);
                    asked.push(wanted);
                    Outcome::Done
                }
                Decided::Park(reason) => Outcome::park(reason),
            });
        }
        let issued = db::issue(&self.pool, &self.shop, &mut asked).await?;
        for (&i, issued) in at.iter().zip(issued) {
            if issued == Issued::Conflict {
                outcomes[i] = Outcome::park("another event took effect under this id");
            }
        }
        let ids: Vec<_> = asked.iter().map(|asked| asked.document_id).collect();
        let refused = self.store(&ids).await?;
        for (asked, &i) in asked.iter().zip(&at) {
            if let Some(reason) = refused.get(&asked.document_id) {
                outcomes[i] = Outcome::park(reason.clone());
            }
        }
        Ok(outcomes)
    }

    /// Makes and keeps the files of documents that have none yet; answers for which that cannot be done.
    async fn store(&self, documents: &[uuid::Uuid]) -> Result<print::Refused, Trouble> {
        let documents = db::without_file(&self.pool, documents).await?;
        let printed = self.printer.print(documents).await;
        let print::Printed { files, mut refused } =
            printed.ok_or_else(|| Trouble::Away(THEME, NO_THEME.to_owned()))?;
        let put = store::put(&self.bucket, files).await;
        let (stored, not_taken) = put.map_err(|error| Trouble::Away(S3, error.to_string()))?;
        refused.extend(not_taken);
        db::stored(&self.pool, &stored).await?;
        metrics::counter!("documents_stored_total").increment(stored.len() as u64);
        Ok(refused)
    }

    fn everyone(&self, set: &Set, trouble: Trouble) -> Vec<Outcome> {
        let outcome = match trouble {
            Trouble::Away(dependency, reason) => {
                self.tap.close(dependency, &reason);
                Outcome::wait(AWAY_WAIT, dependency)
            }
            Trouble::Raced(reason) => Outcome::wait(RACE_WAIT, reason),
            Trouble::Unsound(reason) if set.len() == 1 => Outcome::park(reason),
            // The consumer halves the set until the culprit stands alone.
            Trouble::Unsound(reason) => Outcome::isolate(reason),
        };
        vec![outcome; set.len()]
    }
}

/// A tap that opens again when what it was closed for can do its part.
#[must_use]
pub fn guarded_tap(pool: PgPool, bucket: Bucket, printer: Printer) -> Tap {
    Tap::new()
        .with_probe(THEME, move || {
            let has_one = printer.press().is_some();
            async move { has_one }
        })
        .with_probe(POSTGRES, move || can_write(pool.clone()))
        .with_probe(S3, move || {
            let bucket = bucket.clone();
            async move { bucket.is_well().await }
        })
}

/// A disk that is full or a replica that is read-only answers every `SELECT`: only a write tells.
async fn can_write(pool: PgPool) -> bool {
    let attempt = async {
        let mut transaction = pool.begin().await?;
        sqlx::query("INSERT INTO series (kind, year, last) VALUES ('', 0, 1)")
            .execute(&mut *transaction)
            .await?;
        transaction.rollback().await
    };
    attempt.await.is_ok()
}

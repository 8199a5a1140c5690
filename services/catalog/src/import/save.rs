//! Saving the sets of an import, and counting what came of them.

use sqlx::{PgConnection, PgPool};
use steelyard_domain::fault::Fault;
use steelyard_domain::product::{ImportError, ImportReport};
use tokio::sync::mpsc;

use super::ImportFailure;
use super::named::{Begun, Name, advance, errors, hold};
use super::set::{Place, Set};
use crate::products::{Pen, Saved, upsert};
use crate::transaction::{Abort, Work, transact};

/// Faults that the report names of one line.
const LINE_FAULTS_MAX: usize = 10;
/// Characters of a fault's place and of its words in the report.
const FAULT_CHARS_MAX: usize = 256;

/// Saves sets as they come.
pub(super) struct Saver<'a> {
    pool: &'a PgPool,
    pen: Pen<'a>,
    name: Option<&'a Name>,
    report: ImportReport,
    /// How far it came.
    place: Place,
}

impl<'a> Saver<'a> {
    pub(super) fn new(
        pool: &'a PgPool,
        pen: Pen<'a>,
        name: Option<&'a Name>,
        begun: &Begun,
    ) -> Self {
        Self {
            pool,
            pen,
            name,
            report: begun.counts.clone(),
            place: begun.place.clone(),
        }
    }

    /// Lines that were taken.
    pub(super) const fn lines(&self) -> u64 {
        self.report.lines
    }

    /// Saves all that comes. On an error nothing more is taken, and the reader hears of it.
    pub(super) async fn save_all(
        &mut self,
        mut sets: mpsc::Receiver<Set>,
    ) -> Result<(), ImportFailure> {
        while let Some(set) = sets.recv().await {
            let work = SaveSet {
                saver: self,
                set: &set,
            };
            match transact(self.pool, &work).await? {
                Some(report) => self.report = report,
                None => return Err(ImportFailure::Overtaken),
            }
            self.place = set.end;
            self.pen.events.wake();
        }
        Ok(())
    }

    /// The report, when all was saved.
    pub(super) async fn finish(mut self) -> Result<ImportReport, ImportFailure> {
        if let Some(name) = self.name {
            let finish = Finish { saver: &self };
            if !transact(self.pool, &finish).await? {
                return Err(ImportFailure::Overtaken);
            }
            let all = errors(self.pool, name).await;
            self.report.errors = all.map_err(|error| ImportFailure::Database(error.into()))?;
        }
        Ok(self.report)
    }

    /// The report with a set's lines, and how many of its errors are new.
    fn counted(&self, set: &Set, saved: Vec<Saved>) -> (ImportReport, usize) {
        let mut report = self.report.clone();
        let known = report.errors.len();
        report.lines += set.count;
        let mut refused: Vec<(u64, Vec<Fault>)> = set.refused.clone();
        for (&number, saved) in set.numbers.iter().zip(saved) {
            let (count, booked) = match saved {
                Saved::Created { booked } => (&mut report.created, booked),
                Saved::Updated { booked } => (&mut report.updated, booked),
                Saved::Unchanged { booked } => (&mut report.unchanged, booked),
                Saved::Refused(fault) => {
                    refused.push((number, vec![fault]));
                    continue;
                }
                // Lines have no condition.
                Saved::Unmet(_) => continue,
            };
            *count += 1;
            report.stock_booked += u64::from(booked);
        }
        refused.sort_by_key(|(number, _)| *number);
        for (line, errors) in refused {
            report.failed += 1;
            // Of a named import that went on, earlier errors are in the store.
            let named = usize::try_from(report.failed).unwrap_or(usize::MAX);
            if named <= ImportReport::ERRORS_MAX {
                report.errors.push(ImportError {
                    line,
                    errors: clipped(errors),
                });
            }
        }
        (report, known)
    }
}

struct SaveSet<'s, 'a> {
    saver: &'s Saver<'a>,
    set: &'s Set,
}

impl Work for SaveSet<'_, '_> {
    /// The report; `None` when somebody else came further with the same import.
    type Output = Option<ImportReport>;

    async fn attempt(&self, connection: &mut PgConnection) -> Result<Self::Output, Abort> {
        let Self { saver, set } = self;
        if let Some(name) = saver.name
            && !hold(connection, name, saver.place.bytes).await?
        {
            return Ok(None);
        }
        let saved = if set.drafts.is_empty() {
            Vec::new()
        } else {
            upsert(connection, saver.pen, &set.drafts).await?
        };
        let (report, known) = saver.counted(set, saved);
        if let Some(name) = saver.name {
            let counts = without_errors(&report);
            let errors = &report.errors[known..];
            advance(connection, name, &set.end, &counts, errors, false).await?;
        }
        Ok(Some(report))
    }
}

struct Finish<'s, 'a> {
    saver: &'s Saver<'a>,
}

impl Work for Finish<'_, '_> {
    type Output = bool;

    async fn attempt(&self, connection: &mut PgConnection) -> Result<bool, Abort> {
        let Saver {
            name,
            report,
            place,
            ..
        } = self.saver;
        let Some(name) = name else { return Ok(true) };
        if !hold(connection, name, place.bytes).await? {
            return Ok(false);
        }
        let counts = without_errors(report);
        advance(connection, name, place, &counts, &[], true).await?;
        Ok(true)
    }
}

fn without_errors(report: &ImportReport) -> ImportReport {
    ImportReport {
        errors: Vec::new(),
        ..report.clone()
    }
}

/// Faults repeat what they complain of, and a line may be one long field name.
fn clipped(mut errors: Vec<Fault>) -> Vec<Fault> {
    errors.truncate(LINE_FAULTS_MAX);
    for Fault {
        pointer, detail, ..
    } in &mut errors
    {
        clip(pointer);
        clip(detail);
    }
    errors
}

fn clip(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(FAULT_CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
}

//! `documents lifecycle`, `restore`, `pack`, `hold`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use steelyard_runtime::config::Env;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{REFUSED, show};
use crate::archive::{Archive, Availability, Held, Hold, Options};
use crate::stores::Settings;

/// The turn, a transaction whose rows are locked, and what is asked meanwhile.
const CONNECTIONS_MAX: u32 = 4;
/// Holds that are shown.
const HOLDS_SHOWN_MAX: i64 = 1_000;

/// Does whatever is due: packs past months, moves packs into the cold class, brings back what is waited for, removes what
/// nothing keeps any more. To be run daily; may be run again whenever.
#[derive(Debug, Args)]
pub struct LifecycleArgs {}

/// Lets an archived document be read again.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Its id.
    document: Uuid,
}

/// Packs.
#[derive(Debug, Subcommand)]
pub enum PackArgs {
    /// Reads packs whole and compares everything; all that can be read without a restore when none is named.
    Verify {
        /// Their ids.
        packs: Vec<Uuid>,
    },
}

/// Legal holds: what must not be removed, whatever the retention time.
#[derive(Debug, Subcommand)]
pub enum HoldArgs {
    /// Places one on all documents of a customer, or on one document.
    Place {
        /// All documents of this customer, those to come as well.
        #[arg(
            long,
            required_unless_present = "document",
            conflicts_with = "document"
        )]
        customer: Option<String>,
        /// This document.
        #[arg(long)]
        document: Option<Uuid>,
        /// Why: a file number, say.
        #[arg(long)]
        reason: String,
        /// Who says so.
        #[arg(long)]
        by: String,
    },
    /// Releases one.
    Release {
        /// Its id.
        hold: Uuid,
        /// Who says so.
        #[arg(long)]
        by: String,
    },
    /// Shows those in force.
    List,
}

async fn open(env: &Env) -> anyhow::Result<Archive> {
    let (settings, options) = (Settings::from_env(env)?, Options::from_env(env)?);
    let pool = settings.database(CONNECTIONS_MAX).await?;
    Ok(Archive::new(pool, settings.bucket().await, options))
}

impl LifecycleArgs {
    pub(super) async fn run(self, env: &Env, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
        let archive = open(env).await?;
        let now = OffsetDateTime::now_utc();
        let done = archive.tick(now, || !stop.is_cancelled()).await?;
        show::out(&format!(
            "{} documents packed into {} packs, {} packs cooled, {} documents brought back, {} own keys freed, {} removed, \
             {} under a legal hold",
            done.packed,
            done.packs,
            done.chilled,
            done.restored,
            done.shed,
            done.removed,
            done.held
        ));
        if done.faults > 0 {
            show::out(&format!(
                "{} documents cannot be packed: see documents.archive_fault",
                done.faults
            ));
        }
        if done.lost > 0 {
            show::out(&format!(
                "{} packs are gone or have another size: see the log for their keys",
                done.lost
            ));
        }
        Ok(if done.faults + done.lost > 0 {
            ExitCode::from(REFUSED)
        } else {
            ExitCode::SUCCESS
        })
    }
}

impl RestoreArgs {
    pub(super) async fn run(self, env: &Env) -> anyhow::Result<ExitCode> {
        let archive = open(env).await?;
        let now = OffsetDateTime::now_utc();
        let (said, code) = match archive.restore(self.document, now).await? {
            Availability::Ready(None) => ("it can be read".to_owned(), ExitCode::SUCCESS),
            Availability::Ready(Some(until)) => {
                let until = until.format(&Rfc3339)?;
                (format!("it can be read until {until}"), ExitCode::SUCCESS)
            }
            Availability::Restoring(by) => {
                let by = by.format(&Rfc3339)?;
                (
                    format!("it is being restored, and can be read by {by}"),
                    ExitCode::from(REFUSED),
                )
            }
            Availability::Archived => ("it is archived".to_owned(), ExitCode::from(REFUSED)),
            Availability::Removed => ("it was removed".to_owned(), ExitCode::FAILURE),
            Availability::Unmade => ("its file is not made yet".to_owned(), ExitCode::FAILURE),
        };
        show::out(&said);
        Ok(code)
    }
}

impl PackArgs {
    pub(super) async fn run(self, env: &Env, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
        let Self::Verify { mut packs } = self;
        let archive = open(env).await?;
        let sealed = archive.verify_chain().await?;
        show::out(&format!("the chain holds: {sealed} packs"));
        if packs.is_empty() {
            packs = archive.readable_packs().await?;
        }
        let bar = show::bar("packs");
        bar.set_length(packs.len() as u64);
        for id in packs {
            anyhow::ensure!(!stop.is_cancelled(), "stopped");
            let verified = archive
                .verify(id)
                .await
                .with_context(|| format!("pack {id}"))?;
            bar.suspend(|| {
                show::out(&format!(
                    "pack {id}: {} documents, {} known",
                    verified.documents, verified.known
                ));
            });
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(ExitCode::SUCCESS)
    }
}

impl HoldArgs {
    pub(super) async fn run(self, env: &Env) -> anyhow::Result<ExitCode> {
        let pool = Settings::from_env(env)?.database(CONNECTIONS_MAX).await?;
        match self {
            Self::Place {
                customer,
                document,
                reason,
                by,
            } => {
                let on = customer
                    .map(Held::Customer)
                    .or(document.map(Held::Document));
                let on = on.context("a customer or a document")?;
                let id = Hold::place(&pool, &on, &reason, &by).await?;
                show::out(&format!("hold {id} is in force"));
            }
            Self::Release { hold, by } => {
                anyhow::ensure!(
                    Hold::release(&pool, hold, &by).await?,
                    "there is no hold {hold} in force"
                );
                show::out(&format!("hold {hold} is released"));
            }
            Self::List => {
                for hold in Hold::in_force(&pool, HOLDS_SHOWN_MAX).await? {
                    let document = hold.document_id.map(|id| format!("document {id}"));
                    let customer = hold.customer_id.map(|id| format!("customer {id}"));
                    let on = document.or(customer).unwrap_or_default();
                    let at = hold.placed_at.format(&Rfc3339)?;
                    show::out(&format!(
                        "{} on {on} since {at} by {}: {}",
                        hold.id, hold.placed_by, hold.reason
                    ));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

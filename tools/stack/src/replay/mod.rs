//! `cargo stack replay`: a shop's real invoices through the gateway, as a storefront would send them, and the books
//! after it.
//!
//! The products come in first, through the catalog's import, with the stock that the file sells. Each invoice is an
//! order with the invoice's number as reference and idempotency key, so a second replay is a series of retries: it
//! changes nothing and reconciles the same.

mod countries;
mod documents;
mod file;
mod reconcile;
mod send;
mod settle;
mod stock;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use steelyard_domain::id::OrderId;
use steelyard_domain::product::ImportReport;
use time::OffsetDateTime;

use self::documents::{Ordered, wait_for_invoices};
use self::file::{Books, Invoice};
use self::reconcile::{Report, month};
use self::settle::{State, wait_for_all};
use crate::cli::ReplayArgs;
use crate::client::Gateway;
use crate::dir::StackDir;
use crate::progress::{Progress, bar, out};
use crate::run_file::RunFile;
use crate::tokens;

/// A long file on a slow machine takes hours, not days.
const TOKEN_TTL: Duration = Duration::from_secs(12 * 60 * 60);
const SCOPES: &str = "storefront orders:price";

/// Replays the files and prints the reconciliation. Exit code 1 when the sums differ or anything is unsettled.
///
/// # Errors
/// When a file cannot be read, the gateway cannot be reached, or the products cannot be imported.
pub async fn command(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let progress = Progress::new();
    let mut books = Books::default();
    for path in &args.files {
        progress.doing(&format!("reading {}", path.display()));
        books.read(path)?;
    }
    let invoices: Vec<&Invoice> = books.replayable().collect();
    progress.done(&format!(
        "{} rows, {} invoices, {} of them orders",
        books.rows,
        books.invoices.len(),
        invoices.len()
    ));

    let (importer, storefront) = gateways(args)?;
    storefront.reach().await?;
    progress.doing("importing products and stock");
    let report: ImportReport = importer
        .import_products(stock::import_lines(&books, &args.currency))
        .await
        .context("cannot import the products")?;
    if let Some(first) = report.errors.first() {
        progress.note(&format!(
            "{} products were refused, the first: {:?}",
            report.failed, first.errors
        ));
    }
    progress.done(&format!(
        "products: {} new, {} changed, {} as they were; {} goods receipts booked",
        report.created, report.updated, report.unchanged, report.stock_booked
    ));
    drop(progress);

    let sending = bar(invoices.len(), "sending");
    let sent = send::send_all(
        &storefront,
        &invoices,
        &args.currency,
        usize::from(args.concurrency),
        &sending,
    )
    .await;
    sending.finish_and_clear();
    let ids: Vec<_> = sent
        .iter()
        .filter_map(|sent| sent.outcome.as_ref().ok().copied())
        .collect();
    let settling = bar(ids.len(), "settling");
    let states = wait_for_all(&storefront, &ids, args.settle, &settling).await;
    settling.finish_and_clear();

    let ordered = confirmed(&ids, &states);
    let report = Report::new(&books, &sent, states);
    out(&report.table());
    let mut balances = report.balances();
    if balances {
        out("  Everything is settled, and the orders equal the file to the cent.");
    }
    if args.invoices {
        let waiting = bar(ordered.len(), "invoices");
        let invoices = wait_for_invoices(&storefront, &ordered, args.settle, &waiting).await;
        waiting.finish_and_clear();
        let invoices = invoices.context("cannot list the invoices")?;
        out(&format!("\n{}", invoices.table()));
        if invoices.balance() {
            out(
                "  Every confirmed order has one invoice, to the cent, and every invoice its order.",
            );
        }
        balances &= invoices.balance();
    }
    if balances {
        return Ok(ExitCode::SUCCESS);
    }
    out("  The books do not balance.");
    Ok(ExitCode::FAILURE)
}

/// What has an invoice.
fn confirmed(ids: &[OrderId], states: &[State]) -> Vec<Ordered> {
    let settled = ids
        .iter()
        .zip(states)
        .filter_map(|(id, state)| match state {
            State::Settled(answer)
                if !matches!(answer.status.as_str(), "rejected" | "cancelled") =>
            {
                let since = |at: Option<OffsetDateTime>| at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
                Some(Ordered {
                    id: *id,
                    month: month(since(answer.placed_at)),
                    accepted_on: since(answer.accepted_at).date(),
                    currency: answer.currency.clone(),
                    total: answer.total,
                })
            }
            _ => None,
        });
    settled.collect()
}

/// For the import and for the orders: each with just the scopes that it needs, unless a token was given.
fn gateways(args: &ReplayArgs) -> anyhow::Result<(Gateway, Gateway)> {
    let dir = StackDir::at(&args.data.dir)?;
    let url = match &args.url {
        Some(url) => url.clone(),
        None => {
            let running = RunFile::of_running(&dir)?;
            let gateway = running
                .parts
                .get("gateway")
                .context("the running stack has no gateway")?;
            gateway
                .url
                .parse()
                .context("the running stack's gateway has no URL")?
        }
    };
    let token = |sub: &str, scopes: &str| match &args.token {
        Some(token) => Ok(token.clone()),
        None => tokens::mint(&dir, sub, scopes, TOKEN_TTL),
    };
    Ok((
        Gateway::new(url.clone(), token("replay-catalog", "catalog:write")?)?,
        Gateway::new(url, token("replay", SCOPES)?)?,
    ))
}

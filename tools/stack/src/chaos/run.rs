//! One run from the first order to the last page of the books.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use steelyard_chaos::audit::Auditor;
use steelyard_chaos::check::{Books, Fact};
use steelyard_chaos::collect::{Collector, Queues};
use steelyard_chaos::journal::{Asked, Entry, Journal, Record};
use steelyard_chaos::load::{Door, Load, Tokens};
use steelyard_chaos::plan::Fault;
use steelyard_chaos::report::grouped;
use steelyard_chaos::shop::Shop;
use steelyard_domain::order::Order;
use steelyard_queue::{SqsConfig, SqsCredentials, SqsTransport};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::faults::Faults;
use super::rig::Rig;
use super::{Home, Outcome, TIDY_MAX};
use crate::cli::ChaosArgs;
use crate::dir::StackDir;
use crate::progress::Progress;
use crate::up::endpoints::Aws;
use crate::up::processes::Binaries;
use crate::up::queues;

const QUEUES: Queues = Queues {
    orders: queues::ORDERS,
    dead_letters: "orders-dead-letters.fifo",
    documents: queues::DOCUMENTS,
    webhooks: queues::WEBHOOKS,
};
/// Between two looks at processes.
const WATCH: Duration = Duration::from_millis(250);
/// Between two looks at the backlog.
const LOOK: Duration = Duration::from_secs(1);
/// Looks from one line about the run to the next.
const LOOKS_PER_LINE: u32 = 10;
/// A backlog of so many seconds' load lets nobody in.
const BACKLOG_S_MAX: u64 = 20;
/// Old requests that are sent again.
const REPEATS: usize = 200;
/// Looks in a row that must find everything at rest.
const RESTS: u32 = 3;

/// What a run is made of.
pub(super) struct Run<'a> {
    pub(super) seed: u64,
    pub(super) lasts: Duration,
    pub(super) plan: &'a [Fault],
    pub(super) args: &'a ChaosArgs,
    pub(super) dir: &'a StackDir,
    pub(super) progress: &'a Progress,
    pub(super) stop: &'a CancellationToken,
}

/// What goes on at once.
struct Cast {
    rig: Arc<Rig>,
    load: Arc<Load>,
    /// Sees the same doors, when the run is over.
    audit: Arc<Load>,
    journal: Arc<Journal>,
    collector: Collector,
    faults: Faults,
    /// Processes that ended by themselves.
    deaths: Mutex<Vec<String>>,
    give_up: CancellationToken,
}

impl Run<'_> {
    /// Starts the system, runs, stops the system; `None` when it was interrupted.
    pub(super) async fn run(&self, binaries: Binaries) -> anyhow::Result<Option<Outcome>> {
        let (secrets, keys) = Home::keys(self.dir)?;
        let rig = Arc::new(Rig::new(self.dir, &secrets, binaries)?);
        let work = async {
            rig.bring_up(&secrets, self.progress).await?;
            let shop = Shop::new(self.seed);
            let tokens = Tokens::mint(&keys, shop, self.lasts + self.args.settle * 8)?;
            let cast = self.cast(Arc::clone(&rig), shop, tokens).await?;
            Box::pin(self.play(shop, cast)).await
        };
        let outcome = self.stop.run_until_cancelled(Box::pin(work)).await;
        self.progress.doing("stopping");
        if tokio::time::timeout(TIDY_MAX, rig.stop()).await.is_err() {
            self.progress.note("something did not stop in time");
        }
        outcome.transpose()
    }

    async fn cast(&self, rig: Arc<Rig>, shop: Shop, tokens: Tokens) -> anyhow::Result<Cast> {
        let journal = Arc::new(Journal::begin(&self.dir.logs().join("journal.ndjson"))?);
        let tokens = Arc::new(tokens);
        let users = |give_up: &CancellationToken| {
            let door = Door::new(rig.gateways(), Arc::clone(&journal), give_up.clone())?;
            let (tokens, journal) = (Arc::clone(&tokens), Arc::clone(&journal));
            anyhow::Ok(Arc::new(Load::new(shop, tokens, door, journal)))
        };
        let give_up = CancellationToken::new();
        let load = users(&give_up)?;
        load.open().await?;
        Ok(Cast {
            // It asks on when the visitors have given up.
            audit: users(&CancellationToken::new())?,
            collector: Collector::new(transport(rig.aws()).await, QUEUES),
            faults: Faults::new(Arc::clone(&rig))?,
            rig,
            load,
            journal,
            deaths: Mutex::default(),
            give_up,
        })
    }

    async fn play(&self, shop: Shop, cast: Cast) -> anyhow::Result<Outcome> {
        let cast = &cast;
        let (storm_over, all_over) = (CancellationToken::new(), CancellationToken::new());
        let receive = cast.collector.receive(&all_over);
        let plant = cast.collector.plant(&storm_over);
        let watch = cast.watch(&all_over);
        let whole = async {
            let storm = async {
                let visitors = tokio::join!(self.visitors(cast), self.damage(cast));
                storm_over.cancel();
                visitors
            };
            let ((visitors, damage), ()) = tokio::join!(storm, self.tell(cast, &storm_over));
            let rest = damage.and(self.rest(cast).await);
            let record = cast.journal.end();
            let repeated = bounded(self.args.settle, self.repeat(cast, &record)).await?;
            let rest = rest.and(self.rest(cast).await);
            let after = bounded(self.args.settle, cast.read(&repeated)).await?;
            anyhow::Ok((visitors, record, rest, repeated, after))
        };
        let story = async {
            let told = whole.await;
            storm_over.cancel();
            all_over.cancel();
            told
        };
        let (story, (), (), ()) = tokio::join!(story, receive, plant, watch);
        let (visitors, record, rest, repeated, after) = story?;
        self.progress.doing("reading the books");
        let answers = record.answers;
        let figures = vec![
            ("visitors", grouped(visitors)),
            ("requests accepted", grouped(cast.journal.accepted())),
            (
                "answers: come again (503, 429)",
                grouped(answers.come_again),
            ),
            (
                "answers: accepted, not to be seen yet (404)",
                grouped(answers.not_seen_yet),
            ),
            ("answers that never came", grouped(answers.broken)),
        ];
        let deadline = Instant::now() + self.args.settle;
        let letters = cast.collector.dead_letters(deadline).await;
        let mut books = Books::open(shop, record, cast.collector.end());
        let auditor = Auditor::new(Arc::clone(&cast.audit));
        let read = async {
            for customer in shop.customers() {
                books.customer(customer, &auditor.orders_of(customer).await?);
            }
            books.stock(&auditor.levels().await?);
            Ok(())
        };
        bounded(self.args.settle * 2, read).await?;
        books.answers(&cast.journal.end());
        books.dead_letters(&letters);
        for ((entry, answered, before), after) in repeated.iter().zip(&after) {
            books.sent_again(entry, *answered, before, Some(after));
        }
        let deaths = cast.deaths.lock().clone();
        books.note(Fact::Alive, true, String::new);
        for death in deaths.into_iter().chain(cast.faults.failed()) {
            books.note(Fact::Alive, false, || death);
        }
        books.note(Fact::Rested, rest.is_ok(), || {
            rest.err().unwrap_or_default()
        });
        Ok(Outcome {
            done: cast.faults.done(),
            findings: books.close(),
            figures,
        })
    }

    async fn visitors(&self, cast: &Cast) -> u64 {
        let deadline = sleep(self.lasts + self.args.settle);
        let run = cast.load.run(self.args.rate, self.lasts, self.stop);
        tokio::pin!(run);
        tokio::select! {
            visitors = &mut run => return visitors,
            () = deadline => cast.give_up.cancel(),
        }
        run.await
    }

    /// Works off the plan, and brings everything back.
    async fn damage(&self, cast: &Cast) -> Result<(), String> {
        cast.faults.run(self.plan, self.stop).await;
        let mended = cast.rig.mend().await;
        mended.map_err(|error| format!("not all of it came back: {error:#}"))
    }

    /// Tells how it goes, and keeps the backlog within bounds.
    async fn tell(&self, cast: &Cast, over: &CancellationToken) {
        let backlog_max = BACKLOG_S_MAX * u64::from(self.args.rate);
        let mut looks = 0;
        while over.run_until_cancelled(sleep(LOOK)).await.is_some() {
            let backlog = cast.collector.backlog().await;
            cast.load
                .hold(backlog.is_some_and(|backlog| backlog > backlog_max));
            looks += 1;
            if looks % LOOKS_PER_LINE == 0 {
                let backlog = backlog.map_or_else(|| "?".to_owned(), grouped);
                self.progress.note(&format!(
                    "{:>5} s: {} requests accepted, {} events received, backlog {backlog}",
                    cast.journal.now().as_secs(),
                    grouped(cast.journal.accepted()),
                    grouped(cast.collector.count() as u64),
                ));
            }
        }
    }

    /// Waits until every queue is empty and nothing more comes.
    async fn rest(&self, cast: &Cast) -> Result<(), String> {
        self.progress.doing("waiting until everything is at rest");
        let deadline = Instant::now() + self.args.settle;
        let (mut rests, mut count) = (0, cast.collector.count());
        while rests < RESTS {
            sleep(LOOK).await;
            let backlog = cast.collector.backlog().await;
            let undelivered = cast.collector.undelivered().await;
            let before = std::mem::replace(&mut count, cast.collector.count());
            let at_rest = (backlog, undelivered) == (Some(0), Some(0)) && before == count;
            rests = if at_rest { rests + 1 } else { 0 };
            if Instant::now() >= deadline {
                return Err(format!(
                    "after {} s still {backlog:?} commands and {undelivered:?} events in the queues",
                    self.args.settle.as_secs()
                ));
            }
        }
        Ok(())
    }

    /// Sends old requests again, and answers what they were answered with and the orders as they had been.
    async fn repeat(
        &self,
        cast: &Cast,
        record: &Record,
    ) -> anyhow::Result<Vec<(Entry, Option<uuid::Uuid>, Order)>> {
        let old: Vec<&Entry> = record
            .entries
            .iter()
            .filter(|entry| entry.accepted.is_some() && entry.asked != Asked::OtherBody)
            .collect();
        let every = old.len().div_ceil(REPEATS).max(1);
        let auditor = Auditor::new(Arc::clone(&cast.audit));
        let mut repeated = Vec::new();
        for entry in old.into_iter().step_by(every) {
            let id = entry.order_id.context("accepted without an id")?;
            let before = auditor.order(id).await?;
            repeated.push((entry.clone(), cast.audit.repeat(entry).await, before));
        }
        Ok(repeated)
    }
}

impl Cast {
    /// Notes processes that end by themselves.
    async fn watch(&self, over: &CancellationToken) {
        while over.run_until_cancelled(sleep(WATCH)).await.is_some() {
            let deaths = self.rig.deaths().await;
            self.deaths.lock().extend(deaths);
        }
    }

    async fn read(
        &self,
        repeated: &[(Entry, Option<uuid::Uuid>, Order)],
    ) -> anyhow::Result<Vec<Order>> {
        let auditor = Auditor::new(Arc::clone(&self.audit));
        let mut orders = Vec::with_capacity(repeated.len());
        for (_, _, before) in repeated {
            orders.push(auditor.order(before.id.0).await?);
        }
        Ok(orders)
    }
}

/// A system that does not answer must not hold the report up for ever.
async fn bounded<T>(
    within: Duration,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let done = tokio::time::timeout(within, work).await;
    done.unwrap_or_else(|_| {
        anyhow::bail!("the system did not answer within {} s", within.as_secs())
    })
}

async fn transport(aws: &Aws) -> SqsTransport {
    SqsTransport::connect(SqsConfig {
        region: Some(aws.region.clone()),
        endpoint_url: Some(aws.sqs_url.clone()),
        credentials: SqsCredentials::Static {
            access_key_id: aws.access_key.clone(),
            secret_access_key: aws.secret_key.clone(),
        },
    })
    .await
}

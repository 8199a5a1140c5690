//! `cargo stack drill`: a region is lost under load, the other one takes over, and the books say what that cost.
//!
//! ```text
//!            ┌── region a ─────────────────────┐      ┌── region b (stands by) ─────────────────┐
//! shop ─DNS─►│ gateway ► SQS ► orders ► Postgres│─────►│ Postgres (follows)   SQS ◄ gateway ◄─DNS─ shop
//!            │            catalog   Redis       │stream│ orders, catalog: not started   Redis    │
//!            └─────────────────────────────────┘      └─────────────────────────────────────────┘
//! ```
//!
//! 1. Orders go to region a for a while. Then all of a is killed at once.
//! 2. A health check notices and turns the name to b, whose gateway takes orders into its own queue from then on.
//! 3. Its database is promoted, catalog and workers are started, the queue is worked off.
//! 4. Region a comes back: what was left in its queue is worked off into b's database, from where it belongs.
//! 5. The books: every order that was accepted must have been settled once, but for those that a had settled and not yet
//!    streamed: they are counted, and are what the drill measures as data loss.
//!
//! What it does not show: how long AWS takes for the same (promotion of an Aurora global database, DNS caches); the
//! runbook, `docs/RUNBOOKS.md`, has the commands.

mod books;
mod region;
mod traffic;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use steelyard_localstores::install::{self, Need};
use steelyard_localstores::{Durability, StoreOptions};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::books::Books;
use self::region::{Region, SettledBy};
use self::traffic::{Name, Shop, Traffic};
use crate::cli::DrillArgs;
use crate::dir::StackDir;
use crate::progress::{Progress, err, out};
use crate::secrets::Secrets;
use crate::up::processes::Binaries;

/// Everything that the second region does after the loss must be done by then.
const RECOVERY_MAX: Duration = Duration::from_secs(600);

/// Runs the drill and reports. Everything that it started is stopped and removed again; the logs stay when something does
/// not hold.
///
/// # Errors
/// When a region cannot be started or does not recover. Orders that are not accounted for are no error but exit code 1.
pub async fn command(args: &DrillArgs) -> anyhow::Result<ExitCode> {
    let stop = steelyard_runtime::shutdown::on_signal().context("cannot wait for Ctrl-C")?;
    let progress = Progress::new();
    let built = stop.run_until_cancelled(Binaries::build(args.release, &progress));
    let Some(binaries) = built.await else {
        return Ok(ExitCode::FAILURE);
    };
    let home = Home::make()?;
    let drill = Drill {
        args,
        home: &home,
        binaries: &binaries?,
        progress: &progress,
    };
    let drilled = stop.run_until_cancelled(Box::pin(drill.run())).await;
    drop(progress);
    let books = match drilled {
        None => {
            home.end(false)?;
            err("drill: interrupted");
            return Ok(ExitCode::FAILURE);
        }
        Some(Err(error)) => {
            home.end(true)?;
            return Err(error);
        }
        Some(Ok(books)) => books,
    };
    let holds = books.holds();
    home.end(!holds)?;
    out("");
    out(&books.to_string());
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The drill's own directory, with a stack's directory for each region.
struct Home {
    temp: tempfile::TempDir,
    regions: [StackDir; 2],
}

impl Home {
    fn make() -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::Builder::new()
            .prefix("steelyard-drill-")
            // The account of the database server has to walk through it.
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .context("cannot make a directory for the data")?;
        let region = |name: &str| StackDir::at(&temp.path().join(name));
        let regions = [region("a")?, region("b")?];
        Ok(Self { temp, regions })
    }

    /// Removes the data, and the logs unless they are to be kept.
    fn end(self, keep_logs: bool) -> anyhow::Result<()> {
        for region in &self.regions {
            region::remove_data(region);
        }
        if !keep_logs {
            return self.temp.close().context("cannot remove the data");
        }
        for region in &self.regions {
            out(&format!("  logs: {}", region.logs().display()));
        }
        // Kept on purpose.
        let _ = self.temp.keep();
        Ok(())
    }
}

struct Drill<'a> {
    args: &'a DrillArgs,
    home: &'a Home,
    binaries: &'a Binaries,
    progress: &'a Progress,
}

impl Drill<'_> {
    async fn run(&self) -> anyhow::Result<Books> {
        let search = StoreOptions::new(Durability::Honest).search;
        let needs = [Need::Postgres, Need::Redis];
        install::ensure(&search, &needs, &|said| self.progress.install(said)).await?;
        let [dir_a, dir_b] = &self.home.regions;
        let secrets = Secrets::load_or_make(&prepared(dir_a)?.secrets())?;
        let keys = region::keys(dir_a, dir_b)?;

        self.progress.doing("starting region a");
        let mut a = Region::primary("a", dir_a, &secrets, self.binaries).await?;
        self.progress.doing("starting region b, which stands by");
        let mut b = Region::standby("b", dir_b, &secrets, self.binaries, &a).await?;
        a.serve(&["catalog", "orders", "gateway"]).await?;
        b.serve(&["gateway"]).await?;
        self.progress.done("both regions are up");

        let name = Name::new(a.gateway_url(), b.gateway_url());
        let shop = Shop::open(&keys, name.clone())?;
        shop.stock().await?;
        let over = CancellationToken::new();
        let traffic = Traffic::start(&shop, self.args.rate, over.clone());
        let watching = tokio::spawn(name.clone().watch(
            a.health_url(),
            self.args.check,
            over.clone(),
        ));
        self.progress.doing("orders go to region a");
        sleep(self.args.before).await;
        // As many as a worker that stands still for a moment leaves in the queue.
        a.freeze("orders");
        sleep(self.args.backlog).await;

        let lost_at = Instant::now();
        a.lose().await?;
        self.progress.note("region a is lost");
        let recovered = self.recover(&mut b, &name, &shop, lost_at);
        let recovered = tokio::time::timeout(RECOVERY_MAX, recovered)
            .await
            .context("region b did not recover in time")?;
        let mut times = recovered?;
        self.progress.doing("orders go to region b");
        sleep(self.args.after).await;
        over.cancel();
        let accepted = traffic.end().await;
        drop(watching);
        b.drained(RECOVERY_MAX).await?;
        times.drained = lost_at.elapsed();

        let mut books = Books::new(times, accepted);
        books.read(&shop, SettledBy::Takeover).await?;
        self.progress
            .doing("region a comes back: its queue is worked off into b's database");
        a.bring_queue_back().await?;
        books.left_in_queue = a.backlog().await?;
        b.work_off(&a).await?;
        a.drained(RECOVERY_MAX).await?;
        books.read(&shop, SettledBy::Return).await?;
        b.stop().await?;
        a.stop().await?;
        Ok(books)
    }

    /// What the runbook does, as fast as a machine does it.
    async fn recover(
        &self,
        b: &mut Region<'_>,
        name: &Name,
        shop: &Shop,
        lost_at: Instant,
    ) -> anyhow::Result<books::Times> {
        name.turned().await;
        let noticed = lost_at.elapsed();
        self.progress.note("the name leads to region b");
        shop.accepted_by_second().await;
        let accepting = lost_at.elapsed();
        sleep(self.args.decide).await;
        b.promote().await?;
        let promoted = lost_at.elapsed();
        self.progress.note("region b's database is promoted");
        b.serve(&["catalog", "orders"]).await?;
        let started = lost_at.elapsed();
        if !shop.settled_by_second().await? {
            bail!("no order that region b accepted was settled");
        }
        Ok(books::Times {
            noticed,
            accepting,
            promoted,
            started,
            settling: lost_at.elapsed(),
            drained: Duration::ZERO,
        })
    }
}

/// The directory of a region, made.
fn prepared(dir: &StackDir) -> anyhow::Result<&StackDir> {
    std::fs::create_dir_all(dir.logs())
        .with_context(|| format!("cannot create {}", dir.logs().display()))?;
    Ok(dir)
}

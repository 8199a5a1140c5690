//! A day without one of the things that the worker needs, on the real ones.
//!
//! The queues go by a clock of the test's: their day takes a moment. What a consumer does in a whole day of its own is
//! in `shared/queue/tests/consumer/recovery.rs`, in virtual time; here is what makes it do so: the real handler, and
//! the errors of a real Postgres, a real Redis and a real HTTP peer that are gone.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod stand;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use localsqs::Clock;
use stand::commands::{order_id, place};
use stand::{DEAD, ORDERS, SOON, Stand, WEBHOOKS, database, stand_by};
use steelyard_runtime::config::Secret;
use steelyard_testkit::{Proxy, proxy, wait_for};
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

const CUSTOMERS: u32 = 40;
const DAY: Duration = Duration::from_hours(24);
/// Orders come in all day long.
const INTAKE_EVERY: Duration = Duration::from_mins(4);
/// What the dependency may see of one worker at once: its pool, and a probe or a push beside it.
const CONNECTIONS_MAX: u64 = 10;

/// Lets the queues' clock go on beside the machine's, so that long polls and heartbeats work.
struct Ticking {
    clock: Clock,
    task: JoinHandle<()>,
}

impl Ticking {
    fn start() -> Self {
        let clock = Clock::manual(OffsetDateTime::now_utc());
        let ticked = clock.clone();
        let task = tokio::spawn(async move {
            let step = Duration::from_millis(20);
            let mut ticks = interval(step);
            // A machine that falls behind must not make the queues' time jump.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                ticked.advance(step);
            }
        });
        Self { clock, task }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches how many connections a proxy has open at most.
struct Watched {
    most: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Watched {
    fn start(proxy: &Arc<Proxy>) -> Self {
        let most = Arc::<AtomicU64>::default();
        let (proxy, seen) = (Arc::clone(proxy), Arc::clone(&most));
        let task = tokio::spawn(async move {
            let mut looks = interval(Duration::from_millis(2));
            loop {
                looks.tick().await;
                seen.fetch_max(proxy.status().open, Ordering::Relaxed);
            }
        });
        Self { most, task }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Dependency {
    Postgres,
    Redis,
    Catalog,
}

impl Dependency {
    /// A stand whose worker reaches it by way of a proxy.
    async fn stand(&self, clock: Clock) -> (Stand, Arc<Proxy>) {
        let mut stand = stand_by(clock).await;
        let address = match self {
            Self::Postgres => stand.database.address(),
            Self::Redis => stand.redis.address(),
            Self::Catalog => stand.catalog.address(),
        };
        let proxy = proxy(address);
        match self {
            Self::Postgres => stand.configure(database(stand.database.url_via(proxy.address()))),
            Self::Redis => {
                let url = stand.redis.url_via(proxy.address());
                stand.configure(|config| config.redis_url = Secret::new(url));
            }
            Self::Catalog => {
                let url = format!("http://{}", proxy.address()).parse().unwrap();
                stand.configure(|config| config.catalog_url = url);
            }
        }
        (stand, Arc::new(proxy))
    }
}

async fn a_day_without(dependency: Dependency) {
    let time = Ticking::start();
    let (mut stand, proxy) = dependency.stand(time.clock.clone()).await;
    stand.start().await;
    stand.send(&[place("warm", "up")]).await;
    stand.settled(order_id("warm", "up")).await;
    stand.receive(WEBHOOKS, 1).await;
    stand.drained().await;

    proxy.refuse();
    let mut sent = 0;
    let mut next = async || {
        let (customer, round) = (sent % CUSTOMERS, sent / CUSTOMERS);
        let command = place(&format!("c{customer}"), &round.to_string());
        stand.send(&[command]).await;
        sent += 1;
        u64::from(sent)
    };
    next().await;
    wait_for("the worker has tried", SOON, async || {
        stand.depths(ORDERS).await.1 == 1
    })
    .await;
    // What it had in hand goes back, and then nobody asks for anything.
    wait_for("it has handed back", SOON, async || {
        stand.depths(ORDERS).await == (1, 0)
    })
    .await;
    let mut passed = Duration::ZERO;
    while passed < DAY {
        let waiting = next().await;
        time.clock.advance(INTAKE_EVERY);
        passed += INTAKE_EVERY;
        assert_eq!(
            stand.depths(ORDERS).await,
            (waiting, 0),
            "somebody received"
        );
    }

    let calls_before = stand.catalog.reserved().len();
    let watched = Watched::start(&proxy);
    let accepted_before = proxy.status().accepted;
    proxy.restore();
    stand.drained().await;
    // The queue's policy would have taken whatever was received more than five times.
    assert_eq!(stand.depths(DEAD).await, (0, 0));
    let rows = "SELECT count(*) FROM orders WHERE status = 'confirmed'";
    assert_eq!(stand.number(rows).await, i64::from(sent) + 1);
    for n in 0..sent {
        let (customer, round) = (n % CUSTOMERS, n / CUSTOMERS);
        let id = order_id(&format!("c{customer}"), &round.to_string());
        let order = stand.find(id).await.unwrap();
        assert_eq!(order.sequence, i64::from(round) + 1, "out of order");
    }
    // A trickle first: one small set, and from set to set at most twice as many.
    let calls = stand.catalog.reserved();
    for (n, orders) in calls[calls_before..].iter().take(4).enumerate() {
        assert!(*orders <= 10 << n, "{:?}", &calls[calls_before..]);
    }
    let most = watched.most.load(Ordering::Relaxed);
    assert!(most <= CONNECTIONS_MAX, "{most} connections at once");
    let opened = proxy.status().accepted - accepted_before;
    assert!(opened <= 3 * CONNECTIONS_MAX, "{opened} connections opened");
}

#[tokio::test]
async fn a_day_without_postgres_costs_no_receives_and_ends_in_order_with_a_trickle() {
    a_day_without(Dependency::Postgres).await;
}

#[tokio::test]
async fn a_day_without_redis_costs_no_receives_and_ends_in_order_with_a_trickle() {
    a_day_without(Dependency::Redis).await;
}

#[tokio::test]
async fn a_day_without_catalog_costs_no_receives_and_ends_in_order_with_a_trickle() {
    a_day_without(Dependency::Catalog).await;
}

#[tokio::test]
async fn a_migration_before_a_deploy_makes_the_schema_and_does_nothing_twice() {
    let database = steelyard_testkit::postgres().await;
    let migrate = async |url: &str| {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_orders"))
            .arg("migrate")
            .env_clear()
            .env("DATABASE_URL", url)
            .kill_on_drop(true)
            .output()
            .await
            .unwrap()
    };
    for _ in 0..2 {
        let ended = migrate(&database.url).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{said}");
    }
    let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
    let applied: i64 = sqlx::query_scalar("SELECT max(version) FROM orders._sqlx_migrations")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(applied > 1, "{applied}");
    // A schema that another release has changed under it ends the deploy.
    sqlx::query("UPDATE orders._sqlx_migrations SET checksum = '\\x00' WHERE version = 1")
        .execute(&pool)
        .await
        .unwrap();
    for (url, why) in [
        (database.url.as_str(), "cannot be migrated"),
        ("mysql://x", "DATABASE_URL"),
    ] {
        let ended = migrate(url).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains(why), "{said}");
    }
}

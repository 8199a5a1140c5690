//! Outages of what the handler needs, in virtual time: they poison nothing, and their end is no stampede.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::support::{Act, DEAD, QUEUE, Rig, fake, put, receives, start, start_on, until};
use steelyard_queue::{ConsumerOptions, Delivery, Outcome, Tap};
use tokio::time::Instant;

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn done() -> Act {
    Act::Say(Outcome::Done)
}

/// A dependency that is down, a handler that notices, and a probe that looks.
fn outage(
    fake: &steelyard_queue::testing::FakeQueue,
    down: &Arc<AtomicBool>,
) -> (Rig, Arc<AtomicU32>) {
    let probes = Arc::new(AtomicU32::new(0));
    let (flag, count) = (Arc::clone(down), Arc::clone(&probes));
    let tap = Tap::new().with_probe("postgres", move || {
        count.fetch_add(1, Ordering::Relaxed);
        let well = !flag.load(Ordering::Relaxed);
        async move { well }
    });
    let (flag, shut) = (Arc::clone(down), tap.clone());
    let script = move |_: &Delivery| {
        if flag.load(Ordering::Relaxed) {
            shut.close("postgres", "connection refused");
            return Act::Say(Outcome::retry(Duration::from_secs(1), "postgres is down"));
        }
        done()
    };
    let rig = start_on(
        Arc::new(fake.clone()),
        fake,
        QUEUE,
        ConsumerOptions::default(),
        tap,
        Arc::default(),
        script,
    );
    (rig, probes)
}

#[tokio::test(start_paused = true)]
async fn a_day_of_outage_poisons_nothing_and_the_backlog_drains_in_order_afterwards() {
    let fake = fake(8);
    fake.set_receives_max(QUEUE, 5);
    let down = Arc::new(AtomicBool::new(true));
    let (rig, probes) = outage(&fake, &down);
    for n in 0..20 {
        put(&fake, &format!("g{n}"), &["1", "2", "3"]);
    }
    tokio::time::sleep(DAY).await;
    let paused = rig.handle.health().paused_by;
    assert_eq!(
        (paused[0].dependency.as_ref(), paused[0].why.as_str()),
        ("postgres", "connection refused")
    );
    assert!(rig.handle.health().is_live(Duration::from_secs(60)));
    assert_eq!(
        rig.handle.health().in_hand,
        0,
        "nothing is held through an outage"
    );
    assert!(fake.held(QUEUE).iter().all(|held| held.receive_count <= 1));
    let before = receives(&fake);
    assert!(before <= 10, "{before} receives during the outage");
    let asked = probes.load(Ordering::Relaxed);
    assert!((2_000..8_000).contains(&asked), "{asked} probes in a day");
    down.store(false, Ordering::Relaxed);
    let began = Instant::now();
    rig.drained(QUEUE).await;
    assert!(
        began.elapsed() < Duration::from_secs(35),
        "{:?}",
        began.elapsed()
    );
    for n in 0..20 {
        assert_eq!(rig.effects(&format!("g{n}")), ["1", "2", "3"]);
    }
    assert!(fake.held(DEAD).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hiccup_of_a_dependency_costs_no_receive_counts() {
    let fake = fake(9);
    put(&fake, "a", &["1", "2"]);
    put(&fake, "b", &["1"]);
    let down = Arc::new(AtomicBool::new(true));
    let (rig, _) = outage(&fake, &down);
    tokio::time::sleep(Duration::from_secs(1)).await;
    down.store(false, Ordering::Relaxed);
    rig.drained(QUEUE).await;
    assert!(
        rig.log
            .lock()
            .unwrap()
            .seen
            .iter()
            .all(|seen| seen.receive_count == 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_pause_stops_receiving_until_it_is_ended_by_hand() {
    let fake = fake(10);
    let rig = start(&fake, ConsumerOptions::default(), |_| done());
    rig.handle.tap().pause("maintenance", "migration");
    tokio::time::sleep(Duration::from_secs(60)).await;
    put(&fake, "a", &["1"]);
    tokio::time::sleep(DAY).await;
    assert!(rig.seen().is_empty());
    rig.handle.tap().resume("maintenance");
    rig.drained(QUEUE).await;
    assert_eq!(rig.effects("a"), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn the_tap_stays_closed_until_the_last_of_two_dependencies_is_back() {
    let fake = fake(11);
    let tap = Tap::new();
    let down = [true, true].map(|down| Arc::new(AtomicBool::new(down)));
    let mut guarded = tap.clone();
    for (name, flag) in ["postgres", "redis"].into_iter().zip(down.clone()) {
        guarded = guarded.with_probe(name, move || {
            let well = !flag.load(Ordering::Relaxed);
            async move { well }
        });
    }
    let rig = start_on(
        Arc::new(fake.clone()),
        &fake,
        QUEUE,
        ConsumerOptions::default(),
        guarded,
        Arc::default(),
        |_| done(),
    );
    tap.close("postgres", "refused");
    tap.close("redis", "refused");
    put(&fake, "a", &["1"]);
    down[0].store(false, Ordering::Relaxed);
    until("one of them is back", || tap.closed().len() == 1).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(tap.closed()[0].dependency, "redis");
    assert!(rig.seen().is_empty());
    down[1].store(false, Ordering::Relaxed);
    rig.drained(QUEUE).await;
    assert_eq!(rig.effects("a"), ["1"]);
}

/// A probe that looks at less than the handler needs: the tap opens again and again, and each time the messages of
/// the trial cost a receive.
#[tokio::test(start_paused = true)]
async fn a_probe_that_is_pleased_too_soon_costs_a_bounded_number_of_receives() {
    let fake = fake(12);
    let down = Arc::new(AtomicBool::new(true));
    let tap = Tap::new().with_probe("redis", || async { true });
    let (flag, shut) = (Arc::clone(&down), tap.clone());
    let rig = start_on(
        Arc::new(fake.clone()),
        &fake,
        QUEUE,
        ConsumerOptions::default(),
        tap,
        Arc::default(),
        move |_: &Delivery| {
            if flag.load(Ordering::Relaxed) {
                shut.close("redis", "out of memory");
                return Act::Say(Outcome::wait(Duration::from_secs(1), "redis"));
            }
            done()
        },
    );
    for n in 0..100 {
        put(&fake, &format!("g{n}"), &["1", "2"]);
    }
    tokio::time::sleep(DAY).await;
    let most = fake.held(QUEUE).iter().map(|held| held.receive_count).max();
    assert!(
        most < Some(450),
        "{most:?} receives of one message in a day"
    );
    down.store(false, Ordering::Relaxed);
    let began = Instant::now();
    rig.drained(QUEUE).await;
    assert!(
        began.elapsed() < Duration::from_secs(310),
        "{:?}",
        began.elapsed()
    );
    assert!(fake.held(DEAD).is_empty());
}

//! Stopping, and not doing more than is needed, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Act, DEAD, QUEUE, Rig, fake, handed_back, put, receives, start, start_on, until,
};
use steelyard_queue::testing::Call;
use steelyard_queue::{ConsumerOptions, Outcome, Tap};
use tokio::time::Instant;

fn done() -> Act {
    Act::Say(Outcome::Done)
}

#[tokio::test(start_paused = true)]
async fn a_stop_with_a_hung_handler_stays_bounded() {
    let fake = fake(1);
    put(&fake, "a", &["1", "2"]);
    let rig = start(&fake, ConsumerOptions::default(), |_| Act::Hang);
    until("it hangs", || !rig.seen().is_empty()).await;
    let began = Instant::now();
    let report = rig.stop().await;
    assert!(
        began.elapsed() <= Duration::from_secs(33),
        "{:?}",
        began.elapsed()
    );
    assert_eq!((report.sets_dropped, report.unsettled), (1, 0));
    // Handed back, so another instance need not wait for the visibility timeout.
    assert!(fake.held(QUEUE).iter().all(|held| held.visible));
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_handlers_finish_flushes_acknowledgements_and_hands_back_the_rest_in_order() {
    let fake = fake(2);
    for group in ["a", "b", "c", "d"] {
        put(&fake, group, &["1", "2", "3", "4", "5"]);
    }
    let options = ConsumerOptions {
        set_messages_max: 2,
        sets_in_flight_max: 1,
        ..ConsumerOptions::default()
    };
    let rig = start(&fake, options, |_| {
        Act::After(Duration::from_secs(2), Outcome::Done)
    });
    until("all are in hand", || {
        fake.held(QUEUE).iter().all(|held| !held.visible)
    })
    .await;
    let seen_before = rig.seen().len();
    let log = Arc::clone(&rig.log);
    let report = rig.stop().await;
    let seen = log.lock().unwrap().seen.len();
    assert!(
        seen <= seen_before + 2,
        "a new set was begun during the stop"
    );
    assert_eq!(usize::try_from(report.done).unwrap(), seen);
    assert_eq!(usize::try_from(report.handed_back).unwrap(), 20 - seen);
    assert_eq!(report.unsettled, 0);
    assert!(fake.held(QUEUE).iter().all(|held| held.visible));
    // Receipts begin with the sequence number: in order within each group, as put one group after the other.
    let order: Vec<u64> = handed_back(&fake)
        .iter()
        .map(|r| r.split(':').next().unwrap().parse().unwrap())
        .collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn late_arrivals_after_a_stop_are_handed_back() {
    let fake = fake(3);
    let rig = start(&fake, ConsumerOptions::default(), |_| done());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (from, log) = (fake.clone(), Arc::clone(&rig.log));
    let late = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        put(&from, "a", &["1", "2"]);
    });
    let began = Instant::now();
    let report = rig.stop().await;
    late.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(log.lock().unwrap().seen.is_empty());
    assert_eq!(report.handed_back, 2);
    assert!(
        fake.held(QUEUE)
            .iter()
            .all(|held| held.visible && held.receive_count == 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_an_idle_poll_longer_than_its_budget() {
    let fake = fake(4);
    let options = ConsumerOptions {
        stop_polls_max: Duration::from_millis(500),
        ..ConsumerOptions::default()
    };
    let rig = start(&fake, options, |_| done());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let report = rig.stop().await;
    assert_eq!(
        (report.polls_dropped, report.took),
        (1, Duration::from_millis(500))
    );
}

#[tokio::test(start_paused = true)]
async fn stopping_twice_is_fine_and_so_is_stopping_before_the_start() {
    let fake = fake(5);
    let rig = start(&fake, ConsumerOptions::default(), |_| done());
    rig.stop.cancel();
    rig.stop.cancel();
    let report = rig.stop().await;
    assert_eq!(report.unsettled, 0);
    assert_eq!(receives(&fake), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_queue_is_gone_stays_bounded_and_says_what_it_left() {
    let fake = fake(6);
    put(&fake, "a", &["1"]);
    let rig = start(&fake, ConsumerOptions::default(), |_| {
        Act::After(Duration::from_secs(1), Outcome::Done)
    });
    until("it is being handled", || !rig.seen().is_empty()).await;
    fake.set_outage(true);
    let began = Instant::now();
    let report = rig.stop().await;
    assert!(
        began.elapsed() <= Duration::from_secs(33),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(report.unsettled, 1);
}

#[tokio::test(start_paused = true)]
async fn a_deploy_puts_nothing_in_the_dead_letter_queue() {
    let fake = fake(7);
    fake.set_receives_max(QUEUE, 20);
    for group in 0..10 {
        put(
            &fake,
            &format!("g{group}"),
            &["1", "2", "3", "4", "5", "6", "7", "8"],
        );
    }
    let log = Arc::default();
    let begin = || -> Rig {
        let options = ConsumerOptions {
            set_messages_max: 3,
            ..ConsumerOptions::default()
        };
        start_on(
            Arc::new(fake.clone()),
            &fake,
            QUEUE,
            options,
            Tap::new(),
            Arc::clone(&log),
            |_| Act::After(Duration::from_millis(700), Outcome::Done),
        )
    };
    let mut old = begin();
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let new = begin();
        assert_eq!(old.stop().await.unsettled, 0);
        old = new;
    }
    old.drained(QUEUE).await;
    assert!(fake.held(DEAD).is_empty());
    for group in 0..10 {
        assert_eq!(
            old.effects(&format!("g{group}")),
            ["1", "2", "3", "4", "5", "6", "7", "8"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_consumer_polls_with_one_long_poll() {
    let fake = fake(11);
    for n in 0..100 {
        put(&fake, &format!("g{n}"), &["1"]);
    }
    let rig = start(&fake, ConsumerOptions::default(), |_| done());
    rig.drained(QUEUE).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = receives(&fake);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let idle = receives(&fake) - before;
    assert!(
        (29..=31).contains(&idle),
        "{idle} polls in ten idle minutes"
    );
    let deletes = fake
        .calls()
        .iter()
        .filter(|(_, call)| matches!(call, Call::Delete(_)))
        .count();
    assert!(deletes <= 25, "{deletes} delete calls for 100 messages");
}

#[tokio::test(start_paused = true)]
async fn no_more_is_received_than_may_be_in_hand() {
    let fake = fake(12);
    for n in 0..300 {
        put(&fake, &format!("g{n}"), &["1"]);
    }
    let options = ConsumerOptions {
        in_hand_max: 50,
        set_messages_max: 5,
        ..ConsumerOptions::default()
    };
    let rig = start(&fake, options, |_| {
        Act::After(Duration::from_millis(20), Outcome::Done)
    });
    let mut most = 0;
    while fake.len(QUEUE) > 0 {
        most = most.max(fake.held(QUEUE).iter().filter(|held| !held.visible).count());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!((40..=50).contains(&most), "{most} in hand");
    rig.stop().await;
}

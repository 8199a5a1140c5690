//! Heartbeats, lost visibility, partial failures of calls, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::{Act, QUEUE, fake, put, receives, start, until};
use steelyard_queue::testing::{Call, Faults};
use steelyard_queue::{ConsumerOptions, Outcome};
use tokio::time::Instant;

fn done() -> Act {
    Act::Say(Outcome::Done)
}

fn short() -> ConsumerOptions {
    ConsumerOptions {
        visibility: Duration::from_secs(2),
        poll_wait: Duration::from_secs(1),
        ..ConsumerOptions::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_keeps_all_that_is_in_hand_prefetched_messages_included() {
    let fake = fake(1);
    for n in 0..40 {
        put(&fake, &format!("g{n}"), &["1", "2"]);
    }
    let options = ConsumerOptions {
        set_messages_max: 4,
        sets_in_flight_max: 1,
        ..short()
    };
    // Each message takes longer than the visibility; the last ones wait for minutes.
    let rig = start(&fake, options, |_| {
        Act::After(Duration::from_secs(3), Outcome::Done)
    });
    rig.drained(QUEUE).await;
    let log = rig.log.lock().unwrap();
    assert_eq!(log.seen.len(), 80, "something was handled twice");
    assert!(log.seen.iter().all(|seen| seen.receive_count == 1));
    drop(log);
    let beats = fake.calls().into_iter().filter_map(|(_, call)| match call {
        Call::ChangeVisibility(changes) => Some(changes.len()),
        _ => None,
    });
    assert!(beats.clone().all(|entries| entries <= 10));
    let (calls, entries) = (beats.clone().count(), beats.sum::<usize>());
    assert!(
        entries > calls * 4,
        "{entries} entries in {calls} calls: heartbeats are not batched"
    );
}

/// Heartbeats once ran inside the handler's span and ended with it (a bug that other consumers had).
#[tokio::test(start_paused = true)]
async fn a_heartbeat_works_with_tracing_on() {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(std::io::sink)
        .finish();
    let _traced = tracing::subscriber::set_default(subscriber);
    let fake = fake(10);
    put(&fake, "a", &["1", "2"]);
    let rig = start(&fake, short(), |_| {
        Act::After(Duration::from_secs(9), Outcome::Done)
    });
    rig.drained(QUEUE).await;
    let log = rig.log.lock().unwrap();
    assert_eq!(log.seen.len(), 2, "something was handled twice");
    assert!(log.seen.iter().all(|seen| seen.receive_count == 1));
}

#[tokio::test(start_paused = true)]
async fn losing_visibility_cancels_the_handler_of_that_group_only() {
    let fake = fake(2);
    put(&fake, "lost", &["1", "2", "3"]);
    put(&fake, "kept", &["1"]);
    let rig = start(&fake, short(), |delivery| {
        match (delivery.sequence_key(), delivery.receive_count) {
            ("lost", 1) => Act::UntilLost(Outcome::wait(Duration::ZERO, "lost")),
            _ => done(),
        }
    });
    until("the first is being handled", || !rig.seen().is_empty()).await;
    // Someone else is given the message: what a stalled heartbeat leads to.
    let receipt = fake.calls().iter().find_map(|(_, call)| match call {
        Call::Receive(ids) => ids.first().cloned(),
        _ => None,
    });
    assert!(receipt.is_some());
    fake.take_away(QUEUE, "1", "lost");
    until("the handler was told", || rig.log.lock().unwrap().lost == 1).await;
    rig.drained(QUEUE).await;
    assert_eq!(rig.effects("lost"), ["1", "2", "3"]);
    assert_eq!(rig.effects("kept"), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_that_get_no_answer_in_time_count_as_lost_visibility() {
    let fake = fake(3);
    put(&fake, "a", &["1", "2"]);
    let rig = start(&fake, ConsumerOptions::default(), |delivery| {
        if delivery.receive_count == 1 {
            Act::UntilLost(Outcome::wait(Duration::ZERO, "lost"))
        } else {
            done()
        }
    });
    until("the first is being handled", || !rig.seen().is_empty()).await;
    let began = Instant::now();
    fake.set_outage(true);
    until("the handler was told", || rig.log.lock().unwrap().lost == 1).await;
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "told after the visibility had run out"
    );
    fake.set_outage(false);
    rig.drained(QUEUE).await;
    assert_eq!(rig.effects("a"), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_held_beyond_the_cap_even_when_the_handler_hangs() {
    let fake = fake(4);
    put(&fake, "a", &["1", "2"]);
    let rig = start(&fake, ConsumerOptions::default(), |delivery| {
        if delivery.receive_count == 1 {
            Act::Hang
        } else {
            done()
        }
    });
    until("the first is being handled", || !rig.seen().is_empty()).await;
    let began = Instant::now();
    rig.drained(QUEUE).await;
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(600) && took < Duration::from_secs(700),
        "{took:?}"
    );
    assert_eq!(rig.effects("a"), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_partly_failed_delete_is_repeated_for_what_failed() {
    let fake = fake(5);
    fake.set_faults(Faults {
        entry_fails: 500,
        ..Faults::default()
    });
    for n in 0..30 {
        put(&fake, &format!("g{n}"), &["x"]);
    }
    let options = ConsumerOptions {
        delete_attempts_max: 50,
        ..ConsumerOptions::default()
    };
    let rig = start(&fake, options, |_| done());
    rig.drained(QUEUE).await;
    assert_eq!(rig.seen().len(), 30, "seed {}", fake.seed());
    assert_eq!(rig.stop().await.done, 30);
}

#[tokio::test(start_paused = true)]
async fn a_delete_with_a_stale_receipt_is_counted_and_not_fatal() {
    let fake = fake(6);
    put(&fake, "a", &["1"]);
    let taken = Arc::new(AtomicU32::new(0));
    let (from, flag) = (fake.clone(), Arc::clone(&taken));
    let rig = start(&fake, ConsumerOptions::default(), move |_| {
        if flag.fetch_add(1, Ordering::Relaxed) == 0 {
            from.take_away(QUEUE, "1", "a");
        }
        done()
    });
    rig.drained(QUEUE).await;
    // Handled again as a duplicate, and deleted then.
    assert_eq!(rig.seen(), ["1", "1"]);
    assert_eq!(rig.effects("a"), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_hangs_is_given_up_and_liveness_says_so() {
    let fake = fake(7);
    fake.hang_receives(1);
    let rig = start(&fake, ConsumerOptions::default(), |_| done());
    tokio::time::sleep(Duration::from_secs(24)).await;
    put(&fake, "a", &["1"]);
    assert!(!rig.handle.health().is_live(Duration::from_secs(22)));
    rig.drained(QUEUE).await;
    assert!(rig.handle.health().is_live(Duration::from_secs(22)));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_receive_whose_answer_was_lost_is_asked_again_for_the_same_messages() {
    let fake = fake(8);
    put(&fake, "a", &["1"]);
    fake.set_faults(Faults {
        answer_lost: 1000,
        ..Faults::default()
    });
    let began = Instant::now();
    let rig = start(&fake, ConsumerOptions::default(), |_| done());
    until("the first receive", || receives(&fake) == 1).await;
    fake.set_faults(Faults::default());
    rig.drained(QUEUE).await;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "waited for the visibility timeout: {:?}",
        began.elapsed()
    );
    assert_eq!(rig.log.lock().unwrap().seen[0].receive_count, 1);
}

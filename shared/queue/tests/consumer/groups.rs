//! Order, retries, parking and isolation, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::{Act, DEAD, QUEUE, fake, put, receives, start, start_on, until};
use steelyard_queue::{ConsumerOptions, Outcome, OutgoingMessage, Parked};
use tokio::time::Instant;

fn done() -> Act {
    Act::Say(Outcome::Done)
}

#[tokio::test(start_paused = true)]
async fn what_is_handled_is_deleted_in_the_order_of_its_group() {
    let fake = fake(1);
    for group in ["a", "b", "c"] {
        put(&fake, group, &["1", "2", "3", "4", "5"]);
    }
    let rig = start(&fake, ConsumerOptions::default(), |_| done());
    rig.drained(QUEUE).await;
    for group in ["a", "b", "c"] {
        assert_eq!(rig.effects(group), ["1", "2", "3", "4", "5"]);
    }
    let report = rig.stop().await;
    assert_eq!((report.done, report.unsettled), (15, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failing_head_leaves_the_rest_in_order_with_their_receive_counts_not_burnt() {
    let fake = fake(2);
    put(&fake, "a", &["1", "2", "3", "4"]);
    let failures = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&failures);
    let rig = start(&fake, ConsumerOptions::default(), move |delivery| {
        if delivery.body == "1" && counter.fetch_add(1, Ordering::Relaxed) < 5 {
            return Act::Say(Outcome::retry(Duration::from_secs(10), "not yet"));
        }
        done()
    });
    rig.drained(QUEUE).await;
    assert_eq!(rig.effects("a"), ["1", "2", "3", "4"]);
    let log = rig.log.lock().unwrap();
    assert!(
        log.seen.iter().all(|seen| seen.receive_count == 1),
        "{:?}",
        log.seen
    );
    assert_eq!(
        log.seen
            .iter()
            .filter(|seen| seen.body == "1")
            .map(|seen| seen.attempt)
            .max(),
        Some(6)
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_retry_is_handed_back_with_the_rest_of_its_group_behind_it() {
    let fake = fake(3);
    put(&fake, "a", &["1", "2", "3"]);
    let failures = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&failures);
    let options = ConsumerOptions {
        retry_held_max: Duration::ZERO,
        ..ConsumerOptions::default()
    };
    let began = Instant::now();
    let rig = start(&fake, options, move |delivery| {
        if delivery.body == "1" && counter.fetch_add(1, Ordering::Relaxed) < 2 {
            return Act::Say(Outcome::retry(Duration::from_secs(90), "not yet"));
        }
        done()
    });
    rig.drained(QUEUE).await;
    assert!(began.elapsed() >= Duration::from_secs(180));
    assert_eq!(rig.effects("a"), ["1", "2", "3"]);
    assert_eq!(rig.seen(), ["1", "1", "1", "2", "3"]);
    assert_eq!(rig.stop().await.handed_back, 6);
}

#[tokio::test(start_paused = true)]
async fn a_slow_message_does_not_hold_up_other_groups() {
    let fake = fake(4);
    put(&fake, "slow", &["1", "2"]);
    let rig = start(&fake, ConsumerOptions::default(), |delivery| {
        if delivery.group_id.as_deref() == Some("slow") {
            Act::After(Duration::from_secs(300), Outcome::Done)
        } else {
            done()
        }
    });
    until("the slow one is being handled", || rig.seen().len() == 1).await;
    let began = Instant::now();
    for n in 0..50 {
        put(&fake, &format!("g{n}"), &["x"]);
    }
    until("only the slow ones are left", || {
        fake.held(QUEUE).len() == 2
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(1));
    rig.drained(QUEUE).await;
    assert_eq!(rig.effects("slow"), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_parked_message_keeps_its_body_its_attributes_and_says_why() {
    let fake = fake(5);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let odd = OutgoingMessage::fifo("a", "odd", "{not json")
        .with_traceparent(trace)
        .with_attribute("channel", "web");
    fake.put(QUEUE, &odd).unwrap();
    put(&fake, "a", &["next"]);
    let rig = start(&fake, ConsumerOptions::default(), |delivery| {
        if delivery.body == "next" {
            done()
        } else {
            Act::Say(Outcome::park("does not parse\u{0}"))
        }
    });
    rig.drained(QUEUE).await;
    assert_eq!(rig.effects("a"), ["next"]);
    let dead = fake.held(DEAD);
    assert_eq!(dead.len(), 1);
    let letter = &dead[0].message;
    assert_eq!(letter.body, "{not json");
    assert_eq!(letter.group_id.as_deref(), Some("a"));
    assert_eq!(letter.attributes["channel"].as_text(), Some("web"));
    assert_eq!(
        steelyard_queue::trace::extract(&letter.attributes),
        Some(trace)
    );
    let parked = Parked::from_attributes(&letter.attributes).unwrap();
    assert_eq!(parked.reason, "does not parse ");
    assert_eq!((parked.queue.as_str(), parked.receive_count), (QUEUE, 1));
    assert_eq!(rig.stop().await.parked, 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_parked_stays_and_is_not_overtaken() {
    let fake = steelyard_queue::testing::FakeQueue::new(6, &[QUEUE]);
    put(&fake, "a", &["bad", "good"]);
    let rig = start(&fake, ConsumerOptions::default(), |delivery| {
        if delivery.body == "bad" {
            Act::Say(Outcome::park("bad"))
        } else {
            done()
        }
    });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(fake.bodies(QUEUE)[0], "bad");
    fake.add_queue(DEAD);
    rig.drained(QUEUE).await;
    assert_eq!(fake.bodies(DEAD), ["bad"]);
    assert_eq!(rig.effects("a"), ["good"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_at_the_size_limit_is_parked_too() {
    let fake = fake(7);
    put(&fake, "a", &[&"x".repeat(1024 * 1024)]);
    let rig = start(&fake, ConsumerOptions::default(), |_| {
        Act::Say(Outcome::park("too much"))
    });
    rig.drained(QUEUE).await;
    assert_eq!(fake.held(DEAD).len(), 1);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_keeps_failing_is_parked_and_the_rest_of_its_group_goes_on() {
    let fake = fake(8);
    put(&fake, "a", &["bad", "good"]);
    let options = ConsumerOptions {
        attempts_max: Some(4),
        ..ConsumerOptions::default()
    };
    let rig = start(&fake, options, |delivery| {
        if delivery.body == "bad" {
            Act::Say(Outcome::retry(Duration::from_secs(1), "boom"))
        } else {
            done()
        }
    });
    rig.drained(QUEUE).await;
    assert_eq!(rig.effects("a"), ["good"]);
    let parked = Parked::from_attributes(&fake.held(DEAD)[0].message.attributes).unwrap();
    assert_eq!(parked.reason, "gave up after 4 attempts: boom");
    assert_eq!(rig.seen().iter().filter(|body| *body == "bad").count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_can_never_succeed_is_parked_at_once_whatever_tries_it_has_left() {
    let fake = fake(14);
    put(&fake, "a", &["bad", "good"]);
    put(&fake, "b", &["slow"]);
    let began = Instant::now();
    let rig = start(&fake, ConsumerOptions::default(), |delivery| {
        match (delivery.body.as_str(), delivery.attempt()) {
            // In the same set another group asks for a long backoff.
            ("slow", 1) => Act::Say(Outcome::retry(Duration::from_secs(50), "busy")),
            ("bad", 1) => Act::Say(Outcome::retry(Duration::from_secs(1), "not yet")),
            ("bad", _) => Act::Say(Outcome::park("never")),
            _ => done(),
        }
    });
    until("the bad one is parked", || fake.len(DEAD) == 1).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(rig.seen().iter().filter(|body| *body == "bad").count(), 2);
    rig.drained(QUEUE).await;
    let parked = Parked::from_attributes(&fake.held(DEAD)[0].message.attributes).unwrap();
    assert_eq!(parked.reason, "never");
    assert_eq!(rig.effects("a"), ["good"]);
}

#[tokio::test(start_paused = true)]
async fn waiting_through_no_fault_of_its_own_never_parks_a_message() {
    let fake = fake(9);
    put(&fake, "a", &["1", "2"]);
    let tries = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&tries);
    let rig = start(&fake, ConsumerOptions::default(), move |_| {
        if counter.fetch_add(1, Ordering::Relaxed) < 500 {
            return Act::Say(Outcome::wait(Duration::from_millis(200), "lease busy"));
        }
        done()
    });
    rig.drained(QUEUE).await;
    assert!(fake.held(DEAD).is_empty());
    assert_eq!(rig.effects("a"), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_over_one_message_does_not_cost_the_others_their_turn() {
    let fake = fake(10);
    for n in 0..20 {
        put(&fake, &format!("g{n}"), &["1", "2"]);
    }
    put(&fake, "bad", &["poison", "after"]);
    let options = ConsumerOptions {
        attempts_max: Some(3),
        ..ConsumerOptions::default()
    };
    let began = Instant::now();
    let rig = start(&fake, options, |delivery| {
        if delivery.body == "poison" {
            Act::Panic
        } else {
            done()
        }
    });
    until("all but the poison are done", || {
        fake.held(QUEUE).len() <= 2
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    rig.drained(QUEUE).await;
    assert_eq!(fake.bodies(DEAD), ["poison"]);
    assert_eq!(rig.effects("bad"), ["after"]);
    for n in 0..20 {
        assert_eq!(rig.effects(&format!("g{n}")), ["1", "2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn work_at_hand_is_handled_in_large_sets_and_a_lone_message_at_once() {
    let fake = fake(11);
    for n in 0..600 {
        put(&fake, &format!("g{n}"), &["x"]);
    }
    let rig = start(&fake, ConsumerOptions::default(), |delivery| {
        // Only the first of a set takes time, as a transaction would.
        if delivery
            .group_id
            .as_deref()
            .is_some_and(|group| group.ends_with('0'))
        {
            Act::After(Duration::from_millis(1), Outcome::Done)
        } else {
            done()
        }
    });
    rig.drained(QUEUE).await;
    let sets = rig.log.lock().unwrap().sets.clone();
    assert!(sets.len() <= 30, "{sets:?}");
    assert!(sets.iter().all(|size| *size <= 200));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let began = Instant::now();
    put(&fake, "lone", &["x"]);
    rig.drained(QUEUE).await;
    assert!(began.elapsed() <= Duration::from_millis(5));
}

#[tokio::test(start_paused = true)]
async fn two_receives_of_one_message_at_once_have_one_effect() {
    let fake = fake(12);
    fake.set_faults(steelyard_queue::testing::Faults {
        duplicated: 500,
        ..Default::default()
    });
    for n in 0..50 {
        fake.put("jobs", &OutgoingMessage::standard(format!("{n}")))
            .unwrap();
    }
    let rig = start_on(
        Arc::new(fake.clone()),
        &fake,
        "jobs",
        ConsumerOptions::default(),
        steelyard_queue::Tap::new(),
        Arc::default(),
        |_| Act::After(Duration::from_millis(50), Outcome::Done),
    );
    // The rig itself panics when one message is in two sets at once.
    tokio::time::sleep(Duration::from_secs(20)).await;
    fake.set_faults(Default::default());
    rig.drained("jobs").await;
    let log = rig.log.lock().unwrap();
    assert_eq!(log.effects.len(), 50);
    assert!(log.seen.len() > 50, "the fake duplicated nothing");
}

#[tokio::test(start_paused = true)]
async fn a_nack_of_zero_seconds_does_not_hammer_the_queue() {
    let fake = fake(13);
    put(&fake, "a", &["1"]);
    let rig = start(&fake, ConsumerOptions::default(), |delivery| {
        // A handler that asks for no pause at all, and a dependency that stays sick.
        if delivery.attempt() < 10_000 {
            Act::After(
                Duration::from_millis(1),
                Outcome::wait(Duration::ZERO, "sick"),
            )
        } else {
            done()
        }
    });
    tokio::time::sleep(Duration::from_secs(10)).await;
    let tries = rig.seen().len();
    assert!(tries <= 110, "{tries} tries in ten seconds");
    assert!(receives(&fake) <= 3);
    rig.stop().await;
}

//! Every batch call answers entry by entry: what failed is done again, alone, in virtual time.

use std::time::Duration;

use crate::support::{Act, DEAD, QUEUE, fake, handed_back, put, start, until};
use steelyard_queue::testing::Faults;
use steelyard_queue::{ConsumerOptions, Outcome, Parked};

fn entries_fail(per_mille: u32) -> Faults {
    Faults {
        entry_fails: per_mille,
        ..Faults::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_fails_for_some_entries_is_repeated_for_those() {
    let fake = fake(1);
    for n in 0..30 {
        put(&fake, &format!("g{n}"), &["1"]);
    }
    let options = ConsumerOptions {
        visibility: Duration::from_secs(6),
        ..ConsumerOptions::default()
    };
    let rig = start(&fake, options, |_| {
        Act::After(Duration::from_secs(10), Outcome::Done)
    });
    until("all are in hand", || {
        fake.held(QUEUE).iter().all(|held| !held.visible)
    })
    .await;
    fake.set_faults(entries_fail(200));
    tokio::time::sleep(Duration::from_secs(60)).await;
    fake.set_faults(Faults::default());
    rig.drained(QUEUE).await;
    let log = rig.log.lock().unwrap();
    assert_eq!(log.seen.len(), 30, "something was handled twice");
    assert!(log.seen.iter().all(|seen| seen.receive_count == 1));
}

#[tokio::test(start_paused = true)]
async fn a_hand_back_that_fails_for_some_entries_is_repeated_in_order() {
    let fake = fake(2);
    put(&fake, "a", &["1", "2", "3", "4", "5", "6", "7", "8"]);
    let rig = start(&fake, ConsumerOptions::default(), |_| Act::Hang);
    until("all are in hand", || {
        fake.held(QUEUE).iter().all(|held| !held.visible)
    })
    .await;
    fake.set_faults(entries_fail(1_000));
    let healing = fake.clone();
    let stopping = tokio::spawn(rig.stop());
    until("a hand-back was tried", || !handed_back(&fake).is_empty()).await;
    healing.set_faults(Faults::default());
    let report = stopping.await.unwrap();
    assert_eq!(report.unsettled, 0, "{report:?}");
    assert!(fake.held(QUEUE).iter().all(|held| held.visible));
    assert!(handed_back(&fake).len() >= 16, "it was not tried again");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_handed_back_is_counted() {
    let fake = fake(3);
    put(&fake, "a", &["1", "2", "3"]);
    let rig = start(&fake, ConsumerOptions::default(), |_| Act::Hang);
    until("all are in hand", || {
        fake.held(QUEUE).iter().all(|held| !held.visible)
    })
    .await;
    fake.set_faults(entries_fail(1_000));
    assert_eq!(rig.stop().await.unsettled, 3);
}

#[tokio::test(start_paused = true)]
async fn a_parking_that_fails_for_some_entries_is_repeated_and_loses_and_doubles_none() {
    let fake = fake(4);
    for n in 0..40 {
        put(&fake, &format!("g{n}"), &["bad", "good"]);
    }
    fake.set_faults(entries_fail(400));
    let options = ConsumerOptions {
        delete_attempts_max: 50,
        ..ConsumerOptions::default()
    };
    let rig = start(&fake, options, |delivery| {
        if delivery.body == "bad" {
            Act::Say(Outcome::park("bad"))
        } else {
            Act::Say(Outcome::Done)
        }
    });
    rig.drained(QUEUE).await;
    let dead = fake.held(DEAD);
    assert_eq!(dead.len(), 40, "seed {}", fake.seed());
    let mut groups: Vec<_> = dead
        .iter()
        .filter_map(|held| held.message.group_id.clone())
        .collect();
    groups.sort();
    groups.dedup();
    assert_eq!(groups.len(), 40);
    let reasons = dead
        .iter()
        .filter_map(|held| Parked::from_attributes(&held.message.attributes));
    assert_eq!(reasons.count(), 40);
    for n in 0..40 {
        assert_eq!(rig.effects(&format!("g{n}")), ["good"]);
    }
}

//! Leases against a real Redis.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use steelyard_sequence::{Lease, LeaseError, LeaseOptions, Leases};
use steelyard_testkit::{proxy, redis, wait_for};
use tokio::time::{Instant, sleep, timeout};

const SOON: Duration = Duration::from_secs(10);

fn short() -> LeaseOptions {
    LeaseOptions {
        ttl: Duration::from_millis(600),
        call_timeout: Duration::from_millis(200),
        ..LeaseOptions::default()
    }
}

fn long() -> LeaseOptions {
    LeaseOptions {
        ttl: Duration::from_secs(60),
        ..short()
    }
}

fn leases(url: &str, options: LeaseOptions) -> Leases {
    Leases::connect(url, options).unwrap()
}

#[tokio::test]
async fn many_customers_are_leased_in_one_call_and_each_to_one_holder() {
    let redis = redis().await;
    let (a, b) = (leases(&redis.url, long()), leases(&redis.url, long()));
    let customers: Vec<String> = (0..1_200).map(|n| format!("c{n}")).collect();
    let first = a.acquire(&customers).await.unwrap();
    assert_eq!((first.granted.len(), first.busy.len()), (1_200, 0));
    let second = b.acquire(&["c7", "free", "c8", "c7"]).await.unwrap();
    assert_eq!(second.busy, ["c7", "c8"]);
    assert_eq!(second.granted[0].customer(), "free");
    // Of this very process, too: two sets of one worker must not both have it.
    let third = a.acquire(&["c7"]).await.unwrap();
    assert_eq!(third.busy, ["c7"]);
    let (one, other) = tokio::join!(a.acquire(&["x"]), a.acquire(&["x"]));
    assert_eq!(one.unwrap().granted.len() + other.unwrap().granted.len(), 1);
}

#[tokio::test]
async fn a_held_lease_is_renewed_and_a_released_one_is_free_at_once() {
    let redis = redis().await;
    let (a, b) = (leases(&redis.url, short()), leases(&redis.url, short()));
    let held = a.acquire(&["1", "2"]).await.unwrap().granted;
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        assert_eq!(b.acquire(&["1", "2"]).await.unwrap().busy.len(), 2);
        sleep(Duration::from_millis(100)).await;
    }
    assert!(held.iter().all(|lease| !lease.lost().is_cancelled()));
    let tokens: Vec<_> = held.iter().map(Lease::token).collect();
    a.release(held).await.unwrap();
    let taken = b.acquire(&["1", "2"]).await.unwrap().granted;
    assert_eq!(taken.len(), 2);
    assert!(
        taken
            .iter()
            .zip(tokens)
            .all(|(lease, before)| lease.token() > before)
    );
}

#[tokio::test]
async fn dropping_a_lease_gives_it_back() {
    let redis = redis().await;
    let (a, b) = (leases(&redis.url, long()), leases(&redis.url, long()));
    let held = a.acquire(&["1"]).await.unwrap();
    // The handle goes first: the lease keeps its keeper.
    drop(a);
    assert_eq!(b.acquire(&["1"]).await.unwrap().busy, ["1"]);
    drop(held);
    wait_for("the lease is free", SOON, async || {
        b.acquire(&["1"]).await.unwrap().busy.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_late_release_does_not_take_the_next_lease_away() {
    let redis = redis().await;
    let (a, b) = (leases(&redis.url, long()), leases(&redis.url, long()));
    for _ in 0..50 {
        // Dropped: its release races with the next acquire of the same process.
        drop(a.acquire(&["1"]).await.unwrap());
        let again = a.acquire(&["1"]).await.unwrap().granted;
        assert_eq!(again.len(), 1);
        sleep(Duration::from_millis(2)).await;
        assert_eq!(b.acquire(&["1"]).await.unwrap().busy, ["1"]);
        a.release(again).await.unwrap();
    }
}

#[tokio::test]
async fn tokens_grow_even_through_a_redis_that_lost_its_memory() {
    let mut redis = redis().await;
    let a = leases(&redis.url, long());
    let mut last = None;
    for round in 0..6 {
        if round == 3 {
            redis.kill().await;
            redis.start_again().await;
        }
        let mut granted = Vec::new();
        wait_for("a lease", SOON, async || {
            granted = a
                .acquire(&["1"])
                .await
                .map(|acquired| acquired.granted)
                .unwrap_or_default();
            !granted.is_empty()
        })
        .await;
        let token = granted[0].token();
        assert!(Some(token) > last, "round {round}: {token} after {last:?}");
        last = Some(token);
        a.release(granted).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_grows_when_the_clock_of_redis_is_behind_the_last_token() {
    let redis = redis().await;
    let ahead = 4_000_000_000_000_000_i64; // the year 2096
    redis
        .command(&format!("SET {{steelyard:0}}:token:1 {ahead}"))
        .await;
    let a = leases(&redis.url, long());
    let granted = a.acquire(&["1"]).await.unwrap().granted;
    assert_eq!(granted[0].token().get(), ahead + 1);
}

#[tokio::test]
async fn a_lost_lease_cancels_its_work() {
    let mut redis = redis().await;
    let a = leases(&redis.url, short());
    let held = a.acquire(&["1", "2"]).await.unwrap().granted;
    // Redis comes back empty, and someone else may be quicker.
    redis.kill().await;
    redis.start_again().await;
    for lease in &held {
        timeout(SOON, lease.lost().cancelled()).await.unwrap();
    }
}

#[tokio::test]
async fn a_redis_that_does_not_answer_is_said_quickly_and_ends_the_leases_in_time() {
    let redis = redis().await;
    let proxy = proxy(redis.address());
    let a = leases(&redis.url_via(proxy.address()), short());
    let b = leases(&redis.url, short());
    let held = a.acquire(&["1"]).await.unwrap().granted;
    proxy.stall();
    let began = Instant::now();
    assert!(matches!(
        a.acquire(&["2"]).await,
        Err(LeaseError::Unavailable(_))
    ));
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    let mut taken = Vec::new();
    wait_for("someone else has it", SOON, async || {
        taken = b.acquire(&["1"]).await.unwrap().granted;
        !taken.is_empty()
    })
    .await;
    assert!(
        held[0].lost().is_cancelled(),
        "told too late: someone else has it already"
    );
    assert!(taken[0].token() > held[0].token());
    proxy.restore();
    wait_for("the store is well again", SOON, async || {
        a.probe().await.is_ok()
    })
    .await;
    // What was lost is not given back over the new holder's head.
    a.release(held).await.unwrap();
    assert_eq!(a.acquire(&["1"]).await.unwrap().busy, ["1"]);
}

#[tokio::test]
async fn an_acquire_whose_answer_was_lost_is_granted_anew() {
    let redis = redis().await;
    let proxy = proxy(redis.address());
    let a = leases(&redis.url_via(proxy.address()), long());
    a.probe().await.unwrap();
    proxy.stall();
    assert!(a.acquire(&["1"]).await.is_err());
    proxy.restore();
    wait_for("granted, long before the time is over", SOON, async || {
        a.acquire(&["1"])
            .await
            .is_ok_and(|acquired| acquired.busy.is_empty())
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_is_down_from_the_start_is_unavailable_and_not_fatal() {
    let mut redis = redis().await;
    redis.kill().await;
    let a = leases(&redis.url, short());
    assert!(matches!(
        a.acquire(&["1"]).await,
        Err(LeaseError::Unavailable(_))
    ));
    redis.start_again().await;
    wait_for("it goes on by itself", SOON, async || {
        a.acquire(&["1"]).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_refused_not_waited_for() {
    let redis = redis().await;
    let wrong = format!("redis://:wrong@{}", redis.address());
    let error = leases(&wrong, short()).acquire(&["1"]).await.unwrap_err();
    assert!(matches!(error, LeaseError::Refused(_)), "{error:?}");
    assert!(matches!(
        Leases::connect("nonsense", short()),
        Err(LeaseError::Refused(_))
    ));
}

#[tokio::test]
async fn a_redis_that_answers_and_cannot_write_is_not_well() {
    let redis = redis().await;
    let a = leases(&redis.url, short());
    a.probe().await.unwrap();
    // What a primary says that has lost its replicas; PING is answered all the same.
    redis.command("CONFIG SET min-replicas-to-write 1").await;
    assert!(matches!(
        a.acquire(&["1"]).await,
        Err(LeaseError::Unavailable(_))
    ));
    assert!(matches!(a.probe().await, Err(LeaseError::Unavailable(_))));
    redis.command("CONFIG SET min-replicas-to-write 0").await;
    a.probe().await.unwrap();
    assert_eq!(a.acquire(&["1"]).await.unwrap().granted.len(), 1);
}

//! Leases on several servers: a cluster, and replica sets that fail over.

use std::time::Duration;

use steelyard_sequence::{Lease, LeaseError, LeaseOptions, Leases, Token};
use steelyard_testkit::{
    redis_cluster, redis_replica_set, redis_sentinel_set, wait_for, wait_for_ok,
};
use tokio::time::{Instant, sleep, timeout};

/// Long enough for a machine that builds beside the tests.
const SOON: Duration = Duration::from_secs(60);

fn long() -> LeaseOptions {
    LeaseOptions {
        ttl: Duration::from_secs(60),
        ..LeaseOptions::default()
    }
}

fn short() -> LeaseOptions {
    LeaseOptions {
        ttl: Duration::from_secs(2),
        call_timeout: Duration::from_millis(500),
        ..long()
    }
}

/// The lease of customer `1`, as soon as it can be had.
async fn taken(leases: &Leases) -> Lease {
    let mut granted = Vec::new();
    wait_for("the lease is granted", SOON, async || {
        if let Ok(acquired) = leases.acquire(&["1"]).await {
            granted = acquired.granted;
        }
        !granted.is_empty()
    })
    .await;
    granted.remove(0)
}

#[tokio::test]
async fn a_cluster_holds_the_leases_on_all_its_nodes() {
    let cluster = redis_cluster().await;
    let options = LeaseOptions {
        customers_per_call_max: 20,
        ..short()
    };
    let a = Leases::connect(&cluster.url, options.clone()).unwrap();
    let b = Leases::connect(&cluster.url, options).unwrap();
    let customers: Vec<String> = (0..400).map(|n| format!("c{n}")).collect();
    a.probe().await.unwrap();
    let held = a.acquire(&customers).await.unwrap().granted;
    assert_eq!(held.len(), 400);
    for node in &cluster.nodes {
        let size = node.command("DBSIZE").await;
        assert_ne!(size.trim(), ":0", "a node has none of them");
    }
    // For longer than they would last by themselves.
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert_eq!(b.acquire(&customers).await.unwrap().busy.len(), 400);
        sleep(Duration::from_millis(200)).await;
    }
    assert!(held.iter().all(|lease| !lease.lost().is_cancelled()));
    let before: Vec<(String, Token)> = held
        .iter()
        .map(|lease| (lease.customer().to_owned(), lease.token()))
        .collect();
    a.release(held).await.unwrap();
    let after = b.acquire(&customers).await.unwrap().granted;
    assert_eq!(after.len(), 400);
    for lease in &after {
        let (_, token) = before
            .iter()
            .find(|(customer, _)| customer == lease.customer())
            .unwrap();
        assert!(lease.token() > *token);
    }
}

#[tokio::test]
async fn with_a_node_of_the_cluster_away_nobody_gets_a_set_and_nothing_stays_held() {
    let mut cluster = redis_cluster().await;
    let a = Leases::connect(&cluster.url, long()).unwrap();
    let customers: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    let held = a.acquire(&customers).await.unwrap().granted;
    a.release(held).await.unwrap();

    cluster.nodes[1].stall();
    let began = Instant::now();
    let refused = a.acquire(&customers).await;
    assert!(
        matches!(refused, Err(LeaseError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(matches!(a.probe().await, Err(LeaseError::Unavailable(_))));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    cluster.nodes[1].resume();
    wait_for_ok("the store is well again", SOON, async || a.probe().await).await;
    // Another instance finds them free, long before their time is over: what was granted on the other nodes went back,
    // and what may have been granted on the silent one is this owner's to take again.
    wait_for("all are granted", SOON, async || {
        let granted = a.acquire(&customers).await;
        granted.is_ok_and(|acquired| acquired.granted.len() == 100)
    })
    .await;
}

#[tokio::test]
async fn tokens_grow_through_a_failover_to_a_replica_that_lacks_the_last_writes() {
    let servers = redis_replica_set().await;
    let a = Leases::connect(&servers.url, short()).unwrap();
    let b = Leases::connect(&servers.url, short()).unwrap();
    let mut last = taken(&a).await.token();
    wait_for("the first token is replicated", SOON, async || {
        let copy = servers.replica.command("GET {steelyard:0}:token:1").await;
        copy.contains(&last.to_string())
    })
    .await;
    // From here on the replica hears nothing more.
    servers.replication.stall();
    let mut held = taken(&a).await;
    for _ in 0..3 {
        a.release(vec![held]).await.unwrap();
        held = taken(&a).await;
        assert!(held.token() > last);
        last = held.token();
    }
    let copy = servers.replica.command("GET {steelyard:0}:token:1").await;
    assert!(
        !copy.contains(&last.to_string()),
        "the replica has the last token: {copy}"
    );

    servers.fail_over().await;
    servers.name.cut();
    // It does not know of the lease either: another instance gets it while the first still holds it …
    let taken_over = taken(&b).await;
    assert!(
        taken_over.token() > last,
        "{} after {last}",
        taken_over.token()
    );
    // … and is told that it lost it.
    timeout(SOON, held.lost().cancelled()).await.unwrap();
}

#[tokio::test]
async fn leases_follow_what_the_sentinels_say() {
    let mut servers = redis_sentinel_set().await;
    let a = Leases::connect(&servers.url, long()).unwrap();
    let before = taken(&a).await;
    let last = before.token();
    a.release(vec![before]).await.unwrap();
    servers.primary.kill().await;
    assert!(matches!(
        a.acquire(&["1"]).await,
        Err(LeaseError::Unavailable(_))
    ));
    wait_for_ok("a replica has taken over", SOON, async || a.probe().await).await;
    let after = taken(&a).await;
    assert!(after.token() > last, "{} after {last}", after.token());
    assert!(
        servers
            .replica
            .command("GET {steelyard:0}:token:1")
            .await
            .contains(&after.token().to_string())
    );
}

use std::time::Duration;

use steelyard_localstores::RedisRole;

use crate::redis::TestRedis;
use crate::{Proxy, proxy, wait_for};

/// Nodes agree on who has which slots within seconds.
const AGREE_MAX: Duration = Duration::from_secs(60);
/// Hash slots of a cluster.
const SLOTS: usize = 16_384;
/// What the sentinel calls the replica set.
const SET_NAME: &str = "shop";

/// A Redis cluster of three primaries of this test's own.
#[derive(Debug)]
pub struct TestRedisCluster {
    /// `redis-cluster://…` with its password; names two of the three.
    pub url: String,
    /// The nodes, in the order of their slots.
    pub nodes: Vec<TestRedis>,
}

/// Starts a Redis cluster: about three seconds, in which the nodes learn of each other.
///
/// # Panics
/// When a node does not start, or they do not agree.
pub async fn redis_cluster() -> TestRedisCluster {
    let mut nodes = vec![TestRedis::start(RedisRole::ClusterNode, None).await];
    let password = nodes[0].password().to_owned();
    for _ in 1..3 {
        nodes.push(TestRedis::start(RedisRole::ClusterNode, Some(password.clone())).await);
    }
    let share = SLOTS.div_ceil(nodes.len());
    for (n, node) in nodes.iter().enumerate() {
        let (from, to) = (n * share, SLOTS.min((n + 1) * share) - 1);
        node.command(&format!("CLUSTER ADDSLOTSRANGE {from} {to}"))
            .await;
        // Or two nodes might hold one rank, and would have to settle that first.
        node.command(&format!("CLUSTER SET-CONFIG-EPOCH {}", n + 1))
            .await;
    }
    for other in &nodes[1..] {
        let bus = bus_port(other).await;
        nodes[0]
            .command(&format!(
                "CLUSTER MEET 127.0.0.1 {} {bus}",
                other.address().port()
            ))
            .await;
    }
    for node in &nodes {
        wait_for("the cluster's nodes agree", AGREE_MAX, async || {
            let info = node.command("CLUSTER INFO").await;
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        })
        .await;
    }
    let (first, second) = (nodes[0].address(), nodes[1].address());
    TestRedisCluster {
        url: format!("redis-cluster://:{password}@{first},{second}"),
        nodes,
    }
}

/// From `<id> 127.0.0.1:<port>@<bus port> myself,…`.
async fn bus_port(node: &TestRedis) -> u16 {
    let known = node.command("CLUSTER NODES").await;
    let bus = known.split('@').nth(1).map(|rest| {
        rest.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    });
    bus.and_then(|port| port.parse().ok()).unwrap_or_default()
}

/// A primary and its replica, and a name that leads to the primary.
#[derive(Debug)]
pub struct TestReplicaSet {
    /// `redis://…`, by way of `name`.
    pub url: String,
    /// The primary at the start.
    pub primary: TestRedis,
    /// Its replica.
    pub replica: TestRedis,
    /// What the URL names: leads to the primary until [`TestReplicaSet::fail_over`].
    pub name: Proxy,
    /// What the replica hears the primary by: stall it, and writes are not replicated.
    pub replication: Proxy,
}

/// Starts a primary and a replica, and waits until the replica follows: about a second.
///
/// # Panics
/// When a server does not start.
pub async fn redis_replica_set() -> TestReplicaSet {
    let primary = TestRedis::start(RedisRole::Single, None).await;
    let replication = proxy(primary.address());
    let role = RedisRole::ReplicaOf(replication.address().port());
    let replica = follows(TestRedis::start(role, Some(primary.password().to_owned())).await).await;
    let name = proxy(primary.address());
    TestReplicaSet {
        url: primary.url_via(name.address()),
        primary,
        replica,
        name,
        replication,
    }
}

async fn follows(replica: TestRedis) -> TestRedis {
    wait_for("the replica follows", AGREE_MAX, async || {
        replica
            .command("INFO replication")
            .await
            .contains("master_link_status:up")
    })
    .await;
    replica
}

impl TestReplicaSet {
    /// Makes the replica the primary, with what it has, and has the name lead to it. Connections to the old primary stay
    /// open.
    pub async fn fail_over(&self) {
        self.replica.command("REPLICAOF NO ONE").await;
        self.name.lead_to(self.replica.address());
    }
}

/// A primary and its replica, watched by a sentinel.
#[derive(Debug)]
pub struct TestSentinelSet {
    /// `redis-sentinel://…`.
    pub url: String,
    /// The primary at the start.
    pub primary: TestRedis,
    /// Its replica.
    pub replica: TestRedis,
    /// Makes the replica the primary once it has not heard of the primary for half a second.
    pub sentinel: TestRedis,
}

/// Starts a primary, a replica and a sentinel, and waits until it knows both: some seconds.
///
/// # Panics
/// When a server does not start.
pub async fn redis_sentinel_set() -> TestSentinelSet {
    let primary = TestRedis::start(RedisRole::Single, None).await;
    let password = primary.password().to_owned();
    let port = primary.address().port();
    let replica =
        follows(TestRedis::start(RedisRole::ReplicaOf(port), Some(password.clone())).await).await;
    let role = RedisRole::Sentinel {
        name: SET_NAME.to_owned(),
        primary: port,
    };
    let sentinel = TestRedis::start(role, Some(password.clone())).await;
    wait_for("the sentinel knows the replica", AGREE_MAX, async || {
        let known = sentinel
            .command(&format!("SENTINEL REPLICAS {SET_NAME}"))
            .await;
        known.contains("master-link-status\r\n$2\r\nok")
    })
    .await;
    TestSentinelSet {
        url: format!(
            "redis-sentinel://:{password}@{}?master={SET_NAME}&sentinel_password={password}",
            sentinel.address()
        ),
        primary,
        replica,
        sentinel,
    }
}

//! Against real servers: one, a replica set, a cluster. `STEELYARD_REDIS_SERVER` may name a Valkey.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::{Duration, Instant};

use steelyard_redis::redis::{Cmd, cmd, pipe};
use steelyard_redis::{Error, Limits, Redis};
use steelyard_testkit::{
    proxy, redis, redis_cluster, redis_replica_set, redis_sentinel_set, wait_for, wait_for_ok,
};

/// Long enough for a machine that builds beside the tests.
const SOON: Duration = Duration::from_secs(60);

fn connected(url: &str) -> Redis {
    Redis::new(&url.parse().unwrap(), Limits::default()).unwrap()
}

fn set(key: &str, value: i64) -> Cmd {
    let mut command = cmd("SET");
    command.arg(key).arg(value);
    command
}

fn get(key: &str) -> Cmd {
    let mut command = cmd("GET");
    command.arg(key);
    command
}

#[tokio::test]
async fn a_connection_that_was_closed_while_nobody_used_it_costs_no_call() {
    let server = redis().await;
    let redis = connected(&server.url);
    for round in 0..20 {
        let () = redis.query(&set("key", round)).await.unwrap();
        server.command("CLIENT KILL TYPE normal SKIPME yes").await;
    }
    assert_eq!(redis.query::<i64>(&get("key")).await, Ok(19));
}

#[tokio::test]
async fn a_host_that_fell_silent_is_left_with_the_call_that_it_did_not_answer() {
    let (mut old, new) = (redis().await, redis().await);
    old.command("CONFIG SET requirepass \"\"").await;
    new.command("CONFIG SET requirepass \"\"").await;
    let name = proxy(old.address());
    let redis = connected(&format!("redis://{}", name.address()));
    let () = redis.query(&set("key", 1)).await.unwrap();
    // As when a host loses its power: nobody closes the connection.
    old.stall();
    name.lead_to(new.address());
    let began = Instant::now();
    assert_eq!(
        redis.query::<Option<i64>>(&get("key")).await,
        Err(Error::TimedOut)
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(redis.query::<Option<i64>>(&get("key")).await, Ok(None));
    old.resume();
}

#[tokio::test]
async fn a_primary_that_is_one_no_longer_is_left_with_the_write_that_it_refused() {
    let servers = redis_replica_set().await;
    let redis = connected(&servers.url);
    let () = redis.query(&set("key", 1)).await.unwrap();
    // The connection stays, to what is a replica now.
    servers.fail_over().await;
    let port = servers.replica.address().port();
    servers
        .primary
        .command(&format!("REPLICAOF 127.0.0.1 {port}"))
        .await;
    let refused = redis.query::<()>(&set("key", 2)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let () = redis.query(&set("key", 3)).await.unwrap();
    assert!(servers.replica.command("GET key").await.contains('3'));
}

#[tokio::test]
async fn sentinels_say_who_the_primary_is_also_after_a_failover() {
    let mut servers = redis_sentinel_set().await;
    let redis = connected(&servers.url);
    let () = redis.query(&set("key", 1)).await.unwrap();
    assert!(servers.primary.command("GET key").await.contains('1'));
    let wrong = servers
        .url
        .replace("sentinel_password=", "sentinel_password=x");
    let refused = connected(&wrong).query::<()>(&set("key", 2)).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");

    servers.primary.kill().await;
    wait_for_ok("the replica has taken over", SOON, async || {
        redis.query::<()>(&set("key", 3)).await
    })
    .await;
    assert!(servers.replica.command("GET key").await.contains('3'));
}

#[tokio::test]
async fn a_cluster_is_used_as_a_whole_and_a_silent_node_takes_only_its_own_keys_away() {
    let mut cluster = redis_cluster().await;
    let redis = connected(&cluster.url);
    let keys: Vec<String> = (0..100).map(|n| format!("key:{n}")).collect();
    let mut commands = pipe();
    for (n, key) in (0..).zip(&keys) {
        commands.add_command(set(key, n)).ignore();
    }
    redis.each(&commands).await.unwrap();
    for (n, key) in (0..).zip(&keys) {
        assert_eq!(redis.query::<i64>(&get(key)).await, Ok(n));
    }
    for node in &cluster.nodes {
        let size = node.command("DBSIZE").await;
        let size: i64 = size.trim_start_matches(':').trim().parse().unwrap();
        assert!((20..50).contains(&size), "{size}");
    }

    let stalled = &mut cluster.nodes[2];
    let theirs = stalled.command("KEYS *").await;
    stalled.stall();
    let began = Instant::now();
    let (lost, well): (Vec<&String>, Vec<&String>) = keys
        .iter()
        .partition(|key| theirs.lines().any(|line| line == *key));
    let gone = redis.query::<i64>(&get(lost[0])).await;
    assert!(
        matches!(gone, Err(Error::TimedOut | Error::Unavailable(_))),
        "{gone:?}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    // The others fail too once they have agreed that one of them is gone; until then, and after it is back, they serve.
    let _either = redis.query::<i64>(&get(well[0])).await;
    cluster.nodes[2].resume();
    for key in [lost[0], well[0]] {
        wait_for("the cluster is whole again", SOON, async || {
            redis.query::<i64>(&get(key)).await.is_ok()
        })
        .await;
    }
}

#[tokio::test]
async fn what_passes_by_itself_and_what_does_not_are_told_apart() {
    let mut server = redis().await;
    let redis = connected(&server.url);
    for (setting, undo) in [
        (
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
        ),
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    ] {
        server.command(setting).await;
        let refused = redis.query::<()>(&set("key", 1)).await;
        assert!(
            matches!(refused, Err(Error::Unavailable(_))),
            "{setting}: {refused:?}"
        );
        server.command(undo).await;
        assert_eq!(redis.query::<()>(&set("key", 1)).await, Ok(()));
    }
    let wrong = connected(&format!("redis://:wrong@{}", server.address()));
    let refused = wrong.query::<()>(&set("key", 1)).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert!(matches!(
        redis.query::<()>(&cmd("NONSENSE")).await,
        Err(Error::Refused(_))
    ));

    server.kill().await;
    let refused = redis.query::<()>(&set("key", 1)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    server.start_again().await;
    wait_for_ok("it is back", SOON, async || {
        redis.query::<()>(&set("key", 1)).await
    })
    .await;
}

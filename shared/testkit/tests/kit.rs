//! The kit itself, against the real servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use steelyard_testkit::{postgres, proxy, redis, wait_for, wait_for_ok};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn every_test_has_a_database_of_its_own_which_goes_with_the_value() {
    let (a, b) = tokio::join!(postgres(), postgres());
    assert_ne!(a.url, b.url);
    let mut in_a = PgConnection::connect(&a.url).await.unwrap();
    sqlx::raw_sql("create table t(n int)")
        .execute(&mut in_a)
        .await
        .unwrap();
    let mut in_b = PgConnection::connect(&b.url).await.unwrap();
    assert!(
        sqlx::raw_sql("select * from t")
            .execute(&mut in_b)
            .await
            .is_err()
    );
    let gone = a.url.clone();
    // With a connection still open.
    drop(a);
    assert!(PgConnection::connect(&gone).await.is_err());
}

#[tokio::test]
async fn a_redis_can_be_killed_and_started_again_under_the_same_url() {
    let mut redis = redis().await;
    let url = redis.url.clone();
    redis.kill().await;
    assert!(TcpStream::connect(redis.address()).await.is_err());
    redis.start_again().await;
    assert_eq!(redis.url, url);
    TcpStream::connect(redis.address()).await.unwrap();
}

#[tokio::test]
async fn a_proxy_refuses_cuts_stalls_and_restores() {
    let database = postgres().await;
    let proxy = proxy(database.address());
    let url = database.url_via(proxy.address());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    assert_eq!(proxy.status().open, 1);

    proxy.cut();
    assert!(connection.ping().await.is_err());
    let mut connection = PgConnection::connect(&url).await.unwrap();

    proxy.stall();
    assert!(
        tokio::time::timeout(Duration::from_millis(200), connection.ping())
            .await
            .is_err()
    );
    proxy.restore();

    proxy.refuse();
    wait_for(
        "connections are refused",
        Duration::from_secs(5),
        async || {
            matches!(TcpStream::connect(proxy.address()).await, Err(error)
            if error.kind() == std::io::ErrorKind::ConnectionRefused)
        },
    )
    .await;
    proxy.restore();
    wait_for_ok(
        "Postgres answers again",
        Duration::from_secs(5),
        async || PgConnection::connect(&url).await,
    )
    .await;
    assert!(proxy.status().received > 0);
}

/// Clients reconnect at once when they are cut: none of them may slip through.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_reconnects_at_once_outlives_a_refusal() {
    let redis = redis().await;
    let proxy = proxy(redis.address());
    for _ in 0..50 {
        let address = proxy.address();
        let eager: Vec<_> = (0..4)
            .map(|_| {
                tokio::spawn(async move {
                    while let Ok(mut stream) = TcpStream::connect(address).await {
                        let _ = stream.read(&mut [0; 1]).await;
                    }
                })
            })
            .collect();
        wait_for("all are connected", Duration::from_secs(5), async || {
            proxy.status().open >= 4
        })
        .await;
        proxy.refuse();
        for client in eager {
            tokio::time::timeout(Duration::from_secs(5), client)
                .await
                .unwrap()
                .unwrap();
        }
        wait_for("all are gone", Duration::from_secs(5), async || {
            proxy.status().open == 0
        })
        .await;
        proxy.restore();
        wait_for_ok("it listens again", Duration::from_secs(5), async || {
            TcpStream::connect(address).await
        })
        .await;
        proxy.cut();
    }
}

/// The system gives any free port to whoever connects to anything: a proxy that let go of its own would never listen again.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_the_port_of_a_proxy_that_refuses() {
    let redis = redis().await;
    let proxy = proxy(redis.address());
    let address = proxy.address();
    let over = Arc::new(AtomicBool::new(false));
    let thief = std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            while !over.load(Ordering::Relaxed) {
                if std::net::TcpListener::bind(address).is_ok() {
                    return true;
                }
            }
            false
        }
    });
    for _ in 0..200 {
        proxy.refuse();
        wait_for("it refuses", Duration::from_secs(5), async || {
            TcpStream::connect(address).await.is_err()
        })
        .await;
        proxy.restore();
        wait_for_ok("it listens again", Duration::from_secs(5), async || {
            TcpStream::connect(address).await
        })
        .await;
    }
    over.store(true, Ordering::Relaxed);
    assert!(!thief.join().unwrap());
}

#[tokio::test]
async fn a_proxy_adds_latency() {
    let redis = redis().await;
    let proxy = proxy(redis.address());
    proxy.latency(Duration::from_millis(50));
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let start = tokio::time::Instant::now();
    stream.write_all(b"PING\r\n").await.unwrap();
    let mut answer = [0; 16];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    // Both directions.
    assert!(
        start.elapsed() >= Duration::from_millis(100),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_wait_in_vain_says_what_was_waited_for() {
    let waiting = tokio::spawn(wait_for_ok(
        "pigs fly",
        Duration::from_millis(50),
        async || Err::<(), _>("no wings"),
    ));
    let panic = waiting.await.unwrap_err().into_panic();
    assert_eq!(
        panic.downcast_ref::<String>().unwrap(),
        "waited 50ms in vain until pigs fly; last: no wings"
    );
}

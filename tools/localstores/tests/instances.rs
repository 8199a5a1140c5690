//! Real servers, started and stopped as the stack and the tests do.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use steelyard_localstores::{
    Durability, Error, Placement, Postgres, Redis, StoreOptions, is_alive,
};

/// A directory that the servers' account can reach, which the default 0700 of a temporary directory is not.
fn open_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap()
}

async fn gone(pid: u32) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    while is_alive(pid) {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

fn psql(postgres: &Postgres, sql: &str) -> String {
    let bin = StoreOptions::new(Durability::Throwaway)
        .search
        .postgres()
        .unwrap()
        .path
        .with_file_name("psql");
    // Debian keeps psql off the server's folder only in its wrapper; the real one lies beside it.
    let output = Command::new(bin)
        .args(["-XAtc", sql, &postgres.url("postgres")])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn postgres_keeps_its_data_over_a_stop_and_a_start() {
    let home = open_dir();
    let dir = home.path().join("postgres");
    let options = StoreOptions::new(Durability::Honest);
    let first = Postgres::start(&dir, &options).await.unwrap();
    psql(
        &first,
        "create table kept(n int); insert into kept values (42)",
    );
    assert_eq!(psql(&first, "show fsync"), "on");
    let pid = first.pid();
    first.stop().await.unwrap();
    assert!(!is_alive(pid));

    let second = Postgres::start(&dir, &options).await.unwrap();
    assert_eq!(psql(&second, "select n from kept"), "42");
    second.stop().await.unwrap();
}

#[tokio::test]
async fn postgres_takes_no_connection_without_the_password() {
    let home = open_dir();
    let postgres = Postgres::start(
        &home.path().join("pg"),
        &StoreOptions::new(Durability::Throwaway),
    )
    .await
    .unwrap();
    let bin = StoreOptions::new(Durability::Throwaway)
        .search
        .postgres()
        .unwrap()
        .path
        .with_file_name("psql");
    let url = format!(
        "postgres://postgres:guess@127.0.0.1:{}/postgres",
        postgres.port()
    );
    let output = Command::new(bin)
        .args(["-XAtc", "select 1", &url])
        .output()
        .unwrap();
    assert!(!output.status.success());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_owner_of_a_directory_is_told_who_the_first_is() {
    let home = open_dir();
    let dir = home.path().join("redis");
    let options = StoreOptions::new(Durability::Honest);
    let first = Redis::start(&dir, &options).await.unwrap();
    let Err(Error::InUse { pid, .. }) = Redis::start(&dir, &options).await else {
        panic!("both run")
    };
    assert_eq!(pid, std::process::id());
    first.stop().await.unwrap();
    Redis::start(&dir, &options)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
}

#[tokio::test]
async fn throwaway_instances_leave_nothing_behind() {
    let home = open_dir();
    let options = StoreOptions::new(Durability::Throwaway);
    let postgres = Postgres::start(&home.path().join("pg"), &options)
        .await
        .unwrap();
    let redis = Redis::start(&home.path().join("redis"), &options)
        .await
        .unwrap();
    postgres.stop().await.unwrap();
    redis.stop().await.unwrap();
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_killed_redis_comes_back_with_what_it_had_synced() {
    let home = open_dir();
    let dir = home.path().join("redis");
    let options = StoreOptions::new(Durability::Honest);
    let redis = Redis::start(&dir, &options).await.unwrap();
    let pid = redis.pid();
    redis.kill().await.unwrap();
    assert!(!is_alive(pid));
    Redis::start(&dir, &options)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_stale_pid_file_of_a_crash_does_not_stop_the_next_start() {
    let home = open_dir();
    let dir = home.path().join("pg");
    let options = StoreOptions::new(Durability::Honest);
    Postgres::start(&dir, &options)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    // The pid in it has since gone to another process: this one.
    let data = Placement::of(&dir).unwrap().dir.join("data");
    fs::write(
        data.join("postmaster.pid"),
        format!(
            "{}\n{}\n0\n1\n\n127.0.0.1\n",
            std::process::id(),
            data.display()
        ),
    )
    .unwrap();
    Postgres::start(&dir, &options)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
}

/// The owner as a process of its own, so that it can be killed: this test binary, called for one test by its name.
fn spawn_owner(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owner_process", "--nocapture"])
        .env("OWNED_DIR", dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test of its own: with `OWNED_DIR` it is the owner that the next test kills.
#[tokio::test]
async fn owner_process() {
    let Some(dir) = std::env::var_os("OWNED_DIR").map(std::path::PathBuf::from) else {
        return;
    };
    let options = StoreOptions::new(Durability::Honest);
    let postgres = Postgres::start(&dir.join("pg"), &options).await.unwrap();
    let redis = Redis::start(&dir.join("redis"), &options).await.unwrap();
    fs::write(
        dir.join("pids.new"),
        format!("{} {}", postgres.pid(), redis.pid()),
    )
    .unwrap();
    fs::rename(dir.join("pids.new"), dir.join("pids")).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn servers_stop_when_their_owner_is_killed_and_the_next_owner_waits_for_them() {
    let home = open_dir();
    let mut owner = spawn_owner(home.path());
    let deadline = Instant::now() + Duration::from_secs(60);
    let pids: Vec<u32> = loop {
        if let Ok(text) = fs::read_to_string(home.path().join("pids")) {
            break text.split(' ').map(|pid| pid.parse().unwrap()).collect();
        }
        assert!(
            Instant::now() < deadline,
            "the owner did not start its servers"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    owner.kill().unwrap();
    owner.wait().unwrap();
    // At once: the old servers may still be stopping.
    let options = StoreOptions::new(Durability::Honest);
    let postgres = Postgres::start(&home.path().join("pg"), &options)
        .await
        .unwrap();
    let redis = Redis::start(&home.path().join("redis"), &options)
        .await
        .unwrap();
    for pid in pids {
        assert!(gone(pid).await, "process {pid} outlived its owner");
    }
    postgres.stop().await.unwrap();
    redis.stop().await.unwrap();
}

//! Start, migrations and outages against real Postgres.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use sqlx::migrate::Migrator;
use steelyard_store::{
    Database, MigrateError, PoolOptions, connect, is_contention, is_outage, migrate, migrator,
};
use steelyard_testkit::wait_for;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(20);

fn shop() -> Migrator {
    migrator([(1, "shop", "CREATE TABLE goods (sku text PRIMARY KEY)")])
}

fn options() -> PoolOptions {
    PoolOptions {
        // Long enough for a connection on a machine that has much else to do.
        acquire_max: Duration::from_secs(2),
        ..PoolOptions::new("shop")
    }
}

#[tokio::test]
async fn a_service_starts_without_its_database_and_becomes_ready_when_it_comes_and_again_later() {
    let server = steelyard_testkit::postgres().await;
    let proxy = steelyard_testkit::proxy(server.address());
    proxy.refuse();
    let url = server.url_via(proxy.address());
    let database = Database::new(&url, &options(), shop()).unwrap();
    let stop = CancellationToken::new();
    let tending = tokio::spawn({
        let (database, stop) = (database.clone(), stop.clone());
        async move { database.tend(stop).await }
    });
    let error = sqlx::query("SELECT 1").execute(database.pool()).await;
    assert!(is_outage(&error.unwrap_err()));
    assert!(database.check().is_err() && !database.is_migrated());

    proxy.restore();
    tokio::time::timeout(SOON, database.ready()).await.unwrap();
    assert!(database.check().is_ok() && database.is_migrated());
    let insert = "INSERT INTO shop.goods VALUES ('a')";
    sqlx::query(insert).execute(database.pool()).await.unwrap();
    let twice = sqlx::query(insert).execute(database.pool()).await;
    assert!(!is_outage(&twice.unwrap_err()), "a duplicate is no outage");

    proxy.refuse();
    wait_for("it is known to be away", SOON, async || {
        database.check().is_err()
    })
    .await;
    assert!(database.is_migrated());
    proxy.restore();
    wait_for("it is back", SOON, async || database.check().is_ok()).await;
    stop.cancel();
    tending.await.unwrap().unwrap();
}

#[tokio::test]
async fn instances_that_start_together_migrate_once_and_a_changed_migration_is_refused() {
    let server = steelyard_testkit::postgres().await;
    let mut tasks = tokio::task::JoinSet::new();
    for schema in ["shop", "shop", "shop", "other"] {
        let pool = connect(
            &server.url,
            &PoolOptions {
                schema,
                ..options()
            },
        )
        .unwrap();
        tasks.spawn(async move { migrate(&pool, schema, &shop()).await });
    }
    while let Some(migrated) = tasks.join_next().await {
        migrated.unwrap().unwrap();
    }
    let pool = connect(&server.url, &options()).unwrap();
    let changed = migrator([(1, "shop", "CREATE TABLE goods (sku text)")]);
    let refused = migrate(&pool, "shop", &changed).await;
    assert!(
        matches!(refused, Err(MigrateError::Broken { .. })),
        "{refused:?}"
    );
    let newer = migrator([
        (1, "shop", "CREATE TABLE goods (sku text PRIMARY KEY)"),
        (2, "more", "SELECT 1"),
    ]);
    migrate(&pool, "shop", &newer).await.unwrap();
    migrate(&pool, "shop", &shop()).await.unwrap();
}

#[tokio::test]
async fn a_statement_has_a_time_limit_and_a_deadlock_is_contention() {
    let server = steelyard_testkit::postgres().await;
    let options = PoolOptions {
        statement_max: Duration::from_millis(50),
        ..options()
    };
    let pool = connect(&server.url, &options).unwrap();
    let slow = sqlx::query("SELECT pg_sleep(5)").execute(&pool).await;
    assert!(is_outage(&slow.unwrap_err()));
    let lost = sqlx::query("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40P01'; END $$")
        .execute(&pool)
        .await
        .unwrap_err();
    assert!(is_contention(&lost) && !is_outage(&lost));
}

#[tokio::test]
async fn a_task_that_migrates_ends_with_the_schema_or_when_its_database_is_away_for_too_long() {
    let server = steelyard_testkit::postgres().await;
    let proxy = steelyard_testkit::proxy(server.address());
    proxy.refuse();
    let url = server.url_via(proxy.address());
    let database = Database::new(&url, &options(), shop()).unwrap();
    let ended = database.migrate_within(Duration::from_millis(50)).await;
    assert!(matches!(ended, Err(MigrateError::Outage(_))), "{ended:?}");
    let waiting = tokio::spawn({
        let database = database.clone();
        async move { database.migrate_within(SOON).await }
    });
    proxy.restore();
    waiting.await.unwrap().unwrap();
    // Nothing is left to do.
    database.migrate_within(SOON).await.unwrap();
    sqlx::query("INSERT INTO shop.goods VALUES ('a')")
        .execute(database.pool())
        .await
        .unwrap();
    let other = migrator([(1, "shop", "CREATE TABLE other ()")]);
    let changed = Database::new(&url, &options(), other).unwrap();
    let ended = changed.migrate_within(SOON).await;
    assert!(
        matches!(ended, Err(MigrateError::Broken { .. })),
        "{ended:?}"
    );
}

/// A process with this URL, as a service and as a task that migrates: how each ends.
async fn ends_of(url: &str) -> [Result<(), MigrateError>; 2] {
    let served = Database::new(url, &options(), shop()).unwrap();
    let tended = tokio::time::timeout(SOON * 3, served.tend(CancellationToken::new()));
    let task = Database::new(url, &options(), shop()).unwrap();
    // Longer than refusals take: it is not this that ends it.
    let migrated = tokio::time::timeout(SOON * 3, task.migrate_within(SOON * 6));
    let (tended, migrated) = tokio::join!(tended, migrated);
    [tended.unwrap(), migrated.unwrap()]
}

#[tokio::test]
async fn a_wrong_database_url_ends_a_service_and_a_migration_with_its_name_and_the_reason() {
    let server = steelyard_testkit::postgres().await;
    let (rest, database) = server.url.rsplit_once('/').unwrap();
    let (_, host) = rest.split_once('@').unwrap();
    let nobody = format!("postgres://nobody:a-secret-that-is-wrong@{host}/{database}");
    let nowhere = format!("{rest}/no_such_database");
    for (url, reason) in [
        (nobody, "its user or password is refused"),
        (nowhere, "there is no database of its name"),
    ] {
        for ended in ends_of(&url).await {
            let said = ended.unwrap_err().to_string();
            assert!(said.starts_with("DATABASE_URL: "), "{said}");
            assert!(said.contains(reason), "{said}");
            assert!(!said.contains("a-secret"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_service_that_was_let_in_outlives_a_password_that_is_rotated() {
    let server = steelyard_testkit::postgres().await;
    let admin = connect(&server.url, &PoolOptions::new("admin")).unwrap();
    let role = format!("rotated_{}", std::process::id());
    let run = async |statement: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&admin)
            .await
            .unwrap();
    };
    run(format!(
        "CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'before'"
    ))
    .await;
    let (rest, database) = server.url.rsplit_once('/').unwrap();
    let (_, host) = rest.split_once('@').unwrap();
    let url = format!("postgres://{role}:before@{host}/{database}");
    let database = Database::new(&url, &options(), shop()).unwrap();
    let stop = CancellationToken::new();
    let tending = tokio::spawn({
        let (database, stop) = (database.clone(), stop.clone());
        async move { database.tend(stop).await }
    });
    tokio::time::timeout(SOON, database.ready()).await.unwrap();
    // As a wrong password: whoever is there is put out, and nobody is let in.
    run(format!("ALTER ROLE {role} NOLOGIN")).await;
    run(format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
    ))
    .await;
    wait_for("it is refused", SOON, async || database.check().is_err()).await;
    let refused = database.pool().acquire().await.unwrap_err();
    assert!(is_outage(&refused), "{refused}");
    run(format!("ALTER ROLE {role} LOGIN")).await;
    wait_for("it is back", SOON, async || database.check().is_ok()).await;
    stop.cancel();
    tending.await.unwrap().unwrap();
    run(format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
}

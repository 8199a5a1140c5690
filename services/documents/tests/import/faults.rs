//! What is away comes back, what dies is taken up.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::PgPool;
use steelyard_documents::import::{Error, Import, Importer};
use steelyard_objects::Bucket;
use steelyard_testkit::{Proxy, proxy, wait_for};
use tokio::process::Child;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::stand::{HEADER, SOON, Stand, options, pdf, pool, row, run, s3_config};

/// A folder with a manifest and so many files.
fn write_files(folder: &Path, prefix: &str, files: usize) {
    let mut manifest = HEADER.to_owned();
    for i in 0..files {
        let content = pdf(&format!("{prefix} {i}"));
        std::fs::write(folder.join(format!("{i}.pdf")), &content).unwrap();
        manifest += &row(&format!("{prefix}-{i:05}"), &format!("{i}.pdf"), &content);
    }
    std::fs::write(folder.join("m.csv"), manifest).unwrap();
}

async fn settled(pool: &PgPool) -> i64 {
    let count =
        "SELECT coalesce(sum(rows_imported + rows_known + rows_refused), 0)::bigint FROM imports";
    sqlx::query_scalar(count).fetch_one(pool).await.unwrap_or(0)
}

/// `kill -9` once so many rows are settled; false when it had ended before.
async fn kill_after(stand: &Stand, mut child: Child, rows: i64) -> bool {
    wait_for("some rows are settled", SOON, async || {
        settled(&stand.pool).await >= rows || child.try_wait().unwrap().is_some()
    })
    .await;
    let Some(id) = child.id() else { return false };
    kill(Pid::from_raw(i32::try_from(id).unwrap()), Signal::SIGKILL).unwrap();
    child.wait().await.unwrap();
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_is_taken_up_where_it_was_and_nothing_is_there_twice() {
    const FILES: usize = 1_500;
    let stand = Stand::new().await;
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), "K", FILES);
    let mut kills = 0;
    for rows in [1, 400, 900] {
        let child = stand.command(folder.path()).spawn().unwrap();
        kills += usize::from(kill_after(&stand, child, rows).await);
    }
    assert!(kills > 0, "it was never killed before its end");
    let left = settled(&stand.pool).await;
    assert!((1..1_500).contains(&left), "{left}");

    let output = stand.command(folder.path()).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    // The header is line 1; what was settled is not looked at again.
    assert!(
        said.contains(&format!("taken up at line {}", left + 2)),
        "{said}"
    );
    assert!(said.contains("1500 imported"), "{said}");
    let numbers: Vec<String> = stand
        .stored()
        .await
        .into_iter()
        .map(|(number, _)| number)
        .collect();
    let expected: Vec<String> = (0..FILES).map(|i| format!("K-{i:05}")).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_says_by_its_exit_code_that_rows_were_refused() {
    let stand = Stand::new().await;
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), "K", 2);
    std::fs::remove_file(folder.path().join("1.pdf")).unwrap();
    let output = stand.command(folder.path()).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("line 3: missing_file: there is no 1.pdf"),
        "{said}"
    );
}

async fn through(stand: &Stand, s3_url: String, database_url: &str, folder: &Path) -> Importer {
    let source = steelyard_documents::import::Source::folder(folder).unwrap();
    let documents = Bucket::connect(s3_config(&stand.s3, s3_url), "documents").await;
    Importer::new(pool(database_url), source, documents, options())
}

/// Takes a dependency away in the middle, and gives it back when that was noticed.
async fn outage(importer: Importer, away: &Proxy, target: SocketAddr) -> Import {
    let (progress, mut seen) = watch::channel(None::<Import>);
    let importing = tokio::spawn(async move {
        let stop = CancellationToken::new();
        importer.run("m.csv", false, &progress, &stop).await
    });
    let some = |import: &Option<Import>| import.as_ref().is_some_and(|it| it.rows_imported > 0);
    seen.wait_for(some).await.unwrap();
    let nowhere = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    away.lead_to(nowhere);
    away.cut();
    let before = away.status().accepted;
    wait_for("it was tried in vain, more than once", SOON, async || {
        away.status().accepted >= before + 4
    })
    .await;
    assert!(!importing.is_finished());
    away.lead_to(target);
    importing.await.unwrap().unwrap().import
}

#[tokio::test(flavor = "multi_thread")]
async fn while_s3_or_postgres_is_away_the_import_waits_and_no_row_is_to_blame() {
    const FILES: usize = 800;
    let stand = Stand::new().await;
    for of_s3 in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), if of_s3 { "S" } else { "P" }, FILES);
        let (s3, database) = (proxy(stand.s3.address()), proxy(stand.database.address()));
        let s3_url = format!("http://{}", s3.address());
        let database_url = stand.database.url_via(database.address());
        let importer = through(&stand, s3_url, &database_url, folder.path()).await;
        let import = if of_s3 {
            outage(importer, &s3, stand.s3.address()).await
        } else {
            outage(importer, &database, stand.database.address()).await
        };
        assert_eq!((import.rows_imported, import.rows_refused), (800, 0));
    }
    assert_eq!(stand.stored().await.len(), 2 * FILES);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_import_has_one_process() {
    let stand = Stand::new().await;
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), "K", 200);
    let s3 = proxy(stand.s3.address());
    s3.refuse();
    let url = format!("http://{}", s3.address());
    let waiting = through(&stand, url, &stand.database.url, folder.path()).await;
    let (progress, mut seen) = watch::channel(None);
    let stop = CancellationToken::new();
    let (stopped, first) = (stop.clone(), async {
        waiting.run("m.csv", false, &progress, &stop).await
    });
    let second = async {
        seen.wait_for(Option::is_some).await.unwrap();
        let source = steelyard_documents::import::Source::folder(folder.path()).unwrap();
        let refused = run(&stand.importer_of(source), "m.csv", false).await;
        stopped.cancel();
        refused
    };
    let (first, second) = tokio::join!(first, second);
    assert!(matches!(second, Err(Error::Busy)), "{second:?}");
    let first = first.unwrap();
    assert!(!first.is_finished(), "a stop ends it, though S3 is away");
}

#[tokio::test]
async fn a_migration_before_a_deploy_makes_the_schema_and_does_nothing_twice() {
    let database = steelyard_testkit::postgres().await;
    let migrate = async |url: &str| {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_documents"))
            .arg("migrate")
            .env_clear()
            .env("DATABASE_URL", url)
            .kill_on_drop(true)
            .output()
            .await
            .unwrap()
    };
    for _ in 0..2 {
        let ended = migrate(&database.url).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{said}");
    }
    let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
    let applied: i64 = sqlx::query_scalar("SELECT max(version) FROM documents._sqlx_migrations")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(applied > 1, "{applied}");
    // A schema that another release has changed under it ends the deploy.
    sqlx::query("UPDATE documents._sqlx_migrations SET checksum = '\\x00' WHERE version = 1")
        .execute(&pool)
        .await
        .unwrap();
    for (url, why) in [
        (database.url.as_str(), "cannot be migrated"),
        ("mysql://x", "DATABASE_URL"),
    ] {
        let ended = migrate(url).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains(why), "{said}");
    }
}

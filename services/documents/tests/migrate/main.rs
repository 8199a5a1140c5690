//! Documents out of a legacy table, while it is in use.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{AssertSqlSafe, PgPool};
use steelyard_documents::archive::{self, Archive};
use steelyard_documents::db;
use steelyard_documents::migrate::{Config, Error, Migration, Options, Origin, Progress};
use steelyard_objects::{Bucket, Class, Kept, S3Config, S3Credentials};
use steelyard_store::{PoolOptions, connect, migrate};
use steelyard_testkit::{TestDatabase, TestS3, wait_for};
use time::OffsetDateTime;
use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(90);
const CONFIG: &str = r#"
    table = "shop.papers"
    id = "id"
    blob = "content"
    customer = "customer_no"
    kind = "doc_type"
    number = "doc_no"
    date = "created_at"
    where = "NOT deleted"
    [kinds]
    R = "invoice"
    G = "credit_note"
"#;

struct Stand {
    database: TestDatabase,
    s3: TestS3,
    pool: PgPool,
    bucket: Bucket,
}

fn pdf(what: &str) -> Vec<u8> {
    format!("%PDF-1.7\n% {what}\nstartxref\n0\n%%EOF\n").into_bytes()
}

impl Stand {
    /// With an empty legacy table beside the schema.
    async fn new(blob_type: &str) -> Self {
        let database = steelyard_testkit::postgres().await;
        let pool = connect(&database.url, &PoolOptions::new("documents")).unwrap();
        migrate(&pool, "documents", &db::migrations())
            .await
            .unwrap();
        let table = format!(
            "CREATE SCHEMA shop;
             CREATE TABLE shop.papers (id bigint PRIMARY KEY, customer_no text, doc_type text, doc_no text,
                created_at timestamptz, content {blob_type}, deleted boolean NOT NULL DEFAULT false)"
        );
        sqlx::raw_sql(AssertSqlSafe(table))
            .execute(&pool)
            .await
            .unwrap();
        let s3 = steelyard_testkit::s3(&["documents"]).await;
        let config = S3Config {
            region: Some("eu-central-1".to_owned()),
            endpoint_url: Some(s3.url()),
            credentials: S3Credentials::Static {
                access_key_id: s3.access_key().to_owned(),
                secret_access_key: s3.secret_key().to_owned(),
            },
        };
        let bucket = Bucket::connect(config, "documents").await;
        Self {
            database,
            s3,
            pool,
            bucket,
        }
    }

    async fn insert(&self, id: i64, content: &[u8]) {
        self.insert_as(id, "R", &format!("R-{id:05}"), content)
            .await;
    }

    async fn insert_as(&self, id: i64, kind: &str, number: &str, content: &[u8]) {
        let is_large: bool = sqlx::query_scalar(
            "SELECT atttypid = 'oid'::regtype FROM pg_attribute WHERE attrelid = 'shop.papers'::regclass AND attname = 'content'",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap();
        let value = if is_large {
            "lo_from_bytea(0, $4)"
        } else {
            "$4"
        };
        let insert = format!(
            "INSERT INTO shop.papers VALUES ($1, '17850', $2, $3, '2019-05-06 07:08:09Z', {value})"
        );
        sqlx::query(AssertSqlSafe(insert))
            .bind(id)
            .bind(kind)
            .bind(number)
            .bind(content)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    async fn migration(&self) -> Migration {
        let options = Options {
            page_rows_max: 16,
            outage_max: SOON,
            ..Options::default()
        };
        let config = Config::parse(CONFIG).unwrap();
        let opened = Migration::open(
            self.pool.clone(),
            self.pool.clone(),
            config,
            self.bucket.clone(),
            options,
        );
        opened.await.unwrap()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    async fn faults(&self, migration: &Migration) -> BTreeMap<String, String> {
        let (faults, _) = migration.faults(100).await.unwrap();
        faults
            .into_iter()
            .map(|fault| (fault.legacy_id, fault.code))
            .collect()
    }
}

async fn run(migration: &Migration) -> Progress {
    migration
        .run(&watch::channel(None).0, &CancellationToken::new())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_moved_while_it_is_in_use_and_each_row_can_be_read_all_the_time() {
    let stand = Stand::new("bytea").await;
    for id in (0..100).step_by(2) {
        stand.insert(id, &pdf(&id.to_string())).await;
    }
    let migration = stand.migration().await;
    let before = migration.read("42").await.unwrap();
    assert_eq!(
        (before.origin, before.bytes.to_vec()),
        (Origin::Table, pdf("42"))
    );
    let progress = run(&migration).await;
    assert_eq!(stand.faults(&migration).await, BTreeMap::new());
    assert_eq!(
        (progress.rows_moved, progress.complete_at.is_some()),
        (50, true)
    );
    let after = migration.read("42").await.unwrap();
    assert_eq!((after.origin, after.bytes), (Origin::S3, before.bytes));
    // Nothing was asked of the table but to be read.
    assert_eq!(
        stand
            .count("SELECT count(*) FROM shop.papers WHERE content IS NOT NULL")
            .await,
        50
    );
    let told: (String, String, String) = sqlx::query_as(
        "SELECT kind, customer_id, issued_on::text FROM documents WHERE number = 'R-00042'",
    )
    .fetch_one(&stand.pool)
    .await
    .unwrap();
    assert_eq!(
        told,
        ("invoice".into(), "17850".into(), "2019-05-06".into())
    );

    // Committed late, with ids that were passed long ago.
    for id in (1..20).step_by(2) {
        stand.insert(id, &pdf(&id.to_string())).await;
    }
    let progress = run(&migration).await;
    assert_eq!(
        (progress.rows_moved, progress.complete_at.is_some()),
        (60, true)
    );
    assert_eq!(stand.count("SELECT count(*) FROM documents").await, 60);
    assert!(matches!(
        migration.read("1000").await,
        Err(Error::Missing(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_moved_are_told_and_stay_readable() {
    let stand = Stand::new("bytea").await;
    stand.insert(1, &pdf("one")).await;
    stand.insert_as(2, "X", "X-1", &pdf("two")).await;
    stand.insert(3, b"no pdf").await;
    stand.insert_as(4, "R", "R-00001", &pdf("four")).await;
    stand.insert_as(5, "R", "", &pdf("five")).await;
    stand.insert_as(6, "G", "G-1", &pdf("six")).await;
    sqlx::raw_sql("UPDATE shop.papers SET created_at = '1900-01-01' WHERE id = 6; INSERT INTO shop.papers VALUES (7)")
        .execute(&stand.pool)
        .await
        .unwrap();
    let migration = stand.migration().await;
    let progress = run(&migration).await;
    assert_eq!(
        (progress.rows_moved, progress.complete_at.is_some()),
        (1, true)
    );
    let told = stand.faults(&migration).await;
    let expected = [
        ("2", "kind"),
        ("3", "not_a_pdf"),
        ("4", "duplicate_number"),
        ("5", "number"),
        ("6", "date"),
    ];
    assert_eq!(
        told,
        expected
            .map(|(id, code)| (id.to_owned(), code.to_owned()))
            .into()
    );
    assert_eq!(migration.read("3").await.unwrap().origin, Origin::Table);
    // Mended, it is moved, and nothing is held against it.
    sqlx::raw_sql("UPDATE shop.papers SET doc_type = 'R' WHERE id = 2")
        .execute(&stand.pool)
        .await
        .unwrap();
    assert_eq!(run(&migration).await.rows_moved, 2);
    assert!(!stand.faults(&migration).await.contains_key("2"));
    assert_eq!(stand.bucket.list("", None).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_cleared_when_told_and_only_what_is_still_what_was_moved() {
    for blob_type in ["bytea", "oid"] {
        let stand = Stand::new(blob_type).await;
        // Over the size at which large objects are read in pieces.
        let long = [pdf("begin"), vec![b'x'; (1 << 20) + 10], pdf("end")].concat();
        for id in 0..30 {
            let content = if id == 7 {
                long.clone()
            } else {
                pdf(&id.to_string())
            };
            stand.insert(id, &content).await;
        }
        let migration = stand.migration().await;
        assert_eq!(run(&migration).await.rows_moved, 30, "{blob_type}");
        assert_eq!(migration.read("7").await.unwrap().bytes, long);
        let (change, gone) = if blob_type == "oid" {
            (
                "SELECT lo_put(content, 9, '%!') FROM shop.papers WHERE id = 3",
                "SELECT count(*) FROM pg_largeobject_metadata",
            )
        } else {
            (
                "UPDATE shop.papers SET content = content || 'x' WHERE id = 3",
                "SELECT count(content) FROM shop.papers",
            )
        };
        sqlx::raw_sql(change).execute(&stand.pool).await.unwrap();
        // One object is lost, one damaged.
        let key = |number: &'static str| {
            let pool = stand.pool.clone();
            async move {
                let key = "SELECT object_key FROM documents WHERE number = $1";
                sqlx::query_scalar::<_, String>(key)
                    .bind(number)
                    .fetch_one(&pool)
                    .await
                    .unwrap()
            }
        };
        stand.bucket.delete(&key("R-00011").await).await.unwrap();
        let other = bytes::Bytes::from_static(b"other");
        stand
            .bucket
            .put(&key("R-00012").await, other, &Kept::new("application/pdf"))
            .await
            .unwrap();

        let done = migration.clear(&CancellationToken::new()).await.unwrap();
        assert_eq!((done.cleared, done.left), (27, 3), "{blob_type}");
        let expected = [
            ("3", "changed"),
            ("11", "missing_object"),
            ("12", "damaged_object"),
        ];
        let expected = expected
            .map(|(id, code)| (id.to_owned(), code.to_owned()))
            .into();
        assert_eq!(stand.faults(&migration).await, expected);
        assert_eq!(
            stand.count(gone).await,
            3,
            "{blob_type}: the three are still there"
        );
        assert_eq!(migration.read("7").await.unwrap().origin, Origin::S3);
        assert_eq!(
            migration
                .clear(&CancellationToken::new())
                .await
                .unwrap()
                .cleared,
            0
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_archived_since_is_read_from_the_table_and_once_that_is_cleared_from_its_pack() {
    let stand = Stand::new("bytea").await;
    for id in 0..3 {
        stand.insert(id, &pdf(&id.to_string())).await;
    }
    let migration = stand.migration().await;
    assert_eq!(run(&migration).await.rows_moved, 3);
    let options = archive::Options {
        pack_bytes_min: 1,
        class: Class::Standard,
        ..archive::Options::default()
    };
    let lifecycle = Archive::new(stand.pool.clone(), stand.bucket.clone(), options);
    // A day ago, so that the minutes for which a packed document stays under its own key are over.
    let then = OffsetDateTime::now_utc() - time::Duration::days(1);
    assert_eq!(lifecycle.tick(then, || true).await.unwrap().packed, 3);
    let later = then + time::Duration::hours(1);
    assert_eq!(lifecycle.tick(later, || true).await.unwrap().shed, 3);

    let read = migration.read("1").await.unwrap();
    assert_eq!((read.origin, read.bytes), (Origin::Table, pdf("1").into()));
    // What came into the row after the move is no document.
    sqlx::raw_sql("UPDATE shop.papers SET content = 'another' WHERE id = 2")
        .execute(&stand.pool)
        .await
        .unwrap();
    let read = migration.read("2").await.unwrap();
    assert_eq!((read.origin, read.bytes), (Origin::S3, pdf("2").into()));

    let cleared = migration.clear(&CancellationToken::new()).await.unwrap();
    assert_eq!((cleared.cleared, cleared.left), (2, 1));
    let read = migration.read("1").await.unwrap();
    assert_eq!((read.origin, read.bytes), (Origin::S3, pdf("1").into()));
    sqlx::raw_sql("UPDATE packs SET storage_class = 'GLACIER'")
        .execute(&stand.pool)
        .await
        .unwrap();
    let cold = migration.read("1").await;
    assert!(matches!(cold, Err(Error::Archived(_))), "{cold:?}");
}

fn command(stand: &Stand, config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_documents"));
    command
        .arg("migrate-blobs")
        .arg(config)
        .env_clear()
        .env("DATABASE_URL", &stand.database.url)
        .env("DOCUMENTS_BUCKET", "documents")
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ENDPOINT_URL", stand.s3.url())
        .env("AWS_ACCESS_KEY_ID", stand.s3.access_key())
        .env("AWS_SECRET_ACCESS_KEY", stand.s3.secret_key())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_is_killed_goes_on_and_moves_nothing_twice() {
    let stand = Stand::new("bytea").await;
    sqlx::raw_sql(
        "INSERT INTO shop.papers SELECT i, '17850', 'R', 'R-' || i, '2019-05-06',
            convert_to(format(E'%%PDF-1.7\\n%s\\nstartxref\\n0\\n%%%%EOF\\n', i), 'UTF8') FROM generate_series(1, 1500) i",
    )
    .execute(&stand.pool)
    .await
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("blobs.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let moved = "SELECT coalesce(sum(rows_moved), 0)::bigint FROM blob_migrations";
    let mut child = command(&stand, &config).spawn().unwrap();
    wait_for("some rows are moved", SOON, async || {
        stand.count(moved).await > 0 || child.try_wait().unwrap().is_some()
    })
    .await;
    let id = child.id().expect("killed before its end");
    kill(Pid::from_raw(i32::try_from(id).unwrap()), Signal::SIGKILL).unwrap();
    child.wait().await.unwrap();
    let left = stand.count(moved).await;
    assert!((1..1_500).contains(&left), "{left}");
    // Its text does as well as its path.
    let output = command(&stand, Path::new(CONFIG)).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("all is moved: 1500 rows moved"), "{said}");
    assert_eq!(stand.count("SELECT count(*) FROM documents").await, 1_500);
    assert_eq!(
        stand
            .count("SELECT count(DISTINCT object_key) FROM moved_blobs")
            .await,
        1_500
    );
}

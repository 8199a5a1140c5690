//! Postgres, S3, and manifests to import.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use steelyard_documents::db;
use steelyard_documents::import::{Error, Import, Importer, Options, Report, Source};
use steelyard_objects::{Bucket, Kept, S3Config, S3Credentials};
use steelyard_store::{PoolOptions, connect, migrate};
use steelyard_testkit::{TestDatabase, TestS3};
use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::kept;

/// Long enough for a machine that builds beside the tests.
pub(crate) const SOON: Duration = Duration::from_secs(90);
pub(crate) const HEADER: &str = "customer,kind,number,date,key,sha256\n";

pub(crate) struct Stand {
    pub(crate) database: TestDatabase,
    pub(crate) s3: TestS3,
    pub(crate) pool: PgPool,
    pub(crate) documents: Bucket,
    pub(crate) inbox: Bucket,
}

pub(crate) fn s3_config(s3: &TestS3, url: String) -> S3Config {
    config(url, s3.access_key(), s3.secret_key())
}

pub(crate) fn config(url: String, access_key: &str, secret_key: &str) -> S3Config {
    S3Config {
        region: Some("eu-central-1".to_owned()),
        endpoint_url: Some(url),
        credentials: S3Credentials::Static {
            access_key_id: access_key.to_owned(),
            secret_access_key: secret_key.to_owned(),
        },
    }
}

pub(crate) fn pool(url: &str) -> PgPool {
    connect(url, &PoolOptions::new("documents")).unwrap()
}

impl Stand {
    pub(crate) async fn new() -> Self {
        let database = steelyard_testkit::postgres().await;
        let s3 = steelyard_testkit::s3(&["documents", "inbox"]).await;
        let pool = pool(&database.url);
        migrate(&pool, "documents", &db::migrations())
            .await
            .unwrap();
        let config = s3_config(&s3, s3.url());
        Self {
            documents: Bucket::connect(config.clone(), "documents").await,
            inbox: Bucket::connect(config, "inbox").await,
            database,
            s3,
            pool,
        }
    }

    pub(crate) async fn put(&self, key: &str, body: impl Into<Bytes>) {
        let kept = Kept::new("application/octet-stream");
        self.inbox.put(key, body.into(), &kept).await.unwrap();
    }

    pub(crate) fn source(&self) -> Source {
        Source::prefix(self.inbox.clone(), "2026-10/")
    }

    pub(crate) fn importer(&self) -> Importer {
        self.importer_of(self.source())
    }

    pub(crate) fn importer_of(&self, source: Source) -> Importer {
        Importer::new(self.pool.clone(), source, self.documents.clone(), options())
    }

    pub(crate) async fn import(&self, manifest: &str) -> Report {
        run(&self.importer(), manifest, false).await.unwrap()
    }

    /// Line, code and detail of all faults.
    pub(crate) async fn faults(&self, import: &Import) -> Vec<(i64, String, String)> {
        let faults = steelyard_documents::import::faults(&self.pool, import.id, 0, 1_000);
        faults.await.unwrap()
    }

    /// The command that imports by `m.csv` of a folder.
    pub(crate) fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_documents"));
        command
            .arg("import")
            .arg(folder.join("m.csv"))
            .env_clear()
            .env("DATABASE_URL", &self.database.url)
            .env("DOCUMENTS_BUCKET", "documents")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ENDPOINT_URL", self.s3.url())
            .env("AWS_ACCESS_KEY_ID", self.s3.access_key())
            .env("AWS_SECRET_ACCESS_KEY", self.s3.secret_key())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Every document's number, and the bytes under its key: those of its row, by hash and size.
    pub(crate) async fn stored(&self) -> Vec<(String, Vec<u8>)> {
        let rows: Vec<(String, String, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT number, object_key, sha256, size_bytes FROM documents ORDER BY number",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let (mut stored, http) = (Vec::new(), kept::http());
        for (number, key, sha256, size) in rows {
            let body = kept::file_of(&http, &self.documents, &key).await;
            assert_eq!(Sha256::digest(&body).to_vec(), sha256, "{number}");
            assert_eq!(i64::try_from(body.len()).unwrap(), size, "{number}");
            stored.push((number, body.to_vec()));
        }
        stored
    }

    pub(crate) async fn objects(&self) -> Vec<String> {
        let listed = self.documents.list("", None).await.unwrap();
        listed.into_iter().map(|object| object.key).collect()
    }
}

/// Patient with a machine that builds beside the tests, and with small sets, so that there are many.
pub(crate) fn options() -> Options {
    Options {
        set_rows_max: 16,
        outage_max: SOON,
        ..Options::default()
    }
}

pub(crate) async fn run(importer: &Importer, manifest: &str, again: bool) -> Result<Report, Error> {
    let stop = CancellationToken::new();
    importer
        .run(manifest, again, &watch::channel(None).0, &stop)
        .await
}

/// A PDF as far as anybody looks who does not print it.
pub(crate) fn pdf(what: &str) -> Vec<u8> {
    format!("%PDF-1.7\n% {what}\nstartxref\n0\n%%EOF\n").into_bytes()
}

pub(crate) fn sha(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A row of a CSV manifest for an invoice.
pub(crate) fn row(number: &str, key: &str, content: &[u8]) -> String {
    format!("17850,invoice,{number},2026-10-05,{key},{}\n", sha(content))
}

pub(crate) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let deflated =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(*name, deflated).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

//! Postgres, an S3 server, and documents as if they had been issued.

use std::io::{Cursor, Read as _};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use steelyard_documents::archive::{Archive, Options, Retention, Ticked};
use steelyard_documents::db::{self, months};
use steelyard_objects::{Bucket, Class, Kept, S3Config, S3Credentials};
use steelyard_store::{PoolOptions, connect, migrate};
use steelyard_testkit::{TestDatabase, TestS3};
use time::macros::{datetime, format_description};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// Long enough for a machine that builds beside the tests.
pub(crate) const SOON: Duration = Duration::from_secs(90);
/// Two months after what the tests call old.
pub(crate) const NOW: OffsetDateTime = datetime!(2026-04-15 03:00 UTC);

pub(crate) struct Stand {
    _database: TestDatabase,
    pub(crate) pool: PgPool,
    pub(crate) bucket: Bucket,
}

/// A document that a test knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: Uuid,
    pub(crate) key: String,
    pub(crate) content: Vec<u8>,
}

/// What is told of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) kind: &'a str,
    pub(crate) customer: &'a str,
    pub(crate) country: Option<&'a str>,
    pub(crate) issued_on: Date,
}

pub(crate) const OLD: Told<'_> = Told {
    kind: "invoice",
    customer: "17850",
    country: None,
    issued_on: time::macros::date!(2026 - 01 - 20),
};

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

/// Packs of a few documents, so that there are several.
pub(crate) fn options(class: Class) -> Options {
    Options {
        class,
        pack_bytes: 20_000,
        pack_bytes_min: 1,
        ..Options::default()
    }
}

pub(crate) fn retention() -> Retention {
    Retention::parse(
        "home = \"DE\"\n[default]\ninvoice = 8\ncredit_note = 8\ndelivery_note = 2\n[FR]\ninvoice = 10\n",
    )
    .unwrap()
}

pub(crate) async fn local() -> (TestS3, Stand) {
    let s3 = steelyard_testkit::s3(&["documents"]).await;
    let config = config(s3.url(), s3.access_key(), s3.secret_key());
    let bucket = Bucket::connect(config, "documents").await;
    let stand = Stand::new(bucket).await;
    (s3, stand)
}

impl Stand {
    pub(crate) async fn new(bucket: Bucket) -> Self {
        let database = steelyard_testkit::postgres().await;
        let pool = connect(&database.url, &PoolOptions::new("documents")).unwrap();
        migrate(&pool, "documents", &db::migrations())
            .await
            .unwrap();
        Self {
            _database: database,
            pool,
            bucket,
        }
    }

    pub(crate) fn archive(&self, options: Options) -> Archive {
        Archive::new(self.pool.clone(), self.bucket.clone(), options)
    }

    /// Files a document, and puts its content unless there is none.
    pub(crate) async fn file(&self, told: Told<'_>, number: usize, content: Vec<u8>) -> Known {
        let day =
            u64::try_from(told.issued_on.midnight().assume_utc().unix_timestamp()).unwrap() * 1_000;
        let chance: [u8; 16] = Uuid::new_v4().into_bytes();
        let chance: [u8; 10] = chance[..10].try_into().unwrap();
        let id = uuid::Builder::from_unix_timestamp_millis(day, &chance).into_uuid();
        let month = format_description!("[year]/[month]");
        let month = told.issued_on.format(&month).unwrap();
        let key = format!("{}/{month}/{}/{id}.pdf", told.kind, told.customer);
        months::make(&self.pool, told.issued_on.replace_day(1).unwrap())
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO documents (id, issued_on, kind, number, customer_id, country, stored_at, object_key, sha256, size_bytes)
             VALUES ($1, $2, $3, $4, $5, $6, now(), $7, $8, $9)",
        )
        .bind(id)
        .bind(told.issued_on)
        .bind(told.kind)
        .bind(format!("N-{number:05}"))
        .bind(told.customer)
        .bind(told.country)
        .bind(&key)
        .bind(Sha256::digest(&content).as_slice())
        .bind(i64::try_from(content.len()).unwrap())
        .execute(&self.pool)
        .await
        .unwrap();
        let kept = Kept::new("application/pdf");
        self.bucket
            .put(&key, Bytes::from(content.clone()), &kept)
            .await
            .unwrap();
        Known { id, key, content }
    }

    /// Some old documents, of 1 to 3 KB.
    pub(crate) async fn some(&self, told: Told<'_>, count: usize) -> Vec<Known> {
        let mut known = Vec::new();
        for i in 0..count {
            let seed = u32::try_from(i).unwrap();
            let noise =
                (0..250 + seed * 7).map(|at| at.wrapping_mul(2_654_435_761).wrapping_add(seed));
            known.push(
                self.file(told, i, noise.flat_map(u32::to_le_bytes).collect())
                    .await,
            );
        }
        known
    }

    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let listed = self.bucket.list(prefix, None).await.unwrap();
        listed.into_iter().map(|object| object.key).collect()
    }

    /// Packs with their keys, the oldest first.
    pub(crate) async fn packs(&self) -> Vec<(Uuid, String, String)> {
        sqlx::query_as("SELECT id, object_key, state FROM packs ORDER BY sealed_as")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn read(&self, known: &Known) -> Option<Vec<u8>> {
        match self.bucket.get(&known.key, 1 << 20).await {
            Ok(object) => Some(object.body.to_vec()),
            Err(steelyard_objects::Error::NotFound(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Names and contents of what a zip reader finds in all packs.
    pub(crate) async fn unzipped(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        for key in self.keys("packs/").await {
            let pack = self.bucket.get(&key, 1 << 24).await.unwrap().body;
            let mut zip = zip::ZipArchive::new(Cursor::new(pack)).unwrap();
            for i in 0..zip.len() {
                let mut entry = zip.by_index(i).unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                found.push((entry.name().unwrap().into_owned(), content));
            }
        }
        found.retain(|(name, _)| name != "index.ndjson");
        found.sort();
        found
    }
}

pub(crate) async fn tick(archive: &Archive, now: OffsetDateTime) -> Ticked {
    archive.tick(now, || true).await.unwrap()
}

pub(crate) fn names(known: &[Known]) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<_> = known
        .iter()
        .map(|known| (known.key.clone(), known.content.clone()))
        .collect();
    names.sort();
    names
}

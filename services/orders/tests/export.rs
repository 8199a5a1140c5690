//! Exports, into a real S3 server, read back.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod stand;

use std::collections::BTreeMap;
use std::io::Read as _;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, RowAccessor as _};
use rust_decimal::Decimal;
use serde_json::Value;
use steelyard_objects::{Bucket, S3Config, S3Credentials};
use steelyard_orders::export::{ExportConfig, Manifest, Period, export};
use steelyard_runtime::config::Env;
use steelyard_testkit::{TestS3, s3};
use time::OffsetDateTime;

use stand::commands::{cancel, order_id, pay, place};
use stand::{Stand, started};

const BUCKET: &str = "exports";
const FILE_BYTES_MAX: usize = 1 << 20;

/// Seven orders of three customers: one is paid, one cancelled.
async fn seven_orders() -> Stand {
    let stand = started().await;
    let mut commands = Vec::new();
    for (customer, keys) in [("a", 1..=3), ("b", 1..=3), ("c", 1..=1)] {
        commands.extend(keys.map(|key: u8| place(customer, &key.to_string())));
    }
    commands.push(pay("a", order_id("a", "1"), "p"));
    commands.push(cancel("b", order_id("b", "1"), "c"));
    stand.send(&commands).await;
    stand.drained().await;
    stand
}

struct Exported {
    manifest: Manifest,
    bucket: Bucket,
}

/// What a reader that may only read is exported as, with files of a few rows.
async fn exported(stand: &Stand, s3: &TestS3, file_rows_max: usize) -> Exported {
    let url = &stand.database.url;
    let separator = if url.contains('?') { '&' } else { '?' };
    let reader = format!("{url}{separator}options=-cdefault_transaction_read_only%3Don");
    let env = Env::of([
        ("DATABASE_READER_URL", reader),
        ("EXPORT_BUCKET", BUCKET.to_owned()),
        ("EXPORT_PREFIX", "/shop/".to_owned()),
        ("EXPORT_FILE_ROWS_MAX", file_rows_max.to_string()),
        ("AWS_ENDPOINT_URL_S3", s3.url()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]);
    let mut config = ExportConfig::from_env(&env).unwrap();
    config.s3.credentials = credentials(s3);
    let bucket = Bucket::connect(
        S3Config {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(s3.url()),
            credentials: credentials(s3),
        },
        BUCKET,
    )
    .await;
    let manifest = export(&config, today()).await.unwrap();
    Exported { manifest, bucket }
}

fn credentials(s3: &TestS3) -> S3Credentials {
    S3Credentials::Static {
        access_key_id: s3.access_key().to_owned(),
        secret_access_key: s3.secret_key().to_owned(),
    }
}

/// Yesterday, too: the test may run over midnight.
fn today() -> Period {
    let today = OffsetDateTime::now_utc().date();
    let (from, to) = (today.previous_day().unwrap(), today.next_day().unwrap());
    format!("{from}..{to}").parse().unwrap()
}

impl Exported {
    fn keys(&self, table: &str, extension: &str) -> Vec<String> {
        let files = self.manifest.files.iter();
        let fits = files.filter(|file| file.table == table && file.key.ends_with(extension));
        fits.map(|file| file.key.clone()).collect()
    }

    /// The rows of a table's CSV files, by column.
    async fn csv(&self, table: &str) -> Vec<BTreeMap<String, String>> {
        let mut rows = Vec::new();
        for key in self.keys(table, ".csv.gz") {
            let body = self.bucket.get(&key, FILE_BYTES_MAX).await.unwrap().body;
            let mut text = String::new();
            flate2::read::GzDecoder::new(&body[..])
                .read_to_string(&mut text)
                .unwrap();
            let mut csv = csv::Reader::from_reader(text.as_bytes());
            rows.extend(csv.deserialize().map(Result::unwrap));
        }
        rows
    }

    /// The rows of a table's Parquet files, by column, as text.
    async fn parquet(&self, table: &str) -> Vec<BTreeMap<String, String>> {
        let mut rows = Vec::new();
        for key in self.keys(table, ".parquet") {
            let body = self.bucket.get(&key, FILE_BYTES_MAX).await.unwrap().body;
            let file = SerializedFileReader::new(body).unwrap();
            for row in file.get_row_iter(None).unwrap() {
                let row = row.unwrap();
                let cells = row
                    .get_column_iter()
                    .enumerate()
                    .map(|(at, (name, field))| {
                        let text = match field {
                            Field::Null => String::new(),
                            Field::Str(text) => text.clone(),
                            Field::Long(number) => number.to_string(),
                            Field::Decimal(_) => {
                                let unscaled = row.get_decimal(at).unwrap().data().to_vec();
                                let mut bytes = [0; 8];
                                bytes[8 - unscaled.len()..].copy_from_slice(&unscaled);
                                Decimal::new(i64::from_be_bytes(bytes), 4)
                                    .normalize()
                                    .to_string()
                            }
                            Field::TimestampMicros(micros) => micros.to_string(),
                            Field::Date(days) => days.to_string(),
                            other => panic!("{other:?}"),
                        };
                        (name.clone(), text)
                    });
                rows.push(cells.collect());
            }
        }
        rows
    }
}

fn sum(rows: &[BTreeMap<String, String>], column: &str) -> Decimal {
    rows.iter()
        .map(|row| row[column].parse::<Decimal>().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_holds_every_order_line_and_payment_to_the_penny_in_both_formats() {
    let (stand, s3) = tokio::join!(seven_orders(), s3(&[BUCKET]));
    let whole = exported(&stand, &s3, 1_000).await;
    assert_eq!(whole.manifest.orders, 7);

    let orders = whole.csv("orders").await;
    assert_eq!(orders.len(), 7);
    let in_database = stand
        .number("SELECT sum(total * 100)::bigint FROM orders")
        .await;
    assert_eq!(sum(&orders, "total"), Decimal::new(in_database, 2));
    let lines = whole.csv("lines").await;
    assert_eq!(lines.len(), 14);
    assert_eq!(sum(&lines, "line_total"), sum(&orders, "subtotal"));
    assert_eq!(sum(&lines, "tax"), sum(&orders, "tax_total"));
    let payments = whole.csv("payments").await;
    assert_eq!(payments.len(), 1);
    assert_eq!(payments[0]["payment_reference"], "pi_1");
    assert_eq!(payments[0]["order_id"], order_id("a", "1").to_string());

    for table in ["orders", "lines", "payments", "daily_sales"] {
        let (csv, parquet) = (whole.csv(table).await, whole.parquet(table).await);
        assert_eq!(csv.len(), parquet.len(), "{table}");
        for (csv, parquet) in csv.iter().zip(&parquet) {
            for (column, text) in csv {
                match (text.parse::<Decimal>(), parquet[column].parse::<Decimal>()) {
                    (Ok(csv), Ok(parquet)) => assert_eq!(csv, parquet, "{table}.{column}"),
                    // Times and days are numbers in Parquet.
                    (Err(_), Ok(_)) => {}
                    _ => assert_eq!(text, &parquet[column], "{table}.{column}"),
                }
            }
        }
    }

    let sales = whole.csv("daily_sales").await;
    let standing: Vec<_> = orders
        .iter()
        .filter(|order| order["status"] == "confirmed")
        .cloned()
        .collect();
    assert_eq!(sum(&sales, "total"), sum(&standing, "total"));
    assert_eq!(sum(&sales, "orders"), Decimal::from(6));
    assert_eq!(sum(&sales, "cancelled"), Decimal::ONE);
    for text in ["A. Buyer", "1 High Street"] {
        assert!(
            !format!("{orders:?}{lines:?}{payments:?}").contains(text),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_end_after_some_rows_and_the_manifest_names_them_all_with_what_is_in_them() {
    let (stand, s3) = tokio::join!(seven_orders(), s3(&[BUCKET]));
    let whole = exported(&stand, &s3, 1_000).await;
    let lines = whole.csv("lines").await;
    let before = OffsetDateTime::now_utc();
    let parts = exported(&stand, &s3, 4).await;
    assert_eq!(
        parts.csv("lines").await,
        lines,
        "the same rows in the same order"
    );
    assert_eq!(parts.keys("lines", ".csv.gz").len(), 4, "14 rows");
    assert_eq!(parts.keys("orders", ".parquet").len(), 2, "7 rows");

    let period = today();
    let key = format!(
        "shop/manifest/from={}/to={}.json",
        period.from(),
        period.to()
    );
    let written = parts.bucket.get(&key, FILE_BYTES_MAX).await.unwrap().body;
    let written: Value = serde_json::from_slice(&written).unwrap();
    let files = written["files"].as_array().unwrap();
    assert_eq!(files.len(), parts.manifest.files.len());
    for file in files {
        let key = file["key"].as_str().unwrap();
        let head = parts.bucket.head(key).await.unwrap().unwrap();
        assert_eq!(file["bytes"], head.bytes, "{key}");
        assert!(file["rows"].as_u64().unwrap() <= 4, "{key}");
    }
    assert!(parts.manifest.as_of >= before - time::Duration::minutes(5));

    // A second run of the same period replaces the first: it has the same keys.
    let again = exported(&stand, &s3, 4).await;
    assert_eq!(again.keys("lines", ""), parts.keys("lines", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daily_sales_say_until_when_they_count() {
    let stand = seven_orders().await;
    let (status, body) = stand
        .get(&format!("/internal/reports/daily-sales?period={}", today()))
        .await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let orders: i64 = body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day["orders"].as_i64().unwrap())
        .sum();
    assert_eq!(orders, 6);
    let as_of = body["as_of"].as_str().unwrap();
    let as_of = OffsetDateTime::parse(as_of, &time::format_description::well_known::Rfc3339);
    let latest = stand
        .number("SELECT floor(extract(epoch FROM max(updated_at)))::bigint FROM orders")
        .await;
    assert!(as_of.unwrap().unix_timestamp() >= latest);
    let (status, body) = stand.get("/internal/reports/daily-sales?period=soon").await;
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("query/period"), "{body}");
}

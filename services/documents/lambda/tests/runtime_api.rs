//! The real binary before a small stand-in for Lambda's runtime API (AWS Lambda developer guide, "Runtime API").
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod gate;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use gate::Gate;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use steelyard_documents::IMPORT_SET_MAX;
use steelyard_documents::import::Options;
use steelyard_objects::{Bucket, Kept, S3Config, S3Credentials};
use steelyard_testkit::TestS3;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};

const SOON: Duration = Duration::from_secs(90);

/// What the function is given next, and what it answered.
struct Api {
    events: Mutex<mpsc::Receiver<(Value, Duration)>>,
    answers: mpsc::Sender<(String, Value)>,
}

async fn next(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let event = api.events.lock().await.recv().await;
    let Some((event, left)) = event else {
        return std::future::pending().await;
    };
    let now = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    let deadline = now + i128::try_from(left.as_millis()).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (
            "lambda-runtime-aws-request-id",
            uuid::Uuid::new_v4().to_string(),
        ),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-central-1:1:function:import".to_owned(),
        ),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    (headers, Json(event))
}

async fn answered(
    State(api): State<Arc<Api>>,
    Path((_, how)): Path<(String, String)>,
    // Errors come as a media type of Lambda's own.
    body: Bytes,
) -> StatusCode {
    let answer = serde_json::from_slice(&body).unwrap();
    api.answers.send((how, answer)).await.unwrap();
    StatusCode::ACCEPTED
}

/// As much of Secrets Manager as is needed: one secret (API reference, "GetSecretValue").
async fn secrets_manager(arn: &'static str, value: String) -> String {
    // The body's type is Amazon's own, so it is read as bytes.
    let answer = async move |headers: HeaderMap, body: Bytes| {
        let asked: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(headers["x-amz-target"], "secretsmanager.GetSecretValue");
        assert!(headers.contains_key("authorization"));
        if asked["SecretId"] == arn {
            let found = json!({ "ARN": arn, "Name": "url", "SecretString": value });
            return (StatusCode::OK, Json(found));
        }
        let refused = json!({ "__type": "ResourceNotFoundException", "Message": "no such secret" });
        (StatusCode::BAD_REQUEST, Json(refused))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/", post(answer));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:1:secret:documents-url-a1b2c3";

/// The function as a process, told of one manifest as often as a test likes.
struct Function {
    events: mpsc::Sender<(Value, Duration)>,
    answers: mpsc::Receiver<(String, Value)>,
    _process: Child,
}

impl Function {
    /// Starts it; it reaches S3 at `s3_url`.
    async fn start(database_url: &str, s3: &TestS3, s3_url: &str) -> Self {
        let (events, waiting) = mpsc::channel(1);
        let (answers, answered_with) = mpsc::channel(1);
        let api = Arc::new(Api {
            events: Mutex::new(waiting),
            answers,
        });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{how}", post(answered))
            .with_state(api);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let manager = secrets_manager(SECRET, database_url.to_owned()).await;
        let process = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "import")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("DATABASE_URL_SECRET", SECRET)
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", manager)
            .env("DOCUMENTS_BUCKET", "documents")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ENDPOINT_URL", s3_url)
            .env("AWS_ACCESS_KEY_ID", s3.access_key())
            .env("AWS_SECRET_ACCESS_KEY", s3.secret_key())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            events,
            answers: answered_with,
            _process: process,
        }
    }

    /// Tells it of the manifest with so much time until its deadline: whether it answers or fails, and what it says.
    async fn invoke(&mut self, left: Duration) -> (String, Value) {
        let event = json!({ "Records": [{ "eventName": "ObjectCreated:Put", "s3": {
            "bucket": { "name": "inbox" }, "object": { "key": "a+b/manifest.csv" } } }] });
        self.events.send((event, left)).await.unwrap();
        let answer = tokio::time::timeout(SOON + left, self.answers.recv()).await;
        answer.unwrap().unwrap()
    }
}

/// S3 with a manifest of so many files, and these beside it.
async fn s3_with(files: usize) -> TestS3 {
    let s3 = steelyard_testkit::s3(&["documents", "inbox"]).await;
    let inbox = bucket(&s3, "inbox").await;
    let mut manifest = "customer,kind,number,date,key,sha256\n".to_owned();
    for i in 0..files {
        let content = format!("%PDF-1.7\n% {i}\nstartxref\n0\n%%EOF\n");
        let sha256 = hex::encode(Sha256::digest(&content));
        manifest += &format!("17850,invoice,L-{i},2026-10-05,{i}.pdf,{sha256}\n");
        put(&inbox, &format!("a b/{i}.pdf"), content).await;
    }
    put(&inbox, "a b/manifest.csv", manifest).await;
    s3
}

async fn bucket(s3: &TestS3, name: &str) -> Bucket {
    let config = S3Config {
        region: Some("eu-central-1".to_owned()),
        endpoint_url: Some(s3.url()),
        credentials: S3Credentials::Static {
            access_key_id: s3.access_key().to_owned(),
            secret_access_key: s3.secret_key().to_owned(),
        },
    };
    Bucket::connect(config, name).await
}

async fn put(bucket: &Bucket, key: &str, content: String) {
    let kept = Kept::new("application/octet-stream");
    let put = bucket.put(key, Bytes::from(content), &kept);
    put.await.unwrap();
}

/// Documents, and their different numbers.
async fn documents(pool: &PgPool) -> (usize, usize) {
    let count = "SELECT count(*), count(DISTINCT number) FROM documents.documents";
    let counted: (i64, i64) = sqlx::query_as(count).fetch_one(pool).await.unwrap();
    let whole = |count: i64| usize::try_from(count).unwrap();
    (whole(counted.0), whole(counted.1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_to_be_had_ends_the_function_at_its_start_by_its_name() {
    let manager = secrets_manager(SECRET, "postgres://nobody:hush@nowhere/x".to_owned()).await;
    let started = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
        .env("DATABASE_URL_SECRET", "another")
        .env("DOCUMENTS_BUCKET", "documents")
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", manager)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(SOON, started).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{said}");
    assert!(said.contains("DATABASE_URL_SECRET"), "{said}");
    assert!(said.contains("no such secret"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_s3_tells_of_is_imported_once_however_often_it_is_told_of() {
    let database = steelyard_testkit::postgres().await;
    let s3 = s3_with(40).await;
    let mut function = Function::start(&database.url, &s3, &s3.url()).await;
    let (how, answer) = function.invoke(SOON * 2).await;
    assert_eq!(how, "response", "{answer}");
    let expected = json!({ "rows": 40, "imported": 40, "known": 0, "refused": 0 });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&answer[0][name], value, "{answer}");
    }
    assert_eq!(answer[0]["source"], "s3://inbox/a b/manifest.csv");
    let (_, again) = function.invoke(SOON * 2).await;
    assert_eq!(again, answer);
    let pool = PgPool::connect(&database.url).await.unwrap();
    assert_eq!(documents(&pool).await, (40, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_before_the_deadline_is_settled_and_later_calls_do_the_rest_and_nothing_twice() {
    let set = Options::default().set_rows_max;
    let files = set + 72;
    let database = steelyard_testkit::postgres().await;
    let s3 = s3_with(files).await;
    // Whatever the machine: no call can get beyond the first set.
    let gate = Gate::before(s3.address(), set).await;
    let mut function = Function::start(&database.url, &s3, &gate.url()).await;

    // The first call has no time but for ending; then each has more, until one has enough for the first set.
    let mut left = Duration::ZERO;
    loop {
        let (how, answer) = function.invoke(IMPORT_SET_MAX + left).await;
        assert_eq!(how, "error", "{answer}");
        assert_eq!(answer["errorType"], "Unfinished", "{answer}");
        let says = |settled: usize| {
            format!("{settled} of {files} rows are settled; the next invocation goes on")
        };
        if answer["errorMessage"] == says(set) {
            break;
        }
        assert_eq!(answer["errorMessage"], says(0));
        left = (left * 2).max(Duration::from_secs(2));
        assert!(left < SOON, "no call settled a set");
    }
    assert!(left > Duration::ZERO, "a call without time settled a set");
    let pool = PgPool::connect(&database.url).await.unwrap();
    assert_eq!(documents(&pool).await, (set, set));

    gate.open().await;
    let (how, answer) = function.invoke(SOON * 2).await;
    assert_eq!(how, "response", "{answer}");
    let expected = json!({ "rows": files, "imported": files, "known": 0, "refused": 0 });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&answer[0][name], value, "{answer}");
    }
    // What was settled is not looked at again.
    assert_eq!(gate.read().await, (set..files).collect());
    assert_eq!(documents(&pool).await, (files, files));
    let stored = bucket(&s3, "documents").await.list("", None).await;
    assert_eq!(stored.unwrap().len(), files);
}

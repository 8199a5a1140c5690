//! Archived documents, as the gateway asks for them.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "archive/ministack.rs"]
mod ministack;
mod stand;

use ministack::Ministack;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use stand::{SOON, Stand, event, order};
use steelyard_documents::archive::{Archive, Options};
use steelyard_domain::event::OrderEventKind::Confirmed;
use steelyard_domain::internal::ON_BEHALF_OF;
use steelyard_objects::Class;
use steelyard_testkit::wait_for;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

const FILE_BYTES_MAX: usize = 1 << 20;

/// A service with one invoice of past months that was packed, and is no longer under its own key.
async fn packed() -> (Stand, Uuid, Vec<u8>) {
    let stand = Stand::started().await;
    let (archive, id, content) = packed_into(&stand, Options::default().class).await;
    drop(archive);
    (stand, id, content)
}

async fn packed_into(stand: &Stand, class: Class) -> (Archive, Uuid, Vec<u8>) {
    let now = OffsetDateTime::now_utc();
    let mut confirmed = event(&order("17850", "1"), Confirmed);
    confirmed.at = now - Duration::days(150);
    stand.send(&[confirmed]).await;
    let row = stand.settled(1).await.remove(0);
    let key = row.object_key.unwrap();
    let file = stand.bucket.get(&key, FILE_BYTES_MAX).await.unwrap();
    let options = Options {
        pack_bytes_min: 1,
        class,
        ..Options::default()
    };
    let archive = Archive::new(stand.pool.clone(), stand.bucket.clone(), options);
    // A day ago, so that the minutes for which a packed document stays under its own key are over.
    let then = now - Duration::days(1);
    let done = archive.tick(then, || true).await.unwrap();
    assert_eq!((done.packed, done.faults), (1, 0), "{done:?}");
    let later = archive.tick(then + Duration::hours(1), || true).await;
    assert_eq!(later.unwrap().shed, 1);
    assert!(stand.bucket.head(&key).await.unwrap().is_none());
    (archive, row.id, file.body.to_vec())
}

async fn call(stand: &Stand, method: Method, path: &str) -> reqwest::Response {
    let client = stand.client();
    let request = client.request(method, &format!("/internal/documents/{path}"));
    request.header(ON_BEHALF_OF, "17850").send().await.unwrap()
}

async fn read(stand: &Stand, path: &str) -> (StatusCode, Value) {
    let answer = call(stand, Method::GET, path).await;
    let status = answer.status();
    (status, answer.json().await.unwrap())
}

async fn restored(stand: &Stand, path: &str) -> (StatusCode, Value) {
    let answer = call(stand, Method::POST, path).await;
    let status = answer.status();
    (status, answer.json().await.unwrap())
}

/// What the URL leads to that is given for a file.
async fn fetched(stand: &Stand, path: &str) -> Vec<u8> {
    let answer = call(stand, Method::GET, path).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    let url = answer.headers()[header::LOCATION].to_str().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let file = http.get(url).send().await.unwrap();
    file.bytes().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_a_class_that_is_read_at_once_is_fetched_like_any_other() {
    let (mut stand, id, content) = packed().await;
    let (status, shown) = read(&stand, &id.to_string()).await;
    assert_eq!(
        (status, &shown["state"]),
        (StatusCode::OK, &json!("archived"))
    );
    let answer = call(&stand, Method::GET, &format!("{id}/content")).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    let url = answer.headers()[header::LOCATION].to_str().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let file = http.get(url).send().await.unwrap();
    assert_eq!(file.status(), StatusCode::OK);
    assert_eq!(file.bytes().await.unwrap(), content);
    let (status, answer) = restored(&stand, &format!("{id}/restore")).await;
    assert_eq!(
        (status, &answer["state"]),
        (StatusCode::OK, &json!("ready"))
    );
    assert!(answer["readable_until"].is_string(), "{answer}");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_cold_is_refused_until_it_was_asked_for() {
    let (mut stand, id, content) = packed().await;
    // For the service it is in a class that takes hours; S3 itself has it at hand, as after a restore.
    sqlx::query("UPDATE packs SET storage_class = 'GLACIER'")
        .execute(&stand.pool)
        .await
        .unwrap();
    let file = format!("{id}/content");
    let (status, problem) = read(&stand, &file).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["code"], "document_archived");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("restore"), "{detail}");

    for statement in [
        "UPDATE packs SET restore_expected_at = '2031-02-03T04:05:06Z'",
        "INSERT INTO restores (document_id, pack_id) SELECT id, pack_id FROM documents",
    ] {
        sqlx::query(statement).execute(&stand.pool).await.unwrap();
    }
    let (status, problem) = read(&stand, &file).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["code"], "document_archived");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("2031-02-03T04:05:06Z"), "{detail}");

    // Another customer's is not restored, and not known.
    let other = format!("{id}/restore?customer_id=12345");
    assert_eq!(restored(&stand, &other).await.0, StatusCode::NOT_FOUND);
    let own = format!("{id}/restore?customer_id=17850");
    let (status, answer) = restored(&stand, &own).await;
    assert_eq!(
        (status, &answer["state"]),
        (StatusCode::OK, &json!("ready"))
    );
    assert_eq!(fetched(&stand, &file).await, content);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_the_cold_it_comes_in_hours_says_so_and_then_can_be_fetched() {
    let ministack = match Ministack::start().await {
        Ok(ministack) => ministack,
        Err(why) => return eprintln!("not run: {why}"),
    };
    ministack.bucket().await;
    let mut stand = Stand::new().await;
    stand.keeps_in(ministack.config()).await;
    stand.start().await;
    let (archive, id, content) = packed_into(&stand, Class::Glacier).await;
    let file = format!("{id}/content");
    assert_eq!(read(&stand, &file).await.0, StatusCode::CONFLICT);

    let asked_at = OffsetDateTime::now_utc();
    let (status, answer) = restored(&stand, &format!("{id}/restore")).await;
    assert_eq!(
        (status, &answer["state"]),
        (StatusCode::ACCEPTED, &json!("restoring"))
    );
    let expected = answer["expected_at"].as_str().unwrap();
    let by = OffsetDateTime::parse(expected, &Rfc3339).unwrap() - asked_at;
    assert!((5 * 60..6 * 60).contains(&by.whole_minutes()), "{by}");
    let (status, problem) = read(&stand, &file).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&expected[..16]), "{detail}");

    wait_for("it was brought back", SOON, async || {
        let done = archive.tick(OffsetDateTime::now_utc(), || true).await;
        done.unwrap().restored == 1
    })
    .await;
    assert_eq!(fetched(&stand, &file).await, content);
    let key: String = sqlx::query_scalar("SELECT object_key FROM documents")
        .fetch_one(&stand.pool)
        .await
        .unwrap();
    let tags = ministack.tags(&key).await;
    let expected = [("country", "DE"), ("kind", "invoice")];
    assert_eq!(
        tags,
        expected.map(|(name, is)| (name.to_owned(), is.to_owned()))
    );
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_is_gone_and_still_listed() {
    let (mut stand, id, _) = packed().await;
    sqlx::query("UPDATE documents SET removed_at = now()")
        .execute(&stand.pool)
        .await
        .unwrap();
    let (_, shown) = read(&stand, &id.to_string()).await;
    assert_eq!(shown["state"], "removed");
    let (status, problem) = read(&stand, &format!("{id}/content")).await;
    assert_eq!(status, StatusCode::GONE);
    assert_eq!(problem["code"], "document_removed");
    let (status, problem) = restored(&stand, &format!("{id}/restore")).await;
    assert_eq!(status, StatusCode::GONE);
    assert_eq!(problem["code"], "document_removed");
    stand.stop().await;
}

//! A period's documents in one zip, asked for and made later.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod stand;

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stand::{SOON, Stand, event, order};
use steelyard_documents::archive::{Archive, Options};
use steelyard_domain::event::OrderEventKind::{Confirmed, Shipped};
use steelyard_domain::internal::ON_BEHALF_OF;
use steelyard_testkit::wait_for;
use time::{Duration, OffsetDateTime};

const BUNDLES: &str = "/internal/documents/bundles";
const FILE_BYTES_MAX: usize = 1 << 20;

async fn ask(stand: &Stand, body: &Value) -> (StatusCode, Value) {
    let client = stand.client();
    let request = client.request(Method::POST, BUNDLES).json(body);
    let answer = request.header(ON_BEHALF_OF, "office").send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap())
}

async fn call(stand: &Stand, path: &str) -> reqwest::Response {
    let client = stand.client();
    let request = client.request(Method::GET, &format!("{BUNDLES}/{path}"));
    request.header(ON_BEHALF_OF, "office").send().await.unwrap()
}

async fn read(stand: &Stand, path: &str) -> (StatusCode, Value) {
    let answer = call(stand, path).await;
    let status = answer.status();
    (status, answer.json().await.unwrap())
}

/// A service whose schema is there.
async fn started() -> Stand {
    let stand = Stand::started().await;
    let nobody = uuid::Uuid::nil().to_string();
    wait_for("the schema is there", SOON, async || {
        call(&stand, &nobody).await.status() == StatusCode::NOT_FOUND
    })
    .await;
    stand
}

/// Asks for a bundle and waits for its end.
async fn made(stand: &Stand, body: &Value) -> Value {
    let (status, asked) = ask(stand, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{asked}");
    ended(stand, asked["id"].as_str().unwrap()).await
}

async fn ended(stand: &Stand, id: &str) -> Value {
    let mut shown = Value::Null;
    wait_for("the bundle is made", SOON, async || {
        shown = read(stand, id).await.1;
        matches!(
            shown["state"].as_str(),
            Some("ready" | "failed" | "expired")
        )
    })
    .await;
    shown
}

/// Fetches a bundle as its caller would; names with contents, the index aside.
async fn fetched(stand: &Stand, bundle: &Value) -> Vec<(String, Vec<u8>)> {
    let id = bundle["id"].as_str().unwrap();
    let answer = call(stand, &format!("{id}/content")).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let url = answer.headers()[header::LOCATION].to_str().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let zip = http.get(url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(bundle["size_bytes"], zip.len());
    assert_eq!(bundle["sha256"], hex::encode(Sha256::digest(&zip)));
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut files = Vec::new();
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.push((entry.name().unwrap().into_owned(), content));
    }
    files.retain(|(name, _)| name != "index.ndjson");
    files
}

fn period(days: i64) -> (String, String) {
    let now = OffsetDateTime::now_utc();
    let from = (now - Duration::days(days)).date();
    (from.to_string(), now.date().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_holds_a_periods_documents_byte_by_byte_and_nobody_elses() {
    let mut stand = started().await;
    let now = OffsetDateTime::now_utc();
    let (mut events, others) = (Vec::new(), order("12345", "x"));
    for i in 0..12 {
        let ordered = order("17850", &format!("o{i}"));
        let mut confirmed = event(&ordered, Confirmed);
        confirmed.at = now - Duration::days(i);
        events.push(confirmed);
        if i < 3 {
            events.push(event(&ordered, Shipped));
        }
    }
    let mut other = event(&others, Confirmed);
    other.at = now;
    events.push(other);
    for event in &mut events {
        event.at = event.at.max(now - Duration::days(20));
    }
    stand.send(&events).await;
    let rows = stand.settled(16).await;
    let mut expected = Vec::new();
    for row in &rows {
        let key = row.object_key.as_ref().unwrap();
        let file = stand.bucket.get(key, FILE_BYTES_MAX).await.unwrap();
        let name = format!("{}/{}.pdf", row.kind, row.number);
        expected.push((key.contains("/17850/"), name, file.body.to_vec()));
    }
    expected.sort_unstable();
    let of = |own: bool, kind: &str| {
        let wanted = expected.iter();
        let wanted = wanted.filter(|(is_own, name, _)| (*is_own || !own) && name.starts_with(kind));
        let files = wanted.map(|(_, name, content)| (name.clone(), content.clone()));
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    };

    let (from, to) = period(20);
    let own = made(
        &stand,
        &json!({"from": from, "to": to, "customer_id": "17850"}),
    )
    .await;
    assert_eq!(
        (&own["state"], &own["documents"], &own["left_out"]),
        (&json!("ready"), &json!(15), &json!(0)),
        "{own}"
    );
    let mut files = fetched(&stand, &own).await;
    files.sort();
    assert!(files == of(true, ""), "other files than the documents'");
    let invoices = made(&stand, &json!({"from": from, "to": to, "kind": "invoice"})).await;
    let mut files = fetched(&stand, &invoices).await;
    files.sort();
    assert!(
        files == of(false, "invoice"),
        "other files than the invoices"
    );
    let (from, _) = period(4);
    let some = made(
        &stand,
        &json!({"from": from, "to": to, "customer_id": "17850", "kind": "invoice"}),
    )
    .await;
    assert_eq!(some["documents"], 5, "{some}");

    // For another customer there is no such bundle.
    let id = own["id"].as_str().unwrap();
    for path in ["", "/content"] {
        let (status, _) = read(&stand, &format!("{id}{path}?customer_id=12345")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    assert_eq!(
        read(&stand, &format!("{id}?customer_id=17850")).await.0,
        StatusCode::OK
    );
    // Everybody's is nobody's own.
    let id = invoices["id"].as_str().unwrap();
    let (status, _) = read(&stand, &format!("{id}?customer_id=17850")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let written: Vec<String> = sqlx::query_scalar("SELECT issued_to FROM content_audit")
        .fetch_all(&stand.pool)
        .await
        .unwrap();
    assert_eq!(written, ["office", "office"]);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_left_out_by_name_and_what_is_packed_is_read_from_its_pack() {
    let mut stand = started().await;
    let now = OffsetDateTime::now_utc();
    let events: Vec<_> = (0..5)
        .map(|i| {
            let mut confirmed = event(&order("17850", &format!("o{i}")), Confirmed);
            confirmed.at = now - Duration::days(if i < 3 { 150 } else { 1 });
            confirmed
        })
        .collect();
    stand.send(&events).await;
    stand.settled(5).await;
    let options = Options {
        pack_bytes_min: 1,
        ..Options::default()
    };
    let archive = Archive::new(stand.pool.clone(), stand.bucket.clone(), options);
    let then = now - Duration::days(1);
    let done = archive.tick(then, || true).await.unwrap();
    assert_eq!(done.packed, 3, "{done:?}");
    archive
        .tick(then + Duration::hours(1), || true)
        .await
        .unwrap();
    let (from, to) = period(200);
    let wanted = json!({"from": from, "to": to});
    let bundle = made(&stand, &wanted).await;
    assert_eq!(
        (&bundle["documents"], &bundle["left_out"]),
        (&json!(5), &json!(0))
    );
    assert_eq!(fetched(&stand, &bundle).await.len(), 5);

    // Cold, removed, and gone.
    let rows = stand.rows().await;
    let warm: Vec<_> = rows
        .iter()
        .filter(|row| {
            events[3..]
                .iter()
                .any(|event| event.order.id.0 == row.order_id)
        })
        .collect();
    sqlx::query("UPDATE packs SET storage_class = 'DEEP_ARCHIVE'")
        .execute(&stand.pool)
        .await
        .unwrap();
    sqlx::query("UPDATE documents SET removed_at = now() WHERE id = $1")
        .bind(warm[0].id)
        .execute(&stand.pool)
        .await
        .unwrap();
    let gone = warm[1].object_key.as_ref().unwrap();
    stand.bucket.delete(gone).await.unwrap();
    let bundle = made(&stand, &wanted).await;
    assert_eq!(
        (&bundle["documents"], &bundle["left_out"]),
        (&json!(0), &json!(5))
    );
    let named = bundle["left_out_of"].as_array().unwrap();
    let reasons: BTreeSet<_> = named
        .iter()
        .map(|left| left["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, BTreeSet::from(["archived", "damaged", "removed"]));
    assert_eq!(fetched(&stand, &bundle).await, []);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_outlives_the_instance_that_was_at_it_and_an_outage_of_s3() {
    let mut stand = started().await;
    let mut confirmed = event(&order("17850", "1"), Confirmed);
    confirmed.at = OffsetDateTime::now_utc();
    stand.send(&[confirmed]).await;
    stand.settled(1).await;
    let (from, to) = period(1);
    stand.way.refuse();
    let (_, asked) = ask(&stand, &json!({"from": from, "to": to})).await;
    let id = asked["id"].as_str().unwrap().to_owned();
    wait_for("it is begun", SOON, async || {
        read(&stand, &id).await.1["state"] == "running"
    })
    .await;
    stand.kill();
    stand.way.restore();
    // What a dead instance holds is taken when it has said nothing for long enough.
    sqlx::query("UPDATE bundles SET claimed_until = now() - interval '1 s'")
        .execute(&stand.pool)
        .await
        .unwrap();
    stand.start().await;
    let shown = ended(&stand, &id).await;
    assert_eq!(shown["state"], "ready", "{shown}");
    assert_eq!(fetched(&stand, &shown).await.len(), 1);

    // Its day is over.
    sqlx::query("UPDATE bundles SET expires_at = now()")
        .execute(&stand.pool)
        .await
        .unwrap();
    assert_eq!(read(&stand, &id).await.1["state"], "expired");
    let (status, gone) = read(&stand, &format!("{id}/content")).await;
    assert_eq!(
        (status, &gone["code"]),
        (StatusCode::GONE, &json!("bundle_gone"))
    );
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_refused_with_its_place_and_callers_wait_for_three() {
    let mut stand = started().await;
    let (status, refused) = ask(
        &stand,
        &json!({"from": "2026-02-30", "to": "x", "kind": "letter", "customer_id": " "}),
    )
    .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let places = refused["errors"].as_array().unwrap().iter();
    let places: Vec<_> = places
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(places, ["/from", "/to", "/customer_id", "/kind"]);
    let (status, refused) = ask(&stand, &json!({"from": "2026-02-02", "to": "2026-02-01"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused["errors"][0]["pointer"], "/to");

    let empty = json!({"from": "2020-01-01", "to": "2020-12-31"});
    let bundle = made(&stand, &empty).await;
    assert_eq!(
        (&bundle["state"], &bundle["documents"]),
        (&json!("ready"), &json!(0))
    );

    sqlx::query(
        "INSERT INTO bundles (id, requested_by, from_day, to_day, state, claim, claimed_until)
         SELECT gen_random_uuid(), 'office', '2020-01-01', '2020-01-02', 'running', gen_random_uuid(), now() + interval '1 h'
           FROM generate_series(1, 3)",
    )
    .execute(&stand.pool)
    .await
    .unwrap();
    let (status, refused) = ask(&stand, &empty).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::CONFLICT, &json!("too_many_bundles"))
    );

    sqlx::query("SELECT month_partition('2019-05-01')")
        .execute(&stand.pool)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO documents (id, issued_on, kind, number, customer_id, stored_at, object_key, sha256, size_bytes)
         SELECT first_id('2019-05-06'), '2019-05-06', 'invoice', '1', 'c', now(), 'k', sha256('x'), 2000000000",
    )
    .execute(&stand.pool)
    .await
    .unwrap();
    let (status, refused) = ask(&stand, &json!({"from": "2019-05-01", "to": "2019-05-31"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused["errors"][0]["code"], "bundle_too_large");
    stand.stop().await;
}

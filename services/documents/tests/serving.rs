//! Documents listed, searched and fetched, as the gateway asks for them.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod stand;

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use stand::{SOON, Stand, event, order};
use steelyard_domain::event::OrderEventKind::{Cancelled, Confirmed, Shipped};
use steelyard_domain::internal::ON_BEHALF_OF;
use steelyard_einvoice::model::Invoice;
use steelyard_testkit::wait_for;
use uuid::Uuid;

const FILE_BYTES_MAX: usize = 1 << 20;
const LIST: &str = "/internal/documents";

async fn call(stand: &Stand, path: &str) -> reqwest::Response {
    let client = stand.client();
    let request = client.request(Method::GET, path);
    let request = request.header(ON_BEHALF_OF, "J%C3%BCrgen");
    client.send(request).await.unwrap()
}

async fn read(stand: &Stand, path: &str) -> (StatusCode, Value) {
    let answer = call(stand, path).await;
    let status = answer.status();
    (status, answer.json().await.unwrap())
}

/// A service with its schema, and 3,000 documents of 30 months in it: one customer in forty, one kind in fifty, some words
/// that all have and one that five have.
async fn with_many() -> Stand {
    let stand = Stand::started().await;
    wait_for("the schema is there", SOON, async || {
        read(&stand, LIST).await.0 == StatusCode::OK
    })
    .await;
    for statement in [
        "SELECT month_partition(('2024-06-01'::date + make_interval(months => n))::date) FROM generate_series(0, 30) n",
        "INSERT INTO documents (id, issued_on, kind, number, customer_id, order_id, currency, total, words)
         SELECT (left(first_id(day)::text, 14) || '7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, day,
                CASE n % 50 WHEN 0 THEN 'credit_note' ELSE 'invoice' END, 'RE-2024-' || lpad(n::text, 6, '0'),
                'c' || n % 40, md5((n / 2)::text)::uuid, CASE n % 3 WHEN 0 THEN 'EUR' ELSE 'GBP' END,
                (n * 37 % 5000) / 100.0,
                to_tsvector('simple', 're 2024 ' || lpad(n::text, 6, '0') || CASE n % 700 WHEN 0 THEN ' zinnia' ELSE ' tea' END)
         FROM (SELECT n, '2024-06-01'::date + n % 900 AS day FROM generate_series(1, 3000) n) days",
    ] {
        sqlx::query(statement).execute(&stand.pool).await.unwrap();
    }
    stand
}

fn ids(page: &Value) -> Vec<Uuid> {
    let data = page["data"].as_array().unwrap();
    let id = |document: &Value| document["id"].as_str().unwrap().parse().unwrap();
    data.iter().map(id).collect()
}

/// All pages of a list.
async fn walk(stand: &Stand, query: &str, limit: usize) -> Vec<Uuid> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = read(stand, &format!("{LIST}?{query}&limit={limit}{cursor}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {page}");
        let found = ids(&page);
        assert!(found.len() <= limit);
        all.extend(found);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_finds_what_matches_in_order_over_all_pages_and_months() {
    let mut stand = with_many().await;
    let order = "a684ecee-e76f-c522-732b-8d895a27f4ba";
    sqlx::query("UPDATE documents SET order_id = $1::uuid WHERE number IN ('RE-2024-000017', 'RE-2024-002017')")
        .bind(order)
        .execute(&stand.pool)
        .await
        .unwrap();
    let of_order = format!("order_id = '{order}'");
    let by_order = format!("order_id={order}");
    for (query, condition, limit) in [
        ("", "true", 100),
        ("customer_id=c7", "customer_id = 'c7'", 7),
        ("customer_id=c7&q=tea", "customer_id = 'c7'", 100),
        (
            "customer_id=c0&kind=credit_note",
            "n_kind = 'credit_note' AND customer_id = 'c0'",
            4,
        ),
        ("kind=credit_note", "n_kind = 'credit_note'", 7),
        ("kind=delivery_note", "false", 7),
        ("number=RE-2024-000123", "number = 'RE-2024-000123'", 1),
        (&by_order, &of_order, 1),
        (
            "from=2025-01-15&to=2025-03-20",
            "issued_on BETWEEN '2025-01-15' AND '2025-03-20'",
            50,
        ),
        (
            "from=2025-03-20&to=2025-03-20",
            "issued_on = '2025-03-20'",
            2,
        ),
        ("from=2026-01-02&to=2026-01-01", "false", 7),
        // Every document but a few has it, and then: just a few.
        ("q=tea", "n % 700 <> 0", 100),
        ("q=zinnia", "n % 700 = 0", 1),
        ("q=2024+ZIN", "n % 700 = 0", 2),
        ("q=RE-2024-000123", "n = 123", 2),
        (
            "q=tea&to=2024-07-10",
            "n % 700 <> 0 AND issued_on <= '2024-07-10'",
            20,
        ),
        (
            "q=zinnia&from=2025-01-01&to=2026-06-30",
            "n % 700 = 0 AND issued_on BETWEEN '2025-01-01' AND '2026-06-30'",
            1,
        ),
        ("q=zinnia&kind=credit_note", "n % 700 = 0", 3),
        ("q=zinnia+tea", "false", 3),
        ("q=--", "false", 3),
        (
            "currency=EUR&total_min=10&total_max=10.50",
            "currency = 'EUR' AND total BETWEEN 10 AND 10.5",
            3,
        ),
        (
            "currency=GBP&total_min=49.9",
            "currency = 'GBP' AND total >= 49.9",
            2,
        ),
        (
            "currency=GBP&total_max=40",
            "currency = 'GBP' AND total <= 40",
            100,
        ),
        ("currency=CHF&total_min=0", "false", 3),
    ] {
        let condition = condition.replace("n_kind", "kind");
        let reference = format!(
            "SELECT id FROM (SELECT *, right(number, 6)::int AS n FROM documents) d WHERE {condition} ORDER BY id DESC"
        );
        let expected: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(reference))
            .fetch_all(&stand.pool)
            .await
            .unwrap();
        assert_eq!(expected.is_empty(), condition == "false", "{query}");
        assert_eq!(walk(&stand, query, limit).await, expected, "{query}");
    }
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_stay_as_they_are_while_documents_are_issued() {
    let mut stand = with_many().await;
    let events: Vec<_> = (0..5)
        .map(|i| event(&order("c7", &format!("o{i}")), Confirmed))
        .collect();
    let before = walk(&stand, "customer_id=c7", 100).await;
    let (_, first) = read(&stand, &format!("{LIST}?customer_id=c7&limit=10")).await;
    assert_eq!(ids(&first), before[..10]);
    stand.send(&events).await;
    wait_for("five are issued", SOON, async || {
        walk(&stand, "customer_id=c7", 100).await.len() == before.len() + 5
    })
    .await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = format!("{LIST}?customer_id=c7&limit=10&cursor={cursor}");
    let (_, second) = read(&stand, &next).await;
    assert_eq!(ids(&second), before[10..20]);
    // A cursor is of its list.
    let (status, refused) = read(&stand, &next.replace("c7", "c8")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(refused["errors"][0]["code"], "invalid_cursor");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_cannot_be_used_is_refused_with_its_place() {
    let mut stand = Stand::started().await;
    for (query, place, code) in [
        ("limit=0", "query/limit", "out_of_range"),
        ("limit=101", "query/limit", "out_of_range"),
        ("from=2026-02-30", "query/from", "invalid_value"),
        ("to=yesterday", "query/to", "invalid_value"),
        ("kind=letter", "query/kind", "invalid_value"),
        ("order_id=1", "query/order_id", "invalid_id"),
        ("total_min=1", "query/currency", "required"),
        ("currency=GBP", "query/currency", "not_allowed"),
        (
            "currency=GBP&total_max=1e3",
            "query/total_max",
            "invalid_value",
        ),
        ("number=a%00b", "query/number", "invalid_character"),
        ("cursor=abc", "query/cursor", "invalid_cursor"),
        ("colour=red", "query/colour", "unknown_field"),
    ] {
        let (status, refused) = read(&stand, &format!("{LIST}?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {refused}");
        let fault = &refused["errors"][0];
        assert_eq!(
            (&fault["pointer"], &fault["code"]),
            (&json!(place), &json!(code)),
            "{query}"
        );
    }
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_fetched_by_a_url_of_a_minute_that_was_written_down_first() {
    let mut stand = Stand::started().await;
    stand.send(&[event(&order("17850", "1"), Confirmed)]).await;
    let row = stand.settled(1).await.remove(0);
    let one = format!("{LIST}/{}", row.id);
    let (status, shown) = read(&stand, &format!("{one}?customer_id=17850")).await;
    assert_eq!(
        (status, &shown["state"]),
        (StatusCode::OK, &json!("stored"))
    );
    assert_eq!(shown["number"], "RE-2026-000001");

    let answer = call(&stand, &format!("{one}/content?customer_id=17850")).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let url = answer.headers()[header::LOCATION].to_str().unwrap();
    assert!(url.contains("X-Amz-Expires=60&"), "{url}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let file = http.get(url).send().await.unwrap();
    let named = "attachment; filename=\"RE-2026-000001.pdf\"; filename*=UTF-8''RE-2026-000001.pdf";
    assert_eq!(file.headers()[header::CONTENT_DISPOSITION], named);
    assert_eq!(file.headers()[header::CONTENT_TYPE], "application/pdf");
    let key = row.object_key.unwrap();
    let stored = stand.bucket.get(&key, FILE_BYTES_MAX).await.unwrap();
    assert_eq!(file.bytes().await.unwrap(), stored.body);

    // For another customer there is no such document, in the same words as for one that nobody has.
    let none = format!("{LIST}/{}", Uuid::nil());
    for path in ["", "/content"] {
        let (status, other) = read(&stand, &format!("{one}{path}?customer_id=12345")).await;
        let (_, missing) = read(&stand, &format!("{none}{path}?customer_id=12345")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(other["detail"], missing["detail"]);
    }
    assert_eq!(audit(&stand).await, [(row.id, "Jürgen".to_owned(), 60)]);

    // What cannot be written down is not given away.
    sqlx::query("ALTER TABLE content_audit ADD CHECK (false) NOT VALID")
        .execute(&stand.pool)
        .await
        .unwrap();
    let answer = call(&stand, &format!("{one}/content")).await;
    assert!(answer.status().is_server_error());
    assert!(!answer.headers().contains_key(header::LOCATION));
    stand.stop().await;
}

/// Document, who got the URL, and for how many seconds.
async fn audit(stand: &Stand) -> Vec<(Uuid, String, i32)> {
    sqlx::query_as(
        "SELECT document_id, issued_to, round(extract(epoch FROM expires_at - at))::int
         FROM content_audit ORDER BY id",
    )
    .fetch_all(&stand.pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_of_files_is_only_added_to() {
    let mut stand = Stand::started().await;
    stand.send(&[event(&order("17850", "1"), Confirmed)]).await;
    let row = stand.settled(1).await.remove(0);
    let answer = call(&stand, &format!("{LIST}/{}/content", row.id)).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    for change in [
        "UPDATE content_audit SET issued_to = 'nobody'",
        "DELETE FROM content_audit",
        "TRUNCATE content_audit",
    ] {
        let refused = sqlx::query(change).execute(&stand.pool).await.unwrap_err();
        let refused = refused.to_string();
        assert!(refused.contains("append-only"), "{change}: {refused}");
    }
    assert_eq!(audit(&stand).await.len(), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invoices_and_credit_notes_are_there_as_ubl_and_what_has_none_says_why() {
    let mut stand = Stand::started().await;
    let (kept, cancelled) = (order("17850", "1"), order("17850", "2"));
    stand
        .send(&[
            event(&kept, Confirmed),
            event(&kept, Shipped),
            event(&cancelled, Confirmed),
            event(&cancelled, Cancelled),
        ])
        .await;
    let rows = stand.settled(4).await;
    let of = |kind: &str| rows.iter().find(|row| row.kind == kind).unwrap();
    let ubl = |row: &stand::Row, query: &str| format!("{LIST}/{}/ubl{query}", row.id);
    let mut given = Vec::new();
    for (kind, root) in [("invoice", "<Invoice "), ("credit_note", "<CreditNote ")] {
        let row = of(kind);
        let answer = call(&stand, &ubl(row, "?customer_id=17850")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let headers = answer.headers();
        assert_eq!(headers[header::CONTENT_TYPE], "application/xml");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        let named = headers[header::CONTENT_DISPOSITION].to_str().unwrap();
        assert!(named.contains(&format!("{}.xml", row.number)), "{named}");
        let said = answer.text().await.unwrap();
        assert!(said.contains(root), "{said}");
        // The same as what is checked against the official rules.
        let model: sqlx::types::Json<Invoice> =
            sqlx::query_scalar("SELECT model FROM models WHERE id = $1")
                .bind(row.id)
                .fetch_one(&stand.pool)
                .await
                .unwrap();
        let expected = steelyard_einvoice::ubl::write(&model).unwrap();
        assert_eq!(said.as_bytes(), expected);
        given.push((row.id, "Jürgen".to_owned(), 0));
    }
    assert_eq!(audit(&stand).await, given);

    let invoice = of("invoice");
    let (status, _) = read(&stand, &ubl(invoice, "?customer_id=12345")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // Its tax has two decimals, and none is cut off in a currency of three.
    let mut model = steelyard_paper::sample::invoice(1);
    model.currency = "BHD".parse().unwrap();
    let error = steelyard_einvoice::ubl::write(&model).unwrap_err();
    assert!(error.to_string().contains("BHD"), "{error}");
    let finer = sqlx::query("UPDATE models SET model = $1::json WHERE id = $2");
    let finer = finer.bind(serde_json::to_string(&model).unwrap());
    finer.bind(invoice.id).execute(&stand.pool).await.unwrap();
    let imported = "DELETE FROM models WHERE id = $1";
    let removed = "UPDATE documents SET removed_at = now() WHERE id = $1";
    for (row, statement, status, code, why) in [
        (
            of("delivery_note"),
            None,
            409,
            "document_without_ubl",
            "delivery note",
        ),
        (invoice, None, 409, "document_without_ubl", "BHD"),
        (
            invoice,
            Some(imported),
            409,
            "document_without_ubl",
            "elsewhere",
        ),
        (invoice, Some(removed), 410, "document_removed", "retention"),
    ] {
        if let Some(statement) = statement {
            let change = sqlx::query(statement).bind(row.id);
            change.execute(&stand.pool).await.unwrap();
        }
        let (told, problem) = read(&stand, &ubl(row, "")).await;
        assert_eq!(
            (told.as_u16(), &problem["code"]),
            (status, &json!(code)),
            "{why}: {problem}"
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(why), "{detail}");
    }
    assert_eq!(audit(&stand).await.len(), given.len());
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_without_a_file_yet_is_listed_and_says_so() {
    let mut stand = Stand::started().await;
    stand.way.refuse();
    stand.send(&[event(&order("17850", "1"), Confirmed)]).await;
    let mut listed = Value::Null;
    wait_for("it is listed", SOON, async || {
        let (status, page) = read(&stand, LIST).await;
        listed = page["data"][0].clone();
        status == StatusCode::OK && listed.is_object()
    })
    .await;
    assert_eq!(listed["state"], "pending");
    let content = format!("{LIST}/{}/content", listed["id"].as_str().unwrap());
    let (status, refused) = read(&stand, &content).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(refused["code"], "document_pending");
    assert_eq!(audit(&stand).await, []);
    stand.way.restore();
    stand.settled(1).await;
    assert_eq!(call(&stand, &content).await.status(), StatusCode::FOUND);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_holds_the_service_token_is_answered() {
    let mut stand = Stand::started().await;
    let url = stand.client().request(Method::GET, LIST).build().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(url.url().clone()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_say_how_far_they_are_and_name_every_fault_by_its_line() {
    const IMPORTS: &str = "/internal/documents/imports";
    let mut stand = Stand::started().await;
    wait_for("the schema is there", SOON, async || {
        read(&stand, IMPORTS).await.0 == StatusCode::OK
    })
    .await;
    for statement in [
        "INSERT INTO imports (id, source, manifest_sha256, manifest_bytes, rows_total, rows_imported, rows_refused, updated_at)
         SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, 's3://inbox/' || n, sha256('x'), 1, 40, 10, 5,
                now() - make_interval(mins => n) FROM generate_series(1, 3) n",
        "INSERT INTO import_faults (import_id, line, code, detail)
         SELECT '00000000-0000-4000-8000-000000000002', 7 * n, 'missing_file', 'line ' || 7 * n FROM generate_series(1, 5) n",
    ] {
        sqlx::query(statement).execute(&stand.pool).await.unwrap();
    }
    let (_, latest) = read(&stand, &format!("{IMPORTS}?limit=2")).await;
    let latest: Vec<_> = latest["data"].as_array().unwrap().iter().collect();
    assert_eq!(latest.len(), 2);
    assert_eq!(
        (&latest[0]["source"], &latest[1]["source"]),
        (&json!("s3://inbox/1"), &json!("s3://inbox/2"))
    );
    let one = format!("{IMPORTS}/00000000-0000-4000-8000-000000000002");
    let (_, shown) = read(&stand, &one).await;
    assert_eq!(&shown, latest[1]);
    assert_eq!(
        (
            &shown["rows_total"],
            &shown["rows_imported"],
            &shown["rows_refused"]
        ),
        (&json!(40), &json!(10), &json!(5))
    );
    let (mut lines, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = read(&stand, &format!("{one}/faults?limit=2{cursor}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        for fault in page["data"].as_array().unwrap() {
            assert_eq!(fault["detail"], format!("line {}", fault["line"]));
            lines.push(fault["line"].as_i64().unwrap());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(lines, [7, 14, 21, 28, 35]);
    let (status, _) = read(&stand, &format!("{IMPORTS}/x/faults")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    stand.stop().await;
}

//! Documents: passed on, to their customers and to those who see all.

use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Canned, Gateway, Peer, Setting, problem};

const ID: &str = "01a22ee6-b000-7000-8000-000000000001";

async fn start() -> (Gateway, Peer) {
    let documents = Peer::start().await;
    let gateway = Setting {
        documents: documents.url.clone(),
        ..Setting::default()
    };
    let mut gateway = gateway.start().await;
    let client = reqwest::Client::builder().no_proxy();
    gateway.http = client.redirect(Policy::none()).build().unwrap();
    (gateway, documents)
}

async fn get(gateway: &Gateway, sub: &str, scope: &str, path: &str) -> reqwest::Response {
    let call = gateway.by(sub, scope, Method::GET, path);
    call.send().await.unwrap()
}

#[tokio::test]
async fn a_customer_is_shown_its_own_and_staff_are_shown_what_they_ask_for() {
    let (gateway, documents) = start().await;
    let page = json!({"data": [{"id": ID}], "next_cursor": null});
    let filters = "number=RE-1&from=2026-01-01&currency=GBP&total_min=1.50&q=a+b";
    for query in [
        "customer_id=17850".to_owned(),
        format!("customer_id=17850&{filters}"),
        filters.to_owned(),
        String::new(),
    ] {
        let path = format!("/internal/documents?{query}");
        documents.say(path.trim_end_matches('?'), Canned::json(&page));
    }
    for (sub, scope, query) in [
        ("17850", "customer", ""),
        ("17850", "customer", "?customer_id=17850"),
        ("17850", "customer", &format!("?{filters}")),
        ("shop", "storefront", "?customer_id=17850"),
        ("support", "orders:manage", &format!("?{filters}")),
        ("support", "orders:manage", ""),
    ] {
        let answer = get(&gateway, sub, scope, &format!("/v1/documents{query}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{scope} {query}");
        assert_eq!(answer.json::<Value>().await.unwrap(), page);
    }
    let seen = documents.seen();
    let of_customers = seen.iter().take(3);
    assert!(
        of_customers
            .into_iter()
            .all(|seen| seen.path.contains("customer_id=17850")),
        "{seen:?}"
    );

    let other = "/v1/documents?customer_id=12345";
    let refused = problem(get(&gateway, "17850", "customer", other).await).await;
    assert_eq!(refused["code"], "other_customer");
    let wrong = "/v1/documents?limit=0&number=%00&customer_id=%20";
    let refused = problem(get(&gateway, "shop", "storefront", wrong).await).await;
    assert_eq!(refused["code"], "invalid_query");
    assert_eq!(refused["errors"].as_array().unwrap().len(), 3, "{refused}");
    assert_eq!(documents.seen().len(), seen.len());
}

#[tokio::test]
async fn a_file_is_led_to_in_the_callers_name_and_nobody_keeps_the_way() {
    let (gateway, documents) = start().await;
    let url = "http://files.example/invoice?X-Amz-Signature=1";
    let found = Canned {
        status: 302,
        headers: vec![
            ("location", url.to_owned()),
            ("cache-control", "no-store".to_owned()),
        ],
        body: String::new(),
    };
    let internal = format!("/internal/documents/{ID}/content");
    documents.say(&internal, found.clone());
    documents.say(&format!("{internal}?customer_id=J%C3%BCrgen"), found);
    let path = format!("/v1/documents/{ID}/content");
    for (sub, scope) in [("Jürgen", "customer"), ("support", "orders:manage")] {
        let answer = get(&gateway, sub, scope, &path).await;
        assert_eq!(answer.status(), StatusCode::FOUND);
        assert_eq!(answer.headers()["location"], url);
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
    let named: Vec<_> = documents
        .seen()
        .iter()
        .map(|seen| seen.headers["x-on-behalf-of"].clone())
        .collect();
    assert_eq!(named, ["J%C3%BCrgen", "support"]);
}

#[tokio::test]
async fn ubl_is_passed_on_by_its_name_in_the_callers_name() {
    let (gateway, documents) = start().await;
    let named = "attachment; filename=\"RE-1.xml\"; filename*=UTF-8''RE-1.xml";
    let found = Canned {
        status: 200,
        headers: vec![
            ("content-type", "application/xml".to_owned()),
            ("content-disposition", named.to_owned()),
            ("cache-control", "no-store".to_owned()),
        ],
        body: "<Invoice/>".to_owned(),
    };
    let internal = format!("/internal/documents/{ID}/ubl");
    let own = format!("{internal}?customer_id=alice");
    documents.say(&internal, found.clone());
    documents.say(&own, found);
    let path = format!("/v1/documents/{ID}/ubl");
    for (sub, scope) in [("alice", "customer"), ("support", "orders:manage")] {
        let answer = get(&gateway, sub, scope, &path).await;
        assert_eq!(answer.status(), StatusCode::OK);
        for (name, value) in [
            ("content-type", "application/xml"),
            ("content-disposition", named),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.headers()[name], value);
        }
        assert_eq!(answer.text().await.unwrap(), "<Invoice/>");
        let seen = documents.seen().pop().unwrap();
        assert_eq!(seen.headers["x-on-behalf-of"], sub);
    }
    documents.say(&own, Canned::problem(409, "document_without_ubl"));
    let refused = problem(get(&gateway, "alice", "customer", &path).await).await;
    assert_eq!(
        (&refused["status"], &refused["code"]),
        (&json!(409), &json!("document_without_ubl"))
    );
    let page = gateway.call(Method::GET, refused["type"].as_str().unwrap());
    assert_eq!(page.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn what_the_service_refuses_is_said_and_what_is_no_id_is_not_asked_for() {
    let (gateway, documents) = start().await;
    let internal = format!("/internal/documents/{ID}/content?customer_id=alice");
    documents.say(&internal, Canned::problem(409, "document_pending"));
    let path = format!("/v1/documents/{ID}/content");
    let refused = problem(get(&gateway, "alice", "customer", &path).await).await;
    assert_eq!(refused["code"], "document_pending");
    let page = gateway.call(Method::GET, refused["type"].as_str().unwrap());
    assert_eq!(page.send().await.unwrap().status(), StatusCode::OK);
    // The peer knows of no such document.
    let other = format!("/v1/documents/{ID}");
    let missing = problem(get(&gateway, "alice", "customer", &other).await).await;
    assert_eq!(missing["code"], "not_found");

    let asked = documents.seen().len();
    for no_id in ["x", "..%2Forders", "01a22ee6b00070008000000000000001"] {
        for path in [
            format!("/v1/documents/{no_id}"),
            format!("/v1/documents/{no_id}/content"),
        ] {
            let answer = get(&gateway, "alice", "customer", &path).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
    assert_eq!(documents.seen().len(), asked);
}

#[tokio::test]
async fn a_restore_says_how_far_it_is_and_is_asked_for_in_the_customers_name() {
    let (gateway, documents) = start().await;
    let internal = format!("/internal/documents/{ID}/restore");
    let path = format!("/v1/documents/{ID}/restore");
    let own = format!("{internal}?customer_id=alice");
    let by = json!({"state": "restoring", "expected_at": "2031-02-03T04:05:06Z"});
    let restoring = Canned {
        status: 202,
        ..Canned::json(&by)
    };
    documents.say(&own, restoring);
    documents.say(&internal, Canned::json(&json!({"state": "ready"})));
    let restore = async |sub, scope| {
        let call = gateway.by(sub, scope, Method::POST, &path);
        call.send().await.unwrap()
    };
    let answer = restore("alice", "customer").await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(answer.json::<Value>().await.unwrap(), by);
    let answer = restore("support", "orders:manage").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(
        documents
            .seen()
            .iter()
            .all(|seen| seen.method == Method::POST)
    );

    for (status, code) in [(409, "document_archived"), (410, "document_removed")] {
        documents.say(&own, Canned::problem(status, code));
        let refused = problem(restore("alice", "customer").await).await;
        assert_eq!(
            (&refused["status"], &refused["code"]),
            (&json!(status), &json!(code))
        );
        let page = gateway.call(Method::GET, refused["type"].as_str().unwrap());
        assert_eq!(page.send().await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_bundle_is_asked_for_in_the_callers_name_and_a_customers_holds_its_own() {
    let (gateway, documents) = start().await;
    let internal = "/internal/documents/bundles";
    let asked = json!({"id": ID, "state": "waiting"});
    let accepted = Canned {
        status: 202,
        ..Canned::json(&asked)
    };
    documents.say(internal, accepted);
    let ask = async |sub: &str, scope: &str, body: Value| {
        let call = gateway.by(sub, scope, Method::POST, "/v1/documents/bundles");
        call.json(&body).send().await.unwrap()
    };
    let period = json!({"from": "2026-01-01", "to": "2026-12-31"});
    let of = |customer: &str| {
        let mut body = period.clone();
        body["customer_id"] = json!(customer);
        body
    };
    for (sub, scope, body, sent) in [
        ("alice", "customer", period.clone(), of("alice")),
        ("alice", "customer", of("alice"), of("alice")),
        ("shop", "storefront", of("alice"), of("alice")),
        ("support", "orders:manage", period.clone(), period.clone()),
    ] {
        let answer = ask(sub, scope, body).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        assert_eq!(answer.json::<Value>().await.unwrap(), asked);
        let seen = documents.seen().pop().unwrap();
        assert_eq!(seen.headers["x-on-behalf-of"], sub);
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(body, sent);
    }
    let count = documents.seen().len();
    let refused = problem(ask("alice", "customer", of("bob")).await).await;
    assert_eq!(refused["code"], "other_customer");
    let refused = problem(ask("alice", "customer", json!({"from": 1})).await).await;
    assert_eq!(refused["errors"][0]["pointer"], "/from");
    assert_eq!(documents.seen().len(), count);

    let one = format!("{internal}/{ID}?customer_id=alice");
    documents.say(&one, Canned::json(&asked));
    let path = format!("/v1/documents/bundles/{ID}");
    let shown = get(&gateway, "alice", "customer", &path).await;
    assert_eq!(shown.json::<Value>().await.unwrap(), asked);
    let content = format!("{internal}/{ID}/content?customer_id=alice");
    for (status, code) in [(409, "bundle_pending"), (410, "bundle_gone")] {
        documents.say(&content, Canned::problem(status, code));
        let path = format!("{path}/content");
        let refused = problem(get(&gateway, "alice", "customer", &path).await).await;
        assert_eq!(
            (&refused["status"], &refused["code"]),
            (&json!(status), &json!(code))
        );
        let page = gateway.call(Method::GET, refused["type"].as_str().unwrap());
        assert_eq!(page.send().await.unwrap().status(), StatusCode::OK);
    }
    let answer = get(&gateway, "alice", "customer", "/v1/documents/bundles/x").await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_import_is_followed_to_its_end() {
    let (gateway, documents) = start().await;
    let internal = format!("/internal/documents/imports/{ID}");
    let at = |imported: i64, finished: Option<&str>| {
        let mut import = json!({
            "id": ID, "source": "s3://inbox/manifest.csv", "rows_total": 40, "rows_imported": imported, "rows_known": 0,
            "rows_refused": 0, "bytes_imported": imported, "started_at": "2026-11-25T00:00:00Z",
            "updated_at": "2026-11-25T00:00:00Z",
        });
        if let Some(finished) = finished {
            import["finished_at"] = json!(finished);
        }
        import
    };
    documents.say(&internal, Canned::json(&at(10, None)));
    let path = format!("/v1/documents/imports/{ID}");
    for scope in ["ops", "orders:manage", "documents:write"] {
        let shown = get(&gateway, "office", scope, &path).await;
        assert_eq!(shown.json::<Value>().await.unwrap(), at(10, None));
    }
    let mut stream = get(&gateway, "office", "ops", &format!("{path}/events")).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut seen = String::new();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        seen += std::str::from_utf8(&chunk).unwrap();
        // What was sent is not sent again; then it ends.
        let end = Canned::json(&at(40, Some("2026-11-25T00:00:01Z")));
        documents.say(&internal, end);
    }
    let events: Vec<Value> = seen
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(events, [at(10, None), at(40, Some("2026-11-25T00:00:01Z"))]);
    let customer = get(&gateway, "alice", "customer", &path).await;
    assert_eq!(customer.status(), StatusCode::FORBIDDEN);
    let other = format!("{path}0/events");
    let missing = get(&gateway, "office", "ops", &other).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn while_the_service_is_down_nothing_is_known() {
    let gateway = Gateway::start().await;
    for path in [
        "/v1/documents".to_owned(),
        format!("/v1/documents/{ID}/content"),
    ] {
        let answer = get(&gateway, "alice", "customer", &path).await;
        assert!(answer.headers().contains_key("retry-after"));
        let refused = problem(answer).await;
        assert_eq!(
            (&refused["status"], &refused["code"]),
            (&json!(503), &json!("documents_unavailable"))
        );
        let page = gateway.call(Method::GET, refused["type"].as_str().unwrap());
        assert_eq!(page.send().await.unwrap().status(), StatusCode::OK);
    }
}

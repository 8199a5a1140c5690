//! Products: passed on, and from the last good copy while the catalog is down.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steelyard_gateway::Limits;
use steelyard_testkit::wait_for;

use crate::support::{Canned, Gateway, PATIENCE, Peer, Setting, problem};

async fn start() -> (Gateway, Peer) {
    let catalog = Peer::start().await;
    let limits = Limits {
        // Each read asks the catalog.
        product_fresh_max: Duration::ZERO,
        ..Limits::default()
    };
    let gateway = Setting {
        catalog: catalog.url.clone(),
        limits,
        ..Setting::default()
    }
    .start()
    .await;
    (gateway, catalog)
}

fn product(sku: &str) -> Canned {
    Canned::json(&json!({"sku": sku, "name": "HOLDER"})).with("etag", "\"v1\"")
}

#[tokio::test]
async fn an_answer_is_cacheable_and_its_copy_stands_in_while_the_catalog_is_down() {
    let (gateway, catalog) = start().await;
    catalog.say("/internal/products/85123A", product("85123A"));
    let get = || gateway.call(Method::GET, "/v1/products/85123A");
    let fresh = get().send().await.unwrap();
    assert_eq!(fresh.status(), StatusCode::OK);
    assert_eq!(fresh.headers()["etag"], "\"v1\"");
    assert!(
        fresh.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("max-age")
    );
    assert_eq!(
        fresh.headers()["cache-status"],
        "steelyard; fwd=uri-miss; stored"
    );

    let not_modified = Canned {
        status: 304,
        body: String::new(),
        ..product("85123A")
    };
    catalog.say("/internal/products/85123A", not_modified);
    let known = get()
        .header("if-none-match", "\"v1\"")
        .send()
        .await
        .unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(known.headers()["etag"], "\"v1\"");
    assert_eq!(
        catalog.seen().last().unwrap().headers["if-none-match"],
        "\"v1\""
    );
    // The catalog sends no body again; who has none gets the copy's.
    let renewed = get().send().await.unwrap();
    assert_eq!(
        renewed.headers()["cache-status"],
        "steelyard; fwd=stale; fwd-status=304; stored"
    );
    assert_eq!(renewed.json::<Value>().await.unwrap()["sku"], "85123A");

    catalog.say(
        "/internal/products/85123A",
        Canned::problem(503, "database_away"),
    );
    let copy = get().send().await.unwrap();
    assert_eq!(copy.status(), StatusCode::OK);
    let status = copy.headers()["cache-status"].to_str().unwrap();
    assert!(
        status.starts_with("steelyard; hit; ttl=-")
            && status.ends_with("; detail=\"catalog unavailable\""),
        "{status}"
    );
    assert!(copy.headers().contains_key("age"));
    assert_eq!(copy.json::<Value>().await.unwrap()["sku"], "85123A");
    let known = get()
        .header("if-none-match", "\"v1\"")
        .send()
        .await
        .unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);

    let unseen = gateway
        .call(Method::GET, "/v1/products?q=lamp")
        .send()
        .await
        .unwrap();
    assert_eq!(
        unseen.status(),
        StatusCode::NOT_FOUND,
        "the catalog answers that"
    );
    catalog.say(
        "/internal/products?q=lamp",
        Canned::problem(500, "internal"),
    );
    let unseen = gateway
        .call(Method::GET, "/v1/products?q=lamp")
        .send()
        .await
        .unwrap();
    assert_eq!(unseen.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(unseen.headers().contains_key("retry-after"));

    // What is gone is gone, from the copies too.
    catalog.say(
        "/internal/products/85123A",
        Canned::problem(404, "not_found"),
    );
    // Right after a failure the catalog is left alone for a moment.
    wait_for("the catalog is asked again", PATIENCE, async || {
        get().send().await.unwrap().status() == StatusCode::NOT_FOUND
    })
    .await;
    catalog.say(
        "/internal/products/85123A",
        Canned::problem(503, "database_away"),
    );
    assert_eq!(
        get().send().await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn skus_with_spaces_and_slashes_stay_whole() {
    let (gateway, catalog) = start().await;
    for (asked, passed) in [
        ("BANK%20CHARGES", "BANK%20CHARGES"),
        ("A%2FB", "A%2FB"),
        ("100%25", "100%25"),
        ("a%3Fb%23c", "a%3Fb%23c"),
        ("%C3%A4", "%C3%A4"),
    ] {
        catalog.say(&format!("/internal/products/{passed}"), product(passed));
        let answer = gateway
            .call(Method::GET, &format!("/v1/products/{asked}"))
            .send()
            .await
            .unwrap();
        assert_eq!(
            answer.status(),
            StatusCode::OK,
            "{asked}: {:?}",
            catalog.seen().last()
        );
    }
    let seen = catalog.seen().len();
    // The client would resolve this one itself, so it is sent as an encoded segment would be.
    let dots = gateway
        .call(Method::GET, "/v1/products/%252E%252E")
        .send()
        .await
        .unwrap();
    assert_eq!(dots.status(), StatusCode::NOT_FOUND);
    assert_eq!(catalog.seen().len(), seen + 1);
    assert_eq!(catalog.seen()[seen].path, "/internal/products/%252E%252E");
}

#[tokio::test]
async fn changes_are_passed_on_with_the_catalogs_own_words() {
    let (gateway, catalog) = start().await;
    let put = |body: Value| {
        gateway
            .by(
                "office",
                "catalog:write",
                Method::PUT,
                "/v1/products/85123A",
            )
            .json(&body)
            .send()
    };
    catalog.say(
        "/internal/products/85123A",
        Canned {
            status: 201,
            ..product("85123A")
        },
    );
    let body = json!({"name": "HOLDER", "prices": []});
    let created = put(body.clone()).await.unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    let seen = catalog.seen().pop().unwrap();
    assert_eq!(
        (seen.method, seen.path.as_str()),
        (Method::PUT, "/internal/products/85123A")
    );
    assert_eq!(serde_json::from_slice::<Value>(&seen.body).unwrap(), body);

    catalog.say(
        "/internal/products/85123A",
        Canned::problem(422, "validation_failed"),
    );
    let refused = put(body).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem(refused).await["code"], "validation_failed");

    let level = json!({"sku": "A/B", "on_hand": 1, "reserved": 0, "available": 1, "booked": true});
    catalog.say(
        "/internal/products/A%2FB/stock-adjustments",
        Canned::json(&level),
    );
    let booked = gateway
        .by(
            "office",
            "catalog:write",
            Method::POST,
            "/v1/products/A%2FB/stock-adjustments",
        )
        .json(&json!({"adjust": 1, "reference": "r"}));
    assert_eq!(
        booked.send().await.unwrap().json::<Value>().await.unwrap(),
        level
    );
}

#[tokio::test]
async fn an_import_of_any_pieces_is_passed_on_whole_and_bounded() {
    let catalog = Peer::start().await;
    catalog.say(
        "/internal/products/import",
        Canned::json(&json!({"lines": 2})),
    );
    let limits = Limits {
        import_bytes_max: 1 << 20,
        ..Limits::default()
    };
    let setting = Setting {
        catalog: catalog.url.clone(),
        limits,
        ..Setting::default()
    };
    let gateway = setting.start().await;
    let import = |body: reqwest::Body| {
        gateway
            .by(
                "office",
                "catalog:write",
                Method::POST,
                "/v1/products/import",
            )
            .header("content-type", "application/x-ndjson")
            .body(body)
            .send()
    };
    // Beyond the 256 KiB of other routes, in pieces.
    let line = format!(
        "{}\n",
        json!({"sku": "a", "name": "x".repeat(200), "prices": []})
    );
    let pieces: Vec<_> = (0..3_000)
        .map(|_| Ok::<_, std::io::Error>(line.clone()))
        .collect();
    let whole = line.len() * pieces.len();
    let answer = import(reqwest::Body::wrap_stream(futures_util::stream::iter(
        pieces,
    )))
    .await
    .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let seen = catalog.seen().pop().unwrap();
    assert_eq!(seen.body.len(), whole);
    assert_eq!(seen.headers["content-type"], "application/x-ndjson");

    let large = vec![b'x'; (1 << 20) + 1];
    let answer = import(large.clone().into()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let pieces: Vec<_> = large
        .chunks(9_000)
        .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
        .collect();
    let answer = import(reqwest::Body::wrap_stream(futures_util::stream::iter(
        pieces,
    )))
    .await
    .unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(problem(answer).await["code"], "body_too_large");
}

#[tokio::test]
async fn who_changes_something_is_named_and_their_condition_goes_along() {
    let (gateway, catalog) = start().await;
    catalog.say("/internal/products/85123A", product("85123A"));
    let put = gateway
        .by(
            "J\u{fc}rgen K.",
            "catalog:write",
            Method::PUT,
            "/v1/products/85123A",
        )
        .header("if-match", "\"7-ab\"")
        .header("x-on-behalf-of", "somebody else")
        .json(&json!({"name": "HOLDER", "prices": []}));
    assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
    let seen = catalog.seen().pop().unwrap();
    assert_eq!(seen.headers["x-on-behalf-of"], "J%C3%BCrgen%20K.");
    assert_eq!(seen.headers.get_all("x-on-behalf-of").iter().count(), 1);
    assert_eq!(seen.headers["if-match"], "\"7-ab\"");

    catalog.say(
        "/internal/products/85123A",
        Canned::problem(412, "precondition_failed"),
    );
    let put = gateway
        .by(
            "office",
            "catalog:write",
            Method::PUT,
            "/v1/products/85123A",
        )
        .json(&json!({"name": "HOLDER", "prices": []}));
    let refused = put.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(problem(refused).await["code"], "precondition_failed");
}

#[tokio::test]
async fn filters_and_languages_are_passed_on_and_have_copies_of_their_own() {
    let (gateway, catalog) = start().await;
    let get = |path: &'static str| gateway.call(Method::GET, path).send();
    let asked = "/internal/products?attributes=brand%3AAcme&currency=GBP&price_max=3&facets=true&lang=de&country=CH";
    catalog.say(
        asked,
        Canned::json(&json!({"data": [], "next_cursor": null})),
    );
    let path = "/v1/products?lang=de&attributes=brand:Acme&currency=GBP&price_max=3&facets=true&country=CH";
    assert_eq!(get(path).await.unwrap().status(), StatusCode::OK);
    catalog.say("/internal/products/a?lang=de", product("a"));
    assert_eq!(
        get("/v1/products/a?lang=de").await.unwrap().status(),
        StatusCode::OK
    );
    catalog.say(
        "/internal/products/a?lang=de",
        Canned::problem(503, "database_away"),
    );
    catalog.say(
        "/internal/products/a",
        Canned::problem(503, "database_away"),
    );
    assert_eq!(
        get("/v1/products/a?lang=de").await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(
        get("/v1/products/a").await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    // Prices of customer groups and products that are not for sale are not for everybody.
    for query in ["groups=trade", "include=all"] {
        let refused = gateway
            .call(Method::GET, &format!("/v1/products/a?{query}"))
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn a_search_that_cannot_be_is_refused_with_its_place() {
    let (gateway, catalog) = start().await;
    let search = async |q: &str| {
        let path = format!("/v1/products?q={q}");
        let answer = gateway.call(Method::GET, &path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path:.80}");
        let body = problem(answer).await;
        let fault = &body["errors"][0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        [
            text(&body["code"]),
            text(&fault["pointer"]),
            text(&fault["code"]),
        ]
    };
    // What is too long or not even text does not get as far as the catalog.
    for (q, code) in [
        ("x".repeat(10_000), "too_long"),
        ("x".repeat(201), "too_long"),
        // Characters are counted, not bytes.
        ("%C3%A4".repeat(201), "too_long"),
        ("tea%00".to_owned(), "invalid_character"),
    ] {
        let refused = search(&q).await;
        assert_eq!(refused, ["invalid_query", "query/q", code], "{q:.80}");
    }
    assert_eq!(catalog.seen().len(), 0);

    // What words are, the catalog says.
    let mut refused = Canned::problem(400, "invalid_query");
    let mut body: Value = serde_json::from_str(&refused.body).unwrap();
    body["errors"] =
        json!([{"pointer": "query/q", "code": "not_searchable", "detail": "no words"}]);
    refused.body = body.to_string();
    catalog.say("/internal/products?q=%26+%7C+%21", refused);
    assert_eq!(
        search("%26+%7C+!").await,
        ["invalid_query", "query/q", "not_searchable"]
    );
    let longest = "%C3%A4".repeat(200);
    catalog.say(
        &format!("/internal/products?q={longest}"),
        Canned::json(&json!({"data": [], "next_cursor": null})),
    );
    let path = format!("/v1/products?q={longest}");
    let answer = gateway.call(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_export_is_passed_on_whole_in_the_form_that_is_asked_for() {
    let (gateway, catalog) = start().await;
    let body = "{\"sku\":\"a\"}\n".repeat(100_000);
    let canned = Canned {
        body: body.clone(),
        ..Canned::json(&Value::Null)
    };
    catalog.say("/internal/products/export", canned);
    let export = gateway
        .by(
            "office",
            "catalog:write",
            Method::GET,
            "/v1/products/export",
        )
        .header("accept", "text/csv");
    let answer = export.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap() == body);
    assert_eq!(catalog.seen().pop().unwrap().headers["accept"], "text/csv");
}

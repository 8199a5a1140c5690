//! Whatever is wrong with a request is answered by a precise 4xx, and nothing is enqueued.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use steelyard_testkit::jwt::Claims;

use crate::support::{Gateway, order, problem};

struct Case {
    what: &'static str,
    request: RequestBuilder,
    status: u16,
    code: &'static str,
    pointer: Option<&'static str>,
}

fn with(pointer: &str, value: Value) -> Value {
    let mut body = order();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[field.parse::<usize>().unwrap()] = value,
        other => other[field] = value,
    }
    body
}

fn raw(gateway: &Gateway, body: impl Into<reqwest::Body>) -> RequestBuilder {
    gateway
        .by("shop", "storefront", Method::POST, "/v1/orders")
        .header("idempotency-key", "k")
        .header("content-type", "application/json")
        .body(body)
}

/// Bodies that are no order.
fn bodies(gateway: &Gateway) -> Vec<Case> {
    let line = || json!({"sku": "85123A", "quantity": 1, "unit_price": "1.00"});
    let text = order().to_string();
    let huge = vec![b' '; 257 * 1024];
    let case = |what, request, status, code, pointer: &'static str| Case {
        what,
        request,
        status,
        code,
        pointer: Some(pointer),
    };
    let invalid = |what, pointer: &'static str, value: Value| Case {
        what,
        request: gateway.place("k", &with(pointer, value)),
        status: 422,
        code: "validation_failed",
        pointer: Some(pointer),
    };
    vec![
        case(
            "malformed JSON",
            raw(gateway, "{\"lines\": ["),
            400,
            "malformed_json",
            "/lines",
        ),
        case("an empty body", raw(gateway, ""), 400, "malformed_json", ""),
        case(
            "not UTF-8",
            raw(gateway, b"{\"currency\": \"\xff\"}".to_vec()),
            400,
            "malformed_json",
            "/currency",
        ),
        case(
            "half a surrogate pair",
            raw(gateway, r#"{"currency": "\ud800"}"#),
            400,
            "malformed_json",
            "/currency",
        ),
        case(
            "something behind the body",
            raw(gateway, format!("{text}{text}")),
            400,
            "malformed_json",
            "",
        ),
        case(
            "deep nesting",
            raw(gateway, "[".repeat(100_000)),
            422,
            "validation_failed",
            "",
        ),
        case("a list", raw(gateway, "[]"), 422, "validation_failed", ""),
        invalid(
            "an address as a list",
            "/ship_to",
            json!(["Ann", "1 Quay St", null, "Hull", null, null, "GB", null]),
        ),
        invalid(
            "a line as a list",
            "/lines/0",
            json!(["85123A", 1, "1.00", null]),
        ),
        case(
            "1e400 as a quantity",
            raw(
                gateway,
                text.replacen("\"quantity\":6", "\"quantity\":1e400", 1),
            ),
            400,
            "malformed_json",
            "/lines/0/quantity",
        ),
        case(
            "a field twice",
            raw(gateway, text.replacen("{", "{\"currency\":\"EUR\",", 1)),
            422,
            "validation_failed",
            "/currency",
        ),
        Case {
            what: "257 KiB",
            request: raw(gateway, huge),
            status: 413,
            code: "body_too_large",
            pointer: None,
        },
        Case {
            what: "no content type",
            request: gateway
                .by("shop", "storefront", Method::POST, "/v1/orders")
                .header("idempotency-key", "k")
                .body(text.clone()),
            status: 415,
            code: "unsupported_media_type",
            pointer: None,
        },
        case(
            "a missing field",
            gateway.place("k", &json!({"currency": "GBP", "lines": []})),
            422,
            "validation_failed",
            "/ship_to",
        ),
        invalid("an unknown field", "/coupon", json!("X")),
        invalid(
            "an unknown field of a line",
            "/lines/1/colour",
            json!("red"),
        ),
        invalid("0 lines", "/lines", json!([])),
        invalid("2,001 lines", "/lines", json!(vec![line(); 2_001])),
        invalid("a wrong type", "/lines/1/sku", json!(85_123)),
        invalid("a null", "/currency", json!(null)),
        invalid("quantity 0", "/lines/1/quantity", json!(0)),
        invalid("a negative quantity", "/lines/1/quantity", json!(-3)),
        invalid("a fractional quantity", "/lines/1/quantity", json!(1.5)),
        invalid("a quantity in words", "/lines/1/quantity", json!("six")),
        invalid("a million and one", "/lines/1/quantity", json!(1_000_001)),
        invalid(
            "a quantity beyond 64 bits",
            "/lines/1/quantity",
            json!(u64::MAX),
        ),
        invalid("five decimals", "/lines/0/unit_price", json!("2.55555")),
        invalid("1e400", "/lines/0/unit_price", json!("1e400")),
        invalid("a negative price", "/lines/0/unit_price", json!("-1.00")),
        invalid("a price as a number", "/lines/0/unit_price", json!(2.55)),
        invalid("an unknown currency", "/currency", json!("ZZZ")),
        invalid("a currency in small letters", "/currency", json!("gbp")),
        invalid("NUL in a string", "/reference", json!("a\u{0}b")),
        invalid("a control character", "/ship_to/line1", json!("a\u{8}b")),
        invalid("a non-character", "/ship_to/name", json!("a\u{ffff}b")),
        invalid(
            "a non-character of a high plane",
            "/email",
            json!("a\u{1fffe}@b"),
        ),
        invalid("NUL in a SKU", "/lines/0/sku", json!("\u{0}")),
        invalid("a blank SKU", "/lines/0/sku", json!("  ")),
        invalid("a long SKU", "/lines/0/sku", json!("x".repeat(65))),
        invalid("no country", "/ship_to/country", json!("United Kingdom")),
        invalid("an empty customer", "/customer_id", json!("")),
        invalid("NUL in the customer", "/customer_id", json!("17850\u{0}")),
        invalid("a customer with a space", "/customer_id", json!("17850 ")),
        invalid("no customer", "/customer_id", json!(null)),
        invalid(
            "an unknown method of payment",
            "/payment",
            json!({"method": "barter"}),
        )
        .at("/payment/method"),
    ]
}

impl Case {
    fn at(mut self, pointer: &'static str) -> Self {
        self.pointer = Some(pointer);
        self
    }
}

/// Headers and tokens that are not right.
fn headers(gateway: &Gateway) -> Vec<Case> {
    let post = || {
        gateway
            .call(Method::POST, "/v1/orders")
            .header("idempotency-key", "k")
            .json(&order())
    };
    let signed = |claims: &Claims| post().bearer_auth(gateway.issuer.sign(claims));
    let claims = || Claims::new("shop", "storefront", Duration::from_mins(5));
    let past = claims().iat - 3_600;
    let key = |key: &str| {
        let request = gateway
            .by("shop", "storefront", Method::POST, "/v1/orders")
            .json(&order());
        request.header("idempotency-key", key)
    };
    let case = |what, request, status, code, pointer| Case {
        what,
        request,
        status,
        code,
        pointer,
    };
    let none_alg = {
        // {"alg":"none","typ":"JWT"} and the claims of a good token, without a signature.
        let good = gateway.issuer.sign(&claims());
        let claims = good.split('.').nth(1).unwrap();
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
    };
    let forged = steelyard_testkit::jwt::issuer().sign(&claims());
    let tampered = {
        let good = gateway.issuer.sign(&claims());
        let parts: Vec<_> = good.split('.').collect();
        let other = gateway
            .issuer
            .sign(&Claims::new("shop", "ops", Duration::from_mins(5)));
        format!(
            "{}.{}.{}",
            parts[0],
            other.split('.').nth(1).unwrap(),
            parts[2]
        )
    };
    let place = Some("header/idempotency-key");
    vec![
        case(
            "no idempotency key",
            gateway
                .by("shop", "storefront", Method::POST, "/v1/orders")
                .json(&order()),
            400,
            "idempotency_key_invalid",
            place,
        ),
        case(
            "an empty key",
            key(""),
            400,
            "idempotency_key_invalid",
            place,
        ),
        case(
            "a key of 300 characters",
            key(&"x".repeat(300)),
            400,
            "idempotency_key_invalid",
            place,
        ),
        case(
            "a key that is not ASCII",
            key("schlüssel"),
            400,
            "idempotency_key_invalid",
            place,
        ),
        case("no token", post(), 401, "token_missing", None),
        case(
            "another scheme",
            post().basic_auth("a", Some("b")),
            401,
            "token_missing",
            None,
        ),
        case(
            "no JWT",
            post().bearer_auth("x.y.z"),
            401,
            "token_invalid",
            None,
        ),
        case(
            "alg none",
            post().bearer_auth(none_alg),
            401,
            "token_invalid",
            None,
        ),
        case(
            "a forged token",
            post().bearer_auth(forged),
            401,
            "token_invalid",
            None,
        ),
        case(
            "claims of another token",
            post().bearer_auth(tampered),
            401,
            "token_invalid",
            None,
        ),
        case(
            "an expired token",
            signed(&Claims {
                exp: past,
                iat: past - 60,
                ..claims()
            }),
            401,
            "token_invalid",
            None,
        ),
        case(
            "another issuer's",
            signed(&Claims {
                iss: "https://evil.example".into(),
                ..claims()
            }),
            401,
            "token_invalid",
            None,
        ),
        case(
            "another audience's",
            signed(&Claims {
                aud: "elsewhere".into(),
                ..claims()
            }),
            401,
            "token_invalid",
            None,
        ),
        case(
            "NUL in the subject",
            signed(&Claims {
                sub: "a\u{0}".into(),
                ..claims()
            }),
            401,
            "token_invalid",
            None,
        ),
        case(
            "no scope",
            signed(&Claims {
                scope: String::new(),
                ..claims()
            }),
            403,
            "insufficient_scope",
            None,
        ),
        case(
            "an unknown scope",
            signed(&Claims {
                scope: "customers".into(),
                ..claims()
            }),
            403,
            "insufficient_scope",
            None,
        ),
        case(
            "another customer's id",
            gateway
                .by("alice", "customer", Method::POST, "/v1/orders")
                .header("idempotency-key", "k")
                .json(&order()),
            403,
            "other_customer",
            Some("/customer_id"),
        ),
    ]
}

/// Reads and commands.
fn others(gateway: &Gateway) -> Vec<Case> {
    let id = "83da7b84-a1ef-80a2-a6a4-f82d31aa9bb5";
    let get = |path: &str| gateway.by("shop", "storefront", Method::GET, path);
    let post = |path: &str| {
        gateway
            .by("shop", "orders:manage payments", Method::POST, path)
            .header("idempotency-key", "k")
    };
    let case = |what, request, status, code, pointer| Case {
        what,
        request,
        status,
        code,
        pointer,
    };
    let query = |what, query: &str, pointer| {
        case(
            what,
            get(&format!("/v1/orders?{query}")),
            400,
            "invalid_query",
            Some(pointer),
        )
    };
    vec![
        case(
            "an id that is none",
            get("/v1/orders/1"),
            404,
            "not_found",
            None,
        ),
        case(
            "an id in capitals",
            get(&format!(
                "/v1/orders/{}",
                id.to_uppercase().replace('-', "")
            )),
            404,
            "not_found",
            None,
        ),
        case(
            "a path that is not UTF-8",
            get("/v1/orders/%FF"),
            404,
            "not_found",
            None,
        ),
        query("an unknown parameter", "colour=red", "query/colour"),
        query("an unknown status", "status=lost", "query/status"),
        query("limit 0", "limit=0", "query/limit"),
        query("limit 101", "limit=101", "query/limit"),
        query("limit in words", "limit=ten", "query/limit"),
        query("a parameter twice", "limit=1&limit=2", "query/limit"),
        query("NUL in a parameter", "reference=%00", "query/reference"),
        query(
            "a customer that is none",
            "customer_id=%20",
            "query/customer_id",
        ),
        query(
            "an endless cursor",
            &format!("cursor={}", "x".repeat(2_000)),
            "query/cursor",
        ),
        case(
            "another customer's list",
            gateway.by(
                "alice",
                "customer",
                Method::GET,
                "/v1/orders?customer_id=bob",
            ),
            403,
            "other_customer",
            Some("query/customer_id"),
        ),
        case(
            "a product list with an unknown parameter",
            get("/v1/products?include=all"),
            400,
            "invalid_query",
            Some("query/include"),
        ),
        case(
            "a product list with limit 0",
            get("/v1/products?limit=0"),
            400,
            "invalid_query",
            Some("query/limit"),
        ),
        case(
            "a cancel without a key",
            gateway.by(
                "a",
                "customer",
                Method::POST,
                &format!("/v1/orders/{id}/cancel"),
            ),
            400,
            "idempotency_key_invalid",
            Some("header/idempotency-key"),
        ),
        case(
            "a cancel of no order",
            post("/v1/orders/x/cancel"),
            404,
            "not_found",
            None,
        ),
        case(
            "a payment with an unknown field",
            post(&format!("/v1/orders/{id}/payments")).json(&json!({"amount": "1"})),
            422,
            "validation_failed",
            Some("/amount"),
        ),
        case(
            "a shipment with NUL",
            post(&format!("/v1/orders/{id}/shipments")).json(&json!({"tracking_number": "\u{0}"})),
            422,
            "validation_failed",
            Some("/tracking_number"),
        ),
        case(
            "a return that says restock: 1",
            post(&format!("/v1/orders/{id}/returns")).json(&json!({"restock": 1})),
            422,
            "validation_failed",
            Some("/restock"),
        ),
        case(
            "a method that is not there",
            gateway.by("a", "customer", Method::DELETE, &format!("/v1/orders/{id}")),
            405,
            "method_not_allowed",
            None,
        ),
        case(
            "a path that is not there",
            get("/v2/orders"),
            404,
            "no_such_route",
            None,
        ),
    ]
}

#[tokio::test]
async fn whatever_is_wrong_is_named_and_nothing_is_enqueued() {
    let gateway = Gateway::start().await;
    gateway.ready().await;
    let cases = bodies(&gateway)
        .into_iter()
        .chain(headers(&gateway))
        .chain(others(&gateway));
    let mut wrong = Vec::new();
    for Case {
        what,
        request,
        status,
        code,
        pointer,
    } in cases
    {
        let answer = request.send().await.unwrap();
        let got = answer.status().as_u16();
        let body = problem(answer).await;
        let page = gateway.call(Method::GET, body["type"].as_str().unwrap());
        assert_eq!(
            page.send().await.unwrap().status(),
            200,
            "{} has no page",
            body["type"]
        );
        let places: Vec<_> = body["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|fault| fault["pointer"].as_str().unwrap())
            .collect();
        let named = pointer.is_none_or(|pointer| places == [pointer]);
        if got != status || body["code"] != code || !named {
            wrong.push(format!(
                "{what}: {status} {code} {pointer:?} was expected, got {body}"
            ));
        }
        assert_eq!(
            gateway.queue.bodies(crate::support::QUEUE).len(),
            0,
            "{what} was enqueued"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn all_faults_of_an_order_are_named_at_once() {
    let gateway = Gateway::start().await;
    let body = json!({
        "currency": "ZZZ",
        "lines": [{"sku": "a", "quantity": 0, "unit_price": "x"}],
        "ship_to": {"name": "", "line1": "b", "city": "c", "country": "gb"}
    });
    let refused = problem(gateway.place("k", &body).send().await.unwrap()).await;
    insta::assert_json_snapshot!(refused, { ".request_id" => "[id]" });
}

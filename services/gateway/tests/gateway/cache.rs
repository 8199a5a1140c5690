//! The product cache: asked once for all who wait, forgotten when a change is heard, old within limits.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steelyard_gateway::Limits;
use steelyard_status::{ProductNews, Redis};
use steelyard_testkit::wait_for;
use tokio::task::JoinSet;

use crate::support::{Canned, Gateway, NO_REDIS, PATIENCE, Peer, Setting};

const TEA: &str = "/internal/products/TEA";
const LIST: &str = "/internal/products?category=tea";
/// Longer than any test runs: what changes sooner was heard of.
const LONG: Duration = Duration::from_hours(1);

async fn start(redis: &str, fresh_max: Duration) -> (Gateway, Peer) {
    let limits = Limits {
        product_fresh_max: fresh_max,
        // What a test holds back must not be given up before the test lets go of it.
        catalog_max: LONG,
        ..Limits::default()
    };
    begin(redis, limits).await
}

async fn begin(redis: &str, limits: Limits) -> (Gateway, Peer) {
    let catalog = Peer::start().await;
    let setting = Setting {
        catalog: catalog.url.clone(),
        redis: redis.to_owned(),
        limits,
        ..Setting::default()
    };
    (setting.start().await, catalog)
}

fn priced(price: &str) -> Canned {
    Canned::json(&json!({"sku": "TEA", "price": price})).with("etag", &format!("\"{price}\""))
}

struct Read {
    status: StatusCode,
    cache: String,
    price: Option<String>,
}

async fn read(gateway: &Gateway, path: &str) -> Read {
    let answer = gateway.call(Method::GET, path).send().await.unwrap();
    let cache = answer.headers().get("cache-status");
    let cache = cache.map_or("", |cache| cache.to_str().unwrap()).to_owned();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    Read {
        status,
        cache,
        price: body["price"].as_str().map(str::to_owned),
    }
}

async fn tea(gateway: &Gateway) -> Read {
    read(gateway, "/v1/products/TEA").await
}

/// Waits until the gateway hears what is told, and has heard all that was told so far.
async fn is_heard(gateway: &Gateway, catalog: &Peer, news: &ProductNews) {
    for sku in ["MARK", "LAST"] {
        let inside = format!("/internal/products/{sku}");
        catalog.say(&inside, priced("0"));
        let outside = format!("/v1/products/{sku}");
        read(gateway, &outside).await;
        let asked = catalog.asked(&inside);
        news.tell(sku.parse().unwrap());
        wait_for("a change is heard", PATIENCE, async || {
            read(gateway, &outside).await;
            if sku == "MARK" {
                // Nobody may have listened yet; and the first connection makes all copies old, too.
                news.tell(sku.parse().unwrap());
                return catalog.asked(&inside) > asked + 1;
            }
            catalog.asked(&inside) > asked
        })
        .await;
    }
}

/// Gives requests that are on their way to the gateway the time that others take.
async fn let_them_arrive(gateway: &Gateway) {
    for _ in 0..20 {
        let other = gateway.call(Method::GET, "/openapi.json").send().await;
        assert!(other.unwrap().status().is_success());
    }
}

#[tokio::test]
async fn a_fresh_copy_answers_without_the_catalog_and_says_how_old_it_is() {
    let (gateway, catalog) = start(NO_REDIS, LONG).await;
    catalog.say(TEA, priced("1.00"));
    assert_eq!(tea(&gateway).await.cache, "steelyard; fwd=uri-miss; stored");
    let get = || gateway.call(Method::GET, "/v1/products/TEA");
    let copy = get().send().await.unwrap();
    let status = copy.headers()["cache-status"].to_str().unwrap();
    assert!(status.starts_with("steelyard; hit; ttl="), "{status}");
    assert!(copy.headers().contains_key("age"));
    let known = get().header("if-none-match", "W/\"1.00\", \"x\"");
    let known = known.send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(known.headers()["etag"], "\"1.00\"");
    assert!(known.headers().contains_key("cache-control"));
    assert_eq!(catalog.asked(TEA), 1);

    // Who must know asks past the copy.
    catalog.say(TEA, priced("2.00"));
    let asked = get().header("cache-control", "no-cache").send().await;
    let asked = asked.unwrap();
    assert_eq!(
        asked.headers()["cache-status"],
        "steelyard; fwd=request; fwd-status=200; stored"
    );
    assert_eq!(asked.json::<Value>().await.unwrap()["price"], "2.00");
    assert_eq!(tea(&gateway).await.price.as_deref(), Some("2.00"));
}

#[tokio::test]
async fn a_hundred_who_miss_at_once_are_one_question() {
    let (gateway, catalog) = start(NO_REDIS, LONG).await;
    catalog.say(TEA, priced("1.00"));
    catalog.hold();
    let mut readers = JoinSet::new();
    for _ in 0..100 {
        let get = gateway.call(Method::GET, "/v1/products/TEA");
        readers.spawn(async move { get.send().await.unwrap() });
    }
    wait_for("the question has come", PATIENCE, async || {
        catalog.asked(TEA) > 0
    })
    .await;
    let_them_arrive(&gateway).await;
    catalog.release();
    let mut joined = 0;
    while let Some(answer) = readers.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let status = answer.headers()["cache-status"].to_str().unwrap();
        joined += usize::from(status.contains("collapsed"));
    }
    assert_eq!(catalog.asked(TEA), 1);
    assert!(joined > 0);
}

#[tokio::test]
async fn a_refusal_is_shared_by_all_who_wait_for_it() {
    let (gateway, catalog) = start(NO_REDIS, LONG).await;
    catalog.say(TEA, Canned::problem(503, "database_away"));
    catalog.hold();
    let mut readers = JoinSet::new();
    for _ in 0..20 {
        let get = gateway.call(Method::GET, "/v1/products/TEA");
        readers.spawn(async move { get.send().await.unwrap().status() });
    }
    wait_for("the question has come", PATIENCE, async || {
        catalog.asked(TEA) > 0
    })
    .await;
    let_them_arrive(&gateway).await;
    catalog.release();
    while let Some(status) = readers.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(catalog.asked(TEA) < 20, "{}", catalog.asked(TEA));
}

#[tokio::test]
async fn who_hangs_up_does_not_take_the_answer_from_the_others() {
    let (gateway, catalog) = start(NO_REDIS, LONG).await;
    catalog.say(TEA, priced("1.00"));
    catalog.hold();
    let first = gateway.call(Method::GET, "/v1/products/TEA");
    let first = tokio::spawn(first.send());
    wait_for("the question has come", PATIENCE, async || {
        catalog.asked(TEA) > 0
    })
    .await;
    let second = gateway.call(Method::GET, "/v1/products/TEA");
    let second = tokio::spawn(second.send());
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    catalog.release();
    assert_eq!(second.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(catalog.asked(TEA), 1);
}

#[tokio::test]
async fn a_change_that_is_heard_makes_copies_old_at_once() {
    let redis = steelyard_testkit::redis().await;
    let (gateway, catalog) = start(&redis.url, LONG).await;
    let news = ProductNews::start(Redis::new(&redis.url).unwrap());
    is_heard(&gateway, &catalog, &news).await;
    catalog.say(TEA, priced("1.00"));
    catalog.say(LIST, priced("1.00"));
    for path in ["/v1/products/TEA", "/v1/products?category=tea"] {
        assert_eq!(
            read(&gateway, path).await.cache,
            "steelyard; fwd=uri-miss; stored"
        );
        assert!(read(&gateway, path).await.cache.contains("hit"));
    }
    catalog.say(TEA, priced("2.00"));
    catalog.say(LIST, priced("2.00"));
    news.tell("TEA".parse().unwrap());
    for path in ["/v1/products/TEA", "/v1/products?category=tea"] {
        wait_for("the new price is told", PATIENCE, async || {
            read(&gateway, path).await.price.as_deref() == Some("2.00")
        })
        .await;
    }
    catalog.say(TEA, priced("3.00"));
    news.tell_all();
    wait_for("the next price is told", PATIENCE, async || {
        tea(&gateway).await.price.as_deref() == Some("3.00")
    })
    .await;
}

#[tokio::test]
async fn an_answer_from_before_a_change_that_arrives_after_it_is_not_believed() {
    let redis = steelyard_testkit::redis().await;
    let (gateway, catalog) = start(&redis.url, LONG).await;
    let news = ProductNews::start(Redis::new(&redis.url).unwrap());
    is_heard(&gateway, &catalog, &news).await;
    catalog.say(TEA, priced("1.00"));
    catalog.hold();
    let early = gateway.call(Method::GET, "/v1/products/TEA");
    let early = tokio::spawn(early.send());
    wait_for("the question has come", PATIENCE, async || {
        catalog.asked(TEA) > 0
    })
    .await;
    // Told together: the mark is asked for again once both are heard.
    let marked = catalog.asked("/internal/products/MARK");
    news.tell("TEA".parse().unwrap());
    news.tell("MARK".parse().unwrap());
    wait_for("the change is heard", PATIENCE, async || {
        let mark = gateway.call(Method::GET, "/v1/products/MARK");
        // An answer of the catalog's own is held back, too.
        drop(mark.timeout(Duration::from_millis(200)).send().await);
        catalog.asked("/internal/products/MARK") > marked
    })
    .await;
    catalog.say(TEA, priced("2.00"));
    catalog.release();
    let early = early.await.unwrap().unwrap();
    assert_eq!(early.json::<Value>().await.unwrap()["price"], "1.00");
    assert_eq!(tea(&gateway).await.price.as_deref(), Some("2.00"));
}

#[tokio::test]
async fn who_changes_a_product_reads_what_became_of_it() {
    let (gateway, catalog) = start(NO_REDIS, LONG).await;
    catalog.say(TEA, priced("1.00"));
    assert_eq!(tea(&gateway).await.price.as_deref(), Some("1.00"));
    catalog.say(TEA, priced("2.00"));
    let put = gateway.by("office", "catalog:write", Method::PUT, "/v1/products/TEA");
    let put = put.json(&json!({"name": "Tea", "prices": []}));
    assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(tea(&gateway).await.price.as_deref(), Some("2.00"));
}

#[tokio::test]
async fn what_changed_while_nobody_listened_is_old_when_redis_is_back() {
    let mut redis = steelyard_testkit::redis().await;
    let (gateway, catalog) = start(&redis.url, LONG).await;
    let news = ProductNews::start(Redis::new(&redis.url).unwrap());
    is_heard(&gateway, &catalog, &news).await;
    catalog.say(TEA, priced("1.00"));
    tea(&gateway).await;
    redis.kill().await;
    catalog.say(TEA, priced("2.00"));
    redis.start_again().await;
    wait_for("the new price is told", PATIENCE, async || {
        tea(&gateway).await.price.as_deref() == Some("2.00")
    })
    .await;
}

#[tokio::test]
async fn when_changes_are_lost_copies_are_still_given_up_in_time() {
    let (gateway, catalog) = start(NO_REDIS, Duration::from_millis(400)).await;
    catalog.say(TEA, priced("1.00"));
    assert_eq!(tea(&gateway).await.price.as_deref(), Some("1.00"));
    catalog.say(TEA, priced("2.00"));
    wait_for("the new price is told", PATIENCE, async || {
        tea(&gateway).await.price.as_deref() == Some("2.00")
    })
    .await;
}

#[tokio::test]
async fn while_the_catalog_hangs_the_last_good_copy_answers() {
    let limits = Limits {
        product_fresh_max: Duration::ZERO,
        catalog_max: Duration::from_millis(500),
        ..Limits::default()
    };
    let (gateway, catalog) = begin(NO_REDIS, limits).await;
    catalog.say(TEA, priced("1.00"));
    wait_for("there is a copy", PATIENCE, async || {
        tea(&gateway).await.status == StatusCode::OK
    })
    .await;
    catalog.hold();
    let copy = tea(&gateway).await;
    assert_eq!(copy.status, StatusCode::OK);
    assert!(copy.cache.contains("catalog unavailable"), "{}", copy.cache);
    assert_eq!(copy.price.as_deref(), Some("1.00"));
    catalog.say(TEA, priced("2.00"));
    catalog.release();
    wait_for("the catalog is asked again", PATIENCE, async || {
        tea(&gateway).await.price.as_deref() == Some("2.00")
    })
    .await;
}

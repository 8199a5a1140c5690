//! Full-text search.

use serde_json::json;

use crate::harness::{Shop, skus};

async fn shop() -> Shop {
    let shop = Shop::open().await;
    for (sku, body) in [
        (
            "85123A",
            json!({"name": "White hanging heart T-light holder", "prices": [],
                "translations": {"de": {"name": "Weißer Teelichthalter mit Herz"}, "fr": {"name": "Bougeoir cœur crème"}}}),
        ),
        (
            "71053",
            json!({"name": "White metal lantern", "description": "For candles outside.", "prices": [],
                "attributes": {"brand": "Brocante"}}),
        ),
        (
            "84406B",
            json!({"name": "Cream cupid hearts coat hanger", "prices": []}),
        ),
        (
            "TEA",
            json!({"name": "Sencha", "prices": [], "translations": {"ja": {"name": "日本茶 煎茶"}}}),
        ),
        (
            "OLD",
            json!({"name": "White lantern of old", "prices": [], "status": "archived"}),
        ),
    ] {
        assert_eq!(shop.put(sku, body).await.status, 201, "{sku}");
    }
    shop
}

#[tokio::test]
async fn words_are_found_by_stem_beginning_misspelling_and_in_any_language() {
    let shop = shop().await;
    for (q, expected) in [
        ("lantern", vec!["71053"]),
        ("lanterns", vec!["71053"]),
        ("LANTERN white", vec!["71053"]),
        ("lan", vec!["71053"]),
        ("lan ", vec![]),
        ("lantren", vec!["71053"]),
        ("lanern metall", vec!["71053"]),
        ("lantern heart", vec![]),
        ("heart hang", vec!["84406B", "85123A"]),
        ("candle", vec!["71053"]),
        ("brocante", vec!["71053"]),
        ("weisser", vec!["85123A"]),
        ("weißer teelicht", vec!["85123A"]),
        ("creme coeur", vec!["85123A"]),
        ("crème", vec!["85123A"]),
        ("日本", vec!["TEA"]),
        ("煎", vec!["TEA"]),
        ("85123a", vec!["85123A"]),
        ("8512", vec!["85123A"]),
        ("zzz", vec![]),
    ] {
        let mut url = reqwest::Url::parse("http://x/").unwrap();
        url.query_pairs_mut().append_pair("q", q);
        let mut found = skus(&shop.get(&format!("?{}", url.query().unwrap())).await.body);
        found.sort();
        assert_eq!(found, expected, "{q}");
    }
    assert_eq!(skus(&shop.get("?q=herzen&lang=de").await.body), ["85123A"]);
    let all = skus(&shop.get("?q=lantern&include=all").await.body);
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn the_best_comes_first_and_pages_hold_each_once() {
    let shop = Shop::open().await;
    let told = |name: &str, description: &str| json!({"name": name, "description": description, "prices": []});
    shop.put(
        "in-text",
        told("A thing", "It looks like a lamp, and is none."),
    )
    .await;
    shop.put("in-name", told("A lamp", "")).await;
    shop.put("lamp", told("A thing", "")).await;
    assert_eq!(shop.skus("q=lamp").await, ["lamp", "in-name", "in-text"]);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = shop.get(&format!("?q=lamp&limit=1{cursor}")).await.body;
        seen.extend(skus(&page));
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["lamp", "in-name", "in-text"]);
    let other = shop.get(&format!("?q=lamps&limit=1{cursor}")).await;
    assert_eq!(other.problem(), (400, "invalid_cursor", "query/cursor"));
}

#[tokio::test]
async fn a_search_that_cannot_be_is_refused_and_operators_are_no_syntax() {
    let shop = shop().await;
    let many = "a+".repeat(17);
    let long = "x".repeat(10_000);
    for q in [
        "%26",
        "%7C+!",
        "%3C-%3E",
        ":*",
        "%27",
        many.as_str(),
        long.as_str(),
    ] {
        let refused = shop.get(&format!("?q={q}")).await;
        assert_eq!(refused.problem(), (400, "invalid_query", "query/q"), "{q}");
    }
    for q in [
        "lantern+%26",
        "lantern+%7C+!",
        "%27lantern%27:*",
        "(lantern",
        "lantern%5C",
    ] {
        assert_eq!(shop.skus(&format!("q={q}")).await, ["71053"], "{q}");
    }
    assert_eq!(
        shop.skus("q=!lantern+metal").await,
        ["71053"],
        "no word is a negation"
    );
}

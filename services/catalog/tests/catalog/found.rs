//! What searches find in a shop where many products have the words.

use serde_json::{Value, json};

use crate::harness::{Shop, skus};
use crate::kept::{all_pages, import};

/// More than a search looks at.
const MANY: usize = 1_300;

fn line(sku: &str, rest: &Value) -> String {
    let mut line = json!({"sku": sku, "prices": []});
    let rest = rest.as_object().into_iter().flatten();
    for (name, value) in rest {
        line[name] = value.clone();
    }
    line.to_string()
}

#[tokio::test]
async fn a_filter_finds_all_that_there_is_among_many_with_the_word() {
    let shop = Shop::open().await;
    let price = |amount: &str| json!([{"currency": "GBP", "amount": amount}]);
    // The longer name is the worse hit: of any thousand lamps none of the last ones need be there.
    let lines = (0..MANY).map(|number| {
        let few = number >= MANY - 20;
        let rest = json!({
            "name": if few { "lamp of brass with a long shade" } else { "lamp" },
            "category": if few { "few" } else { "many" },
            "attributes": {"finish": if few { "matt" } else { "bright" }},
            "prices": price(if few { "9.99" } else { "2.50" }),
        });
        line(&format!("s{number:04}"), &rest)
    });
    import(&shop, lines).await;
    let expected: Vec<_> = (MANY - 20..MANY).map(|n| format!("s{n:04}")).collect();
    for filter in [
        "category=few",
        "attributes=finish:matt",
        "currency=GBP&price_min=9.90&price_max=10",
        "currency=GBP&price_min=9.99",
        "category=few&attributes=finish:matt&currency=GBP&price_max=9.99",
    ] {
        for limit in [3, 100] {
            let found = all_pages(&shop, &format!("q=lamp&{filter}&limit={limit}")).await;
            assert_eq!(found, expected, "{filter}, {limit}");
        }
        let counted = shop.get(&format!("?q=lamp&{filter}&facets=true")).await;
        let facets = &counted.body["facets"];
        assert_eq!(facets["products"], 20, "{filter}: {facets}");
        assert_eq!(facets["is_exact"], true, "{filter}: {facets}");
    }
    // What is not for sale is for staff only.
    let draft = json!({"name": "lamp", "status": "draft", "category": "few", "prices": []});
    assert_eq!(shop.put("draft", draft).await.status, 201);
    let found = all_pages(&shop, "q=lamp&category=few&include=all&limit=100").await;
    assert_eq!(found.len(), 21);
    assert_eq!(found[0], "draft", "the shortest name");
}

#[tokio::test]
async fn counts_of_more_than_a_search_looks_at_are_not_called_exact() {
    let shop = Shop::open().await;
    let lines = (0..MANY).map(|number| line(&format!("s{number:04}"), &json!({"name": "lamp"})));
    import(&shop, lines).await;
    let facets = shop.get("?q=lamp&facets=true").await.body["facets"].clone();
    assert_eq!(facets["products"], 1_000, "{facets}");
    assert_eq!(facets["is_exact"], false, "{facets}");
    assert_eq!(all_pages(&shop, "q=lamp&limit=100").await.len(), 1_000);
}

#[tokio::test]
async fn names_are_found_however_many_descriptions_have_their_word() {
    let shop = Shop::open().await;
    let told = json!({"name": "A thing", "description": "As light as a feather."});
    let mut lines: Vec<_> = (0..MANY)
        .map(|n| line(&format!("s{n:04}"), &told))
        .collect();
    // Some of their SKUs are sampled, most are not.
    let named = json!({"name": "A feather for your hat"});
    lines.extend((0..40).map(|n| line(&format!("N{n}"), &named)));
    import(&shop, lines.into_iter()).await;
    let found = shop.get("?q=feather&limit=100").await.body;
    let mut first: Vec<_> = skus(&found).into_iter().take(40).collect();
    first.sort_unstable();
    let mut expected: Vec<_> = (0..40).map(|n| format!("N{n}")).collect();
    expected.sort_unstable();
    assert_eq!(first, expected);
}

#[tokio::test]
async fn all_of_few_are_found_once_each() {
    let shop = Shop::open().await;
    let named = json!({"name": "a bolt"});
    let told = json!({"name": "a thing", "description": "goes with a bolt"});
    let lines = (0..300).map(|number| {
        let of = if number % 2 == 0 { &named } else { &told };
        line(&format!("s{number:03}"), of)
    });
    import(&shop, lines).await;
    let mut found = all_pages(&shop, "q=bolt&limit=70").await;
    assert!(
        found[..150].iter().all(|sku| sku.as_bytes()[3] % 2 == 0),
        "names first"
    );
    found.sort_unstable();
    let expected: Vec<_> = (0..300).map(|n| format!("s{n:03}")).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn all_of_more_than_a_few_are_found_once_each_names_first() {
    let shop = Shop::open().await;
    let named = json!({"name": "a bolt"});
    let told = json!({"name": "a thing", "description": "goes with a bolt"});
    // As many names as the sample does not hold and the indexes of names do, and fewer of all than a search looks at.
    let lines = (0..900).map(|number| {
        let of = if number % 3 == 0 { &told } else { &named };
        line(&format!("s{number:03}"), of)
    });
    import(&shop, lines).await;
    let mut found = all_pages(&shop, "q=bolt&limit=100").await;
    let is_named = |sku: &String| sku[1..].parse::<u32>().unwrap() % 3 != 0;
    assert!(found.iter().take(600).all(is_named), "names first");
    found.sort_unstable();
    let expected: Vec<_> = (0..900).map(|n| format!("s{n:03}")).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn lists_of_staff_are_of_what_is_for_sale_and_what_is_not() {
    let shop = Shop::open().await;
    // More that is not for sale than is put in order at once.
    let count = 2_400;
    let status = |number: usize| ["active", "draft", "archived"][number % 3];
    let lines = (0..count).map(|number| {
        let rest = json!({
            "name": format!("thing {}", number % 7), "status": status(number),
            "category": if number % 5 == 0 { "fifth" } else { "other" },
            "attributes": {"finish": if number % 11 == 0 { "matt" } else { "bright" }},
            "prices": [{"currency": "GBP", "amount": if number % 13 == 0 { "9.99" } else { "2.50" }}],
        });
        line(&format!("s{number:04}"), &rest)
    });
    import(&shop, lines).await;
    let lists: [(&str, &dyn Fn(usize) -> bool); 5] = [
        ("", &|_| true),
        ("category=fifth", &|n| n % 5 == 0),
        ("attributes=finish:matt", &|n| n % 11 == 0),
        ("currency=GBP&price_min=9", &|n| n % 13 == 0),
        ("category=fifth&attributes=finish:matt", &|n| n % 55 == 0),
    ];
    for (filter, has) in lists {
        let mut expected: Vec<_> = (0..count).filter(|number| has(*number)).collect();
        expected.sort_unstable_by_key(|number| (number % 7, *number));
        let sku = |number: &usize| format!("s{number:04}");
        let all: Vec<_> = expected.iter().map(sku).collect();
        expected.retain(|number| status(*number) == "active");
        let for_sale: Vec<_> = expected.iter().map(sku).collect();
        for (who, listed) in [("&include=all", all), ("", for_sale)] {
            let list = format!("{filter}{who}");
            let found = all_pages(&shop, &format!("{list}&limit=97")).await;
            assert_eq!(found, listed, "{list}");
            let counted = shop.get(&format!("?{list}&facets=true&limit=1")).await;
            let counted = &counted.body["facets"]["products"];
            assert_eq!(counted, listed.len(), "{list}");
        }
    }
}

#[tokio::test]
async fn the_whole_sku_is_first_and_hides_no_words() {
    let shop = Shop::open().await;
    // More SKUs begin so than are taken.
    let lines = (0..300).map(|number| line(&format!("P1{number:03}"), &json!({"name": "thing"})));
    let more = [
        line("P1", &json!({"name": "thing"})),
        line("other", &json!({"name": "holder for a P1"})),
    ];
    import(&shop, lines.chain(more)).await;
    let found = all_pages(&shop, "q=p1&limit=100").await;
    assert_eq!(found[0], "P1");
    assert!(found.contains(&"other".to_owned()), "{found:?}");
}

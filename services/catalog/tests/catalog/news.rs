//! What gateways are told of changes, so that they give up their copies.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use steelyard_domain::internal::paths::PRODUCTS;
use steelyard_status::{ProductsChanged, Redis, watch_products};
use steelyard_testkit::wait_for;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::harness::{Answer, SOON, Shop};

/// A gateway's ear.
struct Ear {
    heard: Arc<Mutex<Vec<ProductsChanged>>>,
    _stop: DropGuard,
}

impl Ear {
    /// Listens, and has begun to: of what is told from here on nothing is missed.
    async fn open(redis: &str) -> Self {
        let heard = Arc::<Mutex<Vec<ProductsChanged>>>::default();
        let stop = CancellationToken::new();
        let keep = Arc::clone(&heard);
        let hear = move |changed| keep.lock().unwrap().push(changed);
        watch_products(Redis::new(redis).unwrap(), stop.clone(), hear);
        let ear = Self {
            heard,
            _stop: stop.drop_guard(),
        };
        // Whoever connects is told first that it may have missed something.
        wait_for("somebody listens", SOON, async || {
            ear.take().contains(&ProductsChanged::All)
        })
        .await;
        ear
    }

    fn take(&self) -> Vec<ProductsChanged> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    /// The products that are named until `last` is; nothing may be said of all.
    async fn until(&self, last: &str) -> BTreeSet<String> {
        let mut named = BTreeSet::new();
        wait_for("the last change is heard", SOON, async || {
            for changed in self.take() {
                let ProductsChanged::Skus(skus) = changed else {
                    panic!("all are said to have changed");
                };
                named.extend(skus.iter().map(|sku| sku.as_str().to_owned()));
            }
            named.contains(last)
        })
        .await;
        named
    }
}

fn variant(of: &str, size: &str) -> Value {
    json!({"name": "A shirt", "variant_of": of, "options": {"size": size}, "prices": []})
}

#[tokio::test]
async fn with_a_variant_the_product_that_shows_it_is_told_and_the_one_that_it_left() {
    let redis = steelyard_testkit::redis().await;
    let shop = Shop::open_with(&[("REDIS_URL", &redis.url)]).await;
    let plain = json!({"name": "A shirt", "prices": []});
    for sku in ["SHIRT", "OTHER", "LONE"] {
        shop.put(sku, plain.clone()).await;
    }
    shop.put("S-M", variant("SHIRT", "M")).await;
    let ear = Ear::open(&redis.url).await;
    let mut marks = 0;
    let mut told = async || {
        // What was told before a mark is heard before it.
        marks += 1;
        let mark = format!("mark-{marks}");
        shop.put(&mark, plain.clone()).await;
        let mut named = ear.until(&mark).await;
        named.remove(&mark);
        Vec::from_iter(named)
    };
    // What was done before somebody listened may be told after it.
    told().await;

    shop.put("S-L", variant("SHIRT", "L")).await;
    assert_eq!(told().await, ["S-L", "SHIRT"], "a new one");
    let mut dearer = variant("SHIRT", "M");
    dearer["prices"] = json!([{"currency": "GBP", "amount": "9"}]);
    shop.put("S-M", dearer).await;
    assert_eq!(told().await, ["S-M", "SHIRT"], "another price");
    shop.adjust("S-M", json!({"adjust": 3, "reference": "r"}))
        .await;
    assert_eq!(told().await, ["S-M", "SHIRT"], "stock");
    let image = format!("{PRODUCTS}/S-M/images/{}", uuid::Uuid::new_v4());
    Answer::to(shop.client.request(Method::DELETE, &image)).await;
    assert_eq!(told().await, ["S-M", "SHIRT"], "an image");
    shop.put("S-M", variant("OTHER", "M")).await;
    assert_eq!(told().await, ["OTHER", "S-M", "SHIRT"], "moved");
    shop.put("S-M", plain.clone()).await;
    assert_eq!(told().await, ["OTHER", "S-M"], "on its own");
    shop.put("LONE", plain.clone()).await;
    assert_eq!(told().await, ["LONE"], "no variant");
    shop.put("NEVER", json!({"name": ""})).await;
    assert_eq!(told().await, ["NEVER"], "not even a product");
}

//! The whole way: announced, uploaded, completed, rendered, shown, removed.

use std::sync::{Arc, Mutex};

use image::GenericImageView as _;
use reqwest::{Method, StatusCode};
use serde_json::json;
use steelyard_status::{ProductsChanged, Redis, watch_products};
use steelyard_testkit::wait_for;
use tokio_util::sync::CancellationToken;

use crate::files::{jpeg, png};
use crate::shop::{CDN, SOON, Shop, Stands, path_of};

#[tokio::test]
async fn an_upload_becomes_pictures_in_a_few_widths_that_are_shown_with_the_product() {
    let shop = Shop::open().await;
    shop.product("LAMP").await;
    assert_eq!(shop.get("LAMP").await.body.get("images"), None);

    let file = jpeg(800, 600);
    let announced = shop.announce("LAMP", "image/jpeg", file.len()).await;
    assert_eq!(announced.status, StatusCode::CREATED, "{announced:?}");
    let image = &announced.body["image"];
    assert_eq!(image["status"], "pending");
    assert_eq!(image["created_by"], "Jürgen");
    let path = path_of("LAMP", &announced);
    let early = shop.complete(&path).await;
    assert_eq!(
        (early.status, &early.body["code"]),
        (StatusCode::CONFLICT, &json!("image_not_uploaded"))
    );

    assert_eq!(shop.upload(&announced, &file).await, StatusCode::OK);
    let completed = shop.complete(&path).await;
    assert_eq!(completed.status, StatusCode::ACCEPTED);
    assert_eq!(completed.body["status"], "processing");
    let image = shop.settled(&path).await;
    assert_eq!(image["status"], "ready", "{image}");
    let again = shop.complete(&path).await;
    assert_eq!(
        (again.status, again.body["status"].as_str()),
        (StatusCode::OK, Some("ready"))
    );

    let product = shop.get("LAMP").await.body;
    let shown = &product["images"][0];
    assert_eq!(shown, &image["image"]);
    assert_eq!(shown["alt"], "A lamp");
    assert_eq!(
        (&shown["width"], &shown["height"]),
        (&json!(800), &json!(600))
    );
    let renditions = shown["renditions"].as_array().unwrap();
    assert_eq!(renditions.len(), 6);
    let (webp, avif) = renditions.split_at(3);
    let srcset = shown["srcset"].as_str().unwrap();
    let source = &shown["sources"][0];
    assert_eq!(source["type"], "image/avif");
    for (rendition, width) in avif.iter().zip([320, 640, 800]) {
        let url = rendition["url"].as_str().unwrap();
        let listed = source["srcset"].as_str().unwrap();
        assert!(listed.contains(&format!("{url} {width}w")), "{listed}");
        let key = url.strip_prefix(&format!("{CDN}/")).unwrap();
        let object = shop.bucket.get(key, 1 << 20).await.unwrap();
        assert_eq!(object.content_type.as_deref(), Some("image/avif"));
        assert_eq!(&object.body[4..12], b"ftypavif");
    }
    for (rendition, width) in webp.iter().zip([320, 640, 800]) {
        assert_eq!(rendition["width"], width);
        let url = rendition["url"].as_str().unwrap();
        assert!(srcset.contains(&format!("{url} {width}w")), "{srcset}");
        // What the CDN would get from S3.
        let key = url.strip_prefix(&format!("{CDN}/")).unwrap();
        let head = shop.bucket.head(key).await.unwrap().unwrap();
        assert_eq!(head.content_type.as_deref(), Some("image/webp"));
        assert!(head.cache_control.unwrap().contains("immutable"));
        assert_eq!(head.bytes, rendition["bytes"].as_u64().unwrap());
        let object = shop.bucket.get(key, 1 << 20).await.unwrap();
        let picture = image::load_from_memory(&object.body).unwrap();
        assert_eq!(picture.dimensions(), (width, width * 3 / 4));
    }
    assert_eq!(shown["src"], renditions[1]["url"]);
    let page = shop.get("?q=lamp").await;
    assert_eq!(page.body["data"][0]["images"][0], *shown);

    let removed = shop.call(Method::DELETE, &path, None).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    assert_eq!(shop.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(shop.get("LAMP").await.body.get("images"), None);
    let again = shop.call(Method::DELETE, &path, None).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    let by: String = sqlx::query_scalar("SELECT removed_by FROM images")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert_eq!(by, "Jürgen");
}

#[tokio::test]
async fn who_follows_the_catalogs_events_hears_of_a_product_that_is_shown_with_other_images() {
    let shop = Shop::open().await;
    shop.product("LAMP").await;
    assert_eq!(shop.events(1).await, ["product.changed LAMP 1"]);
    let path = shop.bring("LAMP", "image/png", &png(40, 30)).await;
    assert_eq!(shop.settled(&path).await["status"], "ready");
    assert_eq!(shop.events(1).await, ["product.changed LAMP 1"]);
    shop.call(Method::DELETE, &path, None).await;
    // What is not shown is told to nobody.
    let refused = shop.bring("LAMP", "image/png", b"<svg/>").await;
    assert_eq!(shop.settled(&refused).await["status"], "refused");
    shop.call(Method::DELETE, &refused, None).await;
    shop.product("MUG").await;
    assert_eq!(
        shop.events(2).await,
        ["product.changed LAMP 1", "product.changed MUG 1"]
    );
}

#[tokio::test]
async fn a_product_is_shown_with_the_images_of_its_variants() {
    let shop = Shop::open().await;
    shop.product("LAMP").await;
    let body = json!({
        "name": "A red lamp", "prices": [], "variant_of": "LAMP", "options": {"colour": "red"},
    });
    let made = shop.call(Method::PUT, "LAMP-R", Some(&body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let path = shop.bring("LAMP-R", "image/png", &png(40, 30)).await;
    let image = shop.settled(&path).await["image"].clone();
    let product = shop.get("LAMP").await.body;
    assert_eq!(product.get("images"), None);
    assert_eq!(product["variants"][0]["images"][0], image);
}

#[tokio::test]
async fn gateways_hear_of_a_product_that_is_shown_with_a_variants_new_image() {
    let stands = Stands::with_redis().await;
    // Nobody works on images yet.
    let shop = Shop::start(Arc::clone(&stands), 0).await;
    shop.is_ready().await;
    let heard = Arc::<Mutex<Vec<ProductsChanged>>>::default();
    let hear = {
        let heard = Arc::clone(&heard);
        move |changed| heard.lock().unwrap().push(changed)
    };
    let stop = CancellationToken::new();
    let redis = Redis::new(&stands.redis.as_ref().unwrap().url).unwrap();
    watch_products(redis, stop.clone(), hear);
    let _stop = stop.drop_guard();
    let is_heard = |sku: &str| {
        let heard = heard.lock().unwrap();
        heard.iter().any(|changed| match changed {
            ProductsChanged::Skus(skus) => skus.iter().any(|heard| heard.as_str() == sku),
            ProductsChanged::All => false,
        })
    };
    shop.product("LAMP").await;
    let body = json!({
        "name": "A red lamp", "prices": [], "variant_of": "LAMP", "options": {"colour": "red"},
    });
    shop.call(Method::PUT, "LAMP-R", Some(&body)).await;
    let path = shop.bring("LAMP-R", "image/png", &png(40, 30)).await;
    // All that calls tell was told once this is.
    wait_for("somebody listens", SOON, async || {
        shop.product("MARK").await;
        is_heard("MARK")
    })
    .await;
    shop.product("LAST").await;
    wait_for("all calls are told", SOON, async || is_heard("LAST")).await;
    heard.lock().unwrap().clear();
    let worker = Shop::start(stands, 1).await;
    worker.is_ready().await;
    assert_eq!(shop.settled(&path).await["status"], "ready");
    wait_for("both are told", SOON, async || {
        is_heard("LAMP-R") && is_heard("LAMP")
    })
    .await;
}

#[tokio::test]
async fn images_are_shown_in_the_order_in_which_they_came_and_of_their_own_product_only() {
    let shop = Shop::open().await;
    shop.product("LAMP").await;
    shop.product("MUG").await;
    let first = shop.bring("LAMP", "image/png", &png(40, 30)).await;
    let second = shop.bring("LAMP", "image/png", &png(50, 30)).await;
    for path in [&first, &second] {
        assert_eq!(shop.settled(path).await["status"], "ready");
    }
    let images = shop.get("LAMP").await.body["images"].clone();
    assert_eq!(
        (&images[0]["width"], &images[1]["width"]),
        (&json!(40), &json!(50))
    );
    let listed = shop.get("LAMP/images").await.body;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    assert_eq!(shop.get("MUG").await.body.get("images"), None);
    let id = first.rsplit('/').next().unwrap();
    let others = format!("MUG/images/{id}");
    assert_eq!(shop.get(&others).await.status, StatusCode::NOT_FOUND);
    let removed = shop.call(Method::DELETE, &others, None).await;
    assert_eq!(removed.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_task_that_comes_twice_or_for_what_is_gone_does_nothing() {
    let shop = Shop::open().await;
    shop.product("LAMP").await;
    let path = shop.bring("LAMP", "image/png", &png(40, 30)).await;
    let image = shop.settled(&path).await;
    let id = path.rsplit('/').next().unwrap();
    shop.send(&format!(r#"{{"v":1,"image_id":"{id}"}}"#)).await;
    shop.send(r#"{"v":1,"image_id":"83da7b84-a1ef-80a2-a6a4-f82d31aa9bb5"}"#)
        .await;
    // What stood behind them is done: so are they.
    let next = shop.bring("LAMP", "image/png", &png(50, 30)).await;
    shop.settled(&next).await;
    assert_eq!(shop.get(&path).await.body, image);
    assert_eq!(shop.dead_letters().await, 0);
}

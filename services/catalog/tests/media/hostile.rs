//! Whatever is uploaded harms nothing: it is refused, and the next one is worked on.

use reqwest::StatusCode;
use serde_json::json;
use steelyard_testkit::wait_for;

use crate::files::{bomb, jpeg, png};
use crate::shop::{SOON, Shop, path_of};

#[tokio::test]
async fn what_is_no_picture_that_can_be_shown_is_refused_and_nothing_of_it_is_kept() {
    let shop = Shop::open().await;
    shop.product("LAMP").await;
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let html = b"<!doctype html><script>alert(document.cookie)</script>";
    // A GIF that is a script as well.
    let gif = b"GIF89a/*\x01\0\x01\0*/=1;alert(1)";
    let whole = jpeg(300, 200);
    let mut broken = png(64, 64);
    let middle = broken.len() / 2;
    broken[middle..].fill(0);
    for (content_type, file, code) in [
        ("image/png", &svg[..], "not_an_image"),
        ("image/jpeg", &html[..], "not_an_image"),
        ("image/webp", &gif[..], "not_an_image"),
        ("image/jpeg", &bomb()[..], "too_many_pixels"),
        ("image/png", &whole[..], "wrong_type"),
        ("image/png", &broken[..], "undecodable"),
        ("image/webp", &b"RIFF\x04\0\0\0WEBP"[..], "undecodable"),
    ] {
        let path = shop.bring("LAMP", content_type, file).await;
        let image = shop.settled(&path).await;
        assert_eq!(image["status"], "refused", "{code}: {image}");
        assert_eq!(image["refusal"]["code"], code, "{image}");
        let id = path.rsplit('/').next().unwrap();
        wait_for("its upload is gone", SOON, async || {
            shop.keys(&format!("uploads/{id}")).await.is_empty()
        })
        .await;
    }
    assert_eq!(shop.get("LAMP").await.body.get("images"), None);
    assert_eq!(shop.keys("").await, [""; 0]);

    // The worker is as well as before.
    let path = shop.bring("LAMP", "image/jpeg", &whole).await;
    assert_eq!(shop.settled(&path).await["status"], "ready");
    assert_eq!(shop.dead_letters().await, 0);
}

#[tokio::test]
async fn what_cannot_be_announced_is_refused_with_its_place() {
    let shop = Shop::open().await;
    shop.product("LAMP").await;
    let refused = shop.announce("LAMP", "image/svg+xml", 1_000).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.body["errors"][0]["pointer"], "/content_type");
    let refused = shop.announce("LAMP", "image/png", 1 << 30).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.body["errors"][0]["pointer"], "/bytes");
    let unknown = shop.announce("NONE", "image/png", 1_000).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);

    for _ in 0..50 {
        let announced = shop.announce("LAMP", "image/png", 1_000).await;
        assert_eq!(announced.status, StatusCode::CREATED);
    }
    let refused = shop.announce("LAMP", "image/png", 1_000).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (StatusCode::CONFLICT, &json!("too_many_images"))
    );
}

#[tokio::test]
async fn another_file_than_was_announced_does_not_get_into_the_store() {
    let shop = Shop::open().await;
    shop.product("LAMP").await;
    let file = png(40, 30);
    let announced = shop.announce("LAMP", "image/png", file.len()).await;
    let longer = [&file[..], &[0; 1 << 20]].concat();
    assert_eq!(
        shop.upload(&announced, &longer).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        shop.upload(&announced, &file[1..]).await,
        StatusCode::FORBIDDEN
    );
    let completed = shop.complete(&path_of("LAMP", &announced)).await;
    assert_eq!(completed.status, StatusCode::CONFLICT);
    assert_eq!(shop.keys("").await, [""; 0]);
}

#[tokio::test]
async fn a_message_that_is_no_task_is_parked() {
    let shop = Shop::open().await;
    shop.send("<svg onload=alert(1)>").await;
    wait_for("it is parked", SOON, async || {
        shop.dead_letters().await == 1
    })
    .await;
}

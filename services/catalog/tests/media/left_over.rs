//! What is left over: by crashes, outages, clients that go away, and removals.

use reqwest::StatusCode;
use steelyard_testkit::wait_for;

use crate::files::png;
use crate::shop::{SOON, Shop, Stands, path_of};

#[tokio::test]
async fn while_s3_is_away_uploads_wait_and_nothing_is_refused_or_parked() {
    let stands = Stands::new().await;
    // Takes requests only.
    let office = Shop::start(stands, 0).await;
    office.is_ready().await;
    office.product("LAMP").await;
    let path = office.bring("LAMP", "image/png", &png(40, 30)).await;

    let stands = office.stands();
    stands.s3_proxy.refuse();
    let worker = Shop::start(office.stands(), 1).await;
    wait_for("the worker waits for S3", SOON, async || {
        let readiness = worker.readiness().await;
        readiness.is_some_and(|text| text.contains("s3"))
    })
    .await;
    assert_eq!(office.get(&path).await.body["status"], "processing");
    stands.s3_proxy.restore();
    assert_eq!(office.settled(&path).await["status"], "ready");
    assert_eq!(office.dead_letters().await, 0);
}

#[tokio::test]
async fn an_upload_that_nobody_was_told_of_is_announced_again() {
    let shop = Shop::open().await;
    shop.product("LAMP").await;
    let file = png(40, 30);
    let announced = shop.announce("LAMP", "image/png", file.len()).await;
    shop.upload(&announced, &file).await;
    // As a crash between the row and its message leaves it.
    sqlx::query("UPDATE images SET state = 'processing', announce_at = now()")
        .execute(&shop.pool)
        .await
        .unwrap();
    let path = path_of("LAMP", &announced);
    assert_eq!(shop.settled(&path).await["status"], "ready");
}

#[tokio::test]
async fn uploads_that_nobody_completed_and_renditions_of_removed_images_are_cleared_away() {
    let shop = Shop::open().await;
    shop.product("LAMP").await;
    let file = png(400, 300);
    let kept = shop.bring("LAMP", "image/png", &file).await;
    let removed = shop.bring("LAMP", "image/png", &file).await;
    for path in [&kept, &removed] {
        assert_eq!(shop.settled(path).await["status"], "ready");
    }
    let announced = shop.announce("LAMP", "image/png", file.len()).await;
    shop.upload(&announced, &file).await;
    let abandoned = path_of("LAMP", &announced);
    shop.call(reqwest::Method::DELETE, &removed, None).await;
    // Each upload, and two renditions in two formats of each image that was ready.
    assert_eq!(shop.keys("").await.len(), 11);

    for path in [&kept, &removed, &abandoned] {
        shop.age(path, 2).await;
    }
    wait_for("the abandoned one is given up", SOON, async || {
        shop.get(&abandoned).await.status == StatusCode::NOT_FOUND
    })
    .await;
    // A worker may still be about to put pictures.
    assert_eq!(shop.keys("").await.len(), 11);
    let aged = "UPDATE images SET removed_at = removed_at - interval '1 hour'";
    sqlx::query(aged).execute(&shop.pool).await.unwrap();
    wait_for("only what is shown is left", SOON, async || {
        shop.keys("").await.len() == 5
    })
    .await;
    let id = kept.rsplit('/').next().unwrap();
    assert!(shop.keys("").await.iter().all(|key| key.contains(id)));
    wait_for(
        "of the others it is known who removed them",
        SOON,
        async || {
            let removed = "SELECT removed_by FROM images WHERE state = 'removed'";
            let removed = sqlx::query_scalar::<_, Option<String>>(removed);
            let removed = removed.fetch_all(&shop.pool).await;
            removed.unwrap() == [Some("Jürgen".to_owned())]
        },
    )
    .await;
    assert_eq!(shop.get(&kept).await.body["status"], "ready");
}

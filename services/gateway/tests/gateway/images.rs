//! Images: what goes through the gateway is how to upload them, and what became of them.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Canned, Peer, Setting};

const ID: &str = "83da7b84-a1ef-80a2-a6a4-f82d31aa9bb5";

#[tokio::test]
async fn calls_about_images_are_passed_on_with_the_name_of_who_makes_them() {
    let catalog = Peer::start().await;
    let setting = Setting {
        catalog: catalog.url.clone(),
        ..Setting::default()
    };
    let gateway = setting.start().await;
    let by = |method: Method, path: &str| gateway.by("Jürgen K.", "catalog:write", method, path);
    let images = "/internal/products/A%2FB/images";
    let one = format!("{images}/{ID}");
    let complete = format!("{one}/complete");
    for path in [images, &one, &complete] {
        catalog.say(path, Canned::json(&json!({"id": ID})));
    }
    let body = json!({"content_type": "image/png", "bytes": 9});
    let announced = by(Method::POST, "/v1/products/A%2FB/images").json(&body);
    assert_eq!(announced.send().await.unwrap().status(), StatusCode::OK);
    for (method, path) in [
        (Method::GET, "/v1/products/A%2FB/images".to_owned()),
        (Method::GET, format!("/v1/products/A%2FB/images/{ID}")),
        (Method::DELETE, format!("/v1/products/A%2FB/images/{ID}")),
        (
            Method::POST,
            format!("/v1/products/A%2FB/images/{ID}/complete"),
        ),
    ] {
        let answer = by(method, &path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    let seen = catalog.seen();
    let asked = seen.iter().map(|seen| (seen.method.clone(), &*seen.path));
    let expected = [
        (Method::POST, images),
        (Method::GET, images),
        (Method::GET, &one),
        (Method::DELETE, &one),
        (Method::POST, &complete),
    ];
    assert_eq!(asked.collect::<Vec<_>>(), expected);
    for seen in &seen {
        assert_eq!(seen.headers["x-on-behalf-of"], "J%C3%BCrgen%20K.");
    }
    assert_eq!(seen[0].body, body.to_string());
}

#[tokio::test]
async fn what_is_no_image_id_leads_nowhere() {
    let catalog = Peer::start().await;
    let setting = Setting {
        catalog: catalog.url.clone(),
        ..Setting::default()
    };
    let gateway = setting.start().await;
    for id in ["1", "%2E%2E", "..%2F..%2Freservations", "%00"] {
        let path = format!("/v1/products/TEA/images/{id}/complete");
        let answer = gateway.by("office", "catalog:write", Method::POST, &path);
        let answer = answer.send().await.unwrap();
        assert!(answer.status().is_client_error(), "{id}");
    }
    assert!(catalog.seen().is_empty());
}

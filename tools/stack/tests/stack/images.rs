//! An image's whole way, as docs/API.md shows it.

use std::time::Duration;

use nix::sys::signal::Signal;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use steelyard_testkit::wait_for;

use crate::support::{Running, data_dir};

/// Rendered in a build that is not optimized, on a busy machine.
const READY_MAX: Duration = Duration::from_secs(120);
const PRODUCT: &str = "/v1/products/TEA-EARL-100";
/// 400 × 300 pixels, red above and blue below.
const FLAG: &[u8] = include_bytes!("files/flag.png");

async fn json_of(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn an_image_that_is_uploaded_to_the_stacks_s3_is_shown_with_its_product() {
    let data = data_dir();
    let mut stack = Running::start(data.path(), &[]).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let office = |method: Method, path: &str| {
        let request = client.request(method, stack.url(path));
        request.bearer_auth(&stack.file.tokens["catalog"])
    };
    let body = json!({ "content_type": "image/png", "bytes": FLAG.len(), "alt": "A flag" });
    let announced = office(Method::POST, &format!("{PRODUCT}/images")).json(&body);
    let announced = json_of(announced).await;
    let upload = announced["upload"]["url"].as_str().unwrap();
    let put = client.put(upload).header("content-type", "image/png");
    let put = put.body(FLAG).send().await.unwrap();
    assert!(put.status().is_success(), "{}", put.text().await.unwrap());
    let image = format!(
        "{PRODUCT}/images/{}",
        announced["image"]["id"].as_str().unwrap()
    );
    json_of(office(Method::POST, &format!("{image}/complete"))).await;

    let mut shown = Value::Null;
    wait_for("the product is shown with it", READY_MAX, async || {
        shown = json_of(client.get(stack.url(PRODUCT))).await["images"][0].clone();
        shown.is_object()
    })
    .await;
    assert_eq!(
        (&shown["alt"], &shown["width"], &shown["height"]),
        (&json!("A flag"), &json!(400), &json!(300))
    );
    let renditions = shown["renditions"].as_array().unwrap();
    assert_eq!(renditions.len(), 4, "{shown}");
    for rendition in renditions {
        let answer = client.get(rendition["url"].as_str().unwrap()).send();
        let answer = answer.await.unwrap();
        assert!(answer.status().is_success(), "{rendition}");
        assert_eq!(
            answer.headers()["content-type"],
            rendition["content_type"].as_str().unwrap()
        );
        let bytes = answer.bytes().await.unwrap().len();
        assert_eq!(rendition["bytes"], bytes);
    }
    // What was uploaded is nobody's to read.
    let uploaded = upload.split('?').next().unwrap();
    let read = client.get(uploaded).send().await.unwrap();
    assert_eq!(read.status(), 403);

    let stopped = stack.stop(Signal::SIGINT).await;
    assert_eq!(stopped, Some(0), "{}", stack.said());
}

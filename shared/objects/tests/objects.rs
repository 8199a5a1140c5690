//! Against an S3 server in this process.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use sha2::{Digest as _, Sha256};
use steelyard_objects::{
    Bucket, Class, Error, Head, Kept, PART_BYTES_MIN, Restored, S3Config, S3Credentials,
    SignedForm, SignedRequest, Upload,
};
use steelyard_testkit::{TestS3, proxy, s3};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const TTL: Duration = Duration::from_mins(15);
const PICTURE: Upload<'_> = Upload {
    key: "uploads/1",
    content_type: "image/png",
};

fn config(server: &TestS3, url: String) -> S3Config {
    S3Config {
        region: Some("eu-central-1".to_owned()),
        endpoint_url: Some(url),
        credentials: S3Credentials::Static {
            access_key_id: server.access_key().to_owned(),
            secret_access_key: server.secret_key().to_owned(),
        },
    }
}

async fn start() -> (TestS3, Bucket) {
    let server = s3(&["media"]).await;
    let bucket = Bucket::connect(config(&server, server.url()), "media").await;
    (server, bucket)
}

#[tokio::test]
async fn where_something_is_nothing_new_is_put() {
    let (_server, bucket) = start().await;
    let kept = Kept::new("text/plain");
    let put = async |body: &'static str| {
        let sha256 = Sha256::digest(body).into();
        let body = Bytes::from_static(body.as_bytes());
        bucket.put_new("a", body, sha256, &kept).await.unwrap()
    };
    assert!(put("first").await);
    assert!(!put("second").await);
    assert_eq!(bucket.get("a", 10).await.unwrap().body, "first");
}

#[tokio::test]
async fn bytes_that_are_not_what_their_hash_says_are_refused() {
    let (_server, bucket) = start().await;
    let kept = Kept::new("text/plain");
    let (meant, garbled) = (Sha256::digest("meant"), Bytes::from_static(b"garbled"));
    let put = bucket.put_hashed("a", garbled.clone(), meant.into(), &kept);
    let refused = put.await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    let put = bucket.put_new("b", garbled, meant.into(), &kept);
    let refused = put.await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
}

#[tokio::test]
async fn an_object_is_put_read_whole_and_in_part_listed_and_removed() {
    let (_server, bucket) = start().await;
    let kept = Kept::new("image/webp").cached_for_ever();
    let body = Bytes::from_static(b"0123456789");
    bucket.put("a/1.webp", body.clone(), &kept).await.unwrap();
    bucket.put("a/2.webp", body.clone(), &kept).await.unwrap();
    bucket.put("b/3 ü.webp", body.clone(), &kept).await.unwrap();

    let whole = bucket.get("a/1.webp", 10).await.unwrap();
    assert_eq!(whole.body, body);
    assert_eq!(whole.content_type.as_deref(), Some("image/webp"));
    let too_large = bucket.get("a/1.webp", 9).await.unwrap_err();
    assert_eq!(too_large, Error::TooLarge { bytes_max: 9 });
    assert_eq!(bucket.range("a/1.webp", 2..5).await.unwrap(), "234");
    assert_eq!(bucket.range("a/1.webp", 8..99).await.unwrap(), "89");
    assert_eq!(bucket.range("a/1.webp", 5..5).await.unwrap(), "");
    assert!(
        !bucket
            .range("a/1.webp", 10..20)
            .await
            .unwrap_err()
            .is_outage()
    );
    let head = bucket.head("b/3 ü.webp").await.unwrap();
    let expected = Head {
        content_type: Some("image/webp".to_owned()),
        cache_control: Some("public, max-age=31536000, immutable".to_owned()),
        bytes: 10,
        class: Class::Standard,
        restored: Restored::Never,
    };
    assert_eq!(head, Some(expected));

    let keys = async |prefix: &str, after: Option<&str>| -> Vec<String> {
        let listed = bucket.list(prefix, after).await.unwrap();
        listed.into_iter().map(|object| object.key).collect()
    };
    assert_eq!(keys("a/", None).await, ["a/1.webp", "a/2.webp"]);
    assert_eq!(keys("a/", Some("a/1.webp")).await, ["a/2.webp"]);
    bucket.delete("a/1.webp").await.unwrap();
    bucket.delete("a/1.webp").await.unwrap();
    assert_eq!(keys("", None).await, ["a/2.webp", "b/3 ü.webp"]);
}

#[tokio::test]
async fn an_object_of_parts_is_there_when_all_of_them_are() {
    let (_server, bucket) = start().await;
    let kept = Kept::new("application/zip");
    let first = Bytes::from(vec![b'1'; PART_BYTES_MIN]);
    let mut upload = bucket.begin("a.zip", &kept).await.unwrap();
    upload.part(first.clone()).await.unwrap();
    assert_eq!(bucket.head("a.zip").await.unwrap(), None);
    upload.part(Bytes::from_static(b"2")).await.unwrap();
    upload.complete().await.unwrap();
    let head = bucket.head("a.zip").await.unwrap().unwrap();
    assert_eq!(head.bytes, first.len() as u64 + 1);
    let end = bucket.range("a.zip", head.bytes - 2..head.bytes).await;
    assert_eq!(end.unwrap(), "12");

    let mut given_up = bucket.begin("b.zip", &kept).await.unwrap();
    given_up.part(first).await.unwrap();
    bucket.abort("b.zip", given_up.id()).await.unwrap();
    assert_eq!(bucket.head("b.zip").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_missing_is_told_from_an_outage() {
    let (server, bucket) = start().await;
    assert_eq!(bucket.head("none").await.unwrap(), None);
    let missing = bucket.get("none", 1).await.unwrap_err();
    assert_eq!(missing, Error::NotFound("none".to_owned()));
    assert!(bucket.is_well().await);

    let elsewhere = Bucket::connect(config(&server, server.url()), "elsewhere").await;
    assert!(!elsewhere.is_well().await);
    let listed = elsewhere.list("", None).await.unwrap_err();
    assert_eq!(listed, Error::NoSuchBucket("elsewhere".to_owned()));

    let stranger = S3Config {
        credentials: S3Credentials::Static {
            access_key_id: server.access_key().to_owned(),
            secret_access_key: "not the secret".to_owned(),
        },
        ..config(&server, server.url())
    };
    let stranger = Bucket::connect(stranger, "media").await;
    let denied = stranger.get("none", 1).await.unwrap_err();
    assert!(matches!(denied, Error::Denied { .. }), "{denied}");
    assert!(denied.is_outage());

    let proxy = proxy(server.address());
    let away = config(&server, format!("http://{}", proxy.address()));
    let away = Bucket::connect(away, "media").await;
    assert!(away.is_well().await);
    proxy.refuse();
    let body = Bytes::from_static(b"x");
    let put = away.put("a", body, &Kept::new("text/plain")).await;
    assert!(put.unwrap_err().is_outage());
    assert!(!away.is_well().await);
    proxy.restore();
    assert_eq!(away.head("a").await.unwrap(), None);
}

async fn send(
    request: &SignedRequest,
    change: impl Fn(&mut BTreeMap<String, String>),
    body: &str,
) -> StatusCode {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut headers = request.headers.clone();
    change(&mut headers);
    // The client sets the length of what it sends.
    headers.remove("content-length");
    let mut sent = client.request(request.method.parse().unwrap(), &request.url);
    for (name, value) in &headers {
        sent = sent.header(name, value);
    }
    sent.body(body.to_owned()).send().await.unwrap().status()
}

#[tokio::test]
async fn a_presigned_put_takes_just_what_was_signed() {
    let (server, bucket) = start().await;
    let put = bucket.presign_put(&PICTURE, 5, TTL).await.unwrap();
    assert_eq!(put.method, "PUT");
    let expected = BTreeMap::from([
        ("content-length".to_owned(), "5".to_owned()),
        ("content-type".to_owned(), "image/png".to_owned()),
    ]);
    assert_eq!(put.headers, expected);

    let svg = |headers: &mut BTreeMap<String, String>| {
        headers.insert("content-type".to_owned(), "image/svg+xml".to_owned());
    };
    let untold = |headers: &mut BTreeMap<String, String>| {
        headers.remove("content-type");
    };
    assert_eq!(send(&put, svg, "12345").await, StatusCode::FORBIDDEN);
    assert_eq!(send(&put, untold, "12345").await, StatusCode::FORBIDDEN);
    for body in ["1234", "123456"] {
        assert_eq!(send(&put, |_| (), body).await, StatusCode::FORBIDDEN);
    }
    let other_key = SignedRequest {
        url: put.url.replace("uploads/1", "uploads/2"),
        ..put.clone()
    };
    assert_eq!(
        send(&other_key, |_| (), "12345").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(bucket.list("", None).await.unwrap(), []);

    assert_eq!(send(&put, |_| (), "12345").await, StatusCode::OK);
    let object = bucket.get(PICTURE.key, 5).await.unwrap();
    assert_eq!(object.content_type.as_deref(), Some("image/png"));
    assert_eq!(object.body, "12345");

    let get = bucket.presign_get(PICTURE.key, TTL, Some("a b.png")).await;
    let got = reqwest::get(get.unwrap().url).await.unwrap();
    assert_eq!(got.status(), StatusCode::OK);
    let named = "attachment; filename=\"a b.png\"; filename*=UTF-8''a%20b.png";
    assert_eq!(got.headers()["content-disposition"], named);
    assert_eq!(got.text().await.unwrap(), "12345");
    drop(server);
}

#[tokio::test]
async fn a_gigabyte_is_refused_before_it_is_sent() {
    let (server, bucket) = start().await;
    let put = bucket.presign_put(&PICTURE, 5, TTL).await.unwrap();
    let address = server.address();
    let target = put.url.split(&address.to_string()).nth(1).unwrap();
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: {address}\r\ncontent-type: image/png\r\n\
         content-length: 1073741824\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // Nothing of the body is sent: the answer comes from the head alone.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
    assert_eq!(bucket.list("", None).await.unwrap(), []);
}

/// A browser's form: the fields, then the file.
async fn post(
    form: &SignedForm,
    change: impl Fn(&mut BTreeMap<String, String>),
    file: &str,
) -> StatusCode {
    const EDGE: &str = "edge-of-the-form";
    let mut fields = form.fields.clone();
    change(&mut fields);
    let mut body = String::new();
    for (name, value) in &fields {
        body += &format!(
            "--{EDGE}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
    }
    body += &format!(
        "--{EDGE}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\
         content-type: image/png\r\n\r\n{file}\r\n--{EDGE}--\r\n"
    );
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let kind = format!("multipart/form-data; boundary={EDGE}");
    let sent = client.post(&form.url).header("content-type", kind);
    sent.body(body).send().await.unwrap().status()
}

#[tokio::test]
async fn a_presigned_form_takes_just_what_its_policy_says() {
    let (_server, bucket) = start().await;
    let form = bucket.presign_post(&PICTURE, 5, TTL).await.unwrap();
    let with = |name: &'static str, value: &'static str| {
        move |fields: &mut BTreeMap<String, String>| {
            fields.insert(name.to_owned(), value.to_owned());
        }
    };
    for (change, file) in [
        (with("content-type", "image/svg+xml"), "12345"),
        (with("key", "uploads/2"), "12345"),
        (with("acl", "public-read"), "12345"),
        (with("x-ignore-me", ""), "123456"),
        (with("x-ignore-me", ""), ""),
    ] {
        let status = post(&form, change, file).await;
        assert!(status.is_client_error(), "{status}");
    }
    assert_eq!(bucket.list("", None).await.unwrap(), []);
    assert!(post(&form, |_| (), "1234").await.is_success());
    let object = bucket.get(PICTURE.key, 5).await.unwrap();
    assert_eq!(object.content_type.as_deref(), Some("image/png"));
    assert_eq!(object.body, "1234");
}

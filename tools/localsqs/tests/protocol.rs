//! The protocol byte by byte, as far as an SDK hides it.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::SocketAddr;

use localsqs::{Config, Server};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends one request as it is and reads the answer to its end.
async fn raw(address: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!(
        "{head}\r\nHost: sqs.test:9324\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server may refuse before it has read all of it.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: answer[end + 4..].to_vec(),
    }
}

async fn call(server: &Server, operation: &str, body: &Value) -> Answer {
    let head = format!(
        "POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.{operation}\r\nContent-Type: application/x-amz-json-1.0"
    );
    raw(server.address(), &head, body.to_string().as_bytes()).await
}

async fn server() -> Server {
    Server::start(Config::default()).await.unwrap()
}

#[tokio::test]
async fn errors_have_a_type_a_message_and_the_older_protocols_code_in_a_header() {
    let server = server().await;
    let answer = call(&server, "GetQueueUrl", &json!({ "QueueName": "none" })).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.header("content-type"),
        Some("application/x-amz-json-1.0")
    );
    assert_eq!(
        answer.header("x-amzn-query-error"),
        Some("AWS.SimpleQueueService.NonExistentQueue;Sender")
    );
    assert!(answer.header("x-amzn-requestid").is_some());
    assert_eq!(
        answer.json()["__type"],
        "com.amazonaws.sqs#QueueDoesNotExist"
    );
    assert_eq!(
        answer.json()["message"],
        "The specified queue does not exist."
    );
}

#[tokio::test]
async fn the_status_of_an_error_is_awss() {
    let server = server().await;
    call(&server, "CreateQueue", &json!({ "QueueName": "q" })).await;
    let queue = json!({ "QueueUrl": format!("{}/000000000000/q", server.url()) });
    assert_eq!(call(&server, "PurgeQueue", &queue).await.status, 200);
    assert_eq!(call(&server, "PurgeQueue", &queue).await.status, 403);
    let missing = json!({ "SourceArn": "arn:aws:sqs:us-east-1:000000000000:none" });
    assert_eq!(
        call(&server, "StartMessageMoveTask", &missing).await.status,
        404
    );
}

#[tokio::test]
async fn queue_urls_name_the_host_by_which_the_client_came_and_are_taken_with_any_host() {
    let server = server().await;
    let created = call(&server, "CreateQueue", &json!({ "QueueName": "q" })).await;
    assert_eq!(
        created.json()["QueueUrl"],
        "http://sqs.test:9324/000000000000/q"
    );
    for url in [
        "http://elsewhere:1/000000000000/q",
        "https://sqs.eu-west-1.amazonaws.com/000000000000/q",
        "q",
    ] {
        assert_eq!(
            call(&server, "ReceiveMessage", &json!({ "QueueUrl": url }))
                .await
                .status,
            200,
            "{url}"
        );
    }
    let other = json!({ "QueueUrl": "http://sqs.test:9324/999999999999/q" });
    assert_eq!(
        call(&server, "ReceiveMessage", &other).await.json()["__type"],
        "com.amazonaws.sqs#QueueDoesNotExist"
    );
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_refused_and_change_nothing() {
    let server = server().await;
    let head = |operation: &str| format!("POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.{operation}");
    for body in [
        &b""[..],
        b"{",
        b"null",
        b"[1]",
        b"\"text\"",
        b"{\"QueueName\":5}",
        b"{\"QueueName\":\"\xff\"}",
        b"{}",
    ] {
        let answer = raw(server.address(), &head("CreateQueue"), body).await;
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(body));
        assert!(answer.header("x-amzn-query-error").is_some());
    }
    for target in [
        "AmazonSQS.NoSuchAction",
        "DynamoDB_20120810.GetItem",
        "AmazonSQS.",
    ] {
        let answer = raw(
            server.address(),
            &format!("POST / HTTP/1.1\r\nX-Amz-Target: {target}"),
            b"{}",
        )
        .await;
        assert_eq!(
            (answer.status, answer.header("x-amzn-query-error")),
            (400, Some("InvalidAction;Sender")),
            "{target}"
        );
    }
    let query = b"Action=ListQueues&Version=2012-11-05";
    assert_eq!(
        raw(server.address(), "POST / HTTP/1.1", query).await.status,
        400,
        "the older protocol is not spoken"
    );
    assert_eq!(
        call(&server, "ListQueues", &json!({})).await.json(),
        json!({})
    );
}

#[tokio::test]
async fn a_request_that_is_too_long_is_refused_before_it_is_kept() {
    let server = Server::start(Config {
        request_bytes_max: 10_000,
        ..Config::default()
    })
    .await
    .unwrap();
    let answer = call(
        &server,
        "CreateQueue",
        &json!({ "QueueName": "a".repeat(20_000) }),
    )
    .await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn health_is_a_get_away() {
    let server = server().await;
    let answer = raw(server.address(), "GET /health HTTP/1.1", b"").await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "status": "ok" }))
    );
    assert_eq!(
        raw(server.address(), "GET / HTTP/1.1", b"").await.status,
        400
    );
}

#[tokio::test]
async fn what_is_stored_is_limited() {
    let server = Server::start(Config {
        stored_bytes_max: 1_000,
        ..Config::default()
    })
    .await
    .unwrap();
    call(&server, "CreateQueue", &json!({ "QueueName": "q" })).await;
    let send = |bytes: usize| json!({ "QueueUrl": "q", "MessageBody": "a".repeat(bytes) });
    assert_eq!(call(&server, "SendMessage", &send(900)).await.status, 200);
    let refused = call(&server, "SendMessage", &send(200)).await;
    assert_eq!(
        (refused.status, refused.header("x-amzn-query-error")),
        (503, Some("ServiceUnavailable;Receiver"))
    );
    let received = call(&server, "ReceiveMessage", &json!({ "QueueUrl": "q" }))
        .await
        .json();
    let handle = &received["Messages"][0]["ReceiptHandle"];
    call(
        &server,
        "DeleteMessage",
        &json!({ "QueueUrl": "q", "ReceiptHandle": handle }),
    )
    .await;
    assert_eq!(
        call(&server, "SendMessage", &send(900)).await.status,
        200,
        "a delete makes room"
    );
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = b"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: AmazonSQS.ListQueues\r\nContent-Length: 2\r\n\r\n{}";
    for _ in 0..3 {
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"{}") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

//! A client that costs as little as can be, so that the server is what is measured: one connection, texts put together
//! by hand, answers only searched for receipt handles.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1::SendRequest, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    pub(super) queue_url: String,
}

impl Connection {
    /// Connects, and creates the queue if need be.
    pub(super) async fn open(url: &str, queue: &str) -> anyhow::Result<Self> {
        let host = url
            .strip_prefix("http://")
            .context("only http:// endpoints")?
            .trim_end_matches('/')
            .to_owned();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut opened = Self {
            sender,
            host,
            queue_url: String::new(),
        };
        let attributes = if queue.ends_with(".fifo") {
            r#"{"FifoQueue":"true","DeduplicationScope":"messageGroup","FifoThroughputLimit":"perMessageGroupId"}"#
        } else {
            "{}"
        };
        let created = opened
            .call(
                "CreateQueue",
                format!(r#"{{"QueueName":"{queue}","Attributes":{attributes}}}"#),
            )
            .await?;
        let text = std::str::from_utf8(&created)?;
        let url = values(text, "\"QueueUrl\":").find_map(|rest| rest.split('"').nth(1));
        opened.queue_url = url.context("no queue URL in the answer")?.to_owned();
        Ok(opened)
    }

    pub(super) async fn call(&mut self, operation: &str, body: String) -> anyhow::Result<Bytes> {
        let request = Request::post("/")
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .header(
                header::AUTHORIZATION,
                "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0",
            )
            .body(Full::new(Bytes::from(body)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{operation}: {status} {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }

    /// Sends a batch; each entry is group, deduplication id and body.
    pub(super) async fn send(&mut self, entries: &[(String, String, &str)]) -> anyhow::Result<()> {
        let mut body = format!(r#"{{"QueueUrl":"{}","Entries":["#, self.queue_url);
        for (at, (group, id, text)) in entries.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(
                body,
                r#"{comma}{{"Id":"{at}","MessageBody":"{text}","MessageGroupId":"{group}","MessageDeduplicationId":"{id}"}}"#
            )?;
        }
        body.push_str("]}");
        let answer = self.call("SendMessageBatch", body).await?;
        if has(&answer, b"\"Failed\":[{") {
            bail!("not all were sent: {}", String::from_utf8_lossy(&answer));
        }
        Ok(())
    }

    /// Receives up to ten messages; gives their receipt handles.
    pub(super) async fn receive(
        &mut self,
        max: usize,
        wait_seconds: u32,
    ) -> anyhow::Result<Vec<String>> {
        let body = format!(
            r#"{{"QueueUrl":"{}","MaxNumberOfMessages":{max},"WaitTimeSeconds":{wait_seconds},"VisibilityTimeout":300}}"#,
            self.queue_url
        );
        let answer = self.call("ReceiveMessage", body).await?;
        let text = std::str::from_utf8(&answer)?;
        Ok(values(text, "\"ReceiptHandle\":")
            .filter_map(|rest| rest.split('"').nth(1))
            .map(str::to_owned)
            .collect())
    }

    pub(super) async fn delete(&mut self, handles: &[String]) -> anyhow::Result<()> {
        let mut body = format!(r#"{{"QueueUrl":"{}","Entries":["#, self.queue_url);
        for (at, handle) in handles.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(body, r#"{comma}{{"Id":"{at}","ReceiptHandle":"{handle}"}}"#)?;
        }
        body.push_str("]}");
        let answer = self.call("DeleteMessageBatch", body).await?;
        if has(&answer, b"\"Failed\":[{") {
            bail!("not all were deleted: {}", String::from_utf8_lossy(&answer));
        }
        Ok(())
    }
}

fn has(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

/// What stands behind each `key`.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(key)
        .map(move |(at, _)| &text[at + key.len()..])
}

//! The gateway as its clients see it.

use std::time::Duration;

use anyhow::Context;
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use steelyard_domain::api::Problem;
use tokio::time::sleep;
use url::Url;

/// Tries of one request; with the pauses below about five minutes of an absent gateway.
const TRIES_MAX: u32 = 40;
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A longer `Retry-After` is not waited for in one go.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(5);
const REQUEST_MAX: Duration = Duration::from_secs(60);
/// An import of a large catalog takes a while.
const IMPORT_MAX: Duration = Duration::from_secs(600);

/// Calls to one gateway with one token; cheap to clone.
#[derive(Clone)]
pub(crate) struct Gateway {
    http: reqwest::Client,
    base: Url,
    token: String,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The gateway said no, and would again.
    #[error("{status}: {code}: {detail}")]
    Refused {
        status: StatusCode,
        code: String,
        detail: String,
    },
    /// It did not answer, or asked to come again, more often than we do.
    #[error("the gateway gave no answer in {TRIES_MAX} tries; the last: {0}")]
    GaveUp(String),
    /// It did not answer the one call that was made.
    #[error("the gateway gave no answer: {0}")]
    NoAnswer(String),
}

impl Gateway {
    pub(crate) fn new(base: Url, token: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(REQUEST_MAX)
            .user_agent(concat!("steelyard-stack/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self { http, base, token })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// Whether the gateway answers at all.
    pub(crate) async fn reach(&self) -> anyhow::Result<()> {
        let url = self.url("/openapi.json");
        let remedy = || {
            format!(
                "nothing answers at {}; start a stack with `cargo stack`, or correct --url",
                self.base
            )
        };
        self.http
            .get(url)
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(remedy)?;
        Ok(())
    }

    /// `POST /v1/products/import`, which changes nothing when it is sent again.
    pub(crate) async fn import_products<T: DeserializeOwned>(
        &self,
        ndjson: String,
    ) -> anyhow::Result<T> {
        let url = self.url("/v1/products/import");
        let call = || {
            self.http
                .post(&url)
                .timeout(IMPORT_MAX)
                .header("content-type", "application/x-ndjson")
                .body(ndjson.clone())
        };
        Ok(self.call(call).await?.json().await?)
    }

    /// `POST /v1/orders`.
    pub(crate) async fn place_order<T: DeserializeOwned>(
        &self,
        idempotency_key: &str,
        body: &str,
    ) -> Result<T, CallError> {
        let url = self.url("/v1/orders");
        let call = || {
            self.http
                .post(&url)
                .header("content-type", "application/json")
                .header("idempotency-key", idempotency_key)
                .body(body.to_owned())
        };
        read(self.call(call).await?).await
    }

    /// `GET` of a path.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        let url = self.url(path);
        read(self.call(|| self.http.get(&url)).await?).await
    }

    /// One call, answered or not; an empty answer is null.
    pub(crate) async fn once(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        let mut request = self.http.request(method, self.url(path)).query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.bearer_auth(&self.token).send().await;
        let answer =
            answer.map_err(|error| CallError::NoAnswer(error.without_url().to_string()))?;
        if answer.status().is_success() {
            return read(answer).await;
        }
        Err(refused(answer).await)
    }

    /// Sends until there is an answer that stands: success, or a refusal. `429` and `503` are asked again after their
    /// `Retry-After`, lost connections after a growing pause. The requests are safe to repeat.
    async fn call(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, CallError> {
        let mut pause = PAUSE_FIRST;
        let mut last = String::new();
        for _ in 0..TRIES_MAX {
            let wait = match request().bearer_auth(&self.token).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) if may_come_again(answer.status()) => {
                    last = answer.status().to_string();
                    retry_after(&answer).unwrap_or(pause).min(RETRY_AFTER_MAX)
                }
                Ok(answer) => return Err(refused(answer).await),
                Err(error) => {
                    last = error.without_url().to_string();
                    pause
                }
            };
            sleep(wait).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Err(CallError::GaveUp(last))
    }
}

fn may_come_again(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY
    )
}

fn retry_after(answer: &Response) -> Option<Duration> {
    answer
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

async fn refused(answer: Response) -> CallError {
    let status = answer.status();
    let problem: Option<Problem> = answer.json().await.ok();
    let (code, detail) = problem.map_or_else(
        || ("no_problem_document".to_owned(), String::new()),
        |problem| {
            let places: Vec<String> = problem
                .errors
                .iter()
                .map(|fault| format!("{} {}", fault.pointer, fault.detail))
                .collect();
            (
                problem.code,
                format!("{} {}", problem.detail, places.join("; ")),
            )
        },
    );
    CallError::Refused {
        status,
        code,
        detail,
    }
}

async fn read<T: DeserializeOwned>(answer: Response) -> Result<T, CallError> {
    answer
        .json()
        .await
        .map_err(|error| CallError::GaveUp(error.without_url().to_string()))
}

impl CallError {
    /// A short word for tables.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::GaveUp(_) | Self::NoAnswer(_) => "no_answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use steelyard_domain::api::Receipt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    const RECEIPT: &str = r#"{"id":"bf87a29e-2b97-8b36-8226-8c8df543f13c","customer_id":"alice","status":"accepted","accepted_at":"2026-11-22T00:00:00Z"}"#;

    /// A gateway that gives these answers, one per connection, and then no more.
    async fn gateway_that_answers(answers: Vec<String>) -> Gateway {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                // An empty answer: the connection breaks.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Gateway::new(base.parse().unwrap(), "token".to_owned()).unwrap()
    }

    fn answer(head: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn a_busy_gateway_is_asked_again_after_the_time_that_it_names() {
        let gateway = gateway_that_answers(vec![
            answer("503 Service Unavailable\r\nretry-after: 1", ""),
            String::new(),
            answer("429 Too Many Requests\r\nretry-after: 0", ""),
            answer("202 Accepted", RECEIPT),
        ])
        .await;
        let start = Instant::now();
        let receipt: Receipt = gateway.place_order("key", "{}").await.unwrap();
        assert_eq!(receipt.customer_id.as_str(), "alice");
        assert!(start.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_refusal_is_not_asked_again_and_names_its_places() {
        let problem = r#"{"type":"/problems/validation_failed","title":"T","status":422,"detail":"D","code":"validation_failed","errors":[{"pointer":"/lines/3/quantity","code":"out_of_range","detail":"must be at least 1"}]}"#;
        let gateway =
            gateway_that_answers(vec![answer("422 Unprocessable Content", problem)]).await;
        let error = gateway
            .place_order::<Receipt>("key", "{}")
            .await
            .unwrap_err();
        assert_eq!(error.code(), "validation_failed");
        assert!(
            error
                .to_string()
                .contains("/lines/3/quantity must be at least 1"),
            "{error}"
        );
    }
}

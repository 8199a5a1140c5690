//! One request until it is answered: the gateways as a good client uses them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use rand::RngExt as _;
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::journal::Journal;

/// One try may take this long: more than the gateway's own limit, so that its answer is waited for.
const TRY_MAX: Duration = Duration::from_secs(40);
const CONNECT_MAX: Duration = Duration::from_secs(3);
const PAUSE_MIN_MS: u64 = 100;
const PAUSE_MAX_MS: u64 = 5_000;
/// A longer `Retry-After` is not waited for in one go.
const RETRY_AFTER_S_MAX: u64 = 30;
/// Characters of a surprising answer that are kept.
const EXCERPT_CHARS: usize = 300;

/// The gateways.
#[derive(Debug)]
pub struct Door {
    http: reqwest::Client,
    gateways: Vec<String>,
    next: AtomicUsize,
    journal: Arc<Journal>,
    /// Cancelled when everything should have been answered long ago.
    give_up: CancellationToken,
}

/// A request that may be repeated.
#[derive(Debug)]
pub struct Call<'a> {
    /// Path and query.
    pub path: String,
    /// Bearer token.
    pub token: &'a str,
    /// `Idempotency-Key`.
    pub key: Option<String>,
    /// The body; without one it is a `GET`.
    pub body: Option<String>,
    /// `Content-Type`.
    pub kind: &'static str,
    /// `Prefer`.
    pub prefer: Option<String>,
    /// Whether a 404 is asked again: the client knows that it is there.
    pub retries_not_found: bool,
}

impl<'a> Call<'a> {
    /// A read.
    #[must_use]
    pub fn get(path: String, token: &'a str) -> Self {
        Self {
            path,
            token,
            key: None,
            body: None,
            kind: "",
            prefer: None,
            retries_not_found: true,
        }
    }

    /// A command in JSON.
    #[must_use]
    pub fn post(path: String, token: &'a str, key: String, body: &Value) -> Self {
        Self {
            path,
            token,
            key: Some(key),
            body: Some(body.to_string()),
            kind: "application/json",
            prefer: None,
            retries_not_found: false,
        }
    }
}

/// A 2xx.
#[derive(Debug)]
pub struct Good {
    /// Its body.
    pub body: Value,
    /// How often the request was sent.
    pub tries: u32,
}

/// What became of one try.
enum Tried {
    Good(Value),
    Again(Option<Duration>),
    Refused,
}

impl Door {
    /// In front of gateways at these URLs; `give_up` ends requests that are never answered.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        gateways: Vec<String>,
        journal: Arc<Journal>,
        give_up: CancellationToken,
    ) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(TRY_MAX)
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self {
            http,
            gateways,
            next: AtomicUsize::new(0),
            journal,
            give_up,
        })
    }

    /// Sends until there is an answer that stands; `None` for a refusal, which the journal has as an oddity, and when it
    /// is given up.
    pub async fn call(&self, call: &Call<'_>) -> Option<Good> {
        let mut tries = 0;
        let mut pause_max_ms = PAUSE_MIN_MS;
        let until_answered = async {
            loop {
                tries += 1;
                let wait = match self.once(call).await {
                    Tried::Good(body) => return Some(Good { body, tries }),
                    Tried::Refused => return None,
                    Tried::Again(wait) => wait.unwrap_or_default(),
                };
                let jitter_ms = rand::rng().random_range(PAUSE_MIN_MS / 2..=pause_max_ms);
                sleep(wait + Duration::from_millis(jitter_ms)).await;
                pause_max_ms = (pause_max_ms * 2).min(PAUSE_MAX_MS);
            }
        };
        self.give_up.run_until_cancelled(until_answered).await?
    }

    /// Sends once: for reads that nobody would repeat.
    pub async fn look(&self, call: &Call<'_>) -> Option<Value> {
        match self.once(call).await {
            Tried::Good(body) => Some(body),
            Tried::Again(_) | Tried::Refused => None,
        }
    }

    async fn once(&self, call: &Call<'_>) -> Tried {
        // As a load balancer would.
        let gateway =
            &self.gateways[self.next.fetch_add(1, Ordering::Relaxed) % self.gateways.len()];
        let url = format!("{gateway}{}", call.path);
        let mut request = match &call.body {
            Some(body) => self
                .http
                .post(url)
                .header(CONTENT_TYPE, call.kind)
                .body(body.clone()),
            // The checker wants the services' own words, not the gateway's copies.
            None => self.http.get(url).header(CACHE_CONTROL, "no-cache"),
        };
        request = request.bearer_auth(call.token);
        if let Some(key) = &call.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(prefer) = &call.prefer {
            request = request.header("prefer", prefer);
        }
        let Ok(answer) = request.send().await else {
            self.journal.answer(|answers| answers.broken += 1);
            return Tried::Again(None);
        };
        self.judge(call, answer).await
    }

    async fn judge(&self, call: &Call<'_>, answer: Response) -> Tried {
        let status = answer.status();
        let wait = retry_after(&answer);
        let is_problem = answer
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"));
        let Ok(body) = answer.text().await else {
            self.journal.answer(|answers| answers.broken += 1);
            return Tried::Again(None);
        };
        let excerpt = || body.chars().take(EXCERPT_CHARS).collect::<String>();
        if status.is_success() {
            let Ok(body) = serde_json::from_str(&body) else {
                self.odd(call, format!("{status} without JSON: {}", excerpt()));
                return Tried::Again(None);
            };
            self.journal.answer(|answers| answers.good += 1);
            return Tried::Good(body);
        }
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                if is_problem && wait.is_some() {
                    self.journal.answer(|answers| answers.come_again += 1);
                } else {
                    let what = "without Retry-After or not a problem document";
                    self.odd(call, format!("{status} {what}: {}", excerpt()));
                }
                Tried::Again(wait)
            }
            StatusCode::NOT_FOUND if call.retries_not_found => {
                self.journal.answer(|answers| answers.not_seen_yet += 1);
                Tried::Again(None)
            }
            _ => {
                self.odd(call, format!("{status}: {}", excerpt()));
                if status.is_server_error() {
                    Tried::Again(wait)
                } else {
                    Tried::Refused
                }
            }
        }
    }

    fn odd(&self, call: &Call<'_>, what: String) {
        let request = format!("{} {}", call.path, call.key.as_deref().unwrap_or("-"));
        self.journal.odd(request, what);
    }
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds: u64 = answer
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds.min(RETRY_AFTER_S_MAX)))
}

//! Calls from one Steelyard service to another: a deadline, the service token, the trace, few
//! retries, and errors that say whether to wait or to give up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use steelyard_domain::api::Problem;
use url::Url;

use crate::config::Secret;
use crate::http::{Context, REQUEST_ID, TRACEPARENT};
use crate::trace::TraceContext;

/// How long a connection may take to open.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Attempts when no connection can be opened: the peer may be restarting behind one name.
const ATTEMPTS_MAX: u32 = 3;
/// The pause before the second attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(20);
/// The largest answer that [`Internal::get`] and [`Internal::post`] read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why a call had no useful answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection, or it broke: the peer is down or restarting. Wait and try again.
    #[error("{peer} cannot be reached: {reason}")]
    Unreachable {
        /// Which service.
        peer: &'static str,
        /// What the transport said.
        reason: String,
    },
    /// The deadline passed; the call may have had its effect.
    #[error("{peer} did not answer in time")]
    TimedOut {
        /// Which service.
        peer: &'static str,
    },
    /// The peer answered with a problem document.
    #[error("{peer} answered {}: {}", .problem.code, .problem.detail)]
    Problem {
        /// Which service.
        peer: &'static str,
        /// What it said.
        problem: Box<Problem>,
    },
    /// The peer answered something else than expected.
    #[error("{peer} answered {status} with what cannot be read: {reason}")]
    Undecodable {
        /// Which service.
        peer: &'static str,
        /// Its status.
        status: u16,
        /// What is wrong with the body.
        reason: String,
    },
}

impl CallError {
    /// Whether the peer is the trouble, so that the same call may succeed later: unreachable,
    /// late, or a 5xx or 429 of its own.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Problem { problem, .. } => is_outage_status(problem.status),
            Self::Undecodable { status, .. } => is_outage_status(*status),
        }
    }

    /// The problem document's HTTP status, if the peer gave one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem { problem, .. } => Some(problem.status),
            Self::Undecodable { status, .. } => Some(*status),
            Self::Unreachable { .. } | Self::TimedOut { .. } => None,
        }
    }
}

fn is_outage_status(status: u16) -> bool {
    status >= 500 || status == 429
}

/// A client for the internal routes of one peer; cheap to clone.
#[derive(Debug, Clone)]
pub struct Internal {
    peer: &'static str,
    base: Url,
    token: Secret,
    deadline: Duration,
    http: reqwest::Client,
    /// Whether the peer's last answer was that it does not take our token; shared by all clones.
    refused: Arc<AtomicBool>,
}

impl Internal {
    /// A client for `peer` at `base`. `deadline` bounds a whole call, its retries included.
    ///
    /// # Errors
    /// When the TLS set-up of this machine cannot be used.
    pub fn new(
        peer: &'static str,
        base: Url,
        token: Secret,
        deadline: Duration,
    ) -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder();
        // Reading the machine's root certificates takes 50 ms and some MiB: not for plain HTTP.
        let plain = base.scheme() == "http";
        let builder = if plain {
            builder.tls_certs_only([])
        } else {
            builder
        };
        let http = builder
            .connect_timeout(CONNECT_MAX)
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(32)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()?;
        Ok(Self {
            peer,
            base,
            token,
            deadline,
            http,
            refused: Arc::default(),
        })
    }

    /// The same client with another deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// How long a whole call may take.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The service that this client calls, for messages.
    #[must_use]
    pub const fn peer(&self) -> &'static str {
        self.peer
    }

    /// Calls `GET path` and reads the answer as JSON. `path` begins with `/`; its parts are
    /// percent-encoded by the caller.
    ///
    /// # Errors
    /// See [`CallError`]; an answer that is no success is a [`CallError::Problem`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.json(self.request(Method::GET, path)).await
    }

    /// Calls `POST path` with a JSON body and reads the answer as JSON. It is repeated only when
    /// no connection could be opened, so it need not be idempotent.
    ///
    /// # Errors
    /// See [`CallError`]; an answer that is no success is a [`CallError::Problem`].
    pub async fn post<B, T>(&self, path: &str, body: &B) -> Result<T, CallError>
    where
        B: Serialize + Sync + ?Sized,
        T: DeserializeOwned,
    {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    /// A request with the service token and the names of the request in hand, to be completed by
    /// the caller and given to [`Internal::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let mut request = self
            .http
            .request(method, url)
            .bearer_auth(self.token.expose());
        if let Some(context) = Context::current() {
            request = request.header(REQUEST_ID, context.request_id);
        }
        if let Some(trace) = TraceContext::current() {
            request = request.header(TRACEPARENT, trace.to_string());
        }
        request
    }

    /// Sends a request and gives the answer as it is, whatever its status. A body that is a stream
    /// is sent once; others are repeated while no connection can be opened.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] or [`CallError::TimedOut`].
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, CallError> {
        let sent = tokio::time::timeout(self.deadline, self.send_with_retries(request));
        sent.await
            .unwrap_or(Err(CallError::TimedOut { peer: self.peer }))
    }

    async fn send_with_retries(&self, request: RequestBuilder) -> Result<Response, CallError> {
        let mut request = request;
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS_MAX {
            let Some(again) = request.try_clone() else {
                break;
            };
            match request.send().await {
                Err(error) if error.is_connect() => {}
                answered => return self.answered(answered),
            }
            request = again;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.answered(request.send().await)
    }

    /// What came of a request. A token that the peer does not take is told once, until it takes it again: nothing else says
    /// which setting is wrong.
    fn answered(&self, answered: Result<Response, reqwest::Error>) -> Result<Response, CallError> {
        let answer = answered.map_err(|error| self.transport(&error))?;
        let refuses = answer.status() == StatusCode::UNAUTHORIZED;
        let refused_before = self.refused.swap(refuses, Ordering::Relaxed);
        if refuses && !refused_before {
            tracing::error!(
                peer = self.peer,
                "SERVICE_TOKEN is not what {} has: it answered 401, and does so until both have the same",
                self.peer
            );
        }
        Ok(answer)
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CallError> {
        let call = async {
            let answer = self.send_with_retries(request).await?;
            let status = answer.status();
            let body = self.body(answer).await?;
            self.decode(status, &body)
        };
        let called = tokio::time::timeout(self.deadline, call);
        called
            .await
            .unwrap_or(Err(CallError::TimedOut { peer: self.peer }))
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, CallError> {
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| self.transport(&error))?
        {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let reason = format!("it is longer than {ANSWER_BYTES_MAX} bytes");
                return Err(CallError::Undecodable {
                    peer: self.peer,
                    status,
                    reason,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn decode<T: DeserializeOwned>(&self, status: StatusCode, body: &[u8]) -> Result<T, CallError> {
        let peer = self.peer;
        let undecodable = |error: serde_json::Error| {
            let (status, reason) = (status.as_u16(), error.to_string());
            CallError::Undecodable {
                peer,
                status,
                reason,
            }
        };
        if status.is_success() {
            // An empty answer reads as `null`, so that `T = ()` fits a 204.
            let body = if body.is_empty() { b"null" } else { body };
            return serde_json::from_slice(body).map_err(undecodable);
        }
        let problem: Problem = serde_json::from_slice(body).map_err(undecodable)?;
        Err(CallError::Problem {
            peer,
            problem: Box::new(problem),
        })
    }

    fn transport(&self, error: &reqwest::Error) -> CallError {
        if error.is_timeout() {
            return CallError::TimedOut { peer: self.peer };
        }
        // reqwest's own words are general; the cause beneath says what happened.
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            reason = cause.to_string();
            source = cause.source();
        }
        CallError::Unreachable {
            peer: self.peer,
            reason,
        }
    }
}

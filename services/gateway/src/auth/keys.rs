//! The issuer's public keys (RFC 7517): read from where they are kept, again every few minutes,
//! the last good ones kept when that fails.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Keys are fetched at most this often, however many tokens name a key that is not known.
const FETCH_GAP: Duration = Duration::from_secs(10);
/// The pause after a fetch that failed.
const RETRY_AFTER: Duration = Duration::from_secs(5);
const FETCH_MAX: Duration = Duration::from_secs(5);
const JWKS_BYTES_MAX: usize = 1 << 20;

/// Where the issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// The JSON itself.
    Inline(String),
    /// A file.
    File(PathBuf),
    /// An `http://` or `https://` address.
    Url(Url),
}

impl FromStr for JwksSource {
    type Err = url::ParseError;

    fn from_str(text: &str) -> Result<Self, url::ParseError> {
        Ok(if text.starts_with('{') {
            Self::Inline(text.to_owned())
        } else if text.starts_with("http://") || text.starts_with("https://") {
            Self::Url(text.parse()?)
        } else {
            Self::File(text.into())
        })
    }
}

/// Why keys could not be had.
#[derive(Debug, thiserror::Error)]
#[error("AUTH_JWKS: {0}")]
pub(crate) struct KeysError(String);

/// One key and the only algorithm that it may be used with: a token cannot choose.
pub(crate) struct Key {
    kid: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) decoding: DecodingKey,
}

/// The keys of one fetch.
pub(crate) struct KeySet {
    /// Differs between sets, so that what was verified by an older one is verified again.
    pub(crate) generation: u64,
    json: String,
    keys: Vec<Key>,
}

impl KeySet {
    fn parse(json: String) -> Result<Self, KeysError> {
        static GENERATION: AtomicU64 = AtomicU64::new(0);

        let set: JwkSet =
            serde_json::from_str(&json).map_err(|error| KeysError(error.to_string()))?;
        let keys: Vec<Key> = set.keys.iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err(KeysError(
                "no key for RS256, ES256 or EdDSA signatures in it".to_owned(),
            ));
        }
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            generation,
            json,
            keys,
        })
    }

    /// The key that a token's header asks for. A token without `kid` gets the only key of its
    /// algorithm, if there is only one.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
        match kid {
            Some(kid) => fitting.find(|key| key.kid.as_deref() == Some(kid)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }
}

fn usable(jwk: &Jwk) -> Option<Key> {
    let common = &jwk.common;
    if matches!(&common.public_key_use, Some(kind) if *kind != PublicKeyUse::Signature) {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    if common.key_algorithm.is_some_and(|stated| stated != named) {
        return None;
    }
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key {
        kid: common.key_id.clone(),
        algorithm,
        decoding,
    })
}

/// The keys in force.
pub(crate) struct KeyStore {
    current: ArcSwapOption<KeySet>,
    wanted: Notify,
}

impl KeyStore {
    /// Reads the keys and goes on reading them until `stop`. Keys at a URL may come later: until
    /// then no token can be checked.
    ///
    /// # Errors
    /// Inline keys or a file that cannot be used.
    pub(crate) async fn start(
        source: JwksSource,
        refresh_every: Duration,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, KeysError> {
        let store = Arc::new(Self {
            current: ArcSwapOption::empty(),
            wanted: Notify::new(),
        });
        match &source {
            JwksSource::Inline(json) => {
                store.keep(json.clone())?;
                return Ok(store);
            }
            JwksSource::File(_) => store.keep(read(&source, None).await?)?,
            JwksSource::Url(_) => {}
        }
        let http = match &source {
            JwksSource::Url(_) => Some(client()?),
            JwksSource::Inline(_) | JwksSource::File(_) => None,
        };
        let refreshed = Arc::clone(&store);
        tokio::spawn(async move {
            let refreshing = refreshed.refresh(&source, http.as_ref(), refresh_every);
            stop.run_until_cancelled(refreshing).await;
        });
        Ok(store)
    }

    pub(crate) fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    /// A token named a key that is not known: the issuer may have changed its keys.
    pub(crate) fn want_newer(&self) {
        self.wanted.notify_one();
    }

    fn keep(&self, json: String) -> Result<(), KeysError> {
        // The same keys again must not make every token be verified again.
        if self.current().is_none_or(|current| current.json != json) {
            self.current.store(Some(Arc::new(KeySet::parse(json)?)));
        }
        Ok(())
    }

    async fn refresh(&self, source: &JwksSource, http: Option<&reqwest::Client>, every: Duration) {
        loop {
            let started = Instant::now();
            let read = read(source, http).await.and_then(|json| self.keep(json));
            let pause = match read {
                Ok(()) => every,
                Err(error) => {
                    tracing::warn!(%error, "the issuer's keys cannot be read; the last good ones stay");
                    RETRY_AFTER
                }
            };
            // An early wish is heard, but not before the gap is over.
            drop(tokio::time::timeout(pause, self.wanted.notified()).await);
            tokio::time::sleep_until(started + FETCH_GAP.min(pause)).await;
        }
    }
}

async fn read(source: &JwksSource, http: Option<&reqwest::Client>) -> Result<String, KeysError> {
    match (source, http) {
        (JwksSource::Url(url), Some(http)) => fetch(http, url.clone())
            .await
            .map_err(|error| KeysError(format!("{url} cannot be read: {error:#}"))),
        (JwksSource::File(path), _) => tokio::fs::read_to_string(path)
            .await
            .map_err(|error| KeysError(format!("{} cannot be read: {error}", path.display()))),
        (JwksSource::Inline(json), _) => Ok(json.clone()),
        (JwksSource::Url(url), None) => Err(KeysError(format!("{url} was not read yet"))),
    }
}

fn client() -> Result<reqwest::Client, KeysError> {
    let client = reqwest::Client::builder().timeout(FETCH_MAX).build();
    client.map_err(|error| KeysError(error.to_string()))
}

async fn fetch(http: &reqwest::Client, url: Url) -> anyhow::Result<String> {
    let mut answer = http.get(url).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        anyhow::ensure!(
            body.len() + chunk.len() <= JWKS_BYTES_MAX,
            "larger than {JWKS_BYTES_MAX} bytes"
        );
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(body)?)
}

//! Is this token genuine, meant for us, and in force?

use std::sync::Arc;

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use quick_cache::sync::Cache;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use steelyard_domain::id::CustomerId;
use steelyard_domain::scope::Scopes;
use steelyard_domain::text;
use time::OffsetDateTime;

use super::keys::{KeySet, KeyStore};
use crate::config::AuthConfig;

/// Clocks may differ by this much.
const LEEWAY_S: i64 = 30;
/// Tokens whose check is remembered: an ES256 check costs 0.08 ms, a look-up a few hundred ns.
const VERIFIED_MAX: usize = 10_000;
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// A `sub` longer than this is no name.
const SUBJECT_CHARS_MAX: usize = 256;

/// Who calls, as their token says.
#[derive(Debug)]
pub(crate) struct Caller {
    /// `sub`: the customer or the client.
    pub(crate) subject: String,
    /// `scope`.
    pub(crate) scopes: Scopes,
    /// `sub` as a customer; `None` when it cannot be one.
    pub(crate) customer: Option<CustomerId>,
    expires_at: i64,
    generation: u64,
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    /// No `Authorization: Bearer …`.
    #[error("send a bearer token in the Authorization header")]
    Missing,
    /// The token is not one that we believe.
    #[error("the token {0}")]
    Invalid(&'static str),
    /// The issuer's keys have not been read yet.
    #[error("the issuer's keys cannot be read at the moment")]
    NoKeys,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(default)]
    scope: String,
}

/// Checks tokens and remembers the good ones until they expire.
pub(crate) struct Authenticator {
    keys: Arc<KeyStore>,
    issuer: String,
    audience: String,
    verified: Cache<[u8; 32], Arc<Caller>>,
}

impl Authenticator {
    pub(crate) fn new(keys: Arc<KeyStore>, config: &AuthConfig) -> Self {
        Self {
            keys,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            verified: Cache::new(VERIFIED_MAX),
        }
    }

    /// Who calls with this token.
    pub(crate) fn verify(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::Invalid("is too long"));
        }
        let keys = self.keys.current().ok_or(AuthError::NoKeys)?;
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        if let Some(caller) = self.verified.get(&digest) {
            if now >= caller.expires_at.saturating_add(LEEWAY_S) {
                self.verified.remove(&digest);
                return Err(AuthError::Invalid("has expired"));
            }
            if caller.generation == keys.generation {
                return Ok(caller);
            }
        }
        let caller = Arc::new(self.check(token, &keys)?);
        self.verified.insert(digest, Arc::clone(&caller));
        Ok(caller)
    }

    fn check(&self, token: &str, keys: &KeySet) -> Result<Caller, AuthError> {
        let header = decode_header(token).map_err(|_| AuthError::Invalid("is not a signed JWT"))?;
        // Public-key signatures only: with `none` or an HMAC anyone could sign.
        if !matches!(
            header.alg,
            Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA
        ) {
            return Err(AuthError::Invalid(
                "must be signed with RS256, ES256 or EdDSA",
            ));
        }
        let Some(key) = keys.find(header.kid.as_deref(), header.alg) else {
            self.keys.want_newer();
            return Err(AuthError::Invalid(
                "is signed with a key that is not the issuer's",
            ));
        };
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = LEEWAY_S.unsigned_abs();
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims: Claims = decode(token, &key.decoding, &validation)
            .map_err(|error| AuthError::Invalid(reason(error.kind())))?
            .claims;
        // The subject travels in messages: what a queue refuses must not get that far.
        if text::line(&claims.sub, SUBJECT_CHARS_MAX).is_err() {
            return Err(AuthError::Invalid("has a subject that is not a name"));
        }
        Ok(Caller {
            customer: claims.sub.parse().ok(),
            subject: claims.sub,
            scopes: Scopes::parse(&claims.scope),
            expires_at: claims.exp,
            generation: keys.generation,
        })
    }
}

fn reason(kind: &jsonwebtoken::errors::ErrorKind) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;

    match kind {
        ErrorKind::ExpiredSignature => "has expired",
        ErrorKind::ImmatureSignature => "is not valid yet",
        ErrorKind::InvalidIssuer => "is of another issuer",
        ErrorKind::InvalidAudience => "is for another audience",
        ErrorKind::InvalidSignature => "has a signature that does not match",
        ErrorKind::MissingRequiredClaim(_) => "lacks one of the claims exp, iss, aud and sub",
        _ => "cannot be read",
    }
}

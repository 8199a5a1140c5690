//! Access tokens for a system without an identity provider: the one-command stack and the tests.
//!
//! An ES256 key pair, the JWKS that a gateway checks against, and a mint:
//!
//! ```
//! use std::time::Duration;
//! use steelyard_tokens::{Claims, Keys};
//!
//! let keys = Keys::generate()?;
//! let jwks = keys.jwks(); // → AUTH_JWKS
//! let token = keys.mint(&Claims::new("alice", "customer", Duration::from_secs(3600)))?;
//! # assert_eq!(token.split('.').count(), 3);
//! # Ok::<(), steelyard_tokens::Error>(())
//! ```
//!
//! Not for production: there, tokens come from the shop's identity provider.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use time::OffsetDateTime;

/// `iss` of every token, what `AUTH_ISSUER` names.
pub const ISSUER: &str = "https://auth.steelyard.localhost";
/// `aud` of every token, what `AUTH_AUDIENCE` names.
pub const AUDIENCE: &str = "steelyard";

/// Why a key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file could not be read or written.
    #[error("cannot {doing} the key file {path}: {source}")]
    File {
        /// "read" or "write".
        doing: &'static str,
        /// The key file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The file holds no PKCS#8 key of the curve P-256.
    #[error("{0} holds no ES256 private key; remove it to get a new one")]
    NotAKey(String),
    /// The cryptographic library refused.
    #[error("cannot make an ES256 key")]
    Generate,
    /// The token could not be signed.
    #[error("cannot sign a token: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// What a token says.
#[derive(Clone, Debug, Serialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// The customer or client.
    pub sub: String,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// Issued at, in seconds since 1970.
    pub iat: i64,
    /// Expires at, in seconds since 1970.
    pub exp: i64,
}

impl Claims {
    /// Claims for `sub` from now on for `ttl`, by [`ISSUER`] for [`AUDIENCE`]. Change fields to make them wrong.
    #[must_use]
    pub fn new(sub: &str, scope: &str, ttl: Duration) -> Self {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        Self {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: sub.to_owned(),
            scope: scope.to_owned(),
            iat: now,
            exp: now.saturating_add(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)),
        }
    }
}

/// An ES256 key pair.
pub struct Keys {
    pkcs8: Vec<u8>,
    encoding: EncodingKey,
    /// Uncompressed point: 0x04, x, y.
    public: Vec<u8>,
}

impl Keys {
    /// A new key pair.
    ///
    /// # Errors
    /// [`Error::Generate`] when the system has no randomness.
    pub fn generate() -> Result<Self, Error> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| Error::Generate)?;
        Self::from_pkcs8(document.as_ref().to_vec()).ok_or(Error::Generate)
    }

    /// The key pair in the PEM file at `path`, which is made (mode 0600) when it is not there.
    ///
    /// # Errors
    /// When the file can be neither read nor made, or holds something else.
    pub fn load_or_generate(path: &Path) -> Result<Self, Error> {
        let file_error = |doing| {
            let path = path.display().to_string();
            move |source| Error::File {
                doing,
                path,
                source,
            }
        };
        match fs::read_to_string(path) {
            Ok(pem) => {
                let encoded: String = pem
                    .lines()
                    .filter(|line| !line.starts_with("-----"))
                    .collect();
                let pkcs8 = STANDARD.decode(encoded).ok();
                pkcs8
                    .and_then(Self::from_pkcs8)
                    .ok_or_else(|| Error::NotAKey(path.display().to_string()))
            }
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                let keys = Self::generate()?;
                // Beside and renamed: a reader or a crash never meets half a key.
                let unfinished = path.with_extension("new");
                let mut file = fs::OpenOptions::new()
                    .create(true)
                    .truncate(true)
                    .write(true)
                    .mode(0o600)
                    .open(&unfinished)
                    .map_err(file_error("write"))?;
                file.write_all(keys.pem().as_bytes())
                    .and_then(|()| file.sync_all())
                    .and_then(|()| fs::rename(&unfinished, path))
                    .map_err(file_error("write"))?;
                Ok(keys)
            }
            Err(source) => Err(file_error("read")(source)),
        }
    }

    fn from_pkcs8(pkcs8: Vec<u8>) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).ok()?;
        let public = pair.public_key().as_ref().to_vec();
        Some(Self {
            encoding: EncodingKey::from_ec_der(&pkcs8),
            pkcs8,
            public,
        })
    }

    fn pem(&self) -> String {
        const LINE: usize = 64;
        let encoded = STANDARD.encode(&self.pkcs8);
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at(rest.len().min(LINE));
            pem.push_str(line);
            pem.push('\n');
            rest = tail;
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        pem
    }

    /// The key id that tokens and JWKS carry.
    #[must_use]
    pub fn kid(&self) -> String {
        let x: Vec<u8> = self.public.iter().skip(1).take(6).copied().collect();
        URL_SAFE_NO_PAD.encode(x)
    }

    /// The public key as a JSON Web Key Set.
    #[must_use]
    pub fn jwks(&self) -> String {
        let (x, y) = self
            .public
            .get(1..)
            .and_then(|point| point.split_at_checked(32))
            .unwrap_or_default();
        serde_json::json!({
            "keys": [{
                "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid(),
                "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
            }]
        })
        .to_string()
    }

    /// Signs a token.
    ///
    /// # Errors
    /// [`Error::Sign`] when the claims cannot be written as JSON.
    pub fn mint(&self, claims: &impl Serialize) -> Result<String, Error> {
        let header = Header {
            kid: Some(self.kid()),
            ..Header::new(Algorithm::ES256)
        };
        Ok(jsonwebtoken::encode(&header, claims, &self.encoding)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    fn verify(token: &str, jwks: &str) -> serde_json::Value {
        let set: JwkSet = serde_json::from_str(jwks).unwrap();
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let key = DecodingKey::from_jwk(set.find(&kid).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        jsonwebtoken::decode(token, &key, &validation)
            .unwrap()
            .claims
    }

    #[test]
    fn a_minted_token_passes_a_check_against_the_jwks() {
        let keys = Keys::generate().unwrap();
        let token = keys
            .mint(&Claims::new("alice", "customer", Duration::from_secs(60)))
            .unwrap();
        let claims = verify(&token, &keys.jwks());
        assert_eq!(claims["sub"], "alice");
        assert_eq!(claims["scope"], "customer");
    }

    #[test]
    fn a_key_file_is_private_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        let made = Keys::load_or_generate(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let read = Keys::load_or_generate(&path).unwrap();
        assert_eq!(made.jwks(), read.jwks());
        verify(
            &read
                .mint(&Claims::new("a", "ops", Duration::from_secs(60)))
                .unwrap(),
            &made.jwks(),
        );
    }

    #[test]
    fn a_damaged_key_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        fs::write(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n").unwrap();
        let error = Keys::load_or_generate(&path).err().unwrap().to_string();
        assert!(
            error.ends_with("key.pem holds no ES256 private key; remove it to get a new one"),
            "{error}"
        );
    }
}

//! Access tokens for tests: an issuer with a key pair of its own.

use std::time::Duration;

use steelyard_tokens::Keys;
pub use steelyard_tokens::{AUDIENCE, Claims, ISSUER};

use crate::must;

/// Mints tokens that a gateway with [`Issuer::jwks`], [`ISSUER`] and [`AUDIENCE`] accepts.
pub struct Issuer {
    keys: Keys,
}

/// An issuer with a new key pair.
///
/// # Panics
/// When the system has no randomness.
#[must_use]
pub fn issuer() -> Issuer {
    Issuer {
        keys: must("make a key", Keys::generate()),
    }
}

impl Issuer {
    /// The public key, for `AUTH_JWKS`.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.keys.jwks()
    }

    /// A token of `sub` with these scopes (separated by spaces) for `ttl`.
    #[must_use]
    pub fn mint(&self, sub: &str, scope: &str, ttl: Duration) -> String {
        self.sign(&Claims::new(sub, scope, ttl))
    }

    /// Signs any claims: expired ones, another issuer's, none at all.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        must("sign a token", self.keys.mint(claims))
    }
}

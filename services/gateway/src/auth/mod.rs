//! Who calls: JSON Web Tokens, checked against the issuer's public keys.

mod access;
mod keys;
mod verify;

pub(crate) use access::{CallerOf, SCHEME, allowed, public};
pub use keys::JwksSource;
pub(crate) use keys::KeyStore;
pub(crate) use verify::{Authenticator, Caller};

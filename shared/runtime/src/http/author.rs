//! Who asks, in whose name a service calls.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode;
use steelyard_domain::internal::ON_BEHALF_OF;

use super::problem::HttpError;

/// A longer name is cut: a token's subject has at most 256 characters.
const CHARS_MAX: usize = 256;
/// Who acts when no caller is named: a service by itself.
const NOBODY: &str = "service";

/// Who is written down as having asked for something: whom the calling service names
/// ([`ON_BEHALF_OF`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author(String);

impl Author {
    /// The name, as audits show it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    fn named(text: &[u8]) -> Self {
        let text = percent_decode(text).decode_utf8_lossy();
        // Postgres takes no NUL, and people no other controls.
        let name: String = text
            .chars()
            .filter(|c| !c.is_control())
            .take(CHARS_MAX)
            .collect();
        if name.trim().is_empty() {
            Self(NOBODY.to_owned())
        } else {
            Self(name)
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Author {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, HttpError> {
        let named = parts.headers.get(ON_BEHALF_OF);
        Ok(Self::named(named.map_or(b"", |name| name.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::Author;

    #[test]
    fn a_name_comes_through_as_it_is_and_nothing_else_does() {
        assert_eq!(Author::named(b"office").name(), "office");
        assert_eq!(
            Author::named("J%C3%BCrgen%20K.".as_bytes()).name(),
            "Jürgen K."
        );
        assert_eq!(Author::named(b"a%00b%0Ac").name(), "abc");
        assert_eq!(Author::named(b"%20").name(), "service");
        assert_eq!(Author::named(b"").name(), "service");
        assert_eq!(Author::named(&[b'x'; 999]).name().len(), 256);
    }
}

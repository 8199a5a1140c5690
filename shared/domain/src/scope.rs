//! What a token allows, as named in its `scope` claim.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One word of a token's space-separated `scope` claim (RFC 8693 §4.2).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
pub enum Scope {
    /// Acts for the customer in `sub`, and for no other.
    #[serde(rename = "customer")]
    Customer,
    /// Acts for any customer, and must name one.
    #[serde(rename = "storefront")]
    Storefront,
    /// Its unit prices are authoritative: back-office, marketplaces, imports.
    #[serde(rename = "orders:price")]
    OrdersPrice,
    /// Sees and changes any order.
    #[serde(rename = "orders:manage")]
    OrdersManage,
    /// Confirms payments.
    #[serde(rename = "payments")]
    Payments,
    /// Changes products and stock.
    #[serde(rename = "catalog:write")]
    CatalogWrite,
    /// Brings documents in.
    #[serde(rename = "documents:write")]
    DocumentsWrite,
    /// Queues, dead letters, maintenance.
    #[serde(rename = "ops")]
    Ops,
}

impl Scope {
    /// Every scope, for tests that walk all of them.
    pub const ALL: [Self; 8] = [
        Self::Customer,
        Self::Storefront,
        Self::OrdersPrice,
        Self::OrdersManage,
        Self::Payments,
        Self::CatalogWrite,
        Self::DocumentsWrite,
        Self::Ops,
    ];

    /// The word in the token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Storefront => "storefront",
            Self::OrdersPrice => "orders:price",
            Self::OrdersManage => "orders:manage",
            Self::Payments => "payments",
            Self::CatalogWrite => "catalog:write",
            Self::DocumentsWrite => "documents:write",
            Self::Ops => "ops",
        }
    }
}

/// A set of scopes; words that Steelyard does not know are ignored, as OAuth asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u16);

impl Scopes {
    /// Reads a `scope` claim.
    #[must_use]
    pub fn parse(claim: &str) -> Self {
        claim
            .split(' ')
            .filter_map(|word| Scope::ALL.into_iter().find(|scope| scope.as_str() == word))
            .collect()
    }

    /// Whether the scope is in the set.
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u16) != 0
    }

    /// Whether any of the scopes is in the set.
    #[must_use]
    pub fn has_any(self, scopes: &[Scope]) -> bool {
        scopes.iter().any(|&scope| self.has(scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(
            scopes
                .into_iter()
                .fold(0, |bits, scope| bits | 1 << scope as u16),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, Scopes};

    #[test]
    fn a_claim_grants_just_the_words_it_holds() {
        let scopes = Scopes::parse("storefront orders:price openid");
        assert!(scopes.has(Scope::Storefront) && scopes.has(Scope::OrdersPrice));
        assert!(!scopes.has(Scope::Customer) && !scopes.has(Scope::Ops));
        assert!(!Scopes::parse("customers").has_any(&Scope::ALL));
    }
}

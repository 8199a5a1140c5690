//! Under which VAT rule a line falls.
//!
//! The order's rate is the tax table's for the destination; this says why it is zero when it is. The rules are
//! those that a shop selling goods meets; who needs others names a `tax_category` in the table: `exempt` or
//! `reverse_charge` with rate 0 say so whatever the countries are.

use rust_decimal::Decimal;

use crate::model::{Category, Exemption};

/// The VAT area of the European Union by its members' ISO 3166-1 codes.
const EU: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT",
    "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// The tax table's category of goods that are exempt.
pub const EXEMPT: &str = "exempt";
/// The tax table's category of goods for which the buyer owes the tax.
pub const REVERSE_CHARGE: &str = "reverse_charge";

/// Who sells to whom.
#[derive(Debug, Clone, Copy)]
pub struct Trade<'a> {
    /// The seller's country.
    pub from: &'a str,
    /// Where the goods go.
    pub to: &'a str,
    /// Whether the buyer gave a VAT id.
    pub to_business: bool,
}

impl Trade<'_> {
    /// The category of a line with this rate and this category of the tax table.
    #[must_use]
    pub fn category(self, percent: Decimal, table_category: &str) -> Category {
        if !percent.is_zero() {
            return Category::Standard;
        }
        match table_category {
            EXEMPT => Category::Exempt,
            REVERSE_CHARGE if self.to_business => Category::ReverseCharge,
            _ if self.from == self.to => Category::Zero,
            _ if in_eu(self.from) && in_eu(self.to) => {
                if self.to_business {
                    Category::IntraCommunity
                } else {
                    Category::Zero
                }
            }
            _ => Category::Export,
        }
    }

    /// The reason that the standard asks for with a category (BR-E-10, BR-AE-10, BR-IC-10, BR-G-10); `S` and `Z`
    /// must have none.
    #[must_use]
    pub fn exemption(self, category: Category) -> Option<Exemption> {
        // The codes are the Union's; others say it in words.
        let (code, text) = match category {
            Category::Standard | Category::Zero => return None,
            Category::Exempt => (None, "Exempt from tax"),
            Category::ReverseCharge => (Some("VATEX-EU-AE"), "Reverse charge"),
            Category::IntraCommunity => (Some("VATEX-EU-IC"), "Intra-community supply"),
            Category::Export => (Some("VATEX-EU-G"), "Export"),
        };
        Some(Exemption {
            code: code.filter(|_| in_eu(self.from)).map(str::to_owned),
            text: text.to_owned(),
        })
    }
}

fn in_eu(country: &str) -> bool {
    EU.binary_search(&country).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{EU, EXEMPT, REVERSE_CHARGE, Trade};
    use crate::model::Category;
    use rust_decimal::Decimal;

    #[test]
    fn a_rate_of_zero_has_a_reason_and_another_has_none() {
        let trade = |from, to, to_business| Trade {
            from,
            to,
            to_business,
        };
        let zero = Decimal::ZERO;
        for (trade, table_category, expected) in [
            (trade("DE", "DE", false), "books", Category::Zero),
            (trade("DE", "DE", true), EXEMPT, Category::Exempt),
            (
                trade("DE", "DE", true),
                REVERSE_CHARGE,
                Category::ReverseCharge,
            ),
            (trade("DE", "DE", false), REVERSE_CHARGE, Category::Zero),
            (
                trade("DE", "FR", true),
                "standard",
                Category::IntraCommunity,
            ),
            (trade("DE", "FR", false), "standard", Category::Zero),
            (trade("DE", "GB", true), "standard", Category::Export),
            (trade("GB", "DE", true), "standard", Category::Export),
        ] {
            assert_eq!(trade.category(zero, table_category), expected, "{trade:?}");
            assert_eq!(
                trade.category(Decimal::TEN, table_category),
                Category::Standard
            );
            let reason = trade.exemption(expected);
            assert_eq!(reason.is_none(), expected == Category::Zero);
        }
    }

    #[test]
    fn only_a_seller_in_the_union_uses_its_codes() {
        let from_gb = Trade {
            from: "GB",
            to: "AU",
            to_business: false,
        };
        let reason = from_gb.exemption(Category::Export).expect("a reason");
        assert_eq!(reason.code, None);
        assert!(EU.is_sorted());
    }
}

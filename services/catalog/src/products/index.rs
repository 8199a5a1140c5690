//! What a list is filtered by: labels of a product, made anew when it changes and when its price does.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use sqlx::PgConnection;
use steelyard_domain::product::{
    Buyer, Language, Price, ProductDraft, ProductStatus, next_change, prices_at,
};
use time::OffsetDateTime;

use crate::search;

/// The steps of a price scale, per power of ten: each about a fifth above the one before.
const STEPS: [i64; 12] = [100, 121, 147, 178, 215, 261, 316, 383, 464, 562, 681, 825];
/// The scale begins at a hundredth of the finest price.
const SMALLEST: Decimal = Decimal::from_parts(1, 0, 0, false, 6);

/// Labels of a product now, and when they will be others.
pub(super) fn labels(
    prices: &[Price],
    attributes: &BTreeMap<String, String>,
    options: Option<&BTreeMap<String, String>>,
    now: OffsetDateTime,
) -> (Vec<String>, Option<OffsetDateTime>) {
    let pairs = attributes.iter().chain(options.into_iter().flatten());
    let mut labels: Vec<String> = pairs.map(|(name, value)| label(name, value)).collect();
    for price in prices_at(prices, Buyer::default(), now) {
        let (currency, amount) = (price.currency.code(), price.amount.amount());
        labels.push(format!("${currency}:{}", step(amount)));
        labels.push(format!("${currency}={amount}"));
    }
    labels.sort_unstable();
    labels.dedup();
    (labels, next_change(prices, now))
}

/// The label of an attribute or option.
pub(super) fn label(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

/// Labels of which a product has one if its price is within these bounds, or near them.
pub(super) fn price_labels(
    currency: &str,
    from: Option<Decimal>,
    until: Option<Decimal>,
) -> Vec<String> {
    let first = from.map_or(0, step);
    let last = until.map_or_else(|| step(Decimal::from(1_000_000_000)), step);
    (first..=last)
        .map(|step| format!("${currency}:{step}"))
        .collect()
}

/// Where an amount stands on the scale: 0 below its beginning.
fn step(amount: Decimal) -> u32 {
    let mut unit = SMALLEST;
    let mut power = 0;
    // From a millionth to a thousand million: sixteen rounds at most.
    while unit * Decimal::TEN <= amount {
        unit *= Decimal::TEN;
        power += 1;
    }
    let scaled = amount / unit * Decimal::ONE_HUNDRED;
    let within = STEPS.iter().filter(|step| Decimal::from(**step) <= scaled);
    let within = u32::try_from(within.count()).unwrap_or_default();
    power * 12 + within
}

/// After products were written: what can be found of them, and what those that have variants are listed by; `left` had
/// some of them as variants before.
pub(super) async fn write(
    connection: &mut PgConnection,
    own: &Language,
    drafts: &[&ProductDraft],
    left: &[&str],
) -> Result<(), sqlx::Error> {
    if drafts.is_empty() {
        return Ok(());
    }
    let facts: Vec<search::Facts<'_>> = drafts.iter().map(|draft| facts(draft)).collect();
    let written: Vec<&str> = drafts.iter().map(|draft| draft.sku.as_str()).collect();
    let of = drafts.iter().filter_map(|draft| draft.variant.as_ref());
    let of = of.map(|variant| variant.of.as_str());
    let of: Vec<&str> = of.chain(left.iter().copied()).collect();
    families(connection, &written, &of).await?;
    search::write(connection, own, &facts).await
}

fn facts(draft: &ProductDraft) -> search::Facts<'_> {
    let variant = draft.variant.as_ref();
    let sku = draft.sku.as_str();
    search::Facts {
        sku,
        shown: variant.map_or(sku, |variant| variant.of.as_str()),
        active: draft.status == ProductStatus::Active,
        name: &draft.name,
        description: draft.description.as_deref(),
        translations: &draft.translations,
        attributes: &draft.attributes,
        options: variant.map(|variant| &variant.options),
    }
}

/// Products that have variants are listed by the labels of all of them: those `of` which some were written, and those
/// that were `written` themselves and have any.
pub(super) async fn families(
    connection: &mut PgConnection,
    written: &[&str],
    of: &[&str],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH family AS (
             SELECT product.sku,
                    ARRAY(SELECT unnest(product.labels)
                          UNION
                          SELECT unnest(variant.labels) FROM products variant
                          WHERE variant.variant_of = product.sku AND variant.status = 'active'
                          ORDER BY 1) AS facets
             FROM products product
             WHERE product.sku = ANY($2) OR product.sku = ANY($1)
               AND EXISTS (SELECT FROM products variant WHERE variant.variant_of = product.sku)
         )
         UPDATE products SET facets = family.facets FROM family
         WHERE products.sku = family.sku AND products.facets IS DISTINCT FROM family.facets",
    )
    .bind(written)
    .bind(of)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::{price_labels, step};

    fn amount(text: &str) -> Decimal {
        text.parse().expect("a number")
    }

    #[test]
    fn a_range_of_prices_is_a_few_steps() {
        assert_eq!(step(Decimal::ZERO), 0);
        assert_eq!(step(amount("1")) + 12, step(amount("10")));
        assert_eq!(step(amount("2.50")), step(amount("2.5")));
        let labels = price_labels("GBP", Some(amount("2")), Some(amount("4")));
        assert!((4..=6).contains(&labels.len()), "{labels:?}");
        assert!(price_labels("GBP", None, None).len() < 200);
    }

    proptest! {
        #[test]
        fn a_price_within_bounds_is_on_a_step_between_them(
            mut cents in proptest::array::uniform3(0_i64..10_000_000_000_000),
        ) {
            cents.sort_unstable();
            let [low, price, high] = cents.map(|cents| Decimal::new(cents, 4));
            let labels = price_labels("GBP", Some(low), Some(high));
            let label = format!("$GBP:{}", step(price));
            prop_assert!(labels.contains(&label));
        }
    }
}

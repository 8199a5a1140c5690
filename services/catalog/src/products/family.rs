//! Whether variants fit their products and each other.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use steelyard_domain::fault::Fault;
use steelyard_domain::id::Sku;
use steelyard_domain::product::{ProductDraft, Variant};

use super::upsert::Known;

/// Variants that a product may have.
const VARIANTS_MAX: usize = 500;

type Options = BTreeMap<String, String>;

/// The variants of one product: their options, and whose they are.
type Siblings = HashMap<Options, String>;

/// The product that this one is a variant of, which is shown with it.
pub(crate) async fn variant_of(pool: &PgPool, sku: &Sku) -> Result<Option<Sku>, sqlx::Error> {
    let of: Option<Option<String>> =
        sqlx::query_scalar("SELECT variant_of FROM products WHERE sku = $1")
            .bind(sku.as_str())
            .fetch_optional(pool)
            .await?;
    let unreadable = |_| sqlx::Error::Decode("a SKU that the domain does not take".into());
    let of = of.flatten().map(Sku::try_from).transpose();
    of.map_err(unreadable)
}

/// Adds the drafts that cannot be to those that are refused, by SKU. The rows of all that they name are locked.
pub(super) async fn check<'d>(
    connection: &mut PgConnection,
    drafts: &'d [ProductDraft],
    known: &HashMap<String, Known>,
    refused: &mut HashMap<&'d str, Fault>,
) -> Result<(), sqlx::Error> {
    let variants: Vec<(&str, &Variant)> = drafts
        .iter()
        .filter_map(|draft| Some((draft.sku.as_str(), draft.variant.as_ref()?)))
        .collect();
    if variants.is_empty() {
        return Ok(());
    }
    let mut siblings = stored(connection, drafts, &variants).await?;
    let own: HashMap<&str, bool> = drafts
        .iter()
        .map(|draft| (draft.sku.as_str(), draft.variant.is_some()))
        .collect();
    for (sku, Variant { of, options }) in variants {
        let of = of.as_str();
        let is_variant = own
            .get(of)
            .copied()
            .filter(|_| !refused.contains_key(of))
            .or_else(|| known.get(of).map(|known| known.variant_of.is_some()));
        let has_variants = siblings.get(sku).is_some_and(|own| !own.is_empty());
        let family = siblings.entry(of.to_owned()).or_default();
        let verdict = match is_variant {
            None => Err((
                "/variant_of",
                "unknown",
                format!("there is no product {of}"),
            )),
            Some(true) => Err((
                "/variant_of",
                "is_a_variant",
                format!("{of} is a variant itself"),
            )),
            Some(false) if has_variants => Err((
                "/variant_of",
                "has_variants",
                format!("{sku} has variants of its own"),
            )),
            Some(false) => fits(family, options),
        };
        match verdict {
            Ok(()) => drop(family.insert(options.clone(), sku.to_owned())),
            Err((pointer, code, detail)) => {
                let fault = Fault {
                    pointer: pointer.to_owned(),
                    code: Cow::Borrowed(code),
                    detail,
                };
                refused.insert(sku, fault);
            }
        }
    }
    Ok(())
}

fn fits(family: &Siblings, options: &Options) -> Result<(), (&'static str, &'static str, String)> {
    if let Some(other) = family.get(options) {
        let detail = format!("{other} is the same variant");
        return Err(("/options", "duplicate", detail));
    }
    if let Some((others, sku)) = family.iter().next()
        && !others.keys().eq(options.keys())
    {
        let names: Vec<&str> = others.keys().map(String::as_str).collect();
        let detail = format!("the options of {sku} beside it are {}", names.join(", "));
        return Err(("/options", "mismatch", detail));
    }
    if family.len() >= VARIANTS_MAX {
        let detail = format!("a product has at most {VARIANTS_MAX} variants");
        return Err(("/variant_of", "too_many", detail));
    }
    Ok(())
}

/// The variants that stay as they are, by the product that they belong to.
async fn stored(
    connection: &mut PgConnection,
    drafts: &[ProductDraft],
    variants: &[(&str, &Variant)],
) -> Result<HashMap<String, Siblings>, sqlx::Error> {
    let of = variants.iter().map(|(_, variant)| variant.of.as_str());
    let skus: Vec<&str> = of.chain(variants.iter().map(|(sku, _)| *sku)).collect();
    let rows: Vec<(String, String, Json<Options>)> =
        sqlx::query_as("SELECT variant_of, sku, options FROM products WHERE variant_of = ANY($1)")
            .bind(skus)
            .fetch_all(connection)
            .await?;
    let rewritten: HashSet<&str> = drafts.iter().map(|draft| draft.sku.as_str()).collect();
    let mut siblings: HashMap<String, Siblings> = HashMap::new();
    for (of, sku, Json(options)) in rows {
        if !rewritten.contains(sku.as_str()) {
            siblings.entry(of).or_default().insert(options, sku);
        }
    }
    Ok(siblings)
}

//! Everything there is, in the form that the import takes.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use sqlx::PgPool;
use steelyard_domain::product::ProductSource;

use crate::import::Format;
use crate::products::export_after;

/// Products that are read at a time.
const PAGE: u32 = 500;

/// Columns of the export; each part that has parts of its own is JSON.
const COLUMNS: [&str; 12] = [
    "sku",
    "name",
    "description",
    "category",
    "tax_category",
    "status",
    "variant_of",
    "low_at",
    "prices",
    "translations",
    "attributes",
    "options",
];

/// Why an export broke off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Csv(#[from] csv::Error),
    #[error("a CSV could not be written: {0}")]
    Io(#[from] std::io::Error),
}

/// How far it came.
enum Next {
    Header,
    After(Option<(bool, String)>),
    End,
}

/// A body that is read from the store as it is sent. When the store goes away it breaks off, so that nobody takes a
/// part for the whole.
pub(crate) fn export(pool: PgPool, format: Format) -> Body {
    let pages = stream::try_unfold(Next::Header, move |next| {
        let pool = pool.clone();
        async move {
            let page = page(&pool, format, next).await;
            page.inspect_err(|error| tracing::warn!(%error, "an export broke off"))
        }
    });
    Body::from_stream(pages)
}

async fn page(pool: &PgPool, format: Format, next: Next) -> Result<Option<(Bytes, Next)>, Broken> {
    let after = match next {
        Next::End => return Ok(None),
        Next::Header => {
            let header = match format {
                Format::Ndjson => Vec::new(),
                Format::Csv => record(COLUMNS)?,
            };
            return Ok(Some((header.into(), Next::After(None))));
        }
        Next::After(after) => after,
    };
    let products = export_after(pool, after.as_ref(), PAGE).await?;
    let mut text = Vec::new();
    for product in &products {
        match format {
            Format::Ndjson => {
                serde_json::to_writer(&mut text, product)?;
                text.push(b'\n');
            }
            Format::Csv => text.extend(record(fields(product)?)?),
        }
    }
    let is_variant = after.is_some_and(|(is_variant, _)| is_variant);
    let next = match products.last() {
        Some(last) => Next::After(Some((is_variant, last.sku.as_str().to_owned()))),
        // A SKU is never empty: all variants come after this.
        None if !is_variant => Next::After(Some((true, String::new()))),
        None => Next::End,
    };
    Ok(Some((text.into(), next)))
}

fn fields(product: &ProductSource) -> Result<[String; COLUMNS.len()], serde_json::Error> {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok([
        text(Some(product.sku.as_str())),
        product.name.clone(),
        text(product.description.as_deref()),
        text(product.category.as_deref()),
        product.tax_category.clone(),
        text(Some(product.status.as_str())),
        text(product.variant_of.as_ref().map(|sku| sku.as_str())),
        product
            .low_at
            .map(|units| units.to_string())
            .unwrap_or_default(),
        serde_json::to_string(&product.prices)?,
        json_unless(&product.translations, product.translations.is_empty())?,
        json_unless(&product.attributes, product.attributes.is_empty())?,
        json_unless(&product.options, product.options.is_empty())?,
    ])
}

fn json_unless<T: Serialize>(part: &T, is_empty: bool) -> Result<String, serde_json::Error> {
    if is_empty {
        return Ok(String::new());
    }
    serde_json::to_string(part)
}

fn record<const N: usize>(fields: [impl AsRef<[u8]>; N]) -> Result<Vec<u8>, Broken> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(fields)?;
    writer
        .into_inner()
        .map_err(|error| Broken::Io(error.into_error()))
}

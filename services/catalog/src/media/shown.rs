//! Images as the API shows them.

use std::collections::HashMap;
use std::iter;

use sqlx::PgPool;
use steelyard_domain::media::{Image, ImageStatus, ProductImage, Rendition};
use steelyard_domain::product::Product;

use super::Media;
use super::rows::{self, Row};

impl Media {
    /// Puts the images of these products into them, and of their variants.
    ///
    /// # Errors
    /// Those of Postgres.
    pub(crate) async fn show(&self, pool: &PgPool, products: &mut [Product]) -> sqlx::Result<()> {
        let skus = products.iter().flat_map(|product| {
            let variants = product.variants.iter();
            let variants = variants.map(|variant| variant.sku.as_str());
            iter::once(product.sku.as_str()).chain(variants)
        });
        let skus: Vec<&str> = skus.collect();
        if skus.is_empty() {
            return Ok(());
        }
        let ready = rows::of_products(pool, &skus, Some(ImageStatus::Ready)).await?;
        let mut by_sku: HashMap<String, Vec<ProductImage>> = HashMap::new();
        for row in ready {
            let sku = row.sku.as_str().to_owned();
            by_sku.entry(sku).or_default().extend(self.shopped(&row));
        }
        for product in products {
            product.images = by_sku.remove(product.sku.as_str()).unwrap_or_default();
            for variant in &mut product.variants {
                variant.images = by_sku.remove(variant.sku.as_str()).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// An image as those who change products see it.
    pub(super) fn shown(&self, row: Row) -> Image {
        Image {
            image: self.shopped(&row),
            id: row.id,
            status: row.status,
            content_type: row.content_type,
            bytes: row.bytes,
            alt: row.alt,
            refusal: row.refusal,
            created_by: row.created_by,
            created_at: row.created_at,
        }
    }

    fn shopped(&self, row: &Row) -> Option<ProductImage> {
        let rendition = |kept: &rows::Kept| Rendition {
            content_type: kept.content_type,
            width: kept.width,
            height: kept.height,
            bytes: kept.bytes,
            url: format!("{}/{}", self.base_url, kept.key),
        };
        let renditions = row.renditions.iter().map(rendition).collect();
        ProductImage::new(row.id, row.alt.clone(), row.size?, renditions)
    }
}

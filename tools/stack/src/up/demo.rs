//! A small shop to begin with.

use std::time::Duration;

use anyhow::Context;
use steelyard_domain::product::ImportReport;

use crate::client::Gateway;
use crate::dir::StackDir;
use crate::progress::Progress;
use crate::tokens;

const PRODUCTS: &str = include_str!("../../demo/products.ndjson");
const TOKEN_TTL: Duration = Duration::from_secs(600);

/// Loads the demo products, once per data directory: what the user made of them since is theirs.
pub(super) async fn load(
    dir: &StackDir,
    gateway_url: &str,
    progress: &Progress,
) -> anyhow::Result<()> {
    if dir.demo_mark().exists() {
        return Ok(());
    }
    progress.doing("loading the demo catalog");
    let token = tokens::mint(dir, "demo-catalog", "catalog:write", TOKEN_TTL)?;
    let gateway = Gateway::new(gateway_url.parse()?, token)?;
    let report: ImportReport = gateway
        .import_products(PRODUCTS.to_owned())
        .await
        .context("cannot load the demo catalog")?;
    anyhow::ensure!(
        report.failed == 0,
        "the demo catalog has {} bad lines: {:?}",
        report.failed,
        report.errors
    );
    std::fs::write(dir.demo_mark(), "")
        .with_context(|| format!("cannot write {}", dir.demo_mark().display()))?;
    progress.done(&format!("demo catalog with {} products", report.lines));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use steelyard_domain::product::ProductBody;

    use super::PRODUCTS;

    #[test]
    fn every_demo_product_is_valid_and_has_stock() {
        let mut skus = HashSet::new();
        for line in PRODUCTS.lines() {
            let body: ProductBody = serde_json::from_str(line).unwrap();
            let draft = body.check(None).unwrap();
            assert!(draft.stock.is_some() && !draft.prices.is_empty(), "{line}");
            assert!(skus.insert(draft.sku.to_string()), "{line} is there twice");
        }
        assert!(skus.len() >= 40);
    }
}

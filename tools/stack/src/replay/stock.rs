//! The products that the files sell, as lines of the catalog's import.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::json;

use super::file::Books;

/// What the catalog is told of one SKU.
struct Entry<'a> {
    name: &'a str,
    /// The first in the files; it changes over time, and the orders carry their own.
    price: Decimal,
    /// Units that each file sells.
    units: BTreeMap<usize, i64>,
}

/// One NDJSON line per SKU and file. The units that a file sells are booked as a goods receipt under a reference made
/// of its name and content, which the catalog books once: a second replay of the file changes nothing.
pub(super) fn import_lines(books: &Books, currency: &str) -> String {
    let mut entries: BTreeMap<&str, Entry<'_>> = BTreeMap::new();
    for line in books.replayable().flat_map(|invoice| &invoice.lines) {
        let entry = entries.entry(&line.sku).or_insert_with(|| Entry {
            name: &line.name,
            price: line.unit_price,
            units: BTreeMap::new(),
        });
        let units = entry.units.entry(line.file).or_default();
        *units = units.saturating_add(line.quantity);
    }
    let mut ndjson = String::new();
    for (sku, entry) in entries {
        for (file, units) in entry.units {
            let (name, digest) = &books.files[file];
            // A reference holds 128 characters.
            let name: String = name.chars().take(80).collect();
            let product = json!({
                "sku": sku,
                "name": entry.name,
                "category": "replay",
                "prices": [{ "currency": currency, "amount": entry.price.to_string() }],
                "stock": {
                    "adjust": units,
                    "reference": format!("replay-{name}-{digest}"),
                    "reason": "goods that the replayed invoices sell",
                },
            });
            ndjson.push_str(&product.to_string());
            ndjson.push('\n');
        }
    }
    ndjson
}

//! What the stack prints when it is up.

use std::collections::BTreeMap;

use crate::dir::StackDir;
use crate::progress::out;

/// The ready-made tokens: name, `sub`, scopes.
pub(super) const TOKENS: [(&str, &str, &str); 4] = [
    ("customer", "alice", "customer"),
    (
        "storefront",
        "storefront",
        "storefront orders:price orders:manage payments",
    ),
    ("catalog", "catalog", "catalog:write"),
    ("ops", "ops", "ops"),
];

/// Prints addresses, tokens and an order to paste.
pub(super) fn print(dir: &StackDir, gateway: &str, mode: &str, tokens: &BTreeMap<String, String>) {
    let root = dir.root().display();
    out(&format!("\nSteelyard is up ({mode}).\n"));
    out(&format!("  API       {gateway}/v1"));
    out(&format!("  Docs      {gateway}/docs"));
    out(&format!(
        "  Everything's address, pid and log: {root}/run.json"
    ));
    out("\nTokens, good for a day (more: cargo stack token --sub NAME --scope SCOPES):\n");
    for (name, sub, scope) in TOKENS {
        let token = tokens.get(name).map_or("", String::as_str);
        out(&format!(
            "  # {sub}: {scope}\n  {}={token}\n",
            name.to_uppercase()
        ));
    }
    out("An order to paste:\n");
    out(&sample(
        gateway,
        tokens.get("customer").map_or("", String::as_str),
    ));
    out("\nCtrl-C stops everything.");
}

/// A curl command for an order of two demo products at their prices.
pub(super) fn sample(gateway: &str, token: &str) -> String {
    let body = r#"{"currency":"GBP","lines":[{"sku":"TEA-EARL-100","quantity":2,"unit_price":"4.95"},{"sku":"MUG-STONE-BLUE","quantity":1,"unit_price":"12.50"}],"ship_to":{"name":"Alice Example","line1":"1 High Street","city":"London","postcode":"N1 1AA","country":"GB"}}"#;
    format!(
        "  curl -sS {gateway}/v1/orders \\\n    -H 'authorization: Bearer {token}' \\\n    -H 'content-type: application/json' \\\n    -H 'idempotency-key: my-first-order' -H 'prefer: wait=10' \\\n    -d '{body}'"
    )
}

//! The intake stands alone (promise P8): no Postgres client gets into the gateway.

use std::process::Command;

#[test]
fn the_dependency_tree_holds_no_database_client() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args([
            "tree",
            "-p",
            "steelyard-gateway",
            "-e",
            "normal",
            "--prefix",
            "none",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(tree.contains("steelyard-queue "), "{tree}");
    for banned in [
        "sqlx",
        "tokio-postgres",
        "steelyard-store",
        "steelyard-orders",
        "steelyard-catalog",
    ] {
        let found = tree.lines().find(|line| line.starts_with(banned));
        assert_eq!(found, None, "{banned} is in the gateway's dependency tree");
    }
}

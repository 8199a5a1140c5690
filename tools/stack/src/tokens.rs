//! Access tokens of the stack's own key.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use steelyard_domain::scope::Scope;
use steelyard_tokens::{Claims, Keys};

use crate::cli::TokenArgs;
use crate::dir::StackDir;
use crate::progress::out;

/// `cargo stack token`: prints one token and nothing else.
///
/// # Errors
/// When no stack was ever started here, or a scope is none.
pub fn command(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    out(&mint(
        &StackDir::at(&args.data.dir)?,
        &args.sub,
        &args.scope,
        args.ttl,
    )?);
    Ok(ExitCode::SUCCESS)
}

/// A token for `sub` with these scopes, signed with the key of the stack in `dir`.
///
/// # Errors
/// When there is no key, or a scope is none.
pub fn mint(dir: &StackDir, sub: &str, scope: &str, ttl: Duration) -> anyhow::Result<String> {
    for word in scope.split(' ') {
        if !Scope::ALL.iter().any(|known| known.as_str() == word) {
            let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
            bail!("{word:?} is no scope; there are: {}", known.join(", "));
        }
    }
    if !dir.key().exists() {
        bail!(
            "no stack was started in {} yet; start one with: cargo stack (in another directory: --data DIR)",
            dir.root().display()
        );
    }
    let keys = Keys::load_or_generate(&dir.key())?;
    keys.mint(&Claims::new(sub, scope, ttl))
        .context("cannot make a token")
}

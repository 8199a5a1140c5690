//! `cargo stack env`: the `.env` of docker-compose.yml, with passwords and with the public half of the stack's key, so
//! that `token` and `replay` work against the composed system as they do against this one.

use std::process::ExitCode;

use anyhow::Context;
use steelyard_localstores::random_secret;
use steelyard_tokens::{AUDIENCE, ISSUER, Keys};

use crate::cli::EnvArgs;
use crate::dir::StackDir;
use crate::progress::out;
use crate::secrets::Secrets;

const TEMPLATE: &str = include_str!("../../../.env.example");

/// Prints the file. The same passwords come out every time, except Postgres's administrator's, whom no service knows.
///
/// # Errors
/// When the stack's directory cannot be written.
pub fn command(args: &EnvArgs) -> anyhow::Result<ExitCode> {
    let dir = StackDir::at(&args.data.dir)?;
    std::fs::create_dir_all(dir.root())
        .with_context(|| format!("cannot create {}", dir.root().display()))?;
    let secrets = Secrets::load_or_make(&dir.secrets())?;
    let keys = Keys::load_or_generate(&dir.key())?;
    let jwks = format!("'{}'", one_line(&keys.jwks())?);
    let filled = fill(
        TEMPLATE,
        &[
            ("SERVICE_TOKEN", &secrets.service_token),
            (
                "POSTGRES_PASSWORD",
                &random_secret().context("cannot make a password")?,
            ),
            ("DATABASE_PASSWORD", &secrets.database_password),
            ("AUTH_JWKS", &jwks),
            ("AUTH_ISSUER", ISSUER),
            ("AUTH_AUDIENCE", AUDIENCE),
        ],
    );
    out(filled.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// A value in `.env` ends with its line.
fn one_line(json: &str) -> anyhow::Result<String> {
    let value: serde_json::Value = serde_json::from_str(json).context("the key set is no JSON")?;
    Ok(value.to_string())
}

/// The template with a value after each `NAME=` that has none.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() * 2);
    for line in template.lines() {
        filled.push_str(line);
        let value = line
            .strip_suffix('=')
            .and_then(|name| values.iter().find(|(known, _)| *known == name));
        if let Some((_, value)) = value {
            filled.push_str(value);
        }
        filled.push('\n');
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::{TEMPLATE, fill};

    #[test]
    fn everything_that_the_template_leaves_open_is_filled_in() {
        let names = [
            "SERVICE_TOKEN",
            "POSTGRES_PASSWORD",
            "DATABASE_PASSWORD",
            "AUTH_JWKS",
            "AUTH_ISSUER",
            "AUTH_AUDIENCE",
        ];
        let filled = fill(TEMPLATE, &names.map(|name| (name, "value")));
        for name in names {
            assert!(filled.contains(&format!("\n{name}=value\n")), "{name}");
        }
        let open: Vec<_> = filled
            .lines()
            .filter(|line| line.ends_with('=') && !line.starts_with('#'))
            .collect();
        assert!(open.is_empty(), "{open:?}");
    }
}

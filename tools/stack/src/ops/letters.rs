//! `cargo stack ops dead-letters`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{DeadLettersCommand, Desk, FilterArgs, Line, show};
use crate::progress::{err, out};
use crate::secrets::write_private;

const PATH: &str = "/v1/ops/dead-letters";
/// Calls of one `redrive --all`: 100,000 letters.
const STEPS_MAX: usize = 1_000;

/// 1 when something was not redriven, or would be parked again.
pub(super) async fn command(desk: &Desk, command: &DeadLettersCommand) -> anyhow::Result<ExitCode> {
    match command {
        DeadLettersCommand::List {
            filter,
            page,
            queue,
        } => {
            let mut query = page.query();
            query.push(("queue", queue.as_str().to_owned()));
            query.extend(filter.fields()?);
            let answer = desk.get(PATH, &query).await?;
            desk.say(&answer, show::letters);
            Ok(ExitCode::SUCCESS)
        }
        DeadLettersCommand::Show { id, queue } => {
            let answer = letter(desk, id, *queue).await?;
            desk.say(&answer, show::letter);
            Ok(ExitCode::SUCCESS)
        }
        DeadLettersCommand::Redrive {
            ids,
            all,
            filter,
            why,
            queue,
        } => {
            let mut body = json!({"queue": queue.as_str(), "reason": why});
            if *all {
                let mut fields = filter.fields()?;
                if filter.to.is_none() {
                    // What is parked again meanwhile would be redriven again and again.
                    fields.push(("parked_to", OffsetDateTime::now_utc().format(&Rfc3339)?));
                }
                let fields = fields.into_iter().map(|(k, v)| (k.to_owned(), v.into()));
                body["filter"] = fields.collect::<Map<_, _>>().into();
            } else {
                body["ids"] = json!(ids);
            }
            redrive(desk, &body, *all).await
        }
        DeadLettersCommand::Edit { id, body, why } => {
            let body = match body {
                Some(file) => read(file)?,
                None => edited(&letter(desk, id, Line::Orders).await?)?,
            };
            let path = format!("{PATH}/{id}/redrive");
            let body = json!({"reason": why, "body": body});
            let answer = desk.call(Method::POST, &path, &[], Some(&body)).await?;
            desk.say(&answer, show::redriven);
            Ok(code(all_moved(&answer)))
        }
        DeadLettersCommand::DryRun { id, body } => {
            let path = format!("{PATH}/{id}/dry-run");
            let body = match body {
                Some(file) => json!({"body": read(file)?}),
                None => json!({}),
            };
            let answer = desk.call(Method::POST, &path, &[], Some(&body)).await?;
            desk.say(&answer, show::dry_run);
            Ok(code(answer["verdict"] != "parks"))
        }
    }
}

async fn letter(desk: &Desk, id: &str, queue: Line) -> anyhow::Result<Value> {
    let query = [("queue", queue.as_str().to_owned())];
    desk.get(&format!("{PATH}/{id}"), &query).await
}

/// Once, or until nothing is left that can be moved.
async fn redrive(desk: &Desk, body: &Value, all: bool) -> anyhow::Result<ExitCode> {
    let path = format!("{PATH}/redrive");
    let mut all_moved_so_far = true;
    for _ in 0..STEPS_MAX {
        let answer = desk.call(Method::POST, &path, &[], Some(body)).await?;
        desk.say(&answer, show::redriven);
        all_moved_so_far &= all_moved(&answer);
        let moved = answer["moved"].as_u64().unwrap_or(0);
        if !all || moved == 0 || answer["more"] != true {
            if all && answer["more"] == true {
                err("there may be more, out of reach at the moment: see `dead-letters list`");
            }
            return Ok(code(all_moved_so_far));
        }
    }
    bail!("stopped after {STEPS_MAX} steps; run it again for the rest")
}

fn all_moved(answer: &Value) -> bool {
    let results = answer["results"].as_array();
    results.is_some_and(|results| results.iter().all(|result| result["outcome"] == "moved"))
}

fn code(went_well: bool) -> ExitCode {
    if went_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// What the operator makes of the message.
fn edited(letter: &Value) -> anyhow::Result<Value> {
    let editor = std::env::var("EDITOR")
        .context("set EDITOR, or give the corrected message by --body FILE")?;
    let before = match &letter["body"] {
        Value::Null => letter["raw"].as_str().unwrap_or_default().to_owned(),
        body => format!("{body:#}\n"),
    };
    let id = letter["id"].as_str().unwrap_or("letter");
    let safe: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let file = std::env::temp_dir().join(format!("steelyard-{safe}-{}.json", std::process::id()));
    write_private(&file, before.as_bytes())?;
    // An editor may be given with flags.
    let status = Command::new("sh")
        .args(["-c", "exec $EDITOR \"$1\"", "sh"])
        .arg(&file)
        .env("EDITOR", &editor)
        .status();
    let after = std::fs::read_to_string(&file);
    let removed = std::fs::remove_file(&file);
    let status = status.with_context(|| format!("cannot start {editor}"))?;
    let after = after.context("cannot read what was edited")?;
    removed.context("cannot remove the file that was edited")?;
    if !status.success() || after == before {
        bail!("nothing was changed, so nothing was sent");
    }
    serde_json::from_str(&after)
        .inspect_err(|_| out(&after))
        .context("what was edited is not JSON")
}

impl FilterArgs {
    /// As a query or a body names them.
    fn fields(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let time = |at: Option<OffsetDateTime>| at.map(|at| at.format(&Rfc3339)).transpose();
        let fields = [
            ("reason", self.reason.clone()),
            ("type", self.kind.clone()),
            ("customer_id", self.customer.clone()),
            ("parked_from", time(self.from)?),
            ("parked_to", time(self.to)?),
        ];
        let given = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        Ok(given.collect())
    }
}

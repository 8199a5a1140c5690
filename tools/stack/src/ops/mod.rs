//! `cargo stack ops`: what operators see and do, from a terminal, through the gateway's public routes.

mod args;
mod letters;
mod show;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};
use steelyard_domain::scope::Scope;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use args::{
    AskArgs, DeadLettersCommand, FilterArgs, Line, MaintenanceCommand, OpsArgs, OpsCommand,
    PageArgs,
};

use crate::client::Gateway;
use crate::dir::StackDir;
use crate::progress::out;
use crate::run_file::RunFile;
use crate::tokens;

/// A token is made for one command.
const TOKEN_TTL: Duration = Duration::from_secs(15 * 60);

/// `cargo stack ops`.
///
/// # Errors
/// What the gateway refuses, in its words.
pub async fn command(args: &OpsArgs) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(&args.ask)?;
    match &args.command {
        OpsCommand::Queues => {
            let answer = desk.get("/v1/ops/queues", &[]).await?;
            desk.say(&answer, show::queues);
        }
        OpsCommand::Audit { action, page } => {
            let mut query = page.query();
            query.extend(action.clone().map(|action| ("action", action)));
            let answer = desk.get("/v1/ops/audit", &query).await?;
            desk.say(&answer, show::audit);
        }
        OpsCommand::Maintenance(command) => maintenance(&desk, command).await?,
        OpsCommand::DeadLetters(command) => return letters::command(&desk, command).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn maintenance(desk: &Desk, command: &MaintenanceCommand) -> anyhow::Result<()> {
    let path = "/v1/ops/maintenance";
    let set = match command {
        MaintenanceCommand::Show => {
            let answer = desk.get(path, &[]).await?;
            desk.say(&answer, show::maintenance);
            return Ok(());
        }
        MaintenanceCommand::On { why, length, until } => {
            let until = until.or_else(|| length.map(|length| OffsetDateTime::now_utc() + length));
            let until = until.map(|until| until.format(&Rfc3339)).transpose()?;
            json!({"processing": "paused", "reason": why, "until": until})
        }
        MaintenanceCommand::Off { why } => json!({"processing": "running", "reason": why}),
    };
    let answer = desk.call(Method::PUT, path, &[], Some(&set)).await?;
    desk.say(&answer, show::maintenance);
    Ok(())
}

/// The gateway, and how to answer.
pub(crate) struct Desk {
    gateway: Gateway,
    json: bool,
}

impl Desk {
    fn open(args: &AskArgs) -> anyhow::Result<Self> {
        let dir = StackDir::at(&args.data)?;
        let url = match &args.url {
            Some(url) => url.clone(),
            None => {
                let running = RunFile::of_running(&dir)?;
                let gateway = running.parts.get("gateway");
                let gateway = gateway.context("the running stack has no gateway")?;
                gateway.url.parse().context("run.json names no URL")?
            }
        };
        let token = match &args.token {
            Some(token) => token.clone(),
            None => tokens::mint(&dir, &args.name, Scope::Ops.as_str(), TOKEN_TTL)?,
        };
        Ok(Self {
            gateway: Gateway::new(url, token)?,
            json: args.json,
        })
    }

    async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        self.call(Method::GET, path, query, None).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        Ok(self.gateway.once(method, path, query, body).await?)
    }

    /// Prints an answer as it is, or for people.
    fn say(&self, answer: &Value, show: impl FnOnce(&Value) -> String) {
        if self.json {
            out(&format!("{answer:#}"));
        } else {
            out(&show(answer));
        }
    }
}

impl PageArgs {
    fn query(&self) -> Vec<(&'static str, String)> {
        let limit = self.limit.map(|limit| ("limit", limit.to_string()));
        let cursor = self.cursor.clone().map(|cursor| ("cursor", cursor));
        limit.into_iter().chain(cursor).collect()
    }
}

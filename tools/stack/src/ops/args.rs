//! The command line of `cargo stack ops`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

/// Flags of `ops`.
#[derive(Debug, Args)]
pub struct OpsArgs {
    /// What to look at or do.
    #[command(subcommand)]
    pub command: OpsCommand,
    /// Whom to ask.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Whom to ask, as whom, and how to answer.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The gateway; that of the running stack when left out
    #[arg(long, global = true)]
    pub url: Option<Url>,
    /// A token with the scope `ops`; minted with the stack's key when left out
    #[arg(long, global = true, env = "STEELYARD_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Who the audit shall name, when the token is minted here
    #[arg(
        long = "as",
        value_name = "NAME",
        global = true,
        env = "USER",
        default_value = "operator"
    )]
    pub name: String,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Where the stack keeps its data, logs, keys and run.json
    #[arg(
        id = "ops-data",
        long = "data",
        value_name = "DIR",
        global = true,
        default_value = ".stack"
    )]
    pub data: PathBuf,
}

/// What to look at or do.
#[derive(Debug, Subcommand)]
pub enum OpsCommand {
    /// Show the queues and the workers
    Queues,
    /// Look at dead letters and send them back
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Pause and resume the workers; orders are taken all the same
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// Show what operators did
    Audit {
        /// Only these: redrive, redrive.result, edit, edit.result, maintenance
        #[arg(long)]
        action: Option<String>,
        #[command(flatten)]
        #[expect(missing_docs, reason = "clap would show it")]
        page: PageArgs,
    },
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List them, those that have lain longest first
    List {
        #[command(flatten)]
        #[expect(missing_docs, reason = "clap would show it")]
        filter: FilterArgs,
        #[command(flatten)]
        #[expect(missing_docs, reason = "clap would show it")]
        page: PageArgs,
        /// Whose
        #[arg(long, value_enum, default_value_t)]
        queue: Line,
    },
    /// Show one, whole
    Show {
        /// Its id
        id: String,
        /// Whose
        #[arg(long, value_enum, default_value_t)]
        queue: Line,
    },
    /// Send some back to their queue: those named, or with --all whatever the filter takes
    Redrive {
        /// Their ids
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<String>,
        /// All that the filter takes, in as many steps as it needs
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        #[expect(missing_docs, reason = "clap would show it")]
        filter: FilterArgs,
        /// Why; for the audit
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Whose
        #[arg(long, value_enum, default_value_t)]
        queue: Line,
    },
    /// Correct one in $EDITOR (or take the correction from a file), and send it back
    Edit {
        /// Its id
        id: String,
        /// The corrected message, JSON; `fingerprint` is made anew
        #[arg(long, value_name = "FILE")]
        body: Option<PathBuf>,
        /// Why; for the audit
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Show what one would do if it were handled now; nothing of it stays
    DryRun {
        /// Its id
        id: String,
        /// A corrected message to try instead, JSON
        #[arg(long, value_name = "FILE")]
        body: Option<PathBuf>,
    },
}

/// Whether the workers work.
#[derive(Debug, Subcommand)]
pub enum MaintenanceCommand {
    /// Pause the workers
    On {
        /// Why; for the audit and for everyone who asks
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// They go on by themselves after this long, such as 30m or 2h
        #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "until")]
        length: Option<Duration>,
        /// They go on by themselves then (RFC 3339)
        #[arg(long, value_name = "TIME", value_parser = time_of)]
        until: Option<OffsetDateTime>,
    },
    /// Let the workers go on
    Off {
        /// Why; for the audit
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Show the state
    Show,
}

/// Which dead letters.
#[derive(Debug, Args)]
pub struct FilterArgs {
    /// Words in the reason
    #[arg(long, value_name = "WORDS")]
    pub reason: Option<String>,
    /// What the command asks for, such as order.place
    #[arg(long = "type", value_name = "KIND")]
    pub kind: Option<String>,
    /// Whose
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,
    /// Parked then or later (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time_of)]
    pub from: Option<OffsetDateTime>,
    /// Parked before that (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time_of)]
    pub to: Option<OffsetDateTime>,
}

/// Which page.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// Entries of a page
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: Option<u32>,
    /// What the page before named
    #[arg(long)]
    pub cursor: Option<String>,
}

/// Whose queue.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum Line {
    /// Commands for the order workers
    #[default]
    Orders,
    /// Events of which documents are made
    Documents,
    /// Events for shops' own systems
    Webhooks,
}

impl Line {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Documents => "documents",
            Self::Webhooks => "webhooks",
        }
    }
}

fn time_of(text: &str) -> Result<OffsetDateTime, time::error::Parse> {
    OffsetDateTime::parse(text, &Rfc3339)
}

//! The effects that stand in the code: every statement that writes, every script, every call to catalog and to SQS.
//!
//! They are read out of the sources, so one that is added is one that has to be reached.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use steelyard_testkit::statement;

use crate::lane::scripts_in;

/// Written to see whether Postgres can be written to, and always rolled back.
const PROBE: &str = "INSERT customers";
/// A route of reservations that changes nothing.
const READ: &str = "/internal/reservations/unsettled";
/// Reached only by what takes longer than a story (renewing) or when a queue refuses a single message: their faults are
/// played in the crates' own tests (`shared/sequence`, `shared/queue`, `shared/store`).
const SLOW: [&str; 3] = [
    "lease renew",
    "ChangeMessageVisibilityBatch",
    "UPDATE outbox",
];

/// An effect in the code.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Effect {
    call: String,
    file: PathBuf,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.call, self.file.display())
    }
}

impl Effect {
    /// Whether one of these points is this effect. A call to SQS may be about any queue.
    pub(crate) fn is_among(&self, points: &BTreeSet<String>) -> bool {
        points
            .iter()
            .any(|point| point == &self.call || point.split(' ').next() == Some(&self.call))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names of the lease scripts by their hash.
pub(crate) fn scripts() -> HashMap<String, String> {
    scripts_in(&root().join("shared/sequence/src/scripts"))
}

/// All of them.
pub(crate) fn effects() -> BTreeSet<Effect> {
    let mut effects = BTreeSet::new();
    let mut add = |call: String, file: &Path| {
        if call != PROBE && !SLOW.contains(&call.as_str()) {
            let file = file.strip_prefix(root()).unwrap_or(file).to_owned();
            effects.insert(Effect { call, file });
        }
    };
    for dir in [
        "services/orders/src/db",
        "services/orders/src/worker",
        "services/catalog/src/reservations",
        "shared/store/src",
    ] {
        for file in rust_files(&root().join(dir)) {
            for text in Source::read(&file).texts {
                let writes = statement(&text).filter(|call| !call.starts_with("SELECT"));
                if let Some(call) = writes.filter(|_| is_sql(&text)) {
                    add(call, &file);
                }
            }
        }
    }
    let file = root().join("shared/domain/src/internal.rs");
    for text in Source::read(&file).texts {
        if text.starts_with("/internal/reservations") && text != READ {
            add(format!("POST {text}"), &file);
        }
    }
    let file = root().join("shared/queue/src/sqs/mod.rs");
    for call in Source::read(&file).calls_on_queues() {
        add(call, &file);
    }
    for name in scripts().into_values() {
        add(name, Path::new("shared/sequence/src/scripts"));
    }
    for file in ["shared/status/src/receipts.rs", "shared/status/src/push.rs"] {
        let file = root().join(file);
        for command in Source::read(&file).redis_commands() {
            add(command, &file);
        }
    }
    effects
}

/// A text that begins as a statement does, and no sentence about one.
fn is_sql(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    matches!(first, "INSERT" | "UPDATE" | "DELETE" | "WITH")
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// What stands in a file, but for its tests.
#[derive(Default)]
struct Source {
    texts: Vec<String>,
    /// Names and punctuation in a row, texts left out.
    words: Vec<String>,
}

impl Source {
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).expect("a source");
        let tokens: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let mut source = Self::default();
        source.walk(tokens);
        source
    }

    fn walk(&mut self, tokens: TokenStream) {
        let mut is_test = false;
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    is_test |= group.delimiter() == Delimiter::Bracket
                        && group.stream().to_string().replace(' ', "") == "cfg(test)";
                    if is_test && group.delimiter() == Delimiter::Brace {
                        is_test = false;
                    } else {
                        self.walk(group.stream());
                    }
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    if let Some(text) = text.strip_prefix('"') {
                        let text = text
                            .trim_end_matches('"')
                            .replace("\\\n", "\n")
                            .replace("\\n", "\n");
                        self.words.push(format!("\"{text}"));
                        self.texts.push(text.trim().to_owned());
                    }
                }
                TokenTree::Ident(name) => self.words.push(name.to_string()),
                TokenTree::Punct(_) => {}
            }
        }
    }

    /// `.delete_message_batch().queue_url(…)` is `DeleteMessageBatch`.
    fn calls_on_queues(&self) -> BTreeSet<String> {
        let pairs = self.words.windows(2).filter(|pair| pair[1] == "queue_url");
        let calls = pairs.map(|pair| camel(&pair[0]));
        calls
            .filter(|call| !call.starts_with("Get") && call.contains("Message"))
            .collect()
    }

    /// `cmd("SET")` is `SET`.
    fn redis_commands(&self) -> BTreeSet<String> {
        let pairs = self.words.windows(2).filter(|pair| pair[0] == "cmd");
        let commands = pairs.filter_map(|pair| Some(pair[1].strip_prefix('"')?.to_owned()));
        // A read is no effect.
        commands.filter(|command| command != "GET").collect()
    }
}

fn camel(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect()
}

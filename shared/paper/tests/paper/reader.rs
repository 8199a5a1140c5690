//! What independent readers find in a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// qpdf and PDFium, as packages.
const PACKAGES: [&str; 3] = ["pikepdf==10.18.0", "pypdfium2==5.15.2", "lxml==6.1.3"];

/// What was found in one file.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    /// What qpdf has to complain about.
    pub(crate) faults: Vec<String>,
    pub(crate) version: String,
    /// Name, whether it is embedded, whether its text can be copied.
    pub(crate) fonts: Vec<(String, bool, bool)>,
    pub(crate) intents: Vec<String>,
    pub(crate) attachments: BTreeMap<String, Attachment>,
    /// PDF/A's.
    pub(crate) part: Option<String>,
    pub(crate) conformance: Option<String>,
    /// What the metadata says about the e-invoice.
    pub(crate) fx: BTreeMap<String, String>,
    /// Which of that its schema describes.
    pub(crate) declared: Vec<String>,
    /// Each page's text, by PDFium.
    pub(crate) pages: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) relationship: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) text: String,
}

/// Reads files by name; `None` where there is no Python or no package index.
#[expect(clippy::print_stderr, reason = "says what is left out")]
pub(crate) fn read(files: &[(String, &[u8])]) -> Option<BTreeMap<String, Found>> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let environment = match steelyard_testkit::python(target, "paper-venv", &PACKAGES) {
        Ok(environment) => environment,
        Err(why) => {
            eprintln!("left out, the readers cannot be installed: {why}");
            return None;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/paper/look.py");
    let output = Command::new(environment.join("bin/python"))
        .arg(script)
        .arg(folder.path())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let found: BTreeMap<String, Found> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found.len(), files.len());
    Some(found)
}

/// One file.
pub(crate) fn read_one(bytes: &[u8]) -> Option<Found> {
    read(&[("one.pdf".to_owned(), bytes)])?.into_values().next()
}

/// The text as a person reads it: every kind of space is one, hyphens that PDFium marks are hyphens.
pub(crate) fn plain(text: &str) -> String {
    let text = text.replace(['\u{2}', '\u{fffe}'], "-");
    text.split(|c: char| c.is_whitespace() || c == '\u{202f}' || c == '\u{a0}')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

//! What a person sees: a bar on a terminal, plain lines anywhere else.

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};

/// Whether somebody looks.
pub(super) fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// To standard output. Whoever has closed it does not read on.
pub(super) fn out(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// To standard error.
pub(super) fn err(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A bar on standard error; hidden where nobody looks.
pub(super) fn bar(unit: &str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    let template = format!(
        "{{bar:40}} {{human_pos}}/{{human_len}} {unit} · {{per_sec}} · {{eta}} left {{msg}}"
    );
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

/// A count on standard error, of what nobody knows the end; hidden where nobody looks.
pub(super) fn counter(unit: &str) -> ProgressBar {
    let counter = ProgressBar::no_length();
    let template = format!("{{spinner}} {{human_pos}} {unit} · {{per_sec}} · {{elapsed}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        counter.set_style(style);
    }
    counter
}

//! What a person sees: a spinner on a terminal, plain lines anywhere else.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use steelyard_localstores::install::Said;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Steps of a start, on standard error.
pub(crate) struct Progress {
    /// None: not a terminal.
    spinner: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { spinner: None };
        }
        let spinner = ProgressBar::new_spinner();
        spinner.enable_steady_tick(TICK);
        Self {
            spinner: Some(spinner),
        }
    }

    /// Says what is being done now.
    pub(crate) fn doing(&self, what: &str) {
        match &self.spinner {
            Some(spinner) => spinner.set_message(format!("{what} …")),
            None => err(&format!("  {what} …")),
        }
    }

    /// Says what has been done.
    pub(crate) fn done(&self, what: &str) {
        self.line(&format!("✓ {what}"));
    }

    /// Says what a person should know.
    pub(crate) fn note(&self, what: &str) {
        self.line(&format!("• {what}"));
    }

    /// Passes on what an installation says.
    pub(crate) fn install(&self, said: Said<'_>) {
        match said {
            Said::Step(step) => self.note(step),
            // On a terminal one line at a time is enough: a failure repeats the last ones.
            Said::Output(line) => match &self.spinner {
                Some(spinner) => spinner.set_message(line.to_owned()),
                None => err(&format!("  {line}")),
            },
        }
    }

    fn line(&self, line: &str) {
        match &self.spinner {
            Some(spinner) => spinner.println(line),
            None => err(line),
        }
    }

    /// Leaves the terminal to another program (cargo's own progress) for as long as `work` takes.
    pub(crate) async fn suspended<T>(&self, work: impl Future<Output = T>) -> T {
        if let Some(spinner) = &self.spinner {
            spinner.disable_steady_tick();
            spinner.set_message("");
            spinner.finish_and_clear();
        }
        let outcome = work.await;
        if let Some(spinner) = &self.spinner {
            spinner.reset();
            spinner.enable_steady_tick(TICK);
        }
        outcome
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// A bar over `length` steps of `what` on a terminal; nothing elsewhere.
pub(crate) fn bar(length: usize, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length as u64).with_message(what);
    if let Ok(style) =
        ProgressStyle::with_template("{msg:<10} {wide_bar} {pos}/{len} {per_sec} {eta}")
    {
        bar.set_style(style);
    }
    bar
}

/// A line on standard output; a reader that has gone away is no failure.
pub(crate) fn out(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line on standard error.
pub(crate) fn err(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

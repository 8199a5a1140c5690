//! `documents preview`: a sample document under a theme, to look at while editing it.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use steelyard_paper::{Press, Theme, sample};

/// Lines that a sample may have: as many as an order.
const LINES_MAX: u16 = 2_000;

/// Renders a sample document under a theme.
#[derive(Debug, Parser)]
#[command(name = "documents preview")]
pub struct Preview {
    /// Folder with `theme.toml`; the plain theme when left out.
    #[arg(long)]
    theme: Option<PathBuf>,
    /// Language of the document.
    #[arg(long, default_value = "en")]
    lang: String,
    /// What to render.
    #[arg(long, value_enum, default_value_t = Kind::Invoice)]
    kind: Kind,
    /// Lines of the sample.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=i64::from(LINES_MAX)))]
    lines: u16,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

/// What can be rendered.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Invoice,
    CreditNote,
    DeliveryNote,
}

impl Preview {
    /// Writes the file, and answers what to tell about it.
    ///
    /// # Errors
    /// A fault in the theme, by line and column, or a file that cannot be written.
    pub fn run(&self) -> anyhow::Result<String> {
        let theme = match &self.theme {
            Some(folder) => Theme::read(folder)?,
            None => Theme::plain(),
        };
        let press = Press::new(theme)?;
        let lines = self.lines.into();
        let pdf = match self.kind {
            Kind::Invoice => press.invoice(&sample::invoice(lines), &self.lang),
            Kind::CreditNote => press.invoice(&sample::credit_note(lines), &self.lang),
            Kind::DeliveryNote => press.delivery_note(&sample::delivery_note(lines), &self.lang),
        }?;
        fs::write(&self.out, &pdf.bytes)
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        let mut said = format!(
            "{}: {} pages, {} bytes",
            self.out.display(),
            pdf.pages,
            pdf.bytes.len()
        );
        if !pdf.missing.is_empty() {
            let missing: String = pdf.missing.iter().collect();
            said.push_str(&format!("; no font of the theme has: {missing}"));
        }
        Ok(said)
    }
}

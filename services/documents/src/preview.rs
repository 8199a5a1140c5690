//! `documents preview`: a sample document under a theme, to look at while editing it.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use steelyard_domain::tax::PriceMode;
use steelyard_paper::sample::{self, Sample};
use steelyard_paper::{Press, Theme};

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
    /// Whom the sample goes to.
    #[arg(long, value_enum, default_value_t = Buyer::Home)]
    buyer: Buyer,
    /// Prices hold the tax.
    #[arg(long)]
    gross: bool,
    /// With allowances and charges, on lines and on the whole.
    #[arg(long)]
    allowances: bool,
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

/// Whom a sample can go to.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Buyer {
    /// In the shop's own country.
    Home,
    /// In Israel, in Hebrew.
    Hebrew,
    /// In Lebanon, in Arabic.
    Arabic,
}

impl Preview {
    fn sample(&self) -> Sample {
        Sample {
            lines: self.lines.into(),
            prices: if self.gross {
                PriceMode::Gross
            } else {
                PriceMode::Net
            },
            buyer: match self.buyer {
                Buyer::Home => sample::Buyer::Home,
                Buyer::Hebrew => sample::Buyer::Hebrew,
                Buyer::Arabic => sample::Buyer::Arabic,
            },
            has_allowances: self.allowances,
        }
    }

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
        let sample = self.sample();
        let pdf = match self.kind {
            Kind::Invoice => press.invoice(&sample.invoice(), &self.lang),
            Kind::CreditNote => press.invoice(&sample.credit_note(), &self.lang),
            Kind::DeliveryNote => press.delivery_note(&sample.delivery_note(), &self.lang),
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

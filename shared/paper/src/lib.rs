//! Invoices, credit notes and delivery notes on paper: PDF/A-3b with real text layout, under a theme that a shop
//! edits without compiling.
//!
//! ```
//! use steelyard_paper::{Press, Theme, sample};
//!
//! let press = Press::new(Theme::plain())?;
//! let invoice = sample::invoice(8);
//! let pdf = press.invoice(&invoice, "de")?;
//! assert!(pdf.bytes.starts_with(b"%PDF-1.7"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`theme`] | `theme.toml` beside a logo and fonts: colours, columns, footers, words; a fault names its line |
//! | `numbers` | amounts and dates as a language writes them |
//! | `page` | text in lines (shaping, bidi, line breaking, fallback by `parley`), and what is on a page |
//! | `compose` | where everything goes: address window, facts, table over many pages with carried totals, sums |
//! | `pdf` | pages into a file by `krilla`, with `factur-x.xml` in it and the metadata that says so |
//! | [`sample`] | documents to look at |
//!
//! The same document, theme and language give the same bytes on every machine: no clock, no chance, and no font
//! of the system's.
//!
//! # Fonts
//!
//! IBM Plex Sans (Latin, Greek, Cyrillic), Noto Sans Arabic and Noto Sans Hebrew come along (SIL Open Font License).
//! A theme names others, also for scripts beyond these such as Chinese. What no font can show is printed as `�`,
//! and [`Pdf::missing`] names it; the XML has it whole.
//!
//! # Limits
//!
//! A4 or US letter, portrait. A theme's file has at most [`theme::FILE_BYTES_MAX`] bytes, a logo or a font
//! [`theme::ASSET_BYTES_MAX`].

mod compose;
mod numbers;
mod page;
mod pdf;
mod press;
pub mod sample;
pub mod theme;

pub use pdf::{Pdf, RenderError};
pub use press::Press;
pub use theme::{Theme, ThemeError};

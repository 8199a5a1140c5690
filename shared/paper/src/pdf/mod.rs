//! Pages into a file: PDF/A-3b by `krilla`, whose validator refuses what the standard forbids.

mod draw;
mod factur_x;

use std::collections::{BTreeSet, HashMap};

use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::embed::{AssociationKind, EmbeddedFile, MimeType};
use krilla::image::Image;
use krilla::metadata::{DateTime, Metadata};
use krilla::page::PageSettings;
use krilla::text::Font;
use krilla::{Document, SerializeSettings};
use steelyard_einvoice::{NotExpressible, cii};
use time::Date;

use crate::page::Leaf;

/// A rendered document.
#[derive(Debug, Clone)]
pub struct Pdf {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its pages.
    pub pages: usize,
    /// What no font of the theme could show; `�` is printed instead.
    pub missing: BTreeSet<char>,
}

/// Why a document cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A font of the theme cannot be embedded.
    #[error("a font of the theme cannot be used")]
    Font,
    /// The e-invoice cannot be written.
    #[error(transparent)]
    Invoice(#[from] NotExpressible),
    /// The file would not be PDF/A-3b.
    #[error("the file would not be PDF/A-3b: {0}")]
    Refused(String),
    /// The metadata could not be completed: the writer's output has another shape than it had.
    #[error("the metadata could not be completed: {0}")]
    Metadata(&'static str),
}

/// What a file is made of.
pub(crate) struct Source<'a> {
    pub(crate) leaves: &'a [Leaf],
    /// Width and height in points.
    pub(crate) size: (f32, f32),
    pub(crate) fonts: &'a HashMap<u64, Font>,
    pub(crate) logo: Option<&'a Image>,
    pub(crate) title: &'a str,
    pub(crate) author: &'a str,
    /// The language's tag.
    pub(crate) language: &'a str,
    pub(crate) dated: Date,
    /// `factur-x.xml`.
    pub(crate) e_invoice: Option<Vec<u8>>,
}

/// Writes the file.
pub(crate) fn write(source: Source<'_>) -> Result<Vec<u8>, RenderError> {
    let refused = |why: &dyn std::fmt::Debug| RenderError::Refused(format!("{why:?}"));
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A3_B)
        .finish()
        .map_err(|error| refused(&error))?;
    let mut document = Document::new_with(SerializeSettings {
        configuration,
        enable_tagging: false,
        ..SerializeSettings::default()
    });
    for leaf in source.leaves {
        let settings = PageSettings::from_wh(source.size.0, source.size.1)
            .ok_or_else(|| refused(&"a page without size"))?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        for mark in &leaf.marks {
            draw::mark(&mut surface, mark, source.fonts, source.logo);
        }
        surface.finish();
        page.finish();
    }
    let dated = midnight(source.dated);
    document.set_metadata(
        Metadata::new()
            .title(source.title.to_owned())
            .authors(vec![source.author.to_owned()])
            .creator("Steelyard".to_owned())
            .producer("Steelyard".to_owned())
            .language(source.language.to_owned())
            .creation_date(dated)
            .document_id(format!("{}/{}", source.author, source.title)),
    );
    let has_e_invoice = source.e_invoice.is_some();
    if let Some(xml) = source.e_invoice {
        let file = EmbeddedFile {
            path: cii::FILE_NAME.to_owned(),
            mime_type: MimeType::new("text/xml"),
            description: Some("The invoice as data: EN 16931, Factur-X".to_owned()),
            association_kind: AssociationKind::Alternative,
            data: xml.into(),
            modification_date: Some(dated),
            compress: Some(true),
            location: None,
        };
        document
            .embed_file(file)
            .ok_or_else(|| refused(&"the e-invoice was embedded before"))?;
    }
    let bytes = document.finish().map_err(|error| refused(&error))?;
    if has_e_invoice {
        factur_x::declare(bytes)
    } else {
        Ok(bytes)
    }
}

/// The day of issue: the file's own date, so that it is the same whenever it is made.
fn midnight(date: Date) -> DateTime {
    DateTime::new(u16::try_from(date.year()).unwrap_or_default())
        .month(date.month().into())
        .day(date.day())
        .hour(0)
        .minute(0)
        .second(0)
        .utc_offset_hour(0)
}

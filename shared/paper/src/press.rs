//! A theme, ready to print.

use std::collections::HashMap;
use std::sync::Arc;

use krilla::text::Font;
use steelyard_einvoice::model::{DeliveryNote, Invoice};
use steelyard_einvoice::{NotExpressible, cii};
use time::Date;

use crate::compose::{self, Letter};
use crate::page::{FontSet, Typesetter};
use crate::pdf::{self, Pdf, RenderError, Source};
use crate::theme::{Language, Theme};

/// Renders documents under one theme. Many threads may share it.
pub struct Press {
    theme: Theme,
    fonts: FontSet,
    /// By their id in a layout.
    embedded: HashMap<u64, Font>,
}

impl std::fmt::Debug for Press {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Press").finish_non_exhaustive()
    }
}

impl Press {
    /// Makes a theme ready.
    ///
    /// # Errors
    /// [`RenderError::Font`].
    pub fn new(theme: Theme) -> Result<Self, RenderError> {
        let (fonts, ids) = FontSet::new(&theme.fonts);
        let files = ids.into_iter().zip(&theme.fonts);
        let embedded = files
            .map(|(id, file)| {
                let font = Font::new(Arc::clone(&file.data.0).into(), 0);
                Ok((id, font.ok_or(RenderError::Font)?))
            })
            .collect::<Result<_, RenderError>>()?;
        Ok(Self {
            theme,
            fonts,
            embedded,
        })
    }

    /// An invoice or a credit note in a language (`de`, `fr-BE`), with `factur-x.xml` in it; without where
    /// EN 16931 cannot hold its currency.
    ///
    /// # Errors
    /// See [`RenderError`].
    pub fn invoice(&self, invoice: &Invoice, language: &str) -> Result<Pdf, RenderError> {
        let language = self.theme.language(language);
        let letter = compose::invoice(invoice, &self.theme, language);
        let e_invoice = match cii::write(invoice) {
            Ok(xml) => Some(xml),
            Err(NotExpressible::Currency(_)) => None,
            Err(error) => return Err(error.into()),
        };
        self.print(&letter, language, invoice.issued_on, e_invoice)
    }

    /// A delivery note.
    ///
    /// # Errors
    /// See [`RenderError`].
    pub fn delivery_note(&self, note: &DeliveryNote, language: &str) -> Result<Pdf, RenderError> {
        let language = self.theme.language(language);
        let letter = compose::delivery_note(note, &self.theme, language);
        self.print(&letter, language, note.issued_on, None)
    }

    fn print(
        &self,
        letter: &Letter<'_>,
        language: &Language,
        dated: Date,
        e_invoice: Option<Vec<u8>>,
    ) -> Result<Pdf, RenderError> {
        let mut setter = Typesetter::new(self.fonts.clone());
        let leaves = compose::lay_out(letter, &self.theme, language, &mut setter);
        let bytes = pdf::write(Source {
            leaves: &leaves,
            size: compose::dimensions(self.theme.settings.paper),
            fonts: &self.embedded,
            logo: self.theme.logo.as_ref(),
            title: &letter.title,
            author: &letter.seller.name,
            language: &language.tag,
            dated,
            e_invoice,
        })?;
        Ok(Pdf {
            bytes,
            pages: leaves.len(),
            missing: setter.into_missing(),
        })
    }
}

//! What `theme.toml` says, with what is so when it says nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::fonts::Role;
use super::template::Template;
use super::words::Wording;

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Sheet of paper.
    pub(crate) paper: Paper,
    /// Of documents that ask for a language that the theme has not.
    pub(crate) language: String,
    pub(crate) logo: Option<Logo>,
    pub(crate) colours: Colours,
    pub(crate) fonts: Fonts,
    pub(crate) address: Address,
    pub(crate) table: Table,
    /// Up to four, side by side.
    pub(crate) footer: Footer,
    /// By language: other words, or a language that does not come along.
    pub(crate) wording: BTreeMap<String, Wording>,
}

/// A sheet of paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Paper {
    A4,
    #[serde(rename = "letter")]
    Letter,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logo {
    /// PNG or JPEG.
    pub(crate) file: Spanned<String>,
    #[serde(default = "left")]
    pub(crate) side: Side,
    #[serde(default = "logo_height")]
    pub(crate) height_mm: Millimetres<5, 40>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    Left,
    Right,
}

fn left() -> Side {
    Side::Left
}

fn logo_height() -> Millimetres<5, 40> {
    Millimetres(14.0)
}

/// A length between two limits in millimetres.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f32")]
pub(crate) struct Millimetres<const MIN: u8, const MAX: u8>(pub(crate) f32);

impl<const MIN: u8, const MAX: u8> TryFrom<f32> for Millimetres<MIN, MAX> {
    type Error = String;

    fn try_from(length: f32) -> Result<Self, String> {
        if (f32::from(MIN)..=f32::from(MAX)).contains(&length) {
            Ok(Self(length))
        } else {
            Err(format!("must be {MIN} to {MAX} mm"))
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Colours {
    /// Title, rules of the table, the sum.
    pub(crate) accent: Colour,
    pub(crate) text: Colour,
    /// Labels and footers.
    pub(crate) muted: Colour,
    /// Hairlines between rows.
    pub(crate) rule: Colour,
    /// Behind the sum and carried totals.
    pub(crate) shade: Colour,
}

/// `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Colour {
    pub(crate) red: u8,
    pub(crate) green: u8,
    pub(crate) blue: u8,
}

impl Colour {
    const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }
}

impl TryFrom<String> for Colour {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = text
            .strip_prefix('#')
            .filter(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .ok_or_else(|| {
                format!("{text:?} is no colour: write six hex digits such as \"#1b5e8c\"")
            })?
            .to_be_bytes();
        Ok(Self::new(bytes[1], bytes[2], bytes[3]))
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fonts {
    regular: Option<Spanned<String>>,
    bold: Option<Spanned<String>>,
    /// Asked in turn for what the others cannot show.
    fallback: Vec<Spanned<String>>,
}

impl Fonts {
    pub(super) fn files(&self) -> impl Iterator<Item = (&Spanned<String>, Role)> {
        let regular = self.regular.iter().map(|file| (file, Role::Regular));
        let bold = self.bold.iter().map(|file| (file, Role::Bold));
        let fallback = self.fallback.iter().map(|file| (file, Role::Fallback));
        regular.chain(bold).chain(fallback)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Address {
    /// Where the envelope has its window.
    pub(crate) window: Side,
    /// The small line above the address.
    pub(crate) sender: Template,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Table {
    /// From left to right.
    pub(crate) columns: Columns,
    /// Point size of the lines.
    pub(crate) size_pt: Points,
}

/// 7 to 12 points.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f32")]
pub(crate) struct Points(pub(crate) f32);

impl TryFrom<f32> for Points {
    type Error = String;

    fn try_from(size: f32) -> Result<Self, String> {
        if (7.0..=12.0).contains(&size) {
            Ok(Self(size))
        } else {
            Err("must be 7 to 12 points".to_owned())
        }
    }
}

/// The table's columns, each at most once, `name` among them.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<Column>")]
pub(crate) struct Columns(pub(crate) Vec<Column>);

impl TryFrom<Vec<Column>> for Columns {
    type Error = String;

    fn try_from(columns: Vec<Column>) -> Result<Self, String> {
        if !columns.contains(&Column::Name) {
            return Err("`name` must be among the columns: it takes the space that is left".into());
        }
        let twice = |column: &&Column| columns.iter().filter(|c| c == column).count() > 1;
        if let Some(column) = columns.iter().find(twice) {
            return Err(format!("{column:?} is there twice"));
        }
        Ok(Self(columns))
    }
}

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Column {
    /// Counted from 1.
    Position,
    Sku,
    Name,
    Quantity,
    UnitPrice,
    /// The rate.
    Tax,
    Total,
}

/// Blocks of small print, side by side.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<Vec<Template>>")]
pub(crate) struct Footer(pub(crate) Vec<Vec<Template>>);

/// Blocks of a footer.
const FOOTER_BLOCKS_MAX: usize = 4;
/// Lines of a block.
const FOOTER_LINES_MAX: usize = 5;

impl TryFrom<Vec<Vec<Template>>> for Footer {
    type Error = String;

    fn try_from(blocks: Vec<Vec<Template>>) -> Result<Self, String> {
        let lines = blocks.iter().map(Vec::len).max().unwrap_or_default();
        if blocks.len() > FOOTER_BLOCKS_MAX || lines > FOOTER_LINES_MAX {
            return Err(format!(
                "a footer has at most {FOOTER_BLOCKS_MAX} blocks of {FOOTER_LINES_MAX} lines"
            ));
        }
        Ok(Self(blocks))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            paper: Paper::A4,
            language: "en".to_owned(),
            logo: None,
            colours: Colours::default(),
            fonts: Fonts::default(),
            address: Address::default(),
            table: Table::default(),
            footer: Footer::default(),
            wording: BTreeMap::new(),
        }
    }
}

impl Default for Colours {
    fn default() -> Self {
        Self {
            accent: Colour::new(0x1f, 0x4e, 0x79),
            text: Colour::new(0x1c, 0x1f, 0x23),
            muted: Colour::new(0x66, 0x6d, 0x78),
            rule: Colour::new(0xd5, 0xd9, 0xdf),
            shade: Colour::new(0xf2, 0xf4, 0xf7),
        }
    }
}

impl Default for Address {
    fn default() -> Self {
        Self {
            window: Side::Left,
            sender: Template::fixed(
                "{seller.name} · {seller.line1} · {seller.postcode} {seller.city}",
            ),
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        use Column::{Name, Position, Quantity, Sku, Tax, Total, UnitPrice};
        Self {
            columns: Columns(vec![Position, Sku, Name, Quantity, UnitPrice, Tax, Total]),
            size_pt: Points(9.0),
        }
    }
}

impl Default for Footer {
    fn default() -> Self {
        let block = |lines: &[&'static str]| lines.iter().map(|l| Template::fixed(l)).collect();
        Self(vec![
            block(&[
                "{seller.name}",
                "{seller.line1}",
                "{seller.postcode} {seller.city}",
                "{seller.registration}",
            ]),
            block(&[
                "{seller.email}",
                "{word.phone} {seller.phone}",
                "{word.vat_id} {seller.vat_id}",
            ]),
            block(&[
                "{account.bank}",
                "{word.iban} {account.iban}",
                "{word.bic} {account.bic}",
            ]),
        ])
    }
}

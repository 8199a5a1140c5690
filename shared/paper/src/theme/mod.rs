//! A theme: `theme.toml` in a folder of its own, beside a logo and fonts. docs/THEMES.md is the page for its author.

mod fonts;
mod settings;
mod template;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

pub(crate) use fonts::{FontFile, Role};
pub(crate) use settings::{Colour, Column, Paper, Settings, Side};
pub(crate) use template::{Filling, in_fours};
pub(crate) use words::{Language, Word};

use words::Languages;

/// The largest `theme.toml`.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;
/// The largest logo or font.
pub const ASSET_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// The theme's file in its folder.
pub const FILE_NAME: &str = "theme.toml";

/// A theme that was read whole and checked: whoever holds one can render.
#[derive(Debug, Clone)]
pub struct Theme {
    pub(crate) settings: Settings,
    pub(crate) languages: Languages,
    pub(crate) logo: Option<krilla::image::Image>,
    pub(crate) fonts: Vec<FontFile>,
}

/// Why a theme cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    /// Not TOML, or not as a theme is: names line and column and shows the line.
    #[error("{path}: {fault}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong, where.
        fault: Box<toml::de::Error>,
    },
    /// A file that the theme names cannot be used.
    #[error("{path}, line {line}, column {column}: {file}: {why}")]
    Asset {
        /// The theme's file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What it names.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// The theme's own file cannot be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is in the way.
        why: String,
    },
}

impl Theme {
    /// The theme that comes along.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            settings: Settings::default(),
            languages: Languages::built_in(),
            logo: None,
            fonts: fonts::built_in(),
        }
    }

    /// Reads the theme in `folder`.
    ///
    /// # Errors
    /// See [`ThemeError`]; nothing of a faulty theme is used.
    pub fn read(folder: &Path) -> Result<Self, ThemeError> {
        let read = |name: &str, bytes_max| read_bounded(&folder.join(name), bytes_max);
        Self::load(folder, &read)
    }

    /// The same of files that are in memory, by their names in the theme's folder; `place` stands in what is told of faults.
    ///
    /// # Errors
    /// See [`ThemeError`].
    pub fn of_files(place: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<Self, ThemeError> {
        let read = |name: &str, bytes_max| {
            let file = files.get(name).ok_or("there is no such file")?;
            bounded(file.len() as u64, bytes_max)?;
            Ok(file.clone())
        };
        Self::load(place, &read)
    }

    fn load(folder: &Path, read: ReadFile<'_>) -> Result<Self, ThemeError> {
        let path = folder.join(FILE_NAME);
        let text = read(FILE_NAME, FILE_BYTES_MAX)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned()))
            .map_err(|why| ThemeError::Unreadable {
                path: path.clone(),
                why,
            })?;
        let settings: Settings = toml::from_str(&text).map_err(|fault| ThemeError::Toml {
            path: path.clone(),
            fault: Box::new(fault),
        })?;
        let assets = Assets {
            read,
            path: &path,
            text: &text,
        };
        let logo = settings.logo.as_ref();
        let logo = logo
            .map(|logo| assets.load(&logo.file, fonts::image))
            .transpose()?;
        let mut own = Vec::new();
        for (file, role) in settings.fonts.files() {
            own.push(assets.load(file, |_, bytes| fonts::font(bytes, role))?);
        }
        let mut fonts = fonts::built_in();
        fonts::arrange(&mut fonts, own);
        let languages = Languages::built_in().with(&settings.wording);
        Ok(Self {
            settings,
            languages,
            logo,
            fonts,
        })
    }

    /// The words of a language; of `de-AT` those of `de`; else the theme's own language.
    pub(crate) fn language(&self, tag: &str) -> &Language {
        self.languages.of(tag, &self.settings.language)
    }
}

/// The bytes of a file in the theme's folder, unless they are more than so many.
type ReadFile<'a> = &'a dyn Fn(&str, u64) -> Result<Vec<u8>, String>;

/// The files that a theme names.
struct Assets<'a> {
    read: ReadFile<'a>,
    path: &'a Path,
    text: &'a str,
}

impl Assets<'_> {
    fn load<T>(
        &self,
        file: &Spanned<String>,
        read: impl FnOnce(&str, Vec<u8>) -> Result<T, String>,
    ) -> Result<T, ThemeError> {
        let name = file.get_ref();
        let loaded = if Path::new(name).is_relative() && !name.contains("..") {
            (self.read)(name, ASSET_BYTES_MAX).and_then(|bytes| read(name, bytes))
        } else {
            Err("must lie in the theme's folder".to_owned())
        };
        loaded.map_err(|why| {
            let (line, column) = place(self.text, file.span());
            ThemeError::Asset {
                path: self.path.to_owned(),
                line,
                column,
                file: name.clone(),
                why,
            }
        })
    }
}

/// Line and column of a span, from 1.
fn place(text: &str, span: Range<usize>) -> (usize, usize) {
    let before = text.get(..span.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    bounded(size, bytes_max)?;
    fs::read(path).map_err(|error| error.to_string())
}

fn bounded(bytes: u64, bytes_max: u64) -> Result<(), String> {
    if bytes > bytes_max {
        return Err(format!("has {bytes} bytes, at most {bytes_max} are read"));
    }
    Ok(())
}

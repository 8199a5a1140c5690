//! Fonts and images as files.

use std::sync::Arc;

use krilla::image::Image;
use krilla::text::Font;

/// PDF/A forbids viewers to smooth images (ISO 19005-3, 6.2.8).
const INTERPOLATE: bool = false;

/// A font with its part to play.
#[derive(Debug, Clone)]
pub(crate) struct FontFile {
    pub(crate) role: Role,
    pub(crate) data: FontData,
}

/// The bytes of a font, shared between layout and file.
#[derive(Clone)]
pub(crate) struct FontData(pub(crate) Arc<dyn AsRef<[u8]> + Send + Sync>);

impl std::fmt::Debug for FontData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", (*self.0).as_ref().len())
    }
}

/// What a font is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Regular,
    Bold,
    /// For what the others cannot show.
    Fallback,
}

/// The fonts that come along.
pub(super) fn built_in() -> Vec<FontFile> {
    let file = |role, bytes: &'static [u8]| FontFile {
        role,
        data: FontData(Arc::new(bytes)),
    };
    vec![
        file(
            Role::Regular,
            include_bytes!("../../fonts/IBMPlexSans-Regular.ttf"),
        ),
        file(
            Role::Bold,
            include_bytes!("../../fonts/IBMPlexSans-SemiBold.ttf"),
        ),
        file(
            Role::Fallback,
            include_bytes!("../../fonts/NotoSansArabic-Regular.ttf"),
        ),
        file(
            Role::Fallback,
            include_bytes!("../../fonts/NotoSansHebrew-Regular.ttf"),
        ),
    ]
}

/// Puts a theme's fonts before those that come along, which stay as fallback.
pub(super) fn arrange(fonts: &mut Vec<FontFile>, own: Vec<FontFile>) {
    let replaces = |role| own.iter().any(|font: &FontFile| font.role == role);
    let (regular, bold) = (replaces(Role::Regular), replaces(Role::Bold));
    for font in fonts.iter_mut() {
        let replaced = match font.role {
            Role::Regular => regular,
            // A bold that does not match the regular would look wrong.
            Role::Bold => regular || bold,
            Role::Fallback => false,
        };
        if replaced {
            font.role = Role::Fallback;
        }
    }
    fonts.splice(0..0, own);
}

/// A font that the theme names.
pub(super) fn font(bytes: Vec<u8>, role: Role) -> Result<FontFile, String> {
    let data: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(bytes);
    Font::new(Arc::clone(&data).into(), 0)
        .ok_or("is no font (TrueType or OpenType)")
        .map_err(str::to_owned)?;
    Ok(FontFile {
        role,
        data: FontData(data),
    })
}

/// A logo by what its first bytes say.
pub(super) fn image(name: &str, bytes: Vec<u8>) -> Result<Image, String> {
    if bytes.starts_with(b"\x89PNG") {
        Image::from_png(bytes.into(), INTERPOLATE)
    } else if bytes.starts_with(b"\xff\xd8") {
        Image::from_jpeg(bytes.into(), INTERPOLATE)
    } else {
        Err(format!("{name} is neither PNG nor JPEG"))
    }
}

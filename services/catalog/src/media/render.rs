//! From the bytes that somebody uploaded to pictures in a few widths. Runs on a thread of its own: nothing here waits.

mod encode;

use std::io::Cursor;
use std::time::Instant;

use fast_image_resize::images::Image as Canvas;
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader, Limits};
use sha2::{Digest as _, Sha256};
use steelyard_domain::media::ImageType;

use encode::Pixels;
pub(super) use encode::{Deadline, Picture};

/// Widths that are made, as far as the picture has them: phones, and twice that for fine screens.
const WIDTHS: [u32; 4] = [320, 640, 1_280, 1_920];
/// A picture of more pixels is refused unread. Decoding takes up to some 12 bytes for each (a progressive JPEG): 300 MB.
const PIXELS_MAX: u64 = 25_000_000;
/// WebP cannot be larger (16,383), and nobody needs it.
const SIDE_MAX: u32 = 12_000;
/// Of the decoded picture: 25 megapixels in four bytes.
const DECODED_BYTES_MAX: u64 = 4 * PIXELS_MAX;
/// A picture whose widest form has more pixels than this gets no AVIF: one takes about two seconds a million on a slow
/// core, and cannot be broken off.
const AVIF_PIXELS_MAX: u64 = 4_000_000;

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// Its first bytes are of nothing that is taken.
    #[error("the file is no JPEG, PNG or WebP")]
    NotAnImage,
    /// It is something else than was announced.
    #[error("the file is {found}, and {announced} was announced")]
    WrongType {
        found: &'static str,
        announced: &'static str,
    },
    /// It would be too large once decoded.
    #[error(
        "the picture has {width} × {height} pixels; at most {PIXELS_MAX} in all and {SIDE_MAX} to a side are taken"
    )]
    TooManyPixels { width: u32, height: u32 },
    /// It would take more memory than one picture may.
    #[error("the picture takes too much memory to read")]
    TooLarge,
    /// It is broken.
    #[error("the picture cannot be read: {0}")]
    Undecodable(String),
    /// It took longer than one picture may.
    #[error("the picture takes too long to read")]
    TooSlow,
}

impl Refused {
    /// Stable, for programs.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::NotAnImage => "not_an_image",
            Self::WrongType { .. } => "wrong_type",
            Self::TooManyPixels { .. } | Self::TooLarge => "too_many_pixels",
            Self::Undecodable(_) => "undecodable",
            Self::TooSlow => "too_slow",
        }
    }
}

/// What was made of an upload.
#[derive(Debug)]
pub(super) struct Rendered {
    /// Of the picture itself, turned upright.
    pub(super) width: u32,
    pub(super) height: u32,
    /// By type and width.
    pub(super) pictures: Vec<Picture>,
}

impl Picture {
    /// The last part of its key: nothing else will ever have it.
    pub(super) fn file_name(&self) -> String {
        let hash = hex::encode(&Sha256::digest(&self.file)[..16]);
        let extension = self.content_type.extension();
        format!("{}-{hash}.{extension}", self.width)
    }
}

/// Checks and renders an upload.
///
/// # Errors
/// [`Refused`]: the upload's own fault.
pub(super) fn render(
    upload: Vec<u8>,
    announced: ImageType,
    deadline: &Deadline,
) -> Result<Rendered, Refused> {
    let format = sniffed(&upload, announced)?;
    let picture = decoded(upload, format)?;
    deadline.holds()?;
    let picture = opaque_or_not(picture);
    deadline.holds()?;
    let (width, height) = (picture.width(), picture.height());
    let webps: Result<Vec<Picture>, Refused> = widths(width)
        .map(|narrower| {
            let pixels = scaled(&picture, narrower)?;
            deadline.holds()?;
            pixels.webp(deadline)
        })
        .collect();
    let mut pictures = webps?;
    pictures.extend(avifs(&picture, deadline)?);
    Ok(Rendered {
        width,
        height,
        pictures,
    })
}

/// By its first bytes: what a client says of a file is no reason to believe it.
fn sniffed(upload: &[u8], announced: ImageType) -> Result<ImageFormat, Refused> {
    let format = image::guess_format(upload).map_err(|_| Refused::NotAnImage)?;
    let found = match format {
        ImageFormat::Jpeg => ImageType::Jpeg,
        ImageFormat::Png => ImageType::Png,
        ImageFormat::WebP => ImageType::Webp,
        _ => return Err(Refused::NotAnImage),
    };
    if found == announced {
        return Ok(format);
    }
    Err(Refused::WrongType {
        found: found.as_str(),
        announced: announced.as_str(),
    })
}

/// The picture, upright. Its header is read first, and what it says decides whether the rest is.
fn decoded(upload: Vec<u8>, format: ImageFormat) -> Result<DynamicImage, Refused> {
    let mut reader = ImageReader::with_format(Cursor::new(upload), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > PIXELS_MAX
        || width.max(height) > SIDE_MAX
        || decoder.total_bytes() > DECODED_BYTES_MAX
    {
        return Err(Refused::TooManyPixels { width, height });
    }
    // Broken metadata is no reason to refuse a picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    picture.apply_orientation(orientation);
    if picture.width() == 0 || picture.height() == 0 {
        return Err(Refused::Undecodable("it has no pixels".to_owned()));
    }
    Ok(picture)
}

fn undecodable(error: ImageError) -> Refused {
    match error {
        ImageError::Limits(_) => Refused::TooLarge,
        error => Refused::Undecodable(error.to_string()),
    }
}

/// Eight bits a channel, with alpha only if there is any.
fn opaque_or_not(picture: DynamicImage) -> DynamicImage {
    if picture.color().has_alpha() {
        DynamicImage::ImageRgba8(picture.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(picture.into_rgb8())
    }
}

/// Those of [`WIDTHS`] that are narrower than the picture, and the widest that it has. Nothing is enlarged.
fn widths(width: u32) -> impl Iterator<Item = u32> {
    let widest = width.min(WIDTHS[WIDTHS.len() - 1]);
    let narrower = WIDTHS.into_iter().filter(move |&one| one < widest);
    narrower.chain([widest])
}

/// Every width as AVIF, or none: a browser takes the first source that it understands, and must find its width there.
fn avifs(picture: &DynamicImage, deadline: &Deadline) -> Result<Vec<Picture>, Refused> {
    let mut avifs = Vec::with_capacity(WIDTHS.len());
    // The widest first: it decides.
    let widths: Vec<u32> = widths(picture.width()).collect();
    for width in widths.into_iter().rev() {
        deadline.holds()?;
        let pixels = scaled(picture, width)?;
        let is_large = u64::from(pixels.width) * u64::from(pixels.height) > AVIF_PIXELS_MAX;
        if is_large || Instant::now() > deadline.avif_until {
            return Ok(Vec::new());
        }
        match pixels.avif() {
            Ok(avif) => avifs.push(avif),
            Err(error) => {
                tracing::warn!(%error, width, "a picture could not be written as AVIF");
                return Ok(Vec::new());
            }
        }
    }
    avifs.reverse();
    Ok(avifs)
}

fn scaled(picture: &DynamicImage, width: u32) -> Result<Pixels, Refused> {
    let kind = match picture {
        DynamicImage::ImageRgba8(_) => PixelType::U8x4,
        _ => PixelType::U8x3,
    };
    if width == picture.width() {
        return Ok(Pixels {
            bytes: picture.as_bytes().to_vec(),
            kind,
            width,
            height: picture.height(),
        });
    }
    let exact = u64::from(picture.height()) * u64::from(width) / u64::from(picture.width());
    // Not larger than the picture's own height.
    let height = u32::try_from(exact).unwrap_or(SIDE_MAX).max(1);
    let mut canvas = Canvas::new(width, height, kind);
    let options = ResizeOptions::new();
    Resizer::new()
        .resize(picture, &mut canvas, &options)
        .map_err(|error| Refused::Undecodable(error.to_string()))?;
    Ok(Pixels {
        bytes: canvas.into_vec(),
        kind,
        width,
        height,
    })
}

#[cfg(test)]
mod tests;

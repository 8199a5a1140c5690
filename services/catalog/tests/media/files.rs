//! Files to upload.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// A picture with something in it, so that it is no file of a few bytes.
pub(crate) fn picture(width: u32, height: u32) -> DynamicImage {
    let shade = |n: u32| u8::try_from(n % 256).unwrap();
    let picture = RgbImage::from_fn(width, height, |x, y| {
        Rgb([shade(x * 7 + y), shade(y * 3), shade(x ^ y)])
    });
    DynamicImage::ImageRgb8(picture)
}

pub(crate) fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encoded(&picture(width, height), ImageFormat::Jpeg)
}

pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(&picture(width, height), ImageFormat::Png)
}

/// A JPEG of some hundred bytes that says that it has 65,500 × 65,500 pixels: 13 GB, once decoded.
pub(crate) fn bomb() -> Vec<u8> {
    let mut file = jpeg(16, 16);
    let frame = file.windows(2).position(|marker| marker == [0xFF, 0xC0]);
    let sides = frame.unwrap() + 5;
    file[sides..sides + 4].copy_from_slice(&[0xFF, 0xDC, 0xFF, 0xDC]);
    file
}

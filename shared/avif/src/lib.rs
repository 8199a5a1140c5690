//! Pixels into an AVIF file.
//!
//! A crate of its own since rav1e and ravif are generic and inlined all through: who calls them compiles them. Here they
//! are compiled once, and optimized in every profile, and whoever calls [`encode`] compiles nothing of them.

use ravif::{BitDepth, Encoder, Img, RGB8, RGBA8};

/// Of ravif's 1–100: what looks like a WebP of quality 80.
const QUALITY: f32 = 70.0;
/// Of rav1e's 1–10, the fastest: files a little larger than they could be, in a fraction of the time.
const SPEED: u8 = 10;

/// Eight bits a channel, row by row from the top, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// Three bytes a pixel.
    Rgb,
    /// Four bytes a pixel; alpha is not multiplied in.
    Rgba,
}

impl Channels {
    const fn bytes(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There are more or fewer bytes than such a picture has.
    #[error("{width} × {height} pixels have other than {bytes} bytes")]
    Size {
        /// Of the picture.
        width: usize,
        /// Of the picture.
        height: usize,
        /// That were given.
        bytes: usize,
    },
    /// The encoder does not take it.
    #[error(transparent)]
    Encoder(#[from] ravif::Error),
}

/// Encodes a picture on this thread alone. It cannot be broken off: bound the pixels.
///
/// # Errors
/// See [`Error`].
#[inline(never)]
pub fn encode(
    pixels: &[u8],
    channels: Channels,
    width: usize,
    height: usize,
) -> Result<Vec<u8>, Error> {
    let bytes = pixels.len();
    let fits = width
        .checked_mul(height)
        .and_then(|pixels| pixels.checked_mul(channels.bytes()));
    if bytes == 0 || fits != Some(bytes) {
        return Err(Error::Size {
            width,
            height,
            bytes,
        });
    }
    let encoder = Encoder::new()
        .with_quality(QUALITY)
        .with_alpha_quality(QUALITY)
        .with_speed(SPEED)
        .with_bit_depth(BitDepth::Eight)
        .with_num_threads(Some(1));
    let encoded = match channels {
        Channels::Rgb => {
            let pixels = pixels.chunks_exact(3).map(|p| RGB8::new(p[0], p[1], p[2]));
            let pixels: Vec<RGB8> = pixels.collect();
            encoder.encode_rgb(Img::new(&pixels, width, height))?
        }
        Channels::Rgba => {
            let pixels = pixels
                .chunks_exact(4)
                .map(|p| RGBA8::new(p[0], p[1], p[2], p[3]));
            let pixels: Vec<RGBA8> = pixels.collect();
            encoder.encode_rgba(Img::new(&pixels, width, height))?
        }
    };
    Ok(encoded.avif_file)
}

#[cfg(test)]
mod tests {
    use super::{Channels, Error, encode};

    #[test]
    fn a_picture_becomes_an_avif_file_and_bytes_that_are_none_do_not() {
        for (channels, bytes) in [(Channels::Rgb, 300), (Channels::Rgba, 400)] {
            let file = encode(&vec![7; bytes], channels, 20, 5).expect("a file");
            assert_eq!(&file[4..12], b"ftypavif");
        }
        for (bytes, width, height) in [(299, 20, 5), (0, 0, 5), (3, usize::MAX, 2)] {
            let refused = encode(&vec![7; bytes], Channels::Rgb, width, height);
            assert!(matches!(refused, Err(Error::Size { .. })));
        }
    }
}

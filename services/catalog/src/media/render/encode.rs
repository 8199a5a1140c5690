//! Pixels into files.

use std::time::Instant;

use fast_image_resize::PixelType;
use steelyard_avif::Channels;
use steelyard_domain::media::RenditionType;
use tokio_util::sync::CancellationToken;
use webpx::{Stop, StopReason};

use super::Refused;

/// WebP, of libwebp's 0–100: what most shops use for photographs.
const WEBP_QUALITY: f32 = 80.0;

/// Pixels in one width: eight bits a channel, with alpha if there is any.
pub(super) struct Pixels {
    pub(super) bytes: Vec<u8>,
    pub(super) kind: PixelType,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// A picture in one width, as a file.
#[derive(Debug)]
pub(in crate::media) struct Picture {
    pub(in crate::media) content_type: RenditionType,
    pub(in crate::media) width: u32,
    pub(in crate::media) height: u32,
    pub(in crate::media) file: Vec<u8>,
}

/// Until when work on a picture may go on, as long as somebody waits for it; looked at between steps.
#[derive(Debug, Clone)]
pub(in crate::media) struct Deadline {
    pub(in crate::media) until: Instant,
    /// Until when an AVIF may be begun: WebP is what has to be there.
    pub(in crate::media) avif_until: Instant,
    /// Cancelled by whoever does not wait any more.
    pub(in crate::media) given_up: CancellationToken,
}

impl Deadline {
    pub(super) fn holds(&self) -> Result<(), Refused> {
        if Instant::now() < self.until && !self.given_up.is_cancelled() {
            Ok(())
        } else {
            Err(Refused::TooSlow)
        }
    }
}

impl Stop for Deadline {
    fn check(&self) -> Result<(), StopReason> {
        self.holds().map_err(|_| StopReason::TimedOut)
    }
}

impl Pixels {
    pub(super) fn webp(&self, deadline: &Deadline) -> Result<Picture, Refused> {
        let encoder = match self.kind {
            PixelType::U8x4 => webpx::Encoder::new_rgba(&self.bytes, self.width, self.height),
            _ => webpx::Encoder::new_rgb(&self.bytes, self.width, self.height),
        };
        let encoded = encoder.quality(WEBP_QUALITY).encode(deadline);
        match encoded {
            Ok(file) => Ok(self.picture(RenditionType::Webp, file)),
            Err(error) => {
                deadline.holds()?;
                Err(Refused::Undecodable(error.to_string()))
            }
        }
    }

    /// On this thread alone. It cannot be broken off, so its pixels are to be bounded.
    pub(super) fn avif(&self) -> Result<Picture, steelyard_avif::Error> {
        let channels = match self.kind {
            PixelType::U8x4 => Channels::Rgba,
            _ => Channels::Rgb,
        };
        let (width, height) = (self.width as usize, self.height as usize);
        let file = steelyard_avif::encode(&self.bytes, channels, width, height)?;
        Ok(self.picture(RenditionType::Avif, file))
    }

    fn picture(&self, content_type: RenditionType, file: Vec<u8>) -> Picture {
        Picture {
            content_type,
            width: self.width,
            height: self.height,
            file,
        }
    }
}

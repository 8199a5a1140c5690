//! Product images as the API takes and shows them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::fault::{Fault, Faults};
use crate::text;

/// The largest upload.
pub const IMAGE_BYTES_MAX: u64 = 20 << 20;
/// Images that a product may have.
pub const IMAGES_MAX: i64 = 50;
const ALT_CHARS_MAX: usize = 300;

/// What an uploaded image may be. No SVG: it is a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum ImageType {
    /// JPEG.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// PNG.
    #[serde(rename = "image/png")]
    Png,
    /// WebP.
    #[serde(rename = "image/webp")]
    Webp,
}

impl ImageType {
    const ALL: [Self; 3] = [Self::Jpeg, Self::Png, Self::Webp];

    /// As `Content-Type` names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// The body of `POST /v1/products/{sku}/images`: what will be uploaded.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageBody {
    /// `image/jpeg`, `image/png` or `image/webp`.
    #[schema(example = "image/jpeg")]
    pub content_type: String,
    /// The file's size, to the byte: it is signed into the upload.
    #[schema(minimum = 1, maximum = 20_971_520)]
    pub bytes: u64,
    /// What is to be seen, for those who cannot see it.
    #[schema(max_length = 300)]
    pub alt: Option<String>,
}

/// An upload that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDraft {
    /// What it is said to be.
    pub content_type: ImageType,
    /// How large it is said to be.
    pub bytes: u64,
    /// What is to be seen.
    pub alt: Option<String>,
}

impl ImageBody {
    /// Checks everything and names every fault.
    ///
    /// # Errors
    /// All faults found, each with its JSON pointer.
    pub fn check(self) -> Result<ImageDraft, Vec<Fault>> {
        let mut faults = Faults::default();
        let content_type = ImageType::from_word(&self.content_type);
        if content_type.is_none() {
            let words = ImageType::ALL.map(ImageType::as_str).join(", ");
            faults.add(
                "/content_type",
                "unsupported_type",
                format!("must be one of {words}"),
            );
        }
        if !(1..=IMAGE_BYTES_MAX).contains(&self.bytes) {
            let detail = format!("must lie between 1 and {IMAGE_BYTES_MAX}");
            faults.add("/bytes", "out_of_range", detail);
        }
        if let Some(alt) = &self.alt {
            faults.take(|| "/alt".into(), text::line(alt, ALT_CHARS_MAX));
        }
        match content_type {
            Some(content_type) if faults.is_empty() => Ok(ImageDraft {
                content_type,
                bytes: self.bytes,
                alt: self.alt,
            }),
            _ => Err(faults.into_vec()),
        }
    }
}

/// What has become of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageStatus {
    /// Waits for its upload; forgotten when none comes.
    Pending,
    /// Uploaded; being checked and rendered.
    Processing,
    /// Shown with its product.
    Ready,
    /// It was no image that can be shown: see `refusal`.
    Refused,
}

impl ImageStatus {
    /// The word in the API and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Ready => "ready",
            Self::Refused => "refused",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Pending, Self::Processing, Self::Ready, Self::Refused]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// Why an upload was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// Stable, for programs: `not_an_image`, `wrong_type`, `too_many_pixels`, `undecodable`, …
    pub code: String,
    /// In words.
    pub detail: String,
}

/// What renditions are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum RenditionType {
    /// AVIF: smaller, and made of pictures of ordinary size only.
    #[serde(rename = "image/avif")]
    Avif,
    /// WebP: every browser of this decade reads it, and every image has it.
    #[serde(rename = "image/webp")]
    Webp,
}

impl RenditionType {
    /// As `Content-Type` names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Avif => "image/avif",
            Self::Webp => "image/webp",
        }
    }

    /// The end of a file's name, without its dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Avif => "avif",
            Self::Webp => "webp",
        }
    }
}

/// An image in one width.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rendition {
    /// How it is written.
    pub content_type: RenditionType,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Its size.
    pub bytes: u64,
    /// Where it is; under this URL there will never be another picture.
    pub url: String,
}

/// A smaller form of an image, for browsers that read it: a `<source>` of a `<picture>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageSource {
    /// For `<source type>`.
    #[serde(rename = "type")]
    pub content_type: RenditionType,
    /// For `<source srcset>`.
    pub srcset: String,
}

/// An image of a product, as shoppers get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProductImage {
    /// Which.
    pub id: Uuid,
    /// What is to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<String>,
    /// Of the picture that was uploaded, in pixels, turned upright.
    pub width: u32,
    /// The same.
    pub height: u32,
    /// For `<img src>`: one of middling size, `image/webp`.
    pub src: String,
    /// For `<img srcset>`: `… 320w, … 640w`, all `image/webp`.
    pub srcset: String,
    /// For a `<picture>` around that `<img>`: what to try before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ImageSource>,
    /// Each on its own, by type and width.
    pub renditions: Vec<Rendition>,
}

/// Browsers that do not read `srcset` get the narrowest picture of at least this width.
const SRC_WIDTH: u32 = 640;

impl ProductImage {
    /// An image with these renditions, by type and width; `None` without a WebP.
    #[must_use]
    pub fn new(
        id: Uuid,
        alt: Option<String>,
        (width, height): (u32, u32),
        renditions: Vec<Rendition>,
    ) -> Option<Self> {
        let of = |content_type| {
            let all = renditions.iter();
            all.filter(move |one| one.content_type == content_type)
        };
        let srcset = |content_type| {
            let all = of(content_type).map(|one| format!("{} {}w", one.url, one.width));
            all.collect::<Vec<_>>().join(", ")
        };
        let wide = of(RenditionType::Webp).find(|one| one.width >= SRC_WIDTH);
        let src = wide.or(of(RenditionType::Webp).next_back())?.url.clone();
        let avif = ImageSource {
            content_type: RenditionType::Avif,
            srcset: srcset(RenditionType::Avif),
        };
        let sources = [avif]
            .into_iter()
            .filter(|source| !source.srcset.is_empty());
        let (sources, srcset) = (sources.collect(), srcset(RenditionType::Webp));
        Some(Self {
            id,
            alt,
            width,
            height,
            src,
            srcset,
            sources,
            renditions,
        })
    }
}

/// An image of a product, as those who change products see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// Which.
    pub id: Uuid,
    /// What has become of it.
    pub status: ImageStatus,
    /// What it was said to be.
    pub content_type: ImageType,
    /// How large it was said to be.
    pub bytes: u64,
    /// What is to be seen.
    pub alt: Option<String>,
    /// When it is `refused`: why.
    pub refusal: Option<Refusal>,
    /// When it is `ready`: as shoppers get it.
    pub image: Option<ProductImage>,
    /// Who announced it.
    pub created_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// All images of a product, those that are not shown included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Images {
    /// In the order in which they are shown: the oldest first.
    pub data: Vec<Image>,
}

/// How to upload: one request straight to S3, just so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadRequest {
    /// `PUT`.
    #[schema(example = "PUT")]
    pub method: String,
    /// Where to; whoever has it may upload.
    pub url: String,
    /// Headers that must be sent with these values. A browser sets `content-length` itself.
    pub headers: std::collections::BTreeMap<String, String>,
    /// The request is refused after that.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// An announced image and how to upload it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageUpload {
    /// The image, `pending`.
    pub image: Image,
    /// The request to make; then call `…/images/{id}/complete`.
    pub upload: UploadRequest,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{ImageBody, ProductImage, Rendition, RenditionType};

    #[test]
    fn what_is_announced_is_checked() {
        let faults = |json: &str| {
            let body: ImageBody = serde_json::from_str(json).expect("a body");
            let faults = body.check().err().unwrap_or_default();
            let code = |fault: crate::fault::Fault| format!("{} {}", fault.pointer, fault.code);
            faults.into_iter().map(code).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(
            faults(r#"{"content_type":"image/png","bytes":20971520}"#),
            none
        );
        assert_eq!(
            faults(r#"{"content_type":"image/svg+xml","bytes":1073741824,"alt":"a\nb"}"#),
            [
                "/content_type unsupported_type",
                "/bytes out_of_range",
                "/alt invalid_character"
            ]
        );
        assert_eq!(
            faults(r#"{"content_type":"IMAGE/PNG","bytes":0}"#),
            ["/content_type unsupported_type", "/bytes out_of_range"]
        );
    }

    #[test]
    fn a_srcset_names_every_width() {
        let one = |content_type: RenditionType, width: u32| Rendition {
            content_type,
            width,
            height: width,
            bytes: 1,
            url: format!("https://cdn/{width}.{}", content_type.extension()),
        };
        let of = |widths: &[u32]| {
            let renditions = widths.iter().map(|&width| one(RenditionType::Webp, width));
            ProductImage::new(Uuid::nil(), None, (9, 9), renditions.collect())
        };
        let image = of(&[320, 960, 1_600]).expect("an image");
        assert_eq!(image.src, "https://cdn/960.webp");
        assert_eq!(
            image.srcset,
            "https://cdn/320.webp 320w, https://cdn/960.webp 960w, https://cdn/1600.webp 1600w"
        );
        assert_eq!(of(&[90]).expect("an image").src, "https://cdn/90.webp");
        assert_eq!(of(&[]), None);
        assert!(image.sources.is_empty());

        let both = [RenditionType::Webp, RenditionType::Avif];
        let both = both.map(|kind| [320, 960].map(|width| one(kind, width)));
        let image = ProductImage::new(Uuid::nil(), None, (9, 9), both.concat());
        let image = image.expect("an image");
        assert_eq!(image.src, "https://cdn/960.webp");
        assert_eq!(
            serde_json::to_value(&image.sources).expect("JSON"),
            serde_json::json!([{
                "type": "image/avif",
                "srcset": "https://cdn/320.avif 320w, https://cdn/960.avif 960w",
            }])
        );
    }
}

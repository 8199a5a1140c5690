use std::time::{Duration, Instant};

use image::{DynamicImage, GenericImageView as _, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use steelyard_domain::media::{ImageType, RenditionType};
use tokio_util::sync::CancellationToken;

use super::{Deadline, Refused, Rendered, widths};

fn within(time: Duration) -> Deadline {
    let until = Instant::now() + time;
    Deadline {
        until,
        avif_until: until,
        given_up: CancellationToken::new(),
    }
}

/// With no time for AVIF.
fn render(upload: Vec<u8>, announced: ImageType) -> Result<Rendered, Refused> {
    let deadline = Deadline {
        avif_until: Instant::now(),
        ..within(Duration::from_mins(10))
    };
    super::render(upload, announced, &deadline)
}

fn avif_too(upload: Vec<u8>, announced: ImageType) -> Result<Rendered, Refused> {
    super::render(upload, announced, &within(Duration::from_mins(10)))
}

fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, format).expect("a file");
    file.into_inner()
}

/// Red above, blue below.
fn two_halves(width: u32, height: u32) -> DynamicImage {
    let picture = RgbImage::from_fn(width, height, |_, y| {
        if y < height / 2 {
            Rgb([220, 10, 10])
        } else {
            Rgb([10, 10, 220])
        }
    });
    DynamicImage::ImageRgb8(picture)
}

/// A chunk of a PNG, with its length and checksum.
fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = 0xFFFF_FFFF_u32;
    for byte in name.iter().chain(data) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (0_u32.wrapping_sub(crc & 1)));
        }
    }
    let length = u32::try_from(data.len()).expect("short").to_be_bytes();
    [&length[..], name, data, &(!crc).to_be_bytes()].concat()
}

#[test]
fn a_photograph_becomes_a_webp_in_each_width_that_it_has() {
    let photo = file(&two_halves(800, 600), ImageFormat::Jpeg);
    let rendered = render(photo, ImageType::Jpeg).expect("a picture");
    assert_eq!((rendered.width, rendered.height), (800, 600));
    let sizes = rendered.pictures.iter().map(|one| (one.width, one.height));
    assert_eq!(
        sizes.collect::<Vec<_>>(),
        [(320, 240), (640, 480), (800, 600)]
    );
    for picture in &rendered.pictures {
        let shown = image::load_from_memory_with_format(&picture.file, ImageFormat::WebP);
        let shown = shown.expect("a WebP");
        assert_eq!(shown.dimensions(), (picture.width, picture.height));
        let top = shown.get_pixel(picture.width / 2, picture.height / 4);
        let below = shown.get_pixel(picture.width / 2, picture.height * 3 / 4);
        assert!(top[0] > 150 && top[2] < 80, "{top:?}");
        assert!(below[2] > 150 && below[0] < 80, "{below:?}");
    }
    let names: Vec<_> = rendered
        .pictures
        .iter()
        .map(|one| one.file_name())
        .collect();
    assert!(
        names[0].starts_with("320-") && names[0].ends_with(".webp"),
        "{names:?}"
    );
}

#[test]
fn the_same_upload_becomes_the_same_files() {
    let photo = file(&two_halves(400, 300), ImageFormat::Png);
    let names = |photo: &[u8]| -> Vec<String> {
        let rendered = render(photo.to_vec(), ImageType::Png).expect("a picture");
        rendered
            .pictures
            .iter()
            .map(|one| one.file_name())
            .collect()
    };
    assert_eq!(names(&photo), names(&photo));
}

#[test]
fn transparency_is_kept_and_nothing_is_enlarged() {
    let picture = RgbaImage::from_pixel(90, 30, Rgba([0, 200, 0, 0]));
    let logo = file(&DynamicImage::ImageRgba8(picture), ImageFormat::Png);
    let rendered = render(logo, ImageType::Png).expect("a picture");
    assert_eq!(rendered.pictures.len(), 1);
    let shown = image::load_from_memory(&rendered.pictures[0].file).expect("a WebP");
    assert_eq!(shown.dimensions(), (90, 30));
    assert_eq!(shown.get_pixel(45, 15)[3], 0);
}

#[test]
fn a_picture_that_lies_on_its_side_is_turned_and_tells_nothing_else() {
    let lying = file(&two_halves(60, 40), ImageFormat::Jpeg);
    // APP1 with EXIF: little-endian, one entry, orientation 6 (to be turned clockwise), and a comment.
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let length = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
    let comment = b"\xFF\xFE\0\x10secret garden!";
    let upload = [
        &lying[..2],
        b"\xFF\xE1",
        &length,
        exif,
        comment,
        &lying[2..],
    ]
    .concat();
    let rendered = render(upload, ImageType::Jpeg).expect("a picture");
    assert_eq!((rendered.width, rendered.height), (40, 60));
    let webp = &rendered.pictures[0].file;
    let shown = image::load_from_memory(webp).expect("a WebP");
    // What was above is on the right.
    assert!(shown.get_pixel(35, 30)[0] > 150);
    assert!(shown.get_pixel(5, 30)[2] > 150);
    for told in [&b"EXIF"[..], b"secret"] {
        assert!(!webp.windows(told.len()).any(|bytes| bytes == told));
    }
}

#[test]
fn what_is_no_picture_is_refused_by_its_first_bytes() {
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let gif = b"GIF89a\x01\0\x01\0\0\0\0;";
    let html = b"<!doctype html><script>alert(1)</script>";
    for upload in [
        &svg[..],
        gif,
        html,
        b"PK\x03\x04",
        b"%PDF-1.7",
        b"",
        b"\xFF",
    ] {
        let refused = render(upload.to_vec(), ImageType::Png).expect_err("no picture");
        assert_eq!(refused, Refused::NotAnImage, "{upload:?}");
    }
    let png = file(&two_halves(4, 4), ImageFormat::Png);
    let refused = render(png, ImageType::Jpeg).expect_err("no JPEG");
    assert_eq!(refused.code(), "wrong_type");
}

#[test]
fn a_bomb_is_refused_by_its_header() {
    // 100,000 × 100,000 pixels: 40 GB, in some fifty bytes.
    let side = 100_000_u32.to_be_bytes();
    let header = chunk(b"IHDR", &[&side[..], &side, &[8, 6, 0, 0, 0]].concat());
    let png = [
        b"\x89PNG\r\n\x1A\n",
        &header[..],
        &chunk(b"IDAT", b"\x78\x9C"),
        &chunk(b"IEND", b""),
    ]
    .concat();
    let refused = render(png, ImageType::Png).expect_err("a bomb");
    assert_eq!(refused.code(), "too_many_pixels", "{refused}");

    let mut jpeg = file(&two_halves(16, 16), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]);
    let sides = frame.expect("a frame") + 5;
    jpeg[sides..sides + 4].copy_from_slice(&[0xFF, 0xDC, 0xFF, 0xDC]);
    let refused = render(jpeg, ImageType::Jpeg).expect_err("a bomb");
    assert_eq!(
        refused,
        Refused::TooManyPixels {
            width: 65_500,
            height: 65_500
        }
    );

    // Within the limits of a side, beyond those of the whole.
    let (wide, high) = (12_000_u32.to_be_bytes(), 2_500_u32.to_be_bytes());
    let header = chunk(b"IHDR", &[&wide[..], &high, &[8, 2, 0, 0, 0]].concat());
    let png = [
        b"\x89PNG\r\n\x1A\n",
        &header[..],
        &chunk(b"IDAT", b"\x78\x9C"),
        &chunk(b"IEND", b""),
    ]
    .concat();
    assert_eq!(
        render(png, ImageType::Png).expect_err("a bomb").code(),
        "too_many_pixels"
    );
}

#[test]
fn a_file_that_breaks_off_or_lies_is_refused_and_never_a_panic() {
    for (format, kind) in [
        (ImageFormat::Png, ImageType::Png),
        (ImageFormat::WebP, ImageType::Webp),
    ] {
        let whole = file(&two_halves(64, 64), format);
        for length in (12..whole.len() / 2).step_by(7) {
            let refused = render(whole[..length].to_vec(), kind).expect_err("cut off");
            assert!(
                matches!(refused.code(), "undecodable" | "not_an_image"),
                "{refused}"
            );
        }
    }
    // Every byte of a small file turned, one at a time: refused or some picture, but an answer.
    let whole = file(&two_halves(24, 24), ImageFormat::Jpeg);
    for place in 0..whole.len() {
        let mut file = whole.clone();
        file[place] ^= 0xFF;
        drop(render(file, ImageType::Jpeg));
    }
}

#[test]
fn a_picture_of_ordinary_size_is_there_as_avif_too_in_the_same_widths() {
    let forms = |rendered: &Rendered| -> Vec<(&str, u32, u32)> {
        let all = rendered.pictures.iter();
        all.map(|one| (one.content_type.as_str(), one.width, one.height))
            .collect()
    };
    let photo = file(&two_halves(400, 300), ImageFormat::Png);
    let rendered = avif_too(photo.clone(), ImageType::Png).expect("a picture");
    assert_eq!(
        forms(&rendered),
        [
            ("image/webp", 320, 240),
            ("image/webp", 400, 300),
            ("image/avif", 320, 240),
            ("image/avif", 400, 300),
        ]
    );
    for picture in &rendered.pictures {
        if picture.content_type == RenditionType::Avif {
            assert_eq!(&picture.file[4..12], b"ftypavif");
            assert!(picture.file_name().ends_with(".avif"));
        }
    }
    let clear = RgbaImage::from_pixel(20, 10, Rgba([0, 200, 0, 99]));
    let clear = file(&DynamicImage::ImageRgba8(clear), ImageFormat::Png);
    let rendered = avif_too(clear, ImageType::Png).expect("a picture");
    assert_eq!(
        forms(&rendered),
        [("image/webp", 20, 10), ("image/avif", 20, 10)]
    );

    // What is large, or late, has WebP alone, in every width.
    let rendered = render(photo, ImageType::Png).expect("a picture");
    assert_eq!(
        forms(&rendered),
        [("image/webp", 320, 240), ("image/webp", 400, 300)]
    );
    let tall = file(&two_halves(400, 10_100), ImageFormat::Png);
    let rendered = avif_too(tall, ImageType::Png).expect("a picture");
    assert_eq!(
        forms(&rendered),
        [("image/webp", 320, 8_080), ("image/webp", 400, 10_100)]
    );
}

#[test]
fn work_that_takes_too_long_is_given_up() {
    let photo = file(&two_halves(400, 300), ImageFormat::Png);
    let refused = super::render(photo.clone(), ImageType::Png, &within(Duration::ZERO));
    assert_eq!(refused.expect_err("too slow"), Refused::TooSlow);
    let unwanted = within(Duration::from_mins(10));
    unwanted.given_up.cancel();
    let refused = super::render(photo, ImageType::Png, &unwanted);
    assert_eq!(refused.expect_err("given up"), Refused::TooSlow);
}

#[test]
fn no_width_is_made_twice() {
    for (width, made) in [
        (1, &[1][..]),
        (320, &[320][..]),
        (321, &[320, 321][..]),
        (1_920, &[320, 640, 1_280, 1_920][..]),
        (12_000, &[320, 640, 1_280, 1_920][..]),
    ] {
        assert_eq!(widths(width).collect::<Vec<_>>(), made);
    }
}

//! Themes, as somebody who edits one meets them: by `documents preview`, and by what the service takes.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::{CommandFactory, Parser};
use steelyard_documents::preview::Preview;
use steelyard_documents::theme::{At, Place, Themes};
use steelyard_documents::worker::Printer;
use steelyard_objects::{Bucket, Kept, S3Config, S3Credentials};
use steelyard_paper::sample;

const RED: &str = "[colours]\naccent = \"#aa0000\"\n";
const FAULTY: &str = "paper = \"A0\"\n";
const GREEN: &str = "[colours]\naccent = \"#00aa00\"\n# and so on\n";

#[test]
fn the_command_line_is_valid_and_what_it_writes_is_a_pdf() {
    Preview::command().debug_assert();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("x.pdf");
    let args = ["preview", "--lang", "pl", "--lines", "3", "--out"].map(std::ffi::OsStr::new);
    let args = args.into_iter().chain([out.as_os_str()]);
    let said = Preview::parse_from(args).run().expect("rendered");
    assert!(said.contains("1 pages"), "{said}");
    assert!(
        std::fs::read(&out)
            .expect("written")
            .starts_with(b"%PDF-1.7")
    );
}

#[test]
fn every_sample_can_be_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("x.pdf");
    for options in [
        "--allowances",
        "--allowances --gross --kind credit-note",
        "--buyer hebrew --kind delivery-note",
        "--buyer arabic --allowances",
    ] {
        let args = ["preview", "--lines", "40"].into_iter();
        let args = args.chain(options.split(' ')).map(std::ffi::OsStr::new);
        let args = args.chain(["--out".as_ref(), out.as_os_str()]);
        let said = Preview::parse_from(args).run().expect("rendered");
        assert!(
            said.contains("pages") && !said.contains("no font"),
            "{options}: {said}"
        );
    }
}

#[test]
fn a_fault_in_the_theme_is_told_by_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("theme.toml"), "paper = \"A0\"\n").expect("written");
    let theme = folder.path().as_os_str();
    let args = ["preview", "--out", "/dev/null", "--theme"].map(std::ffi::OsStr::new);
    let preview = Preview::parse_from(args.into_iter().chain([theme]));
    let error = format!("{:#}", preview.run().expect_err("a fault"));
    assert!(error.contains("line 1, column 9"), "{error}");
}

/// What is printed: nothing, or the bytes of a sample.
fn printed(printer: &Printer) -> Option<Vec<u8>> {
    let press = printer.press()?;
    let pdf = press.invoice(&sample::invoice(1), "en").expect("printed");
    Some(pdf.bytes)
}

/// The same story wherever a theme lies; `put` places this `theme.toml` there, or takes it away.
async fn story(place: At, s3: S3Config, put: impl AsyncFn(Option<&str>)) {
    let printer = Printer::default();
    let refresh = Duration::from_secs(60);
    let place = Place { at: place, refresh };
    let mut themes = Themes::new(&place, s3, printer.clone()).await;
    put(Some(FAULTY)).await;
    themes.look().await;
    assert_eq!(printed(&printer), None);
    put(Some(RED)).await;
    themes.look().await;
    let red = printer.press().expect("a theme");
    let red_pdf = printed(&printer);
    for worse in [Some(FAULTY), None] {
        put(worse).await;
        themes.look().await;
        assert!(Arc::ptr_eq(&printer.press().expect("a theme"), &red));
        assert_eq!(printed(&printer), red_pdf);
    }
    put(Some(GREEN)).await;
    themes.look().await;
    assert_ne!(printed(&printer), red_pdf);
    let green = printer.press().expect("a theme");
    themes.look().await;
    assert!(
        Arc::ptr_eq(&printer.press().expect("a theme"), &green),
        "what is the same is not read again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_theme_changes_nothing_and_a_better_one_is_taken_from_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("theme.toml");
    let place = At::Folder(folder.path().to_owned());
    story(
        place,
        S3Config::default(),
        async |theme: Option<&str>| match theme {
            Some(text) => std::fs::write(&file, text).expect("written"),
            None => std::fs::remove_file(&file).expect("removed"),
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_theme_changes_nothing_and_a_better_one_is_taken_from_s3() {
    let server = steelyard_testkit::s3(&["documents"]).await;
    let s3 = S3Config {
        region: Some("eu-central-1".to_owned()),
        endpoint_url: Some(server.url()),
        credentials: S3Credentials::Static {
            access_key_id: server.access_key().to_owned(),
            secret_access_key: server.secret_key().to_owned(),
        },
    };
    let bucket = Bucket::connect(s3.clone(), "documents").await;
    let place = "s3://documents/themes/shop/".parse().expect("a place");
    let key = "themes/shop/theme.toml";
    story(place, s3, async |theme: Option<&str>| {
        let done = match theme {
            Some(text) => {
                let body = Bytes::from(text.to_owned());
                bucket.put(key, body, &Kept::new("text/plain")).await
            }
            None => bucket.delete(key).await,
        };
        done.expect("done");
    })
    .await;
}

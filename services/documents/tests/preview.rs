//! `documents preview`, as somebody who edits a theme runs it.

use clap::{CommandFactory, Parser};
use steelyard_documents::preview::Preview;

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
fn a_fault_in_the_theme_is_told_by_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("theme.toml"), "paper = \"A0\"\n").expect("written");
    let theme = folder.path().as_os_str();
    let args = ["preview", "--out", "/dev/null", "--theme"].map(std::ffi::OsStr::new);
    let preview = Preview::parse_from(args.into_iter().chain([theme]));
    let error = format!("{:#}", preview.run().expect_err("a fault"));
    assert!(error.contains("line 1, column 9"), "{error}");
}

//! Themes, good and faulty.

use std::fs;
use std::path::Path;

use steelyard_paper::{Press, Theme, sample};

use crate::reader::read_one;

/// The theme that comes along as an example.
fn example() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/themes/stalhof"))
}

fn folder(theme: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("theme.toml"), theme).unwrap();
    folder
}

#[test]
fn the_example_changes_what_is_printed() {
    let press = Press::new(Theme::read(example()).unwrap()).unwrap();
    let pdf = press.invoice(&sample::invoice(4), "de").unwrap();
    let plain = Press::new(Theme::plain()).unwrap();
    assert_ne!(
        pdf.bytes,
        plain.invoice(&sample::invoice(4), "de").unwrap().bytes
    );
    let Some(found) = read_one(&pdf.bytes) else {
        return;
    };
    assert_eq!(found.faults, Vec::<String>::new());
    assert!(found.pages[0].contains("vielen Dank"), "{}", found.pages[0]);
}

#[test]
fn a_theme_may_bring_a_language_and_change_single_words() {
    let folder = folder(
        "language = \"es\"\n\
         [wording.es.words]\ninvoice = \"Factura\"\npage = \"Página {page} de {pages}\"\n\
         [wording.en.words]\ninvoice = \"Tax invoice\"\n",
    );
    let press = Press::new(Theme::read(folder.path()).unwrap()).unwrap();
    let text = |language: &str| {
        let pdf = press.invoice(&sample::invoice(1), language).unwrap();
        read_one(&pdf.bytes).map(|found| found.pages.join(" "))
    };
    let (Some(spanish), Some(english), Some(unknown)) = (text("es-MX"), text("en"), text("fi"))
    else {
        return;
    };
    assert!(
        spanish.contains("Factura RE-") && spanish.contains("Página 1 de 1"),
        "{spanish}"
    );
    // What the theme does not say is English.
    assert!(spanish.contains("Amount"), "{spanish}");
    assert!(english.contains("Tax invoice RE-"), "{english}");
    assert!(unknown.contains("Factura RE-"), "{unknown}");
}

#[test]
fn a_fault_in_a_theme_names_line_and_column() {
    for (theme, says) in [
        (
            "paper = \"A4\"\ncolour = 1\n",
            ["line 2, column 1", "unknown field `colour`"],
        ),
        (
            "[colours]\naccent = \"blue\"\n",
            ["line 2, column 10", "is no colour"],
        ),
        (
            "[table]\ncolumns = [\"name\", \"price\"]\n",
            ["line 2, column 20", "unit_price"],
        ),
        (
            "[table]\ncolumns = [\"sku\"]\n",
            ["line 2, column 11", "`name` must be among"],
        ),
        (
            "[address]\nsender = \"{seller.nmae}\"\n",
            ["line 2, column 10", "seller.name"],
        ),
        (
            "[address]\nsender = \"{seller.name\"\n",
            ["line 2, column 10", "a brace is open"],
        ),
        (
            "[wording.de.words]\ninvoce = \"Rechnung\"\n",
            ["line 2, column 1", "invoice"],
        ),
        (
            "[table]\nsize_pt = 40\n",
            ["line 2, column 11", "7 to 12 points"],
        ),
        (
            "\n[logo]\nfile = \"gone.png\"\n",
            ["line 3, column 8", "gone.png"],
        ),
        (
            "[logo]\nfile = \"../secret.png\"\n",
            ["line 2, column 8", "must lie in the theme's folder"],
        ),
        (
            "[logo]\nfile = \"theme.toml\"\n",
            ["line 2, column 8", "neither PNG nor JPEG"],
        ),
        (
            "[fonts]\nregular = \"theme.toml\"\n",
            ["line 2, column 11", "is no font"],
        ),
        ("language = \"de\n", ["line 1, column", "theme.toml"]),
    ] {
        let folder = folder(theme);
        let error = Theme::read(folder.path()).unwrap_err().to_string();
        for words in says {
            assert!(
                error.contains(words),
                "{theme:?}: no {words:?} in:\n{error}"
            );
        }
    }
}

#[test]
fn a_folder_without_a_theme_and_a_theme_without_end_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = Theme::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("theme.toml"), "{error}");
    fs::write(folder.path().join("theme.toml"), "#".repeat(300_000)).unwrap();
    let error = Theme::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("300000 bytes"), "{error}");
}

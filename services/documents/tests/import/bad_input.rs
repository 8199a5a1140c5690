//! Rows that cannot be, told by their lines, and nothing of the others lost.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

use steelyard_documents::import::{Error, FILE_BYTES_MAX};
use steelyard_testkit::{proxy, wait_for};

use crate::stand::{HEADER, SOON, Stand, pdf, row, run, sha, zip};

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_row_is_told_by_its_line_and_all_good_ones_are_imported() {
    let stand = Stand::new().await;
    let good = pdf("good");
    let other = pdf("other");
    stand.put("2026-10/good.pdf", good.clone()).await;
    stand.put("2026-10/other.pdf", other.clone()).await;
    stand.put("2026-10/page.html", "<html>").await;
    stand.put("secret.pdf", good.clone()).await;
    let huge = vec![b'x'; usize::try_from(FILE_BYTES_MAX).unwrap() + 1];
    stand.put("2026-10/huge.pdf", huge.clone()).await;
    let zeros = vec![0; 64 << 20];
    stand
        .put("2026-10/bomb.zip", zip(&[("bomb.pdf", &zeros)]))
        .await;
    stand.put("2026-10/not.zip", "no zip").await;

    // Line 1 is the header.
    let rows = [
        (row("1", "good.pdf", &good), None),
        (row("2", "nowhere.pdf", &good), Some("missing_file")),
        (row("3", "other.pdf", &good), Some("hash_mismatch")),
        (row("4", "page.html", b"<html>"), Some("not_a_pdf")),
        (row("1", "good.pdf", &good), None), // again, and the same
        (row("1", "other.pdf", &other), Some("duplicate_number")),
        (row("7", "../secret.pdf", &good), Some("key")),
        (row("8", "/2026-10/good.pdf", &good), Some("key")),
        (row("9", "huge.pdf", &huge), Some("too_large")),
        (row("10", "bomb.zip!bomb.pdf", &zeros), Some("too_large")),
        (row("11", "not.zip!a.pdf", &good), Some("zip")),
        (row("12", "bomb.zip!none.pdf", &good), Some("missing_file")),
        (
            format!("\"17850,invoice,13,2026-10-05,good.pdf,{}\n", sha(&good)),
            Some("row"),
        ),
        (
            format!("17850,{}\n", "x".repeat(1 << 20)),
            Some("row_too_long"),
        ),
        ("a,b\n".to_owned(), Some("row")),
        (row("16", "good.pdf", &good), None),
    ];
    let mut manifest = HEADER.to_owned();
    for (row, _) in &rows {
        manifest += row;
    }
    stand.put("2026-10/manifest.csv", manifest).await;
    let import = stand.import("manifest.csv").await.import;

    let told: BTreeMap<i64, String> = stand
        .faults(&import)
        .await
        .into_iter()
        .map(|(line, code, _)| (line, code))
        .collect();
    let expected: BTreeMap<i64, String> = (2..)
        .zip(&rows)
        .filter_map(|(line, (_, code))| Some((line, (*code)?.to_owned())))
        .collect();
    assert_eq!(told, expected);
    assert_eq!(
        (import.rows_imported, import.rows_known, import.rows_refused),
        (2, 1, 13)
    );
    let numbers = [("1".to_owned(), good.clone()), ("16".to_owned(), good)];
    assert_eq!(stand.stored().await, numbers);
    // Nothing of a refused row lies about.
    assert_eq!(stand.objects().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_one_documents_whichever_manifest_brings_it() {
    let stand = Stand::new().await;
    let (one, two) = (pdf("one"), pdf("two"));
    stand.put("2026-10/1.pdf", one.clone()).await;
    stand.put("2026-10/2.pdf", two.clone()).await;
    stand
        .put(
            "2026-10/a.csv",
            HEADER.to_owned() + &row("N-1", "1.pdf", &one),
        )
        .await;
    stand
        .put(
            "2026-10/b.csv",
            HEADER.to_owned() + &row("N-1", "2.pdf", &two),
        )
        .await;
    let (importer, other) = (stand.importer(), stand.importer());
    // At once: whoever comes second is told.
    let (a, b) = tokio::join!(run(&importer, "a.csv", false), run(&other, "b.csv", false));
    let (a, b) = (a.unwrap().import, b.unwrap().import);
    assert_eq!(a.rows_imported + b.rows_imported, 1);
    assert_eq!(a.rows_refused + b.rows_refused, 1);
    let faults = [stand.faults(&a).await, stand.faults(&b).await].concat();
    assert_eq!(faults[0].1, "duplicate_number");
    assert_eq!(stand.objects().await.len(), 1);
    assert_eq!(stand.stored().await.len(), 1);
}

/// Imports one document behind a row of so many bytes, and looks at the process when it puts the file: the row is behind it
/// then, and it waits for S3. Answers the most memory that it ever had, in KiB, where the system tells.
async fn peak_kib(stand: &Stand, row_bytes: u64) -> Option<u64> {
    let folder = tempfile::tempdir().unwrap();
    let number = row_bytes.to_string();
    let content = pdf(&number);
    std::fs::write(folder.path().join("a.pdf"), &content).unwrap();
    let mut manifest = File::create(folder.path().join("m.csv")).unwrap();
    manifest.write_all(HEADER.as_bytes()).unwrap();
    // A hole: it takes no room on the disk.
    let end = HEADER.len() as u64 + row_bytes;
    manifest.seek(SeekFrom::Start(end)).unwrap();
    let behind = format!("\n{}", row(&number, "a.pdf", &content));
    manifest.write_all(behind.as_bytes()).unwrap();

    let s3 = proxy(stand.s3.address());
    s3.stall();
    let mut command = stand.command(folder.path());
    command.env("AWS_ENDPOINT_URL", format!("http://{}", s3.address()));
    let mut child = command.spawn().unwrap();
    wait_for("the file behind the row is put", SOON, async || {
        s3.status().accepted > 0 || child.try_wait().unwrap().is_some()
    })
    .await;
    let peak = child.id().and_then(peak_of);
    s3.restore();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    // Something was refused, and said so; what was not is imported.
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("1 imported"), "{said}");
    assert!(said.contains("line 2: row_too_long: "), "{said}");
    peak
}

/// `VmHWM`: since the program began, whatever it gave back since.
fn peak_of(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line?.split_whitespace().next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_a_gigabyte_is_passed_over_in_the_memory_of_one_of_some_megabytes() {
    // What is read at once is a megabyte; how much of it the allocator holds back, threads and chance decide.
    const NOISE_KIB: u64 = 64 << 10;
    let stand = Stand::new().await;
    let usual = peak_kib(&stand, 64 << 20).await;
    let giant = peak_kib(&stand, 1 << 30).await;
    assert_eq!(stand.stored().await.len(), 2);
    if cfg!(target_os = "linux") {
        let (usual, giant) = (usual.unwrap(), giant.unwrap());
        assert!(giant <= usual + NOISE_KIB, "{giant} KiB, and {usual} KiB");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_manifest_is_refused_before_anything_is_done() {
    let stand = Stand::new().await;
    stand.put("2026-10/empty.csv", "").await;
    stand.put("2026-10/short.csv", "customer,kind\n").await;
    for (name, why) in [("empty.csv", "empty"), ("short.csv", "columns are missing")] {
        let refused = run(&stand.importer(), name, false).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Manifest(said) if said.contains(why)),
            "{refused}"
        );
    }
    let missing = run(&stand.importer(), "none.csv", false).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no none.csv");
}

//! Bulk import with a real Postgres and an S3 server, whatever the manifest says and whoever dies.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod bad_input;
mod faults;
#[path = "../stand/kept.rs"]
mod kept;
#[path = "../archive/ministack.rs"]
mod ministack;
mod stand;

use ministack::Ministack;
use stand::{HEADER, Stand, options, pdf, row, run, sha, zip};
use steelyard_documents::import::{Importer, Source};

#[tokio::test(flavor = "multi_thread")]
async fn documents_come_from_files_beside_the_manifest_and_from_zips_once_however_often_it_is_run()
{
    let stand = Stand::new().await;
    let mut manifest = HEADER.to_owned();
    let mut expected = Vec::new();
    for i in 0..20 {
        let (number, content) = (format!("A-{i:03}"), pdf(&format!("beside {i}")));
        stand
            .put(&format!("2026-10/files/{i}.pdf"), content.clone())
            .await;
        manifest += &row(&number, &format!("files/{i}.pdf"), &content);
        expected.push((number, content));
    }
    let zipped: Vec<_> = (0..20)
        .map(|i| (format!("deep/{i}.pdf"), pdf(&format!("zipped {i}"))))
        .collect();
    let entries: Vec<_> = zipped
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_slice()))
        .collect();
    stand.put("2026-10/part 1.zip", zip(&entries)).await;
    for (i, (name, content)) in zipped.iter().enumerate() {
        let number = format!("B-{i:03}");
        manifest += &row(&number, &format!("part 1.zip!{name}"), content);
        expected.push((number, content.clone()));
    }
    stand.put("2026-10/manifest.csv", manifest).await;

    let report = stand.import("manifest.csv").await;
    let import = &report.import;
    assert!(report.is_finished());
    assert_eq!(
        (import.rows_total, import.rows_imported, import.rows_refused),
        (40, 40, 0)
    );
    assert_eq!(stand.stored().await, expected);
    let row: (String, Option<uuid::Uuid>, i64) = sqlx::query_as(
        "SELECT object_key, import_id, (SELECT count(*) FROM documents) FROM documents WHERE number = 'A-000'",
    )
    .fetch_one(&stand.pool)
    .await
    .unwrap();
    assert!(row.0.starts_with("invoice/2026/10/17850/"), "{}", row.0);
    assert_eq!((row.1, row.2), (Some(import.id), 40));

    // Ended is ended; begun anew, everything is known, though the files are gone.
    assert_eq!(stand.import("manifest.csv").await.import, report.import);
    for i in 0..20 {
        stand
            .inbox
            .delete(&format!("2026-10/files/{i}.pdf"))
            .await
            .unwrap();
    }
    let again = run(&stand.importer(), "manifest.csv", true)
        .await
        .unwrap()
        .import;
    assert_eq!(
        (again.rows_imported, again.rows_known, again.rows_refused),
        (0, 40, 0)
    );
    assert_eq!(stand.stored().await, expected);
    assert_eq!(stand.objects().await.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_this_machine_is_a_source_too_and_ndjson_a_manifest() {
    let stand = Stand::new().await;
    let folder = tempfile::tempdir().unwrap();
    let content = pdf("one");
    std::fs::write(folder.path().join("one.pdf"), &content).unwrap();
    let line = serde_json::json!({
        "customer": "17850", "kind": "credit_note", "number": "G-1", "date": "1999-12-31", "key": "one.pdf",
        "sha256": sha(&content), "currency": "DEM", "total": "-12.50", "country": "DE",
    });
    std::fs::write(folder.path().join("m.ndjson"), format!("\n{line}\n\n")).unwrap();
    let importer = stand.importer_of(Source::folder(folder.path()).unwrap());
    let import = run(&importer, "m.ndjson", false).await.unwrap().import;
    assert_eq!((import.rows_total, import.rows_imported), (1, 1));
    assert_eq!(stand.stored().await, [("G-1".to_owned(), content)]);
    let row: (String, String, Option<String>, Option<String>) =
        sqlx::query_as("SELECT total::text, currency, country, language FROM documents")
            .fetch_one(&stand.pool)
            .await
            .unwrap();
    assert_eq!(
        row,
        ("-12.50".into(), "DEM".into(), Some("DE".into()), None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_tagged_with_their_kind_and_with_their_country_if_the_manifest_says_it() {
    let ministack = match Ministack::start().await {
        Ok(ministack) => ministack,
        Err(why) => return eprintln!("not run: {why}"),
    };
    let documents = ministack.bucket().await;
    let stand = Stand::new().await;
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = HEADER.replace("sha256", "sha256,country");
    let rows = [
        (
            "invoice",
            "FR",
            vec![("country", "FR"), ("kind", "invoice")],
        ),
        ("credit_note", "", vec![("kind", "credit_note")]),
        (
            "delivery_note",
            "DE",
            vec![("country", "DE"), ("kind", "delivery_note")],
        ),
    ];
    for (kind, country, _) in &rows {
        let content = pdf(kind);
        std::fs::write(folder.path().join(format!("{kind}.pdf")), &content).unwrap();
        let sha256 = sha(&content);
        manifest += &format!("17850,{kind},N-1,2026-10-05,{kind}.pdf,{sha256},{country}\n");
    }
    std::fs::write(folder.path().join("m.csv"), manifest).unwrap();
    let source = Source::folder(folder.path()).unwrap();
    let importer = Importer::new(stand.pool.clone(), source, documents.clone(), options());
    let import = run(&importer, "m.csv", false).await.unwrap().import;
    assert_eq!((import.rows_imported, import.rows_refused), (3, 0));
    for (kind, _, tags) in rows {
        let key: String = sqlx::query_scalar("SELECT object_key FROM documents WHERE kind = $1")
            .bind(kind)
            .fetch_one(&stand.pool)
            .await
            .unwrap();
        let there = kept::file_of(&kept::http(), &documents, &key).await;
        assert_eq!(there, pdf(kind));
        let tags: Vec<_> = tags
            .into_iter()
            .map(|(name, is)| (name.to_owned(), is.to_owned()))
            .collect();
        assert_eq!(ministack.tags(&key).await, tags, "{kind}");
    }
}

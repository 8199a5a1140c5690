//! Packs as others read them, and as nobody may change them.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::io::{Cursor, Read as _};
use std::path::Path;
use std::process::Command;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use steelyard_pack::{
    About, Entry, Error, Sealed, Writer, read_document, read_index, tree, verify,
};
use time::macros::date;
use uuid::Uuid;

fn about(i: u64) -> About {
    About {
        id: Uuid::from_u64_pair(1, i),
        kind: "invoice".to_owned(),
        number: format!("RE-2026-{i:06}"),
        customer: "Ümit & \"Söhne\"".to_owned(),
        issued_on: date!(2026 - 11 - 25),
        name: format!("invoice/2026/11/ü b/{i}.pdf"),
    }
}

fn pack(documents: &[Vec<u8>]) -> (Vec<u8>, Vec<Entry>, Sealed) {
    let mut writer = Writer::new();
    let (mut file, mut entries) = (Vec::new(), Vec::new());
    for (i, content) in documents.iter().enumerate() {
        entries.push(writer.add(about(i as u64), content).expect("added"));
        if i % 3 == 0 {
            file.extend(writer.take());
        }
    }
    let sealed = writer.seal().expect("sealed");
    file.extend_from_slice(&sealed.rest);
    (file, entries, sealed)
}

fn some(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|i| vec![u8::try_from(i % 251).unwrap_or(0); 100 + i * 7])
        .collect()
}

#[test]
fn a_zip_reader_that_others_wrote_finds_every_document_and_where_it_begins() {
    let documents = some(40);
    let (file, entries, sealed) = pack(&documents);
    assert_eq!(sealed.bytes, file.len() as u64);
    let mut zip = zip::ZipArchive::new(Cursor::new(&file)).expect("a zip");
    assert_eq!(zip.len(), documents.len() + 1);
    assert!(zip.comment().starts_with(b"steelyard-pack/1 "));
    for (entry, content) in entries.iter().zip(&documents) {
        let mut found = zip.by_name(&entry.name).expect("an entry");
        assert_eq!(found.data_start(), Some(entry.offset));
        let mut read = Vec::new();
        found.read_to_end(&mut read).expect("whole");
        assert_eq!(&read, content);
    }
}

#[test]
fn python_finds_nothing_to_complain_of() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), pack(&some(40)).0).expect("written");
    let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), len(z.namelist()), z.infolist()[0].date_time[:3])";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(Path::new(file.path()))
        .output();
    let output = output.expect("python3 is there");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        said.trim(),
        "None 41 (2026, 11, 25)",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_same_documents_give_the_same_bytes_however_they_are_taken() {
    let documents = some(10);
    let mut writer = Writer::new();
    for (i, content) in documents.iter().enumerate() {
        writer.add(about(i as u64), content).expect("added");
    }
    let sealed = writer.seal().expect("sealed");
    let (file, _, other) = pack(&documents);
    assert_eq!(sealed.rest, file);
    assert_eq!((sealed.root, sealed.sha256), (other.root, other.sha256));
}

#[test]
fn a_document_is_proved_to_be_in_its_pack() {
    let (file, entries, sealed) = pack(&some(100));
    let index = verify(&mut Cursor::new(&file), sealed.root).expect("sound");
    assert_eq!(index.entries, entries);
    let (at, entry) = index.entry(Uuid::from_u64_pair(1, 77)).expect("there");
    let path = tree::proof(&index.leaves().expect("leaves"), at).expect("a proof");
    assert!(path.len() <= 7);
    let leaf = entry.leaf().expect("a leaf");
    assert!(tree::proves(leaf, at as u64, 100, &path, sealed.root));
    let mut forged = entry.clone();
    forged.number = "RE-2026-999999".to_owned();
    let leaf = forged.leaf().expect("a leaf");
    assert!(!tree::proves(leaf, at as u64, 100, &path, sealed.root));
    assert!(matches!(index.entry(Uuid::nil()), Err(Error::Missing(_))));
}

#[test]
fn an_empty_pack_is_one_and_what_is_none_is_told() {
    let (file, _, sealed) = pack(&[]);
    assert_eq!(
        verify(&mut Cursor::new(&file), sealed.root)
            .expect("sound")
            .entries,
        []
    );
    for content in [
        b"".as_slice(),
        b"PK",
        &[b'x'; 10_000],
        &file[1..file.len() - 1],
    ] {
        let read = read_index(&mut Cursor::new(content));
        assert!(matches!(read, Err(Error::NoPack(_))), "{read:?}");
    }
}

#[test]
fn names_that_lead_out_and_the_indexs_own_are_refused() {
    for name in ["../a", "/a", "a//b", "index.ndjson", ""] {
        let refused = Writer::new().add(
            About {
                name: name.to_owned(),
                ..about(1)
            },
            b"",
        );
        assert!(matches!(refused, Err(Error::Name(_))), "{name}");
    }
}

proptest! {
    #[test]
    fn no_byte_of_a_pack_can_be_changed_unseen(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let documents = some(12);
        let (mut changed, entries, sealed) = pack(&documents);
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        let found = verify(&mut Cursor::new(&changed), sealed.root);
        // Headers of the zip may be damaged: they say nothing that the index does not. Documents and index may not.
        if let Ok(index) = found {
            prop_assert_eq!(&index.entries, &entries);
            for (entry, content) in entries.iter().zip(&documents) {
                let read = read_document(&mut Cursor::new(&changed), entry).expect("unchanged");
                prop_assert!(read == *content);
            }
        }
    }
}

//! How files of documents are kept in S3.

use steelyard_objects::Kept;

/// As a PDF, tagged with what lifecycle rules and policies go by: its kind, and the country whose rules it is kept by. The same
/// however the file came there: issued, imported, moved or brought back from the archive.
pub(crate) fn kept(kind: &str, country: Option<&str>) -> Kept {
    let mut tags = vec![("kind", kind)];
    tags.extend(country.map(|country| ("country", country)));
    Kept::new("application/pdf").tagged(&tags)
}

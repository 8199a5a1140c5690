//! Says in the metadata that the file holds an e-invoice: the `fx:` schema of Factur-X 1.0 (ZUGFeRD 2), with the
//! description that PDF/A wants of a schema it does not know (ISO 19005-3, 6.6.2.3).
//!
//! `krilla` writes no schema of others, so its metadata packet is completed in place: the packet is stored plain and
//! everything behind it moves by what it grew. A file of another shape is refused, never guessed at.

use std::ops::Range;

use steelyard_einvoice::cii;

use super::RenderError;

const SCHEMA: &str = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#";
const PACKET_START: &[u8] = b"<?xpacket begin=";
const PACKET_END: &[u8] = b"<?xpacket end=\"r\"?>";
const SCHEMAS_END: &str = "</rdf:Bag></pdfaExtension:schemas>";
const RDF_END: &str = "</rdf:RDF>";
/// An entry of a cross-reference table (ISO 32000-1, 7.5.4).
const ENTRY_BYTES: usize = 20;

/// The four properties: name, description, value.
const PROPERTIES: [(&str, &str, &str); 4] = [
    (
        "DocumentFileName",
        "Name of the embedded XML invoice file",
        cii::FILE_NAME,
    ),
    (
        "DocumentType",
        "Type of the document: an invoice",
        "INVOICE",
    ),
    ("Version", "Version of the Factur-X standard", "1.0"),
    (
        "ConformanceLevel",
        "Conformance level of the embedded data",
        cii::CONFORMANCE_LEVEL,
    ),
];

/// Completes the metadata of a file that `krilla` wrote.
pub(super) fn declare(mut file: Vec<u8>) -> Result<Vec<u8>, RenderError> {
    let shape = RenderError::Metadata;
    let packet = packet(&file).ok_or(shape("there is no metadata packet"))?;
    let length = length(&file, packet.start).ok_or(shape("the packet has no length"))?;
    let old =
        std::str::from_utf8(&file[packet.clone()]).map_err(|_| shape("the packet is no text"))?;
    let new = complete(old).ok_or(shape("the packet has no place for a schema"))?;

    let (before, behind) = (file.len(), packet.end);
    let new_length = new.len().to_string();
    file.splice(packet, new.into_bytes());
    file.splice(length, new_length.into_bytes());
    let moved = file.len() - before;
    shift(&mut file, behind, moved)
        .ok_or(shape("the cross-reference table is not where it should be"))?;
    Ok(file)
}

fn packet(file: &[u8]) -> Option<Range<usize>> {
    let start = find(file, PACKET_START)?;
    let end = start + find(&file[start..], PACKET_END)? + PACKET_END.len();
    Some(start..end)
}

/// Where the digits of the stream's length stand: `/Length 1234` shortly before the packet.
fn length(file: &[u8], packet: usize) -> Option<Range<usize>> {
    const KEY: &[u8] = b"/Length ";
    let object = file[..packet]
        .windows(4)
        .rposition(|window| window == b" obj")?;
    let start = object + find(&file[object..packet], KEY)? + KEY.len();
    let digits = file[start..packet]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count();
    (digits > 0).then_some(start..start + digits)
}

fn complete(packet: &str) -> Option<String> {
    let property = |(name, description, _): (&str, &str, &str)| {
        format!(
            "<rdf:li rdf:parseType=\"Resource\"><pdfaProperty:name>{name}</pdfaProperty:name>\
             <pdfaProperty:valueType>Text</pdfaProperty:valueType>\
             <pdfaProperty:category>external</pdfaProperty:category>\
             <pdfaProperty:description>{description}</pdfaProperty:description></rdf:li>"
        )
    };
    let schema = format!(
        "<rdf:li rdf:parseType=\"Resource\">\
         <pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>\
         <pdfaSchema:namespaceURI>{SCHEMA}</pdfaSchema:namespaceURI>\
         <pdfaSchema:prefix>fx</pdfaSchema:prefix>\
         <pdfaSchema:property><rdf:Seq>{}</rdf:Seq></pdfaSchema:property></rdf:li>",
        PROPERTIES.map(property).concat()
    );
    let values = PROPERTIES.map(|(name, _, value)| format!("<fx:{name}>{value}</fx:{name}>"));
    let values = format!(
        "<rdf:Description rdf:about=\"\" xmlns:fx=\"{SCHEMA}\">{}</rdf:Description>",
        values.concat()
    );
    let (before, rest) = packet.split_once(SCHEMAS_END)?;
    let (between, after) = rest.split_once(RDF_END)?;
    Some(
        [
            before,
            &schema,
            SCHEMAS_END,
            between,
            &values,
            RDF_END,
            after,
        ]
        .concat(),
    )
}

/// Adds `moved` to the place of every object behind `behind`, and to the table's own.
fn shift(file: &mut Vec<u8>, behind: usize, moved: usize) -> Option<()> {
    const KEY: &[u8] = b"startxref\n";
    const TABLE: &[u8] = b"xref\n0 ";
    let key = file.windows(KEY.len()).rposition(|window| window == KEY)?;
    let start = key + KEY.len();
    let digits = digits(&file[start..])?;
    let table = digits.parse::<usize>().ok()?.checked_add(moved)?;
    let (old_digits, new_digits) = (digits.len(), table.to_string());

    let entries = table + TABLE.len();
    if file.get(table..entries)? != TABLE {
        return None;
    }
    let count = self::digits(&file[entries..])?;
    let first = entries + count.len() + 1;
    let count: usize = count.parse().ok()?;
    for i in 0..count {
        let entry = file.get_mut(first + i * ENTRY_BYTES..first + (i + 1) * ENTRY_BYTES)?;
        let place: usize = std::str::from_utf8(&entry[..10]).ok()?.parse().ok()?;
        if entry[17] == b'n' && place >= behind {
            entry[..10].copy_from_slice(format!("{:010}", place + moved).as_bytes());
        }
    }
    file.splice(start..start + old_digits, new_digits.into_bytes());
    Some(())
}

fn digits(bytes: &[u8]) -> Option<&str> {
    let count = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&bytes[..count])
        .ok()
        .filter(|digits| !digits.is_empty())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

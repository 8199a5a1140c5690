use std::io::Read as _;

use flate2::read::ZlibDecoder;

const BEGIN: &[u8] = b"stream\n";

/// What the compressed streams of a PDF hold, as far as it is text: data that are attached to it, for one.
#[must_use]
pub fn pdf_texts(pdf: &[u8]) -> Vec<String> {
    let begins = pdf.windows(BEGIN.len()).enumerate();
    let begins = begins.filter(|(_, bytes)| *bytes == BEGIN);
    begins
        .filter_map(|(at, _)| {
            let mut text = String::new();
            let mut decoder = ZlibDecoder::new(&pdf[at + BEGIN.len()..]);
            decoder.read_to_string(&mut text).ok().map(|_| text)
        })
        .collect()
}

//! A table as CSV (RFC 4180), gzip.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use time::format_description::well_known::Rfc3339;

use super::table::{Cell, Row, Table};

/// Writes a file in memory; it has as many rows as a part.
pub(super) fn write(table: &Table, rows: &[Row]) -> Result<Vec<u8>, String> {
    let zipped = GzEncoder::new(Vec::new(), Compression::default());
    let mut csv = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(zipped);
    let say = |error: csv::Error| error.to_string();
    csv.write_record(table.columns.iter().map(|column| column.name))
        .map_err(say)?;
    for row in rows {
        csv.write_record(row.iter().map(text)).map_err(say)?;
    }
    let mut zipped = csv.into_inner().map_err(|error| error.to_string())?;
    zipped.flush().map_err(|error| error.to_string())?;
    zipped.finish().map_err(|error| error.to_string())
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Count(count) => count.to_string(),
        Cell::Amount(amount) => amount.to_string(),
        Cell::Time(time) => time.format(&Rfc3339).unwrap_or_default(),
        Cell::Day(day) => day.to_string(),
    }
}

//! Reading a shop's file: rows into invoices, in the file's order.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use anyhow::{Context, bail};
use csv::StringRecord;
use flate2::read::MultiGzDecoder;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// Rows in memory at once, over all files: about ten years of the shop in the data set.
const ROWS_MAX: u64 = 5_000_000;
/// Lines that an order may have.
const LINES_MAX: usize = 2_000;
/// Characters of a name that the API takes.
const NAME_CHARS_MAX: usize = 256;

/// Why an invoice is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Skip {
    /// Its number begins with `C`: a cancellation or return, not linked to an order.
    Cancellation,
    /// A line with a quantity of zero or less: a correction of stock.
    Quantity,
    /// A line with a price of zero or less: a gift, a correction of stock.
    Price,
    /// A line that cannot be read: a number, date or column that is none.
    Unreadable,
    /// More lines than an order may have.
    TooManyLines,
}

impl Skip {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Cancellation => "cancellation or return (C…)",
            Self::Quantity => "a line with quantity ≤ 0",
            Self::Price => "a line with price ≤ 0",
            Self::Unreadable => "a line that cannot be read",
            Self::TooManyLines => "more than 2,000 lines",
        }
    }
}

/// One line of an invoice.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) quantity: i64,
    pub(super) unit_price: Decimal,
    /// Index of the file that it stands in.
    pub(super) file: usize,
}

/// All lines of one number.
#[derive(Clone, Debug)]
pub(super) struct Invoice {
    pub(super) number: String,
    /// Of its first line.
    pub(super) placed_at: OffsetDateTime,
    /// None: a guest.
    pub(super) customer: Option<String>,
    pub(super) country: String,
    pub(super) lines: Vec<Line>,
    pub(super) skip: Option<Skip>,
}

/// What the files hold.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) rows: u64,
    /// In the order of their first lines.
    pub(super) invoices: Vec<Invoice>,
    by_number: HashMap<String, usize>,
    /// Name and short SHA-256 of each file.
    pub(super) files: Vec<(String, String)>,
}

impl Books {
    /// Reads one more file, plain or gzip-compressed. An invoice's rows need not lie together.
    pub(super) fn read(&mut self, path: &Path) -> anyhow::Result<()> {
        let shown = path.display();
        let mut file = File::open(path).with_context(|| format!("cannot open {shown}"))?;
        let digest = digest(&mut file).with_context(|| format!("cannot read {shown}"))?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.files.push((name, digest));
        let mut magic = [0; 2];
        let compressed = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
        file.rewind()
            .with_context(|| format!("cannot read {shown}"))?;
        let reader = BufReader::with_capacity(1 << 16, file);
        if compressed {
            self.rows(MultiGzDecoder::new(reader))
        } else {
            self.rows(reader)
        }
        .with_context(|| format!("cannot read {shown}"))
    }

    fn rows(&mut self, reader: impl Read) -> anyhow::Result<()> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
        let columns = Columns::find(reader.headers()?)?;
        let file = self.files.len().saturating_sub(1);
        let mut record = StringRecord::new();
        loop {
            match reader.read_record(&mut record) {
                Ok(false) => return Ok(()),
                Ok(true) => {}
                // Bytes that are no UTF-8: the row is known to be bad, its invoice is not.
                Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                    bail!("{error}; the file must be UTF-8");
                }
                Err(error) => return Err(error.into()),
            }
            self.rows += 1;
            if self.rows > ROWS_MAX {
                bail!("more than {ROWS_MAX} rows; give fewer files at once");
            }
            self.row(&columns, &record, file);
        }
    }

    fn row(&mut self, columns: &Columns, record: &StringRecord, file: usize) {
        let cell = |column: usize| record.get(column).unwrap_or_default().trim();
        let number = cell(columns.number);
        let placed_at = parse_time(cell(columns.date));
        let index = *self.by_number.entry(number.to_owned()).or_insert_with(|| {
            let customer = customer(cell(columns.customer));
            let skip = number.starts_with(['C', 'c']).then_some(Skip::Cancellation);
            self.invoices.push(Invoice {
                number: number.to_owned(),
                placed_at: placed_at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
                customer,
                country: cell(columns.country).to_owned(),
                lines: Vec::new(),
                skip,
            });
            self.invoices.len() - 1
        });
        let invoice = &mut self.invoices[index];
        let sku = cell(columns.sku);
        let quantity = cell(columns.quantity).parse::<i64>().ok();
        let unit_price = cell(columns.price).parse::<Decimal>().ok();
        let found = match (quantity, unit_price, placed_at) {
            (Some(quantity), Some(_), Some(_)) if quantity <= 0 => Some(Skip::Quantity),
            (Some(_), Some(price), Some(_)) if price <= Decimal::ZERO => Some(Skip::Price),
            (Some(quantity), Some(unit_price), Some(_))
                if !number.is_empty() && !sku.is_empty() =>
            {
                let name = name(cell(columns.name), sku);
                invoice.lines.push(Line {
                    sku: sku.to_owned(),
                    name,
                    quantity,
                    unit_price,
                    file,
                });
                (invoice.lines.len() > LINES_MAX).then_some(Skip::TooManyLines)
            }
            _ => Some(Skip::Unreadable),
        };
        invoice.skip = invoice.skip.or(found);
    }

    /// Those that are sent.
    pub(super) fn replayable(&self) -> impl Iterator<Item = &Invoice> {
        self.invoices
            .iter()
            .filter(|invoice| invoice.skip.is_none())
    }
}

/// Where each column stands.
struct Columns {
    number: usize,
    sku: usize,
    name: usize,
    quantity: usize,
    date: usize,
    price: usize,
    customer: usize,
    country: usize,
}

impl Columns {
    fn find(headers: &StringRecord) -> anyhow::Result<Self> {
        let mut missing = Vec::new();
        let mut find = |name: &'static str| {
            // A byte order mark, as spreadsheets write it.
            let found = headers
                .iter()
                .position(|header| header.trim_start_matches('\u{feff}').trim() == name);
            if found.is_none() {
                missing.push(name);
            }
            found.unwrap_or_default()
        };
        let columns = Self {
            number: find("InvoiceNo"),
            sku: find("StockCode"),
            name: find("Description"),
            quantity: find("Quantity"),
            date: find("InvoiceDate"),
            price: find("UnitPrice"),
            customer: find("CustomerID"),
            country: find("Country"),
        };
        if missing.is_empty() {
            return Ok(columns);
        }
        bail!(
            "the first row must name the columns; missing: {}",
            missing.join(", ")
        )
    }
}

/// `2010-12-01 08:26:00` or `2010-12-01T08:26:00`, taken as UTC.
fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let seconds = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let minutes = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let text = text.replacen('T', " ", 1);
    let text = text.trim_end_matches('Z');
    PrimitiveDateTime::parse(text, &seconds)
        .or_else(|_| PrimitiveDateTime::parse(text, &minutes))
        .ok()
        .map(PrimitiveDateTime::assume_utc)
}

/// Spreadsheets make `17850.0` of a number.
fn customer(text: &str) -> Option<String> {
    let id = text.strip_suffix(".0").unwrap_or(text);
    (!id.is_empty()).then(|| id.to_owned())
}

/// One line of plain text within the API's limits; the SKU where the file says nothing.
fn name(description: &str, sku: &str) -> String {
    let words: Vec<&str> = description
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    let name: String = words
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    if name.is_empty() {
        sku.to_owned()
    } else {
        name
    }
}

fn digest(file: &mut File) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    file.rewind()?;
    let mut text = hex::encode(hasher.finalize());
    text.truncate(12);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    const HEADER: &str =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

    fn read(rows: &str) -> Books {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.csv");
        std::fs::write(&path, format!("{HEADER}{rows}")).unwrap();
        let mut books = Books::default();
        books.read(&path).unwrap();
        books
    }

    #[test]
    fn rows_of_an_invoice_are_gathered_wherever_they_stand() {
        let books = read(
            "1,A,Tea,2,2010-12-01 08:26:00,1.50,17850.0,United Kingdom\n\
             2,B,Mug,1,2010-12-01 08:28:00,4.25,,EIRE\n\
             1,A,Tea,3,2010-12-01 08:26:00,1.40,17850.0,United Kingdom\n",
        );
        assert_eq!((books.rows, books.invoices.len()), (3, 2));
        let first = &books.invoices[0];
        assert_eq!(first.customer.as_deref(), Some("17850"));
        assert_eq!(
            first
                .lines
                .iter()
                .map(|line| line.quantity)
                .collect::<Vec<_>>(),
            [2, 3]
        );
        assert_eq!(first.lines[1].unit_price, Decimal::new(140, 2));
        assert_eq!(first.placed_at.unix_timestamp(), 1_291_191_960);
        assert_eq!(books.invoices[1].customer, None);
    }

    #[test]
    fn what_is_no_order_is_skipped_with_its_reason() {
        let row = |number: &str, quantity: &str, date: &str, price: &str| {
            format!("{number},A,Tea,{quantity},{date},{price},1.0,France\n")
        };
        let now = "2010-12-01 08:26:00";
        let rows = [
            row("C1", "-1", now, "1.50"),
            row("2", "-5", now, "0"),
            row("3", "5", now, "0.0"),
            row("4", "1.5", now, "2"),
            row("5", "1", "yesterday", "2"),
            "6,A\n".to_owned(),
            row("7", "1", now, "2"),
            row("7", "1", now, "-2"),
            row("8", "1", now, "2.125"),
        ];
        let books = read(&rows.concat());
        let skips: Vec<_> = books
            .invoices
            .iter()
            .map(|invoice| (invoice.number.as_str(), invoice.skip))
            .collect();
        assert_eq!(
            skips,
            [
                ("C1", Some(Skip::Cancellation)),
                ("2", Some(Skip::Quantity)),
                ("3", Some(Skip::Price)),
                ("4", Some(Skip::Unreadable)),
                ("5", Some(Skip::Unreadable)),
                ("6", Some(Skip::Unreadable)),
                ("7", Some(Skip::Price)),
                ("8", None),
            ]
        );
        assert_eq!(books.replayable().count(), 1);
    }

    #[test]
    fn odd_descriptions_become_one_plain_line_and_blank_ones_the_sku() {
        assert_eq!(
            name("  POPPY'S\tPLAYHOUSE  BEDROOM \u{7}", "22745"),
            "POPPY'S PLAYHOUSE BEDROOM"
        );
        assert_eq!(name("", "BANK CHARGES"), "BANK CHARGES");
        assert_eq!(name(&"x".repeat(1_000), "A").len(), 256);
    }

    #[test]
    fn a_compressed_file_reads_like_a_plain_one_and_a_wrong_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.csv.gz");
        let mut encoder = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        encoder.write_all(HEADER.as_bytes()).unwrap();
        encoder
            .write_all(b"1,A,Tea,2,2010-12-01T08:26:00Z,1.50,7,Spain\n")
            .unwrap();
        encoder.finish().unwrap();
        let mut books = Books::default();
        books.read(&path).unwrap();
        assert_eq!(books.replayable().count(), 1);
        assert_eq!(books.files[0].0, "shop.csv.gz");

        let other = dir.path().join("other.csv");
        std::fs::write(&other, "Date,Amount\n2010-12-01,3\n").unwrap();
        let error = format!("{:#}", books.read(&other).unwrap_err());
        assert!(error.contains("missing: InvoiceNo, StockCode"), "{error}");
    }
}

//! What a row says, and whether it can be.

use csv::{ReaderBuilder, StringRecord};
use rust_decimal::Decimal;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use steelyard_domain::id::CustomerId;
use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

use super::fault::Fault;
use super::source::check_name;
use crate::kind::Kind;
use crate::model::object_key;

/// Between a zip and an entry in it: `2026-11.zip!RE-1.pdf`.
const IN_ZIP: char = '!';
const NUMBER_CHARS_MAX: usize = 64;
/// A UUIDv7 knows no day before.
const YEAR_MIN: i32 = 1970;
const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const BOM: &str = "\u{feff}";

/// How rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    /// Fields by the names in the first line.
    Csv(StringRecord),
    /// One JSON object a line.
    Ndjson,
}

/// A row as it is written. Columns that are not known are refused: a misspelt one would be lost.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    pub(crate) customer: String,
    pub(crate) kind: String,
    pub(crate) number: String,
    pub(crate) date: String,
    pub(crate) key: String,
    pub(crate) sha256: String,
    #[serde(default)]
    pub(crate) order_id: Option<String>,
    #[serde(default)]
    pub(crate) currency: Option<String>,
    #[serde(default)]
    pub(crate) total: Option<String>,
    #[serde(default)]
    pub(crate) country: Option<String>,
}

const COLUMNS: [&str; 10] = [
    "customer", "kind", "number", "date", "key", "sha256", "order_id", "currency", "total",
    "country",
];
/// So many of [`COLUMNS`] must be there.
const COLUMNS_REQUIRED: usize = 6;

/// Where a row's file lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Beside the manifest.
    Beside(String),
    /// In a zip beside the manifest.
    InZip { zip: String, entry: String },
}

/// A row that can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) customer: CustomerId,
    pub(crate) kind: Kind,
    pub(crate) number: String,
    pub(crate) issued_on: Date,
    pub(crate) place: Place,
    pub(crate) sha256: [u8; 32],
    pub(crate) order_id: Option<Uuid>,
    pub(crate) currency: Option<String>,
    pub(crate) total: Option<Decimal>,
    pub(crate) country: Option<String>,
}

impl Row {
    /// The id of its document: a UUIDv7 of its day, with chance taken from kind, number and content. So another file under
    /// the same number, which will be refused, has another key and overwrites nothing.
    pub(crate) fn document_id(&self) -> Uuid {
        let mut hash = Sha256::new();
        for part in [
            "steelyard/imported-document/1",
            self.kind.as_str(),
            &self.number,
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(self.sha256);
        let digest: [u8; 32] = hash.finalize().into();
        let mut chance = [0; 10];
        chance.copy_from_slice(&digest[..10]);
        let day = self.issued_on.midnight().assume_utc().unix_timestamp();
        let millis = u64::try_from(day).unwrap_or_default() * 1_000;
        uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid()
    }

    /// Where its file will lie.
    pub(crate) fn object_key(&self) -> String {
        let id = self.document_id();
        object_key(self.kind, self.issued_on, &self.customer, id)
    }
}

/// A UUIDv8 (RFC 9562) of a hash.
pub(crate) fn uuid_v8(hash: Sha256) -> Uuid {
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}

/// Reads the names in a CSV's first line.
///
/// # Errors
/// Names that are missing, unknown or twice there.
pub(super) fn header(line: &[u8]) -> Result<StringRecord, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_prefix(BOM).unwrap_or(text);
    let mut names = record(text).map_err(|error| error.to_string())?;
    names.trim();
    for (i, name) in names.iter().enumerate() {
        if !COLUMNS.contains(&name) {
            let known = COLUMNS.join(", ");
            return Err(format!("there is no column {name:?}; there are: {known}"));
        }
        if names.iter().take(i).any(|before| before == name) {
            return Err(format!("column {name} is there twice"));
        }
    }
    let required = COLUMNS.iter().take(COLUMNS_REQUIRED);
    let missing: Vec<&str> = required
        .filter(|name| !names.iter().any(|there| there == **name))
        .copied()
        .collect();
    if missing.is_empty() {
        Ok(names)
    } else {
        Err(format!("columns are missing: {}", missing.join(", ")))
    }
}

fn record(text: &str) -> csv::Result<StringRecord> {
    let mut record = StringRecord::new();
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(text.len().max(1))
        .from_reader(text.as_bytes())
        .read_record(&mut record)?;
    Ok(record)
}

impl Format {
    /// Reads a row.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(super) fn row(&self, line: u64, text: Option<&[u8]>) -> Result<Row, Fault> {
        let text = text.ok_or_else(|| {
            let max = super::lines::LINE_BYTES_MAX;
            Fault::new("row_too_long", format!("a row has {max} bytes at most"))
        })?;
        let text = std::str::from_utf8(text).map_err(|_| Fault::new("row", "it is not UTF-8"))?;
        let written: Written = match self {
            Self::Csv(names) => {
                let unreadable = |error: csv::Error| Fault::new("row", error.to_string());
                let mut record = record(text).map_err(unreadable)?;
                if record.len() != names.len() {
                    let (there, expected) = (record.len(), names.len());
                    let detail = format!("it has {there} fields instead of {expected}");
                    return Err(Fault::new("row", detail));
                }
                record.trim();
                record.deserialize(Some(names)).map_err(unreadable)?
            }
            Self::Ndjson => {
                let text = text.strip_prefix(BOM).unwrap_or(text);
                let object: steelyard_domain::object::Object<Written> = serde_json::from_str(text)
                    .map_err(|error| Fault::new("row", error.to_string()))?;
                object.0
            }
        };
        check(line, written)
    }
}

/// Whether a row can be.
pub(crate) fn check(line: u64, written: Written) -> Result<Row, Fault> {
    let fault = |code| move |why: &str| Fault::new(code, why);
    let customer = written.customer.parse();
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == written.kind);
    let order_id = given(written.order_id).map(|id| id.parse::<Uuid>());
    Ok(Row {
        line,
        customer: customer.map_err(|why: steelyard_domain::fault::Invalid| {
            Fault::new("customer", why.to_string())
        })?,
        kind: kind.ok_or_else(|| {
            let known = Kind::ALL.map(Kind::as_str).join(", ");
            Fault::new("kind", format!("{:?} is none of {known}", written.kind))
        })?,
        number: number(written.number).map_err(fault("number"))?,
        issued_on: date(&written.date).map_err(fault("date"))?,
        place: place(&written.key).map_err(fault("key"))?,
        sha256: sha256(&written.sha256).map_err(fault("sha256"))?,
        order_id: order_id
            .transpose()
            .map_err(|_| Fault::new("order_id", "it is no UUID"))?,
        currency: currency(given(written.currency)).map_err(fault("currency"))?,
        total: total(given(written.total)).map_err(fault("total"))?,
        country: country(given(written.country)).map_err(fault("country"))?,
    })
}

/// An empty field of a CSV is none.
fn given(field: Option<String>) -> Option<String> {
    field.filter(|text| !text.is_empty())
}

fn number(text: String) -> Result<String, &'static str> {
    let chars = text.chars().count();
    if chars == 0 || chars > NUMBER_CHARS_MAX || text.chars().any(char::is_control) {
        return Err("must have 1 to 64 printable characters");
    }
    Ok(text)
}

fn date(text: &str) -> Result<Date, &'static str> {
    let date = Date::parse(text, DATE).map_err(|_| "must be a day such as 2026-11-25")?;
    let tomorrow = time::OffsetDateTime::now_utc().date().next_day();
    if date.year() < YEAR_MIN || tomorrow.is_some_and(|tomorrow| date > tomorrow) {
        return Err("must lie between 1970-01-01 and today");
    }
    Ok(date)
}

fn place(key: &str) -> Result<Place, &'static str> {
    check_name(key)?;
    let Some((zip, entry)) = key.split_once(IN_ZIP) else {
        return Ok(Place::Beside(key.to_owned()));
    };
    if entry.is_empty() || !zip.to_ascii_lowercase().ends_with(".zip") {
        return Err("! stands between a zip and an entry in it: 2026-11.zip!RE-1.pdf");
    }
    Ok(Place::InZip {
        zip: zip.to_owned(),
        entry: entry.to_owned(),
    })
}

fn sha256(text: &str) -> Result<[u8; 32], &'static str> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| "must be 64 hexadecimal digits")?;
    Ok(bytes)
}

fn currency(text: Option<String>) -> Result<Option<String>, &'static str> {
    match text {
        Some(text) if text.len() != 3 || !text.bytes().all(|b| b.is_ascii_uppercase()) => {
            Err("must be a code of ISO 4217 such as EUR")
        }
        text => Ok(text),
    }
}

fn total(text: Option<String>) -> Result<Option<Decimal>, &'static str> {
    let total = text.map(|text| Decimal::from_str_exact(&text)).transpose();
    match total {
        Ok(Some(total)) if total.scale() > 4 => Err("must have four decimals at most"),
        Ok(total) => Ok(total),
        Err(_) => Err("must be an amount such as 12.50"),
    }
}

fn country(text: Option<String>) -> Result<Option<String>, &'static str> {
    match text {
        Some(text) if text.len() != 2 || !text.bytes().all(|b| b.is_ascii_uppercase()) => {
            Err("must be a code of ISO 3166-1 such as DE")
        }
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::{Format, Place, header};
    use crate::kind::Kind;

    const SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn csv() -> Format {
        let names = b"\xef\xbb\xbfnumber,customer,kind,date,key,sha256,total,currency";
        Format::Csv(header(names).expect("a header"))
    }

    #[test]
    fn a_row_of_csv_and_one_of_ndjson_say_the_same() {
        let text = format!("RE-1,17850,invoice,2026-01-31,\"a,b.pdf\",{SHA},12.50,EUR");
        let row = csv().row(7, Some(text.as_bytes())).expect("a row");
        assert_eq!(
            (row.line, row.kind, row.number.as_str()),
            (7, Kind::Invoice, "RE-1")
        );
        assert_eq!(row.issued_on, date!(2026 - 01 - 31));
        assert_eq!(row.place, Place::Beside("a,b.pdf".to_owned()));
        let json = format!(
            "{{\"number\":\"RE-1\",\"customer\":\"17850\",\"kind\":\"invoice\",\"date\":\"2026-01-31\",\
             \"key\":\"a,b.pdf\",\"sha256\":\"{SHA}\",\"total\":\"12.50\",\"currency\":\"EUR\"}}"
        );
        assert_eq!(Format::Ndjson.row(7, Some(json.as_bytes())), Ok(row));
    }

    #[test]
    fn each_fault_has_the_name_of_its_column() {
        let good = [
            "RE-1",
            "17850",
            "invoice",
            "2026-01-31",
            "z.zip!a/b.pdf",
            SHA,
            "",
            "",
        ];
        let row = |fields: &[&str]| csv().row(1, Some(fields.join(",").as_bytes()));
        assert!(row(&good).is_ok());
        for (column, value, code) in [
            (0, "", "number"),
            (1, " ", "customer"),
            (2, "receipt", "kind"),
            (3, "2026-02-30", "date"),
            (3, "31.01.2026", "date"),
            (3, "2999-01-01", "date"),
            (3, "1969-12-31", "date"),
            (4, "../secret", "key"),
            (4, "/etc/passwd", "key"),
            (4, "a!b", "key"),
            (5, "abc", "sha256"),
            (6, "1,5", "row"),
            (6, "1.23456", "total"),
            (7, "euro", "currency"),
        ] {
            let mut fields = good;
            fields[column] = value;
            let fault = row(&fields).expect_err("a fault");
            assert_eq!(fault.code, code, "{value}: {fault}");
        }
        assert_eq!(csv().row(1, None).expect_err("long").code, "row_too_long");
        assert_eq!(csv().row(1, Some(b"\xff")).expect_err("bytes").code, "row");
        let array = format!("[\"17850\",\"invoice\",\"RE-1\",\"2026-01-31\",\"a.pdf\",\"{SHA}\"]");
        let refused = Format::Ndjson.row(1, Some(array.as_bytes()));
        assert_eq!(refused.expect_err("no object").code, "row");
    }

    #[test]
    fn a_header_that_does_not_fit_says_what_is_missing_or_unknown() {
        let said = |names: &str| header(names.as_bytes()).expect_err("a fault");
        assert_eq!(
            said("customer,kind,number"),
            "columns are missing: date, key, sha256"
        );
        assert!(said("customer,knid").starts_with("there is no column \"knid\""));
        assert_eq!(said("customer,customer"), "column customer is there twice");
    }

    #[test]
    fn another_file_under_the_same_number_is_another_document() {
        let row = |sha: &str| {
            let text = format!("RE-1,17850,invoice,2026-01-31,a.pdf,{sha},,");
            csv().row(1, Some(text.as_bytes())).expect("a row")
        };
        let (one, other) = (row(SHA), row(&SHA.replace("ba78", "0000")));
        assert_ne!(one.document_id(), other.document_id());
        // Both of that day, as those that were issued here.
        let id = one.document_id().to_string();
        assert!(id.starts_with("019c1159-7000-7"), "{id}");
        assert_eq!(
            one.object_key(),
            format!("invoice/2026/01/17850/{}.pdf", row(SHA).document_id())
        );
    }
}

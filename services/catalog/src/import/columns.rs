//! Columns of a CSV: which part of a product each holds.

use serde_json::{Map, Value};
use steelyard_domain::fault::Fault;
use steelyard_domain::product::{PriceList, ProductDraft};

use super::read::{fault, parse_product};

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    /// A text.
    Text(&'static str),
    /// A whole number.
    Number(&'static str),
    /// A part in JSON, as it is in NDJSON.
    Json(&'static str),
    /// `price:GBP`, `price:CHF:country:CH`: a regular price.
    Price(String, Option<String>),
    /// `name:de`, `description:de`: words in a language.
    Words(String, &'static str),
    /// `attribute:brand`, `option:size`.
    Pair(&'static str, String),
    /// `stock`: units to book; `stock_reference`, `stock_reason`, `stock_location`.
    Stock(&'static str),
}

/// The columns of one CSV, in its order.
#[derive(Debug)]
pub(super) struct Columns(Vec<(String, Column)>);

impl Columns {
    /// Reads the header.
    ///
    /// # Errors
    /// Every column that cannot be used, and those that are missing.
    pub(super) fn read(fields: &[&[u8]]) -> Result<Self, Vec<Fault>> {
        let mut columns: Vec<(String, Column)> = Vec::with_capacity(fields.len());
        let mut faults = Vec::new();
        for field in fields {
            let name = String::from_utf8_lossy(field);
            let name = name.trim_start_matches('\u{feff}').trim();
            if columns.iter().any(|(known, _)| known == name) {
                faults.push(at(name, "duplicate", "the column is there twice"));
                continue;
            }
            match column(name) {
                Some(column) => columns.push((name.to_owned(), column)),
                None => {
                    let detail = "no such column; see the documentation of the import";
                    faults.push(at(name, "unknown_column", detail));
                }
            }
        }
        for needed in ["sku", "name"] {
            if !columns.iter().any(|(name, _)| name == needed) {
                faults.push(at(needed, "required", "the column is missing"));
            }
        }
        if faults.is_empty() {
            Ok(Self(columns))
        } else {
            faults.truncate(steelyard_domain::fault::Faults::FAULTS_MAX);
            Err(faults)
        }
    }

    /// Reads a record: the product that its NDJSON line would be. An empty field says nothing.
    ///
    /// # Errors
    /// What is wrong with it; places are those of the NDJSON line, or `column/…`.
    pub(super) fn product(&self, fields: &[&[u8]]) -> Result<ProductDraft, Vec<Fault>> {
        if fields.len() != self.0.len() {
            let (has, wants) = (fields.len(), self.0.len());
            let detail = format!("the record has {has} fields, and the header {wants}");
            return Err(vec![fault("wrong_field_count", detail)]);
        }
        let mut product = Map::new();
        product.insert("prices".to_owned(), Value::Array(Vec::new()));
        let mut faults = Vec::new();
        for ((name, column), field) in self.0.iter().zip(fields) {
            let Ok(text) = std::str::from_utf8(field) else {
                faults.push(at(name, "invalid_utf8", "the field is not UTF-8"));
                continue;
            };
            if !text.is_empty()
                && let Err((code, detail)) = put(&mut product, column, text)
            {
                faults.push(at(name, code, detail));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        // Where there are no units, there is nothing to book, whatever stands beside them.
        if product
            .get("stock")
            .is_some_and(|stock| stock.get("adjust").is_none())
        {
            product.remove("stock");
        }
        // Read like any line, so that both forms mean and refuse the same.
        let line = serde_json::to_vec(&product)
            .map_err(|error| vec![fault("unreadable", error.to_string())])?;
        parse_product(&line)
    }
}

fn at(column: &str, code: &'static str, detail: impl Into<String>) -> Fault {
    Fault {
        pointer: format!("column/{column}"),
        ..fault(code, detail)
    }
}

fn column(name: &str) -> Option<Column> {
    const TEXTS: [&str; 7] = [
        "sku",
        "name",
        "description",
        "category",
        "tax_category",
        "status",
        "variant_of",
    ];
    const JSON: [&str; 4] = ["prices", "translations", "attributes", "options"];
    let known = |names: &'static [&'static str]| names.iter().copied().find(|known| *known == name);
    if let Some(text) = known(&TEXTS) {
        return Some(Column::Text(text));
    }
    if let Some(part) = known(&JSON) {
        return Some(Column::Json(part));
    }
    match name {
        "low_at" => return Some(Column::Number("low_at")),
        "stock" => return Some(Column::Stock("adjust")),
        "stock_reference" => return Some(Column::Stock("reference")),
        "stock_reason" => return Some(Column::Stock("reason")),
        "stock_location" => return Some(Column::Stock("location")),
        _ => {}
    }
    let (kind, of) = name.split_once(':')?;
    match kind {
        "price" => {
            let (currency, list) = match of.split_once(':') {
                Some((currency, list)) => (currency, Some(list.to_owned())),
                None => (of, None),
            };
            currency.parse::<steelyard_domain::money::Currency>().ok()?;
            let is_list = |list: &String| PriceList::try_from(list.clone()).is_ok();
            if !list.as_ref().is_none_or(is_list) {
                return None;
            }
            Some(Column::Price(currency.to_owned(), list))
        }
        "name" => Some(Column::Words(of.to_owned(), "name")),
        "description" => Some(Column::Words(of.to_owned(), "description")),
        "attribute" => Some(Column::Pair("attributes", of.to_owned())),
        "option" => Some(Column::Pair("options", of.to_owned())),
        _ => None,
    }
}

fn put(
    product: &mut Map<String, Value>,
    column: &Column,
    text: &str,
) -> Result<(), (&'static str, String)> {
    match column {
        Column::Text(field) => {
            product.insert((*field).to_owned(), text.into());
        }
        Column::Number(field) => {
            product.insert((*field).to_owned(), number(text)?);
        }
        Column::Json(field) => {
            let part: Value = serde_json::from_str(text)
                .map_err(|error| ("malformed_json", error.to_string()))?;
            match (part, entry(product, field)) {
                (Value::Object(part), Value::Object(into)) => into.extend(part),
                (Value::Array(part), Value::Array(into)) => into.extend(part),
                (part, into) => *into = part,
            }
        }
        Column::Price(currency, list) => {
            let mut price = Map::new();
            price.insert("currency".to_owned(), currency.clone().into());
            price.insert("amount".to_owned(), text.trim().into());
            if let Some(list) = list {
                price.insert("list".to_owned(), list.clone().into());
            }
            if let Value::Array(prices) = entry(product, "prices") {
                prices.push(price.into());
            }
        }
        Column::Words(language, field) => {
            let words = entry(product, "translations");
            words[language.as_str()][*field] = text.into();
        }
        Column::Pair(field, name) => {
            entry(product, field)[name.as_str()] = text.into();
        }
        Column::Stock(field) => {
            let value = if *field == "adjust" {
                number(text)?
            } else {
                text.into()
            };
            entry(product, "stock")[*field] = value;
        }
    }
    Ok(())
}

fn number(text: &str) -> Result<Value, (&'static str, String)> {
    let number: i64 = text
        .trim()
        .parse()
        .map_err(|_| ("wrong_type", "must be a whole number".to_owned()))?;
    Ok(number.into())
}

/// A part of the product: an object, unless something else is there.
fn entry<'p>(product: &'p mut Map<String, Value>, field: &str) -> &'p mut Value {
    product
        .entry(field)
        .or_insert_with(|| Value::Object(Map::new()))
}

#[cfg(test)]
mod tests {
    use super::Columns;

    fn columns(header: &str) -> Result<Columns, Vec<(String, String)>> {
        let fields: Vec<&[u8]> = header.split(',').map(str::as_bytes).collect();
        Columns::read(&fields).map_err(|faults| {
            let named = faults.into_iter();
            named
                .map(|fault| (fault.pointer, fault.code.into_owned()))
                .collect()
        })
    }

    fn record(text: &str) -> Vec<&[u8]> {
        text.split('|').map(str::as_bytes).collect()
    }

    #[test]
    fn columns_may_stand_in_any_order() {
        let columns = columns(
            "stock_reference,price:GBP,attribute:brand,name:de,sku,price:CHF:country:CH,stock,name",
        )
        .expect("columns");
        let product = columns
            .product(&record("r1|2.50|Acme|Lampe|L1|3|7|Lamp"))
            .expect("a product");
        assert_eq!(
            (product.sku.as_str(), product.name.as_str()),
            ("L1", "Lamp")
        );
        assert_eq!(product.prices.len(), 2);
        assert_eq!(product.attributes["brand"], "Acme");
        assert_eq!(product.translations.len(), 1);
        assert_eq!(product.stock.expect("stock").adjust, 7);
        let bare = columns.product(&record("|||||||")).expect_err("no name");
        assert_eq!(bare[0].pointer, "/name");
    }

    #[test]
    fn a_header_that_cannot_be_used_is_refused_with_its_columns() {
        for (header, place, code) in [
            ("sku,name,colour", "column/colour", "unknown_column"),
            ("sku,name,sku", "column/sku", "duplicate"),
            ("sku,price:GBP", "column/name", "required"),
            (
                "sku,name,price:POUND",
                "column/price:POUND",
                "unknown_column",
            ),
            (
                "sku,name,price:GBP:x",
                "column/price:GBP:x",
                "unknown_column",
            ),
        ] {
            let faults = columns(header).map(|_| ()).expect_err(header);
            assert_eq!(faults[0], (place.to_owned(), code.to_owned()));
        }
    }

    #[test]
    fn a_record_that_cannot_be_used_says_where() {
        let columns = columns("sku,name,price:GBP,stock,prices").expect("columns");
        for (fields, place, code) in [
            ("a|A|1", "", "wrong_field_count"),
            ("a|A|1|many|", "column/stock", "wrong_type"),
            ("a|A|1||[", "column/prices", "malformed_json"),
            ("a|A|-1||", "/prices/0/amount", "invalid_value"),
            ("a||1||", "/name", "required"),
            ("a|A|1|5|", "/stock/reference", "required"),
        ] {
            let faults = columns.product(&record(fields)).expect_err(fields);
            assert_eq!(
                (faults[0].pointer.as_str(), &*faults[0].code),
                (place, code),
                "{fields}"
            );
        }
        let broken: [&[u8]; 5] = [b"a", b"\xff", b"", b"", b""];
        assert_eq!(
            columns.product(&broken).expect_err("UTF-8")[0].code,
            "invalid_utf8"
        );
    }
}

//! A delivery note as a letter.

use steelyard_einvoice::model::{DeliveryNote, Item};

use super::address;
use super::letter::{Letter, Paragraph, Row, Table};
use crate::numbers;
use crate::theme::{Column, Language, Theme, Word};

/// The letter.
pub(crate) fn delivery_note<'a>(
    note: &'a DeliveryNote,
    theme: &Theme,
    language: &Language,
) -> Letter<'a> {
    let word = |word| language.word(word).to_owned();
    let from = &note.seller.address.country;
    let date = |date| numbers::date(language, date);
    Letter {
        seller: &note.seller,
        account: None,
        title: format!("{} {}", word(Word::DeliveryNote), note.number),
        recipient: address::lines(&note.delivery.name, &note.delivery.address, from, language),
        facts: vec![
            (word(Word::NumberDeliveryNote), note.number.clone()),
            (word(Word::Date), date(note.issued_on)),
            (word(Word::Order), note.order_number.clone()),
            (
                word(Word::Customer),
                note.buyer.id.clone().unwrap_or_default(),
            ),
            (
                word(Word::Tracking),
                note.tracking.clone().unwrap_or_default(),
            ),
        ],
        before: vec![Paragraph::Plain(word(Word::OpeningDeliveryNote))],
        table: table(note, &theme.settings.table.columns.0, language),
        sums: Vec::new(),
        after: vec![Paragraph::Plain(word(Word::ClosingDeliveryNote))],
    }
}

/// The theme's columns without those of money.
fn table(note: &DeliveryNote, columns: &[Column], language: &Language) -> Table {
    let columns: Vec<(Column, String)> = columns
        .iter()
        .filter_map(|&column| {
            let word = match column {
                Column::Position => Word::ColumnPosition,
                Column::Sku => Word::ColumnSku,
                Column::Name => Word::ColumnName,
                Column::Quantity => Word::ColumnQuantity,
                Column::UnitPrice | Column::Tax | Column::Total => return None,
            };
            Some((column, language.word(word).to_owned()))
        })
        .collect();
    let cell = |column, item: &Item, position: usize| match column {
        Column::Position => position.to_string(),
        Column::Sku => item.sku.clone(),
        Column::Quantity => numbers::number(language, item.quantity.into()),
        _ => item.name.clone(),
    };
    let rows = note.items.iter().zip(1..).map(|(item, position)| Row {
        cells: columns
            .iter()
            .map(|(column, _)| cell(*column, item, position))
            .collect(),
        running: String::new(),
        under: Vec::new(),
    });
    Table {
        rows: rows.collect(),
        columns,
        carried: None,
    }
}

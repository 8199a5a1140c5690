//! A table as Parquet: one row group, amounts as decimals, times in microseconds UTC.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use rust_decimal::Decimal;
use time::macros::date;

use super::table::{Cell, Column, Kind, Row, SCALE, Table};

/// Digits of an amount that eight bytes hold for sure.
const PRECISION: i32 = 18;

/// Writes a file in memory; it has as many rows as a part.
pub(super) fn write(table: &Table, rows: &[Row]) -> Result<Vec<u8>, String> {
    try_write(table, rows).map_err(|error| error.to_string())
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    #[error("column {column} cannot hold {cell:?}")]
    Cell { column: &'static str, cell: Cell },
}

fn try_write(table: &Table, rows: &[Row]) -> Result<Vec<u8>, Error> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("steelyard".to_owned())
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema(table)?, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for (at, column) in table.columns.iter().enumerate() {
        // The schema was made of these very columns.
        let Some(mut writer) = group.next_column()? else {
            break;
        };
        let cells = rows.iter().map(|row| &row[at]);
        write_column(&mut writer, column, cells)?;
        writer.close()?;
    }
    group.close()?;
    Ok(file.into_inner()?)
}

fn schema(table: &Table) -> Result<TypePtr, Error> {
    let fields = table.columns.iter().map(|column| {
        let (physical, logical) = match column.kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Count => (Physical::INT64, None),
            Kind::Amount => {
                let scale = i32::try_from(SCALE).unwrap_or_default();
                let decimal = LogicalType::decimal(scale, PRECISION);
                (Physical::INT64, Some(decimal))
            }
            Kind::Time => {
                let utc = LogicalType::timestamp(true, TimeUnit::MICROS);
                (Physical::INT64, Some(utc))
            }
            Kind::Day => (Physical::INT32, Some(LogicalType::Date)),
        };
        let repetition = if column.is_optional {
            Repetition::OPTIONAL
        } else {
            Repetition::REQUIRED
        };
        let mut field = Type::primitive_type_builder(column.name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical);
        if column.kind == Kind::Amount {
            field = field
                .with_precision(PRECISION)
                .with_scale(i32::try_from(SCALE).unwrap_or_default());
        }
        Ok(Arc::new(field.build()?))
    });
    let fields: Vec<TypePtr> = fields.collect::<Result<_, Error>>()?;
    let schema = Type::group_type_builder(table.name)
        .with_fields(fields)
        .build()?;
    Ok(Arc::new(schema))
}

fn write_column<'a>(
    writer: &mut SerializedColumnWriter<'_>,
    column: &Column,
    cells: impl Iterator<Item = &'a Cell>,
) -> Result<(), Error> {
    let mut there: Vec<i16> = Vec::new();
    let present = cells.filter(|cell| {
        let is_there = **cell != Cell::Empty;
        there.push(i16::from(is_there));
        is_there
    });
    let refuse = |cell: &Cell| Error::Cell {
        column: column.name,
        cell: cell.clone(),
    };
    match column.kind {
        Kind::Text => {
            let values = present.map(|cell| match cell {
                Cell::Text(text) => Ok(ByteArray::from(text.as_str())),
                other => Err(refuse(other)),
            });
            let values = values.collect::<Result<Vec<_>, _>>()?;
            let levels = column.is_optional.then_some(there.as_slice());
            writer
                .typed::<ByteArrayType>()
                .write_batch(&values, levels, None)?;
        }
        Kind::Day => {
            let epoch = date!(1970 - 01 - 01);
            let values = present.map(|cell| match cell {
                Cell::Day(day) => {
                    let days = (*day - epoch).whole_days();
                    i32::try_from(days).map_err(|_| refuse(cell))
                }
                other => Err(refuse(other)),
            });
            let values = values.collect::<Result<Vec<_>, _>>()?;
            let levels = column.is_optional.then_some(there.as_slice());
            writer
                .typed::<Int32Type>()
                .write_batch(&values, levels, None)?;
        }
        Kind::Count | Kind::Amount | Kind::Time => {
            let values = present.map(|cell| number(cell).ok_or_else(|| refuse(cell)));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            let levels = column.is_optional.then_some(there.as_slice());
            writer
                .typed::<Int64Type>()
                .write_batch(&values, levels, None)?;
        }
    }
    Ok(())
}

fn number(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Count(count) => Some(*count),
        Cell::Amount(amount) => unscaled(*amount),
        Cell::Time(time) => i64::try_from(time.unix_timestamp_nanos() / 1_000).ok(),
        Cell::Empty | Cell::Text(_) | Cell::Day(_) => None,
    }
}

/// The amount in units of its last digit; `None` when it has more digits than the column.
fn unscaled(amount: Decimal) -> Option<i64> {
    let mut scaled = amount;
    scaled.rescale(SCALE);
    (scaled == amount).then(|| i64::try_from(scaled.mantissa()).ok())?
}

//! The table: columns as wide as their widest number, the name with what is left; over pages with carried totals.
#![expect(
    clippy::float_arithmetic,
    reason = "points on a page; no money comes here"
)]

use std::rc::Rc;

use super::letter::{Carried, Row, Table};
use super::sheet::{BODY_TOP, HAIRLINE, MM, Sheets, size};
use crate::page::{Align, Block, LEADING, Style, Weight};
use crate::theme::Column;

/// Left and right of what stands in a cell.
pub(super) const CELL_PADDING: f32 = 3.0;
/// Between columns.
const GUTTER: f32 = 9.0;
const ROW_PADDING: f32 = 3.6;
/// Longer article numbers are broken.
const SKU_WIDTH_MAX: f32 = 27.0 * MM;
/// The name's column is never narrower, whatever the numbers are.
const NAME_WIDTH_MIN: f32 = 36.0 * MM;
const HEAD_RULE: f32 = 1.1;

/// A column in its place.
struct Place {
    x: f32,
    width: f32,
    align: Align,
}

/// A row that was set.
struct SetRow<'a> {
    cells: Vec<Rc<Block>>,
    running: &'a str,
}

/// Writes the table from where the page stands. Its last row leaves `below` free: what stands there belongs to it.
pub(super) fn write(sheets: &mut Sheets<'_>, table: &Table, below: f32) {
    let text = sheets.plain(sheets.theme.settings.table.size_pt.0);
    let head = sheets.style(
        size::LABEL,
        Weight::Bold,
        sheets.theme.settings.colours.muted,
    );
    let numbers = set_narrow(sheets, table, text);
    let heads: Vec<Rc<Block>> = table
        .columns
        .iter()
        .map(|(_, label)| sheets.set(label, head, None))
        .collect();
    let places = arrange(sheets, table, &heads, &numbers);
    let rows: Vec<SetRow<'_>> = table
        .rows
        .iter()
        .zip(numbers)
        .map(|(row, cells)| set_row(sheets, table, row, cells, &places, text))
        .collect();
    let writer = Writer {
        places,
        heads,
        carried: table.carried.as_ref(),
        text,
        // A point more, so that rounding does not tear them apart.
        below: below + 1.0,
    };
    writer.write(sheets, &rows);
}

/// Sets the cells that are one line as a rule; `None` for those that are wrapped once the widths are known.
fn set_narrow(sheets: &mut Sheets<'_>, table: &Table, text: Style) -> Vec<Vec<Option<Rc<Block>>>> {
    let mut set = |row: &Row| -> Vec<Option<Rc<Block>>> {
        let cells = row.cells.iter().zip(&table.columns);
        cells
            .map(|(cell, (column, _))| match column {
                Column::Name => None,
                Column::Sku => Some(sheets.set(cell, text, Some(SKU_WIDTH_MAX))),
                _ => Some(sheets.set(cell, text, None)),
            })
            .collect()
    };
    table.rows.iter().map(&mut set).collect()
}

fn arrange(
    sheets: &Sheets<'_>,
    table: &Table,
    heads: &[Rc<Block>],
    cells: &[Vec<Option<Rc<Block>>>],
) -> Vec<Place> {
    let widest = |i: usize| {
        let cells = cells.iter().filter_map(|row| row.get(i)?.as_ref());
        cells
            .map(|cell| cell.width())
            .fold(heads[i].width(), f32::max)
    };
    let widths: Vec<Option<f32>> = table
        .columns
        .iter()
        .enumerate()
        .map(|(i, (column, _))| (*column != Column::Name).then(|| widest(i)))
        .collect();
    let gutters: f32 = table.columns.iter().skip(1).map(|_| GUTTER).sum();
    let taken: f32 = widths.iter().flatten().sum();
    let left_over = sheets.measure() - 2.0 * CELL_PADDING - gutters - taken;
    let mut x = sheets.left() + CELL_PADDING;
    let places = table
        .columns
        .iter()
        .zip(widths)
        .map(|((column, _), width)| {
            let width = width.unwrap_or(left_over.max(NAME_WIDTH_MIN));
            let place = Place {
                x,
                width,
                align: match column {
                    Column::Name | Column::Sku => Align::Left,
                    _ => Align::Right,
                },
            };
            x += width + GUTTER;
            place
        });
    places.collect()
}

fn set_row<'a>(
    sheets: &mut Sheets<'_>,
    table: &Table,
    row: &'a Row,
    cells: Vec<Option<Rc<Block>>>,
    places: &[Place],
    text: Style,
) -> SetRow<'a> {
    let names = table.columns.iter().zip(places).zip(&row.cells).zip(cells);
    let cells = names.map(|(((_, place), name), cell)| {
        cell.unwrap_or_else(|| sheets.set(name, text, Some(place.width)))
    });
    SetRow {
        cells: cells.collect(),
        running: &row.running,
    }
}

/// Writes rows, and turns pages between them.
struct Writer<'a> {
    places: Vec<Place>,
    heads: Vec<Rc<Block>>,
    carried: Option<&'a Carried>,
    text: Style,
    below: f32,
}

impl Writer<'_> {
    fn write(&self, sheets: &mut Sheets<'_>, rows: &[SetRow<'_>]) {
        let carry_height = self.carry_height();
        let first = rows
            .first()
            .map_or(0.0, |row| row.height(0).min(6.0 * self.text.size));
        sheets.need(self.head_height() + first + carry_height);
        self.head(sheets);
        let mut brought: Option<&str> = None;
        for (i, row) in rows.iter().enumerate() {
            let mut reserve = carry_height;
            if i + 1 == rows.len() && row.height(0) < self.page_room(sheets, self.below) {
                reserve = reserve.max(self.below);
            }
            let mut line = 0;
            loop {
                let room = sheets.room() - reserve - 2.0 * ROW_PADDING;
                let (lines, whole) = row.fit(line, room);
                // A row is broken only if no page could hold it.
                if whole || (lines > 0 && row.height(line) > self.page_room(sheets, reserve)) {
                    self.row(sheets, row, line, lines);
                    line += lines;
                }
                if whole {
                    break;
                }
                self.turn(sheets, brought);
            }
            brought = Some(row.running);
        }
    }

    /// What a page has for rows when it has nothing else.
    fn page_room(&self, sheets: &Sheets<'_>, reserve: f32) -> f32 {
        let page = sheets.bottom() - BODY_TOP - self.head_height() - self.carry_height();
        // A point less, so that rounding never leaves a row that fits no page and is not broken either.
        page - reserve - 2.0 * ROW_PADDING - 1.0
    }

    fn turn(&self, sheets: &mut Sheets<'_>, sum: Option<&str>) {
        self.carry(sheets, sum, |carried| &carried.forward);
        sheets.turn();
        self.head(sheets);
        self.carry(sheets, sum, |carried| &carried.brought);
    }

    /// Of a carried total, where there is one.
    fn carry_height(&self) -> f32 {
        let row = self.text.size * LEADING + 2.0 * ROW_PADDING;
        self.carried.map_or(0.0, |_| row)
    }

    fn head_height(&self) -> f32 {
        let label = self
            .heads
            .iter()
            .map(|head| head.height())
            .fold(0.0, f32::max);
        label + ROW_PADDING + HEAD_RULE
    }

    fn head(&self, sheets: &mut Sheets<'_>) {
        let y = sheets.y;
        for (head, place) in self.heads.iter().zip(&self.places) {
            let x = place.x_of(head);
            sheets.leaf().text(head, x, y);
        }
        let colour = sheets.theme.settings.colours.accent;
        sheets.rule(y + self.head_height() - HEAD_RULE, HEAD_RULE, colour);
        sheets.y += self.head_height();
    }

    /// Some lines of a row; its numbers stand with the first.
    fn row(&self, sheets: &mut Sheets<'_>, row: &SetRow<'_>, first: usize, lines: usize) {
        let y = sheets.y + ROW_PADDING;
        let mut height: f32 = 0.0;
        for (cell, place) in row.cells.iter().zip(&self.places) {
            let until = cell.lines().min(first + lines);
            if first < until {
                let x = place.x_of(cell);
                sheets.leaf().lines(cell, first..until, x, y);
                height = height.max(cell.height_of(first..until));
            }
        }
        sheets.y = y + height + ROW_PADDING;
        let colour = sheets.theme.settings.colours.rule;
        let under = sheets.y - HAIRLINE;
        sheets.rule(under, HAIRLINE, colour);
    }

    fn carry(
        &self,
        sheets: &mut Sheets<'_>,
        sum: Option<&str>,
        word: impl FnOnce(&Carried) -> &String,
    ) {
        let (Some(carried), Some(sum)) = (self.carried, sum) else {
            return;
        };
        let style = Style {
            weight: Weight::Bold,
            ..self.text
        };
        let label = sheets.set(word(carried), style, None);
        let amount = sheets.set(sum, style, None);
        let height = label.height() + 2.0 * ROW_PADDING;
        let (left, measure, y) = (sheets.left(), sheets.measure(), sheets.y);
        let right = sheets.right() - CELL_PADDING;
        let shade = sheets.theme.settings.colours.shade;
        let leaf = sheets.leaf();
        leaf.fill((left, y), (measure, height), shade);
        leaf.text(&label, left + CELL_PADDING, y + ROW_PADDING);
        leaf.text(&amount, right - amount.width(), y + ROW_PADDING);
        sheets.y += height;
    }
}

impl Place {
    fn x_of(&self, block: &Block) -> f32 {
        match self.align {
            Align::Left => self.x,
            Align::Right => self.x + self.width - block.width(),
        }
    }
}

impl SetRow<'_> {
    /// The height from a line on.
    fn height(&self, first: usize) -> f32 {
        let cells = self.cells.iter();
        cells
            .map(|cell| cell.height_of(first..cell.lines()))
            .fold(0.0, f32::max)
    }

    /// How many lines from `first` on fit, and whether these are all.
    fn fit(&self, first: usize, height: f32) -> (usize, bool) {
        let lines = self
            .cells
            .iter()
            .map(|cell| cell.lines())
            .max()
            .unwrap_or_default();
        let fits = self
            .cells
            .iter()
            .filter(|cell| cell.lines() > first)
            .map(|cell| {
                let fits = cell.fit(first, height);
                if first + fits == cell.lines() {
                    lines - first
                } else {
                    fits
                }
            })
            .min()
            .unwrap_or(lines.saturating_sub(first));
        (fits, first + fits >= lines)
    }
}

//! The table: columns as wide as their widest number, the name with what is left; over pages with carried totals.
#![expect(
    clippy::float_arithmetic,
    reason = "points on a page; no money comes here"
)]

use std::ops::Range;
use std::rc::Rc;

use super::letter::{Carried, Row, Table, Under};
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

/// What was set before the widths were known.
struct Narrow {
    /// One per column; `None` for those that are wrapped once the widths are known.
    cells: Vec<Option<Rc<Block>>>,
    /// One per small row under the line.
    amounts: Vec<Rc<Block>>,
}

/// A row that was set: the line, and the small rows under it.
struct SetRow<'a> {
    strips: Vec<Strip<'a>>,
}

/// Blocks side by side, each with the column in whose place it stands.
struct Strip<'a> {
    cells: Vec<(usize, Rc<Block>)>,
    /// Σ up to and with it.
    running: &'a str,
}

/// How the texts of a table look.
#[derive(Clone, Copy)]
struct Styles {
    text: Style,
    /// Of what stands under a line; its amount looks as the line's, so that digits stand below digits.
    label: Style,
}

impl Styles {
    fn of(sheets: &Sheets<'_>) -> Self {
        let size = sheets.theme.settings.table.size_pt.0;
        Self {
            text: sheets.plain(size),
            label: sheets.muted(size),
        }
    }
}

/// Writes the table from where the page stands. Its last row leaves `below` free: what stands there belongs to it.
pub(super) fn write(sheets: &mut Sheets<'_>, table: &Table, below: f32) {
    let styles = Styles::of(sheets);
    let head = sheets.style(
        size::LABEL,
        Weight::Bold,
        sheets.theme.settings.colours.muted,
    );
    let narrow: Vec<Narrow> = table
        .rows
        .iter()
        .map(|row| set_narrow(sheets, table, row, styles))
        .collect();
    let heads: Vec<Rc<Block>> = table
        .columns
        .iter()
        .map(|(_, label)| sheets.set(label, head, None))
        .collect();
    let places = arrange(sheets, table, &heads, &narrow);
    let rows: Vec<SetRow<'_>> = table
        .rows
        .iter()
        .zip(narrow)
        .map(|(row, narrow)| set_row(sheets, table, row, narrow, &places, styles))
        .collect();
    let writer = Writer {
        places,
        heads,
        carried: table.carried.as_ref(),
        text: styles.text,
        // A point more, so that rounding does not tear them apart.
        below: below + 1.0,
    };
    writer.write(sheets, &rows);
}

/// Sets the cells that are one line as a rule.
fn set_narrow(sheets: &mut Sheets<'_>, table: &Table, row: &Row, styles: Styles) -> Narrow {
    let cells = row.cells.iter().zip(&table.columns);
    let cells = cells.map(|(cell, (column, _))| match column {
        Column::Name => None,
        Column::Sku => Some(sheets.set(cell, styles.text, Some(SKU_WIDTH_MAX))),
        _ => Some(sheets.set(cell, styles.text, None)),
    });
    let cells = cells.collect();
    let amounts = row.under.iter();
    let amounts = amounts.map(|under| sheets.set(&under.amount, styles.text, None));
    Narrow {
        cells,
        amounts: amounts.collect(),
    }
}

fn arrange(sheets: &Sheets<'_>, table: &Table, heads: &[Rc<Block>], rows: &[Narrow]) -> Vec<Place> {
    let totals = table.place_of(Column::Total);
    let widest = |i: usize| {
        let cells = rows.iter().filter_map(|row| row.cells.get(i)?.as_ref());
        let amounts = rows.iter().flat_map(|row| &row.amounts);
        let amounts = amounts.filter(|_| totals == Some(i));
        cells
            .chain(amounts)
            .map(|block| block.width())
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
    narrow: Narrow,
    places: &[Place],
    styles: Styles,
) -> SetRow<'a> {
    let cells = row.cells.iter().zip(narrow.cells).zip(places);
    let cells = cells.map(|((text, cell), place)| {
        cell.unwrap_or_else(|| sheets.set(text, styles.text, Some(place.width)))
    });
    let line = Strip {
        cells: cells.enumerate().collect(),
        running: &row.running,
    };
    let under = row.under.iter().zip(narrow.amounts);
    let under =
        under.map(|(under, amount)| set_under(sheets, table, under, amount, places, styles));
    SetRow {
        strips: std::iter::once(line).chain(under).collect(),
    }
}

/// The label stands under the name, the amount under the line's own, where the table has such a column.
fn set_under<'a>(
    sheets: &mut Sheets<'_>,
    table: &Table,
    under: &'a Under,
    amount: Rc<Block>,
    places: &[Place],
    styles: Styles,
) -> Strip<'a> {
    let label = table.place_of(Column::Name).map(|i| {
        let width = places.get(i).map(|place| place.width);
        (i, sheets.set(&under.label, styles.label, width))
    });
    let amount = table.place_of(Column::Total).map(|i| (i, amount));
    Strip {
        cells: label.into_iter().chain(amount).collect(),
        running: &under.running,
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
                self.turn(sheets, row.running(line).or(brought));
            }
            brought = row.strips.last().map(|strip| strip.running).or(brought);
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

    /// Some lines of a row; numbers stand with the first of their strip.
    fn row(&self, sheets: &mut Sheets<'_>, row: &SetRow<'_>, first: usize, lines: usize) {
        let mut left = lines;
        sheets.y += ROW_PADDING;
        for (strip, begins) in row.after(first) {
            let until = strip.lines().min(begins + left);
            left -= until - begins;
            sheets.y += self.strip(sheets, strip, begins..until);
        }
        sheets.y += ROW_PADDING;
        let colour = sheets.theme.settings.colours.rule;
        let under = sheets.y - HAIRLINE;
        sheets.rule(under, HAIRLINE, colour);
    }

    /// Some lines of a strip; answers how high they are.
    fn strip(&self, sheets: &mut Sheets<'_>, strip: &Strip<'_>, lines: Range<usize>) -> f32 {
        let (mut height, y): (f32, f32) = (0.0, sheets.y);
        for (column, cell) in &strip.cells {
            let lines = lines.start..cell.lines().min(lines.end);
            if let Some(place) = self.places.get(*column)
                && !lines.is_empty()
            {
                let x = place.x_of(cell);
                height = height.max(cell.height_of(lines.clone()));
                sheets.leaf().lines(cell, lines, x, y);
            }
        }
        height
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

impl<'a> SetRow<'a> {
    /// What is left when so many lines are written: strips, each with its first line that is not.
    fn after(&self, lines: usize) -> impl Iterator<Item = (&Strip<'a>, usize)> {
        let mut written = lines;
        self.strips.iter().filter_map(move |strip| {
            let begins = strip.lines().min(written);
            written -= begins;
            (begins < strip.lines()).then_some((strip, begins))
        })
    }

    /// Σ of what stands on paper when so many lines are written: an amount stands with its strip's first line.
    fn running(&self, lines: usize) -> Option<&'a str> {
        let mut before = 0;
        let begun = self.strips.iter().take_while(|strip| {
            let begins = before;
            before += strip.lines();
            begins < lines
        });
        begun.last().map(|strip| strip.running)
    }

    /// The height from a line on.
    fn height(&self, first: usize) -> f32 {
        let left = self.after(first);
        left.map(|(strip, begins)| strip.height(begins)).sum()
    }

    /// How many lines from `first` on fit, and whether these are all.
    fn fit(&self, first: usize, height: f32) -> (usize, bool) {
        let (mut fits, mut left) = (0, height);
        for (strip, begins) in self.after(first) {
            let (lines, whole) = strip.fit(begins, left);
            fits += lines;
            if !whole {
                return (fits, false);
            }
            left -= strip.height(begins);
        }
        (fits, true)
    }
}

impl Strip<'_> {
    fn lines(&self) -> usize {
        let cells = self.cells.iter();
        cells
            .map(|(_, cell)| cell.lines())
            .max()
            .unwrap_or_default()
    }

    /// The height from a line on.
    fn height(&self, first: usize) -> f32 {
        let cells = self.cells.iter();
        cells
            .map(|(_, cell)| cell.height_of(first..cell.lines()))
            .fold(0.0, f32::max)
    }

    /// How many lines from `first` on fit, and whether these are all.
    fn fit(&self, first: usize, height: f32) -> (usize, bool) {
        let lines = self.lines();
        let fits = self
            .cells
            .iter()
            .filter(|(_, cell)| cell.lines() > first)
            .map(|(_, cell)| {
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

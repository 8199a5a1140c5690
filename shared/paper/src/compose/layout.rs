//! A letter on its pages: letterhead, window, facts, title, paragraphs, sums; then what stands on every page.
#![expect(
    clippy::float_arithmetic,
    reason = "points on a page; no money comes here"
)]

use std::rc::Rc;

use super::letter::{Letter, Paragraph, Sum, SumWeight};
use super::sheet::{HAIRLINE, MM, Sheets, size};
use super::table;
use crate::page::{Block, Leaf, Mark, Style, Typesetter, Weight};
use crate::theme::{Filling, Language, Side, Theme, Word};

pub(crate) use super::sheet::dimensions;

/// The window of an envelope: DIN 5008 form B at the left, NF Z 11-001 and BS 4264 at the right.
const WINDOW_TOP: f32 = 45.0 * MM;
const WINDOW_WIDTH: f32 = 80.0 * MM;
const WINDOW_RIGHT_X: f32 = 110.0 * MM;
const WINDOW_LINES_MAX: usize = 7;
const FACTS_WIDTH: f32 = 72.0 * MM;
const FACT_LABEL_WIDTH: f32 = 31.0 * MM;
const FACT_LINES_MAX: usize = 2;
const TITLE_TOP: f32 = 98.0 * MM;
const HEAD_TOP: f32 = 15.0 * MM;
const SUMS_WIDTH: f32 = 84.0 * MM;
/// A sum's label is never narrower, whatever its amount is.
const SUM_LABEL_WIDTH_MIN: f32 = 30.0 * MM;
/// Between a label and its value in pairs.
const PAIR_LABEL_WIDTH: f32 = 32.0 * MM;
const GAP: f32 = 9.0;
/// Above and below a sum, and beside the strong ones.
const SUM_PADDING: f32 = 2.4;
const STRONG_PADDING: f32 = 6.0;

/// Lays a letter out.
pub(crate) fn lay_out(
    letter: &Letter<'_>,
    theme: &Theme,
    language: &Language,
    setter: &mut Typesetter,
) -> Vec<Leaf> {
    let mut sheets = Sheets::new(theme, setter);
    letterhead(&mut sheets, letter);
    window(&mut sheets, letter, language);
    facts(&mut sheets, letter);
    title(&mut sheets, letter);
    for paragraph in &letter.before {
        write(&mut sheets, paragraph);
    }
    sheets.y += GAP;
    // Set first: the table's last row stays with them.
    let sums = set_sums(&mut sheets, &letter.sums);
    table::write(&mut sheets, &letter.table, height_of(&sums));
    write_sums(&mut sheets, &sums);
    sheets.y += 2.0 * GAP;
    for paragraph in &letter.after {
        write(&mut sheets, paragraph);
    }
    furnish(&mut sheets, letter, language);
    sheets.leaves
}

fn letterhead(sheets: &mut Sheets<'_>, letter: &Letter<'_>) {
    let (left, right) = (sheets.left(), sheets.right());
    let settings = &sheets.theme.settings;
    let logo = settings.logo.as_ref().zip(sheets.theme.logo.as_ref());
    let Some((place, image)) = logo else {
        let style = sheets.style(size::WORDMARK, Weight::Bold, settings.colours.accent);
        let width = sheets.measure();
        let name = sheets
            .setter
            .set_within(&letter.seller.name, style, width, 1);
        sheets.leaf().text(&Rc::new(name), left, HEAD_TOP);
        return;
    };
    let (pixels_wide, pixels_high) = image.size();
    let mut height = place.height_mm.0 * MM;
    let proportion = to_f32(pixels_wide) / to_f32(pixels_high.max(1));
    let mut width = height * proportion;
    if width > sheets.measure() {
        width = sheets.measure();
        height = width / proportion;
    }
    let x = match place.side {
        Side::Left => left,
        Side::Right => right - width,
    };
    sheets.leaf().marks.push(Mark::Logo {
        x,
        y: HEAD_TOP,
        width,
        height,
    });
}

/// A number of pixels, exact up to 65,535.
fn to_f32(pixels: u32) -> f32 {
    u16::try_from(pixels).map_or(f32::from(u16::MAX), f32::from)
}

fn window(sheets: &mut Sheets<'_>, letter: &Letter<'_>, language: &Language) {
    let address = &sheets.theme.settings.address;
    let x = match address.window {
        Side::Left => sheets.left(),
        Side::Right => WINDOW_RIGHT_X,
    };
    let filling = filling(letter, language);
    if let Some(sender) = address.sender.fill(filling) {
        let style = sheets.muted(size::SENDER);
        let sender = sheets.setter.set_within(&sender, style, WINDOW_WIDTH, 1);
        let (height, colour) = (sender.height(), sheets.theme.settings.colours.rule);
        let leaf = sheets.leaf();
        leaf.text(&Rc::new(sender), x, WINDOW_TOP);
        leaf.fill(
            (x, WINDOW_TOP + height + 1.5),
            (WINDOW_WIDTH, HAIRLINE),
            colour,
        );
    }
    let mut y = WINDOW_TOP + 5.6 * MM;
    let style = sheets.plain(size::ADDRESS);
    let mut left = WINDOW_LINES_MAX;
    for (i, line) in letter.recipient.iter().enumerate() {
        // Each later line keeps one line for itself.
        let later = letter.recipient.len() - i - 1;
        let lines_max = left.saturating_sub(later).max(1);
        let line = sheets
            .setter
            .set_within(line, style, WINDOW_WIDTH, lines_max);
        left = left.saturating_sub(line.lines());
        let height = line.height();
        sheets.leaf().text(&Rc::new(line), x, y);
        y += height;
    }
}

fn facts(sheets: &mut Sheets<'_>, letter: &Letter<'_>) {
    let x = match sheets.theme.settings.address.window {
        Side::Left => sheets.right() - FACTS_WIDTH,
        Side::Right => sheets.left(),
    };
    let (label, value) = (sheets.muted(size::FACT), sheets.plain(size::FACT));
    let mut y = WINDOW_TOP + 5.6 * MM;
    for (name, text) in letter.facts.iter().filter(|(_, text)| !text.is_empty()) {
        let name = sheets.setter.set_within(name, label, FACT_LABEL_WIDTH, 1);
        let width = FACTS_WIDTH - FACT_LABEL_WIDTH;
        let text = sheets.setter.set_within(text, value, width, FACT_LINES_MAX);
        let height = text.height();
        let leaf = sheets.leaf();
        leaf.text(&Rc::new(name), x, y);
        leaf.text(&Rc::new(text), x + FACT_LABEL_WIDTH, y);
        y += height + 1.6;
    }
}

fn title(sheets: &mut Sheets<'_>, letter: &Letter<'_>) {
    let accent = sheets.theme.settings.colours.accent;
    let style = sheets.style(size::TITLE, Weight::Bold, accent);
    let (x, width) = (sheets.left(), sheets.measure());
    let title = sheets.set(&letter.title, style, Some(width));
    sheets.leaf().text(&title, x, TITLE_TOP);
    sheets.y = TITLE_TOP + title.height() + GAP / 2.0;
}

fn write(sheets: &mut Sheets<'_>, paragraph: &Paragraph) {
    let (x, width) = (sheets.left(), sheets.measure());
    let style = sheets.plain(size::BODY);
    match paragraph {
        Paragraph::Plain(text) if text.trim().is_empty() => return,
        Paragraph::Plain(text) => {
            let block = sheets.set(text, style, Some(width));
            sheets.flow(&block, x);
        }
        Paragraph::Labelled(label, text) => {
            let muted = sheets.muted(size::LABEL);
            let label = sheets.set(label, muted, Some(width));
            let text = sheets.set(text, style, Some(width));
            sheets.need(label.height() + text.height().min(4.0 * size::BODY));
            sheets.flow(&label, x);
            sheets.flow(&text, x);
        }
        Paragraph::Pairs { lead, pairs } => write_pairs(sheets, lead, pairs, style),
    }
    sheets.y += GAP / 2.0;
}

fn write_pairs(sheets: &mut Sheets<'_>, lead: &str, pairs: &[(String, String)], style: Style) {
    let (x, width) = (sheets.left(), sheets.measure() - PAIR_LABEL_WIDTH);
    let measure = sheets.measure();
    let lead = sheets.set(lead, style, Some(measure));
    let label = Style {
        colour: sheets.theme.settings.colours.muted,
        ..style
    };
    let pairs: Vec<_> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| {
            let name = sheets.set(name, label, Some(PAIR_LABEL_WIDTH));
            (name, sheets.set(value, style, Some(width)))
        })
        .collect();
    let values: f32 = pairs.iter().map(|(_, value)| value.height()).sum();
    sheets.need(lead.height() + GAP / 2.0 + values);
    sheets.flow(&lead, x);
    sheets.y += GAP / 2.0;
    for (name, value) in pairs {
        let y = sheets.y;
        let leaf = sheets.leaf();
        leaf.text(&name, x, y);
        leaf.text(&value, x + PAIR_LABEL_WIDTH, y);
        sheets.y += name.height().max(value.height());
    }
}

/// A sum that was set.
struct SetSum {
    label: Rc<Block>,
    amount: Rc<Block>,
    weight: SumWeight,
    padding: f32,
}

impl SetSum {
    fn height(&self) -> f32 {
        self.label.height().max(self.amount.height()) + 2.0 * self.padding
    }
}

fn set_sums(sheets: &mut Sheets<'_>, sums: &[Sum]) -> Vec<SetSum> {
    let accent = sheets.theme.settings.colours.accent;
    let set = sums.iter().map(|sum| {
        let (label_style, style, padding) = match sum.weight {
            SumWeight::Plain => (
                sheets.muted(size::FACT + 0.5),
                sheets.plain(size::FACT + 0.5),
                SUM_PADDING,
            ),
            SumWeight::Strong => {
                let style = sheets.style(size::STRONG, Weight::Bold, accent);
                (style, style, STRONG_PADDING)
            }
        };
        let amount = sheets.set(&sum.amount, style, None);
        let taken = STRONG_PADDING + GAP + amount.width() + table::CELL_PADDING;
        let width = (SUMS_WIDTH - taken).max(SUM_LABEL_WIDTH_MIN);
        SetSum {
            label: sheets.set(&sum.label, label_style, Some(width)),
            amount,
            weight: sum.weight,
            padding,
        }
    });
    set.collect()
}

/// With the gap above them.
fn height_of(sums: &[SetSum]) -> f32 {
    sums.iter().map(SetSum::height).sum::<f32>() + GAP / 2.0
}

/// Together on a page, unless there are more than any page could hold.
fn write_sums(sheets: &mut Sheets<'_>, sums: &[SetSum]) {
    sheets.need(height_of(sums));
    sheets.y += GAP / 2.0;
    for sum in sums {
        sheets.need(sum.height());
        write_sum(sheets, sum);
    }
}

/// The amount stands with the label's first line; a label at length goes on where the next page begins.
fn write_sum(sheets: &mut Sheets<'_>, sum: &SetSum) {
    let shade = sheets.theme.settings.colours.shade;
    let right = sheets.right();
    let x = right - SUMS_WIDTH;
    let (y, height) = (sheets.y, sum.height());
    if sum.weight == SumWeight::Strong {
        sheets.leaf().fill((x, y), (SUMS_WIDTH, height), shade);
    }
    let page = sheets.leaves.len();
    sheets.y += sum.padding;
    sheets.flow(&sum.label, x + STRONG_PADDING);
    let amount_x = right - sum.amount.width() - table::CELL_PADDING;
    if let Some(leaf) = sheets.leaves.get_mut(page - 1) {
        leaf.text(&sum.amount, amount_x, y + sum.padding);
    }
    sheets.y = if sheets.leaves.len() == page {
        y + height
    } else {
        sheets.y + sum.padding
    };
}

/// What stands on every page, once it is known how many there are.
fn furnish(sheets: &mut Sheets<'_>, letter: &Letter<'_>, language: &Language) {
    let blocks: Vec<String> = {
        let filling = filling(letter, language);
        let footer = &sheets.theme.settings.footer.0;
        let lines = footer.iter().map(|block| {
            let lines: Vec<String> = block.iter().filter_map(|line| line.fill(filling)).collect();
            lines.join("\n")
        });
        lines.collect()
    };
    let (left, right, measure) = (sheets.left(), sheets.right(), sheets.measure());
    let foot = sheets.page_height() - 25.0 * MM;
    let style = sheets.muted(size::FOOTER);
    let columns = u16::try_from(blocks.len().max(1)).map_or(1.0, f32::from);
    let column = measure / columns;
    let blocks: Vec<_> = blocks
        .iter()
        .map(|block| sheets.set(block, style, Some(column - GAP)))
        .collect();
    let head = sheets.muted(size::FACT);
    let running_title = sheets.set(&letter.title, head, Some(measure * 0.6));
    let running_name = sheets
        .setter
        .set_within(&letter.seller.name, head, measure * 0.38, 1);
    let running_name = Rc::new(running_name);
    let pages = sheets.leaves.len();
    let numbers: Vec<_> = (1..=pages)
        .map(|page| {
            let (page, pages) = (page.to_string(), pages.to_string());
            let slots = [("page", page.as_str()), ("pages", pages.as_str())];
            sheets.set(&language.phrase(Word::Page, &slots), style, None)
        })
        .collect();
    let rule = sheets.theme.settings.colours.rule;
    for (i, (leaf, number)) in sheets.leaves.iter_mut().zip(numbers).enumerate() {
        if i > 0 {
            leaf.text(&running_title, left, HEAD_TOP);
            leaf.text(&running_name, right - running_name.width(), HEAD_TOP);
            leaf.fill((left, HEAD_TOP + 15.0), (measure, HAIRLINE), rule);
        }
        leaf.text(&number, right - number.width(), foot - 14.0);
        leaf.fill((left, foot - 3.0), (measure, HAIRLINE), rule);
        let mut x = left;
        for block in &blocks {
            leaf.text(block, x, foot + 2.0);
            x += column;
        }
    }
}

fn filling<'a>(letter: &Letter<'a>, language: &'a Language) -> Filling<'a> {
    Filling {
        seller: letter.seller,
        account: letter.account,
        language,
    }
}

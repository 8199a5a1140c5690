//! A document as texts: the neutral form that is laid out.

use steelyard_einvoice::model::{Account, Party};

use crate::theme::Column;

/// A letter with a table in it.
pub(crate) struct Letter<'a> {
    /// Whose letterhead it is.
    pub(crate) seller: &'a Party,
    pub(crate) account: Option<&'a Account>,
    /// What it is, with its number.
    pub(crate) title: String,
    /// The address, line by line.
    pub(crate) recipient: Vec<String>,
    /// Labels and values beside the address; empty values are left out.
    pub(crate) facts: Vec<(String, String)>,
    /// Between title and table.
    pub(crate) before: Vec<Paragraph>,
    pub(crate) table: Table,
    /// Under the table, at the right.
    pub(crate) sums: Vec<Sum>,
    pub(crate) after: Vec<Paragraph>,
}

/// Words over the width of the page.
pub(crate) enum Paragraph {
    Plain(String),
    /// A small label in front.
    Labelled(String, String),
    /// A sentence with labels and values under it, kept together.
    Pairs {
        lead: String,
        pairs: Vec<(String, String)>,
    },
}

/// The table.
pub(crate) struct Table {
    pub(crate) columns: Vec<(Column, String)>,
    pub(crate) rows: Vec<Row>,
    /// Words for a total that goes over to the next page, if the table has one.
    pub(crate) carried: Option<Carried>,
}

impl Table {
    /// Which column it is, from the left.
    pub(crate) fn place_of(&self, column: Column) -> Option<usize> {
        self.columns.iter().position(|(one, _)| *one == column)
    }
}

/// "Carried forward" and "brought forward".
pub(crate) struct Carried {
    pub(crate) forward: String,
    pub(crate) brought: String,
}

/// A line.
pub(crate) struct Row {
    /// One per column.
    pub(crate) cells: Vec<String>,
    /// Σ up to and with this line, without what stands under it.
    pub(crate) running: String,
    /// What is taken off the line or put on it.
    pub(crate) under: Vec<Under>,
}

/// A small row under a line: an allowance or a charge.
pub(crate) struct Under {
    /// Stands under the name.
    pub(crate) label: String,
    /// Stands in the column of totals, where there is one.
    pub(crate) amount: String,
    /// Σ up to and with this.
    pub(crate) running: String,
}

/// A sum.
pub(crate) struct Sum {
    pub(crate) label: String,
    pub(crate) amount: String,
    pub(crate) weight: SumWeight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SumWeight {
    Plain,
    /// The one that counts.
    Strong,
}

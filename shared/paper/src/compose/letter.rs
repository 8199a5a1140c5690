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

/// "Carried forward" and "brought forward".
pub(crate) struct Carried {
    pub(crate) forward: String,
    pub(crate) brought: String,
}

/// A line.
pub(crate) struct Row {
    /// One per column.
    pub(crate) cells: Vec<String>,
    /// Σ up to and with this line.
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

//! Products and their stock.

mod adjust;
mod changes;
mod facets;
mod family;
mod index;
mod level;
mod lists;
mod pages;
mod read;
mod refresh;
mod source;
mod stock;
mod upsert;
mod viewer;
mod write;

pub(crate) use adjust::{Adjusted, adjust};
pub(crate) use changes::changes;
pub(crate) use facets::facets;
pub(crate) use family::variant_of;
pub(crate) use level::consume_elsewhere;
pub(crate) use lists::labels_asked;
pub(crate) use read::{Filter, Position, PriceFilter, Selection, get, list};
pub(crate) use refresh::refresh;
pub(crate) use source::{export_after, source_of};
pub(crate) use stock::{BookingPosition, stock};
pub(crate) use upsert::{Condition, Pen, Saved, save, upsert};
pub(crate) use viewer::Viewer;

//! Where everything goes on the pages.
//!
//! A document first becomes a [`letter::Letter`], in which every word and number is text already, then pages.

mod address;
mod delivery_note;
mod invoice;
mod layout;
mod letter;
mod sheet;
mod table;

pub(crate) use delivery_note::delivery_note;
pub(crate) use invoice::invoice;
pub(crate) use layout::{dimensions, lay_out};
pub(crate) use letter::Letter;

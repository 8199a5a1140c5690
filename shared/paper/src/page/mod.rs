//! What is on a page: marks at places in points, from the top left corner.

mod marks;
mod text;

pub(crate) use marks::{Leaf, Mark};
pub(crate) use text::{Align, Block, FontSet, LEADING, Style, Typesetter, Weight};

//! The marks. A document is laid out whole before any of it is written: a page must know how many there are.

use std::ops::Range;
use std::rc::Rc;

use super::text::Block;
use crate::theme::Colour;

/// One page.
#[derive(Default)]
pub(crate) struct Leaf {
    pub(crate) marks: Vec<Mark>,
}

/// Something on a page.
pub(crate) enum Mark {
    /// Some lines of a text, the first one's top at `y`.
    Text {
        block: Rc<Block>,
        lines: Range<usize>,
        x: f32,
        y: f32,
    },
    /// A filled box, also a rule.
    Fill {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        colour: Colour,
    },
    /// The theme's logo in a box of its own proportions.
    Logo {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
    },
}

impl Leaf {
    pub(crate) fn text(&mut self, block: &Rc<Block>, x: f32, y: f32) {
        self.lines(block, 0..block.lines(), x, y);
    }

    pub(crate) fn lines(&mut self, block: &Rc<Block>, lines: Range<usize>, x: f32, y: f32) {
        self.marks.push(Mark::Text {
            block: Rc::clone(block),
            lines,
            x,
            y,
        });
    }

    pub(crate) fn fill(&mut self, at: (f32, f32), size: (f32, f32), colour: Colour) {
        self.marks.push(Mark::Fill {
            x: at.0,
            y: at.1,
            width: size.0,
            height: size.1,
            colour,
        });
    }
}

//! The paper: sizes, styles, and the pages as they fill up.
#![expect(
    clippy::float_arithmetic,
    reason = "points on a page; no money comes here"
)]

use std::rc::Rc;

use crate::page::{Align, Block, Leaf, Style, Typesetter, Weight};
use crate::theme::{Colour, Paper, Theme};

/// Points of a millimetre.
pub(super) const MM: f32 = 72.0 / 25.4;
/// A rule that is seen but not looked at.
pub(super) const HAIRLINE: f32 = 0.5;
const LEFT: f32 = 25.0 * MM;
const RIGHT: f32 = 20.0 * MM;
/// Where the body ends, above the page's bottom: footer and page number stand below.
const FOOT: f32 = 37.0 * MM;
/// Where the body begins on the second page and after.
pub(super) const BODY_TOP: f32 = 27.0 * MM;

/// Text sizes in points.
pub(super) mod size {
    pub(in crate::compose) const WORDMARK: f32 = 16.0;
    pub(in crate::compose) const TITLE: f32 = 17.0;
    pub(in crate::compose) const ADDRESS: f32 = 10.5;
    pub(in crate::compose) const BODY: f32 = 9.5;
    pub(in crate::compose) const FACT: f32 = 8.5;
    pub(in crate::compose) const LABEL: f32 = 7.5;
    pub(in crate::compose) const SENDER: f32 = 6.8;
    pub(in crate::compose) const FOOTER: f32 = 7.0;
    pub(in crate::compose) const STRONG: f32 = 11.0;
}

/// The pages that are being filled.
pub(super) struct Sheets<'a> {
    pub(super) theme: &'a Theme,
    pub(super) setter: &'a mut Typesetter,
    pub(super) leaves: Vec<Leaf>,
    /// Where the next mark goes on the last page.
    pub(super) y: f32,
    width: f32,
    height: f32,
}

/// Points of a sheet, width and height.
pub(crate) fn dimensions(paper: Paper) -> (f32, f32) {
    match paper {
        Paper::A4 => (210.0 * MM, 297.0 * MM),
        Paper::Letter => (215.9 * MM, 279.4 * MM),
    }
}

impl<'a> Sheets<'a> {
    pub(super) fn new(theme: &'a Theme, setter: &'a mut Typesetter) -> Self {
        let (width, height) = dimensions(theme.settings.paper);
        Self {
            theme,
            setter,
            leaves: vec![Leaf::default()],
            y: 0.0,
            width,
            height,
        }
    }

    /// The left edge of the text.
    pub(super) fn left(&self) -> f32 {
        LEFT
    }

    /// The right edge of the text.
    pub(super) fn right(&self) -> f32 {
        self.width - RIGHT
    }

    /// The width of the text.
    pub(super) fn measure(&self) -> f32 {
        self.right() - self.left()
    }

    /// The page's height.
    pub(super) fn page_height(&self) -> f32 {
        self.height
    }

    /// Where the body ends.
    pub(super) fn bottom(&self) -> f32 {
        self.height - FOOT
    }

    /// What is left of the page's body.
    pub(super) fn room(&self) -> f32 {
        self.bottom() - self.y
    }

    /// Goes on with a new page.
    pub(super) fn turn(&mut self) {
        self.leaves.push(Leaf::default());
        self.y = BODY_TOP;
    }

    /// The page that is being filled.
    pub(super) fn leaf(&mut self) -> &mut Leaf {
        if self.leaves.is_empty() {
            self.leaves.push(Leaf::default());
        }
        let last = self.leaves.len() - 1;
        &mut self.leaves[last]
    }

    pub(super) fn style(&self, size: f32, weight: Weight, colour: Colour) -> Style {
        Style {
            size,
            weight,
            colour,
            align: Align::Left,
        }
    }

    /// Regular, in the colour of text.
    pub(super) fn plain(&self, size: f32) -> Style {
        self.style(size, Weight::Regular, self.theme.settings.colours.text)
    }

    /// Regular, muted.
    pub(super) fn muted(&self, size: f32) -> Style {
        self.style(size, Weight::Regular, self.theme.settings.colours.muted)
    }

    pub(super) fn set(&mut self, text: &str, style: Style, width: Option<f32>) -> Rc<Block> {
        Rc::new(self.setter.set(text, style, width))
    }

    /// A line across the text at `y`.
    pub(super) fn rule(&mut self, y: f32, thickness: f32, colour: Colour) {
        let (x, width) = (self.left(), self.measure());
        self.leaf().fill((x, y), (width, thickness), colour);
    }

    /// A text over as many pages as it takes.
    pub(super) fn flow(&mut self, block: &Rc<Block>, x: f32) {
        let mut first = 0;
        while first < block.lines() {
            let fits = block.fit(first, self.room());
            if fits == 0 && self.y > BODY_TOP {
                self.turn();
                continue;
            }
            // A line that is higher than a page is printed all the same.
            let until = first + fits.max(1);
            let y = self.y;
            self.leaf().lines(block, first..until, x, y);
            self.y += block.height_of(first..until);
            first = until;
        }
    }

    /// Goes to a new page unless `height` is left on this one.
    pub(super) fn need(&mut self, height: f32) {
        if self.room() < height && self.y > BODY_TOP {
            self.turn();
        }
    }
}

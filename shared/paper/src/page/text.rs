//! Text in lines: shaping, bidirectional order, line breaking and font fallback by `parley`.
#![expect(
    clippy::float_arithmetic,
    reason = "points on a page; no money comes here"
)]

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use parley::fontique::{Blob, Collection, CollectionOptions, FontInfoOverride};
use parley::{
    Alignment, AlignmentOptions, FontContext, FontFamily, FontFamilyName, FontWeight, Layout,
    LayoutContext, LineHeight, OverflowWrap, StyleProperty,
};

use crate::theme::{Colour, FontFile, Role};

/// Line height over font size.
pub(crate) const LEADING: f32 = 1.34;
/// What stands for a character that no font can show.
const REPLACEMENT: char = '\u{fffd}';

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// In points.
    pub(crate) size: f32,
    pub(crate) weight: Weight,
    pub(crate) colour: Colour,
    pub(crate) align: Align,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A text that was set.
pub(crate) struct Block {
    pub(crate) text: String,
    pub(crate) layout: Layout<()>,
    pub(crate) colour: Colour,
}

impl Block {
    pub(crate) fn lines(&self) -> usize {
        self.layout.len()
    }

    pub(crate) fn width(&self) -> f32 {
        self.layout.width()
    }

    pub(crate) fn height(&self) -> f32 {
        self.layout.height()
    }

    /// The height of some of its lines.
    pub(crate) fn height_of(&self, lines: Range<usize>) -> f32 {
        lines
            .filter_map(|i| self.layout.get(i))
            .map(|line| line.metrics().line_height)
            .sum()
    }

    /// How many lines from `first` on fit into `height`.
    pub(crate) fn fit(&self, first: usize, height: f32) -> usize {
        let mut left = height;
        let lines = (first..self.lines()).filter_map(|i| self.layout.get(i));
        lines
            .take_while(|line| {
                left -= line.metrics().line_height;
                left >= 0.0
            })
            .count()
    }
}

/// The fonts of a theme, ready for layout. Cheap to clone: a document takes a clone of its own.
#[derive(Clone)]
pub(crate) struct FontSet {
    context: FontContext,
    families: Vec<FontFamilyName<'static>>,
}

impl FontSet {
    /// Registers fonts, and gives each one's id in a layout.
    pub(crate) fn new(files: &[FontFile]) -> (Self, Vec<u64>) {
        let mut collection = Collection::new(CollectionOptions {
            shared: false,
            system_fonts: false,
        });
        let mut families = vec![named("body".to_owned())];
        let mut ids = Vec::with_capacity(files.len());
        for (i, file) in files.iter().enumerate() {
            let (family, weight) = match file.role {
                Role::Regular => ("body".to_owned(), Weight::Regular),
                Role::Bold => ("body".to_owned(), Weight::Bold),
                Role::Fallback => (format!("fallback-{i}"), Weight::Regular),
            };
            let blob = Blob::new(file.data.0.clone());
            ids.push(blob.id());
            let name = FontInfoOverride {
                family_name: Some(&family),
                weight: Some(weight.value()),
                ..FontInfoOverride::default()
            };
            collection.register_fonts(blob, Some(name));
            if file.role == Role::Fallback {
                families.push(named(family));
            }
        }
        let context = FontContext {
            collection,
            ..FontContext::default()
        };
        (Self { context, families }, ids)
    }
}

fn named(family: String) -> FontFamilyName<'static> {
    FontFamilyName::Named(Cow::Owned(family))
}

impl Weight {
    fn value(self) -> FontWeight {
        match self {
            Self::Regular => FontWeight::new(400.0),
            Self::Bold => FontWeight::new(600.0),
        }
    }
}

/// Sets texts in the fonts of a theme.
pub(crate) struct Typesetter {
    fonts: FontSet,
    scratch: LayoutContext<()>,
    missing: BTreeSet<char>,
}

impl Typesetter {
    pub(crate) fn new(fonts: FontSet) -> Self {
        Self {
            fonts,
            scratch: LayoutContext::new(),
            missing: BTreeSet::new(),
        }
    }

    /// What no font could show so far.
    pub(crate) fn into_missing(self) -> BTreeSet<char> {
        self.missing
    }

    /// Sets a text, broken into lines of `width` if there is one.
    pub(crate) fn set(&mut self, text: &str, style: Style, width: Option<f32>) -> Block {
        let layout = self.lay_out(text, style, width);
        let unknown = unknown(&layout, text);
        if unknown.is_empty() {
            return block(text.to_owned(), layout, style);
        }
        self.missing.extend(&unknown);
        let known = text.replace(|c| unknown.contains(&c), &REPLACEMENT.to_string());
        let layout = self.lay_out(&known, style, width);
        block(known, layout, style)
    }

    /// Sets a text in at most `lines_max` lines; an ellipsis says that there is more.
    pub(crate) fn set_within(
        &mut self,
        text: &str,
        style: Style,
        width: f32,
        lines_max: usize,
    ) -> Block {
        let whole = self.set(text, style, Some(width));
        let Some(last) = lines_max.checked_sub(1).and_then(|i| whole.layout.get(i)) else {
            return whole;
        };
        if whole.lines() <= lines_max {
            return whole;
        }
        let kept = whole.text.get(..last.text_range().end).unwrap_or_default();
        let kept = kept.trim_end();
        // Two characters make room for the ellipsis, whatever they are.
        let cut = kept.char_indices().rev().nth(1).map_or(0, |(at, _)| at);
        let shorter = format!("{}…", kept[..cut].trim_end());
        self.set(&shorter, style, Some(width))
    }

    fn lay_out(&mut self, text: &str, style: Style, width: Option<f32>) -> Layout<()> {
        let FontSet { context, families } = &mut self.fonts;
        let mut builder = self.scratch.ranged_builder(context, text, 1.0, false);
        let family = FontFamily::List(Cow::Borrowed(families.as_slice()));
        builder.push_default(StyleProperty::FontFamily(family));
        builder.push_default(StyleProperty::FontSize(style.size));
        builder.push_default(StyleProperty::FontWeight(style.weight.value()));
        builder.push_default(StyleProperty::LineHeight(LineHeight::FontSizeRelative(
            LEADING,
        )));
        builder.push_default(StyleProperty::OverflowWrap(OverflowWrap::Anywhere));
        let mut layout = builder.build(text);
        layout.break_all_lines(width);
        let alignment = match style.align {
            Align::Left => Alignment::Left,
            Align::Right => Alignment::Right,
        };
        layout.align(alignment, AlignmentOptions::default());
        layout
    }
}

fn block(text: String, layout: Layout<()>, style: Style) -> Block {
    Block {
        text,
        layout,
        colour: style.colour,
    }
}

/// The characters for which a font has no glyph: PDF/A forbids to print that (ISO 19005-3, 6.2.11.8).
fn unknown(layout: &Layout<()>, text: &str) -> BTreeSet<char> {
    let mut unknown = BTreeSet::new();
    let runs = layout
        .lines()
        .flat_map(|line| line.runs().collect::<Vec<_>>());
    for cluster in runs.flat_map(|run| run.clusters().collect::<Vec<_>>()) {
        let no_glyph = cluster.glyphs().any(|glyph| glyph.id == 0);
        if no_glyph && !cluster.is_hard_line_break() {
            unknown.extend(text.get(cluster.text_range()).unwrap_or_default().chars());
        }
    }
    unknown.remove(&REPLACEMENT);
    unknown
}

//! Marks onto a surface.
#![expect(
    clippy::float_arithmetic,
    reason = "points on a page; no money comes here"
)]

use std::collections::HashMap;
use std::ops::Range;

use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::num::NormalizedF32;
use krilla::paint::{Fill, FillRule};
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use parley::layout::Run;

use crate::page::{Block, Mark};
use crate::theme::Colour;

/// Draws one mark.
pub(super) fn mark(
    surface: &mut Surface<'_>,
    mark: &Mark,
    fonts: &HashMap<u64, Font>,
    logo: Option<&Image>,
) {
    match mark {
        Mark::Text { block, lines, x, y } => {
            text(surface, block, lines.clone(), (*x, *y), fonts);
        }
        Mark::Fill {
            x,
            y,
            width,
            height,
            colour,
        } => {
            let mut path = PathBuilder::new();
            if let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) {
                path.push_rect(rect);
            }
            if let Some(path) = path.finish() {
                surface.set_fill(Some(fill(*colour)));
                surface.draw_path(&path);
            }
        }
        Mark::Logo {
            x,
            y,
            width,
            height,
        } => {
            if let (Some(image), Some(size)) = (logo, Size::from_wh(*width, *height)) {
                surface.push_transform(&Transform::from_translate(*x, *y));
                surface.draw_image(image.clone(), size);
                surface.pop();
            }
        }
    }
}

fn fill(colour: Colour) -> Fill {
    Fill {
        paint: rgb::Color::new(colour.red, colour.green, colour.blue).into(),
        opacity: NormalizedF32::ONE,
        rule: FillRule::NonZero,
    }
}

fn text(
    surface: &mut Surface<'_>,
    block: &Block,
    lines: Range<usize>,
    at: (f32, f32),
    fonts: &HashMap<u64, Font>,
) {
    let first = block.layout.get(lines.start);
    let top = first.map_or(0.0, |line| line.metrics().block_min_coord);
    surface.set_fill(Some(fill(block.colour)));
    for line in lines.filter_map(|i| block.layout.get(i)) {
        let metrics = line.metrics();
        let y = at.1 + metrics.baseline - top;
        let mut x = at.0 + metrics.inline_min_coord + metrics.offset;
        for run in line.runs() {
            let glyphs = glyphs(&run);
            if let Some(font) = fonts.get(&run.font().data.id())
                && !glyphs.is_empty()
            {
                let start = Point::from_xy(x, y);
                surface.draw_glyphs(
                    start,
                    &glyphs,
                    font.clone(),
                    &block.text,
                    run.font_size(),
                    false,
                );
            }
            x += run.advance();
        }
    }
}

/// A run's glyphs in visual order, each with the text that it stands for, so that it can be searched and copied.
fn glyphs(run: &Run<'_, ()>) -> Vec<KrillaGlyph> {
    let size = run.font_size();
    let mut glyphs: Vec<KrillaGlyph> = Vec::with_capacity(run.len());
    for cluster in run.visual_clusters() {
        // What follows in a ligature has no glyph of its own; its text belongs to the glyph before.
        if cluster.is_ligature_continuation() {
            if let Some(glyph) = glyphs.last_mut() {
                let range = cluster.text_range();
                glyph.text_range.start = glyph.text_range.start.min(range.start);
                glyph.text_range.end = glyph.text_range.end.max(range.end);
            }
            continue;
        }
        if cluster.is_hard_line_break() {
            continue;
        }
        glyphs.extend(cluster.glyphs().map(|glyph| {
            KrillaGlyph::new(
                GlyphId::new(glyph.id),
                glyph.advance / size,
                glyph.x / size,
                glyph.y / size,
                0.0,
                cluster.text_range(),
                None,
            )
        }));
    }
    glyphs
}

//! What a chart is drawn on: sizes, colours and text.

use maud::{Markup, PreEscaped};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Colours of series, in their order; they repeat.
///
/// METHOD: Okabe and Ito's palette, told apart with every common colour blindness.
const SERIES: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
];
/// Colour of text and axes.
pub const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
/// Colour of lines behind the data.
pub const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);

/// Width of a chart across the page, in pixels of the drawing: twice those of the page, since coordinates
/// are whole numbers.
pub const WIDE: u32 = 1440;
/// Width and height of a chart that has another one beside it, in pixels of the drawing.
pub const PANEL: [u32; 2] = [880, 560];
/// Size of text, in pixels of the drawing.
const TEXT: i32 = 26;
/// Letters of a heading that a chart has room for.
const MAX_LETTERS: usize = 56;

/// A chart's area.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Whether something could be drawn.
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The colour of a series by its number.
pub fn colour(series: usize) -> RGBColor {
    SERIES[series % SERIES.len()]
}

/// Draws a chart of a size in pixels of the drawing.
pub fn draw([width, height]: [u32; 2], chart: impl FnOnce(&Area<'_>) -> Drawn) -> Markup {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        // A string takes whatever is drawn: only files and fonts can fail, and there are none here.
        let _ = chart(&area);
        let _ = area.present();
    }
    // plotters escapes text.
    PreEscaped(svg)
}

/// How text is drawn.
pub fn text_style() -> TextStyle<'static> {
    ("sans-serif", TEXT).into_font().color(&INK)
}

/// Writes a heading at the upper left of a chart, cut where it is too long.
///
/// # Errors
///
/// Fails if the area cannot be drawn on.
pub fn heading(area: &Area<'_>, text: &str) -> Drawn {
    let is_cut = text.chars().count() > MAX_LETTERS;
    let n_kept = if is_cut { MAX_LETTERS - 1 } else { MAX_LETTERS };
    let kept: String = text.chars().take(n_kept).collect();
    let text = if is_cut { kept + "…" } else { kept };
    let left = text_style().pos(Pos::new(HPos::Left, VPos::Top));
    Ok(area.draw(&Text::new(text, (10, 8), left))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_heading_is_cut() {
        let drawn = |name: &str| draw(PANEL, |area| heading(area, name)).into_string();
        assert!(drawn(&"é".repeat(MAX_LETTERS)).contains(&"é".repeat(MAX_LETTERS)));
        let long = drawn(&"é".repeat(MAX_LETTERS + 1));
        assert!(long.contains(&format!("{}…", "é".repeat(MAX_LETTERS - 1))), "{long}");
    }

    #[test]
    fn text_is_no_markup() {
        let drawn = draw(PANEL, |area| heading(area, "<b>&")).into_string();
        assert!(drawn.contains("&lt;b&gt;&amp;") && !drawn.contains("<b>"), "{drawn}");
    }
}

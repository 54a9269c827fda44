//! Charts, as SVG inside the page.
//!
//! Colours here are those of the light page; the style sheet replaces them, attribute by attribute,
//! where the page is dark. A chart has one model, named in it, so that colours are no key to anything and
//! may repeat.

mod calibration;
mod cohorts;
mod diameter;
mod distribution;
mod training;
mod volumes;

pub(super) use calibration::reliability;
pub(super) use cohorts::{decimals, histograms, title};
pub(super) use diameter::by_diameter;
pub(super) use distribution::{MOST_POINTS, distribution};
pub(super) use training::training;
pub(super) use volumes::{bland_altman, largest_volume};

use super::text::decimal;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// Colours of models, in their order; they repeat.
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
pub(crate) const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);

/// Pixels of a chart across the page: twice those of the page, since coordinates are whole numbers.
pub(crate) const WIDE: u32 = 1440;
/// Pixels of a chart that has another one beside it.
pub(crate) const PANEL: [u32; 2] = [880, 560];
const TEXT: i32 = 26;
/// Pixels above a chart for its name.
const HEAD: i32 = 44;
/// Letters of a name that a chart has room for.
const LETTERS: usize = 56;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Chart<'a> =
    ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
pub(crate) type Drawn = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn colour(place: usize) -> RGBColor {
    SERIES[place % SERIES.len()]
}

pub(crate) fn svg([width, height]: [u32; 2], draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        // A string takes whatever is drawn: only files and fonts can fail, and there are none here.
        let _ = draw(&area);
        let _ = area.present();
    }
    text
}

pub(crate) fn text_style() -> TextStyle<'static> {
    ("sans-serif", TEXT).into_font().color(&INK)
}

/// A name at the upper left of a chart, cut where it is too long.
pub(crate) fn head(area: &Area<'_>, name: &str) -> Drawn {
    let cut = name.chars().count() > LETTERS;
    let kept: String = name.chars().take(if cut { LETTERS - 1 } else { LETTERS }).collect();
    let name = if cut { kept + "…" } else { kept };
    let left = text_style().pos(Pos::new(HPos::Left, VPos::Top));
    Ok(area.draw(&Text::new(name, (10, 8), left))?)
}

/// What an axis shows.
pub(crate) struct Axis<'a> {
    /// Empty where the axis has none.
    pub(crate) name: &'a str,
    pub(crate) range: Range<f64>,
    /// How many labels it has, about.
    pub(crate) n_labels: usize,
    pub(crate) labels: Labels<'a>,
}

/// What stands at an axis' lines.
pub(crate) enum Labels<'a> {
    /// Numbers, with as many decimals as the axis' length asks for.
    Numbers,
    /// Whole numbers alone.
    Whole,
    /// Something else.
    Own(&'a dyn Fn(f64) -> String),
}

impl<'a> Axis<'a> {
    pub(crate) fn new(name: &'a str, range: Range<f64>) -> Self {
        Self { name, range, n_labels: 7, labels: Labels::Numbers }
    }

    fn label(&self, value: f64) -> String {
        match (&self.labels, self.range.end - self.range.start) {
            (Labels::Own(label), _) => label(value),
            (Labels::Whole, _) if value.fract() != 0.0 => String::new(),
            (Labels::Whole, _) => format!("{value:.0}"),
            (Labels::Numbers, length) if length < 0.5 => decimal(Some(value), 2),
            (Labels::Numbers, length) if length < 8.0 => decimal(Some(value), 1),
            (Labels::Numbers, _) => decimal(Some(value), 0),
        }
    }
}

/// A chart below its name.
pub(crate) fn frame<'a>(
    area: &Area<'a>,
    x: &Axis<'_>,
    y: &Axis<'_>,
) -> Result<Chart<'a>, Box<dyn std::error::Error>> {
    let room = |axis: &Axis<'_>, labels: u32, name: u32| {
        if axis.name.is_empty() { labels } else { labels + name }
    };
    let mut chart = ChartBuilder::on(area);
    chart.margin(12).margin_top(HEAD + 8).margin_right(30);
    chart.x_label_area_size(room(x, 46, 30)).y_label_area_size(room(y, 84, 28));
    let mut chart = chart.build_cartesian_2d(x.range.clone(), y.range.clone())?;
    axes(&mut chart, x, y)?;
    Ok(chart)
}

/// The axes of a chart, and lines across at the labels of the vertical one.
fn axes(chart: &mut Chart<'_>, x: &Axis<'_>, y: &Axis<'_>) -> Drawn {
    let (x_label, y_label) = (|value: &f64| x.label(*value), |value: &f64| y.label(*value));
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(2))
        .axis_style(INK.stroke_width(2))
        .label_style(text_style())
        .x_labels(x.n_labels)
        .y_labels(y.n_labels)
        .x_label_formatter(&x_label)
        .y_label_formatter(&y_label);
    if !x.name.is_empty() {
        mesh.x_desc(x.name);
    }
    if !y.name.is_empty() {
        mesh.y_desc(y.name);
    }
    Ok(mesh.draw()?)
}

/// A line from one end of the chart to the other, dashed.
pub(crate) fn dashed(chart: &mut Chart<'_>, ends: [(f64, f64); 2], style: ShapeStyle) -> Drawn {
    chart.draw_series(DashedLineSeries::new(ends, 10, 8, style))?;
    Ok(())
}

/// The end of an axis from 0: the largest value with some room, 1 where there is none.
pub(crate) fn ceiling(largest: f64) -> f64 {
    if largest > 0.0 { largest * 1.08 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chart is whole, and nothing in it is markup or no number.
    pub(super) fn assert_drawn(text: &str) {
        assert!(text.trim_end().ends_with("</svg>"), "{text}");
        assert!(!text.contains("<i>") && !text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    #[test]
    fn axes_have_as_many_decimals_as_they_need() {
        let label = |range: Range<f64>, value| Axis::new("", range).label(value);
        assert_eq!(label(0.0..0.4, 0.1), "0.10");
        assert_eq!(label(0.0..1.0, 0.1), "0.1");
        assert_eq!(label(-50.0..50.0, -0.0), "0");
        assert_eq!(label(-50.0..50.0, -20.0), "\u{2212}20");
        let epochs = Axis { labels: Labels::Whole, ..Axis::new("", 1.0..3.0) };
        assert_eq!([1.0, 1.5, 3.0].map(|epoch| epochs.label(epoch)), ["1", "", "3"]);
    }

    #[test]
    fn a_long_name_is_cut() {
        let drawn = |name: &str| svg(PANEL, |area| head(area, name));
        assert!(drawn(&"é".repeat(LETTERS)).contains(&"é".repeat(LETTERS)));
        let long = drawn(&"é".repeat(LETTERS + 1));
        assert!(long.contains(&format!("{}…", "é".repeat(LETTERS - 1))), "{long}");
    }
}

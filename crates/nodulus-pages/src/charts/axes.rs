//! Axes of a chart.

use super::canvas::{Area, Drawn, GRID, INK, text_style};
use crate::text::decimal;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use std::ops::Range;

/// Pixels above a chart for its heading.
const HEAD: i32 = 44;

/// A chart with its axes, to draw series on.
pub type Frame<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// What an axis shows.
pub struct Axis<'a> {
    /// Empty where the axis has none.
    pub name: &'a str,
    /// From where to where it runs.
    pub range: Range<f64>,
    /// How many labels it has, about.
    pub n_labels: usize,
    /// What they say.
    pub labels: Labels<'a>,
}

/// What stands at an axis' lines.
pub enum Labels<'a> {
    /// Numbers, with as many decimals as the axis' length asks for.
    Numbers,
    /// Whole numbers alone.
    Whole,
    /// Something else.
    Own(&'a dyn Fn(f64) -> String),
}

impl<'a> Axis<'a> {
    /// An axis with numbers.
    pub fn new(name: &'a str, range: Range<f64>) -> Self {
        Self { name, range, n_labels: 7, labels: Labels::Numbers }
    }

    /// What stands at a value.
    pub fn label(&self, value: f64) -> String {
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

/// A chart below its heading.
///
/// # Errors
///
/// Fails if the area cannot be drawn on.
pub fn frame<'a>(
    area: &Area<'a>,
    x: &Axis<'_>,
    y: &Axis<'_>,
) -> Result<Frame<'a>, Box<dyn std::error::Error>> {
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

/// Draws the axes of a chart, and lines across at the labels of the vertical one.
///
/// # Errors
///
/// Fails if the chart cannot be drawn on.
pub fn axes(chart: &mut Frame<'_>, x: &Axis<'_>, y: &Axis<'_>) -> Drawn {
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

/// Draws a dashed line from one end to the other.
///
/// # Errors
///
/// Fails if the chart cannot be drawn on.
pub fn dashed(chart: &mut Frame<'_>, ends: [(f64, f64); 2], style: ShapeStyle) -> Drawn {
    chart.draw_series(DashedLineSeries::new(ends, 10, 8, style))?;
    Ok(())
}

/// The end of an axis from 0: the largest value with some room above it, 1 where there is none.
pub fn end_above(largest: f64) -> f64 {
    if largest > 0.0 { largest * 1.08 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

//! Dice by the size of nodules.

use crate::stages::report::content::NoduleResult;
use maud::Markup;
use nodulus_metrics::Outcome;
use nodulus_pages::charts::{Axis, PANEL, colour, draw, end_above, frame, heading};
use plotters::prelude::*;

/// Dice of each nodule by its diameter, for a model with its name. Missed nodules are crosses. The axis ends at
/// `largest_mm`, so that models can be compared; `position` is the model's among all.
pub(in crate::stages::report) fn by_diameter(
    name: &str,
    position: usize,
    nodules: &[&NoduleResult],
    largest_mm: f64,
) -> Markup {
    draw(PANEL, |area| {
        heading(area, name)?;
        let x = Axis::new("Diameter of the nodule (mm)", 0.0..end_above(largest_mm));
        let mut chart = frame(area, &x, &Axis::new("Dice", 0.0..1.0))?;
        let colour = colour(position).mix(0.7);
        let at = |missed: bool| {
            let of = move |result: &&&NoduleResult| {
                (result.row.outcome == Outcome::Missed.name()) == missed
                    && result.diameter_mm.is_finite()
            };
            nodules
                .iter()
                .filter(of)
                .filter_map(|result| Some((result.diameter_mm, result.row.metrics.dice?)))
        };
        chart.draw_series(at(false).map(|at| Circle::new(at, 7, colour.filled())))?;
        chart.draw_series(at(true).map(|at| Cross::new(at, 9, colour.stroke_width(4))))?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::report::charts::tests::assert_drawn;
    use crate::tables::{MetricColumns, NoduleMetrics};

    #[test]
    fn charts_draw_any_values() {
        let result = |diameter_mm, outcome: &str| NoduleResult {
            diameter_mm,
            row: NoduleMetrics {
                metrics: MetricColumns { dice: Some(0.0), ..MetricColumns::default() },
                outcome: outcome.to_owned(),
                ..NoduleMetrics::default()
            },
        };
        let results = [result(8.0, "missed"), result(f64::NAN, "scored"), result(9.0, "scored")];
        let results: Vec<&NoduleResult> = results.iter().collect();
        let text = assert_drawn(by_diameter("<i>", 9, &results, 9.0));
        assert_eq!(text.matches("<circle").count(), 1);
        assert_drawn(by_diameter("", 0, &[], f64::NEG_INFINITY));
    }
}

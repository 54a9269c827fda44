//! Predicted volumes against the readers' (Bland and Altman).

use crate::stages::report::content::{NoduleResult, VolumeAgreement};
use maud::Markup;
use nodulus_pages::charts::{
    Axis, INK, PANEL, colour, dashed, draw, end_above, frame, heading, text_style,
};
use nodulus_pages::text::signed;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Difference of each nodule's volumes by their mean, for a model with its name: the mean difference as a line,
/// the limits of agreement dashed, each with its value. The axes are the model's own.
pub(in crate::stages::report) fn bland_altman(
    name: &str,
    position: usize,
    nodules: &[&NoduleResult],
    agreement: &VolumeAgreement,
) -> Markup {
    draw(PANEL, |area| {
        heading(area, name)?;
        let lines = [
            (agreement.upper_limit_mm3, "+1.96 SD", VPos::Bottom),
            (agreement.mean_mm3, "mean", VPos::Bottom),
            (agreement.lower_limit_mm3, "−1.96 SD", VPos::Top),
        ];
        let points: Vec<(f64, f64)> = nodules.iter().filter_map(|result| point(result)).collect();
        let heights = points.iter().map(|at| at.1).chain(lines.iter().filter_map(|line| line.0));
        // Room for the values beyond the limits.
        let top = 1.15 * end_above(heights.map(f64::abs).fold(0.0, f64::max));
        let right = end_above(points.iter().map(|at| at.0).fold(0.0, f64::max));
        let x = Axis::new("Mean of predicted and reference volume (mm³)", 0.0..right);
        let y = Axis::new("Predicted − reference (mm³)", -top..top);
        let mut chart = frame(area, &x, &y)?;
        let across = |at: f64| [(0.0, at), (right, at)];
        chart.draw_series([PathElement::new(across(0.0), INK.mix(0.4).stroke_width(2))])?;
        let colour = colour(position);
        let points = points.into_iter();
        chart.draw_series(points.map(|at| Circle::new(at, 6, colour.mix(0.6).filled())))?;
        for (value, text, side) in lines {
            let Some(value) = value.filter(|value| value.is_finite()) else { continue };
            if text == "mean" {
                chart.draw_series([PathElement::new(across(value), INK.stroke_width(3))])?;
            } else {
                dashed(&mut chart, across(value), INK.stroke_width(3))?;
            }
            let text = format!("{text} {}", signed(Some(value), 0));
            let style = text_style().pos(Pos::new(HPos::Right, side));
            chart.draw_series([Text::new(text, (right, value), style)])?;
        }
        Ok(())
    })
}

/// Mean and difference of a nodule's volumes; `None` where both masks are empty.
fn point(result: &NoduleResult) -> Option<(f64, f64)> {
    let difference = result.row.volume_error_mm3?;
    Some((
        f64::midpoint(result.row.predicted_volume_mm3, result.row.reference_volume_mm3),
        difference,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::report::charts::tests::assert_drawn;
    use crate::tables::NoduleMetrics;

    #[test]
    fn a_point_is_the_mean_and_the_difference() {
        let result = |predicted: f64, reference: f64, error: Option<f64>| NoduleResult {
            diameter_mm: 8.0,
            row: NoduleMetrics {
                predicted_volume_mm3: predicted,
                reference_volume_mm3: reference,
                volume_error_mm3: error,
                ..NoduleMetrics::default()
            },
        };
        let results = [
            result(500.0, 400.0, Some(100.0)),
            result(0.0, 300.0, Some(-300.0)),
            result(0.0, 0.0, None),
        ];
        let agreement = VolumeAgreement {
            model_id: "m".to_owned(),
            n: 2,
            mean_mm3: Some(-100.0),
            ci_low_mm3: None,
            ci_high_mm3: None,
            ci_missing_reason: None,
            sd_mm3: Some(282.8),
            lower_limit_mm3: Some(-654.4),
            upper_limit_mm3: None,
        };
        assert_eq!(
            results.each_ref().map(point),
            [Some((450.0, 100.0)), Some((150.0, -300.0)), None]
        );
        let results: Vec<&NoduleResult> = results.iter().collect();
        let text = assert_drawn(bland_altman("<i>", 1, &results, &agreement));
        assert_eq!(text.matches("<circle").count(), 2);
        assert!(text.contains("mean −100") && text.contains("−1.96 SD −654"), "{text}");
        let unknown = VolumeAgreement { mean_mm3: None, lower_limit_mm3: None, ..agreement };
        assert_drawn(bland_altman("", 0, &[], &unknown));
    }
}

//! Predicted volumes against the readers' (Bland and Altman).

use super::{Axis, INK, PANEL, ceiling, colour, dashed, frame, head, svg, text_style};
use crate::stages::report::content::{NoduleScore, VolumeAgreement};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Largest mean of two volumes, and largest difference to either side, of charts that share their axes.
pub(in crate::stages::report) fn volume_range<'a>(
    nodules: impl Iterator<Item = &'a NoduleScore>,
    agreement: &[VolumeAgreement],
) -> (f64, f64) {
    let points = nodules.filter_map(point);
    let (x, y) = points.fold((0.0f64, 0.0f64), |(x, y), at| (x.max(at.0), y.max(at.1.abs())));
    let limits = agreement.iter().flat_map(|row| [row.lower_limit_mm3, row.upper_limit_mm3]);
    (x, limits.flatten().map(f64::abs).fold(y, f64::max))
}

/// Difference of each nodule's volumes by their mean, for a model, named: the mean difference as a line,
/// the limits of agreement dashed. The axes reach what `volume_range` said.
pub(in crate::stages::report) fn bland_altman(
    name: &str,
    place: usize,
    nodules: &[&NoduleScore],
    agreement: &VolumeAgreement,
    (largest_mean, largest_difference): (f64, f64),
) -> String {
    svg(PANEL, |area| {
        head(area, name)?;
        let (right, top) = (ceiling(largest_mean), ceiling(largest_difference));
        let x = Axis::new("Mean of predicted and reference volume (mm³)", 0.0..right);
        let y = Axis::new("Predicted − reference (mm³)", -top..top);
        let mut chart = frame(area, &x, &y)?;
        let across = |at: f64| [(0.0, at), (right, at)];
        chart.draw_series([PathElement::new(across(0.0), INK.mix(0.4).stroke_width(2))])?;
        let colour = colour(place);
        chart.draw_series(
            nodules
                .iter()
                .filter_map(|score| point(score))
                .map(|at| Circle::new(at, 6, colour.mix(0.6).filled())),
        )?;
        if let Some(mean) = agreement.mean_mm3 {
            chart.draw_series([PathElement::new(across(mean), INK.stroke_width(3))])?;
        }
        for (limit, text, side) in [
            (agreement.upper_limit_mm3, "+1.96 SD", VPos::Bottom),
            (agreement.lower_limit_mm3, "−1.96 SD", VPos::Top),
        ] {
            let Some(limit) = limit else { continue };
            dashed(&mut chart, across(limit), INK.stroke_width(3))?;
            let style = text_style().pos(Pos::new(HPos::Right, side));
            chart.draw_series([Text::new(text, (right, limit), style)])?;
        }
        Ok(())
    })
}

/// Mean and difference of a nodule's volumes; none where both masks are empty.
fn point(score: &NoduleScore) -> Option<(f64, f64)> {
    let difference = score.row.volume_error_mm3?;
    Some((
        f64::midpoint(score.row.predicted_volume_mm3, score.row.reference_volume_mm3),
        difference,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::report::charts::tests::assert_drawn;
    use crate::tables::NoduleMetrics;

    #[test]
    fn a_point_is_the_mean_and_the_difference_and_axes_hold_all() {
        let score = |predicted: f64, reference: f64, error: Option<f64>| NoduleScore {
            diameter_mm: 8.0,
            row: NoduleMetrics {
                predicted_volume_mm3: predicted,
                reference_volume_mm3: reference,
                volume_error_mm3: error,
                ..NoduleMetrics::default()
            },
        };
        let scores = [
            score(500.0, 400.0, Some(100.0)),
            score(0.0, 300.0, Some(-300.0)),
            score(0.0, 0.0, None),
        ];
        let agreement = VolumeAgreement {
            model_id: "m".to_owned(),
            n: 2,
            mean_mm3: Some(-100.0),
            ci_low_mm3: None,
            ci_high_mm3: None,
            sd_mm3: Some(282.8),
            lower_limit_mm3: Some(-654.4),
            upper_limit_mm3: None,
        };
        assert_eq!(
            scores.each_ref().map(point),
            [Some((450.0, 100.0)), Some((150.0, -300.0)), None]
        );
        let range = volume_range(scores.iter(), std::slice::from_ref(&agreement));
        assert_eq!(range, (450.0, 654.4));
        assert_eq!(volume_range([].into_iter(), &[]), (0.0, 0.0));
        for range in [range, (0.0, 0.0)] {
            let text =
                bland_altman("<i>", 1, &scores.iter().collect::<Vec<_>>(), &agreement, range);
            assert_drawn(&text);
            assert_eq!(text.matches("<circle").count(), 2);
        }
    }
}

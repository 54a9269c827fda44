//! Reliability diagrams.

use crate::stages::report::content::{Calibration, CalibrationBin};
use maud::Markup;
use nodulus_pages::charts::{Axis, INK, PANEL, colour, dashed, draw, frame, heading};
use plotters::prelude::*;

/// Reliability diagram of a model, with its name: the share of slices or pixels with nodule in each bin by the mean
/// probability, joined by a line; `share` says of what. Bars are the share of all of them in each bin; on the dashed line,
/// probabilities are right. `position` is the model's among all.
pub(in crate::stages::report) fn reliability(
    name: &str,
    position: usize,
    share: &str,
    calibration: &Calibration,
) -> Markup {
    draw([PANEL[0], PANEL[1] + 80], |area| {
        heading(area, name)?;
        let x = Axis::new("Mean probability of nodule", 0.0..1.0);
        let y = Axis::new(share, 0.0..1.0);
        let mut chart = frame(area, &x, &y)?;
        let colour = colour(position);
        let filled = || calibration.bins.iter().filter(|bin| bin.n > 0);
        chart.draw_series(filled().map(|bin| {
            let share = bin.n as f64 / calibration.n as f64;
            Rectangle::new(
                [(bin.low + 0.01, 0.0), (bin.high - 0.01, share)],
                colour.mix(0.2).filled(),
            )
        }))?;
        dashed(&mut chart, [(0.0, 0.0), (1.0, 1.0)], INK.mix(0.7).stroke_width(2))?;
        let at = |bin: &CalibrationBin| Some((bin.mean_probability?, bin.share_with_nodule?));
        chart.draw_series(LineSeries::new(filled().filter_map(at), colour.stroke_width(3)))?;
        let points = filled().filter_map(at);
        chart.draw_series(points.map(|at| Circle::new(at, 9, colour.filled())))?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::report::charts::tests::assert_drawn;

    #[test]
    fn each_bin_with_slices_is_a_point() {
        let bin = |low: f64, n: u64| CalibrationBin {
            low,
            high: low + 0.1,
            n,
            mean_probability: (n > 0).then_some(low + 0.05),
            share_with_nodule: (n > 0).then_some(0.5),
        };
        let of = |bins: Vec<CalibrationBin>| Calibration {
            model_id: "m".to_owned(),
            n: bins.iter().map(|bin| bin.n).sum(),
            bins,
        };
        let bins = vec![bin(0.0, 3), bin(0.1, 0), bin(0.9, 1)];
        let text = assert_drawn(reliability("<i>", 6, "Share", &of(bins)));
        assert_eq!(text.matches("<circle").count(), 2);
        assert_drawn(reliability("", 0, "Share", &of(vec![])));
    }
}

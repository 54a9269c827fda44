//! Charts of drift.

use crate::nightly::follow_up::drift::DriftQuantity;
use crate::tables::Drift;
use maud::Markup;
use nodulus_pages::charts::{
    Axis, INK, Labels, PANEL, WIDE, colour, dashed, draw, end_above, frame, heading, text_style,
};
use nodulus_pages::text::decimal;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The index from which there is a shift, and a large one (Siddiqi 2006).
pub(super) const SHIFTS: [f64; 2] = [0.1, 0.25];

/// A quantity with its unit.
pub(super) const fn title(quantity: DriftQuantity) -> &'static str {
    match quantity {
        DriftQuantity::Probability => "Probability of nodule",
        DriftQuantity::Volume => "Volume (mm³)",
        DriftQuantity::MeanHu => "Mean intensity (HU)",
    }
}

/// The index by night: a line for each quantity, with a point for each night that has an index. Dashed
/// lines show where a shift and a large shift begin. `nights` are those on the axis.
pub(super) fn psi_by_night(model_id: &str, nights: &[&str], rows: &[&Drift]) -> Markup {
    draw([WIDE, 560], |area| {
        heading(area, model_id)?;
        let of_axis = |night: &str| nights.iter().position(|other| *other == night);
        let largest = rows.iter().filter_map(|row| row.psi).fold(SHIFTS[1], f64::max);
        let end = (nights.len() as f64 - 0.5).max(0.5);
        let day = |x: f64| {
            let at = (x.fract() == 0.0 && x >= 0.0).then_some(x as usize);
            at.and_then(|at| nights.get(at)).map_or(String::new(), |night| (*night).to_owned())
        };
        let index = |y: f64| decimal(Some(y), 2);
        let x = Axis {
            n_labels: nights.len().min(7) + 1,
            labels: Labels::Own(&day),
            ..Axis::new("", -0.5..end)
        };
        let y = Axis { labels: Labels::Own(&index), ..Axis::new("", 0.0..end_above(largest)) };
        let mut chart = frame(area, &x, &y)?;
        for at in SHIFTS {
            dashed(&mut chart, [(-0.5, at), (end, at)], INK.stroke_width(2))?;
        }
        for (n, quantity) in DriftQuantity::ALL.into_iter().enumerate() {
            let points: Vec<(f64, f64)> = rows
                .iter()
                .filter(|row| row.quantity == quantity.name())
                .filter_map(|row| Some((of_axis(&row.first_night)? as f64, row.psi?)))
                .collect();
            let colour = colour(n);
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(3)))?;
            chart.draw_series(points.iter().map(|at| Circle::new(*at, 6, colour.filled())))?;
            let (width, _) = area.dim_in_pixel();
            let left = width as i32 - 330 * (DriftQuantity::ALL.len() - n) as i32;
            let key = [(left, 20), (left + 34, 20)];
            area.draw(&PathElement::new(key, colour.stroke_width(6)))?;
            let text = text_style().pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(title(quantity), (left + 44, 20), text))?;
        }
        Ok(())
    })
}

/// The share of nodules in each bin: bars for the nights, a line for the training cohort.
pub(super) fn shares(row: &Drift, series: usize) -> Markup {
    draw(PANEL, |area| {
        let name = DriftQuantity::from_name(&row.quantity).map_or("", title);
        heading(area, name)?;
        let of = |counts: &[i64]| -> Vec<f64> {
            let all = counts.iter().sum::<i64>().max(1) as f64;
            counts.iter().map(|count| *count as f64 / all).collect()
        };
        let (scored, trained) = (of(&row.counts), of(&row.training_counts));
        let largest = scored.iter().chain(&trained).copied().fold(0.0, f64::max);
        let n = row.counts.len().max(1);
        let edge = |x: f64| {
            let at = (x.fract() == 0.0 && x >= 1.0).then_some(x as usize - 1);
            let edge = at.and_then(|at| row.edges.get(at)).copied();
            edge.map_or(String::new(), |edge| decimal(Some(edge), usize::from(edge.fract() != 0.0)))
        };
        let share = |y: f64| format!("{:.0}%", 100.0 * y);
        let x =
            Axis { n_labels: n + 1, labels: Labels::Own(&edge), ..Axis::new("", 0.0..n as f64) };
        let y = Axis { labels: Labels::Own(&share), ..Axis::new("", 0.0..end_above(largest)) };
        let mut chart = frame(area, &x, &y)?;
        let bar = |(bin, share): (usize, &f64)| {
            let x = bin as f64;
            Rectangle::new([(x + 0.12, 0.0), (x + 0.88, *share)], colour(series).mix(0.6).filled())
        };
        chart.draw_series(scored.iter().enumerate().map(bar))?;
        let steps = trained.iter().enumerate().flat_map(|(bin, share)| {
            let x = bin as f64;
            [(x, *share), (x + 1.0, *share)]
        });
        chart.draw_series(LineSeries::new(steps, INK.stroke_width(4)))?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nightly::follow_up::drift::by_night;
    use crate::nightly::follow_up::drift::tests::{night, profiles};

    fn assert_drawn(chart: Markup) -> String {
        let text = chart.into_string();
        assert!(text.trim_end().ends_with("</svg>"), "{text}");
        assert!(!text.contains("<i>") && !text.contains("NaN") && !text.contains("inf"), "{text}");
        text
    }

    #[test]
    fn charts_draw_whatever_comes() {
        let mut nodules = night("2026-11-23", "<i>", 50);
        nodules.extend(night("2026-11-24", "<i>", 5));
        let rows = by_night(&nodules, &profiles("<i>"));
        let rows: Vec<&Drift> = rows.iter().collect();
        let drawn = assert_drawn(psi_by_night("<i>", &["2026-11-23", "2026-11-24"], &rows));
        // A night of five nodules has no index.
        assert_eq!(drawn.matches("<circle").count(), 3, "{drawn}");
        assert!(drawn.contains("2026-11-24"));
        assert_drawn(psi_by_night("m", &[], &[]));
        for (n, row) in rows.iter().enumerate() {
            assert_drawn(shares(row, n));
        }
        assert!(shares(rows[1], 0).into_string().contains("1767"));
        assert_drawn(shares(&Drift::default(), 7));
    }
}

//! Distribution of a metric over the nodules, by model.

use crate::stages::report::content::ReportModel;
use maud::Markup;
use nodulus_metrics::Metric;
use nodulus_pages::charts::{
    Axis, Drawn, Frame, GRID, INK, PANEL, colour, dashed, draw, end_above, heading, text_style,
};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Up to this number of values, each one is a point; with more, only those beyond the whiskers are.
pub(in crate::stages::report) const MAX_POINTS: usize = 300;
/// Pixels of a model's row.
const ROW: u32 = 108;

/// Values of a metric, with a row for each model: a box from the first to the third quartile, a line at the
/// median, whiskers, and nodules as points. `readers` is the mean of single readers, a dashed line.
///
/// METHOD: quartiles by linear interpolation; whiskers to the last value within 1.5 lengths of the box
/// (Tukey 1977).
pub(in crate::stages::report) fn distribution(
    metric: Metric,
    title: &str,
    rows: &[(&ReportModel, Vec<f64>)],
    readers: Option<f64>,
) -> Markup {
    let n = rows.len();
    draw([PANEL[0], ROW * n as u32 + 130], |area| {
        heading(area, title)?;
        let values = rows.iter().flat_map(|(_, values)| values).copied().chain(readers);
        let largest = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let end = if metric.is_distance() { end_above(largest) } else { 1.0 };
        let axis = Axis::new("", 0.0..end);
        // Rows run downwards: row n lies around y = -n - 0.5.
        let mut chart = ChartBuilder::on(area);
        chart.margin(14).margin_top(50).margin_right(34).x_label_area_size(40);
        let mut chart = chart.build_cartesian_2d(-0.02 * end..1.02 * end, -(n as f64)..0.0)?;
        let text = text_style();
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(2))
            .axis_style(INK.stroke_width(2))
            .label_style(text.clone())
            .x_labels(6)
            .x_label_formatter(&|x| axis.label(*x))
            .draw()?;
        if let Some(mean) = readers.filter(|mean| mean.is_finite()) {
            dashed(&mut chart, [(mean, -(n as f64)), (mean, 0.0)], INK.stroke_width(3))?;
        }
        for (position, (model, values)) in rows.iter().enumerate() {
            let mut values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
            values.sort_unstable_by(f64::total_cmp);
            let top = -(position as f64);
            let name = format!("{} (n = {})", model.label, values.len());
            let left = text.pos(Pos::new(HPos::Left, VPos::Top));
            chart.draw_series([Text::new(name, (0.0, top - 0.04), left)])?;
            row(&mut chart, &values, [top - 0.66, end], colour(position))?;
        }
        Ok(())
    })
}

/// A model's box and points around a height.
fn row(
    chart: &mut Frame<'_>,
    ascending: &[f64],
    [middle, end]: [f64; 2],
    colour: RGBColor,
) -> Drawn {
    let Some(BoxStatistics { box_ends: [low, high], median, whiskers }) =
        BoxStatistics::of(ascending)
    else {
        return Ok(());
    };
    let (upper, lower) = (middle + 0.24, middle - 0.24);
    chart.draw_series([Rectangle::new([(low, lower), (high, upper)], colour.mix(0.2).filled())])?;
    let mut lines = vec![
        vec![(low, lower), (low, upper), (high, upper), (high, lower), (low, lower)],
        vec![(whiskers[0], middle), (low, middle)],
        vec![(high, middle), (whiskers[1], middle)],
    ];
    lines.extend(whiskers.map(|at| vec![(at, middle - 0.1), (at, middle + 0.1)]));
    let thin = colour.stroke_width(2);
    chart.draw_series(lines.into_iter().map(|line| PathElement::new(line, thin)))?;
    let line = vec![(median, lower), (median, upper)];
    chart.draw_series([PathElement::new(line, colour.stroke_width(6))])?;
    let outside = |value: &f64| *value < whiskers[0] || *value > whiskers[1];
    let all = ascending.len() <= MAX_POINTS;
    let shown: Vec<f64> =
        ascending.iter().map(|v| v / end).filter(|v| all || outside(&(v * end))).collect();
    let points = swarm(&shown).into_iter();
    chart.draw_series(points.map(|(x, lift)| {
        Circle::new((x * end, middle + 0.24 * lift), 4, colour.mix(0.55).filled())
    }))?;
    Ok(())
}

/// Statistics of a box plot.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BoxStatistics {
    box_ends: [f64; 2],
    median: f64,
    whiskers: [f64; 2],
}

impl BoxStatistics {
    /// Of values in ascending order; `None` without a value.
    fn of(ascending: &[f64]) -> Option<Self> {
        /// Longest whisker, in lengths of the box.
        const REACH: f64 = 1.5;
        let [low, median, high] = [0.25, 0.5, 0.75].map(|share| quantile(ascending, share));
        let (low, median, high) = (low?, median?, high?);
        let reach = REACH * (high - low);
        let within =
            || ascending.iter().copied().filter(|v| (low - reach..=high + reach).contains(v));
        let whiskers = [
            within().next().unwrap_or(low).min(low),
            within().next_back().unwrap_or(high).max(high),
        ];
        Some(Self { box_ends: [low, high], median, whiskers })
    }
}

/// Ascending shares with a lift from -1 to 1, so that equal values do not overlap.
fn swarm(ascending: &[f64]) -> Vec<(f64, f64)> {
    /// Columns along the axis, and points that a column holds at full size.
    const COLUMNS: f64 = 100.0;
    const FULL: usize = 8;
    let column = |value: &f64| (value * COLUMNS).round() as i64;
    let mut points = Vec::with_capacity(ascending.len());
    for stack in ascending.chunk_by(|a, b| column(a) == column(b)) {
        let step = 2.0 / stack.len().max(FULL) as f64;
        // From the middle outwards, alternating sides, so that a stack has no slant.
        let centre = if stack.len().is_multiple_of(2) { 0.5 } else { 0.0 };
        for (n, value) in stack.iter().enumerate() {
            let out = n.div_ceil(2) as f64;
            let side = if n.is_multiple_of(2) { -out } else { out };
            points.push((*value, (side - centre) * step));
        }
    }
    points
}

fn quantile(ascending: &[f64], share: f64) -> Option<f64> {
    let position = share * ascending.len().checked_sub(1)? as f64;
    let (low, high) = (ascending[position.floor() as usize], ascending[position.ceil() as usize]);
    Some(low + (high - low) * position.fract())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::report::charts::tests::assert_drawn;

    #[test]
    fn equal_values_are_lifted_apart() {
        let points = swarm(&[0.5, 0.5, 0.5, 0.9]);
        let lifts: Vec<f64> = points.iter().map(|p| p.1).collect();
        assert_eq!(lifts, [0.0, 0.25, -0.25, 0.0]);
        assert_eq!(swarm(&[0.5; 2]), [(0.5, -0.125), (0.5, 0.125)]);
        assert!(swarm(&[0.5; 1000]).iter().all(|(_, lift)| lift.abs() <= 1.0));
    }

    #[test]
    fn whiskers_end_at_values_within_reach() {
        let found = BoxStatistics::of(&[0.0, 4.0, 5.0, 6.0, 7.0, 8.0, 11.0]).unwrap();
        // Quartiles 4.5 and 7.5: from 0 to 12, ends included.
        assert_eq!(
            found,
            BoxStatistics { box_ends: [4.5, 7.5], median: 6.0, whiskers: [0.0, 11.0] }
        );
        let found = BoxStatistics::of(&[-1.0, 4.0, 5.0, 6.0, 7.0, 8.0, 30.0]).unwrap();
        assert_eq!(
            found,
            BoxStatistics { box_ends: [4.5, 7.5], median: 6.0, whiskers: [4.0, 8.0] }
        );
        let one = BoxStatistics::of(&[0.5]).unwrap();
        assert_eq!(one, BoxStatistics { box_ends: [0.5; 2], median: 0.5, whiskers: [0.5; 2] });
        assert_eq!(BoxStatistics::of(&[]), None);
    }

    #[test]
    fn charts_draw_any_values_and_omit_points_beyond_the_maximum() {
        let model = ReportModel { label: "<i>".to_owned(), ..ReportModel::default() };
        let draw = |metric, values: Vec<f64>, readers| {
            let chart = distribution(metric, "<i>", &[(&model, values)], readers);
            assert_drawn(chart).matches("<circle").count()
        };
        assert_eq!(draw(Metric::Dice, vec![], None), 0);
        assert_eq!(draw(Metric::Assd, vec![f64::NAN, 3.0, 0.0], Some(2.0)), 2);
        assert_eq!(draw(Metric::Dice, vec![0.0, 1.0], Some(f64::NAN)), 2);
        let mut many = vec![0.8; MAX_POINTS + 1];
        many.push(0.1);
        assert_eq!(draw(Metric::Dice, many, None), 1);
        assert_drawn(distribution(Metric::Dice, "", &[], None));
    }
}

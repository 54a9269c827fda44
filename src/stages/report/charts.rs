//! Charts, as SVG inside the page.
//!
//! Colours here are those of the light page; the style sheet replaces them, attribute by attribute,
//! where the page is dark.

use super::content::{Epoch, Model, NoduleScore};
use crate::metrics::Outcome;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::collections::BTreeMap;
use std::ops::Range;

/// Colours of models, in their order.
///
/// METHOD: Okabe and Ito's palette, told apart with every common colour blindness.
pub(super) const SERIES: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
];
/// Colours after which they repeat.
pub(super) const N_COLOURS: usize = SERIES.len();
pub(super) const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
pub(super) const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);

/// Pixels of a chart: twice those of the page, since coordinates are whole numbers.
const WIDTH: u32 = 1440;
const HEIGHT: u32 = 560;
const TEXT: i32 = 26;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Loss and Dice by epoch, phases one after the other; a line for each run, fold and phase.
pub(super) fn training(epochs: &[Epoch]) -> String {
    svg(HEIGHT, |area| {
        let (left, right) = area.split_horizontally(WIDTH / 2);
        let (phases, lines) = lay_out(epochs);
        let last = phases.last().map_or(1, |phase| phase.end).max(2) as f64;
        let losses = epochs.iter().map(|epoch| epoch.loss).filter(|loss| loss.is_finite());
        let top = ceiling(losses.fold(0.0, f64::max));
        let loss = &mut frame(&left, 1.0..last, 0.0..top, ["Epoch", "Loss"])?;
        let dice = &mut frame(&right, 1.0..last, 0.0..1.0, ["Epoch", "Dice"])?;
        for (chart, top) in [(&mut *loss, top), (&mut *dice, 1.0)] {
            name_phases(chart, &phases, top)?;
        }
        let mut runs: Vec<&str> = epochs.iter().map(|epoch| epoch.run_id.as_str()).collect();
        runs.dedup();
        for line in &lines {
            let run = line.first().and_then(|(_, e)| runs.iter().position(|run| *run == e.run_id));
            let colour = SERIES[run.unwrap_or(0) % SERIES.len()];
            let thin = colour.mix(0.45).stroke_width(3);
            curve(loss, line, |epoch| Some(epoch.loss), colour.stroke_width(4))?;
            curve(dice, line, |epoch| epoch.dice, thin)?;
            curve(dice, line, |epoch| epoch.validation_dice, colour.stroke_width(4))?;
        }
        Ok(())
    })
}

/// Dice of each nodule, a row for each model: nodules as points, quartiles as a box.
pub(super) fn distribution(models: &[Model], nodules: &[NoduleScore]) -> String {
    const ROW: u32 = 150;
    let height = ROW * models.len() as u32 + 90;
    svg(height, |area| {
        let rows = models.len() as f64;
        // Rows run downwards: row n lies around y = -n - 0.5.
        let mut chart = ChartBuilder::on(area);
        chart.margin(10).margin_right(30).x_label_area_size(76);
        let mut chart = chart.build_cartesian_2d(-0.02..1.02, -rows..0.0)?;
        let text = text_style();
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(2))
            .axis_style(INK.stroke_width(2))
            .label_style(text.clone())
            .x_desc("Dice")
            .x_labels(11)
            .x_label_formatter(&|x| format!("{x:.1}"))
            .draw()?;
        for (row, model) in models.iter().enumerate() {
            let colour = SERIES[row % SERIES.len()];
            let top = -(row as f64);
            let middle = top - 0.6;
            let mut values: Vec<f64> = of_model(nodules, model).filter_map(|n| n.dice).collect();
            values.sort_unstable_by(f64::total_cmp);
            let name = format!("{} (n = {})", model.label, values.len());
            let left = text.pos(Pos::new(HPos::Left, VPos::Top));
            chart.draw_series([Text::new(name, (0.0, top - 0.04), left)])?;
            if let (Some(low), Some(median), Some(high)) =
                (quantile(&values, 0.25), quantile(&values, 0.5), quantile(&values, 0.75))
            {
                let corners = [(low, middle - 0.3), (high, middle + 0.3)];
                chart.draw_series([Rectangle::new(corners, colour.mix(0.18).filled())])?;
                let line = vec![(median, middle - 0.3), (median, middle + 0.3)];
                chart.draw_series([PathElement::new(line, colour.stroke_width(5))])?;
            }
            let points = swarm(&values).into_iter();
            chart.draw_series(points.map(|(x, lift)| {
                Circle::new((x, middle + 0.3 * lift), 6, colour.mix(0.6).filled())
            }))?;
        }
        Ok(())
    })
}

/// Dice of each nodule by its diameter; nodules that were missed are crosses.
pub(super) fn by_diameter(models: &[Model], nodules: &[NoduleScore]) -> String {
    svg(HEIGHT, |area| {
        let diameters = nodules.iter().map(|nodule| nodule.diameter_mm).filter(|d| d.is_finite());
        let top = ceiling(diameters.fold(0.0, f64::max));
        let axes = ["Diameter of the nodule (mm)", "Dice"];
        let mut chart = frame(area, 0.0..top, 0.0..1.0, axes)?;
        for (n, model) in models.iter().enumerate() {
            let colour = SERIES[n % SERIES.len()].mix(0.7);
            let of_model = || of_model(nodules, model);
            let missed = |nodule: &&NoduleScore| nodule.outcome == Outcome::Missed.name();
            let at = |nodule: &NoduleScore| {
                let diameter = Some(nodule.diameter_mm).filter(|diameter| diameter.is_finite())?;
                Some((diameter, nodule.dice?))
            };
            chart.draw_series(
                of_model()
                    .filter(|nodule| !missed(nodule))
                    .filter_map(at)
                    .map(|at| Circle::new(at, 7, colour.filled())),
            )?;
            chart.draw_series(
                of_model()
                    .filter(missed)
                    .filter_map(at)
                    .map(|at| Cross::new(at, 9, colour.stroke_width(4))),
            )?;
        }
        Ok(())
    })
}

pub(super) fn svg(height: u32, draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        // A string takes whatever is drawn: only files and fonts can fail, and there are none here.
        let _ = draw(&area);
        let _ = area.present();
    }
    text
}

pub(super) fn text_style() -> TextStyle<'static> {
    ("sans-serif", TEXT).into_font().color(&INK)
}

fn frame<'a>(
    area: &Area<'a>,
    x: Range<f64>,
    y: Range<f64>,
    [x_name, y_name]: [&str; 2],
) -> Result<Chart<'a>, Box<dyn std::error::Error>> {
    let mut chart = ChartBuilder::on(area);
    chart.margin(12).margin_top(20).margin_right(30);
    chart.x_label_area_size(76).y_label_area_size(104);
    let decimals = if y.end < 0.5 { 2 } else { 1 };
    let mut chart = chart.build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(2))
        .axis_style(INK.stroke_width(2))
        .label_style(text_style())
        .x_labels(8)
        .y_labels(6)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.decimals$}"))
        .x_desc(x_name)
        .y_desc(y_name)
        .draw()?;
    Ok(chart)
}

/// A phase's name and its epochs, counted from the first phase's first epoch, 1.
struct Phase<'a> {
    name: &'a str,
    start: u64,
    end: u64,
}

/// One run, fold and phase: epochs with their place on the axis.
type Line<'a> = Vec<(f64, &'a Epoch)>;

fn lay_out(epochs: &[Epoch]) -> (Vec<Phase<'_>>, Vec<Line<'_>>) {
    let mut phases: Vec<Phase<'_>> = Vec::new();
    for epoch in epochs {
        if !phases.iter().any(|phase| phase.name == epoch.phase) {
            let of_phase = epochs.iter().filter(|other| other.phase == epoch.phase);
            let length = of_phase.map(|other| other.epoch).max().unwrap_or(0);
            let before = phases.last().map_or(0, |phase| phase.end);
            phases.push(Phase { name: &epoch.phase, start: before + 1, end: before + length });
        }
    }
    let mut lines: BTreeMap<(&str, Option<u64>, u64), Line<'_>> = BTreeMap::new();
    for epoch in epochs {
        let start = phases.iter().find(|phase| phase.name == epoch.phase).map_or(1, |p| p.start);
        let at = (start + epoch.epoch) as f64 - 1.0;
        lines.entry((&epoch.run_id, epoch.fold, start)).or_default().push((at, epoch));
    }
    (phases, lines.into_values().collect())
}

fn name_phases(chart: &mut Chart<'_>, phases: &[Phase<'_>], top: f64) -> Drawn {
    let left = text_style().pos(Pos::new(HPos::Left, VPos::Top));
    for phase in phases {
        let x = (phase.start as f64 - 0.5).max(1.0);
        if phase.start > 1 {
            let line = vec![(x, 0.0), (x, top)];
            chart.draw_series([PathElement::new(line, INK.mix(0.5).stroke_width(2))])?;
        }
        let name =
            EmptyElement::at((x, top)) + Text::new(phase.name.to_owned(), (10, 4), left.clone());
        chart.draw_series([name])?;
    }
    Ok(())
}

fn curve(
    chart: &mut Chart<'_>,
    line: &Line<'_>,
    value: impl Fn(&Epoch) -> Option<f64>,
    style: ShapeStyle,
) -> Drawn {
    let points: Vec<(f64, f64)> = line
        .iter()
        .filter_map(|(x, epoch)| Some((*x, value(epoch).filter(|y| y.is_finite())?)))
        .collect();
    // One epoch makes no line.
    if let [point] = points[..] {
        chart.draw_series([Circle::new(point, 6, style.color.filled())])?;
    }
    chart.draw_series(LineSeries::new(points, style))?;
    Ok(())
}

fn of_model<'a>(
    nodules: &'a [NoduleScore],
    model: &'a Model,
) -> impl Iterator<Item = &'a NoduleScore> {
    nodules.iter().filter(|nodule| nodule.model_id == model.model_id)
}

/// Ascending shares with a lift from -1 to 1, so that equal ones lie beside each other.
fn swarm(ascending: &[f64]) -> Vec<(f64, f64)> {
    /// Columns along the axis, and points that a column holds at full size.
    const COLUMNS: f64 = 100.0;
    const FULL: usize = 8;
    let column = |value: &f64| (value * COLUMNS).round() as i64;
    let mut points = Vec::with_capacity(ascending.len());
    for stack in ascending.chunk_by(|a, b| column(a) == column(b)) {
        let step = 2.0 / stack.len().max(FULL) as f64;
        // From the middle outwards, left and right in turn, so that a stack has no slant.
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

/// The end of an axis from 0: the largest value with some room, 1 where there is none.
fn ceiling(largest: f64) -> f64 {
    if largest > 0.0 { largest * 1.08 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(phase: &str, epoch: u64) -> Epoch {
        Epoch {
            run_id: "r".to_owned(),
            phase: phase.to_owned(),
            epoch,
            fold: None,
            learning_rate: 1e-3,
            loss: 1.0 / epoch as f64,
            dice: Some(0.5),
            validation_dice: None,
        }
    }

    #[test]
    fn phases_follow_each_other() {
        let epochs = [epoch("pre", 1), epoch("pre", 2), epoch("fine", 1), epoch("fine", 2)];
        let (phases, lines) = lay_out(&epochs);
        let spans: Vec<_> = phases.iter().map(|p| (p.name, p.start, p.end)).collect();
        assert_eq!(spans, [("pre", 1, 2), ("fine", 3, 4)]);
        let places: Vec<Vec<u64>> =
            lines.iter().map(|line| line.iter().map(|(x, _)| *x as u64).collect()).collect();
        assert_eq!(places, [[1, 2], [3, 4]]);
    }

    #[test]
    fn equal_values_are_lifted_apart() {
        let points = swarm(&[0.5, 0.5, 0.5, 0.9]);
        let lifts: Vec<f64> = points.iter().map(|p| p.1).collect();
        assert_eq!(lifts, [0.0, 0.25, -0.25, 0.0]);
        assert_eq!(swarm(&[0.5; 2]), [(0.5, -0.125), (0.5, 0.125)]);
        assert!(swarm(&[0.5; 1000]).iter().all(|(_, lift)| lift.abs() <= 1.0));
    }

    #[test]
    fn charts_draw_whatever_comes() {
        let mut diverged = epoch("pre", 1);
        diverged.loss = f64::NAN;
        for epochs in [vec![], vec![epoch("a", 1)], vec![diverged, epoch("<b>", 2)]] {
            let text = training(&epochs);
            assert!(text.trim_end().ends_with("</svg>"), "{text}");
            assert!(!text.contains("<b>") && !text.contains("NaN"));
        }
        let model = Model { model_id: "m".to_owned(), label: "<i>".to_owned() };
        let nodule = NoduleScore {
            nodule_id: "n".to_owned(),
            model_id: "m".to_owned(),
            outcome: "missed".to_owned(),
            diameter_mm: 8.0,
            dice: Some(0.0),
        };
        let unknown = NoduleScore { diameter_mm: f64::NAN, ..nodule.clone() };
        for nodules in [vec![], vec![nodule], vec![unknown]] {
            for text in [
                distribution(std::slice::from_ref(&model), &nodules),
                by_diameter(std::slice::from_ref(&model), &nodules),
            ] {
                assert!(text.trim_end().ends_with("</svg>"), "{text}");
                assert!(!text.contains("<i>") && !text.contains("NaN"));
            }
        }
    }
}

//! Loss and Dice by epoch.

use crate::stages::report::content::Epoch;
use maud::Markup;
use nodulus_pages::charts::{
    Axis, Drawn, Frame, INK, Labels, WIDE, colour, draw, end_above, frame, heading, text_style,
};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::collections::BTreeMap;

const HEIGHT: u32 = 520;

/// Loss and Dice by epoch of a model, with its name. Phases follow each other; each run, fold and phase has a
/// line. `position` is the model's among all.
pub(in crate::stages::report) fn training(
    name: &str,
    position: usize,
    epochs: &[&Epoch],
) -> Markup {
    draw([WIDE, HEIGHT], |area| {
        heading(area, name)?;
        let (left, right) = area.split_horizontally(WIDE / 2);
        let (phases, lines) = lay_out(epochs);
        let last = phases.last().map_or(1, |phase| phase.end).max(2) as f64;
        let losses = epochs.iter().map(|epoch| epoch.loss).filter(|loss| loss.is_finite());
        let top = end_above(losses.fold(0.0, f64::max));
        let x = Axis { labels: Labels::Whole, ..Axis::new("Epoch", 1.0..last) };
        let loss = &mut frame(&left, &x, &Axis::new("Loss", 0.0..top))?;
        let dice = &mut frame(&right, &x, &Axis::new("Dice", 0.0..1.0))?;
        for (chart, top) in [(&mut *loss, top), (&mut *dice, 1.0)] {
            name_phases(chart, &phases, top)?;
        }
        let colour = colour(position);
        let thin = colour.mix(0.45).stroke_width(3);
        for line in &lines {
            curve(loss, line, |epoch| Some(epoch.loss), colour.stroke_width(4))?;
            curve(dice, line, |epoch| epoch.dice, thin)?;
            curve(dice, line, |epoch| epoch.validation_dice, colour.stroke_width(4))?;
        }
        Ok(())
    })
}

/// A phase and its epochs, counted from 1 at the first epoch of the first phase.
struct PhaseSpan<'a> {
    name: &'a str,
    start: u64,
    end: u64,
}

/// One run, fold and phase: epochs with their position on the axis.
type EpochLine<'a> = Vec<(f64, &'a Epoch)>;

fn lay_out<'a>(epochs: &[&'a Epoch]) -> (Vec<PhaseSpan<'a>>, Vec<EpochLine<'a>>) {
    let mut phases: Vec<PhaseSpan<'a>> = Vec::new();
    for epoch in epochs {
        if !phases.iter().any(|phase| phase.name == epoch.phase) {
            let of_phase = epochs.iter().filter(|other| other.phase == epoch.phase);
            let length = of_phase.map(|other| other.epoch).max().unwrap_or(0);
            let before = phases.last().map_or(0, |phase| phase.end);
            phases.push(PhaseSpan { name: &epoch.phase, start: before + 1, end: before + length });
        }
    }
    let mut lines: BTreeMap<(&str, Option<u64>, u64), EpochLine<'a>> = BTreeMap::new();
    for epoch in epochs {
        let start = phases.iter().find(|phase| phase.name == epoch.phase).map_or(1, |p| p.start);
        let at = (start + epoch.epoch) as f64 - 1.0;
        lines.entry((&epoch.run_id, epoch.fold, start)).or_default().push((at, epoch));
    }
    (phases, lines.into_values().collect())
}

fn name_phases(chart: &mut Frame<'_>, phases: &[PhaseSpan<'_>], top: f64) -> Drawn {
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
    chart: &mut Frame<'_>,
    line: &EpochLine<'_>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::report::charts::tests::assert_drawn;

    fn epoch(phase: &str, epoch: u64) -> Epoch {
        Epoch {
            run_id: "r".to_owned(),
            model_id: None,
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
        let epochs: Vec<&Epoch> = epochs.iter().collect();
        let (phases, lines) = lay_out(&epochs);
        let spans: Vec<_> = phases.iter().map(|p| (p.name, p.start, p.end)).collect();
        assert_eq!(spans, [("pre", 1, 2), ("fine", 3, 4)]);
        let places: Vec<Vec<u64>> =
            lines.iter().map(|line| line.iter().map(|(x, _)| *x as u64).collect()).collect();
        assert_eq!(places, [[1, 2], [3, 4]]);
    }

    #[test]
    fn charts_draw_any_values() {
        let mut diverged = epoch("pre", 1);
        diverged.loss = f64::NAN;
        for epochs in [vec![], vec![epoch("a", 1)], vec![diverged, epoch("<i>", 2)]] {
            assert_drawn(training("<i>", 7, &epochs.iter().collect::<Vec<_>>()));
        }
    }
}

//! The table of an experiment.

use super::error::Error;
use crate::tables::{Comparison, Output, Summary, Table};
use nodulus_metrics::Metric;
use nodulus_store::Store;
use serde::Serialize;
use std::collections::BTreeMap;

/// The columns of the paper's tables.
pub const METRICS: [Metric; 6] = [
    Metric::Precision,
    Metric::Sensitivity,
    Metric::Dice,
    Metric::Iou,
    Metric::Hausdorff,
    Metric::Assd,
];

/// A line of an experiment's table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The model's id.
    pub model_id: String,
    /// Number of measured nodules.
    pub n_nodules: i64,
    /// Number of nodules without a predicted voxel.
    pub n_missed: i64,
    /// A cell for each of [`METRICS`].
    pub cells: Vec<Cell>,
    /// p of Wilcoxon's signed-rank test of Dice against the line with the highest mean, after Holm's correction; `None`
    /// for that line itself, and where no nodule differs.
    pub p_against_best: Option<f64>,
}

/// One metric of a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// Its name.
    pub metric: &'static str,
    /// Mean over the nodules for which it is defined.
    pub mean: Option<f64>,
    /// 95% bootstrap interval of the mean, by patient.
    pub interval: Option<[f64; 2]>,
    /// Number of nodules for which it is defined.
    pub n_valid: i64,
    /// Whether no other line is better.
    pub is_best: bool,
    /// The paper's figure, on its own data.
    pub paper: Option<f64>,
}

/// Model id of a row's models of all folds together.
pub fn ensemble(name: &str) -> String {
    format!("{name}, all folds")
}

/// Reads the lines of the measured rows from the store's `summary` and `comparisons`.
///
/// `rows` are the models' ids with the paper's figures; `with_folds` adds a line for the models of all folds
/// together after each.
pub(super) fn read(
    rows: &[(&str, &BTreeMap<String, f64>)],
    with_folds: bool,
    store: &Store,
) -> Result<Vec<Line>, Error> {
    let mut summaries: Vec<Summary> = Vec::new();
    for batch in store.require(Output::Table(Table::Summary))?.rows::<Summary>() {
        summaries.extend(batch?.into_iter().filter(|row| row.subgroup == "all"));
    }
    let mut comparisons: Vec<Comparison> = Vec::new();
    for batch in store.require(Output::Table(Table::Comparisons))?.rows::<Comparison>() {
        comparisons.extend(batch?.into_iter().filter(|row| row.metric == Metric::Dice.name()));
    }
    let mut lines = Vec::new();
    for (name, paper) in rows {
        lines.push(line(name, paper, &summaries));
        if with_folds {
            lines.push(line(&ensemble(name), &BTreeMap::new(), &summaries));
        }
    }
    mark_best(&mut lines);
    compare(&mut lines, &comparisons);
    Ok(lines)
}

fn line(model_id: &str, paper: &BTreeMap<String, f64>, summaries: &[Summary]) -> Line {
    let of = |metric: Metric| {
        let mut rows = summaries.iter().filter(|row| row.model_id == model_id);
        rows.find(|row| row.metric == metric.name())
    };
    let cell = |metric: Metric| {
        let row = of(metric);
        Cell {
            metric: metric.name(),
            mean: row.and_then(|row| row.mean),
            interval: row.and_then(|row| Some([row.ci_low?, row.ci_high?])),
            n_valid: row.map_or(0, |row| row.n_valid),
            is_best: false,
            paper: paper.get(metric.name()).copied(),
        }
    };
    let dice = of(Metric::Dice);
    Line {
        model_id: model_id.to_owned(),
        n_nodules: dice.map_or(0, |row| row.n_total),
        n_missed: dice.map_or(0, |row| row.n_missed),
        cells: METRICS.map(cell).into(),
        p_against_best: None,
    }
}

/// Marks the best mean of each metric: the highest, or the lowest of a distance.
fn mark_best(lines: &mut [Line]) {
    for (n, metric) in METRICS.into_iter().enumerate() {
        let sign = if metric.is_distance() { -1.0 } else { 1.0 };
        let means = lines.iter().filter_map(|line| line.cells[n].mean);
        let Some(best) = means.map(|mean| sign * mean).max_by(f64::total_cmp) else { continue };
        for line in &mut *lines {
            let cell = &mut line.cells[n];
            cell.is_best = cell.mean.is_some_and(|mean| sign * mean >= best);
        }
    }
}

fn compare(lines: &mut [Line], comparisons: &[Comparison]) {
    let place = METRICS.iter().position(|metric| *metric == Metric::Dice).unwrap_or_default();
    let best = lines.iter().find(|line| line.cells[place].is_best);
    let Some(best) = best.map(|line| line.model_id.clone()) else { return };
    for line in lines {
        let pair = comparisons.iter().find(|row| {
            let of = [&row.model_id, &row.baseline_id];
            of.contains(&&best) && of.contains(&&line.model_id) && line.model_id != best
        });
        line.p_against_best = pair.and_then(|row| row.p_holm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(model_id: &str, metric: Metric, mean: f64) -> Summary {
        Summary {
            model_id: model_id.to_owned(),
            metric: metric.name().to_owned(),
            subgroup: "all".to_owned(),
            n_total: 9,
            n_valid: 8,
            n_missed: 1,
            mean: Some(mean),
            sd: None,
            median: None,
            ci_low: Some(mean - 0.1),
            ci_high: Some(mean + 0.1),
            worst_case_mean: None,
            doubts: Vec::new(),
        }
    }

    #[test]
    fn the_best_of_each_column_is_marked_and_compared_with() {
        let rows = [
            summary("a", Metric::Dice, 0.5),
            summary("b", Metric::Dice, 0.75),
            summary("a", Metric::Hausdorff, 2.0),
            summary("b", Metric::Hausdorff, 3.0),
        ];
        let paper = BTreeMap::from([("dice".to_owned(), 0.801)]);
        let mut lines = vec![line("a", &paper, &rows), line("b", &BTreeMap::new(), &rows)];
        mark_best(&mut lines);
        let cell = |n: usize, metric: Metric| {
            lines[n].cells.iter().find(|cell| cell.metric == metric.name()).unwrap()
        };
        assert!(!cell(0, Metric::Dice).is_best && cell(1, Metric::Dice).is_best);
        assert!(cell(0, Metric::Hausdorff).is_best && !cell(1, Metric::Hausdorff).is_best);
        assert!(!cell(0, Metric::Iou).is_best && cell(0, Metric::Iou).mean.is_none());
        assert_eq!((cell(0, Metric::Dice).paper, cell(1, Metric::Dice).paper), (Some(0.801), None));
        assert_eq!((lines[0].n_nodules, lines[0].n_missed), (9, 1));
        let pair = Comparison {
            metric: "dice".to_owned(),
            model_id: "a".to_owned(),
            baseline_id: "b".to_owned(),
            n_pairs: 8,
            mean_difference: None,
            ci_low: None,
            ci_high: None,
            median_difference: None,
            wilcoxon_statistic: None,
            p: Some(0.01),
            p_holm: Some(0.04),
            rank_biserial: None,
        };
        compare(&mut lines, &[pair]);
        assert_eq!([lines[0].p_against_best, lines[1].p_against_best], [Some(0.04), None]);
    }
}

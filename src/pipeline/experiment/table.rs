//! The table of an experiment.

use super::error::Error;
use crate::stages::evaluate::READER;
use crate::stages::infer::REGION_GROWING;
use crate::tables::{Comparison, Output, Summary, Table};
use nodulus_metrics::Metric;
use nodulus_metrics::summary::standard_deviation;
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
    /// What the line is of.
    pub kind: LineKind,
    /// Seed of the training, in a line of one of several seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Number of measured slices: those with nodule or with prediction.
    pub n_slices: i64,
    /// Number of slices with nodule and without a predicted pixel.
    pub n_missed_slices: i64,
    /// A cell for each of [`METRICS`] over slices, in 2D; none where nothing is measured so.
    pub slice_cells: Vec<Cell>,
    /// Number of measured nodules.
    pub n_nodules: i64,
    /// Number of nodules without a predicted voxel.
    pub n_missed: i64,
    /// A cell for each of [`METRICS`] over nodules, in 3D.
    pub cells: Vec<Cell>,
    /// p of the sign-flip test of Dice by patient against the line with the highest mean, after Holm's correction;
    /// `None` for that line itself, and where there is no test.
    pub p_against_best: Option<f64>,
    /// Why there is no test against that line.
    pub p_missing_reason: Option<String>,
    /// Reasons to doubt the predictions, as in `summary`.
    pub doubts: Vec<String>,
}

/// What a line of an experiment's table is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// A row of the experiment; of several seeds, their mean.
    Row,
    /// One of several seeds of the row before it.
    Seed,
    /// The baseline, region growing.
    Baseline,
    /// Each reader against the consensus of the others: the ceiling.
    Readers,
}

/// One metric of a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// Its name, without the prefix of slices.
    pub metric: &'static str,
    /// Mean over the nodules or slices for which it is defined.
    pub mean: Option<f64>,
    /// 95% interval of the mean, by patient.
    pub interval: Option<[f64; 2]>,
    /// Why there is no interval.
    pub ci_missing_reason: Option<String>,
    /// Number of nodules or slices for which it is defined.
    pub n_valid: i64,
    /// Whether no other line is better.
    pub is_best: bool,
    /// Means of the single seeds, in the order of `seeds`; empty unless the line is a mean over several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seed_means: Vec<Option<f64>>,
    /// Standard deviation (n - 1) between them; `None` where a seed has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_sd: Option<f64>,
    /// The paper's figure, on its own data; only in 2D, as the paper segments slices.
    pub paper: Option<f64>,
}

/// Prefix of the metrics over slices in `summary`.
const SLICES: &str = "slice_";

/// Model id of a row's models of all folds together.
pub fn ensemble(name: &str) -> String {
    format!("{name}, all folds")
}

/// Model id of a row's model of one of several seeds.
pub(super) fn of_seed(name: &str, seed: u64) -> String {
    format!("{name}, seed {seed}")
}

/// Reads the lines of the measured rows from the store's `summary` and `comparisons`, and after them those of the baseline
/// and of the readers, where they were measured.
///
/// `rows` are the models' ids with the paper's figures; `with_folds` adds a line for the models of all folds
/// together after each. After a line that is a mean over several `seeds`, each seed has a line.
pub(super) fn read(
    rows: &[(&str, &BTreeMap<String, f64>)],
    with_folds: bool,
    seeds: &[u64],
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
        lines.extend(of_row(name, paper, str::to_owned, seeds, &summaries));
        if with_folds {
            lines.extend(of_row(name, &BTreeMap::new(), ensemble, seeds, &summaries));
        }
    }
    for (id, kind) in [(REGION_GROWING, LineKind::Baseline), (READER, LineKind::Readers)] {
        if summaries.iter().any(|row| row.model_id == id) {
            lines.push(line(id, kind, &BTreeMap::new(), &summaries));
        }
    }
    mark_best(&mut lines);
    compare(&mut lines, &comparisons);
    Ok(lines)
}

/// The line of a row, or of its models of all folds, and those of its seeds.
fn of_row(
    name: &str,
    paper: &BTreeMap<String, f64>,
    id: fn(&str) -> String,
    seeds: &[u64],
    summaries: &[Summary],
) -> Vec<Line> {
    let mut row = line(&id(name), LineKind::Row, paper, summaries);
    let of_seeds = seeds.iter().map(|seed| {
        let line = line(&id(&of_seed(name, *seed)), LineKind::Seed, &BTreeMap::new(), summaries);
        Line { seed: Some(*seed), ..line }
    });
    let of_seeds: Vec<Line> = of_seeds.collect();
    let cells_of: [fn(&Line) -> &Vec<Cell>; 2] = [|line| &line.cells, |line| &line.slice_cells];
    for (cells, of) in [&mut row.cells, &mut row.slice_cells].into_iter().zip(cells_of) {
        for (n, cell) in cells.iter_mut().enumerate() {
            cell.seed_means =
                of_seeds.iter().map(|line| of(line).get(n).and_then(|cell| cell.mean)).collect();
            let means: Option<Vec<f64>> = cell.seed_means.iter().copied().collect();
            cell.seed_sd = means.and_then(|means| standard_deviation(&means));
        }
    }
    std::iter::once(row).chain(of_seeds).collect()
}

fn line(
    model_id: &str,
    kind: LineKind,
    paper: &BTreeMap<String, f64>,
    summaries: &[Summary],
) -> Line {
    let of = |prefix: &str, metric: Metric| {
        let mut rows = summaries.iter().filter(|row| row.model_id == model_id);
        rows.find(|row| row.metric.strip_prefix(prefix) == Some(metric.name()))
    };
    // METHOD: the paper's networks segment slices, and its contour metrics are in the plane: its figures stand beside 2D.
    let cell = |prefix: &str, metric: Metric| {
        let row = of(prefix, metric);
        Cell {
            metric: metric.name(),
            mean: row.and_then(|row| row.mean),
            interval: row.and_then(|row| Some([row.ci_low?, row.ci_high?])),
            ci_missing_reason: row.and_then(|row| row.ci_missing_reason.clone()),
            n_valid: row.map_or(0, |row| row.n_valid),
            is_best: false,
            seed_means: Vec::new(),
            seed_sd: None,
            paper: paper.get(metric.name()).copied().filter(|_| !prefix.is_empty()),
        }
    };
    let (dice, slice_dice) = (of("", Metric::Dice), of(SLICES, Metric::Dice));
    // Readers are measured in 3D alone.
    let of_slices = METRICS.iter().filter(|_| kind != LineKind::Readers);
    Line {
        model_id: model_id.to_owned(),
        kind,
        seed: None,
        n_slices: slice_dice.map_or(0, |row| row.n_total),
        n_missed_slices: slice_dice.map_or(0, |row| row.n_missed),
        slice_cells: of_slices.map(|metric| cell(SLICES, *metric)).collect(),
        n_nodules: dice.map_or(0, |row| row.n_total),
        n_missed: dice.map_or(0, |row| row.n_missed),
        cells: METRICS.map(|metric| cell("", metric)).into(),
        p_against_best: None,
        p_missing_reason: None,
        doubts: dice.map_or(Vec::new(), |row| row.doubts.clone()),
    }
}

/// Marks the best mean of each metric among the models, in 2D and in 3D: the highest, or the lowest of a distance. Readers
/// are no model, and a single seed is no row: the best of many would be chosen by chance.
fn mark_best(lines: &mut [Line]) {
    let is_model = |line: &&mut Line| !matches!(line.kind, LineKind::Readers | LineKind::Seed);
    let mut models: Vec<&mut Line> = lines.iter_mut().filter(is_model).collect();
    let tables: [fn(&mut Line) -> &mut Vec<Cell>; 2] =
        [|line| &mut line.cells, |line| &mut line.slice_cells];
    for cells_of in tables {
        for (n, metric) in METRICS.into_iter().enumerate() {
            let sign = if metric.is_distance() { -1.0 } else { 1.0 };
            let mut cells: Vec<&mut Cell> =
                models.iter_mut().filter_map(|line| cells_of(line).get_mut(n)).collect();
            let means = cells.iter().filter_map(|cell| cell.mean);
            let Some(best) = means.map(|mean| sign * mean).max_by(f64::total_cmp) else { continue };
            for cell in &mut cells {
                cell.is_best = cell.mean.is_some_and(|mean| sign * mean >= best);
            }
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
        line.p_missing_reason = pair.and_then(|row| row.p_missing_reason.clone());
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
            n_patients: 7,
            mean: Some(mean),
            sd: None,
            median: None,
            ci_low: Some(mean - 0.1),
            ci_high: Some(mean + 0.1),
            ci_missing_reason: None,
            worst_case_mean: None,
            doubts: Vec::new(),
        }
    }

    #[test]
    fn a_row_of_several_seeds_has_their_spread_and_their_lines() {
        let rows = [
            summary("a", Metric::Dice, 0.7),
            summary("a, seed 1", Metric::Dice, 0.6),
            summary("a, seed 4", Metric::Dice, 0.8),
            summary("a, seed 1", Metric::Iou, 0.5),
            summary("b", Metric::Dice, 0.75),
        ];
        let none = BTreeMap::new();
        let mut lines = of_row("a", &none, str::to_owned, &[1, 4], &rows);
        lines.extend(of_row("b", &none, str::to_owned, &[], &rows));
        mark_best(&mut lines);
        let ids: Vec<_> = lines.iter().map(|line| (line.model_id.as_str(), line.seed)).collect();
        assert_eq!(ids, [("a", None), ("a, seed 1", Some(1)), ("a, seed 4", Some(4)), ("b", None)]);
        let dice = METRICS.iter().position(|metric| *metric == Metric::Dice).unwrap();
        let iou = METRICS.iter().position(|metric| *metric == Metric::Iou).unwrap();
        let cell = &lines[0].cells[dice];
        assert_eq!(cell.seed_means, [Some(0.6), Some(0.8)]);
        assert!((cell.seed_sd.unwrap() - 0.02f64.sqrt()).abs() < 1e-12);
        // A seed without a value leaves no spread, and a single seed is not the best row.
        assert_eq!(lines[0].cells[iou].seed_means, [Some(0.5), None]);
        assert_eq!(lines[0].cells[iou].seed_sd, None);
        let best: Vec<bool> = lines.iter().map(|line| line.cells[dice].is_best).collect();
        assert_eq!(best, [false, false, false, true]);
        assert!(
            lines[3].cells[dice].seed_means.is_empty() && lines[3].cells[dice].seed_sd.is_none()
        );
    }

    #[test]
    fn the_best_of_each_column_is_marked_and_compared_with() {
        let doubts = vec!["training_patient".to_owned()];
        let rows = [
            Summary { doubts: doubts.clone(), ..summary("a", Metric::Dice, 0.5) },
            summary("b", Metric::Dice, 0.75),
            summary("reader", Metric::Dice, 0.9),
            Summary { metric: "slice_dice".to_owned(), ..summary("a", Metric::Dice, 0.6) },
            summary("a", Metric::Hausdorff, 2.0),
            summary("b", Metric::Hausdorff, 3.0),
        ];
        let paper = BTreeMap::from([("dice".to_owned(), 0.801)]);
        let none = BTreeMap::new();
        let mut lines = vec![
            line("a", LineKind::Row, &paper, &rows),
            line("b", LineKind::Row, &none, &rows),
            line("reader", LineKind::Readers, &none, &rows),
        ];
        mark_best(&mut lines);
        let cell = |n: usize, metric: Metric| {
            lines[n].cells.iter().find(|cell| cell.metric == metric.name()).unwrap()
        };
        assert!(!cell(0, Metric::Dice).is_best && cell(1, Metric::Dice).is_best);
        assert!(cell(0, Metric::Hausdorff).is_best && !cell(1, Metric::Hausdorff).is_best);
        assert!(!cell(0, Metric::Iou).is_best && cell(0, Metric::Iou).mean.is_none());
        // The paper's figure stands beside the slices' in 2D.
        assert_eq!(
            (cell(0, Metric::Dice).paper, lines[0].slice_cells[2].paper),
            (None, Some(0.801))
        );
        assert_eq!((lines[0].slice_cells[2].mean, lines[0].n_slices), (Some(0.6), 9));
        assert!(lines[0].slice_cells[2].is_best && !lines[1].slice_cells[2].is_best);
        assert!(!cell(2, Metric::Dice).is_best && lines[2].slice_cells.is_empty());
        assert_eq!((lines[0].n_nodules, lines[0].n_missed), (9, 1));
        assert_eq!((&lines[0].doubts, lines[1].doubts.len()), (&doubts, 0));
        let pair = Comparison {
            metric: "dice".to_owned(),
            model_id: "a".to_owned(),
            baseline_id: "b".to_owned(),
            n_nodules: 8,
            n_patients: 7,
            mean_difference: None,
            ci_low: None,
            ci_high: None,
            ci_missing_reason: None,
            median_difference: None,
            test: None,
            p: Some(0.01),
            p_missing_reason: None,
            p_holm: Some(0.04),
            rank_biserial: None,
            doubts: Vec::new(),
        };
        compare(&mut lines, &[pair]);
        assert_eq!([lines[0].p_against_best, lines[1].p_against_best], [Some(0.04), None]);
    }
}

//! Report: all tables → `report.html`, `report.json`.

pub(super) mod config;
pub mod content;
pub mod html;

mod error;
mod picked_nodule;
mod readers;
mod histogram;
mod volumes;
mod gather;
mod names;
mod charts;

use crate::stages::spec::StageSpec;
use crate::stages::task::Task;
use crate::tables::{Output, Table};
pub use config::Config;
use content::ReportContent;
pub use error::Error;
pub use gather::earlier_version;
use nodulus_metrics::Outcome;
use nodulus_store::{Job, durable};
pub use picked_nodule::PickedNodule;
use std::collections::BTreeSet;

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "report",
    description: "write the report",
    example: "",
    reads: &[
        Output::Table(Table::Scans),
        Output::Table(Table::Exclusions),
        Output::Table(Table::Marks),
        Output::Table(Table::Nodules),
        Output::Table(Table::ReaderAgreement),
        Output::Table(Table::RatingAgreement),
        Output::Table(Table::Rois),
        Output::Table(Table::Samples),
        Output::Table(Table::TrainingLog),
        Output::Table(Table::Predictions),
        Output::Table(Table::OutsidePredictions),
        Output::Table(Table::NoduleMetrics),
        Output::Table(Table::Summary),
        Output::Table(Table::Comparisons),
    ],
    writes: &[Output::Report],
    version: 9,
    needs_images: true,
    is_sharded: false,
    is_on: |_| true,
    settings: |config| serde_json::to_value(&config.report),
    outside_weights: |_| None,
    outside_files: None,
    check: None,
    contents: None,
    decide: None,
    run: |config, task, job| Ok(run(&config.report, task, job)?),
    reduction: None,
};

/// Writes the report.
///
/// # Errors
///
/// Fails if a patient is in two splits, or the store cannot be read or written to.
pub fn run(config: &Config, task: &Task<'_>, job: &Job) -> Result<(), Error> {
    for writer in job.work()? {
        let writer = writer?;
        let mut content = gather::content(config, SPEC.version, task, job)?;
        content.cases = gather::cases(task, &content, &transform(&content))?;
        let folder = writer.files(Output::Report)?;
        let mut json = serde_json::to_vec_pretty(&content)?;
        json.push(b'\n');
        durable::write(&folder.join("report.json"), &json)?;
        durable::write(&folder.join("report.html"), html::render(&content).as_bytes())?;
        writer.commit(Vec::new(), Vec::new())?;
    }
    Ok(())
}

/// Picks the best, median and worst nodule of the leading model, and of each further model that was
/// evaluated on none of the nodules of a model before it, as the models of folds are.
///
/// METHOD: by Dice over the nodule's region, where a missed nodule counts 0; the median is the lower of two.
/// In a tie, the smaller nodule id comes first. The threshold leads only where there is no model.
pub fn transform(content: &ReportContent) -> Vec<PickedNodule> {
    let mut picks: Vec<PickedNodule> = Vec::new();
    let mut evaluated: BTreeSet<&str> = BTreeSet::new();
    for model_id in content.ranking() {
        let of_model = content
            .nodules
            .iter()
            .map(|nodule| &nodule.row)
            .filter(|row| row.model_id == model_id && row.outcome != Outcome::BothEmpty.name());
        let mut ranked: Vec<(f64, &str)> =
            of_model.filter_map(|row| Some((row.metrics.dice?, row.nodule_id.as_str()))).collect();
        if ranked.iter().any(|(_, nodule_id)| evaluated.contains(nodule_id)) {
            continue;
        }
        evaluated.extend(ranked.iter().map(|(_, nodule_id)| nodule_id));
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let last = ranked.len().saturating_sub(1);
        for (rank, position) in [("best", 0), ("median", last / 2), ("worst", last)] {
            if let Some((_, nodule_id)) = ranked.get(position)
                && picks.iter().all(|pick| pick.nodule_id != *nodule_id)
            {
                let (model_id, nodule_id) = (model_id.to_owned(), (*nodule_id).to_owned());
                picks.push(PickedNodule { rank, model_id, nodule_id });
            }
        }
    }
    picks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{MetricColumns, NoduleMetrics, Summary};
    use content::{NoduleResult, ReportModel};

    fn score(nodule: &str, model: &str, dice: f64) -> NoduleResult {
        let row = NoduleMetrics {
            nodule_id: nodule.to_owned(),
            patient_id: nodule.to_owned(),
            model_id: model.to_owned(),
            metrics: MetricColumns { dice: Some(dice), ..MetricColumns::default() },
            outcome: "scored".to_owned(),
            ..NoduleMetrics::default()
        };
        NoduleResult { diameter_mm: 8.0, row }
    }

    fn content(models: &[(&str, f64)], nodules: Vec<NoduleResult>) -> ReportContent {
        let model = |id: &str| ReportModel { model_id: id.to_owned(), ..ReportModel::default() };
        let summary = |(id, mean): &(&str, f64)| Summary {
            model_id: (*id).to_owned(),
            metric: "dice".to_owned(),
            subgroup: "all".to_owned(),
            n_total: 1,
            n_valid: 1,
            n_missed: 0,
            n_patients: 1,
            mean: Some(*mean),
            sd: None,
            median: None,
            ci_low: None,
            ci_high: None,
            ci_missing_reason: None,
            worst_case_mean: None,
            doubts: Vec::new(),
        };
        ReportContent {
            models: models.iter().map(|(id, _)| model(id)).collect(),
            summary: models.iter().map(summary).collect(),
            nodules,
            ..ReportContent::default()
        }
    }

    fn picked(content: &ReportContent) -> Vec<[String; 3]> {
        let picks = transform(content).into_iter();
        picks.map(|pick| [pick.rank.to_owned(), pick.model_id, pick.nodule_id]).collect()
    }

    #[test]
    fn nodules_of_the_leading_model_are_picked_by_dice() {
        let mut scores = Vec::new();
        for (n, gain) in [0.1, 0.2, 0.3, 0.4, 0.5, 0.6].iter().enumerate() {
            scores.push(score(&n.to_string(), "a", 0.2));
            scores.push(score(&n.to_string(), "m", 0.3 + gain));
            scores.push(score(&n.to_string(), "region_growing", 0.95));
        }
        scores.push(score("unpaired", "m", 0.0));
        let found = picked(&content(&[("a", 0.2), ("m", 0.6), ("region_growing", 0.95)], scores));
        assert_eq!(found, [["best", "m", "5"], ["median", "m", "2"], ["worst", "m", "unpaired"]]);
    }

    #[test]
    fn a_model_of_other_nodules_has_its_own_picks() {
        let scores =
            vec![score("1", "folds", 0.9), score("2", "folds", 0.4), score("3", "all", 0.7)];
        let found = picked(&content(&[("all", 0.7), ("folds", 0.65)], scores));
        assert_eq!(found, [["best", "all", "3"], ["best", "folds", "1"], ["worst", "folds", "2"]]);
    }

    #[test]
    fn without_evaluation_nothing_is_picked() {
        assert_eq!(picked(&content(&[], Vec::new())), [[""; 3]; 0]);
    }
}

//! Report: all tables → `report.html`, `report.json`.

pub mod content;
pub mod html;

mod charts;
mod cohort_charts;
mod gather;
mod histogram;
mod overlay;
mod readers;
mod text;

use super::Task;
use crate::metrics::Outcome;
use crate::tables::{NoduleMetrics, Output, Table, durable, leak, parquet, shard, store};
use content::Content;
use serde::{Deserialize, Serialize};

/// Outputs read.
pub const READS: &[Output] = &[
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
    Output::Table(Table::NoduleMetrics),
    Output::Table(Table::Summary),
    Output::Table(Table::Comparisons),
];
/// Outputs written.
pub const WRITES: &[Output] = &[Output::Report];
/// Raised when the stage's results change.
pub const VERSION: u32 = 4;

/// Settings: `[report]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Title of the page.
    pub title: String,
    /// Decides the bootstrap's resamples of readers' agreement.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { title: "Lung nodule segmentation".to_owned(), seed: 1 }
    }
}

/// Writes the report.
///
/// # Errors
///
/// Fails if a patient is in two splits, or the store cannot be read or written to.
pub fn run(config: &Config, task: &Task<'_>) -> Result<(), Error> {
    for shard in task.job.pending() {
        let mut content = gather::counts(config, task)?;
        let scores = gather::scores(task)?;
        let picks = transform(&content, &scores);
        content.examples = gather::examples(task, &scores, &picks)?;
        let writer = task.job.shard(shard)?;
        let folder = writer.files(Output::Report)?;
        let mut json = serde_json::to_vec_pretty(&content)?;
        json.push(b'\n');
        durable::write(&folder.join("report.json"), &json)?;
        durable::write(&folder.join("report.html"), html::render(&content).as_bytes())?;
        writer.commit(Vec::new(), Vec::new())?;
    }
    Ok(())
}

/// A nodule to show, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    rank: &'static str,
    model_id: String,
    nodule_id: String,
}

/// Picks the best, median and worst nodule of the first model.
pub fn transform(content: &Content, scores: &[NoduleMetrics]) -> Vec<Pick> {
    let Some(model) = content.models.first().map(|model| model.model_id.clone()) else {
        return Vec::new();
    };
    let mut ranked: Vec<(f64, &str)> = scores
        .iter()
        .filter(|row| row.model_id == model && row.outcome != Outcome::BothEmpty.name())
        .filter_map(|row| Some((row.dice?, row.nodule_id.as_str())))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let mut picks: Vec<Pick> = Vec::new();
    let last = ranked.len().saturating_sub(1);
    for (rank, place) in [("best", 0), ("median", last / 2), ("worst", last)] {
        if let Some((_, nodule_id)) = ranked.get(place)
            && picks.iter().all(|pick| pick.nodule_id != *nodule_id)
        {
            picks.push(Pick { rank, model_id: model.clone(), nodule_id: (*nodule_id).to_owned() });
        }
    }
    picks
}

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The samples do not say whom nothing was learnt from.
    #[error(transparent)]
    Leak(#[from] leak::Error),
    /// The content has no JSON form.
    #[error("the report cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A part could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// A part could not be written.
    #[error(transparent)]
    Shard(#[from] shard::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use content::{Ceiling, Evaluation, Model};

    fn row(nodule: &str, model: &str, dice: f64) -> NoduleMetrics {
        NoduleMetrics {
            nodule_id: nodule.to_owned(),
            patient_id: nodule.to_owned(),
            model_id: model.to_owned(),
            dice: Some(dice),
            outcome: "scored".to_owned(),
            ..NoduleMetrics::default()
        }
    }

    fn content(models: &[&str]) -> Content {
        let model = |id: &&str| Model { model_id: (*id).to_owned(), label: String::new() };
        Content {
            title: String::new(),
            run_id: String::new(),
            tool_version: String::new(),
            metric_definition: String::new(),
            sources: Vec::new(),
            cohorts: Vec::new(),
            readers: Vec::new(),
            failures: Vec::new(),
            training: Vec::new(),
            evaluation: Evaluation { split: String::new(), n_patients: 0, n_nodules: 0 },
            models: models.iter().map(model).collect(),
            summary: Vec::new(),
            ceiling: Ceiling::default(),
            comparisons: Vec::new(),
            nodules: Vec::new(),
            examples: Vec::new(),
        }
    }

    #[test]
    fn the_first_models_nodules_are_picked_by_their_dice() {
        let mut scores = Vec::new();
        for (n, gain) in [0.1, 0.2, 0.3, 0.4, 0.5, 0.6].iter().enumerate() {
            scores.push(row(&n.to_string(), "m", 0.3 + gain));
            scores.push(row(&n.to_string(), "threshold", 0.95));
        }
        scores.push(row("unpaired", "m", 0.0));
        let picks = transform(&content(&["m", "threshold"]), &scores);
        let ids: Vec<_> = picks.iter().map(|pick| (pick.rank, pick.nodule_id.as_str())).collect();
        assert_eq!(ids, [("best", "5"), ("median", "2"), ("worst", "unpaired")]);
    }

    #[test]
    fn nothing_evaluated_is_nothing_picked() {
        assert_eq!(transform(&content(&[]), &[]), []);
    }
}

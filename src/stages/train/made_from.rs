//! What a training is made from: the rows of its training and validation patients, and how regions are cut.

use super::config::Config;
use super::error::Error;
use super::examples::Selection;
use crate::stages::{Task, balance};
use crate::tables::{Split, Table};
use nodulus_store::{RowSum, ShardInput, hash};
use serde_json::json;
use std::collections::BTreeSet;

/// What the training's key covers beside its settings.
///
/// METHOD: training reads the scans, regions and samples of its training and validation patients, and nothing of test patients
/// or other cohorts. A table as a whole would be too much: training would start again for a new test patient.
///
/// # Errors
///
/// Fails if the tables cannot be read, or were made by a nodulus that kept no digests of their rows.
pub(super) fn made_from(config: &Config, task: &Task<'_>) -> Result<Vec<ShardInput>, Error> {
    let digests = balance::digests(task)?;
    let cohorts: BTreeSet<&String> =
        config.phases.iter().flat_map(|phase| &phase.cohorts).collect();
    let cohorts: Vec<String> = cohorts.into_iter().cloned().collect();
    let rows = |name: &str, split| {
        let selection = Selection { cohorts: cohorts.clone(), split, fold: config.fold };
        let mut sum = RowSum::default();
        for (group, rows) in &digests {
            if selection.takes(&group.cohort, &group.split, group.fold) {
                sum.merge(*rows);
            }
        }
        ShardInput { name: name.to_owned(), content_sha256: sum.to_string() }
    };
    // The checkpoint says how its regions were cut, as the settings of `rois` do.
    let cut = &task.table(Table::Rois)?.manifest.config;
    let cut = json!([cut["spacing_mm"], cut["padding_hu"]]).to_string();
    Ok(vec![
        rows("training rows", Split::Train),
        rows("validation rows", Split::Validation),
        ShardInput {
            name: "settings of regions".to_owned(),
            content_sha256: hash::sha256(cut.as_bytes()),
        },
    ])
}

//! The settings of a pipeline file: one section for each stage.

use super::agree::config as agree;
use super::balance::config as balance;
use super::crop::config as crop;
use super::evaluate::config as evaluate;
use super::infer::config as infer;
use super::ingest::config as ingest;
use super::merge::config as merge;
use super::report::config as report;
use super::train::config as train;
use crate::phantom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A pipeline file. Paths are relative to the folder that the command runs in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Pipeline")]
pub struct Config {
    /// Folder of the store, which holds every table, checkpoint and report.
    #[schemars(length(min = 1), extend("examples" = ["store/demo"]))]
    pub store: PathBuf,
    /// Synthetic cohort that is written to `{store}/phantom` before ingest; without the section, none is written.
    #[serde(default)]
    pub phantom: Option<phantom::Config>,
    /// Which scans and annotations are read, and which scans are included.
    pub ingest: ingest::Config,
    /// How the readers' marks of one nodule are joined.
    #[serde(default)]
    pub merge: merge::Config,
    /// How far readers agree.
    #[serde(default)]
    pub agree: agree::Config,
    /// How each nodule's region is cut out of its scan.
    #[serde(default)]
    pub crop: crop::Config,
    /// Which slices become samples, and how patients are split.
    #[serde(default)]
    pub balance: balance::Config,
    /// How the network is trained; without this section nothing is trained, and `infer.checkpoint` names the
    /// weights.
    #[serde(default)]
    pub train: Option<train::Config>,
    /// What is predicted, and with which weights.
    #[serde(default)]
    pub infer: infer::Config,
    /// How predictions are measured.
    #[serde(default)]
    pub evaluate: evaluate::Config,
    /// What the report is called.
    #[serde(default)]
    pub report: report::Config,
}

impl Config {
    /// Whether any cohort has images; without them the line ends at the readers' marks.
    pub fn has_images(&self) -> bool {
        self.ingest.cohorts.iter().any(|cohort| cohort.source.has_images())
    }
}

//! Settings of the stage: `[ingest]`.

use super::cohort_settings::Cohort;
use super::inclusion::Inclusion;
use nodulus_formats::dicom::{Tilt, Tolerances};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which scans and annotations are read, and which scans are included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Ingest")]
pub struct Config {
    /// Most cases of a shard, the unit of work and of commit; the cases of a patient stay together.
    #[serde(default = "default_shard_size")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub shard_size: usize,
    /// How far slices of a DICOM series may lie off an even grid before the series is refused.
    #[serde(default)]
    pub tolerances: Tolerances,
    /// What is done with slices that a tilted gantry shifts sideways: their series is refused, or each slice is moved
    /// within its plane onto an even grid.
    #[serde(default)]
    pub tilt: Tilt,
    /// Rules by which scans are excluded.
    #[serde(default)]
    pub inclusion: Inclusion,
    /// File with one series a line, as LUNA16's `seriesuids.csv`; scans of other series are excluded. The file's
    /// content, not its path, is part of the key.
    #[serde(default, skip_serializing)]
    pub series_list: Option<PathBuf>,
    /// Folder of every cohort without a `root` of its own; not part of the key.
    #[serde(default, skip_serializing)]
    pub root: Option<PathBuf>,
    /// Table of scan geometry of every `lidc_annotations` cohort without one of its own; the file's content, not
    /// its path, is part of the key.
    #[serde(default, skip_serializing)]
    pub scan_geometry: Option<PathBuf>,
    /// The cohorts, in the order of the tables.
    #[schemars(length(min = 1))]
    pub cohorts: Vec<Cohort>,
}

impl Config {
    /// How a series is read: the tolerances with what is done about a tilt.
    pub fn reading(&self) -> Tolerances {
        Tolerances { tilt: self.tilt, ..self.tolerances }
    }
}

fn default_shard_size() -> usize {
    16
}

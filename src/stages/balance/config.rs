//! Settings of the stage: `[balance]`.

use crate::tables::SplitBy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which slices become samples, and how patients are split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Balance")]
pub struct Config {
    /// Number of slices without the nodule for each slice with it.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub ratio: f64,
    /// Seed of the hash that puts patients into splits and folds.
    pub seed: u64,
    /// Unit that stays in one split.
    pub split_by: SplitBy,
    /// Whether the split of a patient stays as the cohort grows.
    pub assignment: AssignmentRule,
    /// Number of folds for cross-validation of the patients outside the test split.
    #[schemars(range(min = 1, max = 1000))]
    pub folds: usize,
    /// Source of the folds of scans in LUNA16's layout.
    pub folds_from: FoldsFrom,
    /// Shares of patients in validation and test.
    pub split: Shares,
    /// Shares of single cohorts, instead of `split`, by the cohort's name.
    pub splits: BTreeMap<String, Shares>,
}

/// How units get their splits and folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentRule {
    /// By a hash of the patient's id: shares are met on average, a patient never moves, and `test_lesions` keeps its
    /// first list.
    Stable,
    /// Shares are met exactly for the patients there are; new patients can move others.
    Exact,
}

/// Source of the folds of scans in LUNA16's layout; scans of other layouts are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoldsFrom {
    /// The folders subset0 to subset9, in a cohort that has any; a hash in other cohorts.
    Subsets,
    /// A hash of the patient's id.
    Hash,
}

/// Shares of patients; the other patients are in train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Share of patients in validation.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub validation: f64,
    /// Share of patients in test.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub test: f64,
    /// Number of lesions in test, instead of the share `test`: patients are chosen who have exactly so many
    /// together.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub test_lesions: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ratio: 1.0,
            seed: 1,
            // METHOD: not the paper's way, in which slices of one patient are learnt and scored.
            split_by: SplitBy::Patient,
            assignment: AssignmentRule::Stable,
            folds: 5,
            // METHOD: LUNA16's own cross-validation, with which published figures were made.
            folds_from: FoldsFrom::Subsets,
            split: Shares { validation: 0.1, test: 0.2, test_lesions: None },
            splits: BTreeMap::new(),
        }
    }
}

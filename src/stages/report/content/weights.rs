//! What weights were trained on.

use crate::stages::train::InitialWeights;
use serde::Serialize;
use std::collections::BTreeMap;

/// Weights that predicted, and what they were trained on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelWeights {
    /// The model; one with the weights of several folds has several rows.
    pub model_id: String,
    /// Key of the checkpoint, or of the weights from outside the store.
    pub key: String,
    /// Whether they come from outside the store.
    pub is_outside: bool,
    /// Phases of the training, in order; empty where the weights do not tell.
    pub phases: Vec<TrainedPhase>,
    /// The weights that the training started from, those that these started from, and so on; empty where there are none.
    pub initial: Vec<InitialWeights>,
    /// Patients that they learnt from, without those of the weights that they started from; none where they do not tell.
    pub n_training_patients: Option<u64>,
    /// Patients that epochs were chosen on; none where they do not tell.
    pub n_validation_patients: Option<u64>,
    /// Number of scans, by split and cohort; empty where they do not tell.
    pub n_cases: BTreeMap<String, BTreeMap<String, usize>>,
}

/// A phase of a training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrainedPhase {
    /// Its name.
    pub name: String,
    /// Its cohorts.
    pub cohorts: Vec<String>,
    /// Its epochs, at most.
    pub epochs: u64,
}

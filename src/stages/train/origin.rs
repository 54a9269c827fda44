//! What weights were made from: written into their description, and noted by whoever uses them in another store.

use super::config::Config;
use super::error::Error;
use super::examples::Selection;
use crate::stages::Task;
use crate::tables::{Sample, Split, Table};
use nodulus_store::{InputRef, JobSpec, ShardInput};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The splits that weights are learnt from or chosen by.
const SPLITS: [Split; 2] = [Split::Train, Split::Validation];

/// Name of the weights that a training starts from, among its inputs.
pub(super) const INITIAL_WEIGHTS: &str = "initial weights";

/// Weights that a training started from, and what they had learnt from in their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InitialWeights {
    /// The first digits of their content.
    pub key: String,
    /// Number of scans, by split and cohort; empty where they do not tell.
    pub n_cases: BTreeMap<String, BTreeMap<String, usize>>,
}

/// What a store notes of weights from outside it, beside their hash; no key depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsNote {
    /// The weights file when it was read; left out of the description of weights that were trained from these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What the description beside the file told; null for weights of another program.
    pub origin: Option<Origin>,
}

/// What weights were made from, as their description tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Key of the training, and of the version of the checkpoint in its store.
    pub run_id: String,
    /// Version of the program.
    pub tool_version: String,
    /// The inputs of the training.
    pub data: Vec<InputRef>,
    /// Number of cases, by split and cohort.
    pub n_cases: BTreeMap<String, BTreeMap<String, usize>>,
}

/// The content hashes of cases, by split and cohort.
type Cases = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

impl Origin {
    /// The origin in the metadata of a checkpoint; `None` where it has none.
    pub fn of(metadata: &Value) -> Option<Self> {
        let text = |key: &str| metadata.get(key)?.as_str().map(str::to_owned);
        let n_cases = metadata.get("n_cases").cloned().unwrap_or_else(|| json!({}));
        Some(Self {
            run_id: text("run_id")?,
            tool_version: text("tool_version")?,
            data: serde_json::from_value(metadata.get("data")?.clone()).ok()?,
            n_cases: serde_json::from_value(n_cases).ok()?,
        })
    }

    /// The weights that the training started from, those that these started from, and so on.
    pub fn initial(&self) -> Vec<InitialWeights> {
        let mut found = Vec::new();
        let mut inputs = self.data.clone();
        while let Some(input) = inputs.into_iter().find(|input| input.name == INITIAL_WEIGHTS) {
            let origin = WeightsNote::of(&input).and_then(|note| note.origin);
            let (data, n_cases) =
                origin.map(|origin| (origin.data, origin.n_cases)).unwrap_or_default();
            found.push(InitialWeights { key: input.key, n_cases });
            inputs = data;
        }
        found
    }
}

impl WeightsNote {
    /// The note of an input; `None` where it has none.
    pub fn of(input: &InputRef) -> Option<Self> {
        serde_json::from_value(input.note.clone()?).ok()
    }
}

/// What a training is made from, as its weights carry it: exactly what its key covers. Weights leave the house, so no path
/// goes with them.
pub(super) fn inputs(job: &JobSpec) -> Vec<InputRef> {
    let of_shard = job.shards.iter().flat_map(|shard| &shard.inputs);
    let with_note = |input: &ShardInput| {
        let of_job = job.inputs.iter().find(|of_job| of_job.name == input.name);
        let note = of_job.and_then(WeightsNote::of);
        let note = note.map(|note| json!(WeightsNote { path: None, ..note }));
        InputRef { note, ..InputRef::outside(&input.name, input.content_sha256.clone()) }
    };
    of_shard.map(with_note).collect()
}

/// A series and the content of its case.
#[derive(Debug, Deserialize)]
struct ScanContent {
    cohort: String,
    series_instance_uid: String,
    content_sha256: String,
}

/// The number of cases that weights are learnt from and chosen by, by split and cohort. Whose they are is in the list of
/// keyed hashes beside the weights.
pub(super) fn n_cases(config: &Config, task: &Task<'_>) -> Result<Value, Error> {
    let mut series: BTreeMap<(String, String), BTreeSet<Split>> = BTreeMap::new();
    let selections = config
        .phases
        .iter()
        .flat_map(|phase| SPLITS.map(|split| (split, Selection::of(config, phase, split))));
    let selections: Vec<(Split, Selection)> = selections.collect();
    for batch in task.table(Table::Samples)?.rows::<Sample>() {
        for sample in batch? {
            let splits = selections.iter().filter(|(_, selection)| selection.holds(&sample));
            let splits: Vec<Split> = splits.map(|(split, _)| *split).collect();
            let of = (sample.cohort, sample.series_instance_uid);
            series.entry(of).or_default().extend(splits);
        }
    }
    let mut cases = Cases::new();
    let columns = ["cohort", "series_instance_uid", "content_sha256"];
    for batch in task.table(Table::Scans)?.columns::<ScanContent>(&columns) {
        for scan in batch? {
            let splits = series.get(&(scan.cohort.clone(), scan.series_instance_uid));
            for split in splits.into_iter().flatten() {
                let cohorts = cases.entry(split.name().to_owned()).or_default();
                let of_cohort = cohorts.entry(scan.cohort.clone()).or_default();
                of_cohort.insert(scan.content_sha256.clone());
            }
        }
    }
    let counted = |cohorts: &BTreeMap<String, BTreeSet<String>>| -> BTreeMap<String, usize> {
        cohorts.iter().map(|(name, cases)| (name.clone(), cases.len())).collect()
    };
    let counts = cases.iter().map(|(split, cohorts)| (split, counted(cohorts)));
    Ok(json!(counts.collect::<BTreeMap<_, _>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_store::ShardSpec;
    use std::sync::Arc;

    fn input(name: &str, note: Option<&WeightsNote>) -> InputRef {
        let note = note.map(|note| json!(note));
        InputRef { name: name.to_owned(), key: "k".into(), content_sha256: "c".into(), note }
    }

    #[test]
    fn a_description_tells_of_inputs_and_cases_and_never_of_paths() {
        let before = Origin {
            run_id: "first".to_owned(),
            tool_version: "1".to_owned(),
            data: vec![input("samples", None)],
            n_cases: BTreeMap::new(),
        };
        let path = Some(PathBuf::from("/home/someone/store/model.safetensors"));
        let note = WeightsNote { path, origin: Some(before.clone()) };
        let of_job = vec![input("scans", None), input("initial weights", Some(&note))];
        let rows = InputRef::outside("training rows", "0123456789abcdef0123".to_owned());
        let shard = ShardSpec {
            config: Arc::new(Value::Null),
            decisions: Value::Null,
            inputs: [&rows, &of_job[1]].map(ShardInput::from).into(),
            cases: Vec::new(),
        };
        let data = inputs(&JobSpec {
            stage: "train",
            stage_version: 1,
            outputs: Vec::new(),
            config: Value::Null,
            inputs: of_job,
            shards: vec![shard],
        });
        assert_eq!(data[0], rows);
        let metadata = json!({
            "run_id": "second",
            "tool_version": "2",
            "data": data,
            "n_cases": {"train": {"a": 2, "b": 1}, "validation": {"a": 1}},
        });
        assert!(!metadata.to_string().contains("someone"), "{metadata}");
        let origin = Origin::of(&metadata).unwrap();
        let n = |split: &str, cohort: &str| origin.n_cases[split][cohort];
        assert_eq!([n("train", "a"), n("train", "b"), n("validation", "a")], [2, 1, 1]);
        let initial = WeightsNote::of(&origin.data[1]).unwrap();
        assert_eq!(initial, WeightsNote { path: None, origin: Some(before) });
        assert_eq!(Origin::of(&json!({"epochs": 3})), None);
        assert_eq!(Origin::of(&Value::Null), None);
    }
}

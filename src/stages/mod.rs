//! The stages, in the order that data flows through them.
//!
//! Each stage's folder has its settings in `config.rs`, and in `mod.rs` the same items in the same order:
//! `SPEC`, `run` (read → transform → write), `transform` (pure), `Error`, tests of `transform`. A new stage
//! is its folder, its lines in this file, and its section in `config.rs`.

pub mod config;
pub mod task;
pub mod spec;
mod memory;
mod scan_files;
mod nodule_slices;
mod network_input;
mod nodule_region;
pub mod ingest;
pub mod merge;
pub mod agree;
pub mod crop;
pub mod balance;
pub mod train;
pub mod infer;
pub mod evaluate;
pub mod report;

pub use scan_files::ScanFilesError;
pub(crate) use scan_files::read_scan;
use serde::Serialize;
pub use spec::{OutsideWeights, StageError, StageSpec};
pub use task::{Event, Places, Task};

/// One step of the line of stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// See [`ingest`].
    Ingest,
    /// See [`merge`].
    Merge,
    /// See [`agree`].
    Agree,
    /// See [`crop`].
    Crop,
    /// See [`balance`].
    Balance,
    /// See [`train`].
    Train,
    /// See [`infer`].
    Infer,
    /// See [`evaluate`].
    Evaluate,
    /// See [`report`].
    Report,
}

/// Every stage with its facts, in data-flow order.
const SPECS: [(Stage, &StageSpec); 9] = [
    (Stage::Ingest, &ingest::SPEC),
    (Stage::Merge, &merge::SPEC),
    (Stage::Agree, &agree::SPEC),
    (Stage::Crop, &crop::SPEC),
    (Stage::Balance, &balance::SPEC),
    (Stage::Train, &train::SPEC),
    (Stage::Infer, &infer::SPEC),
    (Stage::Evaluate, &evaluate::SPEC),
    (Stage::Report, &report::SPEC),
];

impl Stage {
    /// Every stage, in data-flow order.
    pub const ALL: [Self; SPECS.len()] = {
        let mut all = [Self::Ingest; SPECS.len()];
        let mut n = 0;
        while n < all.len() {
            all[n] = SPECS[n].0;
            n += 1;
        }
        all
    };

    /// The stage's facts and functions.
    pub const fn spec(self) -> &'static StageSpec {
        SPECS[self as usize].1
    }

    /// Name of the stage's command and of its section in a pipeline file.
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// The stage with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{Output, Table};

    #[test]
    fn every_stage_reads_only_what_earlier_stages_wrote() {
        let mut written = Vec::new();
        for stage in Stage::ALL {
            let spec = stage.spec();
            let steps = [(spec.reads, spec.writes)]
                .into_iter()
                .chain(spec.reduction.as_ref().map(|step| (step.reads, step.writes)));
            for (reads, writes) in steps {
                for output in reads {
                    assert!(
                        written.contains(output),
                        "{stage} reads {output}, which nothing wrote"
                    );
                }
                written.extend(writes);
            }
        }
        for table in Table::OF_STAGES.into_iter().filter(|table| *table != Table::Failures) {
            assert!(written.contains(&Output::Table(table)), "no stage writes {table}");
        }
    }

    #[test]
    fn names_come_back() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_name(stage.name()), Some(stage));
            assert_eq!(SPECS[stage as usize].0, stage);
            assert!(!stage.spec().writes.is_empty(), "{stage} writes nothing");
        }
    }
}

//! The stages, in the order that data flows through them.
//!
//! Each file has the same items in the same order: `READS`, `WRITES`, `VERSION`, `Config`, `run`
//! (read → transform → write), `transform` (pure), `Error`, tests of `transform`.

pub mod task;
mod memory;
pub mod ingest;
pub mod merge;
pub mod agree;
pub mod crop;
pub mod balance;
pub mod train;
pub mod infer;
pub mod evaluate;
pub mod report;

pub use task::{Event, Task};

use crate::tables::Output;
use serde::Serialize;

/// One step of the line.
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

impl Stage {
    /// Every stage, in data-flow order.
    pub const ALL: [Self; 9] = [
        Self::Ingest,
        Self::Merge,
        Self::Agree,
        Self::Crop,
        Self::Balance,
        Self::Train,
        Self::Infer,
        Self::Evaluate,
        Self::Report,
    ];

    /// Whether the stage works on images, beyond what readers drew.
    pub const fn needs_images(self) -> bool {
        !matches!(self, Self::Ingest | Self::Merge | Self::Agree)
    }

    /// Name on the command line, and of the stage's section in a pipeline file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Merge => "merge",
            Self::Agree => "agree",
            Self::Crop => "crop",
            Self::Balance => "balance",
            Self::Train => "train",
            Self::Infer => "infer",
            Self::Evaluate => "evaluate",
            Self::Report => "report",
        }
    }

    /// The stage with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// What the stage does, in one line.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Ingest => "read scans and readers' marks",
            Self::Merge => "join the readers' marks of one nodule",
            Self::Agree => "measure how far readers agree",
            Self::Crop => "cut each nodule's region out of its scan",
            Self::Balance => "choose slices and split patients",
            Self::Train => "fit the network, phase after phase",
            Self::Infer => "predict each slice",
            Self::Evaluate => "measure each prediction",
            Self::Report => "write the report",
        }
    }

    /// What the stage reads.
    pub const fn reads(self) -> &'static [Output] {
        match self {
            Self::Ingest => ingest::READS,
            Self::Merge => merge::READS,
            Self::Agree => agree::READS,
            Self::Crop => crop::READS,
            Self::Balance => balance::READS,
            Self::Train => train::READS,
            Self::Infer => infer::READS,
            Self::Evaluate => evaluate::READS,
            Self::Report => report::READS,
        }
    }

    /// What the stage writes; the first one carries its failures.
    pub const fn writes(self) -> &'static [Output] {
        match self {
            Self::Ingest => ingest::WRITES,
            Self::Merge => merge::WRITES,
            Self::Agree => agree::WRITES,
            Self::Crop => crop::WRITES,
            Self::Balance => balance::WRITES,
            Self::Train => train::WRITES,
            Self::Infer => infer::WRITES,
            Self::Evaluate => evaluate::WRITES,
            Self::Report => report::WRITES,
        }
    }

    /// Version of the stage's code; raised when its results change.
    pub const fn version(self) -> u32 {
        match self {
            Self::Ingest => ingest::VERSION,
            Self::Merge => merge::VERSION,
            Self::Agree => agree::VERSION,
            Self::Crop => crop::VERSION,
            Self::Balance => balance::VERSION,
            Self::Train => train::VERSION,
            Self::Infer => infer::VERSION,
            Self::Evaluate => evaluate::VERSION,
            Self::Report => report::VERSION,
        }
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
    use crate::tables::Table;

    #[test]
    fn every_stage_reads_only_what_earlier_stages_wrote() {
        let mut written = Vec::new();
        for stage in Stage::ALL {
            for output in stage.reads() {
                assert!(written.contains(output), "{stage} reads {output}, which nothing wrote");
            }
            written.extend(stage.writes());
        }
        for table in Table::OF_STAGES.into_iter().filter(|table| *table != Table::Failures) {
            assert!(written.contains(&Output::Table(table)), "no stage writes {table}");
        }
    }

    #[test]
    fn names_come_back() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_name(stage.name()), Some(stage));
            assert!(!stage.writes().is_empty(), "{stage} writes nothing");
        }
    }
}

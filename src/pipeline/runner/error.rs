//! Why a run stopped.

use super::{can_be_kept, maker};
use crate::byte_size::text as bytes;
use crate::phantom;
use crate::pipeline::{outside_weights, preprocessing, sources};
use crate::stages::{Stage, StageError};
use crate::tables::Output;
use nodulus_store::{FaultClass, Setback};
use std::io;
use std::path::PathBuf;

/// A run stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pipeline file neither trains weights nor names any.
    #[error(
        "nothing trains the weights that infer needs: add a `[train]` section, name weights, as in \
         `infer.checkpoint = \"store/demo\"`, or stop before infer with `--to balance`"
    )]
    NoWeights,
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// The sources could not be listed.
    #[error(transparent)]
    Sources(#[from] sources::Error),
    /// The synthetic cohort cannot be written.
    #[error(transparent)]
    Phantom(#[from] phantom::Error),
    /// A setting has no JSON form.
    #[error("settings of {stage} cannot be written as JSON")]
    Settings {
        /// The stage.
        stage: Stage,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// An input is missing.
    #[error("{stage} needs `{output}`, which is not in store `{store}`: run {maker} first")]
    InputMissing {
        /// The stage.
        stage: Stage,
        /// Its input.
        output: Output,
        /// The store.
        store: PathBuf,
        /// The stage that makes the input.
        maker: Stage,
    },
    /// Two inputs do not belong together.
    #[error(
        "{stage} cannot join `{made}` and `{of}`: `{made}` was made from another version of `{of}`; run {} first{}",
        maker(*made), or_keep(maker(*made))
    )]
    Mixed {
        /// The stage.
        stage: Stage,
        /// The older output.
        made: Output,
        /// What it was made from.
        of: Output,
    },
    /// A stage's outputs cannot be kept, because there are none.
    #[error(
        "`--keep {stage}`: store `{store}` has no outputs of {stage} that could be kept; run it once without `--keep {stage}`"
    )]
    NothingToKeep {
        /// The stage.
        stage: Stage,
        /// The store.
        store: PathBuf,
    },
    /// Weights from outside the store cannot be read.
    #[error(transparent)]
    Weights(#[from] outside_weights::Error),
    /// The settings and the weights say different things of the regions, or neither says enough.
    #[error(transparent)]
    Preprocessing(#[from] preprocessing::Error),
    /// The disk has too little space for what a run would write.
    #[error(
        "no room for the outputs: about {} are to be written and {} are free on the disk of store `{store}`; free some, as with \
         `nodulus gc --store {store}`, or choose another disk with `--store`",
        bytes(*needed), bytes(*free)
    )]
    NoRoom {
        /// The store.
        store: PathBuf,
        /// Bytes that are to be written.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A stage left shards undone.
    #[error(
        "{stage} left {n_shards} of {n_all} shards undone, as no result of theirs can be trusted{}: {}; run it again to go on, \
         only these are made then",
        bug_text(*is_bug),
        causes.join("; ")
    )]
    SetBack {
        /// The stage.
        stage: Stage,
        /// Number of shards that are left.
        n_shards: usize,
        /// Number of all shards.
        n_all: usize,
        /// The cases and their causes, the first few.
        causes: Vec<String>,
        /// Whether the program itself is at fault in one of them.
        is_bug: bool,
    },
    /// The disk is full, and nothing is known of what a run would write.
    #[error(
        "the disk of store `{store}` is full: nothing can be written to it; free some space, as with `nodulus gc --store {store}`, \
         or choose another disk with `--store`"
    )]
    DiskFull {
        /// The store.
        store: PathBuf,
    },
    /// A stage did not commit all shards.
    #[error("{stage} ended before all of its shards were made; run it again to go on")]
    Undone {
        /// The stage.
        stage: Stage,
    },
    /// Shards of a stage that is committed are missing.
    #[error("{stage} lacks {} of its shards", missing.len())]
    ShardsMissing {
        /// The stage.
        stage: Stage,
        /// Their positions.
        missing: Vec<usize>,
    },
    /// A stage has another number of shards than its plan.
    #[error("{stage} has {found} shards, expected {expected} as in the plan; make the plan again")]
    OtherShards {
        /// The stage.
        stage: Stage,
        /// Number of its shards.
        found: usize,
        /// Number of shards of the plan.
        expected: usize,
    },
    /// A stage stopped.
    #[error("{stage} stopped")]
    Stage {
        /// The stage.
        stage: Stage,
        /// Why.
        source: StageError,
    },
}

impl Error {
    /// The error of a stage that left shards undone.
    pub(super) fn set_back(stage: Stage, n_all: usize, left: &[Setback]) -> Self {
        let cases = || left.iter().flat_map(|setback| &setback.cases);
        let is_bug = cases().any(|case| case.class == FaultClass::Bug);
        let mut causes: Vec<String> = cases()
            .take(MOST_CAUSES)
            .map(|case| format!("`{}`: {}", case.case_id, case.cause))
            .collect();
        let n_more = cases().count().saturating_sub(MOST_CAUSES);
        if n_more > 0 {
            causes.push(format!("and {n_more} more"));
        }
        Self::SetBack { stage, n_shards: left.len(), n_all, causes, is_bug }
    }
}

/// Most cases that a message names.
const MOST_CAUSES: usize = 3;

fn bug_text(is_bug: bool) -> &'static str {
    if is_bug { " (the program itself failed: please report it)" } else { "" }
}

/// How to go on with older outputs of a stage, where that is possible.
fn or_keep(stage: Stage) -> String {
    if can_be_kept(stage) && stage != Stage::Ingest {
        return format!(", or go on with it as it is: `nodulus run --keep {stage}`");
    }
    String::new()
}

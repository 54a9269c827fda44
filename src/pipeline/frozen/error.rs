//! Why a plan cannot be made or worked by.

use super::ShardList;
use crate::pipeline::{config, runner, sources};
use crate::stages::Stage;
use std::io;
use std::path::PathBuf;

/// A plan cannot be made or worked by.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no plan.
    #[error("there is no plan `{path}`: make one with `nodulus plan PIPELINE -o {path}`")]
    Missing {
        /// Its file.
        path: PathBuf,
    },
    /// A plan was changed by hand.
    #[error(
        "`{path}` was changed since it was made: its content has the key {of_content}, expected {key}; make a new plan with \
         `nodulus plan`"
    )]
    Changed {
        /// Its file.
        path: PathBuf,
        /// The key that it states.
        key: String,
        /// The key of its content.
        of_content: String,
    },
    /// A plan is of another program.
    #[error(
        "`{path}` was made by another program, nodulus {version} with other stages or tables than this one's: work with the \
         program that made it, or make a new plan with `nodulus plan`"
    )]
    OtherProgram {
        /// Its file.
        path: PathBuf,
        /// The version of the program.
        version: String,
    },
    /// The store lacks a file of the plan.
    #[error(
        "`{path}` is missing: store and plan {key} do not belong together, or a file was deleted; make the plan again"
    )]
    FileMissing {
        /// The file.
        path: PathBuf,
        /// The plan.
        key: String,
    },
    /// A file of the plan in the store was changed.
    #[error("`{path}` is not what the plan was made with; make the plan again")]
    FileChanged {
        /// The file.
        path: PathBuf,
    },
    /// A table that the settings name was changed.
    #[error("the table of `{setting}` was changed since the plan was made; make the plan again")]
    TableChanged {
        /// The setting.
        setting: &'static str,
    },
    /// The folder from which relative paths start is not there.
    #[error(
        "the plan was made in `{directory}`, from which its relative paths start; this machine has no such folder"
    )]
    Directory {
        /// The folder.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The plan does not have a stage.
    #[error("the plan has no {stage}; its stages are {}", stages.join(", "))]
    NoSuchStage {
        /// The stage that was asked for.
        stage: Stage,
        /// The stages of the plan.
        stages: Vec<String>,
    },
    /// A stage does not have a shard.
    #[error("{stage} has no shard {shard}; its shards are 0 to {}", n_shards.saturating_sub(1))]
    NoSuchShard {
        /// The stage.
        stage: Stage,
        /// The shard that was asked for.
        shard: usize,
        /// Number of its shards.
        n_shards: usize,
    },
    /// An earlier stage is not committed.
    #[error(
        "{stage} needs what {earlier} makes, which is not committed yet: `nodulus commit --plan PLAN --stage {earlier}`"
    )]
    NotCommitted {
        /// The stage that was asked for.
        stage: Stage,
        /// The stage before it.
        earlier: Stage,
    },
    /// Shards of a stage are missing.
    #[error("{stage} lacks {} of {n_shards} shards: {}{}", missing.len(), named(missing), joined(causes))]
    ShardsMissing {
        /// The stage.
        stage: Stage,
        /// The shards.
        missing: Vec<usize>,
        /// Number of its shards.
        n_shards: usize,
        /// Why some of them could not be made.
        causes: Vec<String>,
    },
    /// The sources cannot be listed.
    #[error(transparent)]
    Sources(#[from] sources::Error),
    /// The settings cannot be read.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// A stage stopped.
    #[error(transparent)]
    Run(#[from] runner::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// A list of cases is not JSON.
    #[error("a list of the plan's cases cannot be read or written")]
    Json(#[from] serde_json::Error),
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// Whether the same command may succeed later: shards are missing or were left by a fault of the machine.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::ShardsMissing { .. } | Self::NotCommitted { .. } => true,
            Self::Run(runner::Error::SetBack { is_bug, .. }) => !is_bug,
            Self::Sources(error) => error.is_passing(),
            _ => false,
        }
    }
}

/// Most shards that a message names.
const MOST: usize = 20;

fn named(missing: &[usize]) -> String {
    let ranges = ShardList::new(missing).ranges();
    let more = if ranges.len() > MOST { " and more" } else { "" };
    ranges[..ranges.len().min(MOST)].join(",") + more
}

fn joined(causes: &[String]) -> String {
    if causes.is_empty() {
        return String::new();
    }
    format!("; {}", causes.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_first_ranges() {
        assert_eq!(named(&[0, 1, 2, 5]), "0-2,5");
        let many: Vec<usize> = (0..100).step_by(2).collect();
        assert!(named(&many).ends_with("36,38 and more"), "{}", named(&many));
    }
}

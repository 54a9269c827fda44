//! Arguments of the commands that read a pipeline file.

use clap::Args;
use std::path::PathBuf;

/// A pipeline file and changes to it.
#[derive(Debug, Args)]
pub(super) struct PipelineArguments {
    /// Pipeline file
    pub(super) pipeline: PathBuf,
    /// Folder of the store; overrides the pipeline file
    #[arg(long, value_name = "DIR")]
    pub(super) store: Option<PathBuf>,
    /// Setting that overrides the pipeline file's; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
}

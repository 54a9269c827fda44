//! Arguments of the commands that read a pipeline file.

use clap::Args;
use std::path::PathBuf;

/// The argument that allows predictions for patients that the weights saw.
#[derive(Debug, Args)]
pub(super) struct TrainingPatientsArgument {
    /// Predict patients that the weights were trained or validated on too; tables, report and messages then say so
    #[arg(long)]
    allow_training_patients: bool,
}

impl TrainingPatientsArgument {
    /// The settings of the command line, with what the argument stands for.
    pub(super) fn sets(&self, sets: &[String], section: &str) -> Vec<String> {
        let own = format!("{section}.allow_training_patients=true");
        sets.iter().cloned().chain(self.allow_training_patients.then_some(own)).collect()
    }
}

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

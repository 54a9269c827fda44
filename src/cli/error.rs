//! How a command ends.

use crate::compare::{detections, masks, nodule_table, nodules};
use crate::nightly;
use crate::pipeline::{config, experiment, export, frozen, runner};
use nodulus_faults::Panicked;
use std::io;

/// How a command ended; the number is the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All went well.
    Success = 0,
    /// An error stopped the command.
    Stopped = 1,
    /// The command asks for something that is not possible.
    Usage = 2,
    /// The command finished, and some cases failed.
    FailedCases = 3,
    /// A part of a plan is not done, and may be when it is tried again (`EX_TEMPFAIL` of sysexits.h).
    TryAgain = 75,
}

/// An error that stops a command.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Run(#[from] runner::Error),
    #[error(transparent)]
    Plan(#[from] frozen::Error),
    #[error(transparent)]
    Experiment(#[from] experiment::Error),
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    #[error(transparent)]
    Phantom(#[from] crate::phantom::Error),
    #[error(transparent)]
    DataManifest(#[from] nodulus_formats::data_manifest::Error),
    #[error(transparent)]
    Model(#[from] nodulus_nets::Error),
    #[error(transparent)]
    Export(#[from] export::Error),
    #[error(transparent)]
    NoduleTable(#[from] nodule_table::Error),
    #[error(transparent)]
    Masks(#[from] masks::Error),
    #[error(transparent)]
    Detections(#[from] detections::Error),
    #[error(transparent)]
    Detectors(#[from] nightly::detectors::Error),
    #[error(transparent)]
    Comparison(#[from] nodules::NoCommonCoordinates),
    #[error(transparent)]
    ScoreStatus(#[from] nightly::run::Error),
    /// In words that quote nothing of the input.
    #[error("{0}")]
    Score(String),
    #[cfg(feature = "sql")]
    #[error(transparent)]
    Sql(#[from] nodulus_sql::Error),
    /// A panic that no case accounts for.
    #[error(transparent)]
    Bug(Panicked),
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// Whether the reader of the output has stopped.
    pub(super) fn is_broken_pipe(&self) -> bool {
        let kind = match self {
            Self::Io(error) => Some(error.kind()),
            Self::Json(error) => error.io_error_kind(),
            _ => None,
        };
        kind == Some(io::ErrorKind::BrokenPipe)
    }

    /// The outcome that this error leads to.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Config(_)
            | Self::Usage(_)
            | Self::Phantom(crate::phantom::Error::Setting { .. }) => Outcome::Usage,
            Self::Plan(error) if error.is_passing() => Outcome::TryAgain,
            Self::Experiment(error) if error.is_choice() => Outcome::Usage,
            Self::Export(error) if error.is_choice() => Outcome::Usage,
            Self::NoduleTable(error) if error.is_choice() => Outcome::Usage,
            _ => Outcome::Stopped,
        }
    }

    /// The error and its causes on one line; a cause that the line already says is not repeated.
    pub(super) fn message(&self) -> String {
        let mut text = format!("error: {self}");
        let mut source = std::error::Error::source(self);
        while let Some(inner) = source {
            let inner_text = inner.to_string();
            if !text.contains(&inner_text) {
                text.push_str(": ");
                text.push_str(&inner_text);
            }
            source = inner.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_each_cause_once() {
        let inner = io::Error::other("disk full");
        let error = Error::from(nodulus_store::Error::Io(inner));
        assert_eq!(error.message(), "error: disk full");
    }
}

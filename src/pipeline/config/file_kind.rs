//! The kinds of files with settings, so that a file that is given to another command is recognised.

use super::Error;
use nodulus_settings::{Place, SettingsFile};
use std::path::Path;

/// A kind of file with settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A pipeline.
    Pipeline,
    /// A nightly job.
    Nightly,
    /// An experiment.
    Experiment,
}

impl FileKind {
    const ALL: [Self; 3] = [Self::Pipeline, Self::Nightly, Self::Experiment];

    /// Keys that no other kind of file has.
    const fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::Pipeline => &["ingest"],
            Self::Nightly => &["score"],
            Self::Experiment => &["rows", "pipeline"],
        }
    }

    /// What it is, and the command that reads it.
    const fn name_and_command(self) -> (&'static str, &'static str) {
        match self {
            Self::Pipeline => ("a pipeline file", "nodulus run"),
            Self::Nightly => ("a nightly file", "nodulus score"),
            Self::Experiment => ("an experiment file", "nodulus experiment"),
        }
    }
}

/// Reads the text of a file of a kind.
///
/// # Errors
///
/// Fails if the file cannot be read, is not TOML or is of another kind.
pub fn open(path: &Path, kind: FileKind) -> Result<SettingsFile, Error> {
    let file = SettingsFile::open(path)?;
    let is = |kind: FileKind| kind.own_keys().iter().any(|key| file.has(key));
    match FileKind::ALL.into_iter().find(|other| is(*other)) {
        Some(other) if !is(kind) => {
            let (name, command) = other.name_and_command();
            let message = format!("this is {name}: use `{command} {}`", path.display());
            Err(Error::Invalid { place: Place::whole(path), message })
        }
        _ => Ok(file),
    }
}

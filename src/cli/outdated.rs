//! Warnings about tables that are older than what they were made from, or lack files.

use super::error::Error;
use crate::pipeline::outdated::{Outdated, outdated};
use crate::tables::Output;
use nodulus_store::Store;
use std::fmt::Display;
use std::io::{self, Write as _};

/// Those of some outputs that are older than what they were made from.
pub(super) fn among(store: &Store, outputs: &[Output]) -> Result<Vec<Outdated>, Error> {
    let names: Vec<&str> = outputs.iter().map(|output| output.name()).collect();
    let mut found = outdated(store)?;
    found.retain(|outdated| names.contains(&outdated.output.as_str()));
    Ok(found)
}

/// Fails if a file of the current versions is missing.
pub(super) fn check_files(store: &Store, outputs: &[Output]) -> Result<(), Error> {
    for output in outputs {
        if let Some(version) = store.current(*output)? {
            version.check_files()?;
        }
    }
    Ok(())
}

/// Writes a line for each on standard error, which programs do not read.
pub(super) fn warn(lines: impl IntoIterator<Item = impl Display>) {
    for line in lines {
        // The command goes on where standard error is closed.
        let _ = writeln!(io::stderr(), "warning: {line}");
    }
}

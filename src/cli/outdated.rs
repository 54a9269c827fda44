//! Warnings about tables that are older than what they were made from, or lack files.

use super::error::Error;
use super::printable::printable;
use crate::tables::Output;
use nodulus_store::Store;
use std::fmt::Display;
use std::io::{self, Write as _};

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
        let _ = writeln!(io::stderr(), "warning: {}", printable(&line.to_string()));
    }
}

//! The table `scores`: a view of the records, brought up to date a day at a time.

use super::ledger::Ledger;
use crate::tables::parquet::{self, Provenance};
use crate::tables::partitions::Partitions;
use crate::tables::{Score, Table, manifest};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// What a file of the table says that it is made of.
const RECORDS: &str = "records";

/// The table could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A record could not be read.
    #[error(transparent)]
    Record(#[from] manifest::Error),
    /// A file could not be written.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
}

/// Writes the rows of some days anew.
pub(super) fn write(store: &Path, ledger: &Ledger, days: &BTreeSet<String>) -> Result<(), Error> {
    let Some(table) = Partitions::of(store, Table::Scores) else { return Ok(()) };
    for day in days {
        let made = Provenance::from([(RECORDS.to_owned(), ledger.made_on(day))]);
        table.write::<Score>(day, ledger.rows_on(day)?, &made)?;
    }
    Ok(())
}

/// The days whose rows are not those of the records: a run ended before it wrote them, or a file is
/// damaged, of another version, or gone.
pub(super) fn lagging(store: &Path, ledger: &Ledger) -> BTreeSet<String> {
    let Some(table) = Partitions::of(store, Table::Scores) else { return BTreeSet::new() };
    let is_as_made = |day: &String| table.provenance(day, RECORDS) == Some(ledger.made_on(day));
    ledger.days().into_iter().filter(|day| !is_as_made(day)).collect()
}

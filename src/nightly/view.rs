//! The tables `scores`, `growth` and `drift`: views of the records, brought up to date a day at a time.

use super::drift::{self, Measured};
use super::ledger::Ledger;
use super::model::Model;
use crate::tables::parquet::{self, Provenance};
use crate::tables::partitions::Partitions;
use crate::tables::store::{self, Store};
use crate::tables::{Drift, Growth, Row, Score, manifest};
use fs_err as fs;
use nodulus_nets::TrainingProfile;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// What a file of a table says that it is made of.
const RECORDS: &str = "records";

/// Folder of what models were trained on, in the store.
const MODELS: &str = "models";

/// The tables could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A record could not be read.
    #[error(transparent)]
    Record(#[from] manifest::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A file could not be written.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
}

/// The tables of a store, and what its models were trained on.
pub(super) struct Views<'a> {
    pub(super) store: &'a Store,
    /// By model.
    pub(super) profiles: BTreeMap<String, TrainingProfile>,
}

impl<'a> Views<'a> {
    /// Reads what the models of earlier nights were trained on, and keeps this one's.
    pub(super) fn open(store: &'a Store, model: &Model) -> Result<Self, Error> {
        let folder = Path::new(MODELS);
        if let Some(profile) = &model.profile {
            let name = folder.join(format!("{}.json", model.name.id));
            if store.read_record::<TrainingProfile>(&name)?.as_ref() != Some(profile) {
                store.write_record(&name, profile)?;
            }
        }
        let mut profiles = BTreeMap::new();
        for path in json_files(&store.root().join(MODELS))? {
            if let (Some(id), Some(profile)) = (path.file_stem(), manifest::read(&path)?) {
                profiles.insert(id.to_string_lossy().into_owned(), profile);
            }
        }
        Ok(Self { store, profiles })
    }

    /// Writes the rows of some days anew.
    pub(super) fn write(&self, ledger: &Ledger, days: &BTreeSet<String>) -> Result<(), Error> {
        for day in days {
            let made = Provenance::from([(RECORDS.to_owned(), ledger.made_on(day))]);
            let scores = ledger.rows_on(day)?;
            let current = scores.iter().filter(|row| !row.superseded);
            let measured: Vec<Measured> = current.map(|row| Measured::of(day, row)).collect();
            self.put(day, drift::by_night(&measured, &self.profiles), &made)?;
            self.put(day, ledger.growth_on(day)?, &made)?;
            // Last, as it tells whether the day's tables are as the records.
            self.put(day, scores, &made)?;
        }
        Ok(())
    }

    fn put<R: Row>(&self, day: &str, rows: Vec<R>, made: &Provenance) -> Result<(), Error> {
        if let Some(table) = Partitions::of(self.store.root(), R::TABLE) {
            table.write(day, rows, made)?;
        }
        Ok(())
    }

    /// The days whose rows are not those of the records: a run ended before it wrote them, or a file is
    /// damaged, of another version, or gone.
    pub(super) fn lagging(&self, ledger: &Ledger) -> BTreeSet<String> {
        let is_as_made = |day: &str| {
            let made = Some(ledger.made_on(day));
            [Score::TABLE, Growth::TABLE, Drift::TABLE].into_iter().all(|table| {
                let table = Partitions::of(self.store.root(), table);
                table.and_then(|table| table.provenance(day, RECORDS)) == made
            })
        };
        ledger.days().filter(|day| !is_as_made(day)).cloned().collect()
    }
}

fn json_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = entries.map(|e| Ok(e?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}

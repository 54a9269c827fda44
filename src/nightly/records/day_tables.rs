//! The tables `scores`, `score_exclusions`, `growth`, `drift` and `receipts`, which are made of the records, a file for each
//! day.

use super::ledger::{DayRows, Ledger};
use crate::nightly::follow_up::drift::{self, NoduleMeasurements};
use crate::nightly::scan::model::LoadedModel;
use crate::tables::{Drift, Growth, Receipt, Score, ScoreExclusion};
use fs_err as fs;
use nodulus_faults::quoted;
use nodulus_nets::TrainingProfile;
use nodulus_store::{Partitions, Provenance, Row, Store, TableSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Key under which a table's file keeps the hash of the records that it is made of.
const RECORDS: &str = "records";

/// Folder in the store of the profiles of models' training cohorts.
const MODELS: &str = "models";

/// The tables could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
}

/// The tables of a store, and the training cohorts of its models.
pub(crate) struct DayTables<'a> {
    pub(crate) store: &'a Store,
    /// Profiles of training cohorts, by model.
    pub(crate) profiles: BTreeMap<String, TrainingProfile>,
}

impl<'a> DayTables<'a> {
    /// Reads the profiles of earlier models, and keeps the profile of this one.
    pub(crate) fn open(store: &'a Store, model: &LoadedModel) -> Result<Self, Error> {
        let folder = Path::new(MODELS);
        if let Some(profile) = &model.profile {
            let name = folder.join(format!("{}.json", model.name.id));
            if store.read_record_if_whole::<TrainingProfile>(&name)?.as_ref() != Some(profile) {
                store.write_record(&name, profile)?;
            }
        }
        let mut profiles = BTreeMap::new();
        for path in json_files(&store.root().join(MODELS))? {
            let name = folder.join(path.file_name().unwrap_or_default());
            let profile = store.read_record_if_whole(&name)?;
            if let (Some(id), Some(profile)) = (path.file_stem(), profile) {
                profiles.insert(id.to_string_lossy().into_owned(), profile);
            }
        }
        Ok(Self { store, profiles })
    }

    /// Rewrites the tables of some days. Drift is of the night of scoring, the other tables of the day that results name.
    pub(crate) fn write(&self, ledger: &Ledger, days: &BTreeSet<String>) -> Result<(), Error> {
        let made_of = |hash: String| Provenance::from([(RECORDS.to_owned(), hash)]);
        for night in ledger.nights().filter(|night| days.contains(*night)) {
            let rows = ledger.rows_of_night(night)?;
            let measured: Vec<NoduleMeasurements> =
                rows.iter().map(|row| NoduleMeasurements::of(night, row)).collect();
            let drift = drift::by_night(&measured, &self.profiles);
            self.put(night, drift, &made_of(ledger.hash_of_night(night)))?;
        }
        for day in ledger.days().filter(|day| days.contains(*day)) {
            let provenance = made_of(ledger.hash_of_day(day));
            let DayRows { scores, exclusions } = ledger.rows_on(day)?;
            self.put(day, ledger.growth_on(day)?, &provenance)?;
            self.put(day, exclusions, &provenance)?;
            self.put(day, scores, &provenance)?;
        }
        Ok(())
    }

    /// Rewrites `receipts` of some days.
    pub(crate) fn write_receipts(
        &self,
        ledger: &Ledger,
        days: &BTreeSet<String>,
    ) -> Result<(), Error> {
        for day in days {
            let made_of = Provenance::from([(RECORDS.to_owned(), ledger.hash_of_receipts(day))]);
            self.put(day, ledger.receipts_on(day)?, &made_of)?;
        }
        Ok(())
    }

    /// The days whose file of `receipts` is not made of the current records.
    pub(crate) fn outdated_receipts(&self, ledger: &Ledger) -> BTreeSet<String> {
        let table = Partitions::of(self.store.root(), Receipt::TABLE);
        let made_of = |day: &str| table.as_ref()?.provenance(day, RECORDS);
        let is_current = |day: &str| made_of(day) == Some(ledger.hash_of_receipts(day));
        ledger.receipt_days().filter(|day| !is_current(day)).cloned().collect()
    }

    fn put<R: Row>(&self, day: &str, rows: Vec<R>, provenance: &Provenance) -> Result<(), Error> {
        if let Some(table) = Partitions::of(self.store.root(), R::TABLE) {
            table.write(day, rows, provenance)?;
        }
        Ok(())
    }

    /// The days whose tables are not made of the current records: a run ended before it wrote them, or a
    /// file is damaged, missing or of another version.
    pub(crate) fn outdated(&self, ledger: &Ledger) -> BTreeSet<String> {
        let is_made_of = |table: &'static TableSpec, day: &str, records: &str| {
            let table = Partitions::of(self.store.root(), table);
            table.and_then(|table| table.provenance(day, RECORDS)).as_deref() == Some(records)
        };
        let is_day_current = |day: &str| {
            let records = ledger.hash_of_day(day);
            let tables = [Score::TABLE, ScoreExclusion::TABLE, Growth::TABLE];
            tables.into_iter().all(|table| is_made_of(table, day, &records))
        };
        let is_night_current =
            |night: &str| is_made_of(Drift::TABLE, night, &ledger.hash_of_night(night));
        let days = ledger.days().filter(|day| !is_day_current(day));
        days.chain(ledger.nights().filter(|night| !is_night_current(night))).cloned().collect()
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

//! The records of a store: one for each series, `STORE/series/<2 digits>/<hash>.json`.
//!
//! A record is the source of truth for its series. It is written atomically, after everything that it
//! refers to. The tables are made of the records.

use super::entry::{ComparedResult, LedgerEntry, SeriesState};
use super::record::{Attempt, SeriesRecord};
use crate::nightly::follow_up::growth::{self, MatchingRule};
use crate::nightly::follow_up::reconstruction::{ComparedSeries, VisitPair, visit_pairs};
use crate::nightly::follow_up::scan::FollowUpScan;
use crate::tables::{Growth, Receipt, Score, ScoreExclusion};
use fs_err as fs;
use nodulus_store::{Damage, Error, Store, damage, durable, hash, record};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Folder of the records in the store.
const FOLDER: &str = "series";

/// The records of a store.
#[derive(Debug)]
pub(crate) struct Ledger {
    store: PathBuf,
    /// Records that cannot be read, and what is wrong with them. A new result of the series takes the place of one.
    damaged: BTreeMap<PathBuf, Damage>,
    entries: BTreeMap<String, LedgerEntry>,
    /// Series by patient.
    patients: BTreeMap<String, BTreeSet<String>>,
    /// Series by day with a result.
    days: BTreeMap<String, BTreeSet<String>>,
    /// Series by day with a receipt.
    receipt_days: BTreeMap<String, BTreeSet<String>>,
    /// Series by night with a result.
    nights: BTreeMap<String, BTreeSet<String>>,
}

/// The rows of a day that each stand in one record.
#[derive(Debug, Default)]
pub(super) struct DayRows {
    pub(super) scores: Vec<Score>,
    pub(super) exclusions: Vec<ScoreExclusion>,
}

impl Ledger {
    /// Reads the records of a store. `outputs` is the folder of the results' files, which are looked for.
    ///
    /// # Errors
    ///
    /// Fails if the machine does not let a record be read. One that is damaged is left out and listed.
    pub(crate) fn open(store: &Path, outputs: Option<&Path>) -> Result<Self, Error> {
        let paths = record_paths(store)?;
        let read = |path: &PathBuf| -> Result<Found, Error> {
            let record = match record::read::<SeriesRecord>(path) {
                Ok(Some(record)) if path_of(store, &record.id) == *path => record,
                Ok(Some(_)) => {
                    return Ok(Err(Damage::new(path, "is the record of another series")));
                }
                Ok(None) => return Ok(Ok(None)),
                Err(error) => return damage::of_error(path, error).map(Err),
            };
            let result = record.current_result();
            let lacks_files = outputs.zip(result).is_some_and(|(base, r)| r.lacks_files(base));
            let entry = LedgerEntry::of(&record).map(|entry| LedgerEntry { lacks_files, ..entry });
            Ok(Ok(entry.map(|entry| (record.id, entry))))
        };
        let found: Vec<_> = paths.par_iter().map(read).collect::<Result<_, _>>()?;
        let mut ledger = Self {
            store: store.to_owned(),
            damaged: BTreeMap::new(),
            entries: BTreeMap::new(),
            patients: BTreeMap::new(),
            days: BTreeMap::new(),
            receipt_days: BTreeMap::new(),
            nights: BTreeMap::new(),
        };
        for found in found {
            match found {
                Ok(Some((id, entry))) => drop(ledger.insert(id, entry)),
                Ok(None) => {}
                Err(damage) => drop(ledger.damaged.insert(damage.path.clone(), damage)),
            }
        }
        Ok(ledger)
    }

    /// The records that cannot be read, and have not been replaced.
    pub(crate) fn damaged(&self) -> impl Iterator<Item = &Damage> {
        self.damaged.values()
    }

    /// Puts an entry in; returns the one before.
    fn insert(&mut self, id: String, entry: LedgerEntry) -> Option<LedgerEntry> {
        let previous = self.take(&id);
        if let Some(patient) = entry.patient() {
            self.patients.entry(patient.to_owned()).or_default().insert(id.clone());
        }
        for day in entry.hashes_by_day.keys() {
            self.days.entry(day.clone()).or_default().insert(id.clone());
        }
        for day in entry.receipt_hashes_by_day.keys() {
            self.receipt_days.entry(day.clone()).or_default().insert(id.clone());
        }
        for night in entry.hashes_by_night.keys() {
            self.nights.entry(night.clone()).or_default().insert(id.clone());
        }
        self.entries.insert(id, entry);
        previous
    }

    /// Takes an entry out.
    fn take(&mut self, id: &str) -> Option<LedgerEntry> {
        let entry = self.entries.remove(id)?;
        if let Some(patient) = entry.patient() {
            unlist(&mut self.patients, patient, id);
        }
        for day in entry.hashes_by_day.keys() {
            unlist(&mut self.days, day, id);
        }
        for day in entry.receipt_hashes_by_day.keys() {
            unlist(&mut self.receipt_days, day, id);
        }
        for night in entry.hashes_by_night.keys() {
            unlist(&mut self.nights, night, id);
        }
        Some(entry)
    }

    /// Removes the files of interrupted writes.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub(crate) fn remove_unfinished(&self) -> Result<(), Error> {
        let folders = folders(&self.store)?;
        Ok(folders.iter().try_for_each(|folder| durable::remove_unfinished(folder))?)
    }

    /// What is known of a series; `None` where it has no record.
    pub(crate) fn entry(&self, id: &str) -> Option<&LedgerEntry> {
        self.entries.get(id)
    }

    /// The state of a series; `None` where it has no record.
    pub(crate) fn state(&self, id: &str) -> Option<&SeriesState> {
        self.entries.get(id).map(|entry| &entry.state)
    }

    /// The series and their states, by id.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&String, &SeriesState)> {
        self.entries.iter().map(|(id, entry)| (id, &entry.state))
    }

    /// The series with what is known of them, by id.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &LedgerEntry)> {
        self.entries.iter()
    }

    /// Whether a result names another identity than this one.
    ///
    /// # Errors
    ///
    /// Fails if a record cannot be read.
    pub(super) fn has_other_identity(&self, fingerprint: &str) -> Result<bool, Error> {
        for (id, entry) in &self.entries {
            if entry.has_result && self.read(id)?.has_other_identity(fingerprint) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The record of a series; an empty one where there is none.
    ///
    /// # Errors
    ///
    /// Fails if the record cannot be read.
    pub(crate) fn read(&self, id: &str) -> Result<SeriesRecord, Error> {
        let path = self.path(id);
        let is_damaged = self.damaged.contains_key(&path);
        let record = if is_damaged { None } else { record::read(&path)? };
        Ok(record.unwrap_or_else(|| SeriesRecord { id: id.to_owned(), ..SeriesRecord::default() }))
    }

    /// Writes a record; returns the days and nights whose rows it changes.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub(crate) fn write(&mut self, record: &SeriesRecord) -> Result<BTreeSet<String>, Error> {
        let path = self.path(&record.id);
        if self.damaged.remove(&path).is_some() {
            Store::open(&self.store)?.set_aside(&path)?;
        }
        record::write(&path, record)?;
        let previous = match LedgerEntry::of(record) {
            Some(entry) => self.insert(record.id.clone(), entry),
            None => self.take(&record.id),
        };
        let mut days = BTreeSet::new();
        let entries = previous.iter().chain(self.entries.get(&record.id));
        for patient in entries.filter_map(LedgerEntry::patient) {
            // Rows of growth stand on the day of the later one of two results; which two depends on all.
            let others = self.compared(patient).map(|(_, other)| other.scored_on.clone());
            days.extend(others);
        }
        let (by_day, by_night) =
            previous.map(|entry| (entry.hashes_by_day, entry.hashes_by_night)).unwrap_or_default();
        let now = [(by_day, record.hashes_by_day()), (by_night, record.hashes_by_night())];
        for (before, now) in now {
            let all = before.keys().chain(now.keys());
            days.extend(all.filter(|day| before.get(*day) != now.get(*day)).cloned());
        }
        Ok(days)
    }

    /// The compared results of a patient, by series.
    fn compared<'a>(
        &'a self,
        patient: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a ComparedResult)> {
        let ids = self.patients.get(patient).into_iter().flatten();
        ids.filter_map(|id| Some((id, self.entries.get(id)?.compared.as_ref()?)))
    }

    /// How many other series of a scan's patient have a result with another `PatientName`.
    pub(crate) fn n_other_names(&self, scan: &FollowUpScan) -> usize {
        let Some(name) = &scan.patient_name else { return 0 };
        let is_other = |(id, of): &(&String, &ComparedResult)| {
            **id != scan.series_instance_uid
                && of.patient_name.as_ref().is_some_and(|other| other != name)
        };
        self.compared(&scan.patient_id).filter(is_other).count()
    }

    /// The compared results under a `PatientID`, those of each patient together.
    ///
    /// METHOD: an id of two issuers is of two patients (PS3.3, C.7.1.1); a result without an issuer is of neither of them then, and
    /// of the one issuer otherwise.
    fn by_issuer<'a>(&'a self, patient: &'a str) -> Vec<Vec<(&'a String, &'a ComparedResult)>> {
        let mut by_issuer: BTreeMap<Option<&String>, Vec<_>> = BTreeMap::new();
        for (id, result) in self.compared(patient) {
            by_issuer.entry(result.patient_issuer.as_ref()).or_default().push((id, result));
        }
        if by_issuer.keys().flatten().count() > 1 {
            return by_issuer.into_values().collect();
        }
        vec![by_issuer.into_values().flatten().collect()]
    }

    /// How many other series of a scan's `PatientID` have a result with another `IssuerOfPatientID`.
    pub(crate) fn n_other_issuers(&self, scan: &FollowUpScan) -> usize {
        let other = |of: &FollowUpScan, result: &ComparedResult| {
            let issuers = of.patient_issuer.as_ref().zip(result.patient_issuer.as_ref());
            issuers.is_some_and(|(a, b)| a != b)
        };
        self.compared(&scan.patient_id).filter(|(_, result)| other(scan, result)).count()
    }

    /// The pairs of visits that stand on a day: that of the later scored one of their two series.
    fn compared_on(&self, day: &str) -> Vec<VisitPair<'_>> {
        let of_day = self.of_day(day).filter_map(|(_, entry)| entry.compared.as_ref());
        let patients: BTreeSet<&str> = of_day.map(|own| own.patient_id.as_str()).collect();
        let mut pairs = Vec::new();
        for mut results in patients.into_iter().flat_map(|patient| self.by_issuer(patient)) {
            results.sort_by_key(|(id, result)| (&result.at, *id));
            let series: Vec<(&str, &ComparedSeries)> =
                results.iter().map(|(id, result)| (id.as_str(), &result.series)).collect();
            let stands = |pair: &VisitPair<'_>| {
                let own = results.iter().filter(|(id, _)| pair.compared.contains(&id.as_str()));
                own.map(|(_, result)| result.scored_on.as_str()).max() == Some(day)
            };
            pairs.extend(visit_pairs(&series).into_iter().filter(stands));
        }
        pairs
    }

    /// Growth of the nodules of a day's scans since, or until, the visits of their patients that were scored before.
    ///
    /// # Errors
    ///
    /// Fails if a record cannot be read.
    pub(super) fn growth_on(&self, day: &str) -> Result<Vec<Growth>, Error> {
        let scan = |id: &str| -> Result<Option<FollowUpScan>, Error> {
            Ok(self.read(id)?.current.as_ref().and_then(Attempt::follow_up_scan).cloned())
        };
        let mut rows = Vec::new();
        for VisitPair { compared: [earlier, later], others } in self.compared_on(day) {
            if let (Some(earlier), Some(later)) = (scan(earlier)?, scan(later)?) {
                rows.extend(growth::compare(&MatchingRule::default(), &earlier, &later, &others));
            }
        }
        Ok(rows)
    }

    /// Deletes a record.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub(crate) fn remove(&mut self, id: &str) -> Result<(), Error> {
        self.take(id);
        Ok(fs::remove_file(self.path(id))?)
    }

    /// The days with a result or an exclusion.
    pub(super) fn days(&self) -> impl Iterator<Item = &String> {
        self.days.keys()
    }

    /// The nights with a result or an exclusion.
    pub(super) fn nights(&self) -> impl Iterator<Item = &String> {
        self.nights.keys()
    }

    /// Hash of what the drift of a night is made of.
    pub(super) fn hash_of_night(&self, night: &str) -> String {
        let ids = self.nights.get(night).into_iter().flatten();
        let hashes =
            ids.filter_map(|id| Some([id, self.entries.get(id)?.hashes_by_night.get(night)?]));
        hash::sha256_parts(hashes.flatten().map(String::as_str))
    }

    /// The current rows of a night, by series and number.
    ///
    /// # Errors
    ///
    /// Fails if a record cannot be read.
    pub(crate) fn rows_of_night(&self, night: &str) -> Result<Vec<Score>, Error> {
        let ids: Vec<&String> = self.nights.get(night).into_iter().flatten().collect();
        let read = |id: &&String| -> Result<Vec<Score>, Error> {
            Ok(self.read(id)?.rows_of_night(night).cloned().collect())
        };
        let rows: Vec<Vec<Score>> = ids.par_iter().map(read).collect::<Result<_, Error>>()?;
        Ok(rows.concat())
    }

    /// The series with a result of a day, by id.
    fn of_day(&self, day: &str) -> impl Iterator<Item = (&String, &LedgerEntry)> {
        let ids = self.days.get(day).into_iter().flatten();
        ids.filter_map(|id| Some((id, self.entries.get(id)?)))
    }

    /// Hash of what the rows of a day are made of.
    pub(super) fn hash_of_day(&self, day: &str) -> String {
        let hashes =
            self.of_day(day).filter_map(|(id, entry)| Some([id, entry.hashes_by_day.get(day)?]));
        let compared = self.compared_on(day);
        let at = |id: &str| {
            let compared = self.entries.get(id).and_then(|entry| entry.compared.as_ref());
            compared.map_or(String::new(), |compared| format!("{id} {}", compared.at))
        };
        let compared = compared.iter().flat_map(|pair| pair.compared.iter().chain(&pair.others));
        let compared: Vec<String> = compared.map(|id| at(id)).collect();
        hash::sha256_parts(hashes.flatten().chain(&compared).map(String::as_str))
    }

    /// The rows of a day, by series and number.
    ///
    /// # Errors
    ///
    /// Fails if a record cannot be read.
    pub(super) fn rows_on(&self, day: &str) -> Result<DayRows, Error> {
        let ids: Vec<&String> = self.of_day(day).map(|(id, _)| id).collect();
        let read = |id: &&String| -> Result<(Vec<Score>, Vec<ScoreExclusion>), Error> {
            let record = self.read(id)?;
            Ok((record.rows_on(day).collect(), record.exclusions_on(day).collect()))
        };
        let of_records: Vec<_> = ids.par_iter().map(read).collect::<Result<_, Error>>()?;
        let mut rows = DayRows::default();
        for (scores, exclusions) in of_records {
            rows.scores.extend(scores);
            rows.exclusions.extend(exclusions);
        }
        Ok(rows)
    }

    /// The series whose current result has objects that an archive has not answered for all.
    pub(crate) fn without_receipts(&self, destination: &str) -> impl Iterator<Item = &String> {
        let lacks = move |entry: &LedgerEntry| {
            entry.has_objects && !entry.complete_destinations.iter().any(|name| name == destination)
        };
        self.entries.iter().filter(move |(_, entry)| lacks(entry)).map(|(id, _)| id)
    }

    /// The days with a receipt.
    pub(super) fn receipt_days(&self) -> impl Iterator<Item = &String> {
        self.receipt_days.keys()
    }

    /// Hash of what the rows of `receipts` of a day are made of.
    pub(super) fn hash_of_receipts(&self, day: &str) -> String {
        let ids = self.receipt_days.get(day).into_iter().flatten();
        let of = |id| Some([id, self.entries.get(id)?.receipt_hashes_by_day.get(day)?]);
        hash::sha256_parts(ids.filter_map(of).flatten().map(String::as_str))
    }

    /// The receipts of a day, by series.
    ///
    /// # Errors
    ///
    /// Fails if a record cannot be read.
    pub(super) fn receipts_on(&self, day: &str) -> Result<Vec<Receipt>, Error> {
        let mut rows = Vec::new();
        for id in self.receipt_days.get(day).into_iter().flatten() {
            rows.extend(self.read(id)?.receipts_on(day));
        }
        Ok(rows)
    }

    fn path(&self, id: &str) -> PathBuf {
        path_of(&self.store, id)
    }
}

/// A series and what is known of it, where its record is not empty, or what is wrong with the record.
type Found = Result<Option<(String, LedgerEntry)>, Damage>;

fn path_of(store: &Path, id: &str) -> PathBuf {
    let name = hash::id("", [id]);
    store.join(FOLDER).join(&name[..2]).join(format!("{name}.json"))
}

/// The paths of all records of a store.
pub(super) fn record_paths(store: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for folder in folders(store)?.into_iter().filter(|folder| folder.is_dir()) {
        paths.extend(paths_in(&folder)?.into_iter().filter(|path| is_json(path)));
    }
    Ok(paths)
}

/// Removes a series from an index.
fn unlist(index: &mut BTreeMap<String, BTreeSet<String>>, key: &str, id: &str) {
    if let Some(series) = index.get_mut(key) {
        series.remove(id);
        if series.is_empty() {
            index.remove(key);
        }
    }
}

/// The folders of the records.
fn folders(store: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = store.join(FOLDER);
    if folder.is_dir() { paths_in(&folder) } else { Ok(Vec::new()) }
}

fn paths_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    Ok(paths.collect::<std::io::Result<_>>()?)
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;

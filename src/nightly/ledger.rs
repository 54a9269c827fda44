//! What was scored: a record for each series, `STORE/series/<2 digits>/<hash>.json`.
//!
//! A record is the truth of its series: it is put in place at once, when all that it tells of is there.
//! Tables are made of records.

use super::deliver::Output;
use super::growth::{self, Rule};
use super::record::{Attempt, Made, Outcome, Record};
use super::visit::Visit;
use crate::tables::manifest::{self, Error};
use crate::tables::{Growth, Score, durable, hash};
use fs_err as fs;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Name of the folder in the store.
const FOLDER: &str = "series";

/// What the job goes by of a record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) state: State,
    /// For each day that has results of it, a hash of what its rows are made of.
    made_on: BTreeMap<String, String>,
    compared: Option<Compared>,
}

/// A result that others of the patient are compared with.
#[derive(Clone, Debug, PartialEq)]
struct Compared {
    patient_id: String,
    at: String,
    scored_on: String,
}

impl Entry {
    fn patient(&self) -> Option<&str> {
        self.compared.as_ref().map(|compared| compared.patient_id.as_str())
    }
}

/// Where a series stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has no candidates, since then.
    Waiting(String),
    /// It has a result.
    Scored {
        /// What of.
        of: Made,
        /// When it was scored.
        at: String,
        /// Kinds of files that were asked for.
        asked: BTreeSet<Output>,
    },
    /// It could not be done.
    Failed(Made, String),
}

/// All records of a store.
#[derive(Debug)]
pub(super) struct Ledger {
    store: PathBuf,
    entries: BTreeMap<String, Entry>,
    /// Series of each patient.
    patients: BTreeMap<String, BTreeSet<String>>,
    /// Series of each day that has results.
    days: BTreeMap<String, BTreeSet<String>>,
}

impl Ledger {
    /// Reads the records of a store.
    ///
    /// # Errors
    ///
    /// Fails if one cannot be read.
    pub(super) fn open(store: &Path) -> Result<Self, Error> {
        let mut paths = Vec::new();
        let folder = store.join(FOLDER);
        let folders = if folder.is_dir() { paths_in(&folder)? } else { Vec::new() };
        for folder in folders {
            paths.extend(paths_in(&folder)?.into_iter().filter(|path| is_json(path)));
        }
        let read = |path: &PathBuf| -> Result<Option<(String, Entry)>, Error> {
            let record: Option<Record> = manifest::read(path)?;
            Ok(record.and_then(|record| Some((record.id.clone(), entry(&record)?))))
        };
        let read: Vec<_> = paths.par_iter().map(read).collect::<Result<_, _>>()?;
        let mut ledger = Self {
            store: store.to_owned(),
            entries: BTreeMap::new(),
            patients: BTreeMap::new(),
            days: BTreeMap::new(),
        };
        for (id, entry) in read.into_iter().flatten() {
            ledger.put(id, entry);
        }
        Ok(ledger)
    }

    /// Takes in what a record tells; returns what it told before.
    fn put(&mut self, id: String, entry: Entry) -> Option<Entry> {
        let before = self.take(&id);
        if let Some(patient) = entry.patient() {
            self.patients.entry(patient.to_owned()).or_default().insert(id.clone());
        }
        for day in entry.made_on.keys() {
            self.days.entry(day.clone()).or_default().insert(id.clone());
        }
        self.entries.insert(id, entry);
        before
    }

    /// Takes out what a record told.
    fn take(&mut self, id: &str) -> Option<Entry> {
        let before = self.entries.remove(id)?;
        if let Some(patient) = before.patient() {
            unlist(&mut self.patients, patient, id);
        }
        for day in before.made_on.keys() {
            unlist(&mut self.days, day, id);
        }
        Some(before)
    }

    /// Takes away what an interrupted write left.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub(super) fn tidy(&self) -> Result<(), Error> {
        let folder = self.store.join(FOLDER);
        let folders = if folder.is_dir() { paths_in(&folder)? } else { Vec::new() };
        Ok(folders.iter().try_for_each(|folder| durable::remove_unfinished(folder))?)
    }

    pub(super) fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// The series and where each stands, by id.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&String, &State)> {
        self.entries.iter().map(|(id, entry)| (id, &entry.state))
    }

    /// The record of a series; an empty one where there is none.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read.
    pub(super) fn read(&self, id: &str) -> Result<Record, Error> {
        let record = manifest::read(&self.path(id))?;
        Ok(record.unwrap_or_else(|| Record { id: id.to_owned(), ..Record::default() }))
    }

    /// Puts a record in its place; returns the days whose rows it changed.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub(super) fn write(&mut self, record: &Record) -> Result<BTreeSet<String>, Error> {
        manifest::write(&self.path(&record.id), record)?;
        let before = match entry(record) {
            Some(entry) => self.put(record.id.clone(), entry),
            None => self.take(&record.id),
        };
        let mut days = BTreeSet::new();
        for patient in before.iter().chain(self.entries.get(&record.id)).filter_map(Entry::patient)
        {
            // Rows of growth are of the later one of two results.
            let others = self.compared(patient).map(|(_, other)| other.scored_on.clone());
            days.extend(others);
        }
        let before = before.map(|entry| entry.made_on).unwrap_or_default();
        let now = record.made_on();
        let all = before.keys().chain(now.keys());
        days.extend(all.filter(|day| before.get(*day) != now.get(*day)).cloned());
        Ok(days)
    }

    /// The results of a patient that are compared with each other, by series.
    fn compared<'a>(
        &'a self,
        patient: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Compared)> {
        let ids = self.patients.get(patient).into_iter().flatten();
        ids.filter_map(|id| Some((id, self.entries.get(id)?.compared.as_ref()?)))
    }

    /// For each result of a day, in the order of series: itself, and the earlier ones of its patient.
    fn compared_on(&self, day: &str) -> Vec<(&String, Vec<&String>)> {
        let mut found = Vec::new();
        for (id, entry) in self.of_day(day) {
            let Some(own) = entry.compared.as_ref().filter(|own| own.scored_on == day) else {
                continue;
            };
            let earlier = self.compared(&own.patient_id);
            let earlier = earlier.filter(|(other, of)| (&of.at, *other) < (&own.at, id));
            let earlier: Vec<&String> = earlier.map(|(other, _)| other).collect();
            if !earlier.is_empty() {
                found.push((id, earlier));
            }
        }
        found
    }

    /// Growth since the earlier scored scans of the patients of a day.
    ///
    /// # Errors
    ///
    /// Fails if a record cannot be read.
    pub(super) fn growth_on(&self, day: &str) -> Result<Vec<Growth>, Error> {
        let visit = |id: &str| -> Result<Option<Visit>, Error> {
            Ok(self.read(id)?.current.as_ref().and_then(Attempt::visit).cloned())
        };
        let mut rows = Vec::new();
        for (id, earlier) in self.compared_on(day) {
            let Some(own) = visit(id)? else { continue };
            let others = earlier.into_iter().map(|id| visit(id)).collect::<Result<Vec<_>, _>>()?;
            let others: Vec<Visit> = others.into_iter().flatten().collect();
            rows.extend(growth::rows(&Rule::default(), &others, &own));
        }
        Ok(rows)
    }

    /// Forgets a record.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub(super) fn remove(&mut self, id: &str) -> Result<(), Error> {
        self.take(id);
        Ok(fs::remove_file(self.path(id))?)
    }

    /// The days that have results.
    pub(super) fn days(&self) -> impl Iterator<Item = &String> {
        self.days.keys()
    }

    /// The series that have results of a day, by id.
    fn of_day(&self, day: &str) -> impl Iterator<Item = (&String, &Entry)> {
        let ids = self.days.get(day).into_iter().flatten();
        ids.filter_map(|id| Some((id, self.entries.get(id)?)))
    }

    /// Hash of what the rows of a day are made of.
    pub(super) fn made_on(&self, day: &str) -> String {
        let made = self.of_day(day).filter_map(|(id, entry)| Some([id, entry.made_on.get(day)?]));
        let parts = made.flatten();
        let compared = self.compared_on(day);
        let at = |id: &'_ String| {
            let compared = self.entries.get(id).and_then(|entry| entry.compared.as_ref());
            compared.map_or(String::new(), |compared| format!("{id} {}", compared.at))
        };
        let compared = compared.iter().flat_map(|(id, earlier)| earlier.iter().chain([id]));
        let compared: Vec<String> = compared.map(|id| at(id)).collect();
        hash::sha256_parts(parts.chain(&compared).map(String::as_str))
    }

    /// All rows of a day, by series and number.
    ///
    /// # Errors
    ///
    /// Fails if a record cannot be read.
    pub(super) fn rows_on(&self, day: &str) -> Result<Vec<Score>, Error> {
        let ids: Vec<&String> = self.of_day(day).map(|(id, _)| id).collect();
        let read = |id: &&String| Ok(self.read(id)?.rows_on(day).collect::<Vec<_>>());
        let rows: Vec<Vec<Score>> = ids.par_iter().map(read).collect::<Result<_, Error>>()?;
        Ok(rows.into_iter().flatten().collect())
    }

    fn path(&self, id: &str) -> PathBuf {
        let name = hash::id("", [id]);
        self.store.join(FOLDER).join(&name[..2]).join(format!("{name}.json"))
    }
}

fn entry(record: &Record) -> Option<Entry> {
    let state = match (&record.current, &record.waiting_since) {
        (Some(attempt), _) => match &attempt.outcome {
            Outcome::Scored(scored) => State::Scored {
                of: attempt.of.clone(),
                at: attempt.at.clone(),
                asked: scored.asked.clone(),
            },
            Outcome::Failed(cause) => State::Failed(attempt.of.clone(), cause.clone()),
        },
        (None, Some(since)) => State::Waiting(since.clone()),
        (None, None) => return None,
    };
    let compared = record.current.as_ref().and_then(|attempt| {
        let patient_id = attempt.visit()?.patient_id.clone();
        let Attempt { at, scored_on, .. } = attempt.clone();
        (!patient_id.is_empty()).then_some(Compared { patient_id, at, scored_on })
    });
    Some(Entry { state, made_on: record.made_on(), compared })
}

/// Takes a series out of an index.
fn unlist(index: &mut BTreeMap<String, BTreeSet<String>>, key: &str, id: &str) {
    if let Some(series) = index.get_mut(key) {
        series.remove(id);
        if series.is_empty() {
            index.remove(key);
        }
    }
}

fn paths_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    Ok(paths.collect::<std::io::Result<_>>()?)
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

#[cfg(test)]
mod tests {
    use super::super::record::Scored;
    use super::*;

    fn attempt(key: &str, day: &str, outcome: Outcome) -> Attempt {
        let of = Made {
            stamp: String::new(),
            content_sha256: key.to_owned(),
            candidates_sha256: String::new(),
            recipe_sha256: String::new(),
            model_id: "m".to_owned(),
        };
        Attempt { of, at: format!("{day}T01:00:00Z"), scored_on: day.to_owned(), outcome }
    }

    fn scored(n_rows: usize) -> Outcome {
        let row = |n: usize| Score {
            series_instance_uid: "1.2".to_owned(),
            study_instance_uid: None,
            patient_id: None,
            nodule_id: n.to_string(),
            nodule_number: n as i64,
            candidate_x_mm: 0.0,
            candidate_y_mm: 0.0,
            candidate_z_mm: 0.0,
            candidate_score: None,
            centroid_x_mm: 0.0,
            centroid_y_mm: 0.0,
            centroid_z_mm: 0.0,
            probability: None,
            volume_mm3: 1.0,
            equivalent_diameter_mm: 1.0,
            axial_diameter_mm: None,
            axial_short_diameter_mm: None,
            mean_hu: None,
            nodule_type: None,
            model_id: "m".to_owned(),
            warnings: Vec::new(),
            scan_warnings: Vec::new(),
            superseded: false,
        };
        Outcome::Scored(Box::new(Scored {
            rows: (1..=n_rows).map(row).collect(),
            ..Scored::default()
        }))
    }

    #[test]
    fn an_older_result_stays_and_its_day_changes() {
        let store = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(store.path()).unwrap();
        let mut record = ledger.read("1.2").unwrap();
        record.waiting_since = Some("2026-01-01T00:00:00Z".to_owned());
        assert!(ledger.write(&record).unwrap().is_empty());
        assert!(matches!(ledger.entry("1.2").unwrap().state, State::Waiting(_)));
        let failed = Outcome::Failed("no".to_owned());
        record.supersede(attempt("a", "2026-01-01", failed));
        assert!(ledger.write(&record).unwrap().is_empty());
        record.supersede(attempt("b", "2026-01-02", scored(2)));
        assert_eq!(ledger.write(&record).unwrap(), BTreeSet::from(["2026-01-02".to_owned()]));
        let before = ledger.made_on("2026-01-02");
        record.supersede(attempt("c", "2026-01-03", scored(1)));
        assert_eq!(ledger.write(&record).unwrap().len(), 2);
        assert_ne!(ledger.made_on("2026-01-02"), before);
        // As another process finds it.
        let ledger = Ledger::open(store.path()).unwrap();
        assert_eq!(ledger.read("1.2").unwrap(), record);
        let rows =
            |day| ledger.rows_on(day).unwrap().iter().map(|r| r.superseded).collect::<Vec<_>>();
        assert_eq!(rows("2026-01-02"), [true, true]);
        assert_eq!(rows("2026-01-03"), [false]);
        assert_eq!(rows("2026-01-01"), [false; 0]);
        assert_eq!(ledger.days().collect::<Vec<_>>(), ["2026-01-02", "2026-01-03"]);
        assert!(
            matches!(&ledger.entry("1.2").unwrap().state, State::Scored { of, .. } if of.content_sha256 == "c")
        );
    }

    #[test]
    fn a_record_that_is_none_is_named() {
        let store = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(store.path()).unwrap();
        let record = Record { waiting_since: Some("x".to_owned()), ..ledger.read("1.2").unwrap() };
        ledger.write(&record).unwrap();
        let path = ledger.path("1.2");
        fs::write(path.with_extension("json.1.tmp"), "{").unwrap();
        ledger.tidy().unwrap();
        assert_eq!(Ledger::open(store.path()).unwrap().entries().count(), 1);
        fs::write(&path, "{").unwrap();
        let error = Ledger::open(store.path()).unwrap_err().to_string();
        assert!(error.contains("is not a record"), "{error}");
        ledger.remove("1.2").unwrap();
        assert!(Ledger::open(store.path()).unwrap().entries().next().is_none());
    }
}

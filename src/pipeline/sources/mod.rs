//! Lists and hashes the source files of a run, shard by shard.

mod error;

use crate::pipeline::listed_case::{HashedCase, ListedCase, content, geometry_sha256};
use crate::pipeline::shards::of_cases;
use crate::pipeline::source_hashes::{CaseHash, Known, KnownSeries, series_of};
use crate::stages::ingest::{self, SourceCase, Sources};
pub use error::Error;
use nodulus_faults::Watch;
use nodulus_faults::retry::WAITS;
use nodulus_formats::cohort::{self, Layout, SeriesIn};
use nodulus_formats::{dicom, luna_csv};
use nodulus_store::Store;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Number of cases that are hashed between two looks at the clock.
const CASES_BETWEEN_SAVES: usize = 256;
/// Time between two writes of the hashes.
const BETWEEN_SAVES: Duration = Duration::from_secs(20);

/// Lists and hashes the sources, and keeps the hashes in the store.
///
/// A file with the same name, size and time of change counts as unchanged: its header is not read and its hash not computed
/// again. Where the machine is at fault that something cannot be read, it is tried again after a while, a few times; a case
/// that still cannot be read is listed with its fault in place of a hash.
///
/// # Errors
///
/// Fails if a cohort's folder is missing or holds no case, or the store cannot be written to.
pub fn list(
    config: &ingest::Config,
    store: &Store,
    progress: &dyn Fn(usize, usize),
) -> Result<Sources, Error> {
    Lists::of(store).hash_again(config, progress, &|known| Ok(known.write(store)?))
}

/// [`list`] without a change to the store, which need not exist.
///
/// # Errors
///
/// Fails if a cohort's folder is missing or holds no case.
pub fn look(config: &ingest::Config, store: &Store) -> Result<Sources, Error> {
    Lists::of(store).hash_again(config, &|_, _| {}, &|_| Ok(()))
}

/// How a case differs from what earlier runs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    New,
    /// Its content was another.
    Modified,
}

/// The cases that differ, by cohort and case.
pub type Changes = BTreeMap<(String, String), Change>;

/// [`look`] for a plan: files of new cases are not read as long as no earlier case is missing, as one of a renamed folder
/// is. Such a case has no content yet that any shard could have.
///
/// `expected` gives the number of cases of a cohort whose files are still to be written; each is a shard.
///
/// # Errors
///
/// Fails if a cohort's folder is missing or holds no case.
pub fn survey(
    config: &ingest::Config,
    store: &Store,
    expected: &(dyn Fn(&ingest::Cohort) -> Option<usize> + Sync),
    progress: &dyn Fn(usize, usize),
) -> Result<Survey, Error> {
    let mut lists = Lists { is_survey: true, expected, ..Lists::of(store) };
    let sources = lists.hash_all(config, progress, &|_| Ok(()))?;
    let is_new = |change: &Change| *change == Change::New;
    let is_growth = !lists.is_any_gone && lists.changes.values().all(is_new);
    Ok(Survey { sources, changes: lists.changes, is_growth })
}

/// The sources as a plan sees them.
pub struct Survey {
    /// The sources.
    pub sources: Sources,
    /// How they differ from what earlier runs read.
    pub changes: Changes,
    /// Whether they differ by new cases alone.
    pub is_growth: bool,
}

/// A listing in progress.
struct Lists<'a> {
    known: Known,
    is_survey: bool,
    expected: &'a (dyn Fn(&ingest::Cohort) -> Option<usize> + Sync),
    changes: Changes,
    /// Whether a case that an earlier run read is there no longer.
    is_any_gone: bool,
}

impl Lists<'_> {
    /// A listing of files that are all there, from what the store knows of them.
    fn of(store: &Store) -> Self {
        let (known, changes) = (Known::read(store), Changes::new());
        Self { known, is_survey: false, expected: &|_| None, changes, is_any_gone: false }
    }

    /// [`hash_all`](Self::hash_all), several times where the machine is at fault that something cannot be read.
    fn hash_again(
        &mut self,
        config: &ingest::Config,
        progress: &dyn Fn(usize, usize),
        save: &dyn Fn(&Known) -> Result<(), Error>,
    ) -> Result<Sources, Error> {
        for wait in WAITS {
            let watch = Watch::begin();
            match self.hash_all(config, progress, save) {
                Ok(sources) if watch.fault().is_none() && sources.faults().next().is_none() => {
                    return Ok(sources);
                }
                Err(error) if !error.is_passing() && watch.fault().is_none() => return Err(error),
                Ok(_) | Err(_) => std::thread::sleep(wait),
            }
        }
        let watch = Watch::begin();
        let sources =
            self.hash_all(config, progress, save).map_err(|error| match watch.fault() {
                Some(fault) if !error.is_passing() => Error::Fault { cause: fault.cause },
                _ => error,
            })?;
        match watch.untolerated_fault() {
            // Shards of cases that cannot be read stay undone, so that the run does not end as if all were well.
            Some(fault) if sources.faults().next().is_none() => {
                Err(Error::Fault { cause: fault.cause })
            }
            _ => Ok(sources),
        }
    }

    fn hash_all(
        &mut self,
        config: &ingest::Config,
        progress: &dyn Fn(usize, usize),
        save: &dyn Fn(&Known) -> Result<(), Error>,
    ) -> Result<Sources, Error> {
        let series_list = series_list(config)?;
        let mut cohorts: Vec<&ingest::Cohort> = config.cohorts.iter().collect();
        cohorts.sort_by_key(|cohort| &cohort.name);
        let series_now: Mutex<BTreeMap<String, KnownSeries>> = Mutex::default();
        let mut listed: Vec<ListedCase<'_>> = Vec::new();
        let mut unsaved = false;
        for cohort in cohorts {
            if let Some(n) = (self.expected)(cohort) {
                listed.extend((0..n).map(|n| ListedCase::expected(cohort, n)));
                continue;
            }
            let (cases, is_any_new) = self.cases(cohort, &series_now)?;
            listed.extend(cases);
            unsaved |= is_any_new;
        }
        self.known.series = series_now.into_inner().unwrap_or_default();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let total = listed.len();
        let mut shards = Vec::new();
        let (mut done, mut saved) = (0, Instant::now());
        for listed in listed.chunk_by(|a, b| a.cohort.name == b.cohort.name) {
            let is_growth = self.is_survey && self.has_all(listed);
            let mut cases = Vec::with_capacity(listed.len());
            for chunk in listed.chunks(CASES_BETWEEN_SAVES) {
                let hashes: Vec<HashedCase> = chunk
                    .par_iter()
                    .map(|listed| match self.known.cases.get(&listed.id()) {
                        None if is_growth && listed.has_name() => listed.unread(),
                        known => content(listed, known),
                    })
                    .collect();
                for (listed, HashedCase { hash, stamp, is_fresh }) in chunk.iter().zip(hashes) {
                    cases.push(SourceCase {
                        cohort: listed.cohort.name.clone(),
                        case: listed.case.clone(),
                        content_sha256: hash.content.clone(),
                        files_sha256: hash.files.clone(),
                        places_sha256: listed.places_sha256(),
                        fault: hash.fault.clone(),
                        stamp,
                    });
                    unsaved |= is_fresh;
                    seen.insert(listed.id());
                    self.remember(listed, hash);
                }
                if unsaved && saved.elapsed() >= BETWEEN_SAVES {
                    save(&self.known)?;
                    (saved, unsaved) = (Instant::now(), false);
                }
                done += chunk.len();
                progress(done, total);
            }
            let Some(first) = listed.first() else { continue };
            if (self.expected)(first.cohort).is_some() {
                // The most shards there can be.
                shards.extend(cases.into_iter().map(|case| vec![case]));
            } else {
                shards.extend(of_cases(first.cohort.source, cases, config.shard_size));
            }
        }
        self.is_any_gone = self.known.cases.keys().any(|id| !seen.contains(id));
        if unsaved {
            self.known.cases.retain(|id, _| seen.contains(id));
            save(&self.known)?;
        }
        Ok(Sources { series_list, shards })
    }

    /// The cases of a cohort, not yet hashed, and whether files had to be read to list them.
    fn cases<'a>(
        &self,
        cohort: &'a ingest::Cohort,
        series_now: &Mutex<BTreeMap<String, KnownSeries>>,
    ) -> Result<(Vec<ListedCase<'a>>, bool), Error> {
        let geometries = cohort.read_scan_geometry()?;
        let is_any_new = AtomicBool::new(false);
        let series_of = |id: String, files: &[PathBuf], read: &dyn Fn() -> BTreeSet<String>| {
            let (known, is_new) = series_of(self.known.series.get(&id), files, read);
            is_any_new.fetch_or(is_new, Ordering::Relaxed);
            let series = known.series.clone();
            if let Ok(mut now) = series_now.lock() {
                now.insert(id, known);
            }
            series
        };
        let series_in = SeriesIn {
            dicom_folder: &|folder, files| {
                let id = format!("folder {}/{folder}", cohort.name);
                series_of(id, files, &|| dicom::series_uids(files))
            },
            reads: &|path, file| {
                let id = format!("reads {}/{path}", cohort.name);
                let read = || cohort::series_of_reads(file).into_iter().collect();
                series_of(id, &[file.to_owned()], &read).pop_first()
            },
        };
        let cases = cohort::cases(&cohort.location(geometries.as_ref()), &series_in)
            .map_err(|source| Error::Cohort { cohort: cohort.name.clone(), source })?;
        if cases.is_empty() {
            return Err(empty(cohort));
        }
        let listed = cases.into_par_iter().map(|case| {
            let geometry = geometries.as_ref().and_then(|table| table.get(&case.case_id));
            ListedCase { cohort, geometry_sha256: geometry.map(geometry_sha256), case }
        });
        Ok((listed.collect(), is_any_new.into_inner()))
    }

    /// Whether every case of a cohort that an earlier run read is still there.
    fn has_all(&self, listed: &[ListedCase<'_>]) -> bool {
        let Some(first) = listed.first() else { return true };
        let prefix = format!("{}/", first.cohort.name);
        let ids: BTreeSet<String> = listed.iter().map(ListedCase::id).collect();
        let earlier = self.known.cases.range(prefix.clone()..);
        earlier.take_while(|(id, _)| id.starts_with(&prefix)).all(|(id, _)| ids.contains(id))
    }

    /// Keeps the hash of a case, and how it differs from the one before.
    fn remember(&mut self, listed: &ListedCase<'_>, hash: CaseHash) {
        let case = (listed.cohort.name.clone(), listed.case.case_id.clone());
        let content = hash.content.clone();
        match self.known.cases.insert(listed.id(), hash) {
            None => self.changes.insert(case, Change::New),
            Some(before) if before.content != content => {
                self.changes.insert(case, Change::Modified)
            }
            Some(_) => None,
        };
    }
}

fn empty(cohort: &ingest::Cohort) -> Error {
    let expected = match cohort.source {
        Layout::Lidc => "folder or archive with DICOM files".to_owned(),
        Layout::Luna16 => "`.mhd` file, nor `.mha`, `.nii` or `.nii.gz`".to_owned(),
        Layout::Volumes => format!("`{}`", cohort.image),
        Layout::LidcAnnotations => "`.xml` file, nor does the table of scan geometry".to_owned(),
    };
    Error::Empty { cohort: cohort.name.clone(), root: cohort.root.clone(), expected }
}

/// The series of `ingest.series_list`, where it is given.
///
/// # Errors
///
/// Fails if the file cannot be read.
pub(super) fn series_list(config: &ingest::Config) -> Result<Option<BTreeSet<String>>, Error> {
    let Some(path) = &config.series_list else { return Ok(None) };
    Ok(Some(luna_csv::read_series_uids(path)?.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;
    use nodulus_formats::cohort::Layout;
    use nodulus_formats::dicom::Tolerances;
    use std::path::Path;

    fn config(root: &Path) -> ingest::Config {
        let cohort = ingest::Cohort {
            name: "c".to_owned(),
            source: Layout::Luna16,
            root: root.to_owned(),
            annotations: None,
            image: "{patient}/ct".to_owned(),
            mask: None,
            readers: Vec::new(),
            masks: nodulus_formats::mask_file::MaskRules::default(),
            lidc_mask: ingest::LidcMask::default(),
            scan_geometry: None,
        };
        ingest::Config {
            shard_size: 2,
            tolerances: Tolerances::default(),
            tilt: nodulus_formats::dicom::Tilt::Refuse,
            inclusion: ingest::Inclusion::default(),
            series_list: None,
            root: None,
            scan_geometry: None,
            cohorts: vec![cohort],
        }
    }

    #[test]
    fn the_list_depends_on_content_and_not_on_path_or_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("s")).unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        for root in [&a, &b] {
            fs::create_dir_all(root).unwrap();
            fs::write(root.join("1.2.mhd"), "x").unwrap();
        }
        let contents = |root: &Path| -> Vec<String> {
            let sources = list(&config(root), &store, &|_, _| {}).unwrap();
            sources.shards.into_iter().flatten().map(|case| case.content_sha256).collect()
        };
        let first = contents(&a);
        assert_eq!(first.len(), 1);
        assert_eq!(contents(&b), first);
        fs::write(a.join("1.2.mhd"), "yy").unwrap();
        assert_ne!(contents(&a), first);
        fs::write(folder.path().join("s").join(crate::pipeline::source_hashes::HASHES), "damaged")
            .unwrap();
        assert_eq!(contents(&b), first);
    }

    #[test]
    fn copies_under_other_names_have_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("s")).unwrap();
        let root = folder.path().join("a");
        fs::create_dir_all(&root).unwrap();
        for (name, content) in [("1.2.mhd", "x"), ("1.3.mhd", "x"), ("1.4.mhd", "y")] {
            fs::write(root.join(name), content).unwrap();
        }
        let sources = |store| {
            let mut found = list(&config(&root), store, &|_, _| {}).unwrap().shards.concat();
            found.sort_by(|a, b| a.case.case_id.cmp(&b.case.case_id));
            found
        };
        let found = sources(&store);
        let [a, copy, other] = &found[..] else { panic!("{found:?}") };
        assert_ne!(a.content_sha256, copy.content_sha256);
        assert_eq!(a.files_sha256, copy.files_sha256);
        assert_ne!(a.files_sha256, other.files_sha256);
        // The hashes that the store keeps are the same.
        assert_eq!(sources(&store)[1].files_sha256, copy.files_sha256);
    }

    #[test]
    fn an_empty_or_missing_cohort_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("s")).unwrap();
        let root = folder.path().join("a");
        let error = list(&config(&root), &store, &|_, _| {}).unwrap_err();
        assert!(matches!(error, Error::Cohort { .. }), "{error}");
        fs::create_dir_all(&root).unwrap();
        let error = list(&config(&root), &store, &|_, _| {}).unwrap_err().to_string();
        assert!(
            error.starts_with("cohort `c` is empty") && error.contains("`.mhd` file"),
            "{error}"
        );
    }
}

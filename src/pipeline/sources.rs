//! Lists and hashes the source files of a run, shard by shard.

use super::listed_case::{HashedCase, ListedCase, content, geometry_sha256, unit_name};
use super::shards;
use super::source_hashes::{CaseHash, Known, KnownSeries};
use crate::stages::ingest::{self, SourceCase, Sources, file_stamp};
use nodulus_faults::retry::WAITS;
use nodulus_faults::{FaultClass, Watch};
use nodulus_formats::cohort::{self, Layout, SeriesIn};
use nodulus_formats::{dicom, luna_csv, scan_geometry};
use nodulus_store::{Store, hash};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Number of cases that are hashed between two looks at the clock.
const CASES_BETWEEN_SAVES: usize = 256;
/// Time between two writes of the hashes.
const BETWEEN_SAVES: Duration = Duration::from_secs(20);

/// The sources could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A cohort's files could not be listed.
    #[error("cannot list cohort `{cohort}`")]
    Cohort {
        /// The cohort.
        cohort: String,
        /// What went wrong.
        source: cohort::Error,
    },
    /// A cohort has no cases.
    #[error("cohort `{cohort}` is empty: `{root}` holds no {expected}")]
    Empty {
        /// The cohort.
        cohort: String,
        /// Its folder.
        root: PathBuf,
        /// What a case of its layout looks like.
        expected: String,
    },
    /// A table of scan geometry could not be read.
    #[error(transparent)]
    ScanGeometry(#[from] scan_geometry::Error),
    /// The list of series could not be read.
    #[error("cannot read `ingest.series_list`")]
    SeriesList(#[from] luna_csv::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// A part of the sources cannot be read by a fault of the machine, so that cases may be missing from the list.
    #[error(
        "the sources cannot be listed as a whole: {cause}; when this is put right, run it again"
    )]
    Fault {
        /// The error of the file system and its causes.
        cause: String,
    },
}

impl Error {
    /// Whether trying again may end otherwise.
    fn is_passing(&self) -> bool {
        match self {
            // The store's own disk: nothing was lost, and the caller says so.
            Self::Store(_) => false,
            other => FaultClass::of(other).is_passing(),
        }
    }
}

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
                        files_sha256: listed.files_sha256(),
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
                shards.extend(sharded(first.cohort.source, cases, config.shard_size));
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
        let listed = cases.into_iter().map(|case| {
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

/// Cuts the cases of a cohort into shards. Within a shard, cases are by what they are and not by where they lie.
fn sharded(layout: Layout, cases: Vec<SourceCase>, most: usize) -> Vec<Vec<SourceCase>> {
    let mut named: Vec<(String, SourceCase)> =
        cases.into_iter().map(|case| (unit(layout, &case), case)).collect();
    named.sort_by(|(a, of_a), (b, of_b)| {
        (a, &of_a.content_sha256, &of_a.case.case_id).cmp(&(
            b,
            &of_b.content_sha256,
            &of_b.case.case_id,
        ))
    });
    let units: Vec<&str> = named.iter().map(|(unit, _)| unit.as_str()).collect();
    let shards = shards::cut(&units, most);
    let mut named: Vec<Option<SourceCase>> =
        named.into_iter().map(|(_, case)| Some(case)).collect();
    let mut take = |n: usize| named.get_mut(n).and_then(Option::take);
    let of_shard = |mut shard: Vec<usize>| {
        shard.sort_unstable();
        shard.into_iter().filter_map(&mut take).collect()
    };
    shards.into_iter().map(of_shard).collect()
}

/// What stays in one shard with a case: its name, or its content where nothing names it.
fn unit(layout: Layout, source: &SourceCase) -> String {
    unit_name(layout, &source.case).unwrap_or_else(|| source.content_sha256.clone())
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

/// The series of files that are read together, and whether they had to be read because they have changed since the last
/// time.
fn series_of(
    known: Option<&KnownSeries>,
    files: &[PathBuf],
    read: &dyn Fn() -> BTreeSet<String>,
) -> (KnownSeries, bool) {
    let stats: Vec<String> = files
        .iter()
        .map(|path| {
            format!(
                "{}\n{}",
                path.file_name().unwrap_or_default().display(),
                file_stamp::of_file(path)
            )
        })
        .collect();
    let stat = hash::sha256_parts(stats.iter().map(String::as_str));
    if let Some(known) = known.filter(|known| known.stat == stat) {
        return (known.clone(), false);
    }
    let watch = Watch::begin();
    let series = read();
    // Series that a fault of the machine may have hidden are read again.
    let stat = if watch.fault().is_some() { String::new() } else { stat };
    (KnownSeries { stat, series }, true)
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
    fn headers_of_an_unchanged_folder_are_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("1.dcm");
        fs::write(&file, "no DICOM").unwrap();
        let files = [file.clone()];
        let mut known: Option<KnownSeries> = None;
        let mut list = || {
            let read = || dicom::series_uids(&files);
            let (now, _) = series_of(known.as_ref(), &files, &read);
            known.insert(now).series.clone()
        };
        assert_eq!(list(), BTreeSet::new());
        write_slice(&file);
        assert_eq!(list(), BTreeSet::from(["2.25.1".to_owned()]));
        // Same name, size and time of the content, written later.
        let length = fs::metadata(&file).unwrap().len() as usize;
        let changed = fs::metadata(&file).unwrap().modified().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&file, vec![0; length]).unwrap();
        set_modified(&file, changed);
        assert_eq!(list(), BTreeSet::new());
    }

    fn set_modified(file: &Path, time: std::time::SystemTime) {
        let file = fs::OpenOptions::new().write(true).open(file).unwrap();
        file.file().set_modified(time).unwrap();
    }

    /// A file of series 2.25.1, as far as listing reads.
    fn write_slice(file: &Path) {
        let element = |group: u16, number: u16, vr: &str, value: &str| {
            let length = (value.len() as u16).to_le_bytes();
            let tag = [group.to_le_bytes(), number.to_le_bytes()].concat();
            [&tag, vr.as_bytes(), &length, value.as_bytes()].concat()
        };
        let bytes = [
            vec![0; 128],
            b"DICM".to_vec(),
            element(0x0002, 0x0010, "UI", "1.2.840.10008.1.2.1\0"),
            element(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.2\0"),
            element(0x0008, 0x0060, "CS", "CT"),
            element(0x0020, 0x000E, "UI", "2.25.1"),
        ];
        fs::write(file, bytes.concat()).unwrap();
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

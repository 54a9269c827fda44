//! Lists and hashes the source files of a run, and freezes the list.

use crate::stages::ingest::{self, SourceCase, Sources};
use crate::tables::SOURCES;
use fs_err as fs;
use nodulus_formats::cohort::{self, Case};
use nodulus_formats::scan_geometry::{self, ScanGeometry};
use nodulus_formats::{dicom, luna_csv};
use nodulus_store::{InputRef, Store, hash};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Name of the sources among a stage's inputs.
pub const NAME: &str = SOURCES;
/// Path of the cache of hashes, in the store.
const CACHE: &str = "sources/cache.json";
/// Number of cases that are hashed between two writes of the cache.
const CASES_BETWEEN_SAVES: usize = 256;

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
}

/// Hashes of earlier runs.
#[derive(Debug, Default, Serialize, Deserialize)]
struct SourceCache {
    /// Hash of each case, by cohort and case.
    cases: BTreeMap<String, CaseHash>,
    /// Series of each DICOM folder, by cohort and folder.
    folders: BTreeMap<String, FolderSeries>,
}

/// The series of a folder when its headers were last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FolderSeries {
    /// Hash of the files' names, sizes and times of change.
    stat: String,
    /// The series.
    series: BTreeSet<String>,
}

/// The hash of a case when it was last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CaseHash {
    /// Hash of the files' names, sizes and times of change.
    stat: String,
    /// Hash of the files' names and content.
    content: String,
}

/// Lists and hashes the sources, as [`list`], and freezes the list in the store as
/// `sources/<key>.json`.
///
/// # Errors
///
/// As [`list`]; and if the store cannot be written to.
pub fn freeze(
    config: &ingest::Config,
    store: &Store,
    progress: &dyn Fn(usize, usize),
) -> Result<(Sources, InputRef), Error> {
    let save = |cache: &SourceCache| Ok(store.write_record(Path::new(CACHE), cache)?);
    let (sources, input) = hash_all(config, store, progress, &save)?;
    let record = record_path(&input.key);
    if !store.root().join(&record).exists() {
        store.write_record(&record, &sources)?;
    }
    Ok((sources, input))
}

/// Lists and hashes the sources without writing to the store.
///
/// A file with the same name, size and time of change counts as unchanged: its header is not read and its hash not computed
/// again. A case with an unreadable file is listed with the error in place of a hash, and fails in ingest.
///
/// # Errors
///
/// Fails if a cohort's folder is missing or holds no case.
pub fn list(config: &ingest::Config, store: &Store) -> Result<(Sources, InputRef), Error> {
    hash_all(config, store, &|_, _| {}, &|_| Ok(()))
}

fn hash_all(
    config: &ingest::Config,
    store: &Store,
    progress: &dyn Fn(usize, usize),
    save: &dyn Fn(&SourceCache) -> Result<(), Error>,
) -> Result<(Sources, InputRef), Error> {
    let series_list = match &config.series_list {
        Some(path) => Some(luna_csv::read_series_uids(path)?.into_iter().collect::<BTreeSet<_>>()),
        None => None,
    };
    // A damaged cache costs time and cannot change a result.
    let mut cache: SourceCache =
        store.read_record(Path::new(CACHE)).ok().flatten().unwrap_or_default();
    let folders = RefCell::new(&mut cache.folders);
    let mut listed: Vec<ListedCase<'_>> = Vec::new();
    for cohort in &config.cohorts {
        let geometries = cohort.read_scan_geometry()?;
        let series_of = |folder: &str, files: &[PathBuf]| {
            let id = format!("{}/{folder}", cohort.name);
            series_of(&mut folders.borrow_mut(), id, files)
        };
        let cases = cohort::cases(&cohort.location(geometries.as_ref()), &series_of)
            .map_err(|source| Error::Cohort { cohort: cohort.name.clone(), source })?;
        if cases.is_empty() {
            return Err(empty(cohort));
        }
        listed.extend(cases.into_iter().map(|case| {
            let geometry = geometries.as_ref().and_then(|table| table.get(&case.case_id));
            ListedCase { cohort, geometry_sha256: geometry.map(geometry_sha256), case }
        }));
    }
    let total = listed.len();
    let mut cases = Vec::with_capacity(total);
    for chunk in listed.chunks(CASES_BETWEEN_SAVES) {
        let known: Vec<(String, CaseHash, bool)> = chunk
            .par_iter()
            .map(|listed| {
                let id = format!("{}/{}", listed.cohort.name, listed.case.case_id);
                let (known, fresh) = content(listed, cache.cases.get(&id));
                (id, known, fresh)
            })
            .collect();
        let changed = known.iter().any(|(_, _, fresh)| *fresh);
        for (listed, (id, known, _)) in chunk.iter().zip(known) {
            cases.push(SourceCase {
                cohort: listed.cohort.name.clone(),
                case: listed.case.clone(),
                content_sha256: known.content.clone(),
            });
            cache.cases.insert(id, known);
        }
        if changed {
            save(&cache)?;
        }
        progress(cases.len(), total);
    }
    let sources = Sources { series_list, cases };
    let listed_series = sources.series_list.iter().flatten().map(String::as_str);
    let parts = sources.cases.iter().flat_map(|source| {
        [source.cohort.as_str(), source.case.case_id.as_str(), source.content_sha256.as_str()]
    });
    let with_list = sources.series_list.is_some().then_some("series list");
    let parts = parts.chain(with_list).chain(listed_series);
    let content_sha256 = hash::sha256_parts(parts);
    let key = content_sha256[..16].to_owned();
    Ok((sources, InputRef { name: NAME.to_owned(), key, content_sha256 }))
}

/// Path of a frozen list of sources, in the store.
pub fn record_path(key: &str) -> PathBuf {
    Path::new(SOURCES).join(format!("{key}.json"))
}

fn empty(cohort: &ingest::Cohort) -> Error {
    use cohort::Layout;
    let expected = match cohort.source {
        Layout::Lidc => "folder or archive with DICOM files".to_owned(),
        Layout::Luna16 => "`.mhd` file, nor `.mha`, `.nii` or `.nii.gz`".to_owned(),
        Layout::Volumes => format!("`{}`", cohort.image),
        Layout::LidcAnnotations => "`.xml` file, nor does the table of scan geometry".to_owned(),
    };
    Error::Empty { cohort: cohort.name.clone(), root: cohort.root.clone(), expected }
}

/// A case before it is hashed.
struct ListedCase<'a> {
    cohort: &'a ingest::Cohort,
    case: Case,
    /// Hash of the scan's geometry, where it comes from a table.
    geometry_sha256: Option<String>,
}

/// Hash of a scan's geometry.
fn geometry_sha256(geometry: &ScanGeometry) -> String {
    let spacing = geometry.slices.spacing().ijk();
    let numbers = geometry.slices.z_mm().iter().chain(&spacing);
    let numbers: Vec<String> = numbers.map(f64::to_string).collect();
    let known = |text: &Option<String>| format!("{text:?}");
    let facts = [
        known(&geometry.study_instance_uid),
        known(&geometry.patient_id),
        format!("{:?} {}", geometry.slice_thickness_mm, geometry.n_duplicate_slices),
    ];
    hash::sha256_parts(facts.iter().chain(&numbers).map(String::as_str))
}

/// The hash of a case, and whether its files had to be read.
fn content(listed: &ListedCase<'_>, known: Option<&CaseHash>) -> (CaseHash, bool) {
    let ListedCase { cohort, case, geometry_sha256 } = listed;
    let files: Vec<(String, &Path)> = case
        .images
        .iter()
        .chain(&case.annotations)
        .chain(&case.annotation_data)
        .map(|path| {
            let base = cohort.annotations.as_deref().filter(|base| path.starts_with(base));
            (cohort::relative(base.unwrap_or(&cohort.root), path), path.as_path())
        })
        .collect();
    let stat = hash::sha256_parts(
        files
            .iter()
            .map(|(name, path)| format!("{name}\n{}", stat(path)))
            .chain(geometry_sha256.clone())
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str),
    );
    if let Some(known) = known.filter(|known| known.stat == stat) {
        return (known.clone(), false);
    }
    let parts: Vec<String> = files
        .iter()
        .flat_map(|(name, path)| {
            let digest = hash::sha256_file(path)
                .unwrap_or_else(|error| format!("unreadable: {:?}", error.kind()));
            [name.clone(), digest]
        })
        .chain(geometry_sha256.clone())
        .collect();
    (CaseHash { stat, content: hash::sha256_parts(parts.iter().map(String::as_str)) }, true)
}

/// The series of a folder; headers are read where the files have changed since the last time.
fn series_of(
    known: &mut BTreeMap<String, FolderSeries>,
    id: String,
    files: &[PathBuf],
) -> BTreeSet<String> {
    let stats: Vec<String> = files
        .iter()
        .map(|path| format!("{}\n{}", path.file_name().unwrap_or_default().display(), stat(path)))
        .collect();
    let stat = hash::sha256_parts(stats.iter().map(String::as_str));
    if let Some(known) = known.get(&id).filter(|known| known.stat == stat) {
        return known.series.clone();
    }
    let series = dicom::series_uids(files);
    known.insert(id, FolderSeries { stat, series: series.clone() });
    series
}

fn stat(path: &Path) -> String {
    let Ok(metadata) = fs::metadata(path) else { return "unreadable".to_owned() };
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{} {}", metadata.len(), changed.map_or(0, |since| since.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_formats::cohort::Layout;
    use nodulus_formats::dicom::Tolerances;

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
        let (sources, first) = freeze(&config(&a), &store, &|_, _| {}).unwrap();
        assert_eq!(sources.cases.len(), 1);
        assert_eq!(freeze(&config(&b), &store, &|_, _| {}).unwrap().1, first);
        fs::write(a.join("1.2.mhd"), "yy").unwrap();
        assert_ne!(freeze(&config(&a), &store, &|_, _| {}).unwrap().1, first);
        fs::write(folder.path().join("s").join(CACHE), "damaged").unwrap();
        assert_eq!(freeze(&config(&b), &store, &|_, _| {}).unwrap().1, first);
    }

    #[test]
    fn headers_of_an_unchanged_folder_are_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("1.dcm");
        fs::write(&file, "no DICOM").unwrap();
        let files = [file.clone()];
        let mut known = BTreeMap::new();
        let mut list = || series_of(&mut known, "c/f".to_owned(), &files);
        assert_eq!(list(), BTreeSet::new());
        let kept = fs::metadata(&file).unwrap().modified().unwrap();
        write_slice(&file);
        assert_eq!(list(), BTreeSet::from(["2.25.1".to_owned()]));
        // Same name, size and time: the cached series.
        let length = fs::metadata(&file).unwrap().len() as usize;
        let changed = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, vec![0; length]).unwrap();
        set_modified(&file, changed);
        assert_eq!(list(), BTreeSet::from(["2.25.1".to_owned()]));
        set_modified(&file, kept);
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
        let error = freeze(&config(&root), &store, &|_, _| {}).unwrap_err();
        assert!(matches!(error, Error::Cohort { .. }), "{error}");
        fs::create_dir_all(&root).unwrap();
        let error = freeze(&config(&root), &store, &|_, _| {}).unwrap_err().to_string();
        assert!(
            error.starts_with("cohort `c` is empty") && error.contains("`.mhd` file"),
            "{error}"
        );
    }
}

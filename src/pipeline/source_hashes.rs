//! What earlier runs read of source files, so that unchanged files are not read again.

use crate::stages::ingest::file_stamp;
use fs_err as fs;
use nodulus_faults::Watch;
use nodulus_store::{
    FailedCase, PartReader, PartWriter, Provenance, Row, Store, TableSpec, columns, durable,
    folder_record, hash,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Path of the hashes of earlier runs, in the store.
pub(super) const HASHES: &str = "sources/hashes.parquet";

columns! {
    /// What was found when a case, or a folder of DICOM files, was last read.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct SourceHash {
        /// cohort and case or folder
        id: String,
        /// hash of the files' names, sizes and times of change
        stat: String,
        /// hash of the content of a case, with what names tell of it; null for a folder
        content_sha256: Option<String>,
        /// hash of the content of a case alone; null for a folder
        files_sha256: Option<String>,
        /// series of a folder; empty for a case
        series: Vec<String>,
    }
}

impl Row for SourceHash {
    const TABLE: &'static TableSpec =
        &TableSpec::new::<Self>("source_hashes", "a case or folder that was read");
}

/// What earlier runs read, so that unchanged files are not read again.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Hash of each case, by cohort and case.
    pub(super) cases: BTreeMap<String, CaseHash>,
    /// Series of each DICOM folder and each XML file, by cohort and path.
    pub(super) series: BTreeMap<String, KnownSeries>,
}

/// The series of a folder or file when it was last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownSeries {
    pub(super) stat: String,
    pub(super) series: BTreeSet<String>,
}

/// The hash of a case when it was last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CaseHash {
    pub(super) stat: String,
    pub(super) content: String,
    /// The same without what names tell.
    pub(super) files: String,
    /// Why the content is not known, where the machine is at fault; such a hash is not kept.
    pub(super) fault: Option<FailedCase>,
}

impl Known {
    /// Reads what the store keeps. A damaged file costs time and cannot change a result.
    pub(super) fn read(store: &Store) -> Self {
        let mut known = Self::default();
        let path = store.root().join(HASHES);
        let folder = path.parent().unwrap_or(store.root());
        if folder_record::is_written(folder) {
            match folder_record::damage(folder) {
                Ok(None) => {}
                Ok(Some(damage)) => {
                    damage.note();
                    return known;
                }
                Err(_) => return known,
            }
        }
        let rows = PartReader::<SourceHash>::open(&path, SourceHash::TABLE, None);
        for row in rows.into_iter().flatten().map_while(Result::ok).flatten() {
            let SourceHash { id, stat, content_sha256, files_sha256, series } = row;
            if let Some((content, files)) = content_sha256.zip(files_sha256) {
                known.cases.insert(id, CaseHash { stat, content, files, fault: None });
            } else {
                let series = series.into_iter().collect();
                known.series.insert(id, KnownSeries { stat, series });
            }
        }
        known
    }

    /// Keeps it in the store, whole or not at all.
    pub(super) fn write(&self, store: &Store) -> Result<(), nodulus_store::Error> {
        let path = store.root().join(HASHES);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let aside = path.with_extension(format!("{}.tmp", durable::this_attempt()));
        let mut part = PartWriter::create(&aside, &Provenance::new())?;
        let cases = self.cases.iter().filter(|(_, known)| known.fault.is_none());
        part.write(cases.map(|(id, known)| SourceHash {
            id: id.clone(),
            stat: known.stat.clone(),
            content_sha256: Some(known.content.clone()),
            files_sha256: Some(known.files.clone()),
            series: Vec::new(),
        }))?;
        part.write(self.series.iter().map(|(id, known)| SourceHash {
            id: id.clone(),
            stat: known.stat.clone(),
            content_sha256: None,
            files_sha256: None,
            series: known.series.iter().cloned().collect(),
        }))?;
        part.finish()?;
        durable::publish(&aside, &path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.parent().map_or(Ok(()), |folder| folder_record::write_of(folder, &[name]))
    }
}

/// The series of files that are read together, and whether they had to be read because they have changed since the last
/// time.
pub(super) fn series_of(
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

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_formats::dicom;
    use std::path::Path;

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
}

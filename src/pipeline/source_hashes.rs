//! What earlier runs read of source files, so that unchanged files are not read again.

use fs_err as fs;
use nodulus_store::{
    FailedCase, PartReader, PartWriter, Provenance, Row, Store, TableSpec, columns, durable,
    folder_record,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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

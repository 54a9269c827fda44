//! Exports nodules' regions: NIfTI, numpy, Parquet with tensors, nnU-Net.

mod index;
mod nifti;
mod npz;
mod parquet_tensor;
mod nnunet;

use super::Error;
use super::folder::{Folder, Record};
use super::regions::{NoduleRegion, RegionSelection, Tables};
use crate::tables::Split;
use index::Index;
use nodulus_store::Store;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Format of exported regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegionFormat {
    /// Two NIfTI files for each nodule.
    Nifti,
    /// One file of numpy arrays for each nodule.
    Npz,
    /// Parquet rows with a tensor for each slice.
    ParquetTensor,
    /// An nnU-Net data set.
    Nnunet,
}

/// Options of the export.
#[derive(Clone, Copy, Debug)]
pub struct RegionOptions<'a> {
    /// Format.
    pub format: RegionFormat,
    /// The cohort; `None` for all.
    pub cohort: Option<&'a str>,
    /// Splits; all nodules where empty.
    pub splits: &'a [Split],
}

/// Settings and counts of the export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegionsDescription {
    /// Format.
    pub format: RegionFormat,
    /// The chosen cohort, if any.
    pub cohort: Option<String>,
    /// The splits; all nodules where empty.
    pub splits: Vec<Split>,
    /// Number of patients.
    pub n_patients: usize,
    /// Number of nodules.
    pub n_nodules: usize,
    /// Number of slices of their regions.
    pub n_slices: usize,
    /// Number of nodules by split; `none` for those that `samples` does not have.
    pub n_nodules_by_split: BTreeMap<String, usize>,
}

/// The open files of a format.
enum Writer {
    Nifti(Index),
    Npz(Index),
    ParquetTensor(parquet_tensor::Parts),
    Nnunet(Index, nnunet::DataSet),
}

/// Writes the regions of a store's nodules into a folder, which is created if necessary.
///
/// Memory holds one region, and a few numbers for each nodule. The files replace those of an earlier export when all are
/// finished.
///
/// # Errors
///
/// Fails if the store lacks a table or the cohort, a table was made from another version of another, no nodule is left, a
/// region has no position in the patient, or the folder has a file that no export wrote.
pub fn export(
    store: &Store,
    to: &Path,
    options: RegionOptions<'_>,
) -> Result<Record<RegionsDescription>, Error> {
    let mut selection = RegionSelection { cohort: options.cohort, splits: options.splits };
    if options.format == RegionFormat::Nnunet {
        nnunet::check_name(to)?;
        if selection.splits.is_empty() {
            selection.splits = &[Split::Train, Split::Validation, Split::Test];
        }
    }
    let tables = Tables::open(store, !selection.splits.is_empty())?;
    let folder = Folder::open(to)?;
    let aside = folder.aside();
    let mut writer = match options.format {
        RegionFormat::Nifti => Writer::Nifti(Index::create(aside)?),
        RegionFormat::Npz => Writer::Npz(Index::create(aside)?),
        RegionFormat::ParquetTensor => Writer::ParquetTensor(parquet_tensor::Parts::new(aside)),
        RegionFormat::Nnunet => {
            Writer::Nnunet(Index::create(aside)?, nnunet::DataSet::create(aside)?)
        }
    };
    let mut about = RegionsDescription {
        format: options.format,
        cohort: options.cohort.map(ToOwned::to_owned),
        splits: selection.splits.to_vec(),
        n_patients: 0,
        n_nodules: 0,
        n_slices: 0,
        n_nodules_by_split: BTreeMap::new(),
    };
    let mut patients = BTreeSet::new();
    let mut nodules = BTreeSet::new();
    for shard in 0..tables.n_shards() {
        tables.each(shard, selection, |region| {
            check_name(&region.nodule_id)?;
            if !nodules.insert(region.nodule_id.clone()) {
                return Err(refused(&region, "region", "one of several", "its only one"));
            }
            about.n_nodules += 1;
            about.n_slices += region.roi_ids.len();
            let split = region.split.as_deref().unwrap_or("none").to_owned();
            *about.n_nodules_by_split.entry(split).or_default() += 1;
            patients.insert(region.patient_id.clone());
            match &mut writer {
                Writer::Nifti(index) => {
                    nifti::write(aside, &region).and_then(|()| index.add(&region))
                }
                Writer::Npz(index) => npz::write(aside, &region).and_then(|()| index.add(&region)),
                Writer::ParquetTensor(parts) => parts.add(&region),
                Writer::Nnunet(index, set) => set.add(&region).and_then(|()| index.add(&region)),
            }
        })?;
    }
    if about.n_nodules == 0 {
        return Err(Error::NoRegions(selection.to_string()));
    }
    about.n_patients = patients.len();
    match writer {
        Writer::Nifti(index) | Writer::Npz(index) => index.finish()?,
        Writer::ParquetTensor(parts) => parts.finish()?,
        Writer::Nnunet(index, set) => {
            index.finish()?;
            set.finish(to)?;
        }
    }
    folder.publish("rois", about, tables.inputs())
}

/// Fails if an id cannot be the name of a file.
fn check_name(id: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !id.is_empty() && !id.starts_with('.') && id.chars().all(plain) {
        return Ok(());
    }
    Err(Error::Region {
        nodule_id: id.to_owned(),
        what: "id",
        found: "no name of a file".to_owned(),
        expected: "ASCII letters, digits, `-`, `_` and `.`".to_owned(),
    })
}

fn refused(region: &NoduleRegion, what: &'static str, found: &str, expected: &str) -> Error {
    Error::Region {
        nodule_id: region.nodule_id.clone(),
        what,
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_leads_elsewhere_is_no_name() {
        assert!(check_name("n-0123456789abcdef").is_ok());
        for id in ["", "..", "../n", "a/b", ".n", "a b", "ä"] {
            assert!(check_name(id).is_err(), "{id}");
        }
    }
}

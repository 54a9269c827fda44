//! A data set as nnU-Net takes it.
//!
//! Source: nnU-Net's `documentation/dataset_format.md` and `verify_dataset_integrity`.

use crate::pipeline::export::Error;
use crate::pipeline::export::regions::NoduleRegion;
use crate::stages::balance::nnunet_splits;
use crate::tables::{Neighbours, Split};
use fs_err as fs;
use ndarray::{Array3, Zip};
use nodulus_formats::nifti;
use nodulus_formats::volume::Volume;
use nodulus_store::record;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Fails if a folder's name is not `DatasetNNN_NAME`.
pub(super) fn check_name(to: &Path) -> Result<(), Error> {
    let name = to.file_name().and_then(|name| name.to_str()).and_then(|name| {
        let (number, name) = name.strip_prefix("Dataset")?.split_once('_')?;
        let digits = number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (digits && !name.is_empty() && name.chars().all(plain)).then_some(())
    });
    name.ok_or_else(|| Error::DatasetName(to.to_owned()))
}

/// Label of a nodule.
const NODULE: u8 = 1;

/// Label of ignored pixels; nnU-Net requires the highest label.
const IGNORE: u8 = 2;

/// METHOD: other nodules of the scan are treated as in our own training: as nodule, or ignored. As background they would be
/// wrong.
fn labels(own: &Array3<u8>, others: &Array3<u8>, neighbours: Neighbours) -> Array3<u8> {
    let other = match neighbours {
        Neighbours::Include => NODULE,
        Neighbours::Ignore => IGNORE,
    };
    Zip::from(own).and(others).map_collect(|own, others| match (own, others) {
        (0, 0) => 0,
        (0, _) => other,
        _ => NODULE,
    })
}

/// A data set under construction.
pub(super) struct DataSet {
    folder: PathBuf,
    /// Training cases, each with the fold that it is held out in.
    training: Vec<(String, Option<i64>)>,
    n_test: usize,
    /// Whether a region ignores other nodules.
    ignores: bool,
}

impl DataSet {
    pub(super) fn create(folder: &Path) -> Result<Self, Error> {
        for name in ["imagesTr", "labelsTr", "imagesTs", "labelsTs"] {
            fs::create_dir_all(folder.join(name))?;
        }
        Ok(Self { folder: folder.to_owned(), training: Vec::new(), n_test: 0, ignores: false })
    }

    /// Writes the image and the labels of a nodule.
    ///
    /// METHOD: nnU-Net's folds cover train and validation together.
    pub(super) fn add(&mut self, region: &NoduleRegion) -> Result<(), Error> {
        let id = &region.nodule_id;
        let end = if region.split.as_deref() == Some(Split::Test.name()) {
            self.n_test += 1;
            "Ts"
        } else {
            self.training.push((id.clone(), region.fold));
            "Tr"
        };
        self.ignores |= region.neighbours == Neighbours::Ignore;
        let labels = labels(&region.mask, &region.others, region.neighbours);
        let labels = Volume::new(*region.hu.geometry(), labels).map_err(|error| {
            super::refused(region, "mask", &error.to_string(), "that of its pixels")
        })?;
        let path = |kind: &str, name: String| self.folder.join(format!("{kind}{end}")).join(name);
        nifti::write(&path("images", format!("{id}_0000.nii.gz")), &region.hu)?;
        nifti::write_byte_labels(&path("labels", format!("{id}.nii.gz")), &labels)?;
        Ok(())
    }

    /// Writes `dataset.json` and `splits_final.json`.
    pub(super) fn finish(self, to: &Path) -> Result<(), Error> {
        if self.training.is_empty() {
            return Err(Error::NoTraining(self.n_test));
        }
        let mut labels = json!({ "background": 0, "nodule": NODULE });
        if self.ignores {
            labels["ignore"] = json!(IGNORE);
        }
        let dataset = json!({
            "name": to.file_name().unwrap_or_default().to_string_lossy(),
            "description": "Regions of interest about lung nodules, Hounsfield units",
            "channel_names": { "0": "CT" },
            "labels": labels,
            "numTraining": self.training.len(),
            "file_ending": ".nii.gz",
        });
        record::write_plain(&self.folder.join("dataset.json"), &dataset)?;
        let folds = nnunet_splits(self.training)?;
        record::write_plain(&self.folder.join("splits_final.json"), &folds)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn other_nodules_are_nodule_or_ignored() {
        let (own, others) = (array![[[0, 1, 1, 0]]], array![[[0, 0, 1, 1]]]);
        assert_eq!(labels(&own, &others, Neighbours::Include), array![[[0, 1, 1, 1]]]);
        assert_eq!(labels(&own, &others, Neighbours::Ignore), array![[[0, 1, 1, 2]]]);
    }

    #[test]
    fn the_ignore_label_is_declared_where_it_may_be() {
        for ignores in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut set = DataSet::create(folder.path()).unwrap();
            set.training = (0..2).map(|n| (format!("n{n}"), Some(n))).collect();
            set.ignores = ignores;
            set.finish(Path::new("Dataset501_A")).unwrap();
            let text = fs::read_to_string(folder.path().join("dataset.json")).unwrap();
            let found: serde_json::Value = serde_json::from_str(&text).unwrap();
            let mut expected = json!({ "background": 0, "nodule": 1 });
            if ignores {
                expected["ignore"] = json!(2);
            }
            assert_eq!(found["labels"], expected);
        }
    }

    #[test]
    fn a_folder_has_nnunets_name() {
        assert!(check_name(Path::new("raw/Dataset501_Nodules")).is_ok());
        for name in ["nodules", "Dataset1_N", "Dataset501", "Dataset501_", "Dataset501_a b", ".."] {
            assert!(check_name(&Path::new("raw").join(name)).is_err(), "{name}");
        }
    }
}

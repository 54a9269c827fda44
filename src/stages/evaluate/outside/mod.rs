//! Masks of other programs' models, which are measured beside the network's: `evaluate.predictions`.

mod error;
mod mask_table;
mod mask_folder;
mod plan;
mod predict;
#[cfg(test)]
mod segmentation_tests;
#[cfg(test)]
mod tests;

use super::config::{Config, OutsidePredictions};
pub use error::Error;
use mask_folder::MaskFolder;
use mask_table::MaskTable;
use nodulus_faults::fs;
use nodulus_store::{InputRef, Version, hash};
use plan::OfModel;
pub(super) use plan::decide;
pub(super) use predict::{Predicted, predict};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What the name of such an input begins with; the model's name follows.
const INPUT: &str = "predictions of ";

/// First bytes of a Parquet file.
const PARQUET: &[u8] = b"PAR1";

/// What the store notes of such an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictionsNote {
    /// Where the masks lay when they were read.
    pub masks_path: PathBuf,
}

impl PredictionsNote {
    /// The note of an input; `None` for an input that is no model's masks.
    pub fn of(input: &InputRef) -> Option<Self> {
        serde_json::from_value(input.note.clone()?).ok()
    }
}

/// Masks of a model.
pub(super) struct OutsideModel {
    /// Its name in the tables.
    model_id: String,
    /// File or folder.
    path: PathBuf,
    masks: Masks,
}

enum Masks {
    /// A row for each slice.
    Table(MaskTable),
    /// A file for each nodule.
    Folder(MaskFolder),
}

/// Opens the masks of every model.
///
/// # Errors
///
/// Fails if a file is missing or cannot be read, or masks are missing values or there twice.
pub(super) fn open(config: &Config) -> Result<Vec<OutsideModel>, Error> {
    let open = |OutsidePredictions { model, path }: &OutsidePredictions| {
        check_exists(model, path)?;
        let masks = if fs::is_dir(path) {
            Masks::Folder(MaskFolder::open(path)?)
        } else if is_parquet(path)? {
            Masks::Table(MaskTable::open(path)?)
        } else {
            return Err(Error::Kind { path: path.clone() });
        };
        Ok(OutsideModel { model_id: model.clone(), path: path.clone(), masks })
    };
    config.predictions.iter().map(open).collect()
}

/// Fails if masks that the settings name are not there, before any stage works for hours.
///
/// # Errors
///
/// As said.
pub fn check_settings(config: &Config) -> Result<(), Error> {
    config.predictions.iter().try_for_each(|of_model| check_exists(&of_model.model, &of_model.path))
}

fn check_exists(model: &str, path: &Path) -> Result<(), Error> {
    if fs::exists(path) {
        return Ok(());
    }
    Err(Error::Missing { model_id: model.to_owned(), path: path.to_owned() })
}

fn is_parquet(path: &Path) -> Result<bool, Error> {
    let mut first = Vec::new();
    fs::File::open(path)?.take(PARQUET.len() as u64).read_to_end(&mut first)?;
    Ok(first == PARQUET)
}

/// The masks as inputs of the stage. No key depends on them as a whole: that of a shard depends on its own masks.
///
/// # Errors
///
/// Fails if they cannot be read.
pub(super) fn inputs(config: &Config) -> Result<Vec<InputRef>, Error> {
    let input = |OutsidePredictions { model, path }: &OutsidePredictions| -> Result<_, Error> {
        check_exists(model, path)?;
        let content_sha256 = if fs::is_dir(path) {
            MaskFolder::open(path)?.content_sha256()
        } else {
            hash::sha256_file(path)?
        };
        let masks_path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let note = Some(json!(PredictionsNote { masks_path }));
        Ok(InputRef { note, ..InputRef::outside(&format!("{INPUT}{model}"), content_sha256) })
    };
    config.predictions.iter().map(input).collect()
}

/// What a reader of the results has to know of the nodules that such models have and others have not, each in a sentence.
///
/// # Errors
///
/// Fails if the records of shards cannot be read.
pub(super) fn warnings(metrics: &Version) -> Result<Vec<String>, nodulus_store::Error> {
    if !metrics.manifest.inputs.iter().any(|input| input.name.starts_with(INPUT)) {
        return Ok(Vec::new());
    }
    let mut models: BTreeMap<String, OfModel> = BTreeMap::new();
    for shard in 0..metrics.manifest.n_shards() {
        for of_shard in plan::of_record(&metrics.shard_record(shard)?.decisions) {
            models.entry(of_shard.model_id.clone()).or_default().add(&of_shard);
        }
    }
    Ok(models.iter().flat_map(|(model_id, counts)| counts.warnings(model_id)).collect())
}

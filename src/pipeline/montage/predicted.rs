//! Reads the masks of one model, one shard at a time.

use crate::pipeline::export::regions::{NoduleRegion, Tables};
use crate::pipeline::export::{Error, check_made_of};
use crate::stages::infer::REGION_GROWING;
use crate::tables::{Output, Table};
use ndarray::Array2;
use nodulus_formats::volume::Mask;
use nodulus_store::{InputRef, Store, Version};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The predictions of one model.
pub(super) struct ModelMasks {
    version: Version,
    model: String,
}

/// Packed masks of a shard, by slice id.
#[derive(Default)]
pub(super) struct ShardMasks(BTreeMap<String, Vec<u8>>);

/// The columns of `predictions` that are read.
#[derive(Deserialize)]
struct MaskColumns {
    roi_id: String,
    model_id: String,
    #[serde(with = "serde_bytes")]
    mask_bits: Vec<u8>,
}

impl ModelMasks {
    /// Opens the chosen model, which may be one of another program, or the only network; `None` where no network has predictions.
    pub(super) fn open(
        store: &Store,
        tables: &Tables,
        asked: Option<&str>,
    ) -> Result<Option<Self>, Error> {
        #[derive(Deserialize)]
        struct Model {
            model_id: String,
        }
        let of_store = Output::Table(Table::Predictions);
        let Some(version) = store.current(of_store)? else {
            return match asked {
                Some(_) => Err(store
                    .require(of_store)
                    .err()
                    .map_or_else(|| unknown(asked, BTreeSet::new()), Error::Store)),
                None => Ok(None),
            };
        };
        let mut found: BTreeMap<String, Version> = BTreeMap::new();
        let of_others = store.current(Output::Table(Table::OutsidePredictions))?;
        // What other programs predicted is drawn only where it is asked for.
        let of_others = of_others.filter(|_| asked.is_some());
        for version in [version].into_iter().chain(of_others) {
            check_made_of(&version, &tables.rois)?;
            let mut models = BTreeSet::new();
            for batch in version.columns::<Model>(&["model_id"]) {
                models.extend(batch?.into_iter().map(|row| row.model_id));
            }
            found.extend(models.into_iter().map(|model| (model, version.clone())));
        }
        let networks: Vec<&String> =
            found.keys().filter(|model| *model != REGION_GROWING).collect();
        let model = match (asked, networks.as_slice()) {
            (Some(asked), _) if found.contains_key(asked) => asked.to_owned(),
            (None, [only]) => (*only).clone(),
            (None, []) => return Ok(None),
            _ => return Err(unknown(asked, found.into_keys().collect())),
        };
        Ok(found.remove(&model).map(|version| Self { version, model }))
    }

    pub(super) fn model(&self) -> String {
        self.model.clone()
    }

    pub(super) fn input(&self) -> InputRef {
        self.version.manifest.as_input()
    }

    /// The masks of a shard.
    pub(super) fn masks(&self, shard: usize) -> Result<ShardMasks, Error> {
        let mut masks = BTreeMap::new();
        let columns = ["roi_id", "model_id", "mask_bits"];
        for batch in self.version.shard_columns::<MaskColumns>(shard, &columns) {
            let batch = batch?.into_iter().filter(|row| row.model_id == self.model);
            masks.extend(batch.map(|row| (row.roi_id, row.mask_bits)));
        }
        Ok(ShardMasks(masks))
    }
}

impl ShardMasks {
    /// The mask of a slice, indexed `[j, i]`; `None` where it has no prediction.
    pub(super) fn of(&self, region: &NoduleRegion, k: usize) -> Result<Option<Array2<u8>>, Error> {
        let Some(bits) = region.roi_ids.get(k).and_then(|id| self.0.get(id)) else {
            return Ok(None);
        };
        let [ni, nj, _] = region.hu.geometry().size();
        let refused = |error: &dyn std::fmt::Display| Error::Region {
            nodule_id: region.nodule_id.clone(),
            what: "predicted mask",
            found: error.to_string(),
            expected: format!("{ni} × {nj} pixels"),
        };
        let mask = Mask::from_bits([ni, nj, 1], bits.clone()).map_err(|error| refused(&error))?;
        let pixels = mask.to_bools().into_iter().map(u8::from).collect();
        Array2::from_shape_vec((nj, ni), pixels).map(Some).map_err(|error| refused(&error))
    }
}

fn unknown(model: Option<&str>, found: BTreeSet<String>) -> Error {
    Error::Model { model: model.map(ToOwned::to_owned), found: found.into_iter().collect() }
}

//! Reads nodules' regions from a store, one after the other: the slices of `rois` put together to volumes.

#[cfg(test)]
mod tests;

use super::{Error, check_cohort, check_made_of};
use crate::tables::{Neighbours, Output, Roi, Split, Table};
use ndarray::Array3;
use nodulus_formats::volume::{Geometry, Mask, Volume};
use nodulus_store::{InputRef, Store, Version};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Greatest distance of a slice's position in `rois` from its position on the region's grid.
const POSITION_TOLERANCE_MM: f64 = 1e-3;

/// A nodule's region, with all its slices.
#[derive(Clone, Debug)]
pub(in crate::pipeline) struct NoduleRegion {
    /// The nodule at the centre.
    pub(in crate::pipeline) nodule_id: String,
    /// Name of the cohort.
    pub(in crate::pipeline) cohort: String,
    /// Series of the scan.
    pub(in crate::pipeline) series_instance_uid: String,
    /// Patient of the series.
    pub(in crate::pipeline) patient_id: String,
    /// Split of the patient; `None` where `samples` does not have the nodule.
    pub(in crate::pipeline) split: Option<String>,
    /// Fold of the patient; `None` in test.
    pub(in crate::pipeline) fold: Option<i64>,
    /// Mean diameter of the nodule's marks.
    pub(in crate::pipeline) diameter_mm: f64,
    /// Column and row of the first pixel in the scan's own pixels; negative where padded.
    pub(in crate::pipeline) start: [f64; 2],
    /// Index k of the first slice in the series.
    pub(in crate::pipeline) first_slice: i64,
    /// Hounsfield units that normalise to 0 and to 1.
    pub(in crate::pipeline) window_hu: [f64; 2],
    /// Ids of the slices, k ascending.
    pub(in crate::pipeline) roi_ids: Vec<String>,
    /// Hounsfield units, with the geometry in the patient.
    pub(in crate::pipeline) hu: Volume<i16>,
    /// Mask of the nodule, 0 and 1, indexed `[k, j, i]`.
    pub(in crate::pipeline) mask: Array3<u8>,
    /// Mask of the scan's other nodules, in the same form.
    pub(in crate::pipeline) others: Array3<u8>,
    /// Treatment of other nodules in training.
    pub(in crate::pipeline) neighbours: Neighbours,
    /// Shard of the store.
    pub(in crate::pipeline) shard: usize,
}

/// Which nodules are read.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct RegionSelection<'a> {
    /// The cohort; `None` for all.
    pub(in crate::pipeline) cohort: Option<&'a str>,
    /// Splits; all nodules, in a split or not, where empty.
    pub(in crate::pipeline) splits: &'a [Split],
}

impl std::fmt::Display for RegionSelection<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.cohort {
            Some(cohort) => write!(f, "cohort `{cohort}`")?,
            None => f.write_str("any cohort")?,
        }
        if !self.splits.is_empty() {
            let splits: Vec<&str> = self.splits.iter().map(|split| split.name()).collect();
            write!(f, " in the split {}", splits.join(" or "))?;
        }
        Ok(())
    }
}

/// The tables that regions are read from; the same shards hold the same scans.
#[derive(Debug)]
pub(in crate::pipeline) struct Tables {
    scans: Version,
    nodules: Version,
    pub(in crate::pipeline) rois: Version,
    samples: Option<Version>,
    /// Cohorts that have scans.
    pub(in crate::pipeline) cohorts: BTreeSet<String>,
}

/// The column of `scans` that is read.
#[derive(Deserialize)]
struct CohortColumn {
    cohort: String,
}

/// The columns of `nodules` that are read.
#[derive(Deserialize)]
struct NoduleDiameter {
    nodule_id: String,
    diameter_mm: f64,
}

/// The columns of `samples` that are read.
#[derive(Deserialize)]
struct NoduleSplit {
    nodule_id: String,
    split: String,
    fold: Option<i64>,
}

/// Facts about the scans and nodules of a shard.
struct ShardFacts {
    /// Cohorts of the scans.
    cohorts: BTreeSet<String>,
    diameters_mm: BTreeMap<String, f64>,
    /// Split and fold of each nodule.
    splits: BTreeMap<String, (String, Option<i64>)>,
}

impl Tables {
    /// Opens the tables; `samples` where it exists or is needed.
    ///
    /// # Errors
    ///
    /// Fails if the store lacks a table, or one was made from another version of another.
    pub(in crate::pipeline) fn open(store: &Store, with_samples: bool) -> Result<Self, Error> {
        let [rois, scans, nodules] = [Table::Rois, Table::Scans, Table::Nodules]
            .map(|table| store.require(Output::Table(table)));
        let (rois, scans, nodules) = (rois?, scans?, nodules?);
        let samples = if with_samples {
            Some(store.require(Output::Table(Table::Samples))?)
        } else {
            store.current(Output::Table(Table::Samples))?
        };
        check_made_of(&rois, &scans)?;
        check_made_of(&rois, &nodules)?;
        if let Some(samples) = &samples {
            check_made_of(samples, &rois)?;
        }
        let mut cohorts = BTreeSet::new();
        for batch in scans.columns::<CohortColumn>(&["cohort"]) {
            cohorts.extend(batch?.into_iter().map(|scan| scan.cohort));
        }
        Ok(Self { scans, nodules, rois, samples, cohorts })
    }

    /// The tables, as inputs of an export.
    pub(in crate::pipeline) fn inputs(&self) -> Vec<InputRef> {
        let tables = [&self.scans, &self.nodules, &self.rois].into_iter().chain(&self.samples);
        tables.map(|version| version.manifest.as_input()).collect()
    }

    /// Number of shards.
    pub(in crate::pipeline) fn n_shards(&self) -> usize {
        self.rois.manifest.n_shards()
    }

    /// Passes the chosen regions of a shard to a function, one at a time, in the order of the table.
    ///
    /// # Errors
    ///
    /// Fails if a table cannot be read, a nodule's slices do not make one region of a scan, or the function fails.
    pub(in crate::pipeline) fn each(
        &self,
        shard: usize,
        selection: RegionSelection<'_>,
        mut take: impl FnMut(NoduleRegion) -> Result<(), Error>,
    ) -> Result<(), Error> {
        check_cohort(&self.cohorts, selection.cohort)?;
        let facts = self.facts(shard)?;
        let of_cohort = |cohort: &str| selection.cohort.is_none_or(|wanted| wanted == cohort);
        // A shard without a scan of the cohort has no region of it either.
        if !facts.cohorts.iter().any(|cohort| of_cohort(cohort)) {
            return Ok(());
        }
        let chosen = |roi: &Roi| {
            let split = facts.splits.get(&roi.nodule_id).map(|(split, _)| split.as_str());
            of_cohort(&roi.cohort)
                && (selection.splits.is_empty()
                    || selection.splits.iter().any(|wanted| split == Some(wanted.name())))
        };
        let mut slices: Vec<Roi> = Vec::new();
        for batch in self.rois.shard_rows::<Roi>(shard) {
            for roi in batch?.into_iter().filter(chosen) {
                if slices.first().is_some_and(|first| first.nodule_id != roi.nodule_id) {
                    take(facts.region(&slices, shard)?)?;
                    slices.clear();
                }
                slices.push(roi);
            }
        }
        if slices.is_empty() { Ok(()) } else { take(facts.region(&slices, shard)?) }
    }

    fn facts(&self, shard: usize) -> Result<ShardFacts, Error> {
        let mut facts = ShardFacts {
            cohorts: BTreeSet::new(),
            diameters_mm: BTreeMap::new(),
            splits: BTreeMap::new(),
        };
        for batch in self.scans.shard_columns::<CohortColumn>(shard, &["cohort"]) {
            facts.cohorts.extend(batch?.into_iter().map(|scan| scan.cohort));
        }
        let columns = ["nodule_id", "diameter_mm"];
        for batch in self.nodules.shard_columns::<NoduleDiameter>(shard, &columns) {
            let batch = batch?.into_iter();
            facts.diameters_mm.extend(batch.map(|nodule| (nodule.nodule_id, nodule.diameter_mm)));
        }
        if let Some(samples) = &self.samples {
            let columns = ["nodule_id", "split", "fold"];
            for batch in samples.shard_columns::<NoduleSplit>(shard, &columns) {
                let batch = batch?.into_iter();
                facts.splits.extend(batch.map(|s| (s.nodule_id, (s.split, s.fold))));
            }
        }
        Ok(facts)
    }
}

impl ShardFacts {
    /// A region from its slices.
    fn region(&self, slices: &[Roi], shard: usize) -> Result<NoduleRegion, Error> {
        let Some(first) = slices.first() else {
            return Err(refused("", "number of slices", &0, &"at least 1"));
        };
        let wrong = |what, found: &dyn std::fmt::Debug, expected: &dyn std::fmt::Debug| {
            refused(&first.nodule_id, what, found, expected)
        };
        let Ok(direction) = <[f64; 9]>::try_from(&first.direction[..]) else {
            return Err(wrong("direction", &first.direction, &"9 numbers"));
        };
        let size = [first.width, first.height].map(|n| usize::try_from(n).unwrap_or(0));
        let Some(neighbours) = Neighbours::from_name(&first.neighbours) else {
            return Err(wrong("neighbours", &first.neighbours, &"include or ignore"));
        };
        let [ni, nj] = size;
        let shape = (slices.len(), nj, ni);
        let spacing_mm = [first.spacing_i_mm, first.spacing_j_mm, first.spacing_k_mm];
        let geometry =
            Geometry::new([ni, nj, slices.len()], spacing_mm, origin_mm(first), direction)
                .map_err(|error| wrong("geometry", &error, &"that of a scan"))?;
        let mut hu = Vec::new();
        let (mut mask, mut others) = (Vec::new(), Vec::new());
        for (n, roi) in slices.iter().enumerate() {
            let k = first.slice_index.saturating_add(n as i64);
            if roi.slice_index != k {
                return Err(wrong("index of a slice", &roi.slice_index, &k));
            }
            let expected_mm = geometry.voxel_to_patient([0.0, 0.0, n as f64]);
            let off = |a: usize| (origin_mm(roi)[a] - expected_mm[a]).abs();
            // A position that is not a number is off too.
            if !(0..3).all(|a| off(a) <= POSITION_TOLERANCE_MM) {
                return Err(wrong("first pixel of a slice in mm", &origin_mm(roi), &expected_mm));
            }
            if frame(roi) != frame(first) {
                return Err(wrong("frame of a slice", &frame(roi), &frame(first)));
            }
            if roi.neighbours != first.neighbours {
                return Err(wrong("neighbours of a slice", &roi.neighbours, &first.neighbours));
            }
            let pixels = roi.pixels_hu();
            hu.extend(
                pixels.ok_or_else(|| wrong("bytes of a slice", &roi.hu.len(), &(2 * ni * nj)))?,
            );
            for (bits, all) in [(&roi.mask_bits, &mut mask), (&roi.other_mask_bits, &mut others)] {
                let found = Mask::from_bits([ni, nj, 1], bits.clone());
                let found = found.map_err(|error| wrong("mask of a slice", &error, &size))?;
                all.extend(found.to_bools().into_iter().map(u8::from));
            }
        }
        let array = |_| wrong("number of pixels", &"another", &shape);
        let start = [first.start_i, first.start_j];
        let hu = Array3::from_shape_vec(shape, hu).map_err(array)?;
        let split = self.splits.get(&first.nodule_id);
        Ok(NoduleRegion {
            nodule_id: first.nodule_id.clone(),
            cohort: first.cohort.clone(),
            series_instance_uid: first.series_instance_uid.clone(),
            patient_id: first.patient_id.clone(),
            split: split.map(|(split, _)| split.clone()),
            fold: split.and_then(|(_, fold)| *fold),
            diameter_mm: self.diameters_mm.get(&first.nodule_id).copied().unwrap_or(f64::NAN),
            start,
            first_slice: first.slice_index,
            window_hu: [first.norm_low_hu, first.norm_high_hu],
            roi_ids: slices.iter().map(|roi| roi.roi_id.clone()).collect(),
            hu: Volume::new(geometry, hu).map_err(|error| wrong("shape", &error, &shape))?,
            mask: Array3::from_shape_vec(shape, mask).map_err(array)?,
            others: Array3::from_shape_vec(shape, others).map_err(array)?,
            neighbours,
            shard,
        })
    }
}

/// The values that all slices of a region share: size, start, spacing and window.
fn frame(roi: &Roi) -> ([i64; 2], [f64; 7]) {
    let [low_hu, high_hu] = [roi.norm_low_hu, roi.norm_high_hu];
    let [si, sj, sk] = [roi.spacing_i_mm, roi.spacing_j_mm, roi.spacing_k_mm];
    ([roi.width, roi.height], [roi.start_i, roi.start_j, si, sj, sk, low_hu, high_hu])
}

/// Centre of a slice's first pixel.
fn origin_mm(roi: &Roi) -> [f64; 3] {
    [roi.origin_x_mm, roi.origin_y_mm, roi.origin_z_mm]
}

fn refused(
    nodule_id: &str,
    what: &'static str,
    found: &dyn std::fmt::Debug,
    expected: &dyn std::fmt::Debug,
) -> Error {
    let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
    Error::Region { nodule_id: nodule_id.to_owned(), what, found, expected }
}

//! Crop: `scans`, `nodules` → `rois`.

use super::Task;
use crate::formats::cohort;
use crate::imaging::crop::{crop_mask, crop_slice};
use crate::tables::{Failure, Nodule, Output, Roi, Scan, Table, parquet, shard, store};
use crate::volume::{BitsMismatch, Mask, PlacedMask, Volume};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Outputs read.
pub const READS: &[Output] = &[Output::Table(Table::Scans), Output::Table(Table::Nodules)];
/// Outputs written.
pub const WRITES: &[Output] = &[Output::Table(Table::Rois)];
/// Raised when the stage's results change.
pub const VERSION: u32 = 1;

/// Settings: `[crop]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Pixels of a region along i and j.
    pub size: usize,
    /// Slices added on each side of the nodule's.
    pub margin_slices: usize,
    /// Hounsfield units of pixels past the image's border.
    pub padding_hu: i16,
    /// Window of normalisation.
    pub window: Window,
    /// Windows of cohorts with their own range, by the cohort's name.
    pub windows: BTreeMap<String, Window>,
}

/// Values that normalise to 0 and to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Value that normalises to 0.
    pub low_hu: f64,
    /// Value that normalises to 1.
    pub high_hu: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            size: 128,
            margin_slices: 3,
            // METHOD: air, as outside the body.
            padding_hu: -1000,
            // METHOD: chosen; the paper's copy of LUNA16 was stored as 0..255 (model.md).
            window: Window { low_hu: -1000.0, high_hu: 400.0 },
            windows: BTreeMap::new(),
        }
    }
}

/// Crops the nodules of every pending shard, `workers` scans at once.
///
/// # Errors
///
/// Fails if the store cannot be read or written to; a scan or nodule that fails becomes a row of
/// `failures`.
pub fn run(config: &Config, task: &Task<'_>) -> Result<(), Error> {
    let (scans, nodules) = (task.table(Table::Scans)?, task.table(Table::Nodules)?);
    let total = task.job.spec().n_shards;
    for shard in task.job.pending() {
        let mut by_series: BTreeMap<(String, String), Vec<Nodule>> = BTreeMap::new();
        for batch in nodules.shard_rows::<Nodule>(shard) {
            for nodule in batch? {
                let key = (nodule.cohort.clone(), nodule.series_instance_uid.clone());
                by_series.entry(key).or_default().push(nodule);
            }
        }
        let mut work = Vec::new();
        for batch in scans.shard_rows::<Scan>(shard) {
            for scan in batch? {
                let key = (scan.cohort.clone(), scan.series_instance_uid.clone());
                if let Some(nodules) = by_series.remove(&key) {
                    work.push((scan, nodules));
                }
            }
        }
        let writer = task.job.shard(shard)?;
        let mut rois = writer.part::<Roi>()?;
        let mut failures = Vec::new();
        for scans in work.chunks(task.workers.max(1)) {
            let cropped: Vec<_> = scans
                .par_iter()
                .map(|(scan, nodules)| crop_scan(config, task, scan, nodules))
                .collect();
            for (rows, failed) in cropped {
                rois.write(rows)?;
                failures.extend(failed);
            }
        }
        writer.commit(vec![rois.finish()?], failures)?;
        task.cases(shard + 1, total);
    }
    Ok(())
}

fn crop_scan(
    config: &Config,
    task: &Task<'_>,
    scan: &Scan,
    nodules: &[Nodule],
) -> (Vec<Roi>, Vec<Failure>) {
    let fail = |case: &str, error: &CropError| {
        Failure::new("crop", case, error, Some(scan.path.clone()))
    };
    let volume = match task.roots.get(&scan.cohort).map(|root| read_volume(root, scan)) {
        Some(Ok(volume)) => volume,
        Some(Err(error)) => return (Vec::new(), vec![fail(&scan.series_instance_uid, &error)]),
        None => {
            let error = CropError::Cohort(scan.cohort.clone());
            return (Vec::new(), vec![fail(&scan.series_instance_uid, &error)]);
        }
    };
    let mut rois = Vec::new();
    let mut failures = Vec::new();
    for nodule in nodules {
        match transform(config, &volume, nodule) {
            Ok(rows) => rois.extend(rows),
            Err(error) => failures.push(fail(&nodule.nodule_id, &error)),
        }
    }
    (rois, failures)
}

fn read_volume(root: &Path, scan: &Scan) -> Result<Volume<i16>, CropError> {
    let wanted = |series: &str| series == scan.series_instance_uid;
    let path = root.join(&scan.path);
    let image = cohort::read_images(&path, wanted)?.into_iter().next();
    let image = image.ok_or_else(|| CropError::Gone(scan.series_instance_uid.clone()))??;
    let size = image.volume.geometry().size().map(|n| n as i64);
    if size != [scan.n_columns, scan.n_rows, scan.n_slices] {
        return Err(CropError::Changed(scan.path.clone()));
    }
    Ok(image.volume)
}

/// The slices of a nodule's region, k ascending: those of its mask and `margin_slices` on each
/// side, as far as the scan goes.
///
/// # Errors
///
/// Fails if the mask does not lie in the volume, or is larger than the region.
pub fn transform(
    config: &Config,
    volume: &Volume<i16>,
    nodule: &Nodule,
) -> Result<Vec<Roi>, CropError> {
    let placed = placed(nodule)?;
    let geometry = volume.geometry();
    let size = geometry.size();
    let end = placed.end();
    if (0..3).any(|a| end[a] > size[a]) {
        return Err(CropError::Outside { start: placed.start, end, size });
    }
    // METHOD: the window is centred on the pixel nearest to the nodule's centre.
    let half = (config.size / 2) as i64;
    let start = [nodule.centroid_i, nodule.centroid_j].map(|c| c.round() as i64 - half);
    let fits = |a: usize| {
        placed.start[a] as i64 >= start[a] && end[a] as i64 <= start[a] + config.size as i64
    };
    if !(fits(0) && fits(1)) {
        return Err(CropError::Oversize { size: placed.mask.size(), region: config.size });
    }
    let window = config.windows.get(&nodule.cohort).copied().unwrap_or(config.window);
    let [spacing_i_mm, spacing_j_mm, spacing_k_mm] = geometry.spacing().ijk();
    let first = placed.start[2].saturating_sub(config.margin_slices);
    let last = (end[2] + config.margin_slices).min(size[2]);
    let masks: Vec<Mask> =
        (first..last).map(|k| crop_mask(&placed, k, start, [config.size; 2])).collect();
    let filled: Vec<usize> =
        masks.iter().enumerate().filter(|(_, m)| !m.is_empty()).map(|(n, _)| n).collect();
    let mut rois = Vec::with_capacity(masks.len());
    for (n, mask) in masks.into_iter().enumerate() {
        let k = first + n;
        let slice = volume.slice(k).ok_or(CropError::Outside { start: placed.start, end, size })?;
        let (pixels, padded) = crop_slice(slice, start, [config.size; 2], config.padding_hu);
        let distance = filled.iter().map(|f| f.abs_diff(n)).min().unwrap_or(usize::MAX);
        let n_mask_pixels = mask.count();
        rois.push(Roi {
            roi_id: format!("{}-k{k:04}", nodule.nodule_id),
            nodule_id: nodule.nodule_id.clone(),
            cohort: nodule.cohort.clone(),
            series_instance_uid: nodule.series_instance_uid.clone(),
            patient_id: nodule.patient_id.clone(),
            slice_index: k as i64,
            z_mm: geometry.voxel_to_patient([0.0, 0.0, k as f64])[2],
            start_i: start[0],
            start_j: start[1],
            height: config.size as i64,
            width: config.size as i64,
            spacing_i_mm,
            spacing_j_mm,
            spacing_k_mm,
            hu: pixels.iter().flat_map(|v| v.to_le_bytes()).collect(),
            norm_low_hu: window.low_hu,
            norm_high_hu: window.high_hu,
            mask_bits: mask.into_bits(),
            n_mask_pixels: n_mask_pixels as i64,
            has_nodule: n_mask_pixels > 0,
            distance_to_nodule_slices: distance as i64,
            padded,
        });
    }
    Ok(rois)
}

fn placed(nodule: &Nodule) -> Result<PlacedMask, CropError> {
    let index = |v: i64| usize::try_from(v).map_err(|_| CropError::Negative(v));
    let start = [index(nodule.bbox_i)?, index(nodule.bbox_j)?, index(nodule.bbox_k)?];
    let size =
        [index(nodule.bbox_size_i)?, index(nodule.bbox_size_j)?, index(nodule.bbox_size_k)?];
    Ok(PlacedMask { start, mask: Mask::from_bits(size, nodule.mask_bits.clone())? })
}

/// One scan or nodule could not be cropped.
#[derive(Debug, thiserror::Error)]
pub enum CropError {
    /// The scan's cohort has no folder.
    #[error("cohort `{0}` is not in the pipeline file")]
    Cohort(String),
    /// The image could not be read.
    #[error(transparent)]
    Image(#[from] cohort::Error),
    /// The series is no longer in its folder.
    #[error("series {0} is no longer where ingest found it")]
    Gone(String),
    /// The image is not the one that was ingested.
    #[error("`{0}` has another size than when it was ingested; run ingest again")]
    Changed(String),
    /// The mask's bits do not fit its box.
    #[error(transparent)]
    Bits(#[from] BitsMismatch),
    /// A box has a negative corner or size.
    #[error("box of the nodule has a negative value, {0}")]
    Negative(i64),
    /// The mask reaches past the volume.
    #[error("nodule's box {start:?} to {end:?} does not lie in the scan of {size:?} voxels")]
    Outside {
        /// First voxel of the box.
        start: [usize; 3],
        /// First voxel past the box.
        end: [usize; 3],
        /// Size of the scan.
        size: [usize; 3],
    },
    /// The nodule does not fit in the region.
    #[error("nodule of {size:?} voxels does not fit in the region of {region} × {region} pixels")]
    Oversize {
        /// Size of the nodule's box.
        size: [usize; 3],
        /// Pixels of the region along i and j.
        region: usize,
    },
}

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// A part could not be written.
    #[error(transparent)]
    Shard(#[from] shard::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

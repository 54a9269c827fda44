//! Crop: `scans`, `nodules` → `rois`.

use super::Task;
use crate::formats::case_files::CaseFiles;
use crate::formats::cohort;
use crate::formats::dicom::Tolerances;
use crate::imaging::crop::{crop_mask, crop_slice};
use crate::tables::{Failure, Nodule, Output, Roi, Scan, Table, mask_box, parquet, shard, store};
use crate::volume::{Mask, Volume};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    let fail = |case: &str, error: &CropError| Failure::new("crop", case, error, scan.path.clone());
    let volume =
        match task.roots.get(&scan.cohort).map(|root| read_volume(root, &task.tolerances, scan)) {
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
        match transform(config, &volume, nodule, nodules) {
            Ok(rows) => rois.extend(rows),
            Err(error) => failures.push(fail(&nodule.nodule_id, &error)),
        }
    }
    (rois, failures)
}

fn read_volume(
    root: &Path,
    tolerances: &Tolerances,
    scan: &Scan,
) -> Result<Volume<i16>, CropError> {
    let path = scan.path.as_deref();
    let path = path.ok_or_else(|| CropError::NoImage(scan.series_instance_uid.clone()))?;
    let path = root.join(path);
    let series = Some(scan.series_instance_uid.as_str());
    let image = cohort::read_images(&CaseFiles::at(&path)?, tolerances, series)?;
    let image = image.into_iter().next();
    let image = image.ok_or_else(|| CropError::Gone(scan.series_instance_uid.clone()))??;
    let size = image.volume.geometry().size().map(|n| n as i64);
    if size.map(Some) != [scan.n_columns, scan.n_rows, Some(scan.n_slices)] {
        return Err(CropError::Changed(path));
    }
    Ok(image.volume)
}

/// The slices of a nodule's region, k ascending: those of its mask and `margin_slices` on each
/// side, as far as the scan goes; none for a nodule whose readers have no voxel in consensus. `all`
/// are the scan's nodules, for `other_mask_bits`.
///
/// # Errors
///
/// Fails if the mask does not lie in the volume, or is larger than the region.
pub fn transform(
    config: &Config,
    volume: &Volume<i16>,
    nodule: &Nodule,
    all: &[Nodule],
) -> Result<Vec<Roi>, CropError> {
    let placed = nodule.placed()?;
    if placed.mask.is_empty() {
        return Ok(Vec::new());
    }
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
    let others = all
        .iter()
        .filter(|other| other.nodule_id != nodule.nodule_id)
        .map(Nodule::placed)
        .collect::<Result<Vec<_>, _>>()?;
    let filled: Vec<usize> =
        masks.iter().enumerate().filter(|(_, m)| !m.is_empty()).map(|(n, _)| n).collect();
    let mut rois = Vec::with_capacity(masks.len());
    for (n, mask) in masks.into_iter().enumerate() {
        let k = first + n;
        let slice = volume.slice(k).ok_or(CropError::Outside { start: placed.start, end, size })?;
        let (pixels, padded) = crop_slice(slice, start, [config.size; 2], config.padding_hu);
        let distance = filled.iter().map(|f| f.abs_diff(n)).min().unwrap_or(usize::MAX);
        let n_mask_pixels = mask.count();
        let other_mask = Mask::from_fn(mask.size(), |i, j, _| {
            let voxel = [start[0] + i as i64, start[1] + j as i64].map(usize::try_from);
            let [Ok(i), Ok(j)] = voxel else { return false };
            others.iter().any(|other| other.get(i, j, k))
        });
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
            other_mask_bits: other_mask.into_bits(),
            n_mask_pixels: n_mask_pixels as i64,
            has_nodule: n_mask_pixels > 0,
            distance_to_nodule_slices: distance as i64,
            padded,
        });
    }
    Ok(rois)
}

/// One scan or nodule could not be cropped.
#[derive(Debug, thiserror::Error)]
pub enum CropError {
    /// The scan's cohort has no folder.
    #[error("cohort `{0}` is not in the pipeline file")]
    Cohort(String),
    /// The scan came without an image.
    #[error("series {0} came without an image; only its annotations were read")]
    NoImage(String),
    /// The image could not be read.
    #[error(transparent)]
    Image(#[from] cohort::Error),
    /// The series is no longer in its folder.
    #[error("series {0} is no longer where ingest found it")]
    Gone(String),
    /// The image is not the one that was ingested.
    #[error("`{0}` has another size than when it was ingested; run ingest again")]
    Changed(PathBuf),
    /// The mask's bits do not fit its box.
    #[error(transparent)]
    Mask(#[from] mask_box::Error),
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

#[cfg(test)]
pub(in crate::stages) mod tests {
    use super::*;
    use crate::volume::Geometry;
    use ndarray::Array3;

    /// A slice of one row, for tests of later stages; `others` are packed bits.
    pub(in crate::stages) fn roi(hu: &[i16], mask: &[bool], others: &[u8]) -> Roi {
        let own = Mask::from_fn([hu.len(), 1, 1], |i, _, _| mask[i]);
        Roi {
            roi_id: "n-k0000".to_owned(),
            nodule_id: "n".to_owned(),
            cohort: "c".to_owned(),
            series_instance_uid: "1.2".to_owned(),
            patient_id: "p".to_owned(),
            slice_index: 0,
            z_mm: 0.0,
            start_i: 0,
            start_j: 0,
            height: 1,
            width: hu.len() as i64,
            spacing_i_mm: 1.0,
            spacing_j_mm: 1.0,
            spacing_k_mm: 1.0,
            hu: hu.iter().flat_map(|v| v.to_le_bytes()).collect(),
            norm_low_hu: -1000.0,
            norm_high_hu: 400.0,
            n_mask_pixels: own.count() as i64,
            has_nodule: !own.is_empty(),
            mask_bits: own.into_bits(),
            other_mask_bits: others.to_vec(),
            distance_to_nodule_slices: 0,
            padded: false,
        }
    }

    pub(in crate::stages) fn nodule(id: &str, start: [i64; 3], size: [usize; 3]) -> Nodule {
        let mask = Mask::from_fn(size, |_, _, _| true);
        let [bbox_size_i, bbox_size_j, bbox_size_k] = size.map(|v| v as i64);
        let centre: [f64; 3] =
            std::array::from_fn(|a| start[a] as f64 + (size[a] as f64 - 1.0) / 2.0);
        Nodule {
            nodule_id: id.to_owned(),
            cohort: "c".to_owned(),
            series_instance_uid: "1.2".to_owned(),
            patient_id: "p".to_owned(),
            merge_rule: "linkage".to_owned(),
            n_marks: 1,
            n_readers: 1,
            centroid_i: centre[0],
            centroid_j: centre[1],
            centroid_k: centre[2],
            diameter_mm: 1.0,
            volume_mm3: 1.0,
            bbox_i: start[0],
            bbox_j: start[1],
            bbox_k: start[2],
            bbox_size_i,
            bbox_size_j,
            bbox_size_k,
            mask_bits: mask.into_bits(),
            ..Nodule::default()
        }
    }

    /// 20 columns, 18 rows, 6 slices; a voxel's value is 1000 k + 20 j + i.
    fn volume() -> Volume<i16> {
        let geometry =
            Geometry::new([20, 18, 6], [0.7, 0.8, 2.0], [0.0, 0.0, -5.0], Geometry::AXIAL).unwrap();
        let value = |(k, j, i): (usize, usize, usize)| (1000 * k + 20 * j + i) as i16;
        Volume::new(geometry, Array3::from_shape_fn((6, 18, 20), value)).unwrap()
    }

    fn config() -> Config {
        Config { size: 16, margin_slices: 1, ..Config::default() }
    }

    #[test]
    fn regions_are_cut_about_the_centre_with_the_axes_in_place() {
        let nodule = nodule("a", [9, 8, 2], [2, 3, 1]);
        let rows = transform(&config(), &volume(), &nodule, &[]).unwrap();
        assert_eq!(rows.iter().map(|r| r.slice_index).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(rows.iter().map(|r| r.n_mask_pixels).collect::<Vec<_>>(), [0, 6, 0]);
        assert_eq!(rows.iter().map(|r| r.distance_to_nodule_slices).collect::<Vec<_>>(), [1, 0, 1]);
        let row = &rows[1];
        // Centre (9.5, 9) rounds to (10, 9); the region starts 8 before it.
        assert_eq!([row.start_i, row.start_j], [2, 1]);
        assert!((row.z_mm - -1.0).abs() < 1e-9);
        let hu = row.pixels_hu().unwrap();
        assert_eq!([hu[0], hu[1], hu[16]], [2022, 2023, 2042]);
        let mask = Mask::from_bits([16, 16, 1], row.mask_bits.clone()).unwrap();
        let first = mask.voxels().next().unwrap();
        assert_eq!(first, [7, 7, 0]);
        assert!(!row.padded);
    }

    #[test]
    fn past_the_border_there_is_air_and_the_row_says_so() {
        let rows =
            transform(&config(), &volume(), &nodule("a", [0, 0, 0], [1, 1, 1]), &[]).unwrap();
        assert_eq!(rows.len(), 2);
        let hu = rows[0].pixels_hu().unwrap();
        assert_eq!([rows[0].start_i, rows[0].start_j], [-8, -8]);
        assert_eq!([hu[0], hu[8 * 16 + 8], hu[8 * 16 + 9]], [-1000, 0, 1]);
        assert!(rows[0].padded);
    }

    #[test]
    fn other_nodules_of_the_scan_are_kept_apart() {
        let [a, b] = [nodule("a", [9, 8, 2], [2, 2, 1]), nodule("b", [12, 8, 2], [1, 1, 2])];
        let rows = transform(&config(), &volume(), &a, &[a.clone(), b]).unwrap();
        let others: Vec<usize> = rows
            .iter()
            .map(|r| Mask::from_bits([16, 16, 1], r.other_mask_bits.clone()).unwrap().count())
            .collect();
        assert_eq!(others, [0, 1, 1]);
        assert_eq!(rows[2].n_mask_pixels, 0);
    }

    #[test]
    fn a_nodule_without_consensus_is_passed_over() {
        let [a, none] = [nodule("a", [9, 8, 2], [2, 2, 1]), nodule("b", [9, 8, 2], [0, 0, 0])];
        let all = [a.clone(), none.clone()];
        assert!(transform(&config(), &volume(), &none, &all).unwrap().is_empty());
        let rows = transform(&config(), &volume(), &a, &all).unwrap();
        assert!(rows.iter().all(|row| row.other_mask_bits.iter().all(|bits| *bits == 0)));
        assert_eq!(rows, transform(&config(), &volume(), &a, &[]).unwrap());
    }

    #[test]
    fn a_nodule_that_does_not_fit_is_refused() {
        let error = |start, size| {
            transform(&config(), &volume(), &nodule("a", start, size), &[]).unwrap_err().to_string()
        };
        assert!(error([0, 0, 0], [18, 2, 1]).contains("does not fit in the region of 16 × 16"));
        assert!(error([19, 0, 0], [2, 2, 1]).contains("does not lie in the scan"));
        assert!(error([-1, 0, 0], [2, 2, 1]).contains("negative"));
    }
}

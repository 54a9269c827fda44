//! Crop: `scans`, `nodules` → `rois`.

pub(super) mod config;
mod error;
mod digests;
mod region;
#[cfg(test)]
pub(in crate::stages) mod test_rows;

pub use config::{Config, WhenOversize, Window};
pub use error::CropError;

use crate::stages::memory;
use crate::stages::scan_files::read_scan;
use crate::stages::spec::{StageError, StageSpec};
use crate::stages::task::{Event, Places, Task};
use crate::tables::{Error, Nodule, Output, Roi, Scan, Table};
use nodulus_formats::cohort;
use nodulus_formats::volume::{LoadedSlices, Mask, PlacedMask, SliceRanges};
use nodulus_imaging::crop::{CropGrid, crop_mask, crop_nearest, crop_slice};
use nodulus_imaging::no_data::without_data;
use nodulus_store::{FailedCase, Job};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "crop",
    description: "cut each nodule's region out of its scan",
    example: "--max-memory 8GiB",
    reads: &[Output::Table(Table::Scans), Output::Table(Table::Nodules)],
    writes: &[Output::Table(Table::Rois)],
    version: 5,
    needs_images: true,
    is_sharded: true,
    is_on: |_| true,
    settings: |config| serde_json::to_value(config.crop.settled()),
    outside_weights: |_| None,
    outside_files: None,
    check: None,
    contents: None,
    decide: None,
    run: |config, task, job| run(&config.crop, task, job),
    reduction: None,
};

/// Crops the nodules of every pending shard, from as many scans at once as `max_memory` allows.
///
/// # Errors
///
/// Fails if the cohorts cannot be listed, or the store cannot be read or written to; a scan or nodule that fails becomes
/// a row of `failures`, and the shard of one that met a fault of the machine is left undone.
pub fn run(config: &Config, task: &Task<'_>, job: &Job) -> Result<(), StageError> {
    let (scans, nodules) = (task.table(Table::Scans)?, task.table(Table::Nodules)?);
    let work = job.work()?;
    let total = work.n_left();
    let places = if total > 0 { (task.places)()? } else { Places::default() };
    let mut n_without_data = 0;
    for (n, writer) in work.enumerate() {
        let mut writer = writer?;
        let shard = writer.number();
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
        let mut rois = writer.part::<Roi>()?;
        let (mut failures, mut digests) = (Vec::new(), BTreeMap::new());
        memory::for_each(
            &work,
            task.max_memory,
            |(scan, nodules)| memory_bytes(config, scan, nodules),
            |(scan, nodules)| crop_scan(config, task, &places, scan, nodules),
            |(scan, _), cropped| {
                let cropped = cropped.unwrap_or_else(|error| {
                    let (case, path) = (&scan.series_instance_uid, scan.path.clone());
                    Cropped::failed(error.failed("crop", case, path).of_cohort(&scan.cohort))
                });
                rois.write(cropped.rois)?;
                digests.extend(cropped.digests);
                n_without_data += cropped.n_without_data;
                failures.extend(cropped.failures);
                Ok::<_, Error>(())
            },
        )?;
        writer.set_digests(digests);
        writer.commit(vec![rois.finish()?], failures)?;
        task.cases((n + 1).min(total), total);
    }
    if n_without_data > 0 {
        (task.progress)(Event::Note(format!(
            "{n_without_data} nodules have no region, because their scans hold no data there (filler)"
        )));
    }
    Ok(())
}

/// The regions of a scan, with the digest of each nodule's rows.
#[derive(Default)]
struct Cropped {
    rois: Vec<Roi>,
    digests: BTreeMap<String, String>,
    failures: Vec<FailedCase>,
    /// Nodules without a region, because the scan holds no data there.
    n_without_data: usize,
}

impl Cropped {
    fn failed(failure: FailedCase) -> Self {
        Self { failures: vec![failure], ..Self::default() }
    }
}

fn crop_scan(
    config: &Config,
    task: &Task<'_>,
    places: &Places<'_>,
    scan: &Scan,
    nodules: &[Nodule],
) -> Cropped {
    let fail = |case: &str, error: &CropError| {
        FailedCase::new("crop", case, error, scan.path.clone()).of_cohort(&scan.cohort)
    };
    let wanted = slices(config, scan, nodules);
    let root = task.roots.get(&scan.cohort).ok_or_else(|| CropError::Cohort(scan.cohort.clone()));
    let volume = match root.and_then(|root| read_slices(root, task, places, scan, &wanted)) {
        Ok(volume) => volume,
        Err(error) => {
            let mut cropped = Cropped::failed(fail(&scan.series_instance_uid, &error));
            let case = places.find(&scan.cohort, &scan.content_sha256);
            cropped.failures.extend(case.and_then(|case| case.gone("crop")));
            return cropped;
        }
    };
    let mut cropped = Cropped::default();
    for nodule in nodules {
        let rows = transform(config, &volume, nodule, nodules);
        match rows.and_then(|rows| Ok((digests::of_nodules(&rows)?, rows))) {
            Ok((digests, rows)) => {
                cropped.n_without_data += usize::from(rows.is_empty() && nodule.bbox_size_k > 0);
                cropped.rois.extend(rows);
                cropped.digests.extend(digests);
            }
            Err(error) => cropped.failures.push(fail(&nodule.nodule_id, &error)),
        }
    }
    cropped
}

/// Memory estimate: the bytes of a scan's slices that are read.
fn memory_bytes(config: &Config, scan: &Scan, nodules: &[Nodule]) -> u64 {
    let [columns, rows] = [scan.n_columns, scan.n_rows].map(|n| n.unwrap_or(0).unsigned_abs());
    let n_slices = slices(config, scan, nodules).n_slices() as u64;
    columns.saturating_mul(rows).saturating_mul(n_slices).saturating_mul(2)
}

/// The slices that all regions of a scan need.
fn slices(config: &Config, scan: &Scan, nodules: &[Nodule]) -> SliceRanges {
    let n_slices = usize::try_from(scan.n_slices).unwrap_or(0);
    let number = |n: i64| usize::try_from(n).unwrap_or(0);
    let regions = nodules.iter().filter(|nodule| nodule.bbox_size_k > 0);
    regions
        .map(|nodule| {
            let (start, size) = (number(nodule.bbox_k), number(nodule.bbox_size_k));
            region_slices(config, start..start.saturating_add(size), n_slices)
        })
        .collect()
}

/// The slices of a region: the nodule's and the margin on each side, within the scan.
fn region_slices(config: &Config, nodule: Range<usize>, n_slices: usize) -> Range<usize> {
    let first = nodule.start.saturating_sub(config.margin_slices);
    first..nodule.end.saturating_add(config.margin_slices).min(n_slices)
}

/// Reads slices of a scan from where its case lies now.
fn read_slices(
    root: &Path,
    task: &Task<'_>,
    places: &Places<'_>,
    scan: &Scan,
    wanted: &SliceRanges,
) -> Result<LoadedSlices<i16>, CropError> {
    Ok(read_scan(root, places, scan, |files| {
        let series = &scan.series_instance_uid;
        let slices = cohort::read_slices(files, &task.tolerances, series, wanted)?;
        Ok(slices.map(|slices| (slices.geometry().size(), slices)))
    })?)
}

/// The slices of a nodule's region, k ascending: those of its mask and `margin_slices` on each side, within the scan and its
/// data. There are none for a nodule whose readers agree on no voxel, or of whose mask a pixel holds no data. `all` are the
/// scan's nodules, for `other_mask_bits`.
///
/// METHOD: slices are those of the scan; only pixels within a slice are resampled, HU by linear interpolation and masks
/// by the nearest pixel.
///
/// # Errors
///
/// Fails if the mask does not lie in the volume, does not fit in the region where the settings make that an error, or
/// has no pixel in the region.
pub fn transform(
    config: &Config,
    volume: &LoadedSlices<i16>,
    nodule: &Nodule,
    all: &[Nodule],
) -> Result<Vec<Roi>, CropError> {
    let placed = nodule.placed()?;
    if placed.mask.is_empty() {
        return Ok(Vec::new());
    }
    let geometry = volume.geometry();
    let (size, end) = (geometry.size(), placed.end());
    let outside = || CropError::Outside { start: placed.start, end, size };
    if (0..3).any(|a| end[a] > size[a]) {
        return Err(outside());
    }
    let native = geometry.spacing().ijk();
    let centre = [nodule.centroid_i, nodule.centroid_j];
    let region = region::place(config, &placed, centre, [native[0], native[1]])?;
    let grid = &region.grid;
    let window = config.window(&nodule.cohort);
    let slices = region_slices(config, placed.start[2]..end[2], size[2]);
    let no_data = slices.clone().map(|k| {
        let slice = volume.slice(k).ok_or_else(outside)?;
        Ok(without_data(&slice).map(|mask| PlacedMask { start: [0, 0, k], mask }))
    });
    let no_data = no_data.collect::<Result<Vec<_>, CropError>>()?;
    let first_slice = slices.start;
    let Some(slices) = with_data(config, &placed, grid, first_slice, &no_data) else {
        return Ok(Vec::new());
    };
    let masks: Vec<Mask> = slices.clone().map(|k| crop_mask(&placed, k, grid)).collect();
    let filled: Vec<usize> =
        masks.iter().enumerate().filter(|(_, m)| !m.is_empty()).map(|(n, _)| n).collect();
    if filled.is_empty() {
        return Err(CropError::NothingLeft { spacing_mm: region.spacing_mm });
    }
    let others = all
        .iter()
        .filter(|other| other.nodule_id != nodule.nodule_id)
        .map(Nodule::placed)
        .collect::<Result<Vec<_>, _>>()?;
    let mut rois = Vec::with_capacity(masks.len());
    for (n, mask) in masks.into_iter().enumerate() {
        let k = slices.start + n;
        let (pixels, padded) =
            crop_slice(volume.slice(k).ok_or_else(outside)?, grid, config.padding_hu());
        let (other_mask, n_other_nodules) = region::others(&others, k, grid);
        let no_data = match no_data.get(k - first_slice) {
            Some(Some(no_data)) => crop_mask(no_data, k, grid),
            _ => Mask::empty([config.size(), config.size(), 1]),
        };
        let n_mask_pixels = mask.count();
        let mut reader_counts = crop_nearest(grid, 0, |i, j| nodule.n_readers_at([i, j, k]));
        if reader_counts.iter().all(|n| *n == 0) {
            reader_counts.clear();
        }
        let [origin_x_mm, origin_y_mm, origin_z_mm] =
            geometry.voxel_to_patient([grid.at(0, 0), grid.at(1, 0), k as f64]);
        rois.push(Roi {
            roi_id: format!("{}-k{k:04}", nodule.nodule_id),
            nodule_id: nodule.nodule_id.clone(),
            cohort: nodule.cohort.clone(),
            series_instance_uid: nodule.series_instance_uid.clone(),
            patient_id: nodule.patient_id.clone(),
            slice_index: k as i64,
            z_mm: geometry.voxel_to_patient([0.0, 0.0, k as f64])[2],
            start_i: grid.at(0, 0),
            start_j: grid.at(1, 0),
            n_columns: size[0] as i64,
            n_rows: size[1] as i64,
            height: config.size() as i64,
            width: config.size() as i64,
            spacing_i_mm: region.spacing_mm[0],
            spacing_j_mm: region.spacing_mm[1],
            spacing_k_mm: native[2],
            native_spacing_i_mm: native[0],
            native_spacing_j_mm: native[1],
            origin_x_mm,
            origin_y_mm,
            origin_z_mm,
            direction: geometry.direction().to_vec(),
            hu: pixels.iter().flat_map(|v| v.to_le_bytes()).collect(),
            norm_low_hu: window.low_hu,
            norm_high_hu: window.high_hu,
            mask_bits: mask.into_bits(),
            other_mask_bits: other_mask.into_bits(),
            neighbours: config.neighbours.name().to_owned(),
            n_other_nodules: n_other_nodules as i64,
            reader_counts,
            n_readers: nodule.consensus_n_readers,
            n_mask_pixels: n_mask_pixels as i64,
            n_cut_pixels: region::n_cut(&placed, k, grid) as i64,
            oversize: region.oversize.map(|oversize| oversize.name().to_owned()),
            has_nodule: n_mask_pixels > 0,
            distance_to_nodule_slices: filled.iter().map(|f| f.abs_diff(n)).min().unwrap_or(0)
                as i64,
            padded,
            n_no_data_pixels: no_data.count() as i64,
            no_data_bits: no_data.into_bits(),
        });
    }
    Ok(rois)
}

/// The slices of a region that have data: from the nodule's on to either side, up to the first slice of whose region more
/// than `max_no_data` holds none. `None` where a pixel of the nodule's own mask holds none. `no_data` are the pixels without
/// data of the slices from `first` on.
///
/// METHOD: a slice without data is as good as one past the scan's end. A nodule that readers outlined where the file holds
/// filler cannot be learnt from or measured.
fn with_data(
    config: &Config,
    placed: &PlacedMask,
    grid: &CropGrid,
    first: usize,
    no_data: &[Option<PlacedMask>],
) -> Option<Range<usize>> {
    let of_slice = |k: usize| no_data.get(k.checked_sub(first)?)?.as_ref();
    let lacks = |&[i, j, k]: &[usize; 3]| of_slice(k).is_some_and(|mask| mask.get(i, j, k));
    if placed.voxels().any(|voxel| lacks(&voxel)) {
        return None;
    }
    let most = config.max_no_data * (grid.size[0] * grid.size[1]) as f64;
    let has_data = |k: &usize| {
        of_slice(*k).is_none_or(|mask| crop_mask(mask, *k, grid).count() as f64 <= most)
    };
    let (start, end) = (placed.start[2], placed.end()[2]);
    let before = (first..start).rev().take_while(has_data).count();
    let after = (end..first + no_data.len()).take_while(has_data).count();
    Some(start - before..end + after)
}

#[cfg(test)]
mod tests {
    use super::test_rows::{close, nodule};
    use super::*;
    use ndarray::Array3;
    use nodulus_formats::volume::{Geometry, Volume};

    /// 20 columns, 18 rows, 6 slices; a voxel's value is 1000 k + 20 j + i.
    fn volume() -> LoadedSlices<i16> {
        let geometry =
            Geometry::new([20, 18, 6], [0.7, 0.8, 2.0], [0.0, 0.0, -5.0], Geometry::AXIAL).unwrap();
        let value = |(k, j, i): (usize, usize, usize)| (1000 * k + 20 * j + i) as i16;
        Volume::new(geometry, Array3::from_shape_fn((6, 18, 20), value)).unwrap().into()
    }

    fn config() -> Config {
        Config { size: Some(16), margin_slices: 1, ..Config::default() }
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
        close([row.start_i, row.start_j], [2.0, 1.0]);
        close([row.spacing_i_mm, row.spacing_j_mm, row.spacing_k_mm], [0.7, 0.8, 2.0]);
        let origin = volume().geometry().voxel_to_patient([2.0, 1.0, 2.0]);
        close([row.origin_x_mm, row.origin_y_mm, row.origin_z_mm], origin);
        assert!((row.z_mm - -1.0).abs() < 1e-9);
        let hu = row.pixels_hu().unwrap();
        assert_eq!([hu[0], hu[1], hu[16]], [2022, 2023, 2042]);
        let mask = Mask::from_bits([16, 16, 1], row.mask_bits.clone()).unwrap();
        let first = mask.voxels().next().unwrap();
        assert_eq!(first, [7, 7, 0]);
        assert!(!row.padded);
        assert_eq!((row.n_columns, row.n_rows), (20, 18));
    }

    #[test]
    fn past_the_border_there_is_air_and_the_row_says_so() {
        let rows =
            transform(&config(), &volume(), &nodule("a", [0, 0, 0], [1, 1, 1]), &[]).unwrap();
        assert_eq!(rows.len(), 2);
        let hu = rows[0].pixels_hu().unwrap();
        close([rows[0].start_i, rows[0].start_j], [-8.0, -8.0]);
        assert_eq!([hu[0], hu[8 * 16 + 8], hu[8 * 16 + 9]], [-1000, 0, 1]);
        assert!(rows[0].padded);
    }

    #[test]
    fn readers_are_counted_pixel_by_pixel() {
        let nodule = Nodule {
            consensus_n_readers: 3,
            union_bbox_i: 9,
            union_bbox_j: 8,
            union_bbox_k: 2,
            union_bbox_size_i: 2,
            union_bbox_size_j: 1,
            union_bbox_size_k: 1,
            reader_counts: vec![3, 1],
            ..nodule("a", [9, 8, 2], [1, 1, 1])
        };
        let rows = transform(&config(), &volume(), &nodule, &[]).unwrap();
        assert!(rows[0].reader_counts.is_empty() && rows[2].reader_counts.is_empty());
        // The region starts at column 1 and row 0.
        close([rows[1].start_i, rows[1].start_j], [1.0, 0.0]);
        let counts = &rows[1].reader_counts;
        assert_eq!((counts.len(), counts[8 * 16 + 8], counts[8 * 16 + 9]), (256, 3, 1));
        assert_eq!((counts.iter().filter(|n| **n > 0).count(), rows[1].n_readers), (2, 3));
    }

    /// The volume with filler in place of slices 0 and 5 and of columns 0 to 4.
    fn cut_volume() -> LoadedSlices<i16> {
        let (full, geometry) = (volume(), *volume().geometry());
        let value = |(k, j, i): (usize, usize, usize)| match full.slice(k) {
            Some(slice) if (1..5).contains(&k) && i >= 5 => slice[[j, i]],
            _ => -1000,
        };
        Volume::new(geometry, Array3::from_shape_fn((6, 18, 20), value)).unwrap().into()
    }

    #[test]
    fn a_region_ends_with_the_data_and_flags_what_is_missing() {
        let config = Config { size: Some(16), margin_slices: 3, ..Config::default() };
        let rows = |start, size| transform(&config, &cut_volume(), &nodule("a", start, size), &[]);
        let found = rows([9, 8, 2], [2, 3, 1]).unwrap();
        assert_eq!(found.iter().map(|r| r.slice_index).collect::<Vec<_>>(), [1, 2, 3, 4]);
        // The region starts at column 2 and row 1; columns 2 to 4 hold no data.
        for row in &found {
            assert_eq!(row.n_no_data_pixels, 3 * 16);
            let mask = Mask::from_bits([16, 16, 1], row.no_data_bits.clone()).unwrap();
            assert!(mask.voxels().all(|[i, _, _]| i < 3));
        }
        let whole = Config { max_no_data: 1.0, ..config.clone() };
        let all = transform(&whole, &cut_volume(), &nodule("a", [9, 8, 2], [2, 3, 1]), &[]);
        assert_eq!(all.unwrap().len(), 6);
        let strict = Config { max_no_data: 0.1, ..config.clone() };
        let own = transform(&strict, &cut_volume(), &nodule("a", [9, 8, 2], [2, 3, 1]), &[]);
        assert_eq!(own.unwrap().iter().map(|r| r.slice_index).collect::<Vec<_>>(), [2]);
        // A nodule with a pixel that holds no data has no region; nor has one on a slice without any.
        assert!(rows([4, 8, 2], [2, 3, 1]).unwrap().is_empty());
        assert!(rows([9, 8, 4], [2, 3, 2]).unwrap().is_empty());
        let full = transform(&config, &volume(), &nodule("a", [9, 8, 2], [2, 3, 1]), &[]).unwrap();
        assert!(full.len() == 6 && full.iter().all(|r| r.n_no_data_pixels == 0));
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
        assert_eq!(rows.iter().map(|r| r.n_other_nodules).collect::<Vec<_>>(), [0, 1, 1]);
        assert_eq!((rows[2].n_mask_pixels, rows[2].neighbours.as_str()), (0, "include"));
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

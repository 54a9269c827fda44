//! The checkpoint's profile: the data of the last phase, and the predictions of the weights on them.
//!
//! It is computed from tables and finished weights after training has ended, so that a resumed training has the same
//! profile. Memory holds a few numbers for each scan and nodule, and one batch.

use super::config::{Config, Phase};
use super::error::Error;
use super::examples::{Order, Pixels, Selection, Stream, pixels};
use crate::stages::Task;
use crate::tables::{Roi, Sample, Scan, Split, Table};
use nodulus_imaging::normalise::normalise_slice;
use nodulus_metrics::{Distribution, HuCounts, ValueRange};
use nodulus_nets::{
    self, MEAN_HU_EDGES, PROBABILITY_EDGES, PredictionProfile, Predictor, TrainingProfile,
    VOLUME_EDGES_MM3,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Least probability of a nodule's pixel, as in `infer` and `score` by default.
const THRESHOLD: f64 = 0.5;

/// The part of the profile that does not depend on the weights.
pub(super) fn cohort(
    config: &Config,
    phase: &Phase,
    task: &Task<'_>,
) -> Result<TrainingProfile, Error> {
    let (rois, samples) = (task.table(Table::Rois)?, task.table(Table::Samples)?);
    let selection = Selection::of(config, phase, Split::Train);
    let stream =
        Stream { rois: rois.clone(), samples: samples.clone(), selection, order: Order::Stored };
    let mut all = HuCounts::default();
    let (mut scans, mut nodules) = (BTreeMap::new(), BTreeMap::new());
    let mut n_slices = 0;
    for roi in stream.open().rois() {
        let roi = roi?;
        let pixels = pixels(&roi)?;
        let seen: &mut NoduleSums = nodules.entry(roi.nodule_id.clone()).or_default();
        seen.add(&roi, &pixels.hu, pixels.own.voxels());
        let key = (roi.cohort, roi.series_instance_uid);
        let (sum, n): &mut (f64, u64) = scans.entry(key).or_default();
        // Pixels outside the image are not tissue, and the table does not say which they are.
        if !roi.padded {
            all.add(&pixels.hu);
            *sum += pixels.hu.iter().copied().map(f64::from).sum::<f64>();
            *n += pixels.hu.len() as u64;
        }
        n_slices += 1;
    }
    let mut profile = TrainingProfile {
        phase: phase.name.clone(),
        cohorts: phase.cohorts.clone(),
        n_scans: scans.len() as u64,
        n_nodules: nodules.len() as u64,
        n_slices,
        region_mean_hu: ValueRange::of(scans.values().map(|(sum, n)| sum / *n as f64)),
        region_hu: all.range(),
        region_pixels: all.distribution(&nodulus_nets::pixel_edges_hu()),
        volume_mm3: volumes(&nodules),
        mean_hu: means(&nodules),
        ..TrainingProfile::default()
    };
    let mut rows = Vec::new();
    for batch in task.table(Table::Scans)?.rows::<Scan>() {
        let key = |scan: &Scan| (scan.cohort.clone(), scan.series_instance_uid.clone());
        rows.extend(batch?.into_iter().filter(|scan| scans.contains_key(&key(scan))));
    }
    acquisition(&mut profile, &rows);
    Ok(profile)
}

/// Adds the acquisition of the cohort's scans.
fn acquisition(profile: &mut TrainingProfile, scans: &[Scan]) {
    profile.spacing_i_mm = ValueRange::of(scans.iter().map(|scan| scan.spacing_i_mm));
    profile.spacing_j_mm = ValueRange::of(scans.iter().map(|scan| scan.spacing_j_mm));
    profile.spacing_k_mm = ValueRange::of(scans.iter().filter_map(|scan| scan.spacing_k_mm));
    profile.slice_thickness_mm = ValueRange::of(scans.iter().filter_map(|s| s.slice_thickness_mm));
    for scan in scans {
        for (counts, name) in
            [(&mut profile.kernels, &scan.kernel), (&mut profile.manufacturers, &scan.manufacturer)]
        {
            if let Some(name) = name {
                *counts.entry(name.clone()).or_default() += 1;
            }
        }
    }
}

/// The predictions of a weights file on the validation split, or on the train split where there is no validation.
pub(super) fn predicted(
    config: &Config,
    phase: &Phase,
    task: &Task<'_>,
    weights: &Path,
) -> Result<PredictionProfile, Error> {
    let samples = task.table(Table::Samples)?;
    let nodules_of = |split| -> Result<BTreeSet<String>, Error> {
        let selection = Selection::of(config, phase, split);
        let mut nodules = BTreeSet::new();
        for batch in samples.rows::<Sample>() {
            let held = batch?.into_iter().filter(|sample| selection.holds(sample));
            nodules.extend(held.map(|sample| sample.nodule_id));
        }
        Ok(nodules)
    };
    let mut split = Split::Validation;
    let mut nodules = nodules_of(split)?;
    if nodules.is_empty() {
        split = Split::Train;
        nodules = nodules_of(split)?;
    }
    let predictor = Predictor::load(weights, task.device)?;
    let mut found: BTreeMap<String, NoduleSums> = BTreeMap::new();
    for batch in task.table(Table::Rois)?.rows::<Roi>() {
        let mut slices = batch?;
        slices.retain(|roi| nodules.contains(&roi.nodule_id));
        for slices in slices.chunks(phase.schedule.batch.max(1)) {
            let pixels = slices.iter().map(pixels).collect::<Result<Vec<Pixels>, Error>>()?;
            let images: Vec<Vec<f32>> = slices
                .iter()
                .zip(&pixels)
                .map(|(roi, p)| normalise_slice(&p.hu, roi.norm_low_hu, roi.norm_high_hu))
                .collect();
            let predictions = predictor.predict(&images)?;
            for ((roi, pixels), prediction) in slices.iter().zip(&pixels).zip(predictions) {
                let seen = found.entry(roi.nodule_id.clone()).or_default();
                let score = prediction.nodule_probability.map(f64::from);
                seen.probability = seen.probability.into_iter().chain(score).reduce(f64::max);
                let width = roi.width.max(1) as usize;
                let places = prediction.probability.iter().enumerate();
                let nodule = places.filter(|(_, p)| f64::from(**p) >= THRESHOLD);
                let voxels = nodule.map(|(at, _)| [at % width, at / width, 0]);
                let own = voxels.filter(|[i, j, _]| !pixels.others.get(*i, *j, 0));
                seen.add(roi, &pixels.hu, own);
            }
        }
    }
    let probabilities = found.values().filter_map(|seen| seen.probability);
    Ok(PredictionProfile {
        split: split.name().to_owned(),
        threshold: THRESHOLD,
        n_nodules: found.len() as u64,
        probability: Distribution::of(&PROBABILITY_EDGES, probabilities),
        volume_mm3: volumes(&found),
        mean_hu: means(&found),
    })
}

/// Sums over the slices of a nodule.
#[derive(Clone, Copy, Debug, Default)]
struct NoduleSums {
    probability: Option<f64>,
    volume_mm3: f64,
    sum_hu: f64,
    n_pixels: u64,
}

impl NoduleSums {
    /// Adds the pixels (i, j) of a mask in a slice.
    fn add(&mut self, roi: &Roi, hu: &[i16], mask: impl Iterator<Item = [usize; 3]>) {
        let width = roi.width as usize;
        let pixel_mm3 = roi.spacing_i_mm * roi.spacing_j_mm * roi.spacing_k_mm;
        for [i, j, _] in mask {
            let Some(value) = hu.get(j * width + i) else { continue };
            self.sum_hu += f64::from(*value);
            self.n_pixels += 1;
            self.volume_mm3 += pixel_mm3;
        }
    }
}

fn volumes(nodules: &BTreeMap<String, NoduleSums>) -> Distribution {
    Distribution::of(&VOLUME_EDGES_MM3, nodules.values().map(|seen| seen.volume_mm3))
}

/// Mean HU of the nodules with a pixel.
fn means(nodules: &BTreeMap<String, NoduleSums>) -> Distribution {
    let seen = nodules.values().filter(|seen| seen.n_pixels > 0);
    Distribution::of(&MEAN_HU_EDGES, seen.map(|seen| seen.sum_hu / seen.n_pixels as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    #[test]
    fn a_nodule_is_measured_over_its_slices() {
        let mut nodules: BTreeMap<String, NoduleSums> = BTreeMap::new();
        let slices = [
            ("a", roi(&[10, 20, -500, -900], &[true, true, false, false], &[0])),
            ("a", roi(&[60, 0, 0, 0], &[true, false, false, false], &[0])),
            ("b", roi(&[7; 4], &[false; 4], &[0])),
        ];
        for (id, slice) in slices {
            let slice = Roi { spacing_i_mm: 0.5, spacing_j_mm: 0.5, spacing_k_mm: 80.0, ..slice };
            let pixels = pixels(&slice).unwrap();
            let seen = nodules.entry(id.to_owned()).or_default();
            seen.add(&slice, &pixels.hu, pixels.own.voxels());
        }
        // 3 pixels of 20 mm³; none.
        let volumes = volumes(&nodules);
        assert_eq!((volumes.mean, volumes.counts[0], volumes.counts[2]), (Some(30.0), 1, 1));
        let means = means(&nodules);
        assert_eq!((means.n(), means.mean), (1, Some(30.0)));
    }

    #[test]
    fn scanners_are_counted_and_ranges_are_of_scans() {
        let scan = |thickness: Option<f64>, kernel: Option<&str>| Scan {
            spacing_i_mm: 0.7,
            spacing_j_mm: 0.7,
            spacing_k_mm: thickness,
            slice_thickness_mm: thickness,
            kernel: kernel.map(str::to_owned),
            ..Scan::default()
        };
        let mut profile = TrainingProfile::default();
        acquisition(
            &mut profile,
            &[scan(Some(1.0), Some("SOFT")), scan(Some(2.5), Some("SOFT")), scan(None, None)],
        );
        assert_eq!(profile.kernels, BTreeMap::from([("SOFT".to_owned(), 2)]));
        assert!(profile.manufacturers.is_empty());
        assert_eq!(profile.slice_thickness_mm, ValueRange::of([2.5, 1.0]));
        assert_eq!(profile.spacing_i_mm, ValueRange::of([0.7; 3]));
    }
}

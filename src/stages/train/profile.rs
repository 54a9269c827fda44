//! The checkpoint's profile: the data of the last phase, and the predictions of the weights on them.
//!
//! It is computed from tables and finished weights after training has ended, so that a resumed training has the same
//! profile. Memory holds a few numbers for each scan and nodule, and the predicted slices of one row group.

use super::config::{Config, Phase};
use super::error::Error;
use super::examples::{Order, Selection, Stream};
use super::training_sample::{Pixels, pixels};
use crate::stages::Task;
use crate::stages::network_input::image;
use crate::stages::nodule_region::masks;
use crate::stages::nodule_slices::{NoduleSlices, each_nodule};
use crate::tables::{Roi, Sample, Scan, Split, Table};
use nodulus_imaging::components::{ComponentRule, REACH_MM};
use nodulus_metrics::{Distribution, HuCounts, ValueRange};
use nodulus_nets::{
    self as model, MEAN_HU_EDGES, PROBABILITY_EDGES, PredictionProfile, Predictor, TrainingProfile,
    VOLUME_EDGES_MM3,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Least probability of a nodule's pixel, as in `infer` and `score` by default.
const THRESHOLD: f64 = 0.5;

/// Components of a mask, as in `infer` and `score` by default. The profile is of the training alone, so that settings of
/// `infer` change no checkpoint.
const COMPONENT: ComponentRule = ComponentRule::Centre;

/// The part of the profile that does not depend on the weights.
pub(super) fn cohort(
    config: &Config,
    phase: &Phase,
    task: &Task<'_>,
) -> Result<TrainingProfile, Error> {
    let selection = Selection::of(config, phase, Split::Train);
    let stream = Stream::new(task, &selection, config.targets, 1)?;
    let mut all = HuCounts::default();
    let (mut scans, mut nodules) = (BTreeMap::new(), BTreeMap::new());
    let mut n_slices = 0;
    for roi in stream.open(Order::Stored).rois() {
        let roi = roi?;
        let pixels = pixels(&roi)?;
        let seen: &mut NoduleSums = nodules.entry(roi.nodule_id.clone()).or_default();
        seen.add(&roi, &pixels.hu, pixels.own.voxels());
        let key = (roi.cohort, roi.series_instance_uid);
        let (sum, n): &mut (f64, u64) = scans.entry(key).or_default();
        // Pixels outside the image are not tissue, and the table does not say which they are.
        if !roi.padded {
            let of_data = pixels.hu.iter().zip(pixels.no_data.to_bools());
            let hu: Vec<i16> = of_data.filter(|(_, lacks)| !lacks).map(|(hu, _)| *hu).collect();
            all.add(&hu);
            *sum += hu.iter().copied().map(f64::from).sum::<f64>();
            *n += hu.len() as u64;
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
        region_pixels: all.distribution(&model::pixel_edges_hu()),
        volume_mm3: volumes(&nodules),
        mean_hu: means(&nodules),
        ..TrainingProfile::default()
    };
    let key = |scan: &Scan| (scan.cohort.clone(), scan.series_instance_uid.clone());
    let mut rows = Vec::new();
    for batch in task.table(Table::Scans)?.rows::<Scan>() {
        rows.extend(batch?.into_iter().filter(|scan| scans.contains_key(&key(scan))));
    }
    // Sums of rounded numbers depend on their order, which must not follow from the scans of other patients.
    rows.sort_by_cached_key(key);
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
    let (side, n_slices) = (predictor.image_size(), predictor.input_slices());
    let predict = |slices: &[Roi]| -> Result<Vec<(Pixels, model::Prediction)>, Error> {
        let mut predicted = Vec::with_capacity(slices.len());
        let all: Vec<usize> = (0..slices.len()).collect();
        for batch in all.chunks(phase.schedule.batch.max(1)) {
            let image = |n: &usize| {
                image(slices, *n, side, n_slices)
                    .map_err(|roi| Error::pixels(roi, [side as i64; 2]))
            };
            let images = batch.iter().map(image).collect::<Result<Vec<Vec<f32>>, Error>>()?;
            predicted.extend(predictor.predict(&images)?);
        }
        let pixels = slices.iter().map(pixels).collect::<Result<Vec<Pixels>, Error>>()?;
        Ok(pixels.into_iter().zip(predicted).collect())
    };
    each_nodule(
        task.table(Table::Rois)?.rows::<Roi>(),
        &nodules,
        predict,
        |complete| -> Result<(), Error> {
            for slices in &complete {
                if let Some((roi, _)) = slices.first() {
                    found.insert(roi.nodule_id.clone(), NoduleSums::delivered(slices)?);
                }
            }
            Ok(())
        },
    )?;
    let probabilities = found.values().filter_map(|seen| seen.probability);
    Ok(PredictionProfile {
        split: split.name().to_owned(),
        threshold: THRESHOLD,
        component: Some(COMPONENT.name().to_owned()),
        reach_mm: Some(REACH_MM),
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
    /// The sums over the mask that is delivered of the predictions of a nodule's slices.
    fn delivered(slices: &NoduleSlices<(Pixels, model::Prediction)>) -> Result<Self, Error> {
        let probabilities: Vec<(&Roi, Option<&[f32]>)> = slices
            .iter()
            .map(|(roi, (_, predicted))| (roi, Some(&*predicted.probability)))
            .collect();
        let (_, [mask, _]) = masks(&probabilities, THRESHOLD, COMPONENT, REACH_MM)?;
        let scores = slices.iter().filter_map(|(_, (_, predicted))| predicted.nodule_probability);
        let probability = scores.map(f64::from).reduce(f64::max);
        let mut sums = Self { probability, ..Self::default() };
        for (k, (roi, (pixels, _))) in slices.iter().enumerate() {
            sums.add(roi, &pixels.hu, mask.voxels().filter(|voxel| voxel[2] == k));
        }
        Ok(sums)
    }

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
    fn the_profile_is_of_the_mask_that_is_delivered() {
        // Pixel 2 of 5 is the centre; pixel 4 belongs to it through the second slice, pixel 0 is a speck.
        let probabilities: [&[f32]; 2] = [&[0.9, 0.0, 0.9, 0.0, 0.9], &[0.1, 0.4, 0.0, 0.9, 0.0]];
        let slice = |(k, probability): (usize, &[f32])| {
            let roi = roi(&[-700, -600, -500, -400, -300], &[true; 5], &[0]);
            let roi = Roi { slice_index: k as i64, spacing_k_mm: 10.0, ..roi };
            let predicted = model::Prediction {
                probability: probability.to_vec(),
                nodule_probability: Some([0.25, 0.75][k]),
                ..model::Prediction::default()
            };
            let pixels = pixels(&roi).unwrap();
            (roi, (pixels, predicted))
        };
        let slices: Vec<_> = probabilities.into_iter().enumerate().map(slice).collect();
        let pixel_mm3 = 10.0 * slices[0].0.spacing_i_mm * slices[0].0.spacing_j_mm;
        let found = NoduleSums::delivered(&slices).unwrap();
        assert_eq!((found.n_pixels, found.probability), (3, Some(0.75)));
        assert_eq!((found.sum_hu, found.volume_mm3), (-1200.0, 3.0 * pixel_mm3));
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

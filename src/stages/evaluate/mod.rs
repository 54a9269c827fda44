//! Evaluate: `scans`, `marks`, `nodules`, `reader_agreement`, `rois`, `samples`, `predictions`, masks of other programs →
//! `slice_metrics`, `nodule_metrics`, `outside_predictions`, `summary`, `comparisons`.

pub(super) mod config;
mod outside;
mod classifier;
mod calibration;
mod doubts;
mod comparisons;
mod readers;
mod seeds;
mod reduce;
mod rows;
mod slice;
mod read;
mod subgroups;
mod summaries;

pub(in crate::stages) use calibration::diagram as pixel_diagram;
pub use config::{Config, OutsidePredictions, SeedMean};
pub use doubts::warnings;
pub use outside::{Error, PredictionsNote, check_settings};
pub use readers::READER;

use crate::stages::config::Config as Settings;
use crate::stages::infer;
use crate::stages::spec::{Reduction, StageSpec};
use crate::stages::task::Task;
use crate::tables::{
    ComponentColumns, NoduleMetrics, Output, OutsidePrediction, ReaderMetric, SliceMetrics, Table,
};
use nodulus_formats::volume::{BitsMismatch, Mask};
use nodulus_imaging::components::ComponentRule;
use nodulus_metrics::{MaskMetrics, mask_size, measure};
use nodulus_store::{FailedCase, Job};
use rayon::prelude::*;
pub use read::PredictedMasks;
use read::{add_outside, read_by_others, read_predictions};
use rows::{MeasuredMasks, nodule_row, slice_row};
use slice::SLICE_COLUMNS;
pub use slice::{Region, Slice};
use std::collections::{BTreeMap, BTreeSet};

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "evaluate",
    description: "measure each prediction",
    example: "--predictions nnunet=out/nnunet",
    reads: &[
        Output::Table(Table::Scans),
        Output::Table(Table::Marks),
        Output::Table(Table::Nodules),
        Output::Table(Table::Rois),
        Output::Table(Table::Predictions),
    ],
    writes: &[
        Output::Table(Table::NoduleMetrics),
        Output::Table(Table::SliceMetrics),
        Output::Table(Table::ReaderMetrics),
        Output::Table(Table::OutsidePredictions),
    ],
    version: 9,
    needs_images: true,
    is_sharded: true,
    is_on: |_| true,
    settings: |_| Ok(serde_json::Value::Null),
    outside_weights: |_| None,
    outside_files: Some(|config| Ok(outside::inputs(&config.evaluate)?)),
    check: Some(|config, task| {
        doubts::check(task, config.infer.allow_training_patients)?;
        Ok(seeds::check(&config.evaluate, task)?)
    }),
    contents: None,
    decide: Some(|config, task| Ok(outside::decide(config, task)?)),
    run: |config, task, job| Ok(run(config, task, job)?),
    reduction: Some(Reduction {
        reads: &[
            Output::Table(Table::Scans),
            Output::Table(Table::Nodules),
            Output::Table(Table::ReaderAgreement),
            Output::Table(Table::Rois),
            Output::Table(Table::Samples),
            Output::Table(Table::Predictions),
            Output::Table(Table::OutsidePredictions),
            Output::Table(Table::NoduleMetrics),
            Output::Table(Table::SliceMetrics),
            Output::Table(Table::ReaderMetrics),
        ],
        writes: &[Output::Table(Table::Summary), Output::Table(Table::Comparisons)],
        settings: |config| serde_json::to_value(&config.evaluate),
        run: |config, task, job| Ok(reduce::reduce(&config.evaluate, task, job)?),
    }),
};

/// Measures the predictions, those of other programs and the readers of every pending shard.
///
/// # Errors
///
/// Fails if the store or masks of other programs cannot be read, or the store cannot be written to; a nodule that cannot be
/// measured becomes a row of `failures`.
pub fn run(settings: &Settings, task: &Task<'_>, job: &Job) -> Result<(), Error> {
    let work = job.work()?;
    let total = work.n_left();
    let models = outside::open(&settings.evaluate)?;
    let components = (settings.infer.component, settings.infer.reach_mm);
    let scan_slices = infer::scan_slices(task.table(Table::Scans)?)?;
    let rois = task.table(Table::Rois)?;
    let predictions = task.inputs(Output::Table(Table::Predictions))?;
    for (n, writer) in work.enumerate() {
        let writer = writer?;
        let shard = writer.number();
        let mut nodule_part = writer.part::<NoduleMetrics>()?;
        let mut slice_part = writer.part::<SliceMetrics>()?;
        let mut reader_part = writer.part::<ReaderMetric>()?;
        let mut outside_part = writer.part::<OutsidePrediction>()?;
        let mut predicted = read_predictions(&predictions, shard)?;
        let nodules = predicted.keys().map(|(_, nodule_id)| nodule_id.clone()).collect();
        let outside::Predicted { rows, mut failures } =
            outside::predict(&models, task, shard, &nodules, components, &scan_slices)?;
        add_outside(&mut predicted, &rows);
        outside_part.write(rows)?;
        let mut regions: BTreeMap<String, Vec<Slice>> = BTreeMap::new();
        let slices =
            (!predicted.is_empty()).then(|| rois.shard_columns::<Slice>(shard, SLICE_COLUMNS));
        for batch in slices.into_iter().flatten() {
            for slice in batch? {
                regions.entry(slice.nodule_id.clone()).or_default().push(slice);
            }
        }
        let mut diagrams = calibration::diagrams(&predictions, shard, &regions)?;
        let work: Vec<_> = predicted.into_iter().collect();
        let results: Vec<_> = work
            .par_iter()
            .map(|((model_id, nodule_id), masks)| {
                let slices = regions.get(nodule_id).map_or(&[][..], Vec::as_slice);
                let cohort = slices.first().map_or("", |slice| &slice.cohort);
                (model_id, nodule_id, cohort, transform(model_id, slices, masks))
            })
            .collect();
        for (model_id, nodule_id, cohort, result) in results {
            let diagram = diagrams.remove(&(model_id.clone(), nodule_id.clone())).transpose();
            let result = result.and_then(|(mut nodule, slices)| {
                if let Some(diagram) = diagram? {
                    calibration::set(&mut nodule, &diagram);
                }
                Ok((nodule, slices))
            });
            match result {
                Ok((nodule, slices)) => {
                    nodule_part.write([nodule])?;
                    slice_part.write(slices)?;
                }
                Err(source) => {
                    let (model_id, source) = (model_id.clone(), source.into());
                    let error = Error::Nodule { model_id, source };
                    let failed = FailedCase::new("evaluate", nodule_id, &error, None);
                    failures.push(failed.of_cohort(cohort));
                }
            }
        }
        let wanted: BTreeSet<&str> = work.iter().map(|((_, nodule), _)| &**nodule).collect();
        for ([cohort, nodule_id], result) in read_by_others(task, shard, &wanted)? {
            match result {
                Ok(rows) => reader_part.write(rows)?,
                Err(error) => {
                    let failed = FailedCase::new("evaluate", &nodule_id, &error, None);
                    failures.push(failed.of_cohort(&cohort));
                }
            }
        }
        let parts = vec![
            nodule_part.finish()?,
            slice_part.finish()?,
            reader_part.finish()?,
            outside_part.finish()?,
        ];
        writer.commit(parts, failures)?;
        task.cases(n + 1, total);
    }
    Ok(())
}

/// Measures one model's prediction of one nodule: in 3D over its region, and in 2D on each slice. The delivered mask is
/// measured, and beside it the mask by the other rule of components.
///
/// METHOD: voxels of the scan's other nodules are not an error of this one: they are removed from the prediction before
/// it is measured.
///
/// METHOD: a nodule larger than its region is measured on what the network saw: a resampled nodule on pixels of the
/// region's spacing, a cropped nodule against the part of its mask inside the region. `oversize` and `cut_volume_mm3`
/// say so, and `summary` has a subgroup for each.
///
/// # Errors
///
/// Fails if a slice has no prediction, a slice between others is missing, a mask does not have the size of its slice, or
/// the masks are not of one known rule of components.
pub fn transform(
    model_id: &str,
    slices: &[Slice],
    predicted: &PredictedMasks,
) -> Result<(NoduleMetrics, Vec<SliceMetrics>), MeasureError> {
    let mut slices: Vec<&Slice> = slices.iter().collect();
    slices.sort_by_key(|slice| slice.slice_index);
    let first = slices.first().ok_or(MeasureError::NoSlices)?;
    let rule = rule(&predicted.components)?;
    let (n_predicted, n_slices) = (predicted.slices.len(), slices.len());
    let spacing_mm = [first.spacing_i_mm, first.spacing_j_mm, first.spacing_k_mm];
    let [width, height] = [first.width, first.height].map(|v| usize::try_from(v).unwrap_or(0));
    let region = Region { size: [width, height, n_slices], spacing_mm };
    let mut reference = Mask::empty(region.size);
    let mut predictions = [Mask::empty(region.size), Mask::empty(region.size)];
    let mut rows = Vec::with_capacity(n_slices);
    let doubts: Vec<String> = predicted.doubts.iter().cloned().collect();
    for (k, slice) in slices.iter().enumerate() {
        if slice.slice_index != first.slice_index + k as i64 {
            return Err(MeasureError::Gap { missing: first.slice_index + k as i64 });
        }
        let bits = predicted
            .slices
            .get(&slice.roi_id)
            .ok_or(MeasureError::Unpredicted { n_predicted, n_slices })?;
        let size = [width, height, 1];
        let own = Mask::from_bits(size, slice.mask_bits.clone())?;
        let others = Mask::from_bits(size, slice.other_mask_bits.clone())?;
        let kept = |bits: &Vec<u8>| -> Result<Mask, BitsMismatch> {
            let bits = Mask::from_bits(size, bits.clone())?;
            Ok(Mask::from_fn(size, |i, j, _| {
                bits.get(i, j, 0) && (own.get(i, j, 0) || !others.get(i, j, 0))
            }))
        };
        let [delivered, other] = bits;
        let of_slice = [kept(delivered)?, kept(other)?];
        own.voxels().for_each(|[i, j, _]| reference.set(i, j, k, true));
        for (whole, of_slice) in predictions.iter_mut().zip(&of_slice) {
            of_slice.voxels().for_each(|[i, j, _]| whole.set(i, j, k, true));
        }
        let measured = measured(rule, &of_slice, &own, spacing_mm);
        rows.push(slice_row(model_id, slice, &measured, &doubts));
    }
    let cut_volume_mm3 = slices.iter().map(|slice| cut_volume_mm3(slice)).sum();
    let measured = measured(rule, &predictions, &reference, spacing_mm);
    let nodule =
        NoduleMetrics { cut_volume_mm3, doubts, ..nodule_row(model_id, first, &measured, &region) };
    Ok((nodule, rows))
}

/// The one rule of components by which a nodule's masks were delivered.
fn rule(components: &BTreeSet<String>) -> Result<ComponentRule, MeasureError> {
    let mut names = components.iter();
    match (names.next().map(|name| ComponentRule::from_name(name)), names.next()) {
        (Some(Some(rule)), None) => Ok(rule),
        // A nodule of which no slice is predicted has no rule, and is not measured.
        (None, _) => Ok(ComponentRule::Centre),
        _ => Err(MeasureError::Components { found: components.iter().cloned().collect() }),
    }
}

/// Volume of the nodule's part that lies outside the region, in one slice.
fn cut_volume_mm3(slice: &Slice) -> f64 {
    let pixel_mm2 = slice.native_spacing_i_mm * slice.native_spacing_j_mm;
    slice.n_cut_pixels as f64 * pixel_mm2 * slice.spacing_k_mm
}

/// Measures the delivered mask and that by the other rule of components, which often is the same.
fn measured(
    rule: ComponentRule,
    [delivered, other]: &[Mask; 2],
    reference: &Mask,
    spacing_mm: [f64; 3],
) -> MeasuredMasks {
    let metrics = measure(delivered, reference, spacing_mm);
    let of_other: MaskMetrics =
        if delivered == other { metrics } else { measure(other, reference, spacing_mm) };
    MeasuredMasks {
        metrics,
        components: ComponentColumns::new(rule, &metrics, &of_other),
        sizes: [delivered, reference].map(|mask| mask_size(mask, spacing_mm)),
    }
}

/// One nodule could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// `rois` has no slices of the nodule.
    #[error("`rois` has no slices of the nodule")]
    NoSlices,
    /// A slice is missing between others.
    #[error("slice {missing} of the nodule's region is missing")]
    Gap {
        /// Its index.
        missing: i64,
    },
    /// Not every slice has a prediction.
    #[error("{n_predicted} of the region's {n_slices} slices are predicted")]
    Unpredicted {
        /// Number of slices with a prediction.
        n_predicted: usize,
        /// Number of slices.
        n_slices: usize,
    },
    /// Not every mask is of the same known rule of components.
    #[error(
        "the masks are of the rules of components {found:?}, expected \"all\" or \"centre\" for every slice: predict again"
    )]
    Components {
        /// The rules' names.
        found: Vec<String>,
    },
    /// A slice does not have a probability for each pixel.
    #[error("slice `{roi_id}` has probabilities of {found} pixels, expected {width} × {height}")]
    Probabilities {
        /// The slice.
        roi_id: String,
        /// Number of probabilities.
        found: usize,
        /// Pixels along i.
        width: usize,
        /// Pixels along j.
        height: usize,
    },
    /// A mask does not have the size of its slice.
    #[error(transparent)]
    Bits(#[from] BitsMismatch),
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in crate::stages::evaluate) fn slice(k: i64, mask: u8, others: u8) -> Slice {
        Slice {
            cohort: "c".to_owned(),
            roi_id: format!("r{k}"),
            nodule_id: "n".to_owned(),
            patient_id: "p".to_owned(),
            slice_index: k,
            height: 2,
            width: 4,
            spacing_i_mm: 0.5,
            spacing_j_mm: 0.5,
            spacing_k_mm: 2.0,
            native_spacing_i_mm: 0.25,
            native_spacing_j_mm: 0.25,
            n_cut_pixels: 0,
            oversize: None,
            mask_bits: vec![mask],
            other_mask_bits: vec![others],
            no_data_bits: vec![0],
        }
    }

    /// Masks that are the same by either rule of components.
    fn masks(component: &str, slices: &[(&str, u8)]) -> PredictedMasks {
        let bits = |(id, bits): &(&str, u8)| ((*id).to_owned(), [vec![*bits], vec![*bits]]);
        PredictedMasks {
            components: [component.to_owned()].into(),
            slices: slices.iter().map(bits).collect(),
            doubts: ["other_spacing".to_owned()].into(),
        }
    }

    #[test]
    fn the_delivered_mask_is_measured_and_the_other_rule_stands_beside() {
        // A speck at column 3 of slice 8, which the component at the centre does not have.
        let slices = [slice(7, 0b0011, 0), slice(8, 0b0011, 0)];
        let mut predicted = masks("centre", &[("r7", 0b0011), ("r8", 0b0001)]);
        predicted.slices.insert("r8".to_owned(), [vec![0b0001], vec![0b1001]]);
        let (centre, rows) = transform("m", &slices, &predicted).unwrap();
        assert_eq!(centre.doubts, ["other_spacing"]);
        let shares = |row: &NoduleMetrics| {
            [row.metrics.dice, row.components.all_dice, row.components.centre_dice]
        };
        let [with_speck, without] = [Some(6.0 / 8.0), Some(6.0 / 7.0)];
        assert_eq!(shares(&centre), [without, with_speck, without]);
        assert_eq!(centre.metrics.hausdorff_mm, Some(0.5));
        assert_eq!(centre.components.all_hausdorff_mm, Some(1.0));
        assert_eq!(
            (rows[1].components.all_precision, rows[1].metrics.precision),
            (Some(0.5), Some(1.0))
        );
        assert!(rows.iter().all(|row| row.components.component == "centre"));
        // The same masks, delivered by the other rule.
        predicted.components = ["all".to_owned()].into();
        predicted.slices.insert("r8".to_owned(), [vec![0b1001], vec![0b0001]]);
        let (all, _) = transform("m", &slices, &predicted).unwrap();
        assert_eq!(shares(&all), [with_speck, with_speck, without]);
        assert_eq!(
            (all.components.all_outcome.as_str(), all.outcome.as_str()),
            ("scored", "scored")
        );
        for components in [["all", "centre"].as_slice(), &["largest"]] {
            predicted.components = components.iter().map(|name| (*name).to_owned()).collect();
            let error = transform("m", &slices, &predicted).unwrap_err().to_string();
            assert!(error.starts_with("the masks are of the rules of components"), "{error}");
        }
    }

    #[test]
    fn counts_are_over_the_region_and_other_nodules_are_no_error() {
        let slices = [slice(8, 0b0011, 0), slice(7, 0b0011, 0b1_0000)];
        let predicted = masks("centre", &[("r7", 0b1_0001), ("r8", 0b0111)]);
        let (nodule, rows) = transform("m", &slices, &predicted).unwrap();
        let counts = (
            nodule.metrics.true_positive,
            nodule.metrics.false_positive,
            nodule.metrics.false_negative,
        );
        assert_eq!(counts, (3, 1, 1));
        assert_eq!(nodule.metrics.dice, Some(6.0 / 8.0));
        assert!((nodule.reference_volume_mm3 - 4.0 * 0.5).abs() < 1e-12);
        assert_eq!((nodule.volume_error_mm3, nodule.volume_relative_error), (Some(0.0), Some(0.0)));
        // Columns 0 to 2 of slice 8, of which the reference has two.
        assert!((nodule.predicted_long_axis_mm - 1.5).abs() < 1e-12);
        assert!((nodule.long_axis_error_mm.unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(rows.iter().map(|r| r.roi_id.as_str()).collect::<Vec<_>>(), ["r7", "r8"]);
        assert_eq!((rows[0].metrics.false_positive, rows[1].metrics.false_positive), (0, 1));
    }

    #[test]
    fn the_volume_outside_the_region_is_reported_and_not_measured() {
        let cut = |n_cut_pixels, slice: Slice| Slice {
            n_cut_pixels,
            oversize: Some("cropped".to_owned()),
            ..slice
        };
        let slices = [cut(3, slice(7, 0b1111, 0)), cut(5, slice(8, 0, 0))];
        let predicted = masks("centre", &[("r7", 0b1111), ("r8", 0)]);
        let (nodule, _) = transform("m", &slices, &predicted).unwrap();
        // Eight of the scan's pixels of 0.25 × 0.25 × 2 mm beside four of 0.5 × 0.5 × 2 mm.
        assert!((nodule.cut_volume_mm3 - 8.0 * 0.125).abs() < 1e-12);
        assert!((nodule.reference_volume_mm3 - 4.0 * 0.5).abs() < 1e-12);
        assert_eq!((nodule.metrics.dice, nodule.oversize.as_deref()), (Some(1.0), Some("cropped")));
    }

    #[test]
    fn a_nodule_without_all_predictions_is_not_measured() {
        let predicted = masks("centre", &[("r7", 0)]);
        let error = transform("m", &[slice(7, 1, 0), slice(8, 1, 0)], &predicted).unwrap_err();
        assert_eq!(error.to_string(), "1 of the region's 2 slices are predicted");
        let error = transform("m", &[slice(7, 1, 0), slice(9, 1, 0)], &predicted).unwrap_err();
        assert_eq!(error.to_string(), "slice 8 of the nodule's region is missing");
    }
}

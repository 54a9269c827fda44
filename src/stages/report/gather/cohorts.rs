//! Counts of scans, marks, nodules and samples by cohort.

use crate::stages::Task;
use crate::stages::report::content::{CohortSummary, Count, HistogramQuantity, SplitCount};
use crate::stages::report::error::Error;
use crate::stages::report::histogram::histograms;
use crate::tables::{Exclusion, Oversize, Role, Sample, Scan, Table, leak};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `rois` that counting needs.
#[derive(Deserialize)]
struct RoiCount {
    cohort: String,
    nodule_id: String,
    n_other_nodules: i64,
    oversize: Option<String>,
}

/// The columns of `marks` that counting needs.
#[derive(Deserialize)]
struct MarkCount {
    cohort: String,
    kind: String,
}

/// The columns of `nodules` that counting needs.
#[derive(Deserialize)]
struct NoduleCount {
    cohort: String,
    more_marks_than_readers: bool,
    diameter_mm: f64,
}

/// Counts of a cohort.
#[derive(Default)]
struct CohortTally {
    layout: String,
    patients: BTreeSet<String>,
    n_scans: u64,
    n_excluded: u64,
    exclusions: BTreeMap<String, u64>,
    left_out: BTreeMap<String, u64>,
    marks: BTreeMap<String, u64>,
    n_nodules: u64,
    n_more_marks_than_readers: u64,
    resampled: BTreeSet<String>,
    cropped: BTreeSet<String>,
    n_roi_slices: u64,
    n_shared_slices: u64,
    split_by: BTreeSet<String>,
    samples: BTreeMap<String, SplitTally>,
    /// Values of [`QUANTITIES`].
    values: [Vec<Option<f64>>; QUANTITIES.len()],
}

/// Counts of a split of a cohort.
#[derive(Default)]
struct SplitTally {
    patients: BTreeSet<String>,
    nodules: BTreeSet<String>,
    n_slices: u64,
    n_empty_slices: u64,
}

/// The quantities of the histograms: three of the scans that later stages use, one of the nodules.
const QUANTITIES: [HistogramQuantity; 4] = [
    HistogramQuantity::SliceSpacing,
    HistogramQuantity::PixelSpacing,
    HistogramQuantity::SliceThickness,
    HistogramQuantity::Diameter,
];

/// Counts of each cohort in the order of the scans, and the splits of the evaluated nodules.
pub(super) fn cohorts(
    task: &Task<'_>,
    evaluated: &BTreeSet<&str>,
) -> Result<(Vec<CohortSummary>, BTreeSet<String>), Error> {
    let mut order: Vec<String> = Vec::new();
    let mut tallies: BTreeMap<String, CohortTally> = BTreeMap::new();
    for batch in task.table(Table::Scans)?.rows::<Scan>() {
        for scan in batch? {
            if !order.contains(&scan.cohort) {
                order.push(scan.cohort.clone());
            }
            let tally = tallies.entry(scan.cohort).or_default();
            tally.layout = scan.source;
            tally.patients.insert(scan.patient_id);
            tally.n_scans += 1;
            tally.n_excluded += u64::from(!scan.included);
            if scan.included {
                let [spacing_k, spacing_i, thickness, _] = &mut tally.values;
                spacing_k.push(scan.spacing_k_mm);
                spacing_i.push(Some(scan.spacing_i_mm));
                thickness.push(scan.slice_thickness_mm);
            }
            for reason in scan.exclusion_reasons {
                *tally.exclusions.entry(reason).or_default() += 1;
            }
        }
    }
    for batch in task.table(Table::Exclusions)?.rows::<Exclusion>() {
        for exclusion in batch? {
            let Some(cohort) = exclusion.cohort else { continue };
            let tally = tallies.entry(cohort).or_default();
            *tally.left_out.entry(exclusion.rule).or_default() += 1;
        }
    }
    let marks = task.table(Table::Marks)?;
    for batch in marks.columns::<MarkCount>(&["cohort", "kind"]) {
        for mark in batch? {
            *tallies.entry(mark.cohort).or_default().marks.entry(mark.kind).or_default() += 1;
        }
    }
    let nodules = task.table(Table::Nodules)?;
    let columns = ["cohort", "more_marks_than_readers", "diameter_mm"];
    for batch in nodules.columns::<NoduleCount>(&columns) {
        for nodule in batch? {
            let tally = tallies.entry(nodule.cohort).or_default();
            tally.n_nodules += 1;
            tally.n_more_marks_than_readers += u64::from(nodule.more_marks_than_readers);
            tally.values[3].push(Some(nodule.diameter_mm));
        }
    }
    let columns = ["cohort", "nodule_id", "n_other_nodules", "oversize"];
    for batch in task.table(Table::Rois)?.columns::<RoiCount>(&columns) {
        for roi in batch? {
            let tally = tallies.entry(roi.cohort).or_default();
            tally.n_roi_slices += 1;
            tally.n_shared_slices += u64::from(roi.n_other_nodules > 0);
            match roi.oversize.as_deref() {
                Some(name) if name == Oversize::Resampled.name() => {
                    tally.resampled.insert(roi.nodule_id);
                }
                Some(_) => {
                    tally.cropped.insert(roi.nodule_id);
                }
                None => {}
            }
        }
    }
    leak::check(task.table(Table::Samples)?.rows::<Sample>())?;
    let mut splits = BTreeSet::new();
    for batch in task.table(Table::Samples)?.rows::<Sample>() {
        for sample in batch? {
            if evaluated.contains(sample.nodule_id.as_str()) {
                splits.insert(sample.split.clone());
            }
            let tally = tallies.entry(sample.cohort).or_default();
            tally.split_by.insert(sample.split_by);
            let of_split = tally.samples.entry(sample.split).or_default();
            of_split.patients.insert(sample.patient_id);
            of_split.nodules.insert(sample.nodule_id);
            of_split.n_slices += 1;
            of_split.n_empty_slices += u64::from(sample.role == Role::AdjacentEmpty.name());
        }
    }
    let mut values = [const { Vec::new() }; QUANTITIES.len()];
    let mut cohorts = Vec::new();
    for name in order {
        let Some(mut tally) = tallies.remove(&name) else { continue };
        for (all, own) in values.iter_mut().zip(&mut tally.values) {
            all.push(std::mem::take(own));
        }
        cohorts.push(cohort(tally, name));
    }
    for (quantity, values) in QUANTITIES.into_iter().zip(&values) {
        for (cohort, histogram) in cohorts.iter_mut().zip(histograms(quantity, values)) {
            cohort.histograms.push(histogram);
        }
    }
    Ok((cohorts, splits))
}

fn cohort(tally: CohortTally, name: String) -> CohortSummary {
    let split = |(split, of_split): (String, SplitTally)| SplitCount {
        split,
        n_patients: of_split.patients.len() as u64,
        n_nodules: of_split.nodules.len() as u64,
        n_slices: of_split.n_slices,
        n_empty_slices: of_split.n_empty_slices,
    };
    CohortSummary {
        name,
        layout: tally.layout,
        n_patients: tally.patients.len() as u64,
        n_scans: tally.n_scans,
        n_excluded: tally.n_excluded,
        exclusions: Count::list(tally.exclusions),
        left_out: Count::list(tally.left_out),
        marks: Count::list(tally.marks),
        n_nodules: tally.n_nodules,
        n_more_marks_than_readers: tally.n_more_marks_than_readers,
        n_resampled: tally.resampled.len() as u64,
        n_cropped: tally.cropped.len() as u64,
        n_roi_slices: tally.n_roi_slices,
        n_shared_slices: tally.n_shared_slices,
        split_by: tally.split_by.into_iter().collect(),
        samples: tally.samples.into_iter().map(split).collect(),
        histograms: Vec::new(),
    }
}

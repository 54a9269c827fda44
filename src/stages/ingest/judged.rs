//! What the rules of inclusion look at.

use super::inclusion::Inclusion;
use crate::tables::Scan;
use nodulus_formats::dicom::{SeriesInfo, UnreadableSeries};

/// What the rules look at; `None` where it is not known.
#[derive(Clone, Debug, Default)]
pub(crate) struct JudgedScan<'a> {
    pub(super) slice_thickness_mm: Option<f64>,
    pub(super) slice_gap_max_deviation_mm: Option<f64>,
    pub(super) spacing_k_mm: Option<f64>,
    pub(super) n_missing_slices: Option<i64>,
    pub(super) n_duplicate_slices: Option<i64>,
    pub(super) kernels: SliceValues<&'a str>,
    pub(super) kvps: SliceValues<f64>,
    pub(super) image_types: SliceValues<&'a str>,
    pub(super) descriptions: SliceValues<&'a str>,
}

/// The values of a scan's slices, each with the number of its slices; `None` for slices without a value. Empty where the
/// source of the scan has no such values.
#[derive(Clone, Debug)]
pub(super) struct SliceValues<T>(Vec<(Option<T>, usize)>);

impl<T> Default for SliceValues<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> SliceValues<T> {
    /// One value for all slices.
    fn same(value: Option<T>) -> Self {
        Self(value.map(|value| (Some(value), 1)).into_iter().collect())
    }

    /// The first excluded value, and the share of the slices with excluded values as ` (6 of 12 slices)`, which is empty
    /// where it is all of them; `None` if no value is excluded.
    pub(super) fn excluded(
        &self,
        is_excluded: impl Fn(Option<T>) -> bool,
    ) -> Option<(Option<T>, String)> {
        let excluded = || self.0.iter().filter(|(value, _)| is_excluded(*value));
        let (first, _) = excluded().next()?;
        let n: usize = excluded().map(|(_, n)| n).sum();
        let all: usize = self.0.iter().map(|(_, n)| n).sum();
        let share = if n == all { String::new() } else { format!(" ({n} of {all} slices)") };
        Some((*first, share))
    }
}

impl<'a> From<&'a Scan> for JudgedScan<'a> {
    fn from(scan: &'a Scan) -> Self {
        Self {
            slice_thickness_mm: scan.slice_thickness_mm,
            slice_gap_max_deviation_mm: scan.slice_gap_max_deviation_mm,
            spacing_k_mm: scan.spacing_k_mm,
            n_missing_slices: scan.n_missing_slices,
            n_duplicate_slices: scan.n_duplicate_slices,
            kernels: SliceValues::same(scan.kernel.as_deref()),
            kvps: SliceValues::same(scan.kvp),
            image_types: SliceValues::same(scan.image_type.as_deref()),
            descriptions: SliceValues::same(scan.series_description.as_deref()),
        }
    }
}

impl<'a> JudgedScan<'a> {
    /// A DICOM series by its headers; its spacing along k, where its slices make a grid.
    pub(crate) fn of_series(info: &'a SeriesInfo, spacing_k_mm: Option<f64>) -> Self {
        let texts = |values: &'a [(Option<String>, usize)]| {
            SliceValues(values.iter().map(|(value, n)| (value.as_deref(), *n)).collect())
        };
        let of_slices = &info.of_slices;
        Self {
            slice_thickness_mm: info.slice_thickness_mm,
            slice_gap_max_deviation_mm: info.slice_gap_max_deviation_mm,
            spacing_k_mm,
            n_missing_slices: info.n_missing_slices.map(|n| n as i64),
            n_duplicate_slices: Some(info.n_duplicate_slices as i64),
            kernels: texts(&of_slices.kernels),
            kvps: SliceValues(of_slices.kvps.clone()),
            image_types: texts(&of_slices.image_types),
            descriptions: texts(&of_slices.descriptions),
        }
    }
}

/// Why a series that cannot be read is left out: its headers say that it is no scan, or each one that it is of a kind that
/// the rules exclude. `None` for a scan with a fault.
pub(super) fn reason_for_unreadable(
    rules: &Inclusion,
    section: &str,
    series: &UnreadableSeries,
) -> Option<String> {
    if let Some(error) = &series.no_scan {
        return Some(error.to_string());
    }
    let mut reasons = Vec::new();
    for outline in &series.outlines {
        let excluded = rules.reasons(section, &JudgedScan::of_series(&outline.info, None));
        reasons.push(excluded.into_iter().next()?);
    }
    reasons.into_iter().next()
}

//! A series whose slices do not make up a volume, with what was measured.

use super::few_positions;
use super::slice::SliceHeader;
use crate::dicom::error::Error;
use crate::dicom::series_info::{RefusedSeries, SeriesInfo};

/// The refusal of a series, with what is known about it. A problem of one file, or of the
/// machine, is passed on as it is.
pub(crate) fn refused(slices: &[SliceHeader], reason: Error) -> Error {
    match (reason, slices.first()) {
        (Error::File { file, problem }, _) => Error::File { file, problem },
        (Error::Io(error), _) => Error::Io(error),
        (reason, Some(first)) => {
            let reason = few_positions::instead_of(reason, slices);
            let series = Box::new(measured(slices, first, &reason));
            Error::Refused { series, reason: Box::new(reason) }
        }
        (reason, None) => reason,
    }
}

fn measured(slices: &[SliceHeader], first: &SliceHeader, reason: &Error) -> RefusedSeries {
    let (spacing_k_mm, deviation, n_missing) = match reason {
        Error::MissingSlices { gap_mm, spacing_mm, n_missing, .. } => {
            (Some(*spacing_mm), Some((gap_mm - spacing_mm).abs()), Some(*n_missing))
        }
        Error::UnevenSpacing { gap_mm, spacing_mm, .. } => {
            (Some(*spacing_mm), Some((gap_mm - spacing_mm).abs()), None)
        }
        Error::Drift { spacing_mm, .. } => (Some(*spacing_mm), None, None),
        _ => (None, None, None),
    };
    let info = SeriesInfo {
        slice_gap_max_deviation_mm: deviation,
        n_missing_slices: n_missing,
        ..first.series_info(slices.iter())
    };
    let (size, spacing_mm) = (first.size, first.spacing_mm);
    RefusedSeries { info, size, n_slices: slices.len(), spacing_mm, spacing_k_mm }
}

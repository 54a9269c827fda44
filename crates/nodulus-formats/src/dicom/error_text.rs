//! Parts of the messages of errors.

use super::series::tilt::MOST_DEGREES;
use nodulus_faults::quoted;
use std::path::Path;

/// How slices are shifted, and what to do.
pub(super) fn tilt_text(degrees: Option<f64>) -> String {
    match degrees {
        Some(degrees) if degrees <= MOST_DEGREES => format!(
            "the gantry is tilted by {degrees:.2} degrees; `ingest.tilt = \"resample\"` moves the slices onto an even \
             grid"
        ),
        Some(degrees) => format!(
            "the slices lie on a line at {degrees:.2} degrees to the normal, and a gantry tilts by {MOST_DEGREES} at most"
        ),
        None => "the slices are shifted, and not along one line as with a tilted gantry".to_owned(),
    }
}

/// Values with the number of their slices: `1: 40 slices, 2: 40 slices`.
pub(super) fn groups_text(groups: &[(String, usize)]) -> String {
    const MOST: usize = 6;
    let shown = groups.iter().take(MOST).map(|(value, n)| {
        let slices = if *n == 1 { "slice" } else { "slices" };
        format!("{}: {n} {slices}", quoted::text(value))
    });
    let more = groups.len().checked_sub(MOST).filter(|n| *n > 0);
    shown.chain(more.map(|n| format!("and {n} more"))).collect::<Vec<_>>().join(", ")
}

/// Why a file may be a slice of a series: its name is like that of a slice, or it says so.
pub(super) fn like_text(like: Option<&Path>) -> String {
    match like {
        Some(like) => format!("named as the slices are ({})", quoted::path(like)),
        None => "of this series by its SeriesInstanceUID".to_owned(),
    }
}

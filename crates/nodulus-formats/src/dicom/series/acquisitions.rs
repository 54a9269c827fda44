//! Tells whether a series holds several acquisitions or reconstructions of one body region.

use super::slice::SliceHeader;
use crate::dicom::error::Error;
use std::collections::BTreeMap;

/// An attribute that differs between the images of a series that are no one volume.
struct Distinction {
    attribute: &'static str,
    value: fn(&SliceHeader) -> Option<String>,
    is_same: fn(&SliceHeader, &SliceHeader) -> bool,
}

const DISTINCTIONS: [Distinction; 5] = [
    Distinction {
        attribute: "AcquisitionNumber",
        value: |slice| slice.labels.acquisition_number.map(|n| n.to_string()),
        is_same: |a, b| a.labels.acquisition_number == b.labels.acquisition_number,
    },
    Distinction {
        attribute: "TemporalPositionIdentifier",
        value: |slice| slice.temporal_position.map(|n| n.to_string()),
        is_same: |a, b| a.temporal_position == b.temporal_position,
    },
    Distinction {
        attribute: "ConvolutionKernel",
        value: |slice| slice.kernel.clone(),
        is_same: |a, b| a.kernel == b.kernel,
    },
    Distinction {
        attribute: "KVP",
        value: |slice| slice.kvp.map(|kv| kv.to_string()),
        is_same: |a, b| a.kvp == b.kvp,
    },
    Distinction {
        attribute: "ImageType",
        value: |slice| slice.labels.image_type.clone(),
        is_same: |a, b| a.labels.image_type == b.labels.image_type,
    },
];

/// Where the slices of one value lie along the normal.
struct Extent {
    least_mm: f64,
    greatest_mm: f64,
    n_slices: usize,
}

/// Refuses slices of several acquisitions, phases or reconstructions that cover the same part of the body.
///
/// METHOD: values that differ from one end of the body to the other are usual, as each step of a sequential scan is an
/// acquisition. Two values that both have slices on either side of a slice of the other are two images, even if their
/// slices together make an even grid. A slice without the value, or the only one with it, may belong to any image.
pub(crate) fn check_single(slices: &[SliceHeader], heights: &[f64]) -> Result<(), Error> {
    let Some(first) = slices.first() else { return Ok(()) };
    for Distinction { attribute, value, is_same } in DISTINCTIONS {
        // The usual case, without a copy of each value.
        if slices.iter().all(|slice| is_same(slice, first)) {
            continue;
        }
        let mut extents: BTreeMap<String, Extent> = BTreeMap::new();
        for (slice, height) in slices.iter().zip(heights) {
            let Some(value) = value(slice) else { continue };
            let new = Extent { least_mm: *height, greatest_mm: *height, n_slices: 0 };
            let extent = extents.entry(value).or_insert(new);
            extent.least_mm = extent.least_mm.min(*height);
            extent.greatest_mm = extent.greatest_mm.max(*height);
            extent.n_slices += 1;
        }
        let overlap = |a: &Extent, b: &Extent| {
            a.n_slices.min(b.n_slices) > 1
                && a.least_mm < b.greatest_mm
                && b.least_mm < a.greatest_mm
        };
        let mut sorted: Vec<&Extent> = extents.values().collect();
        sorted.sort_by(|a, b| a.least_mm.total_cmp(&b.least_mm));
        let at_one_position = sorted.len() > 1
            && sorted.iter().all(|extent| extent.greatest_mm - sorted[0].least_mm < 1e-3);
        let mut reaching: Option<&Extent> = None;
        let mut is_mixed = false;
        for extent in sorted.into_iter().filter(|extent| extent.n_slices > 1) {
            is_mixed |= reaching.is_some_and(|other| overlap(other, extent));
            if reaching.is_none_or(|other| extent.greatest_mm > other.greatest_mm) {
                reaching = Some(extent);
            }
        }
        if is_mixed || at_one_position {
            let groups = extents.into_iter().map(|(value, extent)| (value, extent.n_slices));
            let groups = groups.collect();
            return Err(if at_one_position {
                Error::OnePosition { n_slices: slices.len() }
            } else {
                Error::SeveralImages { attribute, groups }
            });
        }
    }
    Ok(())
}

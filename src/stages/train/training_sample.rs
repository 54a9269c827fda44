//! Makes a training sample of a slice.

use super::config::Targets;
use super::error::Error;
use crate::tables::{Neighbours, Roi};
use nodulus_formats::volume::Mask;
use nodulus_imaging::normalise::normalise_slice;
use nodulus_nets::{IGNORED_PIXEL, TrainingSample};

/// A slice that is learnt from, with the pixels of its neighbours.
pub(super) struct SelectedSlice {
    pub(super) roi: Roi,
    /// Pixels of the neighbours with smaller k, ascending, as in `rois.hu`; empty where the network takes one slice.
    pub(super) before: Vec<u8>,
    /// Pixels of the neighbours with greater k, likewise.
    pub(super) after: Vec<u8>,
}

/// A slice's pixels, with the masks of its nodule and of other nodules.
pub(super) struct Pixels {
    pub(super) hu: Vec<i16>,
    pub(super) own: Mask,
    pub(super) others: Mask,
    pub(super) no_data: Mask,
}

/// The pixels of a slice.
pub(super) fn pixels(roi: &Roi) -> Result<Pixels, Error> {
    let wrong = || Error::Pixels {
        roi_id: roi.roi_id.clone(),
        found: roi.hu.len(),
        height: roi.height,
        width: roi.width,
    };
    let hu = roi.pixels_hu().ok_or_else(wrong)?;
    let size = [roi.width as usize, roi.height as usize, 1];
    let [own, others, no_data] = [&roi.mask_bits, &roi.other_mask_bits, &roi.no_data_bits]
        .map(|bits| Mask::from_bits(size, bits.clone()).map_err(|_| wrong()));
    Ok(Pixels { hu, own: own?, others: others?, no_data: no_data? })
}

/// METHOD: `neighbours` says how other nodules of the scan in the region are learnt: as nodule, or not at all. In the
/// latter case, a slice that shows only such nodules counts neither as showing a nodule nor as empty, and the classifier
/// learns nothing from it. Where the nodule and another one overlap, the pixel belongs to the nodule. A pixel without data
/// has no part in the loss.
pub(super) fn training_sample(
    slice: &SelectedSlice,
    targets: Targets,
) -> Result<TrainingSample, Error> {
    let roi = &slice.roi;
    let Pixels { hu, own, others, no_data } = pixels(roi)?;
    let rule = Neighbours::from_name(&roi.neighbours).ok_or_else(|| Error::Neighbours {
        roi_id: roi.roi_id.clone(),
        found: roi.neighbours.clone(),
    })?;
    let has_nodule = match rule {
        _ if !own.is_empty() => Some(true),
        _ if others.is_empty() => Some(false),
        Neighbours::Include => Some(true),
        Neighbours::Ignore => None,
    };
    let other = match rule {
        Neighbours::Include => 1,
        Neighbours::Ignore => IGNORED_PIXEL,
    };
    let pixel = |((own, others), no_data)| match (own, others, no_data) {
        (_, _, true) => IGNORED_PIXEL,
        (true, _, _) => 1,
        (false, true, _) => other,
        (false, false, _) => 0,
    };
    let pixels = own.to_bools().into_iter().zip(others.to_bools()).zip(no_data.to_bools());
    let mask: Vec<u8> = pixels.map(pixel).collect();
    let soft = match targets {
        Targets::Consensus => Vec::new(),
        Targets::Readers => shares(roi, &mask, &others)?,
    };
    let normalised = |hu: &[i16]| normalise_slice(hu, roi.norm_low_hu, roi.norm_high_hu);
    let mut image = normalised(&pixels_hu(&slice.before));
    image.extend(normalised(&hu));
    image.extend(normalised(&pixels_hu(&slice.after)));
    Ok(TrainingSample { id: roi.roi_id.clone(), image, mask, soft, has_nodule })
}

/// The pixels of slices, stored as in `rois.hu`.
fn pixels_hu(stored: &[u8]) -> Vec<i16> {
    stored.chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])).collect()
}

/// The share of the readers whose masks include each pixel; a pixel of another nodule alone is what the mask says.
///
/// METHOD: readers do not agree on a nodule's border, and a pixel that one of four included is neither nodule nor background.
/// The shares are of the readers that the consensus is taken over, so that a share above its level is nodule by consensus.
fn shares(roi: &Roi, mask: &[u8], others: &Mask) -> Result<Vec<f32>, Error> {
    if roi.reader_counts.is_empty() {
        return Ok(mask.iter().map(|y| f32::from(*y == 1)).collect());
    }
    if roi.reader_counts.len() != mask.len() || roi.n_readers < 1 {
        return Err(Error::ReaderCounts {
            roi_id: roi.roi_id.clone(),
            found: roi.reader_counts.len(),
            expected: mask.len(),
            n_readers: roi.n_readers,
        });
    }
    let of_pixels = roi.reader_counts.iter().zip(mask).zip(others.to_bools());
    let share = |((count, y), other): ((&u8, &u8), bool)| {
        if other && *count == 0 {
            f32::from(*y == 1)
        } else {
            (f32::from(*count) / roi.n_readers as f32).min(1.0)
        }
    };
    Ok(of_pixels.map(share).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    fn example(roi: &Roi, targets: Targets) -> Result<TrainingSample, Error> {
        let (before, after) = (Vec::new(), Vec::new());
        training_sample(&SelectedSlice { roi: roi.clone(), before, after }, targets)
    }

    #[test]
    fn neighbours_are_slices_of_the_image_and_have_no_mask() {
        let slice = SelectedSlice {
            roi: roi(&[-1000, 400], &[true, false], &[0]),
            before: [-300i16, -1000].iter().flat_map(|hu| hu.to_le_bytes()).collect(),
            after: [400i16, -300].iter().flat_map(|hu| hu.to_le_bytes()).collect(),
        };
        let sample = training_sample(&slice, Targets::Consensus).unwrap();
        assert_eq!(sample.image, [0.5, 0.0, 0.0, 1.0, 1.0, 0.5]);
        assert_eq!((sample.mask, sample.has_nodule), (vec![1, 0], Some(true)));
    }

    #[test]
    fn other_nodules_are_learnt_as_nodule_or_not_at_all() {
        let learnt = |rule: &str, mask: &[bool; 4], others: u8| {
            let roi = roi(&[0; 4], mask, &[others]);
            example(&Roi { neighbours: rule.to_owned(), ..roi }, Targets::Consensus).unwrap()
        };
        let own = [true, true, false, false];
        let [included, ignored] = ["include", "ignore"].map(|rule| learnt(rule, &own, 0b0110));
        assert_eq!((included.mask, included.has_nodule), (vec![1, 1, 1, 0], Some(true)));
        assert_eq!((ignored.mask, ignored.has_nodule), (vec![1, 1, IGNORED_PIXEL, 0], Some(true)));
        // Another nodule only: the slice counts neither as showing a nodule nor as empty.
        let [included, ignored] = ["include", "ignore"].map(|rule| learnt(rule, &[false; 4], 1));
        assert_eq!((included.mask[0], included.has_nodule), (1, Some(true)));
        assert_eq!((ignored.mask[0], ignored.has_nodule), (IGNORED_PIXEL, None));
        assert_eq!(learnt("ignore", &[false; 4], 0).has_nodule, Some(false));
        // Nothing is learnt from a pixel without data, whatever lies there.
        let cut = Roi { no_data_bits: vec![0b1101], ..roi(&[0; 4], &own, &[0b0100]) };
        let cut = example(&cut, Targets::Consensus).unwrap();
        assert_eq!(cut.mask, [IGNORED_PIXEL, 1, IGNORED_PIXEL, IGNORED_PIXEL]);
        let odd = Roi { neighbours: "both".to_owned(), ..roi(&[0; 4], &own, &[0]) };
        let error = example(&odd, Targets::Consensus).unwrap_err().to_string();
        assert_eq!(error, "region `n-k0000` has neighbours `both`, expected include or ignore");
    }

    #[test]
    fn shares_of_readers_replace_the_consensus() {
        let counted = |counts: &[u8], others: u8| Roi {
            reader_counts: counts.to_vec(),
            n_readers: 4,
            ..roi(&[0; 4], &[true, true, false, false], &[others])
        };
        let soft = |roi: &Roi| example(roi, Targets::Readers).map(|sample| sample.soft);
        assert_eq!(soft(&counted(&[4, 2, 1, 0], 0)).unwrap(), [1.0, 0.5, 0.25, 0.0]);
        // Another nodule is learnt as the mask says, where no reader of this one marked.
        assert_eq!(soft(&counted(&[4, 2, 1, 0], 0b1100)).unwrap(), [1.0, 0.5, 0.25, 1.0]);
        let ignored = Roi { neighbours: "ignore".to_owned(), ..counted(&[4, 2, 0, 0], 0b1000) };
        let sample = example(&ignored, Targets::Readers).unwrap();
        assert_eq!((sample.mask[3], sample.soft[3]), (IGNORED_PIXEL, 0.0));
        assert_eq!(soft(&roi(&[0; 4], &[false; 4], &[0])).unwrap(), [0.0; 4]);
        let error = soft(&counted(&[4, 2], 0)).unwrap_err().to_string();
        assert!(
            error.starts_with("region `n-k0000` has 2 counts of 4 readers, expected 4"),
            "{error}"
        );
    }
}

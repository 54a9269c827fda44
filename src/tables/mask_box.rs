//! Masks of rows, which are kept as a box and packed bits.

use nodulus_formats::volume::{BitsMismatch, Mask, PlacedMask};

/// The box and bits of a row do not make a mask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bits do not fit the box.
    #[error(transparent)]
    Bits(#[from] BitsMismatch),
    /// A corner or a size is negative.
    #[error("box of the mask has a negative value: start {start:?}, size {size:?}")]
    Negative {
        /// First voxel of the box.
        start: [i64; 3],
        /// Size of the box.
        size: [i64; 3],
    },
}

/// The mask of a row, from its box along i, j, k and its bits.
///
/// # Errors
///
/// Fails if a corner or size is negative, or the bits do not fit the size.
pub fn placed(start: [i64; 3], size: [i64; 3], bits: &[u8]) -> Result<PlacedMask, Error> {
    let voxels = |v: [i64; 3]| {
        let [i, j, k] = v.map(|v| usize::try_from(v).ok());
        Some([i?, j?, k?])
    };
    let (Some(first), Some(voxels)) = (voxels(start), voxels(size)) else {
        return Err(Error::Negative { start, size });
    };
    Ok(PlacedMask { start: first, mask: Mask::from_bits(voxels, bits.to_vec())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_and_bits_that_do_not_fit_are_named() {
        let mask = placed([4, 5, 6], [3, 1, 1], &[0b101]).unwrap();
        assert!(mask.get(4, 5, 6) && !mask.get(5, 5, 6) && mask.get(6, 5, 6));
        assert_eq!(placed([0, 0, 0], [0, 0, 0], &[]).unwrap().mask.count(), 0);
        let error = placed([4, -5, 6], [3, 1, 1], &[0b101]).unwrap_err();
        assert!(error.to_string().contains("start [4, -5, 6], size [3, 1, 1]"), "{error}");
        assert!(matches!(placed([0, 0, 0], [9, 1, 1], &[0]), Err(Error::Bits(_))));
    }
}

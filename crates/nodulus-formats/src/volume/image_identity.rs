//! The identity of an image, whatever its names: a hash of its voxels.

use super::loaded::SliceRanges;
use ndarray::ArrayView2;
use sha2::{Digest, Sha256};

/// The slices k that [`image_sha256`] covers: a quarter, half and three quarters of the way along k.
pub fn identifying_slices(n_slices: usize) -> SliceRanges {
    positions(n_slices).into_iter().filter(|k| *k < n_slices).map(|k| k..k + 1).collect()
}

fn positions(n_slices: usize) -> [usize; 3] {
    [1, 2, 3].map(|quarter| n_slices / 4 * quarter + n_slices % 4 * quarter / 4)
}

/// SHA-256, in hexadecimal, of an image's size and of the voxels of three of its slices, as 16-bit integers row by row;
/// `None` where `slice` has not all of [`identifying_slices`], as for an image without slices. `slice` gets the
/// slice k, indexed `[j, i]`.
///
/// METHOD: three slices tell images apart as well as all do, because noise never repeats, and a scan of which only a few
/// slices are read has them too. The names, the header, the spacing and the file's format play no part, so that an image
/// is found again after it was renamed or converted.
pub fn image_sha256<'a>(
    size: [usize; 3],
    slice: impl Fn(usize) -> Option<ArrayView2<'a, i16>>,
) -> Option<String> {
    let mut hash = Sha256::new();
    for n in size {
        hash.update((n as u64).to_le_bytes());
    }
    for k in positions(size[2]) {
        let bytes: Vec<[u8; 2]> = slice(k)?.iter().map(|value| value.to_le_bytes()).collect();
        hash.update(bytes.as_flattened());
    }
    let digest = hash.finalize();
    Some(digest.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Geometry, LoadedSlices, Volume};
    use ndarray::Array3;

    fn volume(n_slices: usize, changed: usize) -> Volume<i16> {
        let geometry =
            Geometry::new([3, 2, n_slices], [1.0; 3], [0.0; 3], Geometry::AXIAL).unwrap();
        let value = |(k, j, i): (usize, usize, usize)| {
            (100 * k + 10 * j + i) as i16 - i16::from(k == changed)
        };
        Volume::new(geometry, Array3::from_shape_fn((n_slices, 2, 3), value)).unwrap()
    }

    fn of(volume: &Volume<i16>) -> Option<String> {
        image_sha256(volume.geometry().size(), |k| volume.slice(k))
    }

    #[test]
    fn three_slices_tell_images_apart() {
        let slices = |n| identifying_slices(n).iter().flatten().collect::<Vec<_>>();
        assert_eq!(slices(16), [4, 8, 12]);
        assert_eq!((slices(1), slices(2), slices(3)), (vec![0], vec![0, 1], vec![0, 1, 2]));
        assert!(slices(0).is_empty());
        let whole = volume(16, 99);
        let expected = of(&whole).unwrap();
        for k in [4, 8, 12] {
            assert_ne!(of(&volume(16, k)).unwrap(), expected, "{k}");
        }
        assert_ne!(of(&volume(17, 99)).unwrap(), expected);
        // A scan of which only these slices are read has the same hash, and with fewer none.
        let wanted = identifying_slices(16);
        let read = |wanted: &SliceRanges| {
            let voxels = whole
                .voxels()
                .select(ndarray::Axis(0), &wanted.iter().flatten().collect::<Vec<_>>());
            let slices = LoadedSlices::new(*whole.geometry(), wanted, voxels).unwrap();
            image_sha256(slices.geometry().size(), |k| slices.slice(k))
        };
        assert_eq!(read(&wanted), Some(expected));
        assert_eq!(read(&std::iter::once(4..9).collect()), None);
    }
}

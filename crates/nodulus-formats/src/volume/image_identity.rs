//! The identity of an image, whatever its names and the order in which its voxels are stored.

use super::geometry::Geometry;
use super::loaded::SliceRanges;
use ndarray::ArrayView2;
use sha2::{Digest, Sha256};

/// The slices k that [`image_sha256`] covers: those a quarter, half and three quarters of the way from the patient's feet
/// to the head; all, where the slices are not across the body.
pub fn identifying_slices(geometry: &Geometry) -> SliceRanges {
    let order = StorageOrder::of(geometry);
    if order.axes[2].0 != 2 {
        return SliceRanges::all().within(&(0..geometry.size()[2]));
    }
    let [.., n_slices] = geometry.size();
    let mut slices: Vec<usize> = positions(n_slices)
        .into_iter()
        .filter(|z| *z < n_slices)
        .map(|z| order.stored([0, 0, z])[2])
        .collect();
    slices.sort_unstable();
    slices.into_iter().map(|k| k..k + 1).collect()
}

fn positions(n_slices: usize) -> [usize; 3] {
    [1, 2, 3].map(|quarter| n_slices / 4 * quarter + n_slices % 4 * quarter / 4)
}

/// How the patient's axes lie in the stored voxels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StorageOrder {
    /// For x, y and z: the axis of the voxels that lies along it, and whether it runs the other way.
    axes: [(usize, bool); 3],
    /// Voxels along i, j and k.
    size: [usize; 3],
}

impl StorageOrder {
    /// The order of the geometry's axes: each takes the patient's axis that it is nearest to, the nearest pair first.
    fn of(geometry: &Geometry) -> Self {
        let direction = geometry.direction();
        let mut pairs: Vec<(usize, usize)> =
            (0..3).flat_map(|xyz| (0..3).map(move |ijk| (xyz, ijk))).collect();
        let along = |(xyz, ijk): (usize, usize)| direction[3 * xyz + ijk];
        pairs.sort_by(|a, b| along(*b).abs().total_cmp(&along(*a).abs()));
        let mut axes = [None; 3];
        for pair in pairs {
            let is_taken = axes.iter().flatten().any(|(ijk, _)| *ijk == pair.1);
            if axes[pair.0].is_none() && !is_taken {
                axes[pair.0] = Some((pair.1, along(pair) < 0.0));
            }
        }
        Self { axes: axes.map(Option::unwrap_or_default), size: geometry.size() }
    }

    /// Voxels along x, y and z.
    fn size(&self) -> [usize; 3] {
        self.axes.map(|(ijk, _)| self.size[ijk])
    }

    /// The stored voxel (i, j, k) of a voxel by x, y and z.
    fn stored(&self, xyz: [usize; 3]) -> [usize; 3] {
        let mut stored = [0; 3];
        for ((ijk, is_reversed), at) in self.axes.into_iter().zip(xyz) {
            stored[ijk] = if is_reversed { self.size[ijk] - 1 - at } else { at };
        }
        stored
    }
}

/// SHA-256, in hexadecimal, of an image's size and of the voxels of three of its planes across the body, as 16-bit integers
/// row by row, in the order of the patient's axes; `None` where `slice` has not all of [`identifying_slices`], as for an
/// image without slices, and where all voxels of these planes are equal. `slice` gets the stored slice k, indexed `[j, i]`.
///
/// METHOD: three planes tell images apart as well as all do, because noise never repeats, and a scan of which only a few
/// slices are read has them too. The names, the header, the spacing, the file's format and the order of its voxels play
/// no part, so that an image is found again after it was renamed or converted. An image that was cropped or whose values
/// were changed is another image. Planes of a single value are filler, which any two images of a size may share, so they
/// identify nobody.
pub fn image_sha256<'a>(
    geometry: &Geometry,
    slice: impl Fn(usize) -> Option<ArrayView2<'a, i16>>,
) -> Option<String> {
    let order = StorageOrder::of(geometry);
    let [nx, ny, nz] = order.size();
    let mut hash = Sha256::new();
    for n in [nx, ny, nz] {
        hash.update((n as u64).to_le_bytes());
    }
    let slices: Vec<Option<ArrayView2<'a, i16>>> = (0..geometry.size()[2]).map(slice).collect();
    let mut row = Vec::with_capacity(2 * nx);
    let (mut first, mut varies) = (None, false);
    for z in positions(nz) {
        for y in 0..ny {
            row.clear();
            for x in 0..nx {
                let [i, j, k] = order.stored([x, y, z]);
                let value = slices.get(k)?.as_ref()?.get([j, i])?;
                varies |= *first.get_or_insert(*value) != *value;
                row.extend(value.to_le_bytes());
            }
            hash.update(&row);
        }
    }
    // An image without slices has none of them.
    varies
        .then(|| hash.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
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
        image_sha256(volume.geometry(), |k| volume.slice(k))
    }

    #[test]
    fn three_slices_tell_images_apart() {
        let slices =
            |n| identifying_slices(volume(n, 99).geometry()).iter().flatten().collect::<Vec<_>>();
        assert_eq!(slices(16), [4, 8, 12]);
        assert_eq!((slices(1), slices(2), slices(3)), (vec![0], vec![0, 1], vec![0, 1, 2]));
        let whole = volume(16, 99);
        let expected = of(&whole).unwrap();
        for k in [4, 8, 12] {
            assert_ne!(of(&volume(16, k)).unwrap(), expected, "{k}");
        }
        assert_ne!(of(&volume(17, 99)).unwrap(), expected);
        // Filler alone identifies nobody; one other voxel in one of the planes does.
        let mut filler = Array3::from_elem((16, 2, 3), -1000);
        let of_filler =
            |voxels: &Array3<i16>| of(&Volume::new(*whole.geometry(), voxels.clone()).unwrap());
        filler[[5, 1, 1]] = 7;
        assert_eq!(of_filler(&filler), None);
        filler[[8, 1, 1]] = 7;
        assert!(of_filler(&filler).is_some());
        // A scan of which only these slices are read has the same hash, and with fewer none.
        let wanted = identifying_slices(whole.geometry());
        let read = |wanted: &SliceRanges| {
            let voxels = whole
                .voxels()
                .select(ndarray::Axis(0), &wanted.iter().flatten().collect::<Vec<_>>());
            let slices = LoadedSlices::new(*whole.geometry(), wanted, voxels).unwrap();
            image_sha256(slices.geometry(), |k| slices.slice(k))
        };
        assert_eq!(read(&wanted), Some(expected));
        assert_eq!(read(&std::iter::once(4..9).collect()), None);
    }
    #[test]
    fn an_image_is_found_again_in_every_order_of_its_voxels() {
        let whole = volume(6, 99);
        let expected = of(&whole).unwrap();
        let axes: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for order in orders {
            for reversed in 0..8usize {
                let is_reversed = |ijk: usize| reversed >> ijk & 1 == 1;
                // Axis ijk of the stored voxels lies along the patient's axis order[ijk].
                let size = order.map(|xyz: usize| whole.geometry().size()[xyz]);
                let direction: [f64; 9] = std::array::from_fn(|at| {
                    let (xyz, ijk) = (at / 3, at % 3);
                    if is_reversed(ijk) { -axes[order[ijk]][xyz] } else { axes[order[ijk]][xyz] }
                });
                let geometry = Geometry::new(size, [1.0; 3], [0.0; 3], direction).unwrap();
                let value = |(k, j, i): (usize, usize, usize)| {
                    let mut xyz = [0; 3];
                    for (ijk, at) in [i, j, k].into_iter().enumerate() {
                        xyz[order[ijk]] = if is_reversed(ijk) { size[ijk] - 1 - at } else { at };
                    }
                    whole.voxels()[[xyz[2], xyz[1], xyz[0]]]
                };
                let voxels = Array3::from_shape_fn((size[2], size[1], size[0]), value);
                let stored = Volume::new(geometry, voxels).unwrap();
                assert_eq!(of(&stored).as_ref(), Some(&expected), "{order:?} {reversed:03b}");
                // The slices that are asked for are enough.
                let wanted = identifying_slices(stored.geometry());
                let chosen = image_sha256(stored.geometry(), |k| {
                    wanted.position(k).and_then(|_| stored.slice(k))
                });
                assert_eq!(chosen.as_ref(), Some(&expected), "{order:?} {reversed:03b}");
            }
        }
        // A mirror image is another one.
        let mirrored = whole.voxels().slice(ndarray::s![.., .., ..;-1]).to_owned();
        let mirrored = Volume::new(*whole.geometry(), mirrored).unwrap();
        assert_ne!(of(&mirrored), Some(expected));
    }
}

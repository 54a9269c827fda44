//! What is known of an image's voxels without keeping them.

use super::geometry::Geometry;
use super::grid::Volume;
use super::image_identity::image_sha256;

/// What is known of an image's voxels without keeping them.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageFacts {
    /// Where the voxels lie.
    pub geometry: Geometry,
    /// The least and the greatest value, HU; `None` for an image without voxels.
    pub hu_range: Option<[i16; 2]>,
    /// The image's [`image_sha256`].
    pub sha256: Option<String>,
}

impl ImageFacts {
    /// The facts of a volume.
    pub fn of(volume: &Volume<i16>) -> Self {
        let geometry = *volume.geometry();
        let sha256 = image_sha256(&geometry, |k| volume.slice(k));
        Self { geometry, hu_range: hu_range(volume.voxels().iter()), sha256 }
    }
}

/// The least and the greatest of some values.
pub(crate) fn hu_range<'a>(values: impl Iterator<Item = &'a i16> + Clone) -> Option<[i16; 2]> {
    // One after the other, so that each becomes vector instructions.
    let least = values.clone().copied().reduce(i16::min)?;
    Some([least, values.copied().reduce(i16::max)?])
}

//! A folder with a NIfTI file or DICOM SEG for each nodule.

use super::error::Error;
use crate::tables::Roi;
use nodulus_faults::fs;
use nodulus_formats::mask_file::{self, LabelMask, MaskFile, MaskRules};
use nodulus_formats::volume::{Geometry, InvalidGeometry, Mask, PlacedMask};
use nodulus_imaging::regrid::{self, MaskExtent, SLICE_TOLERANCE};
use nodulus_imaging::segments;
use nodulus_store::hash;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The value of the nodule.
const NODULE: u16 = 1;
/// The greatest value: another nodule, as `nodulus export rois --to nifti` writes it.
const OTHER: u16 = 2;

/// The mask of a nodule.
struct MaskOfNodule {
    path: PathBuf,
    sha256: String,
    /// Whether `rois` has the nodule.
    is_known: bool,
}

/// The masks of a folder, by nodule.
pub(super) struct MaskFolder {
    path: PathBuf,
    nodules: BTreeMap<String, MaskOfNodule>,
}

impl MaskFolder {
    /// Lists the masks of a folder and hashes them: `NODULE.nii.gz` as nnU-Net writes its predictions, `NODULE_mask.nii.gz` as
    /// `nodulus export rois --to nifti` writes the reference, and `NODULE.dcm`. Its images, `NODULE_hu.nii.gz`, and
    /// files of other kinds are no masks.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be read, has no mask or several of one nodule, or holds nnU-Net's images.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(path)?.into_iter().map(|entry| entry.path()).collect();
        files.sort();
        let mut nodules = BTreeMap::new();
        for file in files {
            let Some(nodule_id) = nodule_of(&file)? else { continue };
            let sha256 = hash::sha256_file(&file)?;
            if nodules.contains_key(&nodule_id) {
                return Err(Error::Twice { path: path.to_owned(), what: "nodule", id: nodule_id });
            }
            nodules.insert(nodule_id, MaskOfNodule { path: file, sha256, is_known: false });
        }
        if nodules.is_empty() {
            return Err(Error::Empty { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), nodules })
    }

    /// The SHA-256 of a nodule's mask, where there is one. The nodule is known from then on.
    pub(super) fn find(&mut self, nodule_id: &str) -> Option<String> {
        let nodule = self.nodules.get_mut(nodule_id)?;
        nodule.is_known = true;
        Some(nodule.sha256.clone())
    }

    pub(super) fn has(&self, nodule_id: &str) -> bool {
        self.nodules.contains_key(nodule_id)
    }

    /// SHA-256 of all masks and their names.
    pub(super) fn content_sha256(&self) -> String {
        let parts = self.nodules.iter().flat_map(|(id, nodule)| [id.as_str(), &nodule.sha256]);
        hash::sha256_parts(parts)
    }

    /// Fails if `rois` does not have every nodule.
    pub(super) fn check_known(&self) -> Result<(), Error> {
        let ids = self.nodules.iter().map(|(id, nodule)| (id, nodule.is_known));
        Error::check_known(&self.path, "nodules", ids)
    }

    /// Reads the mask of a nodule on the grid of its region, whose slices ascend; `None` where there is none.
    ///
    /// METHOD: nothing is resampled, because the change to a mask would count as the model's error. The voxels may be in
    /// another order, as in a file in RAS.
    ///
    /// # Errors
    ///
    /// Fails if the file changed since it was listed, is no mask, lies on another grid, or has other values than 0, 1 and 2.
    pub(super) fn read<'a>(
        &self,
        nodule_id: &str,
        slices: impl ExactSizeIterator<Item = &'a Roi>,
    ) -> Result<Option<Mask>, Error> {
        let Some(MaskOfNodule { path, sha256, .. }) = self.nodules.get(nodule_id) else {
            return Ok(None);
        };
        if hash::sha256_file(path)? != *sha256 {
            return Err(Error::Changed { path: path.clone() });
        }
        let region = geometry(slices)?;
        match mask_file::read(path, &MaskRules::default())? {
            MaskFile::Labels(labels) => of_labels(path, &labels, &region).map(Some),
            MaskFile::Segmentation(segmentation) => {
                if segmentation.segments.len() != 1 {
                    let found = segmentation.segments.len();
                    return Err(Error::Segments { path: path.clone(), found });
                }
                let lie = segments::locate(&segmentation, &region, false, SLICE_TOLERANCE)
                    .map_err(|source| Error::Slices { path: path.clone(), source })?;
                let parts = segmentation.segments.iter();
                let parts = parts.flat_map(|segment| lie.segment_masks(segment, &region, false));
                let parts: Vec<_> = parts.map(|part| part.placed).collect();
                let mut mask = Mask::empty(region.size());
                let voxels = parts.iter().flatten().flat_map(PlacedMask::voxels);
                voxels.for_each(|[i, j, k]| mask.set(i, j, k, true));
                Ok(Some(mask))
            }
            MaskFile::StructureSet(_) => Err(Error::Outlines { path: path.clone() }),
        }
    }
}

/// The nodule that a file is named after; `None` for a file that is no mask.
fn nodule_of(path: &Path) -> Result<Option<String>, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = [".nii.gz", ".nii", ".dcm"].iter().find_map(|end| {
        let at = name.len().checked_sub(end.len())?;
        let (stem, extension) = name.split_at_checked(at)?;
        extension.eq_ignore_ascii_case(end).then_some(stem)
    });
    match stem {
        None => Ok(None),
        Some(stem) if stem.ends_with("_hu") => Ok(None),
        Some(stem) if stem.ends_with("_0000") => Err(Error::Image { path: path.to_owned() }),
        Some(stem) => Ok(Some(stem.strip_suffix("_mask").unwrap_or(stem).to_owned())),
    }
}

/// The grid of a region.
fn geometry<'a>(
    mut slices: impl ExactSizeIterator<Item = &'a Roi>,
) -> Result<Geometry, InvalidGeometry> {
    let n = slices.len();
    let Some(first) = slices.next() else {
        return Geometry::new([0; 3], [1.0; 3], [0.0; 3], Geometry::AXIAL);
    };
    let [ni, nj] = [first.width, first.height].map(|n| usize::try_from(n).unwrap_or(0));
    let spacing_mm = [first.spacing_i_mm, first.spacing_j_mm, first.spacing_k_mm];
    let origin_mm = [first.origin_x_mm, first.origin_y_mm, first.origin_z_mm];
    // Fewer numbers than nine are no direction.
    let direction = std::array::from_fn(|n| first.direction.get(n).copied().unwrap_or(f64::NAN));
    Geometry::new([ni, nj, n], spacing_mm, origin_mm, direction)
}

/// The nodule of a file of labels, on the region's grid.
fn of_labels(path: &Path, labels: &LabelMask, region: &Geometry) -> Result<Mask, Error> {
    let mut mask = Mask::empty(region.size());
    for layer in &labels.layers {
        let own = *layer.geometry();
        let on = regrid::align(&own, region, MaskExtent::Volume, 0.0)
            .map_err(|grids| Error::Grid { path: path.to_owned(), grids })?;
        for ((k, j, i), value) in layer.voxels().indexed_iter() {
            match *value {
                NODULE => {
                    let [i, j, k] = on.voxel([i, j, k]);
                    mask.set(i, j, k, true);
                }
                found if found > OTHER => {
                    return Err(Error::Label { path: path.to_owned(), found });
                }
                _ => {}
            }
        }
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;
    use fs_err as fs;
    use ndarray::Array3;
    use nodulus_formats::nifti;
    use nodulus_formats::volume::Volume;

    /// Two slices of four pixels of 1 mm.
    fn slices() -> Vec<Roi> {
        let slice = |k: i64| Roi {
            slice_index: k,
            origin_z_mm: k as f64,
            ..roi(&[0; 4], &[true; 4], &[0])
        };
        [slice(3), slice(4)].into()
    }

    fn write(path: &Path, origin_mm: [f64; 3], direction: [f64; 9], values: [u16; 8]) {
        let geometry = Geometry::new([4, 1, 2], [1.0; 3], origin_mm, direction).unwrap();
        let voxels = Array3::from_shape_vec((2, 1, 4), values.into()).unwrap();
        nifti::write_labels(path, &Volume::new(geometry, voxels).unwrap()).unwrap();
    }

    fn read(folder: &Path, nodule_id: &str) -> Result<Option<Mask>, Error> {
        MaskFolder::open(folder)?.read(nodule_id, slices().iter())
    }

    #[test]
    fn a_mask_lies_on_its_region_in_whatever_order_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = [0.0, 0.0, 3.0];
        write(&folder.path().join("n_mask.nii.gz"), at, Geometry::AXIAL, [1, 0, 2, 0, 0, 0, 0, 1]);
        let mask = read(folder.path(), "n").unwrap().unwrap();
        assert_eq!(mask.voxels().collect::<Vec<_>>(), [[0, 0, 0], [3, 0, 1]]);
        assert_eq!(read(folder.path(), "m").unwrap(), None);
        // The same voxels with i and j reversed.
        fs::remove_file(folder.path().join("n_mask.nii.gz")).unwrap();
        let reversed = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0];
        let path = folder.path().join("n.nii");
        write(&path, [3.0, 0.0, 3.0], reversed, [0, 2, 0, 1, 1, 0, 0, 0]);
        assert_eq!(read(folder.path(), "n").unwrap(), Some(mask));

        write(&path, [0.0, 0.5, 3.0], Geometry::AXIAL, [1; 8]);
        let error = nodulus_faults::in_words(&read(folder.path(), "n").unwrap_err());
        assert!(error.contains("does not lie on the voxels of its nodule's region"), "{error}");
        let grids = ["mask size [4, 1, 2]", "image size [4, 1, 2]", "origin [0.0, 0.5, 3.0] mm"];
        assert!(grids.iter().all(|part| error.contains(part)), "{error}");
        write(&path, at, Geometry::AXIAL, [0, 1, 2, 3, 0, 0, 0, 0]);
        let error = read(folder.path(), "n").unwrap_err().to_string();
        assert!(error.contains("n.nii` has the value 3, expected 0 (background), 1"), "{error}");
    }

    #[test]
    fn a_file_is_named_after_its_nodule_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let error = MaskFolder::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("has no mask, expected one for each slice or nodule"), "{error}");
        for name in ["n_hu.nii.gz", "dataset.json", "plans.json", "n.npz", "nodules.csv"] {
            fs::write(path(name), "").unwrap();
        }
        assert!(MaskFolder::open(folder.path()).is_err());
        fs::write(path("n.nii.gz"), "a").unwrap();
        fs::write(path("m.DCM"), "b").unwrap();
        let mut found = MaskFolder::open(folder.path()).unwrap();
        assert_eq!(found.nodules.keys().collect::<Vec<_>>(), ["m", "n"]);
        let content = found.content_sha256();
        assert!(found.find("n").is_some() && found.find("o").is_none());
        let error = found.check_known().unwrap_err().to_string();
        assert!(error.contains("1 of 2 nodules are not in `rois`, the first is `m`"), "{error}");
        fs::write(path("n.nii.gz"), "c").unwrap();
        assert_ne!(MaskFolder::open(folder.path()).unwrap().content_sha256(), content);
        let error = found.read("n", slices().iter()).unwrap_err().to_string();
        assert!(error.contains("n.nii.gz` changed while it was read"), "{error}");

        fs::write(path("n_mask.nii"), "").unwrap();
        let error = MaskFolder::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("has nodule `n` twice"), "{error}");
        fs::remove_file(path("n_mask.nii")).unwrap();
        fs::write(path("k_0000.nii.gz"), "").unwrap();
        let error = MaskFolder::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("k_0000.nii.gz` is an image of nnU-Net"), "{error}");
    }
}

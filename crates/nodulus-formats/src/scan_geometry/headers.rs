//! Reads the geometry of scans from a folder of MetaImage headers.

use super::{Error, InPlane, ScanGeometries, ScanGeometry};
use crate::folder::{files_below, has_extension};
use crate::image_file;
use crate::metaimage;
use crate::volume::Slices;
use std::path::Path;

/// The geometry in each `.mhd` of a folder and its subfolders, by the file's name without extension; the voxels need not be there.
///
/// # Errors
///
/// Fails if the folder cannot be read or has no header, a header is invalid or is not of axial slices in ascending height, or two
/// have one name.
pub(super) fn read(folder: &Path) -> Result<ScanGeometries, Error> {
    let io = |source| Error::Io { path: folder.to_owned(), source };
    let mut geometries = ScanGeometries::new();
    for path in files_below(folder).map_err(io)? {
        if !has_extension(&path, "mhd") {
            continue;
        }
        let wrong = |source| Error::Header { path: path.clone(), source };
        let geometry = metaimage::read_geometry(&path).map_err(|source| wrong(Box::new(source)))?;
        let ([x, y, z], [ni, nj, nk]) = (geometry.origin_mm(), geometry.size());
        let in_plane =
            InPlane::new([x, y], geometry.direction()).map_err(|e| wrong(Box::new(e)))?;
        let [si, sj, sk] = geometry.spacing().ijk();
        let z_mm = (0..nk).map(|k| z + k as f64 * sk).collect();
        let slices =
            Slices::at_heights(Some([ni, nj]), [si, sj], z_mm).map_err(|e| wrong(Box::new(e)))?;
        let scan = ScanGeometry {
            study_instance_uid: None,
            patient_id: None,
            slice_thickness_mm: None,
            slices,
            in_plane: Some(in_plane),
            n_duplicate_slices: 0,
        };
        let series = image_file::stem(&path);
        if geometries.insert(series.clone(), scan).is_some() {
            return Err(Error::TwoHeaders { path, series });
        }
    }
    if geometries.is_empty() { Err(Error::NoHeaders(folder.to_owned())) } else { Ok(geometries) }
}

//! Lists the cases of a cohort by its layout.

use super::case::{Case, Layout, Location};
use super::error::Error;
use super::{lidc_folders, marks, volumes};
use crate::lidc_xml;
use crate::scan_geometry::ScanGeometries;
use nodulus_faults::fs;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Finds which series files are of. Both functions get a path relative to the cohort's folder too, so that a caller can
/// remember what unchanged files hold.
#[derive(Clone, Copy)]
pub struct SeriesIn<'a> {
    /// The series of the DICOM files in a folder, as [`dicom::series_uids`](crate::dicom::series_uids) finds them.
    pub dicom_folder: &'a dyn Fn(&str, &[PathBuf]) -> BTreeSet<String>,
    /// The series of a file of LIDC's XML, as [`series_of_reads`] finds it.
    pub reads: &'a (dyn Fn(&str, &Path) -> Option<String> + Sync),
}

/// The series of a file of LIDC's XML; `None` for a file that holds no reads of a CT.
pub fn series_of_reads(file: &Path) -> Option<String> {
    lidc_xml::read(file).ok().map(|reads| reads.series_instance_uid)
}

/// Lists the cases of a cohort, sorted by id; empty where the folder is empty.
///
/// # Errors
///
/// Fails if a folder is missing or cannot be read, or a pattern is invalid.
pub fn cases(location: &Location<'_>, series_in: &SeriesIn<'_>) -> Result<Vec<Case>, Error> {
    for folder in [Some(location.root), location.annotations].into_iter().flatten() {
        if !fs::is_dir(folder) {
            return Err(Error::NotAFolder(folder.to_owned()));
        }
    }
    let mut cases = match location.layout {
        Layout::Lidc => lidc_folders::cases(location.root, series_in.dicom_folder)?,
        Layout::Luna16 => marks::luna16(location.root, location.annotations, series_in)?,
        Layout::Volumes => volumes::cases(location.root, location.image, &location.masks)?,
        Layout::LidcAnnotations => {
            let none = ScanGeometries::new();
            let geometry = location.scan_geometry.unwrap_or(&none);
            marks::lidc_annotations(location.root, geometry, series_in)?
        }
    };
    cases.sort_by(|a, b| a.case_id.cmp(&b.case_id));
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::super::case_files::CaseFiles;
    use super::super::read::read_scans;
    use super::*;
    use crate::dicom;
    use fs_err as fs;

    fn touch(root: &Path, name: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    fn cases(location: &Location<'_>) -> Result<Vec<Case>, Error> {
        let series_in = SeriesIn {
            dicom_folder: &|_, files| dicom::series_uids(files),
            reads: &|_, file| series_of_reads(file),
        };
        super::cases(location, &series_in)
    }

    fn location(layout: Layout, root: &Path) -> Location<'_> {
        Location {
            layout,
            root,
            annotations: None,
            image: "{patient}/ct",
            masks: vec!["{patient}/m.nii"],
            scan_geometry: None,
        }
    }

    #[test]
    fn a_lidc_case_is_a_folder_with_dicom_files() {
        let root = tempfile::tempdir().unwrap();
        for name in ["p/a/1.dcm", "p/a/2.dcm", "p/a/69.xml", "p/b/IM1", "LICENSE", "x/notes.txt"] {
            touch(root.path(), name);
        }
        let cases = cases(&location(Layout::Lidc, root.path())).unwrap();
        let ids: Vec<_> = cases.iter().map(|case| case.case_id.as_str()).collect();
        assert_eq!(ids, ["p/a", "p/b"]);
        assert_eq!(cases[0].images.len(), 2);
        assert_eq!(cases[0].annotations.len(), 1);
    }

    #[test]
    fn a_patient_of_volumes_is_named_by_the_pattern() {
        let root = tempfile::tempdir().unwrap();
        for name in ["p1/ct/1.dcm", "p2/ct/1.dcm", "p1/m.nii", "p3/other/1.dcm"] {
            touch(root.path(), name);
        }
        let cases = cases(&location(Layout::Volumes, root.path())).unwrap();
        let patients: Vec<_> = cases.iter().filter_map(|case| case.patient.as_deref()).collect();
        assert_eq!(patients, ["p1", "p2"]);
        assert_eq!(cases[0].annotations, [root.path().join("p1/m.nii")]);
        assert!(cases[1].annotations.is_empty());
    }

    #[test]
    fn an_image_file_is_a_case_with_the_files_that_it_names() {
        let root = tempfile::tempdir().unwrap();
        for name in ["s/1.2.mhd", "s/1.2.raw", "s/1.3.mha", "1.4.nii.gz", "1.5.nii", "x.raw"] {
            touch(root.path(), name);
        }
        let header = "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 1\n\
            DimSize = 1 1 2\nElementType = MET_CHAR\nElementDataFile = LIST\n1.2.raw\n../x.raw";
        fs::write(root.path().join("s/1.2.mhd"), header.replace("../x.raw", "1.3.mha")).unwrap();
        let listed = || {
            let cases = cases(&location(Layout::Luna16, root.path())).unwrap();
            let ids: Vec<_> = cases.iter().map(|case| case.case_id.as_str()).collect();
            assert_eq!(ids, ["1.4.nii.gz", "1.5.nii", "s/1.2.mhd", "s/1.3.mha"]);
            cases[2].images.clone()
        };
        let path = |name: &str| root.path().join(name);
        assert_eq!(listed(), ["s/1.2.mhd", "s/1.2.raw", "s/1.3.mha"].map(path));
        // A header that cannot be read is a case, which fails when its voxels are read.
        fs::write(root.path().join("s/1.2.mhd"), header).unwrap();
        assert_eq!(listed(), [path("s/1.2.mhd")]);
        let location =
            Location { image: "s/{patient}.mhd", ..location(Layout::Volumes, root.path()) };
        let cases = cases(&location).unwrap();
        assert_eq!(cases[0].patient.as_deref(), Some("1.2"));
        assert_eq!(cases[0].images, [path("s/1.2.mhd")]);
        let files = CaseFiles::at(&path("x.raw")).unwrap();
        let error = read_scans(&files, &dicom::Tolerances::default(), |_| ());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("x.raw` is not named like an image file"), "{error}");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("none");
        let error = cases(&location(Layout::Lidc, &missing)).unwrap_err();
        assert!(error.to_string().ends_with("none` is not a folder"));
    }
}

//! A cohort's files: their layout, and the files that are read together.

use crate::dicom::PassedOver;
use crate::folder::relative;
use crate::scan_geometry::ScanGeometries;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The layout of a cohort's files.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// LIDC-IDRI: DICOM series in folders and archives, with the readers' XML.
    Lidc,
    /// LUNA16: image files named by their series; the readers' XML in another folder.
    Luna16,
    /// CTs, each a DICOM folder, an archive or an image file, with masks or contours of one or more readers.
    Volumes,
    /// LIDC-IDRI's XML without the images, with a table of scan geometry in their place.
    LidcAnnotations,
}

impl Layout {
    /// The value of `scans.source`.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Lidc | Self::LidcAnnotations => "lidc",
            Self::Luna16 => "luna16",
            Self::Volumes => "volumes",
        }
    }

    /// Whether the layout has images.
    pub const fn has_images(self) -> bool {
        !matches!(self, Self::LidcAnnotations)
    }
}

/// The location of a cohort's files.
#[derive(Clone, Debug, PartialEq)]
pub struct Location<'a> {
    /// Layout of the files.
    pub layout: Layout,
    /// Folder of the images, or of the XML where there are no images; paths of cases are relative to it.
    pub root: &'a Path,
    /// Folder of the readers' XML, where it is not that of the images.
    pub annotations: Option<&'a Path>,
    /// Pattern of a patient's image, relative to the root.
    pub image: &'a str,
    /// Pattern of each reader's masks, relative to the root.
    pub masks: Vec<&'a str>,
    /// Geometry of the scans, where there are no images.
    pub scan_geometry: Option<&'a ScanGeometries>,
}

/// A case: the files of a scan, and of its annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The path of the image relative to the root, with `/`. Where only annotations exist, the series; for a file of
    /// annotations that belongs to no scan, its path.
    pub case_id: String,
    /// Whether there is a scan; if not, the case is annotations that belong to none.
    pub has_scan: bool,
    /// The patient, if the path names one.
    pub patient: Option<String>,
    /// The first of the series that the image's files hold, where listing them reads their headers.
    pub series: Option<String>,
    /// Files of the image.
    pub images: Vec<PathBuf>,
    /// Files of annotations or masks.
    pub annotations: Vec<PathBuf>,
    /// The reader of each mask, as an index of the cohort's readers; empty where the annotations name their readers.
    pub readers: Vec<usize>,
    /// Files with the voxels of a mask whose header is another file.
    pub annotation_data: Vec<PathBuf>,
    /// What lies beside the files and cannot be one of them, such as pipes and links that lead nowhere.
    pub passed_over: Vec<PassedOver>,
    /// Why the files do not pair up; then none of them is read.
    pub problem: Option<String>,
}

impl Case {
    /// A case of what is passed over, in a folder without any case.
    pub(super) fn passed_over(root: &Path, passed_over: PassedOver) -> Self {
        let case_id = relative(root, &passed_over.path);
        Self { case_id, passed_over: vec![passed_over], ..Self::default() }
    }

    /// A case whose path is no text; `bytes` show the path with its odd bytes.
    pub(super) fn unnameable(case_id: String, bytes: &[String]) -> Self {
        let problem = Some(format!(
            "the name of `{case_id}` is not UTF-8 ({}), so no table can hold its path: rename it",
            bytes.join(", ")
        ));
        Self { case_id, problem, ..Self::default() }
    }

    /// The case of a file of annotations that belongs to no scan.
    pub(super) fn without_scan(root: &Path, file: PathBuf) -> Self {
        let case_id = relative(root, &file);
        let (images, annotations) = (Vec::new(), vec![file]);
        Self { case_id, images, annotations, ..Self::default() }
    }
}

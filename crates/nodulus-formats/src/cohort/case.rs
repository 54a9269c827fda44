//! A cohort's files: their layout, and the files that are read together.

use crate::folder::relative;
use crate::scan_geometry::ScanGeometries;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Whose layout a cohort's files follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// LIDC-IDRI: DICOM series in folders and archives, with the readers' XML.
    Lidc,
    /// LUNA16: image files named by their series; the readers' XML in another folder.
    Luna16,
    /// CTs, each a DICOM folder, an archive of one or an image file, and masks or outlines of one or more
    /// readers.
    Volumes,
    /// LIDC-IDRI's XML alone, with a table of scan geometry in place of the images.
    LidcAnnotations,
}

impl Layout {
    /// Name in `scans.source`.
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

/// Where a cohort's files are.
#[derive(Clone, Debug, PartialEq)]
pub struct Location<'a> {
    /// Layout of the files.
    pub layout: Layout,
    /// Folder of the images, or of the XML where there are none; paths of cases are relative to it.
    pub root: &'a Path,
    /// Folder of the readers' XML, where it is not beside the images.
    pub annotations: Option<&'a Path>,
    /// Pattern of a patient's image below the root.
    pub image: &'a str,
    /// Pattern of each reader's masks below the root.
    pub masks: Vec<&'a str>,
    /// Geometry of the scans, where there are no images.
    pub scan_geometry: Option<&'a ScanGeometries>,
}

/// Files that are read together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The image's path below the root, with `/`; the series where only annotations are there; the
    /// path of a file of annotations that belongs to no scan.
    pub case_id: String,
    /// Whether there is a scan; else the case is annotations that belong to none.
    pub has_scan: bool,
    /// The patient, where the path tells.
    pub patient: Option<String>,
    /// Files of the image.
    pub images: Vec<PathBuf>,
    /// Files of annotations or masks.
    pub annotations: Vec<PathBuf>,
    /// Whose each mask is, as an index of the cohort's readers; empty where annotations say that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<usize>,
    /// Files that masks name: voxels beside their header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotation_data: Vec<PathBuf>,
    /// Why the files do not pair up, so that none of them is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Case {
    /// A file of annotations that belongs to no scan.
    pub(super) fn without_scan(root: &Path, file: PathBuf) -> Self {
        let case_id = relative(root, &file);
        let (images, annotations) = (Vec::new(), vec![file]);
        Self { case_id, images, annotations, ..Self::default() }
    }
}

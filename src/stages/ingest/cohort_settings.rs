//! Settings of a cohort: `[[ingest.cohorts]]`.

use nodulus_formats::cohort::{self, Layout};
use nodulus_formats::mask_file::MaskRules;
use nodulus_formats::scan_geometry::{self, ScanGeometries};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where a patient's mask is, where a file does not say.
const DEFAULT_MASK: &str = "{patient}/mask.nii.gz";

/// A set of scans in one layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cohort {
    /// Name of the cohort in tables and in later sections; no `/`, `\` or control characters.
    #[schemars(length(min = 1), extend("examples" = ["clinic"]))]
    pub name: String,
    /// Layout of the files.
    pub source: Layout,
    /// Folder of the images, or of the XML for `lidc_annotations`; `{store}` stands for the store's folder.
    /// Without it, `ingest.root`; not part of the key.
    #[serde(default, skip_serializing)]
    pub root: PathBuf,
    /// Folder of the readers' XML, for `luna16`; not part of the key.
    #[serde(default, skip_serializing)]
    pub annotations: Option<PathBuf>,
    /// Table of scan geometry, or folder of `.mhd` headers, for `lidc_annotations`; without it, `ingest.scan_geometry`.
    #[serde(default, skip_serializing)]
    pub scan_geometry: Option<PathBuf>,
    /// Pattern of a patient's image below `root`, for `volumes`.
    #[serde(default = "default_image")]
    #[schemars(length(min = 1))]
    pub image: String,
    /// Pattern of a patient's masks below `root`, for `volumes` with one reader; without it,
    /// `{patient}/mask.nii.gz`.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = ["{patient}/mask.nii.gz"]))]
    pub mask: Option<String>,
    /// Readers with masks of their own, for `volumes` with several readers, instead of `mask`.
    #[serde(default)]
    pub readers: Vec<MaskReader>,
    /// How masks are read, for `volumes`.
    #[serde(default)]
    pub masks: MaskRules,
    /// How a reader's lines become a mask, for the layouts with LIDC's XML.
    #[serde(default)]
    pub lidc_mask: LidcMask,
}

/// How a reader's lines on a slice become a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LidcMask {
    /// What each line surrounds alone, united; exclusions are removed with their lines.
    #[default]
    EachLine,
    /// As LUNA16: what the listed points of all lines of the slice surround together; gaps between points stay open.
    Luna16,
}

/// A reader with masks of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskReader {
    /// Name of the reader in `marks`.
    #[schemars(length(min = 1), extend("examples" = ["a"]))]
    pub name: String,
    /// Pattern of the reader's masks of a patient below the cohort's `root`.
    #[schemars(length(min = 1), extend("examples" = ["{patient}/reader_a.*"]))]
    pub mask: String,
}

fn default_image() -> String {
    "{patient}/ct".to_owned()
}

impl Cohort {
    /// Where the cohort's files are; `scan_geometry` comes from [`Cohort::read_scan_geometry`].
    pub fn location<'a>(
        &'a self,
        scan_geometry: Option<&'a ScanGeometries>,
    ) -> cohort::Location<'a> {
        cohort::Location {
            layout: self.source,
            root: &self.root,
            annotations: self.annotations.as_deref(),
            image: &self.image,
            masks: self.mask_patterns(),
            scan_geometry,
        }
    }

    /// The pattern of each reader's masks; one pattern where the cohort has a single reader.
    pub fn mask_patterns(&self) -> Vec<&str> {
        if self.readers.is_empty() {
            return vec![self.mask.as_deref().unwrap_or(DEFAULT_MASK)];
        }
        self.readers.iter().map(|reader| reader.mask.as_str()).collect()
    }

    /// Name of a reader, where the readers have names.
    pub fn reader(&self, index: usize) -> Option<&str> {
        self.readers.get(index).map(|reader| reader.name.as_str())
    }

    /// The geometry of the cohort's scans, where it has no images.
    ///
    /// # Errors
    ///
    /// Fails if the table cannot be read.
    pub fn read_scan_geometry(&self) -> Result<Option<ScanGeometries>, scan_geometry::Error> {
        let table = self.scan_geometry.as_deref().filter(|_| !self.source.has_images());
        table.map(scan_geometry::read).transpose()
    }
}

//! `exclusions`: one row for each file, series or mark that a rule excluded.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

/// A rule by which a file, series or mark is excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExclusionRule {
    /// The file has the marks of a chest X-ray, or the folder has its images, rather than those of a CT.
    ChestXRay,
    /// The file repeats the marks of another file.
    RepeatedReads,
    /// A later file of the series corrects this one.
    SupersededReads,
    /// The file has marks of a scan that is not included.
    ScanNotIncluded,
    /// The file has marks of a scan that the cohort does not have.
    NoScan,
    /// The list of series names a series that no cohort of annotations has.
    SeriesNotFound,
    /// The outline of a nodule has no voxel in the scan and cannot be merged.
    NoVoxels,
    /// The mark's session reads another scan, whose slices are at other heights.
    OtherScan,
    /// A reader has no mask of a scan of which other readers have masks.
    NoMask,
    /// Another file of the same reader is refused, so that the reader's marks are incomplete.
    IncompleteReading,
    /// A region of a structure set is not a nodule.
    RoiLeftOut,
    /// The series cannot be read, and its headers say that it is no scan, or one that the rules of inclusion exclude.
    NotAScan,
}

impl ExclusionRule {
    /// Name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChestXRay => "chest_x_ray",
            Self::RepeatedReads => "repeated_reads",
            Self::SupersededReads => "superseded_reads",
            Self::ScanNotIncluded => "scan_not_included",
            Self::NoScan => "no_scan",
            Self::SeriesNotFound => "series_not_found",
            Self::NoVoxels => "no_voxels",
            Self::OtherScan => "other_scan",
            Self::NoMask => "no_mask",
            Self::IncompleteReading => "incomplete_reading",
            Self::RoiLeftOut => "roi_left_out",
            Self::NotAScan => "not_a_scan",
        }
    }
}

columns! {
    /// A file, series or mark that was excluded, and why.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Exclusion {
        /// stage that excluded it
        pub stage: String,
        /// name of the cohort in the pipeline file
        pub cohort: Option<String>,
        /// series that was excluded, or that the file or mark belongs to
        pub series_instance_uid: Option<String>,
        /// what was excluded: a file, a series or a mark
        pub case_id: String,
        /// chest_x_ray, repeated_reads, superseded_reads, scan_not_included, no_scan, series_not_found,
        /// no_voxels, other_scan, no_mask, incomplete_reading, roi_left_out or not_a_scan
        pub rule: String,
        /// why the rule excludes it, in words
        pub reason: String,
        /// path of the file when it was read, relative to the annotations' folder
        pub path: Option<String>,
    }
}

impl Exclusion {
    /// An exclusion by ingest.
    pub fn new(
        rule: ExclusionRule,
        cohort: Option<&str>,
        series: Option<&str>,
        case_id: impl Into<String>,
        reason: String,
    ) -> Self {
        Self {
            stage: "ingest".to_owned(),
            cohort: cohort.map(str::to_owned),
            series_instance_uid: series.map(str::to_owned),
            case_id: case_id.into(),
            rule: rule.name().to_owned(),
            reason,
            path: None,
        }
    }

    /// The same exclusion with the file that it concerns.
    #[must_use]
    pub fn of_file(self, path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }
}

impl Row for Exclusion {
    const TABLE: &'static TableSpec = &TableSpec {
        id_columns: &["case_id"],
        volatile_columns: &["path"],
        ..TableSpec::new::<Self>("exclusions", "a file, series or mark that a rule excluded")
    };
}

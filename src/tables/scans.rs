//! `scans`: one row for each CT series.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A CT series.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Scan {
        /// name of the cohort in the pipeline file
        pub cohort: String,
        /// DICOM SeriesInstanceUID, or the file's name without extension
        pub series_instance_uid: String,
        /// DICOM StudyInstanceUID
        pub study_instance_uid: Option<String>,
        /// DICOM PatientID, the patient that the file's path names, or that of LUNA16's series; the series where none is
        /// known
        pub patient_id: String,
        /// layout of the files: lidc, luna16 or volumes
        pub source: String,
        /// voxels along i; null for a scan without its image
        pub n_columns: Option<i64>,
        /// voxels along j; null for a scan without its image
        pub n_rows: Option<i64>,
        /// voxels along k
        pub n_slices: i64,
        /// distance between voxel centres, along i
        pub spacing_i_mm: f64,
        /// distance between voxel centres, along j
        pub spacing_j_mm: f64,
        /// distance between slices: the slope of a line through their positions; null for a refused series without one
        pub spacing_k_mm: Option<f64>,
        /// centre of voxel (0, 0, 0), LPS, along x
        pub origin_x_mm: Option<f64>,
        /// centre of voxel (0, 0, 0), LPS, along y
        pub origin_y_mm: Option<f64>,
        /// centre of voxel (0, 0, 0), LPS, along z
        pub origin_z_mm: Option<f64>,
        /// nine numbers: 3×3 matrix, row by row; its columns are the unit vectors of i, j, k
        pub direction: Option<Vec<f64>>,
        /// DICOM SliceThickness, which is not the spacing
        pub slice_thickness_mm: Option<f64>,
        /// largest deviation of a slice gap from the spacing along k
        pub slice_gap_max_deviation_mm: Option<f64>,
        /// slices that the spacing along k calls for and no file holds
        pub n_missing_slices: Option<i64>,
        /// identical slices at one position that are not used
        pub n_duplicate_slices: Option<i64>,
        /// largest distance of a slice's position from its voxel on the even grid that was fitted to all positions
        pub grid_residual_mm: Option<f64>,
        /// angle by which a tilted gantry shifts the slices, which `ingest.tilt` moved onto an even grid; null if they were not moved, degrees
        pub tilt_deg: Option<f64>,
        /// DICOM SeriesDescription
        pub series_description: Option<String>,
        /// DICOM ImageType, values joined by `\`; FrameType if the series has no ImageType; last the VolumeBasedCalculationTechnique of computed frames
        pub image_type: Option<String>,
        /// DICOM SeriesNumber
        pub series_number: Option<i64>,
        /// DICOM AcquisitionNumber of the slice at k = 0
        pub acquisition_number: Option<i64>,
        /// DICOM RescaleType; a scan without one holds HU
        pub rescale_type: Option<String>,
        /// DICOM BodyPartExamined
        pub body_part: Option<String>,
        /// DICOM ContrastBolusAgent
        pub contrast: Option<String>,
        /// DICOM Manufacturer
        pub manufacturer: Option<String>,
        /// DICOM ManufacturerModelName
        pub model: Option<String>,
        /// DICOM ConvolutionKernel
        pub kernel: Option<String>,
        /// DICOM KVP, kV
        pub kvp: Option<f64>,
        /// DICOM XRayTubeCurrent, mA
        pub tube_current: Option<f64>,
        /// DICOM transfer syntax UID
        pub transfer_syntax: Option<String>,
        /// faults of the files that were read past, each with the number of slices, voxels or files, as `high_bit: 8`;
        /// docs/tolerances.md lists them
        pub irregularities: Vec<String>,
        /// lowest voxel value
        pub hu_min: Option<i64>,
        /// highest voxel value
        pub hu_max: Option<i64>,
        /// SHA-256 of the size and of three planes across the body, whatever the names of files, patient and series, and
        /// the order of the voxels; null for a scan without its image
        pub image_sha256: Option<String>,
        /// SHA-256 over the case's content, image and annotations, with what names tell of it, wherever the files lie
        pub content_sha256: String,
        /// SHA-256 over the bytes of the case's files alone, whatever their names and wherever they lie: the same for moved and
        /// renamed files, and for copies
        pub files_sha256: String,
        /// path of the image file or folder when it was read, relative to the cohort's root; null for a scan without
        /// its image
        pub path: Option<String>,
        /// paths of the files whose marks were read, as they were then, relative to the annotations' folder
        pub annotation_paths: Vec<String>,
        /// whether later stages use the scan
        pub included: bool,
        /// why the scan is excluded; empty where included
        pub exclusion_reasons: Vec<String>,
        /// readers' sessions, with or without marks; without those that read another scan
        pub n_reading_sessions: i64,
    }
}

impl Scan {
    /// Distance between voxel centres along i, j, k; `None` for a series refused without one.
    pub fn spacing_mm(&self) -> Option<[f64; 3]> {
        Some([self.spacing_i_mm, self.spacing_j_mm, self.spacing_k_mm?])
    }
}

impl Row for Scan {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 6,
        id_columns: &["series_instance_uid", "patient_id"],
        volatile_columns: &["path", "annotation_paths"],
        ..TableSpec::new::<Self>("scans", "a CT series")
    };
}

//! `passed_over`: one row for each file, folder or link that ingest left aside.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A file, folder or link that was left aside, and why.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct PassedOverFile {
        /// stage that left it aside
        pub stage: String,
        /// name of the cohort in the pipeline file
        pub cohort: String,
        /// case that it lies in: an image's path
        pub case_id: String,
        /// series that it names, if it names one
        pub series_instance_uid: Option<String>,
        /// no_file, not_readable, empty, not_dicom, other_modality, no_image, localizer or screen_save
        pub rule: String,
        /// what it is, in words
        pub what: String,
        /// path when it was listed, relative to the cohort's root
        pub path: String,
    }
}

impl Row for PassedOverFile {
    const TABLE: &'static TableSpec = &TableSpec {
        id_columns: &["case_id", "series_instance_uid"],
        volatile_columns: &["path"],
        ..TableSpec::new::<Self>("passed_over", "a file, folder or link that ingest left aside")
    };
}

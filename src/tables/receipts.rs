//! `receipts`: one row for each DICOM object that an archive has answered for, in a folder for each day.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// An archive's answer for an object of the nightly job.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Receipt {
        /// name of the archive, as in the section of settings
        pub destination: String,
        /// c_store or stow_rs
        pub protocol: String,
        /// series of the scan; a pseudonym where outputs are de-identified
        pub series_instance_uid: String,
        /// class of the object
        pub sop_class_uid: String,
        /// the object
        pub sop_instance_uid: String,
        /// its file below the folder of outputs
        pub file: String,
        /// length of the file
        pub n_bytes: i64,
        /// SHA-256 of the file
        pub sha256: String,
        /// times that the object was sent in that run until the archive answered for it
        pub attempts: i64,
        /// stored, or already_there where the archive had an object with this UID before
        pub answer: String,
        /// status of the archive's answer: four hexadecimal digits of C-STORE, or three digits of HTTP
        pub status: String,
        /// time of the answer, UTC
        pub answered_at: String,
    }
}

impl Row for Receipt {
    const TABLE: &'static TableSpec = &TableSpec {
        partition_column: Some("sent_on"),
        id_columns: &["series_instance_uid", "sop_instance_uid"],
        ..TableSpec::new::<Self>("receipts", "a DICOM object × an archive that has answered for it")
    };
}

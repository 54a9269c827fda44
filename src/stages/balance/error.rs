//! Why the stage stopped.

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No set of patients has this number of lesions.
    #[error(
        "no patients of cohort `{cohort}` have {wanted} lesions together, of {found} in all: give \
         another `test_lesions`, or a share `test`"
    )]
    TestLesions {
        /// The cohort.
        cohort: String,
        /// Number of lesions that test should have.
        wanted: usize,
        /// Number of lesions of the cohort.
        found: usize,
    },
    /// The store could not be used.
    #[error(transparent)]
    Tables(#[from] crate::tables::Error),
}

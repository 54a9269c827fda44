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
    /// One image lies under the names of two patients.
    #[error(
        "{one} and {other} have the same image{more}: one person under two names could be learnt from and tested; leave one of \
         them out, or give both the same patient id"
    )]
    SharedImage {
        /// The first scan.
        one: String,
        /// The other scan.
        other: String,
        /// How many more there are; often empty.
        more: String,
    },
    /// A row has no JSON form, which its digest is made from.
    #[error("a row cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// An input's records have no digests, because an earlier version of a stage made it.
    #[error(
        "`{table}` was made by a nodulus that kept no digests of its rows: make it again with `nodulus run`"
    )]
    NoDigests {
        /// The input.
        table: &'static str,
    },
    /// The record of a shard has a digest that balance did not write.
    #[error(
        "a shard of `samples` records `{digest}` for `{name}`, expected 64 hexadecimal digits for a cohort, split and fold: make it again with `--force balance`"
    )]
    Digest {
        /// The group's name.
        name: String,
        /// Its digest.
        digest: String,
    },
    /// The store could not be used.
    #[error(transparent)]
    Tables(#[from] crate::tables::Error),
}

//! `rating_agreement`: one row for each rating of a cohort.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// How far the readers of a cohort agree in one rating.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct RatingAgreement {
        /// name of the cohort in the pipeline file
        pub cohort: String,
        /// name of the rating, as in the columns of `marks`: subtlety to malignancy
        pub rating: String,
        /// ordinal, or nominal for categories without an order
        pub scale: String,
        /// nodules that two or more readers rated
        pub n_nodules: i64,
        /// patients of these nodules: the units of the intervals
        pub n_patients: i64,
        /// ratings of these nodules
        pub n_ratings: i64,
        /// share of the pairs of a nodule's ratings that are equal, mean over the nodules; null without nodules
        pub observed_agreement: Option<f64>,
        /// agreement that chance alone would give; null without nodules
        pub expected_agreement: Option<f64>,
        /// Fleiss' kappa; null without nodules and where every rating is the same
        pub fleiss_kappa: Option<f64>,
        /// lower end of kappa's 95% interval, by patient (studentised bootstrap)
        pub kappa_ci_low: Option<f64>,
        /// upper end of kappa's 95% interval, by patient
        pub kappa_ci_high: Option<f64>,
        /// why kappa has no interval; null where it has one
        pub kappa_ci_missing_reason: Option<String>,
        /// Krippendorff's alpha with the ordinal difference; null for nominal ratings, without nodules and where
        /// every rating is the same
        pub krippendorff_alpha: Option<f64>,
        /// lower end of alpha's 95% interval, by patient (studentised bootstrap)
        pub alpha_ci_low: Option<f64>,
        /// upper end of alpha's 95% interval, by patient
        pub alpha_ci_high: Option<f64>,
        /// why alpha has no interval; null where it has one, and for nominal ratings
        pub alpha_ci_missing_reason: Option<String>,
    }
}

impl Row for RatingAgreement {
    const TABLE: &'static TableSpec = &TableSpec {
        schema_version: 2,
        ..TableSpec::new::<Self>("rating_agreement", "a rating of a cohort")
    };
}

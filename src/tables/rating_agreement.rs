//! `rating_agreement`: one row for each rating of a cohort.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// How far the readers of a cohort agree in one rating.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct RatingAgreement {
        /// name of the cohort in the pipeline file
        pub cohort: String,
        /// name of the rating, as in the columns of `marks`: subtlety to malignancy
        pub rating: String,
        /// nodules that two or more readers rated
        pub n_nodules: i64,
        /// ratings of these nodules
        pub n_ratings: i64,
        /// share of the pairs of a nodule's ratings that are equal, mean over the nodules; null without nodules
        pub observed_agreement: Option<f64>,
        /// agreement that chance alone would give; null without nodules
        pub expected_agreement: Option<f64>,
        /// Fleiss' kappa; null without nodules and where every rating is the same
        pub fleiss_kappa: Option<f64>,
        /// lower end of kappa's 95% bootstrap interval, by patient; null with fewer than two patients, and where
        /// one resample in 40 or more has no kappa
        pub ci_low: Option<f64>,
        /// upper end of kappa's 95% bootstrap interval, by patient
        pub ci_high: Option<f64>,
    }
}

impl Row for RatingAgreement {
    const TABLE: &'static TableSpec =
        &TableSpec::new::<Self>("rating_agreement", "a rating of a cohort");
}

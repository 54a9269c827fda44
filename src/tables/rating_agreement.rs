//! `rating_agreement`: one row for each rating of a cohort.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// How far the readers of a cohort agree in one rating.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct RatingAgreement {
        /// name of the cohort in the pipeline file
        pub cohort: String,
        /// subtlety to malignancy, as the columns of `marks`
        pub rating: String,
        /// nodules that two or more readers rated
        pub n_nodules: i64,
        /// their ratings
        pub n_ratings: i64,
        /// mean share of pairs of ratings of a nodule that are the same; null without nodules
        pub observed_agreement: Option<f64>,
        /// the same by chance, from the shares of the ratings; null without nodules
        pub expected_agreement: Option<f64>,
        /// Fleiss' kappa; null without nodules and where every rating is the same
        pub fleiss_kappa: Option<f64>,
        /// lower end of kappa's 95% bootstrap interval, by patient; null under two patients, and where one
        /// resample in 40 or more has no kappa
        pub ci_low: Option<f64>,
        /// upper end of kappa's 95% bootstrap interval, by patient
        pub ci_high: Option<f64>,
    }
}

impl Row for RatingAgreement {
    const TABLE: &'static TableSpec =
        &TableSpec::new::<Self>("rating_agreement", "a rating of a cohort");
}

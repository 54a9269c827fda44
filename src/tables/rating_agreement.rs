//! `rating_agreement`: one row for each rating of a cohort.

use arrow::datatypes::{DataType, Schema};
use nodulus_store::schema::{column, nullable};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// How far the readers of a cohort agree in one rating.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct RatingAgreement {
    pub cohort: String,
    pub rating: String,
    pub n_nodules: i64,
    pub n_ratings: i64,
    pub observed_agreement: Option<f64>,
    pub expected_agreement: Option<f64>,
    pub fleiss_kappa: Option<f64>,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
}

impl Row for RatingAgreement {
    const TABLE: &'static TableSpec =
        &TableSpec::new("rating_agreement", "a rating of a cohort", schema);
}

/// Columns of `rating_agreement`.
pub fn schema() -> Schema {
    use DataType::{Float64, Int64, Utf8};
    Schema::new(vec![
        column("cohort", Utf8, "name of the cohort in the pipeline file"),
        column("rating", Utf8, "subtlety to malignancy, as the columns of `marks`"),
        column("n_nodules", Int64, "nodules that two or more readers rated"),
        column("n_ratings", Int64, "their ratings"),
        nullable(
            "observed_agreement",
            Float64,
            "mean share of pairs of ratings of a nodule that are the same; null without nodules",
        ),
        nullable(
            "expected_agreement",
            Float64,
            "the same by chance, from the shares of the ratings; null without nodules",
        ),
        nullable(
            "fleiss_kappa",
            Float64,
            "Fleiss' kappa; null without nodules and where every rating is the same",
        ),
        nullable(
            "ci_low",
            Float64,
            "lower end of kappa's 95% bootstrap interval, by patient; null under two patients, and where one resample in 40 or more has no kappa",
        ),
        nullable("ci_high", Float64, "upper end of kappa's 95% bootstrap interval, by patient"),
    ])
}

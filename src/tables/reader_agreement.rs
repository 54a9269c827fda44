//! `reader_agreement`: one row for each nodule that two or more readers marked.

use super::marks::RATINGS;
use arrow::datatypes::{DataType, Field, Schema};
use nodulus_store::schema::{column, list, nullable};
use nodulus_store::{Row, TableSpec};
use serde::{Deserialize, Serialize};

/// Two readers of a nodule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReaderPair {
    /// Session of the first reader.
    pub session_a: i64,
    /// Session of the second reader, later than the first.
    pub session_b: i64,
    /// Dice of their masks.
    pub dice: f64,
    /// Intersection over union of their masks.
    pub iou: f64,
    /// Average symmetric surface distance of their masks.
    pub assd_mm: f64,
}

/// How far the readers of a nodule agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column is described in `schema`")]
pub struct ReaderAgreement {
    pub nodule_id: String,
    pub cohort: String,
    pub series_instance_uid: String,
    pub patient_id: String,
    pub n_readers: i64,
    pub n_pairs: i64,
    pub dice_mean: f64,
    pub dice_min: f64,
    pub iou_mean: f64,
    pub iou_min: f64,
    pub assd_mean_mm: f64,
    pub assd_max_mm: f64,
    pub pairs: Vec<ReaderPair>,
    pub subtlety_agreement: Option<f64>,
    pub internal_structure_agreement: Option<f64>,
    pub calcification_agreement: Option<f64>,
    pub sphericity_agreement: Option<f64>,
    pub margin_agreement: Option<f64>,
    pub lobulation_agreement: Option<f64>,
    pub spiculation_agreement: Option<f64>,
    pub texture_agreement: Option<f64>,
    pub malignancy_agreement: Option<f64>,
    pub metric_definition: String,
}

impl Row for ReaderAgreement {
    const TABLE: &'static TableSpec = &TableSpec {
        id_columns: &["nodule_id", "series_instance_uid", "patient_id"],
        ..TableSpec::new("reader_agreement", "a nodule that two or more readers marked", schema)
    };
}

/// Columns of `reader_agreement`.
pub fn schema() -> Schema {
    use DataType::{Float64, Int64, Utf8};
    let pair = DataType::Struct(
        vec![
            Field::new("session_a", Int64, false),
            Field::new("session_b", Int64, false),
            Field::new("dice", Float64, false),
            Field::new("iou", Float64, false),
            Field::new("assd_mm", Float64, false),
        ]
        .into(),
    );
    let mut fields = vec![
        column("nodule_id", Utf8, "nodule"),
        column("cohort", Utf8, "name of the cohort in the pipeline file"),
        column("series_instance_uid", Utf8, "series that was read"),
        column("patient_id", Utf8, "patient of the series"),
        column("n_readers", Int64, "reading sessions with a mark on the nodule"),
        column("n_pairs", Int64, "pairs of them"),
        column("dice_mean", Float64, "mean Dice over the pairs"),
        column("dice_min", Float64, "least Dice of a pair"),
        column("iou_mean", Float64, "mean intersection over union over the pairs"),
        column("iou_min", Float64, "least intersection over union of a pair"),
        column("assd_mean_mm", Float64, "mean of the pairs' average symmetric surface distances"),
        column("assd_max_mm", Float64, "greatest of them"),
        column("pairs", list(pair), "each pair: its sessions, Dice, IoU and ASSD in mm"),
    ];
    fields.extend(RATINGS.map(|name| {
        let text =
            "share of the pairs of readers who gave the same rating; null under two who rated";
        nullable(&format!("{name}_agreement"), Float64, text)
    }));
    fields.push(column(
        "metric_definition",
        Utf8,
        "name and version of the definitions of Dice, IoU and distance",
    ));
    Schema::new(fields)
}

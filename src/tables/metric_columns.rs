//! The metrics that `slice_metrics` and `nodule_metrics` share.

use nodulus_metrics::{MaskMetrics, Metric};
use nodulus_store::columns;
use serde::{Deserialize, Serialize};

columns! {
    /// Metrics of a prediction against its reference.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct MetricColumns {
        /// voxels in both masks
        pub true_positive: i64,
        /// voxels in the prediction alone
        pub false_positive: i64,
        /// voxels in the reference alone
        pub false_negative: i64,
        /// TP / (TP + FP)
        pub precision: Option<f64>,
        /// TP / (TP + FN)
        pub sensitivity: Option<f64>,
        /// 2 TP / (2 TP + FP + FN)
        pub dice: Option<f64>,
        /// TP / (TP + FP + FN)
        pub iou: Option<f64>,
        /// larger of the two directed maximum surface distances
        pub hausdorff_mm: Option<f64>,
        /// larger of the two directed 95th percentiles of surface distance
        pub hausdorff_95_mm: Option<f64>,
        /// mean over both surfaces' distances, pooled
        pub assd_mm: Option<f64>,
        /// mean of the two directed mean surface distances
        pub masd_mm: Option<f64>,
        /// share of both surfaces within 1 mm of the other
        pub surface_dice_1mm: Option<f64>,
    }
}

impl From<&MaskMetrics> for MetricColumns {
    fn from(metrics: &MaskMetrics) -> Self {
        Self {
            true_positive: metrics.true_positive as i64,
            false_positive: metrics.false_positive as i64,
            false_negative: metrics.false_negative as i64,
            precision: metrics.precision,
            sensitivity: metrics.sensitivity,
            dice: metrics.dice,
            iou: metrics.iou,
            hausdorff_mm: metrics.hausdorff_mm,
            hausdorff_95_mm: metrics.hausdorff_95_mm,
            assd_mm: metrics.assd_mm,
            masd_mm: metrics.masd_mm,
            surface_dice_1mm: metrics.surface_dice_1mm,
        }
    }
}

impl MetricColumns {
    /// The value of a metric, where it is defined.
    pub const fn value(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Dice => self.dice,
            Metric::Iou => self.iou,
            Metric::Precision => self.precision,
            Metric::Sensitivity => self.sensitivity,
            Metric::Hausdorff => self.hausdorff_mm,
            Metric::Hausdorff95 => self.hausdorff_95_mm,
            Metric::Assd => self.assd_mm,
            Metric::Masd => self.masd_mm,
            Metric::SurfaceDice => self.surface_dice_1mm,
        }
    }
}

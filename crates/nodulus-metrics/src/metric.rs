//! The metrics by name.

use super::interval::UNBOUNDED;
use super::mask_metrics::MaskMetrics;

/// A metric: a column of `nodule_metrics` and `slice_metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// See [`MaskMetrics::dice`].
    Dice,
    /// See [`MaskMetrics::iou`].
    Iou,
    /// See [`MaskMetrics::precision`].
    Precision,
    /// See [`MaskMetrics::sensitivity`].
    Sensitivity,
    /// See [`MaskMetrics::hausdorff_mm`].
    Hausdorff,
    /// See [`MaskMetrics::hausdorff_95_mm`].
    Hausdorff95,
    /// See [`MaskMetrics::assd_mm`].
    Assd,
    /// See [`MaskMetrics::masd_mm`].
    Masd,
    /// See [`MaskMetrics::surface_dice_1mm`].
    SurfaceDice,
}

impl Metric {
    /// Every metric, in the order in which reports list them.
    pub const ALL: [Self; 9] = [
        Self::Dice,
        Self::Iou,
        Self::Precision,
        Self::Sensitivity,
        Self::Hausdorff,
        Self::Hausdorff95,
        Self::Assd,
        Self::Masd,
        Self::SurfaceDice,
    ];

    /// Name of the column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dice => "dice",
            Self::Iou => "iou",
            Self::Precision => "precision",
            Self::Sensitivity => "sensitivity",
            Self::Hausdorff => "hausdorff_mm",
            Self::Hausdorff95 => "hausdorff_95_mm",
            Self::Assd => "assd_mm",
            Self::Masd => "masd_mm",
            Self::SurfaceDice => "surface_dice_1mm",
        }
    }

    /// The metric with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Whether the metric is a distance in millimetres, where less is better; the others are shares
    /// from 0 to 1, where more is better.
    pub const fn is_distance(self) -> bool {
        matches!(self, Self::Hausdorff | Self::Hausdorff95 | Self::Assd | Self::Masd)
    }

    /// The smallest and the largest value that the metric can have.
    pub const fn range(self) -> [f64; 2] {
        if self.is_distance() { [0.0, f64::INFINITY] } else { [0.0, 1.0] }
    }

    /// The smallest and the largest difference of two values of the metric.
    pub const fn difference_range(self) -> [f64; 2] {
        if self.is_distance() { UNBOUNDED } else { [-1.0, 1.0] }
    }

    /// The metric's value, where it is defined.
    pub const fn of(self, metrics: &MaskMetrics) -> Option<f64> {
        match self {
            Self::Dice => metrics.dice,
            Self::Iou => metrics.iou,
            Self::Precision => metrics.precision,
            Self::Sensitivity => metrics.sensitivity,
            Self::Hausdorff => metrics.hausdorff_mm,
            Self::Hausdorff95 => metrics.hausdorff_95_mm,
            Self::Assd => metrics.assd_mm,
            Self::Masd => metrics.masd_mm,
            Self::SurfaceDice => metrics.surface_dice_1mm,
        }
    }

    /// Value of a missed nodule in a worst-case mean: no overlap, or the diagonal of its region.
    pub const fn worst(self, region_diagonal_mm: f64) -> f64 {
        if self.is_distance() { region_diagonal_mm } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask_metrics::measure;
    use nodulus_formats::volume::Mask;

    #[test]
    fn names_come_back() {
        for metric in Metric::ALL {
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
            assert_eq!(metric.is_distance(), metric.name().ends_with("_mm"));
        }
        assert_eq!(Metric::from_name("volume"), None);
    }

    #[test]
    fn a_perfect_score_is_one_for_shares_and_zero_for_distances() {
        let mask = Mask::from_fn([3, 3, 3], |i, _, _| i < 2);
        let metrics = measure(&mask, &mask, [1.0; 3]);
        for metric in Metric::ALL {
            let expected = if metric.is_distance() { 0.0 } else { 1.0 };
            assert_eq!(metric.of(&metrics), Some(expected), "{}", metric.name());
        }
    }
}

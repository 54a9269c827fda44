//! The metrics by name.

use super::Scores;

/// A metric: a column of `nodule_metrics` and `slice_metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// See [`Scores::dice`].
    Dice,
    /// See [`Scores::iou`].
    Iou,
    /// See [`Scores::precision`].
    Precision,
    /// See [`Scores::sensitivity`].
    Sensitivity,
    /// See [`Scores::hausdorff_mm`].
    Hausdorff,
    /// See [`Scores::hausdorff_95_mm`].
    Hausdorff95,
    /// See [`Scores::assd_mm`].
    Assd,
    /// See [`Scores::masd_mm`].
    Masd,
    /// See [`Scores::surface_dice_1mm`].
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

    /// The metric's value, where it is defined.
    pub const fn of(self, scores: &Scores) -> Option<f64> {
        match self {
            Self::Dice => scores.dice,
            Self::Iou => scores.iou,
            Self::Precision => scores.precision,
            Self::Sensitivity => scores.sensitivity,
            Self::Hausdorff => scores.hausdorff_mm,
            Self::Hausdorff95 => scores.hausdorff_95_mm,
            Self::Assd => scores.assd_mm,
            Self::Masd => scores.masd_mm,
            Self::SurfaceDice => scores.surface_dice_1mm,
        }
    }

    /// What a missed nodule counts in a worst-case mean: nothing shared, or the diagonal of its
    /// region.
    pub const fn worst(self, region_diagonal_mm: f64) -> f64 {
        if self.is_distance() { region_diagonal_mm } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score;
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
        let scores = score(&mask, &mask, [1.0; 3]);
        for metric in Metric::ALL {
            let expected = if metric.is_distance() { 0.0 } else { 1.0 };
            assert_eq!(metric.of(&scores), Some(expected), "{}", metric.name());
        }
    }
}

//! Metrics of a predicted mask.

use super::overlap::OverlapCounts;
use super::surface::SurfaceDistances;
use nodulus_formats::volume::Mask;

/// Name and version of the definitions in this crate; raised when a number changes.
pub const METRIC_DEFINITION: &str = "nodulus-1";

/// Distance within which two surfaces agree.
///
/// METHOD: 1 mm, near the in-plane resolution of a chest CT and below the readers' own spread.
const SURFACE_TOLERANCE_MM: f64 = 1.0;

/// Which of the two masks have voxels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Both masks have voxels: every metric is defined.
    Measured,
    /// The prediction is empty: overlaps are 0, distances undefined.
    Missed,
    /// The reference is empty: overlaps are 0, sensitivity and distances undefined.
    Spurious,
    /// Both masks are empty: nothing is defined.
    BothEmpty,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Measured, Self::Missed, Self::Spurious, Self::BothEmpty];

    /// Name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "scored",
            Self::Missed => "missed",
            Self::Spurious => "spurious",
            Self::BothEmpty => "both_empty",
        }
    }

    /// The outcome with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    fn of(counts: OverlapCounts) -> Self {
        match (counts.predicted() > 0, counts.reference() > 0) {
            (true, true) => Self::Measured,
            (false, true) => Self::Missed,
            (true, false) => Self::Spurious,
            (false, false) => Self::BothEmpty,
        }
    }
}

/// All metrics of one prediction; a metric that is undefined is `None`, never 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskMetrics {
    /// Voxels in both masks.
    pub true_positive: u64,
    /// Voxels in the prediction alone.
    pub false_positive: u64,
    /// Voxels in the reference alone.
    pub false_negative: u64,
    /// TP / (TP + FP).
    pub precision: Option<f64>,
    /// TP / (TP + FN).
    pub sensitivity: Option<f64>,
    /// 2 TP / (2 TP + FP + FN).
    pub dice: Option<f64>,
    /// TP / (TP + FP + FN).
    pub iou: Option<f64>,
    /// Larger of the two directed maximum surface distances.
    pub hausdorff_mm: Option<f64>,
    /// Larger of the two directed 95th percentiles of surface distance.
    pub hausdorff_95_mm: Option<f64>,
    /// Mean over both surfaces' distances, pooled.
    pub assd_mm: Option<f64>,
    /// Mean of the two directed mean surface distances.
    pub masd_mm: Option<f64>,
    /// Share of both surfaces within 1 mm of the other.
    pub surface_dice_1mm: Option<f64>,
    /// Which of the masks have voxels.
    pub outcome: Outcome,
}

/// Measures a prediction against a reference on the same grid.
///
/// `spacing_mm` is along i, j, k. Masks of one slice are measured in their plane (surface by the 4
/// neighbours), others in space (by the 6 neighbours); a voxel outside a mask's box is background.
///
/// METHOD: an empty prediction has precision 0, though it is 0/0: a model that finds nothing has
/// found nothing right.
pub fn measure(prediction: &Mask, reference: &Mask, spacing_mm: [f64; 3]) -> MaskMetrics {
    let counts = OverlapCounts::of(prediction, reference);
    let outcome = Outcome::of(counts);
    let surfaces = SurfaceDistances::between(prediction, reference, spacing_mm);
    let surfaces = surfaces.as_ref();
    MaskMetrics {
        true_positive: counts.true_positive,
        false_positive: counts.false_positive,
        false_negative: counts.false_negative,
        precision: if outcome == Outcome::Missed { Some(0.0) } else { counts.precision() },
        sensitivity: counts.sensitivity(),
        dice: counts.dice(),
        iou: counts.iou(),
        hausdorff_mm: surfaces.map(SurfaceDistances::hausdorff),
        hausdorff_95_mm: surfaces.map(SurfaceDistances::hausdorff_95),
        assd_mm: surfaces.map(SurfaceDistances::assd),
        masd_mm: surfaces.map(SurfaceDistances::masd),
        surface_dice_1mm: surfaces.map(|s| s.within(SURFACE_TOLERANCE_MM)),
        outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPACING: [f64; 3] = [0.7, 0.7, 1.25];

    fn distances(metrics: &MaskMetrics) -> [Option<f64>; 5] {
        [
            metrics.hausdorff_mm,
            metrics.hausdorff_95_mm,
            metrics.assd_mm,
            metrics.masd_mm,
            metrics.surface_dice_1mm,
        ]
    }

    #[test]
    fn the_empty_cases() {
        let empty = Mask::empty([4, 4, 4]);
        let some = Mask::from_fn([4, 4, 4], |i, j, k| (i, j, k) == (1, 2, 3));

        let both = measure(&empty, &empty, SPACING);
        assert_eq!(both.outcome, Outcome::BothEmpty);
        assert_eq!([both.precision, both.sensitivity, both.dice, both.iou], [None; 4]);
        assert_eq!(distances(&both), [None; 5]);

        let missed = measure(&empty, &some, SPACING);
        assert_eq!(missed.outcome, Outcome::Missed);
        let overlaps = [missed.precision, missed.sensitivity, missed.dice, missed.iou];
        assert_eq!(overlaps, [Some(0.0); 4]);
        assert_eq!(distances(&missed), [None; 5]);
        assert_eq!(missed.false_negative, 1);

        let spurious = measure(&some, &empty, SPACING);
        assert_eq!(spurious.outcome, Outcome::Spurious);
        assert_eq!([spurious.precision, spurious.dice, spurious.iou], [Some(0.0); 3]);
        assert_eq!(spurious.sensitivity, None);
        assert_eq!(distances(&spurious), [None; 5]);
        assert_eq!(spurious.false_positive, 1);
    }

    #[test]
    fn a_slice_is_scored_in_its_plane() {
        // The centre of a full square is no surface pixel in the plane, but would be one in space.
        let square = Mask::from_fn([3, 3, 1], |_, _, _| true);
        let centre = Mask::from_fn([3, 3, 1], |i, j, _| (i, j) == (1, 1));
        let metrics = measure(&centre, &square, [1.0, 1.0, 5.0]);
        // From the centre 1; to the centre 1 four times and √2 four times.
        let expected = (1.0 + 4.0 + 4.0 * 2f64.sqrt()) / 9.0;
        assert!((metrics.assd_mm.unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn names_come_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_name(outcome.name()), Some(outcome));
        }
        assert_eq!(Outcome::from_name("hit"), None);
    }

    fn mask(size: [usize; 3]) -> impl Strategy<Value = Mask> {
        let n: usize = size.iter().product();
        prop::collection::vec(prop::bool::weighted(0.3), n).prop_map(move |bools| {
            Mask::from_fn(size, |i, j, k| bools[(k * size[1] + j) * size[0] + i])
        })
    }

    fn spacing() -> impl Strategy<Value = [f64; 3]> {
        prop::array::uniform3(0.3..4.0f64)
    }

    proptest! {
        #[test]
        fn a_mask_scores_perfectly_against_itself(m in mask([5, 4, 3]), spacing in spacing()) {
            let metrics = measure(&m, &m, spacing);
            if m.is_empty() {
                prop_assert_eq!(metrics.outcome, Outcome::BothEmpty);
            } else {
                let ones = [metrics.precision, metrics.sensitivity, metrics.dice, metrics.iou];
                prop_assert_eq!(ones, [Some(1.0); 4]);
                prop_assert_eq!(
                    distances(&metrics),
                    [Some(0.0), Some(0.0), Some(0.0), Some(0.0), Some(1.0)]
                );
            }
        }

        #[test]
        fn swapping_the_masks_swaps_only_precision_and_sensitivity(
            a in mask([5, 4, 3]), b in mask([5, 4, 3]), spacing in spacing(),
        ) {
            let (ab, ba) = (measure(&a, &b, spacing), measure(&b, &a, spacing));
            prop_assert_eq!([ab.dice, ab.iou], [ba.dice, ba.iou]);
            if ab.outcome == Outcome::Measured {
                prop_assert_eq!([ab.precision, ab.sensitivity], [ba.sensitivity, ba.precision]);
            }
            for (left, right) in distances(&ab).into_iter().zip(distances(&ba)) {
                prop_assert_eq!(left.is_some(), right.is_some());
                prop_assert!((left.unwrap_or(0.0) - right.unwrap_or(0.0)).abs() < 1e-12);
            }
        }

        #[test]
        fn numbers_keep_their_bounds_and_order(
            a in mask([5, 4, 3]), b in mask([5, 4, 3]), spacing in spacing(),
        ) {
            let s = measure(&a, &b, spacing);
            let shares = [s.precision, s.sensitivity, s.dice, s.iou, s.surface_dice_1mm];
            for share in shares.into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&share));
            }
            if let (Some(dice), Some(iou)) = (s.dice, s.iou) {
                prop_assert!((iou - dice / (2.0 - dice)).abs() < 1e-12);
            }
            if let [Some(hd), Some(hd95), Some(assd), Some(masd), _] = distances(&s) {
                let diagonal = crate::summary::diagonal_mm([5, 4, 3], spacing);
                prop_assert!(hd <= diagonal && hd95 <= hd && assd <= hd && masd <= hd);
            }
        }

        #[test]
        fn distances_are_those_of_all_pairs(
            a in mask([5, 4, 3]), b in mask([5, 4, 3]), spacing in spacing(),
        ) {
            // Compared with brute force over every pair of surface voxels.
            let surface = |m: &Mask| -> Vec<[usize; 3]> {
                m.voxels().filter(|&[i, j, k]| {
                    let near = [
                        (i.wrapping_sub(1), j, k), (i + 1, j, k), (i, j.wrapping_sub(1), k),
                        (i, j + 1, k), (i, j, k.wrapping_sub(1)), (i, j, k + 1),
                    ];
                    near.iter().any(|&(i, j, k)| !m.get(i, j, k))
                }).collect()
            };
            let (sa, sb) = (surface(&a), surface(&b));
            let nearest = |p: &[usize; 3], set: &[[usize; 3]]| {
                set.iter().map(|q| {
                    (0..3).map(|x| ((p[x] as f64 - q[x] as f64) * spacing[x]).powi(2))
                        .sum::<f64>().sqrt()
                }).fold(f64::INFINITY, f64::min)
            };
            let all: Vec<f64> = sa.iter().map(|p| nearest(p, &sb))
                .chain(sb.iter().map(|p| nearest(p, &sa))).collect();
            let s = measure(&a, &b, spacing);
            if let (Some(hd), Some(assd)) = (s.hausdorff_mm, s.assd_mm) {
                prop_assert!((hd - all.iter().copied().fold(0.0, f64::max)).abs() < 1e-9);
                prop_assert!((assd - all.iter().sum::<f64>() / all.len() as f64).abs() < 1e-9);
            } else {
                prop_assert!(sa.is_empty() || sb.is_empty());
            }
        }

        #[test]
        fn moving_both_masks_together_changes_nothing(
            a in mask([4, 3, 2]), b in mask([4, 3, 2]), shift in prop::array::uniform3(0..4usize),
        ) {
            let moved = |m: &Mask| {
                let mut wide = Mask::empty([8, 7, 6]);
                m.voxels().for_each(|[i, j, k]| {
                    wide.set(i + shift[0], j + shift[1], k + shift[2], true);
                });
                wide
            };
            prop_assert_eq!(measure(&moved(&a), &moved(&b), SPACING), measure(&a, &b, SPACING));
        }
    }
}

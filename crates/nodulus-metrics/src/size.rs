//! Size of a mask, and the error of a predicted size.

use nodulus_formats::volume::Mask;
use std::f64::consts::PI;

/// Relative difference within which two lengths are equal.
const SAME: f64 = 1e-9;

/// Size of a mask; all 0 for an empty mask.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MaskSize {
    /// Number of voxels × the volume of a voxel.
    pub volume_mm3: f64,
    /// Diameter of the sphere of equal volume.
    pub equivalent_diameter_mm: f64,
    /// Longest diameter in an axial slice.
    pub long_axis_mm: f64,
    /// Longest diameter perpendicular to it, in the same slice.
    pub short_axis_mm: f64,
}

/// Measures a mask; `spacing_mm` is along i, j, k, and slices lie along k.
///
/// METHOD: axes as in RECIST 1.1 (Eisenhauer et al. 2009): the longest diameter over all axial
/// slices, and in its slice the longest one perpendicular to it. A diameter runs between the
/// midpoints of pixels' outer edges, as between the vertices of marching squares (pyradiomics'
/// `Maximum2DDiameterSlice`): a bar of n pixels is n spacings long, and one pixel is as large as
/// itself, where centres would make it 0 and corners longer than it is wide. Diameters are those of
/// the convex hull, so one over a notch or between two parts of a mask counts. Among slices or
/// diameters with the same long axis, the one with the longer short axis is taken, so neither order
/// nor mirroring matters.
pub fn mask_size(mask: &Mask, spacing_mm: [f64; 3]) -> MaskSize {
    let volume_mm3 = mask.count() as f64 * spacing_mm.iter().product::<f64>();
    let [long_axis_mm, short_axis_mm] = axes(mask, spacing_mm);
    MaskSize {
        volume_mm3,
        equivalent_diameter_mm: (6.0 * volume_mm3 / PI).cbrt(),
        long_axis_mm,
        short_axis_mm,
    }
}

/// Long and short axis, mm.
fn axes(mask: &Mask, spacing_mm: [f64; 3]) -> [f64; 2] {
    let mut longest = [0.0; 2];
    let Some([start, end]) = mask.bounds() else { return longest };
    for k in start[2]..end[2] {
        let hull = hull(edges(mask, k, [start, end], spacing_mm));
        for (n, a) in hull.iter().enumerate() {
            for b in &hull[n + 1..] {
                let long = (b[0] - a[0]).hypot(b[1] - a[1]);
                if long < longest[0] * (1.0 - SAME) {
                    continue;
                }
                let short = across(&hull, [(b[0] - a[0]) / long, (b[1] - a[1]) / long]);
                if long > longest[0] * (1.0 + SAME) || short > longest[1] {
                    longest = [long, short];
                }
            }
        }
    }
    longest
}

/// Midpoints of the outer edges of a slice's first and last pixel in each row and column, mm.
fn edges(
    mask: &Mask,
    k: usize,
    [start, end]: [[usize; 3]; 2],
    spacing_mm: [f64; 3],
) -> Vec<[f64; 2]> {
    let position = |i: f64, j: f64| [i * spacing_mm[0], j * spacing_mm[1]];
    let mut edges = Vec::new();
    for j in start[1]..end[1] {
        let mut row = (start[0]..end[0]).filter(|i| mask.get(*i, j, k));
        if let Some(first) = row.next() {
            let last = row.next_back().unwrap_or(first);
            edges.push(position(first as f64 - 0.5, j as f64));
            edges.push(position(last as f64 + 0.5, j as f64));
        }
    }
    for i in start[0]..end[0] {
        let mut column = (start[1]..end[1]).filter(|j| mask.get(i, *j, k));
        if let Some(first) = column.next() {
            let last = column.next_back().unwrap_or(first);
            edges.push(position(i as f64, first as f64 - 0.5));
            edges.push(position(i as f64, last as f64 + 0.5));
        }
    }
    edges
}

/// Corners of the convex hull, in order around it (Andrew 1979).
fn hull(mut points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    points.sort_unstable_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let turn = |o: [f64; 2], a: [f64; 2], b: [f64; 2]| {
        (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])
    };
    let half = |points: &mut dyn Iterator<Item = [f64; 2]>| {
        let mut chain: Vec<[f64; 2]> = Vec::new();
        for point in points {
            while let [.., a, b] = chain[..]
                && turn(a, b, point) <= 0.0
            {
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut points.iter().copied());
    hull.extend(half(&mut points.iter().rev().copied()));
    hull
}

/// Longest chord of a convex polygon perpendicular to a direction.
///
/// Along the direction, the chord's length is concave and linear between corners, so the longest
/// chord passes through a corner.
fn across(hull: &[[f64; 2]], [di, dj]: [f64; 2]) -> f64 {
    // Along the direction, and perpendicular to it.
    let turned: Vec<[f64; 2]> =
        hull.iter().map(|[i, j]| [i * di + j * dj, j * di - i * dj]).collect();
    let chord = |at: f64| {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (n, a) in turned.iter().enumerate() {
            let b = turned[(n + 1) % turned.len()];
            let (least, most) = (a[0].min(b[0]), a[0].max(b[0]));
            if at < least || at > most {
                continue;
            }
            let share = if most > least { (at - a[0]) / (b[0] - a[0]) } else { 0.0 };
            let crossing = a[1] + share * (b[1] - a[1]);
            low = low.min(crossing);
            high = high.max(crossing);
        }
        (high - low).max(0.0)
    };
    turned.iter().map(|corner| chord(corner[0])).fold(0.0, f64::max)
}

/// A measure of a mask's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SizeMeasure {
    /// See [`MaskSize::volume_mm3`].
    Volume,
    /// See [`MaskSize::equivalent_diameter_mm`].
    EquivalentDiameter,
    /// See [`MaskSize::long_axis_mm`].
    LongAxis,
    /// See [`MaskSize::short_axis_mm`].
    ShortAxis,
}

/// Error of a predicted size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SizeError {
    /// Prediction minus reference; `None` where neither mask has a voxel.
    pub signed: Option<f64>,
    /// The error as a share of the reference; `None` where the reference has no voxel.
    pub relative: Option<f64>,
}

impl SizeMeasure {
    /// Every measure.
    pub const ALL: [Self; 4] =
        [Self::Volume, Self::EquivalentDiameter, Self::LongAxis, Self::ShortAxis];

    /// Name in tables: of the measure, and of its signed, absolute and relative error.
    pub const fn names(self) -> [&'static str; 4] {
        match self {
            Self::Volume => [
                "volume_mm3",
                "volume_error_mm3",
                "volume_absolute_error_mm3",
                "volume_relative_error",
            ],
            Self::EquivalentDiameter => [
                "equivalent_diameter_mm",
                "equivalent_diameter_error_mm",
                "equivalent_diameter_absolute_error_mm",
                "equivalent_diameter_relative_error",
            ],
            Self::LongAxis => [
                "long_axis_mm",
                "long_axis_error_mm",
                "long_axis_absolute_error_mm",
                "long_axis_relative_error",
            ],
            Self::ShortAxis => [
                "short_axis_mm",
                "short_axis_error_mm",
                "short_axis_absolute_error_mm",
                "short_axis_relative_error",
            ],
        }
    }

    /// The measure of a mask.
    pub const fn of(self, size: &MaskSize) -> f64 {
        match self {
            Self::Volume => size.volume_mm3,
            Self::EquivalentDiameter => size.equivalent_diameter_mm,
            Self::LongAxis => size.long_axis_mm,
            Self::ShortAxis => size.short_axis_mm,
        }
    }

    /// Error of a prediction's measure against its reference.
    ///
    /// METHOD: an empty mask measures 0, so a missed nodule has an error of its whole size, and
    /// misses cannot make a model look better.
    pub fn error(self, prediction: &MaskSize, reference: &MaskSize) -> SizeError {
        let (predicted, reference) = (self.of(prediction), self.of(reference));
        let error = predicted - reference;
        SizeError {
            signed: (predicted > 0.0 || reference > 0.0).then_some(error),
            relative: (reference > 0.0).then(|| error / reference),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_axes(mask: &Mask, spacing_mm: [f64; 3], expected: [f64; 2]) {
        for (found, expected) in axes(mask, spacing_mm).into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
        }
    }

    #[test]
    fn one_voxel_is_as_large_as_itself() {
        let mut mask = Mask::empty([3, 3, 3]);
        mask.set(1, 1, 1, true);
        let found = mask_size(&mask, [0.5, 0.8, 3.0]);
        assert!((found.volume_mm3 - 1.2).abs() < 1e-12);
        assert!((found.equivalent_diameter_mm - (6.0 * 1.2 / PI).cbrt()).abs() < 1e-12);
        assert_axes(&mask, [0.5, 0.8, 3.0], [0.8, 0.5]);
        assert_eq!(mask_size(&Mask::empty([3, 3, 3]), [1.0; 3]), MaskSize::default());
    }

    #[test]
    fn bars_are_as_long_as_their_voxels() {
        let bar = Mask::from_fn([9, 5, 1], |i, j, _| (1..8).contains(&i) && j == 2);
        assert_axes(&bar, [0.7, 0.5, 1.0], [7.0 * 0.7, 0.5]);
        // Two slices: the longer one counts, though the other is wider.
        let two = Mask::from_fn([9, 5, 2], |i, j, k| match k {
            0 => i < 8 && j == 2,
            _ => (2..6).contains(&i),
        });
        assert_axes(&two, [1.0; 3], [8.0, 1.0]);
    }

    #[test]
    fn a_rectangle_is_measured_between_the_middles_of_edges() {
        // 6 × 3 pixels: from (-0.5, 0) to (5.5, 2), 6 long and 2 up.
        let mask = Mask::from_fn([6, 3, 1], |_, _, _| true);
        let long = 40f64.sqrt();
        // Across (6, 2) the chord from the lower edge's end (5, -0.5) meets the upper edge at (4, 2.5).
        assert_axes(&mask, [1.0; 3], [long, 10f64.sqrt()]);
    }

    #[test]
    fn what_was_missed_is_off_by_all_of_its_size() {
        let (none, some) =
            (MaskSize::default(), mask_size(&Mask::from_fn([2, 2, 2], |_, _, _| true), [1.0; 3]));
        let missed = SizeMeasure::Volume.error(&none, &some);
        assert_eq!(missed, SizeError { signed: Some(-8.0), relative: Some(-1.0) });
        let spurious = SizeMeasure::Volume.error(&some, &none);
        assert_eq!(spurious, SizeError { signed: Some(8.0), relative: None });
        assert_eq!(SizeMeasure::Volume.error(&none, &none), SizeError::default());
    }

    proptest! {
        #[test]
        fn axes_are_those_of_every_pair_and_do_not_depend_on_the_side(
            bools in prop::collection::vec(prop::bool::weighted(0.2), 7 * 6 * 2),
            spacing in prop::array::uniform3(0.3..3.0f64),
        ) {
            let size = [7, 6, 2];
            let at = |i: usize, j: usize, k: usize| bools[(k * 6 + j) * 7 + i];
            let mask = Mask::from_fn(size, at);
            let [long, short] = axes(&mask, spacing);
            let middles = |[i, j, k]: [usize; 3]| {
                let (i, j) = (i as f64, j as f64);
                [(i - 0.5, j), (i + 0.5, j), (i, j - 0.5), (i, j + 0.5)]
                    .map(|(i, j)| (i * spacing[0], j * spacing[1], k))
            };
            let all: Vec<_> = mask.voxels().flat_map(middles).collect();
            let mut expected: f64 = 0.0;
            for a in &all {
                for b in all.iter().filter(|b| b.2 == a.2) {
                    expected = expected.max((a.0 - b.0).hypot(a.1 - b.1));
                }
            }
            prop_assert!((long - expected).abs() < 1e-9, "{} {}", long, expected);
            prop_assert!(short <= long + 1e-9);
            let mirrored = Mask::from_fn(size, |i, j, k| at(6 - i, j, 1 - k));
            let turned = Mask::from_fn([6, 7, 2], |i, j, k| at(j, i, k));
            for (other, spacing) in
                [(mirrored, spacing), (turned, [spacing[1], spacing[0], spacing[2]])]
            {
                let found = axes(&other, spacing);
                prop_assert!((found[0] - long).abs() < 1e-9 && (found[1] - short).abs() < 1e-9);
            }
        }
    }
}

//! Matches two tables of nodules one to one: how many match, how far apart they are, which have no match.

use super::nodule_table::{LocatedNodule, NoduleTable};
use ndarray::Array2;
use nodulus_imaging::linkage::distance_mm;
use nodulus_imaging::matching;
use nodulus_metrics::surface::percentile;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Greatest difference of two centres, and of two diameters, that count as equal.
pub const SAME_MM: f64 = 0.01;

/// A table lacks the height of nodules.
#[derive(Debug, thiserror::Error)]
#[error(
    "nodules of the two tables cannot be compared: {}; expected the height of every nodule at least", lacks.join("; ")
)]
pub struct NoCommonCoordinates {
    /// What each table lacks.
    lacks: Vec<String>,
}

/// Coordinates in which two tables are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Coordinates {
    /// Patient x, y, z.
    Patient,
    /// Along the image's columns and rows from voxel 0, and patient z.
    Image,
    /// Patient z alone, because x and y are not known on both sides.
    Height,
}

/// Counts of what both tables have, and of what only one has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shared {
    /// In both tables.
    pub both: usize,
    /// In A only.
    pub only_a: usize,
    /// In B only.
    pub only_b: usize,
}

/// Distribution of values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
    /// 95th percentile, linear interpolation.
    pub p95: f64,
    /// Greatest value.
    pub max: f64,
}

/// The nearest nodule of the other table to one without a match.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearestNodule {
    /// Its id, where it has one.
    pub nodule_id: Option<String>,
    /// Distance of the centres.
    pub distance_mm: f64,
    /// Its diameter.
    pub diameter_mm: f64,
    /// Whether it has a match of its own.
    pub matched: bool,
}

/// A nodule without a match in the other table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnmatchedNodule {
    /// Series of the scan.
    pub series_instance_uid: String,
    /// Id, where it has one.
    pub nodule_id: Option<String>,
    /// Centre, in the coordinates of the comparison; the first two are null where heights are compared.
    pub position_mm: [Option<f64>; 3],
    /// Diameter.
    pub diameter_mm: f64,
    /// Number of marks that were joined, where known.
    pub n_marks: Option<i64>,
    /// The nearest nodule of the same series in the other table; `None` where there is none.
    pub nearest: Option<NearestNodule>,
}

/// How two tables agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoduleComparison {
    /// The first table.
    pub a: PathBuf,
    /// The second table.
    pub b: PathBuf,
    /// Coordinates of the comparison.
    pub coordinates: Coordinates,
    /// Series with nodules.
    pub series: Shared,
    /// Number of nodules of the first table.
    pub n_a: usize,
    /// Number of nodules of the second table.
    pub n_b: usize,
    /// Nodules with a match and without.
    pub nodules: Shared,
    /// Distances between the centres of matched nodules; `None` where none match.
    pub centre_distance_mm: Option<Spread>,
    /// Mean difference of the diameters, B − A.
    pub diameter_difference_mean_mm: Option<f64>,
    /// Absolute differences of the diameters.
    pub diameter_difference_mm: Option<Spread>,
    /// Number of matched nodules whose centres and diameters differ by at most [`SAME_MM`].
    pub n_same: usize,
    /// Nodules of the first table without a match, by series.
    pub only_a: Vec<UnmatchedNodule>,
    /// Nodules of the second table without a match, by series.
    pub only_b: Vec<UnmatchedNodule>,
}

/// A nodule in the coordinates of the comparison.
struct ComparedNodule<'a> {
    nodule: &'a LocatedNodule,
    mm: [f64; 3],
}

/// Matches the nodules of two tables one to one within each series.
///
/// A table without nodules matches nothing.
///
/// METHOD: two nodules can match when their centres are nearer than the larger of their radii, which is
/// LUNA16's criterion for a hit (Setio et al. 2017) applied from either side. Of all matchings, the one with
/// most pairs is taken, then the one with the least total distance; the diameters decide between equal totals.
/// Distances are in patient coordinates where both tables have them, otherwise along the image's own axes,
/// where distances within a slice are the patient's; where even those are not known on both sides, heights alone are
/// compared, and a match then says less.
///
/// # Errors
///
/// Fails if the height of a nodule is unknown.
pub fn compare(a: &NoduleTable, b: &NoduleTable) -> Result<NoduleComparison, NoCommonCoordinates> {
    let coordinates = common_coordinates(a, b)?;
    let mut by_series: BTreeMap<&str, [Vec<ComparedNodule<'_>>; 2]> = BTreeMap::new();
    for (side, table) in [a, b].into_iter().enumerate() {
        for nodule in &table.nodules {
            if let Some(mm) = position_mm(nodule, coordinates) {
                let sides = by_series.entry(&nodule.series_instance_uid).or_default();
                sides[side].push(ComparedNodule { nodule, mm });
            }
        }
    }
    let mut series = Shared::default();
    let (mut distances, mut differences) = (Vec::new(), Vec::new());
    let (mut only_a, mut only_b) = (Vec::new(), Vec::new());
    let mut n_same = 0;
    for [a, b] in by_series.values() {
        match (a.is_empty(), b.is_empty()) {
            (false, false) => series.both += 1,
            (_, true) => series.only_a += 1,
            (true, false) => series.only_b += 1,
        }
        let b_of_a = matched(a, b);
        let mut a_of_b = vec![None; b.len()];
        for (n, m) in b_of_a.iter().enumerate().filter_map(|(n, m)| Some((n, (*m)?))) {
            a_of_b[m] = Some(n);
            let distance = distance_mm(a[n].mm, b[m].mm);
            let difference = b[m].nodule.diameter_mm - a[n].nodule.diameter_mm;
            n_same += usize::from(distance <= SAME_MM && difference.abs() <= SAME_MM);
            distances.push(distance);
            differences.push(difference);
        }
        only_a.extend(unmatched(a, &b_of_a, b, &a_of_b, coordinates));
        only_b.extend(unmatched(b, &a_of_b, a, &b_of_a, coordinates));
    }
    let n = distances.len();
    let sum: f64 = differences.iter().sum();
    Ok(NoduleComparison {
        a: a.path.clone(),
        b: b.path.clone(),
        coordinates,
        series,
        n_a: a.nodules.len(),
        n_b: b.nodules.len(),
        nodules: Shared { both: n, only_a: only_a.len(), only_b: only_b.len() },
        centre_distance_mm: spread(distances),
        diameter_difference_mean_mm: (n > 0).then(|| sum / n as f64),
        diameter_difference_mm: spread(differences.iter().map(|value| value.abs()).collect()),
        n_same,
        only_a,
        only_b,
    })
}

fn common_coordinates(
    a: &NoduleTable,
    b: &NoduleTable,
) -> Result<Coordinates, NoCommonCoordinates> {
    let lacking = |coordinates| {
        [a, b].map(|table| {
            table.nodules.iter().filter(|nodule| position_mm(nodule, coordinates).is_none()).count()
        })
    };
    let all = [Coordinates::Patient, Coordinates::Image, Coordinates::Height];
    if let Some(common) = all.into_iter().find(|coordinates| lacking(*coordinates) == [0, 0]) {
        return Ok(common);
    }
    let without = [a, b].into_iter().zip(lacking(Coordinates::Height)).filter(|(_, n)| *n > 0);
    let lacks = without.map(|(table, n)| {
        let (path, total) = (table.path.display(), table.nodules.len());
        format!("`{path}` lacks centroid_z_mm for {n} of {total} nodules")
    });
    Err(NoCommonCoordinates { lacks: lacks.collect() })
}

fn position_mm(nodule: &LocatedNodule, coordinates: Coordinates) -> Option<[f64; 3]> {
    match coordinates {
        Coordinates::Patient => nodule.patient_mm,
        Coordinates::Image => nodule.image_mm,
        Coordinates::Height => nodule.z_mm.map(|z| [0.0, 0.0, z]),
    }
}

/// The match of each nodule of one table in the other.
fn matched(a: &[ComparedNodule<'_>], b: &[ComparedNodule<'_>]) -> Vec<Option<usize>> {
    let costs = Array2::from_shape_fn((a.len(), b.len()), |(n, m)| {
        let (distance, diameters) =
            (distance_mm(a[n].mm, b[m].mm), [a[n].nodule.diameter_mm, b[m].nodule.diameter_mm]);
        let radius = diameters[0].max(diameters[1]) / 2.0;
        (distance < radius).then(|| [distance, (diameters[0] - diameters[1]).abs()])
    });
    matching::best_matching(&costs)
}

fn unmatched(
    own: &[ComparedNodule<'_>],
    matches: &[Option<usize>],
    others: &[ComparedNodule<'_>],
    other_matches: &[Option<usize>],
    coordinates: Coordinates,
) -> Vec<UnmatchedNodule> {
    let without = own.iter().zip(matches).filter(|(_, found)| found.is_none());
    without
        .map(|(one, _)| {
            let nearest = others
                .iter()
                .zip(other_matches)
                .map(|(other, found)| {
                    (distance_mm(one.mm, other.mm), other.nodule, found.is_some())
                })
                .min_by(|p, q| p.0.total_cmp(&q.0));
            UnmatchedNodule {
                series_instance_uid: one.nodule.series_instance_uid.clone(),
                nodule_id: one.nodule.nodule_id.clone(),
                position_mm: known(one.mm, coordinates),
                diameter_mm: one.nodule.diameter_mm,
                n_marks: one.nodule.n_marks,
                nearest: nearest.map(|(distance_mm, nodule, matched)| NearestNodule {
                    nodule_id: nodule.nodule_id.clone(),
                    distance_mm,
                    diameter_mm: nodule.diameter_mm,
                    matched,
                }),
            }
        })
        .collect()
}

/// A position without the coordinates that are not compared.
fn known([x, y, z]: [f64; 3], coordinates: Coordinates) -> [Option<f64>; 3] {
    let in_plane = coordinates != Coordinates::Height;
    [Some(x).filter(|_| in_plane), Some(y).filter(|_| in_plane), Some(z)]
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_unstable_by(f64::total_cmp);
    let max = *values.last()?;
    Some(Spread {
        mean: values.iter().sum::<f64>() / values.len() as f64,
        median: percentile(&values, 0.5),
        p95: percentile(&values, 0.95),
        max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nodule(series: &str, mm: [f64; 3], diameter_mm: f64) -> LocatedNodule {
        LocatedNodule {
            cohort: None,
            nodule_id: None,
            series_instance_uid: series.to_owned(),
            patient_mm: Some(mm),
            image_mm: None,
            z_mm: Some(mm[2]),
            diameter_mm,
            n_marks: None,
        }
    }

    fn table(path: &str, nodules: &[LocatedNodule]) -> NoduleTable {
        NoduleTable { path: PathBuf::from(path), nodules: nodules.to_vec() }
    }

    #[test]
    fn nodules_are_matched_within_their_series() {
        let a = table(
            "a",
            &[
                nodule("1", [0.0, 0.0, 0.0], 6.0),
                nodule("1", [50.0, 0.0, 0.0], 8.0),
                nodule("2", [0.0, 0.0, 0.0], 6.0),
                nodule("3", [0.0, 0.0, 0.0], 6.0),
            ],
        );
        let b = table(
            "b",
            &[
                nodule("1", [0.0, 3.0, 4.0], 12.0),
                nodule("1", [50.0, 0.0, 0.0], 7.0),
                nodule("2", [0.0, 0.0, 3.0], 6.0),
                nodule("4", [0.0, 0.0, 0.0], 6.0),
            ],
        );
        let found = compare(&a, &b).unwrap();
        assert_eq!(found.series, Shared { both: 2, only_a: 1, only_b: 1 });
        // At 5 mm, under the radius 6 of the larger; in series 2 at 3 mm, which is the radius.
        assert_eq!(found.nodules, Shared { both: 2, only_a: 2, only_b: 2 });
        let expected = Spread { mean: 2.5, median: 2.5, p95: 4.75, max: 5.0 };
        assert_eq!(found.centre_distance_mm, Some(expected));
        // Differences 6 and -1.
        assert_eq!(found.diameter_difference_mean_mm, Some(2.5));
        assert_eq!(found.diameter_difference_mm.map(|spread| spread.mean), Some(3.5));
        assert_eq!(found.n_same, 0);
        let alone = &found.only_a[0];
        assert_eq!((alone.series_instance_uid.as_str(), alone.diameter_mm), ("2", 6.0));
        let nearest = alone.nearest.as_ref().unwrap();
        assert_eq!((nearest.distance_mm, nearest.matched), (3.0, false));
        assert_eq!(found.only_a[1].nearest, None);
        assert_eq!(found.only_b[1].series_instance_uid, "4");
    }

    #[test]
    fn the_nearest_of_one_alone_may_be_taken() {
        let a = table("a", &[nodule("1", [0.0; 3], 6.0)]);
        let b = table("b", &[nodule("1", [0.0; 3], 6.0), nodule("1", [2.0, 0.0, 0.0], 6.0)]);
        let found = compare(&a, &b).unwrap();
        let nearest = found.only_b[0].nearest.clone().unwrap();
        assert_eq!((nearest.distance_mm, nearest.matched), (2.0, true));
    }

    #[test]
    fn axes_of_the_image_serve_where_patient_coordinates_are_unknown() {
        let in_image = |patient_mm| LocatedNodule {
            patient_mm,
            image_mm: Some([1.0, 2.0, 3.0]),
            ..nodule("1", [0.0; 3], 6.0)
        };
        let a = table("a", &[in_image(None)]);
        let b = table("b", &[in_image(Some([9.0; 3]))]);
        let found = compare(&a, &b).unwrap();
        assert_eq!((found.coordinates, found.n_same), (Coordinates::Image, 1));
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "this number is exact")]
    fn heights_serve_where_nothing_else_is_known_on_both_sides() {
        let blind = |z_mm| LocatedNodule { patient_mm: None, z_mm, ..nodule("1", [0.0; 3], 6.0) };
        let csv = table(
            "c.csv",
            &[nodule("1", [9.0, 8.0, 2.0], 6.5), nodule("1", [0.0, 0.0, 30.0], 4.0)],
        );
        let found = compare(&table("a", &[blind(Some(1.5))]), &csv).unwrap();
        assert_eq!((found.coordinates, found.nodules.both), (Coordinates::Height, 1));
        assert_eq!(found.centre_distance_mm.unwrap().max, 0.5);
        assert_eq!(found.only_b[0].position_mm, [None, None, Some(30.0)]);
        let error = compare(&table("a", &[blind(None), blind(Some(1.0))]), &csv).unwrap_err();
        assert_eq!(
            error.to_string(),
            "nodules of the two tables cannot be compared: `a` lacks centroid_z_mm for 1 of 2 nodules; expected the height of \
             every nodule at least"
        );
    }

    #[test]
    fn tables_without_nodules_have_nothing_in_common() {
        let (none, one) = (table("a", &[]), table("b", &[nodule("1", [0.0; 3], 6.0)]));
        let found = compare(&none, &one).unwrap();
        assert_eq!(found.nodules, Shared { both: 0, only_a: 0, only_b: 1 });
        assert_eq!((found.centre_distance_mm, found.diameter_difference_mean_mm), (None, None));
        assert_eq!(compare(&none, &none).unwrap().series, Shared::default());
    }

    proptest! {
        #[test]
        fn a_table_is_the_same_as_itself_and_sides_can_be_exchanged(
            // Few positions and sizes, so that nodules coincide.
            nodules in prop::collection::vec((0..2u8, prop::array::uniform3(0..3u8), 1..4u8), 0..12),
            first in 0..12usize,
        ) {
            let nodules: Vec<_> = nodules
                .into_iter()
                .map(|(series, mm, d)| nodule(&series.to_string(), mm.map(f64::from), f64::from(d)))
                .collect();
            let all = table("a", &nodules);
            let same = compare(&all, &all).unwrap();
            prop_assert_eq!(same.nodules, Shared { both: nodules.len(), only_a: 0, only_b: 0 });
            prop_assert_eq!(same.n_same, nodules.len());
            prop_assert!(same.centre_distance_mm.is_none_or(|spread| spread.max == 0.0));
            prop_assert!(same.diameter_difference_mm.is_none_or(|spread| spread.max == 0.0));
            let some = table("b", &nodules[first.min(nodules.len())..]);
            let (there, back) = (compare(&all, &some).unwrap(), compare(&some, &all).unwrap());
            prop_assert_eq!(there.nodules.both, back.nodules.both);
            prop_assert_eq!(there.nodules.only_a, back.nodules.only_b);
        }
    }
}

//! Matches the nodules of a patient's scans, and measures their growth.

use super::scan::{FollowUpNodule, FollowUpScan};
use crate::tables::Growth;
use ndarray::Array2;
use nodulus_imaging::lungs::alignment;
use nodulus_imaging::matching::best_matching;
use std::collections::BTreeSet;

/// How nodules are matched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchingRule {
    /// Greatest distance between the positions of a nodule in two aligned scans.
    pub tolerance_mm: f64,
    /// Greatest difference between the sizes of the lungs' boxes along an axis, as a share of the larger one.
    pub size_difference: f64,
}

/// METHOD: chosen; 15 mm, as positions in lungs of a similar breath differ by up to about a centimetre away
/// from the diaphragm, and nodules of one patient mostly lie farther apart; a fifth, as lungs at full
/// inspiration are about that much longer than at a shallow one.
impl Default for MatchingRule {
    fn default() -> Self {
        Self { tolerance_mm: 15.0, size_difference: 0.2 }
    }
}

/// The least change of a volume that is significant.
///
/// METHOD: 25%, as repeated measurements of a volume differ by up to that (Callister et al. 2015, BTS
/// guidelines).
const SIGNIFICANT_PERCENT: f64 = 25.0;

/// Rows of [`compare`] for a new scan and each scan of its patient that was scored before. Other series of
/// the same study are skipped, as they show the same moment, and so are scans of a patient without an id.
/// By their dates, the new scan may be the earlier one.
pub fn rows(rule: &MatchingRule, scored: &[FollowUpScan], new: &FollowUpScan) -> Vec<Growth> {
    let is_of_another_time = |other: &&FollowUpScan| {
        let same_study = other.study_instance_uid.is_some()
            && other.study_instance_uid == new.study_instance_uid;
        other.patient_id == new.patient_id
            && other.series_instance_uid != new.series_instance_uid
            && !same_study
    };
    if new.patient_id.is_empty() {
        return Vec::new();
    }
    let mut rows = Vec::new();
    for other in scored.iter().filter(is_of_another_time) {
        let is_reversed =
            matches!((other.acquired_on, new.acquired_on), (Some(a), Some(b)) if a > b);
        let (earlier, later) = if is_reversed { (new, other) } else { (other, new) };
        rows.extend(compare(rule, earlier, later));
    }
    rows
}

/// One row for each nodule of two scans, with matched nodules in one row: first the nodules of the later
/// scan in their order, then those of the earlier scan alone.
///
/// METHOD: positions of the earlier scan are shifted by the [`alignment`] of the lungs' boxes. Of all pairs
/// within the tolerance, those with the least sum of distances match, where an unmatched nodule counts half
/// the tolerance. Without an alignment, no nodules match.
pub fn compare(rule: &MatchingRule, earlier: &FollowUpScan, later: &FollowUpScan) -> Vec<Growth> {
    let shift = match (&earlier.lungs, &later.lungs) {
        (Some(before), Some(after)) => {
            alignment(before, after, rule.size_difference).map_err(|error| error.to_string())
        }
        (None, _) => Err("no lung is seen in the earlier scan".to_owned()),
        (_, None) => Err("no lung is seen in the later scan".to_owned()),
    };
    let distance = |a: &FollowUpNodule, b: &FollowUpNodule| {
        let shift = shift.as_ref().ok()?;
        let squares = (0..3).map(|n| (a.centroid_mm[n] + shift[n] - b.centroid_mm[n]).powi(2));
        Some(squares.sum::<f64>().sqrt())
    };
    let matched = matching(rule, [later.nodules.len(), earlier.nodules.len()], |l, e| {
        distance(&earlier.nodules[e], &later.nodules[l])
    });
    let blank = blank(earlier, later, shift.as_ref().ok());
    let reason = |nearest: Option<f64>, other: &str| match (&shift, nearest) {
        (Err(why), _) => why.clone(),
        (Ok(_), None) => format!("the {other} scan has no nodule"),
        (Ok(_), Some(mm)) if mm > rule.tolerance_mm => format!(
            "the nearest nodule of the {other} scan is {mm:.1} mm away, expected {} mm at most",
            rule.tolerance_mm
        ),
        (Ok(_), Some(_)) => format!("nodules of the {other} scan nearby match others better"),
    };
    let least = |distances: &mut dyn Iterator<Item = f64>| distances.reduce(f64::min);
    let mut rows = Vec::new();
    for (nodule, partner) in later.nodules.iter().zip(&matched) {
        let row = later_row(&blank, nodule);
        rows.push(if let Some(e) = partner {
            let before = &earlier.nodules[*e];
            pair(row, before, nodule, distance(before, nodule))
        } else {
            let mut distances = earlier.nodules.iter().filter_map(|e| distance(e, nodule));
            Growth { reason: Some(reason(least(&mut distances), "earlier")), ..row }
        });
    }
    for (e, nodule) in earlier.nodules.iter().enumerate() {
        if !matched.contains(&Some(e)) {
            let mut distances = later.nodules.iter().filter_map(|l| distance(nodule, l));
            let [x_mm, y_mm, z_mm] = nodule.centroid_mm;
            rows.push(Growth {
                earlier_nodule_id: Some(nodule.nodule_id.clone()),
                reason: Some(reason(least(&mut distances), "later")),
                earlier_volume_mm3: Some(nodule.volume_mm3),
                x_mm,
                y_mm,
                z_mm,
                ..blank.clone()
            });
        }
    }
    rows
}

/// For each nodule of the later scan, the index of its match in the earlier scan, or `None`.
///
/// Each nodule can also match a stand-in of its own at half the tolerance. Otherwise, where one nodule
/// vanished, its neighbours would all be matched to the next one.
fn matching(
    rule: &MatchingRule,
    [n, m]: [usize; 2],
    distance_mm: impl Fn(usize, usize) -> Option<f64>,
) -> Vec<Option<usize>> {
    let unmatched = Some([rule.tolerance_mm / 2.0, 0.0]);
    let cost = |(row, column): (usize, usize)| match (row < n, column < m) {
        (true, true) => {
            let mm = distance_mm(row, column).filter(|mm| *mm <= rule.tolerance_mm)?;
            Some([mm, 0.0])
        }
        (true, false) => unmatched.filter(|_| column - m == row),
        (false, true) => unmatched.filter(|_| row - n == column),
        (false, false) => Some([0.0, 0.0]),
    };
    let matched = best_matching(&Array2::from_shape_fn((n + m, m + n), cost));
    matched.into_iter().take(n).map(|column| column.filter(|column| *column < m)).collect()
}

/// The columns that all rows of two scans share.
fn blank(earlier: &FollowUpScan, later: &FollowUpScan, shift: Option<&[f64; 3]>) -> Growth {
    let days = later.acquired_on.zip(earlier.acquired_on).map(|(b, a)| b.days_since(a));
    let shift = |axis: usize| shift.map(|shift| shift[axis]);
    let warnings: BTreeSet<&String> = later.warnings.iter().chain(&earlier.warnings).collect();
    Growth {
        patient_id: later.patient_id.clone(),
        series_instance_uid: later.series_instance_uid.clone(),
        earlier_series_instance_uid: earlier.series_instance_uid.clone(),
        acquired_on: later.acquired_on.map(|date| date.to_string()),
        earlier_acquired_on: earlier.acquired_on.map(|date| date.to_string()),
        days,
        model_id: later.model_id.clone(),
        earlier_model_id: earlier.model_id.clone(),
        shift_x_mm: shift(0),
        shift_y_mm: shift(1),
        shift_z_mm: shift(2),
        scan_warnings: warnings.into_iter().cloned().collect(),
        ..Growth::default()
    }
}

fn later_row(blank: &Growth, nodule: &FollowUpNodule) -> Growth {
    let [x_mm, y_mm, z_mm] = nodule.centroid_mm;
    let (nodule_id, volume_mm3) = (Some(nodule.nodule_id.clone()), Some(nodule.volume_mm3));
    Growth { nodule_id, x_mm, y_mm, z_mm, volume_mm3, ..blank.clone() }
}

fn pair(row: Growth, before: &FollowUpNodule, after: &FollowUpNodule, mm: Option<f64>) -> Growth {
    let (v1, v2) = (before.volume_mm3, after.volume_mm3);
    let percent = (v1 > 0.0).then(|| 100.0 * (v2 - v1) / v1);
    Growth {
        earlier_nodule_id: Some(before.nodule_id.clone()),
        matched: true,
        distance_mm: mm,
        earlier_volume_mm3: Some(v1),
        change_mm3: Some(v2 - v1),
        change_percent: percent,
        doubling_days: row.days.and_then(|days| doubling_days(days, v1, v2)),
        shrunk: Some(v2 < v1),
        significant: percent.map(|percent| percent.abs() >= SIGNIFICANT_PERCENT),
        ..row
    }
}

/// Days in which a volume doubles at its rate of growth; `None` unless it grew over at least one day.
///
/// METHOD: t ln 2 / ln(V2 / V1), as growth is exponential (Collins et al. 1956; Callister et al. 2015 call
/// under 400 days malignant).
pub fn doubling_days(days: i64, earlier_mm3: f64, later_mm3: f64) -> Option<f64> {
    let grew = earlier_mm3 > 0.0 && later_mm3 > earlier_mm3 && later_mm3.is_finite();
    let doublings = (later_mm3 / earlier_mm3).log2();
    (grew && days > 0 && doublings > 0.0).then(|| days as f64 / doublings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_formats::dicom::Date;
    use nodulus_imaging::lungs::LungBox;
    use proptest::prelude::*;
    use std::slice::from_ref;

    const BOX: LungBox = LungBox {
        low_mm: [-130.0, -90.0, -300.0],
        high_mm: [130.0, 90.0, 0.0],
        cut: [[false; 2]; 3],
    };

    fn scan(name: &str, date: &str, nodules: &[([f64; 3], f64)]) -> FollowUpScan {
        let nodule = |(n, (centroid_mm, volume_mm3)): (usize, &([f64; 3], f64))| FollowUpNodule {
            nodule_id: format!("{name}-{n}"),
            centroid_mm: *centroid_mm,
            volume_mm3: *volume_mm3,
        };
        FollowUpScan {
            series_instance_uid: name.to_owned(),
            study_instance_uid: Some(format!("study of {name}")),
            patient_id: "p".to_owned(),
            acquired_on: Date::from_iso(date),
            model_id: "m".to_owned(),
            lungs: Some(BOX),
            warnings: Vec::new(),
            nodules: nodules.iter().enumerate().map(nodule).collect(),
        }
    }

    #[test]
    fn rows_have_the_warnings_of_both_scans() {
        let [mut first, mut second] =
            ["a", "b"].map(|name| scan(name, "2026-01-01", &[([0.0; 3], 50.0)]));
        let texts =
            |texts: &[&str]| -> Vec<String> { texts.iter().map(|t| (*t).to_owned()).collect() };
        first.warnings = texts(&["the model was trained on this patient", "few slices"]);
        second.warnings = texts(&["the model was trained on this patient"]);
        let rows = compare(&MatchingRule::default(), &first, &second);
        assert!(!rows.is_empty());
        let expected = texts(&["few slices", "the model was trained on this patient"]);
        assert!(rows.iter().all(|row| row.scan_warnings == expected));
    }

    fn moved(lungs: &LungBox, shift: [f64; 3]) -> LungBox {
        let [low_mm, high_mm] =
            [lungs.low_mm, lungs.high_mm].map(|p| std::array::from_fn(|a| p[a] + shift[a]));
        LungBox { low_mm, high_mm, ..*lungs }
    }

    #[test]
    fn doubling_times_by_hand() {
        let days = |days, v1, v2| doubling_days(days, v1, v2);
        // Doubled in 100 days; 1.5 times in 100: 100 × 0.693147 / 0.405465 = 170.95; 8 times in 90: 30.
        assert_eq!(days(100, 200.0, 400.0), Some(100.0));
        assert!((days(100, 100.0, 150.0).unwrap() - 170.951).abs() < 1e-3);
        assert!((days(90, 100.0, 800.0).unwrap() - 30.0).abs() < 1e-9);
        for none in [days(100, 100.0, 100.0), days(100, 100.0, 50.0), days(0, 100.0, 200.0)] {
            assert_eq!(none, None);
        }
        assert_eq!(days(100, 0.0, 50.0), None);
        assert_eq!(days(100, 1.0, f64::INFINITY), None);
        assert_eq!(days(100, f64::NAN, 2.0), None);
    }

    #[test]
    fn nodules_of_aligned_scans_are_matched_and_measured() {
        let shift = [20.0, -15.0, 400.0];
        let earlier =
            scan("a", "2025-01-01", &[([50.0, 0.0, -100.0], 100.0), ([-60.0, 20.0, -50.0], 300.0)]);
        let mut later = scan(
            "b",
            "2025-04-11",
            &[
                ([-40.0, 8.0, 350.0], 150.0),
                ([70.0, -15.0, 303.0], 200.0),
                ([0.0, 0.0, 200.0], 60.0),
            ],
        );
        later.lungs = Some(moved(&BOX, shift));
        let rows = compare(&MatchingRule::default(), &earlier, &later);
        assert_eq!(rows.len(), 3);
        let [shrunk, grown, new] = &rows[..] else { panic!() };
        assert_eq!(
            (grown.nodule_id.as_deref(), grown.earlier_nodule_id.as_deref()),
            (Some("b-1"), Some("a-0"))
        );
        assert_eq!((grown.days, grown.distance_mm), (Some(100), Some(3.0)));
        assert_eq!((grown.change_mm3, grown.change_percent), (Some(100.0), Some(100.0)));
        assert_eq!(
            (grown.doubling_days, grown.shrunk, grown.significant),
            (Some(100.0), Some(false), Some(true))
        );
        assert_eq!([grown.shift_x_mm, grown.shift_y_mm, grown.shift_z_mm], shift.map(Some));
        assert_eq!(
            (shrunk.earlier_nodule_id.as_deref(), shrunk.distance_mm),
            (Some("a-1"), Some(3.0))
        );
        assert_eq!(
            (shrunk.change_percent, shrunk.doubling_days, shrunk.shrunk),
            (Some(-50.0), None, Some(true))
        );
        assert!(!new.matched && new.earlier_nodule_id.is_none() && new.change_mm3.is_none());
        let reason = new.reason.as_deref().unwrap();
        assert!(reason.starts_with("the nearest nodule of the earlier scan is 1"), "{reason}");
        assert!(reason.ends_with(" mm away, expected 15 mm at most"), "{reason}");
    }

    #[test]
    fn a_vanished_nodule_does_not_shift_the_matches_of_others() {
        // In a row, 9 mm apart: the first one of the earlier scan is gone, a new one is at the end.
        let row = |from: u32| (from..from + 3).map(|n| ([9.0 * f64::from(n), 0.0, 0.0], 100.0));
        let earlier = scan("a", "2025-01-01", &row(0).collect::<Vec<_>>());
        let later = scan("b", "2025-02-01", &row(1).collect::<Vec<_>>());
        let found = pairs(&compare(&MatchingRule::default(), &earlier, &later));
        let expected = [("a-1", "b-0"), ("a-2", "b-1")];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn no_nodules_match_without_an_alignment() {
        let earlier = scan("a", "2025-01-01", &[([0.0; 3], 100.0)]);
        let mut later = scan("b", "2025-02-01", &[([0.0; 3], 100.0)]);
        let reasons = |later: &FollowUpScan| -> Vec<String> {
            let rows = compare(&MatchingRule::default(), &earlier, later);
            assert!(rows.iter().all(|row| !row.matched && row.shift_x_mm.is_none()));
            rows.into_iter().filter_map(|row| row.reason).collect()
        };
        later.lungs = None;
        assert_eq!(reasons(&later), ["no lung is seen in the later scan"; 2]);
        later.lungs = Some(LungBox { low_mm: [-130.0, -90.0, -100.0], ..BOX });
        let reasons = reasons(&later);
        assert_eq!(reasons.len(), 2);
        assert!(reasons[0].contains("are 300 and 100 mm long along z"), "{reasons:?}");
        later.lungs = Some(BOX);
        later.nodules.clear();
        let rows = compare(&MatchingRule::default(), &earlier, &later);
        assert_eq!(rows[0].reason.as_deref(), Some("the later scan has no nodule"));
        assert_eq!(rows[0].earlier_volume_mm3, Some(100.0));
    }

    #[test]
    fn scans_are_ordered_by_dates_which_may_be_unknown() {
        let at = [([0.0; 3], 100.0)];
        let (first, second) = (scan("a", "2025-01-01", &at), scan("b", "2025-02-01", &at));
        let rule = MatchingRule::default();
        // The earlier one is scored after the later one.
        for rows in [rows(&rule, from_ref(&first), &second), rows(&rule, from_ref(&second), &first)]
        {
            assert_eq!(rows.len(), 1);
            assert_eq!((rows[0].series_instance_uid.as_str(), rows[0].days), ("b", Some(31)));
        }
        let unknown = scan("c", "", &at);
        let found = rows(&rule, &[unknown.clone(), second.clone()], &first);
        assert_eq!((found[0].days, found[0].doubling_days), (None, None));
        assert_eq!(found.len(), 2);
        // Another patient, no patient, the scan itself, and another series of the same study.
        let other = FollowUpScan { patient_id: "q".to_owned(), ..second.clone() };
        let same_study =
            FollowUpScan { study_instance_uid: first.study_instance_uid.clone(), ..second.clone() };
        assert!(rows(&rule, &[other, first.clone(), same_study], &first).is_empty());
        let nobody = FollowUpScan { patient_id: String::new(), ..first };
        assert!(
            rows(
                &rule,
                &[FollowUpScan { series_instance_uid: "d".to_owned(), ..nobody.clone() }],
                &nobody
            )
            .is_empty()
        );
    }

    fn any_nodules() -> impl Strategy<Value = Vec<([f64; 3], f64)>> {
        let position = prop::array::uniform3(-30.0..30.0f64);
        prop::collection::vec((position, 10.0..1000.0f64), 0..6)
    }

    fn pairs(rows: &[Growth]) -> Vec<(String, String)> {
        let pair = |row: &Growth| Some((row.earlier_nodule_id.clone()?, row.nodule_id.clone()?));
        let mut pairs: Vec<_> = rows.iter().filter_map(pair).collect();
        pairs.sort();
        pairs
    }

    proptest! {
        #[test]
        fn matching_does_not_depend_on_the_table_nor_on_which_scan_comes_first(
            before in any_nodules(),
            after in any_nodules(),
            shift in prop::array::uniform3(-300.0..300.0f64),
        ) {
            let (a, b) = (scan("a", "2025-01-01", &before), scan("b", "2025-02-01", &after));
            let rule = MatchingRule::default();
            let found = compare(&rule, &a, &b);
            let shown = |row: &Growth| [&row.nodule_id, &row.earlier_nodule_id].into_iter().flatten().count();
            prop_assert_eq!(found.iter().map(shown).sum::<usize>(), before.len() + after.len());
            prop_assert!(found.iter().all(|row| row.matched == row.reason.is_none()));
            prop_assert!(found.iter().all(|row| row.distance_mm.is_none_or(|mm| mm <= 15.0)));

            let shifted = |(p, v): &([f64; 3], f64)| (std::array::from_fn(|n| p[n] + shift[n]), *v);
            let mut elsewhere =
                scan("b", "2025-02-01", &after.iter().map(shifted).collect::<Vec<_>>());
            elsewhere.lungs = Some(moved(&BOX, shift));
            prop_assert_eq!(pairs(&compare(&rule, &a, &elsewhere)), pairs(&found));

            let mut back: Vec<_> =
                pairs(&compare(&rule, &b, &a)).into_iter().map(|(b, a)| (a, b)).collect();
            back.sort();
            prop_assert_eq!(back, pairs(&found));
        }
    }
}

use super::*;
use crate::nightly::follow_up::reconstruction::{VisitPair, visit_pairs};
use nodulus_formats::dicom::Date;
use nodulus_imaging::lungs::LungBox;
use proptest::prelude::*;

const BOX: LungBox =
    LungBox { low_mm: [-130.0, -90.0, -300.0], high_mm: [130.0, 90.0, 0.0], cut: [[false; 2]; 3] };

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
        slice_thickness_mm: Some(1.0),
        kernel: Some("B30f".to_owned()),
        model_id: "m".to_owned(),
        settings: None,
        grid: None,
        image: None,
        origin_mm: None,
        patient_name: None,
        patient_issuer: None,
        lungs: Some(BOX),
        warnings: Vec::new(),
        nodules: nodules.iter().enumerate().map(nodule).collect(),
    }
}

#[test]
fn rows_have_the_warnings_of_both_scans() {
    let [mut first, mut second] =
        ["a", "b"].map(|name| scan(name, "2026-01-01", &[([0.0; 3], 50.0)]));
    let texts = |texts: &[&str]| -> Vec<String> { texts.iter().map(|t| (*t).to_owned()).collect() };
    first.warnings = texts(&["the model was trained on this patient", "few slices"]);
    second.warnings = texts(&["the model was trained on this patient"]);
    let rows = compare(&MatchingRule::default(), &first, &second, &[]);
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
        &[([-40.0, 8.0, 350.0], 150.0), ([70.0, -15.0, 303.0], 200.0), ([0.0, 0.0, 200.0], 60.0)],
    );
    later.lungs = Some(moved(&BOX, shift));
    let rows = compare(&MatchingRule::default(), &earlier, &later, &[]);
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
    assert_eq!((shrunk.earlier_nodule_id.as_deref(), shrunk.distance_mm), (Some("a-1"), Some(3.0)));
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
    let found = pairs(&compare(&MatchingRule::default(), &earlier, &later, &[]));
    let expected = [("a-1", "b-0"), ("a-2", "b-1")];
    assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn no_nodules_match_without_an_alignment() {
    let earlier = scan("a", "2025-01-01", &[([0.0; 3], 100.0)]);
    let mut later = scan("b", "2025-02-01", &[([0.0; 3], 100.0)]);
    let reasons = |later: &FollowUpScan| -> Vec<String> {
        let rows = compare(&MatchingRule::default(), &earlier, later, &[]);
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
    let rows = compare(&MatchingRule::default(), &earlier, &later, &[]);
    assert_eq!(rows[0].reason.as_deref(), Some("the later scan has no nodule"));
    assert_eq!(rows[0].earlier_volume_mm3, Some(100.0));
}

#[test]
fn scans_of_one_grid_need_no_alignment() {
    let grid = Some("0123456789abcdef".to_owned());
    let at = [([10.0, 0.0, -100.0], 100.0), ([60.0, 5.0, -50.0], 300.0)];
    let [mut earlier, mut later] = ["a", "b"].map(|name| {
        let cut = LungBox { cut: [[false; 2], [false; 2], [true; 2]], ..BOX };
        FollowUpScan { grid: grid.clone(), lungs: Some(cut), ..scan(name, "2025-01-01", &at) }
    });
    for lungs in [earlier.lungs, None] {
        (earlier.lungs, later.lungs) = (lungs, lungs);
        let rows = compare(&MatchingRule::default(), &earlier, &later, &[]);
        assert_eq!(rows.len(), 2);
        for row in &rows {
            assert_eq!((row.change_percent, row.distance_mm), (Some(0.0), Some(0.0)), "{row:?}");
            assert_eq!([row.shift_x_mm, row.shift_y_mm, row.shift_z_mm], [Some(0.0); 3]);
        }
    }
    // Another grid, or none that is known, is aligned by the lungs.
    for other in [Some("f".to_owned()), None] {
        (earlier.grid, later.grid) =
            (other.clone(), if other.is_some() { grid.clone() } else { None });
        let rows = compare(&MatchingRule::default(), &earlier, &later, &[]);
        assert!(rows.iter().all(|row| !row.matched), "{rows:?}");
    }
    // The same image in another frame of reference, as of a study that was sent again under other UIDs, with another origin.
    (earlier.image, later.image) = (grid.clone(), grid.clone());
    (earlier.origin_mm, later.origin_mm) = (Some([1.0, 2.0, 3.0]), Some([8.5, -1.25, 14.0]));
    let shift = [7.5, -3.25, 11.0];
    for nodule in &mut later.nodules {
        nodule.centroid_mm = std::array::from_fn(|axis| nodule.centroid_mm[axis] + shift[axis]);
    }
    let rows = compare(&MatchingRule::default(), &earlier, &later, &[]);
    for row in &rows {
        assert_eq!((row.change_percent, row.distance_mm), (Some(0.0), Some(0.0)), "{row:?}");
        assert_eq!([row.shift_x_mm, row.shift_y_mm, row.shift_z_mm], shift.map(Some));
    }
    later.image = Some("f".to_owned());
    let rows = compare(&MatchingRule::default(), &earlier, &later, &[]);
    assert!(rows.iter().all(|row| !row.matched), "{rows:?}");
}

/// Growth between the visits of a patient, whose scans are in the order in which they were scored.
fn rows(scans: &[FollowUpScan]) -> Vec<Growth> {
    let series: Vec<ComparedSeries> = scans.iter().map(ComparedSeries::of).collect();
    let ids = scans.iter().map(|scan| scan.series_instance_uid.as_str());
    let named: Vec<(&str, &ComparedSeries)> = ids.zip(&series).collect();
    let scan = |id: &str| scans.iter().find(|scan| scan.series_instance_uid == id).unwrap();
    let of_pair = |pair: VisitPair<'_>| {
        let [earlier, later] = pair.compared.map(scan);
        compare(&MatchingRule::default(), earlier, later, &pair.others)
    };
    visit_pairs(&named).into_iter().flat_map(of_pair).collect()
}

#[test]
fn scans_are_ordered_by_dates_which_may_be_unknown() {
    let at = [([0.0; 3], 100.0)];
    let (first, second) = (scan("a", "2025-01-01", &at), scan("b", "2025-02-01", &at));
    // The earlier one is scored after the later one.
    for rows in [rows(&[first.clone(), second.clone()]), rows(&[second.clone(), first.clone()])] {
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].series_instance_uid.as_str(), rows[0].days), ("b", Some(31)));
    }
    let unknown = scan("c", "", &at);
    let found = rows(&[unknown.clone(), first.clone()]);
    assert_eq!((found[0].days, found[0].doubling_days), (None, None));
    assert_eq!(found[0].series_instance_uid, "a");
    assert_eq!(rows(&[unknown, second.clone(), first.clone()]).len(), 3);
    // Another series of the same study.
    let same_study =
        FollowUpScan { study_instance_uid: first.study_instance_uid.clone(), ..second };
    assert!(rows(&[same_study, first]).is_empty());
}

/// Two visits with identical data, each with a thin and a thick reconstruction, of which the thick one is measured
/// as 1.92 times as large.
#[test]
fn identical_visits_do_not_grow_and_each_nodule_has_one_row() {
    let at = |volume: f64| [([0.0; 3], volume), ([60.0, 0.0, -40.0], 3.0 * volume)];
    let visit = |visit: &str, date: &str| {
        [("thin", 1.0, 100.0), ("thick", 5.0, 192.0)].map(|(name, thickness_mm, volume)| {
            FollowUpScan {
                study_instance_uid: Some(visit.to_owned()),
                slice_thickness_mm: Some(thickness_mm),
                ..scan(&format!("{visit} {name}"), date, &at(volume))
            }
        })
    };
    let scans = [visit("1", "2025-01-01"), visit("2", "2025-07-01")].concat();
    let found = rows(&scans);
    assert_eq!(found.len(), 2);
    for row in &found {
        assert_eq!((row.change_percent, row.significant), (Some(0.0), Some(false)));
        assert_eq!(row.series_instance_uid, "2 thin");
        assert!(row.alike && row.differences.is_empty());
        assert_eq!(row.other_series_instance_uids, ["1 thick", "2 thick"]);
    }
    // With unlike reconstructions alone, the change is flagged and says nothing of growth.
    let found = rows(&[scans[0].clone(), scans[3].clone()]);
    assert_eq!(found.len(), 2);
    for row in &found {
        assert!((row.change_percent.unwrap() - 92.0).abs() < 1e-9);
        assert_eq!((row.alike, row.significant, row.doubling_days), (false, None, None));
        assert_eq!(row.differences, ["slices are 1 and 5 mm thick"]);
    }
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
        let found = compare(&rule, &a, &b, &[]);
        let shown = |row: &Growth| [&row.nodule_id, &row.earlier_nodule_id].into_iter().flatten().count();
        prop_assert_eq!(found.iter().map(shown).sum::<usize>(), before.len() + after.len());
        prop_assert!(found.iter().all(|row| row.matched == row.reason.is_none()));
        prop_assert!(found.iter().all(|row| row.distance_mm.is_none_or(|mm| mm <= 15.0)));

        let shifted = |(p, v): &([f64; 3], f64)| (std::array::from_fn(|n| p[n] + shift[n]), *v);
        let mut elsewhere =
            scan("b", "2025-02-01", &after.iter().map(shifted).collect::<Vec<_>>());
        elsewhere.lungs = Some(moved(&BOX, shift));
        prop_assert_eq!(pairs(&compare(&rule, &a, &elsewhere, &[])), pairs(&found));

        let mut back: Vec<_> =
            pairs(&compare(&rule, &b, &a, &[])).into_iter().map(|(b, a)| (a, b)).collect();
        back.sort();
        prop_assert_eq!(back, pairs(&found));
    }
}

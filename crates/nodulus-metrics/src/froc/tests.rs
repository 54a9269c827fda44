//! FROC curves by hand and beside the steps of LUNA16.

use super::*;
use serde::Deserialize;

fn nodule(scan: usize, x: f64) -> ReferenceMark {
    ReferenceMark { scan, centre_mm: [x, 0.0, 0.0], diameter_mm: Some(6.0), included: true }
}

fn detection(scan: usize, x: f64, confidence: f64) -> Detection {
    Detection { scan, position_mm: [x, 0.0, 0.0], confidence }
}

fn sensitivities_at(froc: &FrocCurve) -> Vec<f64> {
    froc.points.iter().map(|point| point.sensitivity).collect()
}

#[test]
fn the_reference_detects_itself() {
    let marks: Vec<ReferenceMark> = (0..9).map(|n| nodule(n / 2, 50.0 * n as f64)).collect();
    let detections: Vec<Detection> =
        marks.iter().map(|f| detection(f.scan, f.centre_mm[0], 1.0)).collect();
    let few = froc(29, &marks, &detections, 1).unwrap();
    assert_eq!((few.points[0].sensitivity, few.points[0].interval), (1.0, None));
    let found = froc(30, &marks, &detections, 1).unwrap();
    assert_eq!(sensitivities_at(&found), [1.0; 7]);
    assert_eq!((found.n_detected, found.n_nodules), (9, 9));
    assert_eq!((found.detections.n_hits, found.detections.n_false_positives), (9, 0));
    for point in found.points {
        assert_eq!((point.resampled_mean, point.interval), (Some(1.0), Some([1.0, 1.0])));
    }
}

#[test]
fn a_curve_by_hand() {
    // Two scans with two nodules each, and a mark of another kind 100 mm away.
    let mut marks = vec![nodule(0, 0.0), nodule(0, 20.0), nodule(1, 0.0), nodule(1, 20.0)];
    let point = ReferenceMark { diameter_mm: None, included: false, ..nodule(0, 100.0) };
    marks.push(point);
    let detections = [
        detection(0, 0.0, 0.9),
        // A second detection of the same nodule: it counts once, with the higher confidence.
        detection(0, 1.0, 0.95),
        // At the distance of the radius, it is not a hit.
        detection(0, 23.0, 0.8),
        // On the other mark: 4.9 mm from a point with a diameter of 10 mm.
        detection(0, 104.9, 0.99),
        detection(1, 20.0, 0.5),
        detection(1, 60.0, 0.3),
        // An unknown scan.
        detection(7, 0.0, 1.0),
    ];
    let found = froc(2, &marks, &detections, 1).unwrap();
    assert_eq!(found.n_detected, 2);
    let expected = DetectionCounts {
        n_all: 6,
        n_hits: 3,
        n_repeated: 1,
        n_ignored: 1,
        n_false_positives: 2,
        ..DetectionCounts::default()
    };
    assert_eq!(found.detections, expected);
    // Points (0, 0), (0, 1/4), (1/2, 1/4), (1/2, 2/4), (1, 2/4): at 1/2 the last one counts.
    assert_eq!(sensitivities_at(&found), [0.25, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5]);
    assert!((found.mean_sensitivity - (0.25 * 2.0 + 0.5 * 5.0) / 7.0).abs() < 1e-12);
}

#[test]
fn tied_scores_make_one_straight_piece() {
    let found = froc(1, &[nodule(0, 0.0)], &[detection(0, 0.0, 0.5), detection(0, 50.0, 0.5)], 1);
    let found = found.unwrap();
    assert_eq!(sensitivities_at(&found), [0.125, 0.25, 0.5, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(found.n_tied, 1);
    // The false positive first: nothing is detected below one false positive in the scan.
    let expected = [4.0 / 7.0, 1.0].map(f64::to_bits);
    assert_eq!(found.mean_sensitivity_of_ties.map(f64::to_bits), expected);
}

#[test]
fn of_many_detections_those_above_the_hundred_and_first_count() {
    let many = |n: usize| -> Vec<Detection> {
        (0..n).map(|n| detection(0, 10.0 * n as f64, -(n as f64))).collect()
    };
    let marks = [nodule(0, 1000.0)];
    assert_eq!(froc(1, &marks, &many(101), 1).unwrap().n_detected, 0);
    for (n, n_missed_by_limit) in [(100, 0), (101, 1), (500, 1)] {
        let found = froc(1, &marks, &many(n), 1).unwrap();
        let counts = found.detections;
        assert_eq!(counts.n_false_positives, 100);
        assert_eq!((counts.n_all, counts.n_over_limit, counts.n_over_limit_tied), (n, n - 100, 0));
        assert_eq!(counts.n_scans_over_limit, usize::from(n > 100));
        assert_eq!(found.n_missed_by_limit, n_missed_by_limit);
    }
}

#[test]
fn detections_that_tie_with_the_hundred_and_first_are_counted() {
    // 30 above, 90 that tie, and 10 below: of the 90, 70 are among the first 100.
    let confidence = |n: usize| {
        if n < 30 {
            2.0
        } else if n < 120 {
            1.0
        } else {
            0.0
        }
    };
    let detections: Vec<Detection> =
        (0..130).map(|n| detection(0, 10.0 * n as f64, confidence(n))).collect();
    let marks = [nodule(0, 0.0), nodule(0, 500.0), nodule(0, 1250.0), nodule(0, 5000.0)];
    let found = froc(1, &marks, &detections, 1).unwrap();
    let counts = found.detections;
    assert_eq!((counts.n_over_limit, counts.n_over_limit_tied), (100, 70));
    assert_eq!((counts.n_hits, counts.n_false_positives), (1, 29));
    assert_eq!((found.n_detected, found.n_missed_by_limit), (1, 2));
}

#[test]
fn a_detection_of_two_nodules_is_one_hit() {
    let found = froc(1, &[nodule(0, 0.0), nodule(0, 1.0)], &[detection(0, 0.5, 1.0)], 1).unwrap();
    assert_eq!((found.n_detected, found.detections.n_hits), (2, 1));
    assert_eq!((found.detections.n_shared, found.detections.n_repeated), (1, 0));
}

#[test]
fn nothing_to_detect_is_no_curve() {
    assert_eq!(froc(0, &[], &[], 1), None);
    assert_eq!(froc(3, &[], &[detection(0, 0.0, 1.0)], 1), None);
    let none = froc(1, &[nodule(0, 0.0)], &[], 1).unwrap();
    assert_eq!((sensitivities_at(&none), none.n_nodules), (vec![0.0; 7], 1));
}

/// Numbers of `tests/golden/froc.py`, which follows LUNA16's script step by step.
#[derive(Deserialize)]
struct Golden {
    n_scans: usize,
    findings: Vec<(usize, [f64; 3], f64, bool)>,
    detections: Vec<(usize, [f64; 3], f64)>,
    counts: [usize; 4],
    /// Scans over the limit; detections over it, and those lost by a tie; nodules missed by it; hits, and shared ones.
    account: [usize; 6],
    /// Mean sensitivity with ties in the worst and in the best order.
    ties: [f64; 2],
    sensitivity: [f64; 7],
    mean: [f64; 7],
    low: [f64; 7],
    high: [f64; 7],
}

#[test]
fn agrees_with_the_steps_of_luna16() {
    let cases: Vec<Golden> =
        serde_json::from_str(include_str!("../../../../tests/golden/froc.json")).unwrap();
    assert_eq!(cases.len(), 5);
    for golden in cases {
        let marks: Vec<ReferenceMark> = golden
            .findings
            .iter()
            .map(|&(scan, centre_mm, diameter, included)| {
                let diameter_mm = (diameter > 0.0).then_some(diameter);
                ReferenceMark { scan, centre_mm, diameter_mm, included }
            })
            .collect();
        let detections: Vec<Detection> = golden
            .detections
            .iter()
            .map(|&(scan, position_mm, confidence)| Detection { scan, position_mm, confidence })
            .collect();
        let found = froc(golden.n_scans, &marks, &detections, 1).unwrap();
        let DetectionCounts { n_false_positives, n_ignored, n_repeated, .. } = found.detections;
        let counts = [found.n_detected, n_false_positives, n_ignored, n_repeated];
        assert_eq!(counts, golden.counts);
        let counts = found.detections;
        let all = counts.n_over_limit + counts.n_hits + n_ignored + n_false_positives;
        assert_eq!(all, counts.n_all);
        let account = [
            counts.n_scans_over_limit,
            counts.n_over_limit,
            counts.n_over_limit_tied,
            found.n_missed_by_limit,
            counts.n_hits,
            counts.n_shared,
        ];
        assert_eq!(account, golden.account);
        let [worst, best] = found.mean_sensitivity_of_ties;
        for (own, other) in [worst, best].into_iter().zip(golden.ties) {
            assert!((own - other).abs() < 1e-9, "{own} {other}");
        }
        assert!(worst <= found.mean_sensitivity + 1e-12 && found.mean_sensitivity <= best + 1e-12);
        for (n, point) in found.points.into_iter().enumerate() {
            assert!((point.sensitivity - golden.sensitivity[n]).abs() < 1e-9, "{point:?}");
            // The resamples differ, so the values scatter.
            assert!((point.resampled_mean.unwrap() - golden.mean[n]).abs() < 0.02);
            assert_eq!(point.interval.is_some(), golden.n_scans >= MIN_SCANS);
            let Some([low, high]) = point.interval else { continue };
            let (low, high) = (low - golden.low[n], high - golden.high[n]);
            assert!(low.abs() < 0.05 && high.abs() < 0.05, "{point:?}: {low} {high}");
        }
    }
}

//! Numbers of `tests/golden/metrics.py` (`MedPy`, MONAI and `SciPy` on the same masks) and of
//! `tests/golden/statistics_by_patient.py` (`SciPy` on the same differences).

use super::interval::{Interval, UNBOUNDED};
use super::mask_metrics::measure;
use super::metric::Metric;
use super::sign_flip::{RANDOM_FLIPS, sign_flip};
use super::summary::{MetricValue, summarise};
use nodulus_formats::volume::Mask;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    scores: Vec<Pair>,
}

#[derive(Deserialize)]
struct Statistics {
    paired: Vec<Paired>,
    summary: Sample,
}

#[derive(Deserialize)]
struct Pair {
    size: [usize; 3],
    spacing_mm: [f64; 3],
    prediction: Ellipsoid,
    reference: Ellipsoid,
    scores: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Ellipsoid {
    centre: [i64; 3],
    radii: [i64; 3],
    seed: u32,
    flips: u32,
}

#[derive(Deserialize)]
struct Paired {
    sums: Vec<f64>,
    is_exact: bool,
    p: f64,
}

#[derive(Deserialize)]
struct Sample {
    values: Vec<f64>,
    patients: Vec<usize>,
    mean: f64,
    sd: f64,
    median: f64,
    interval: [f64; 2],
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/golden/metrics.json")).unwrap()
}

fn statistics() -> Statistics {
    let text = include_str!("../../../tests/golden/statistics_by_patient.json");
    serde_json::from_str(text).unwrap()
}

impl Ellipsoid {
    fn mask(&self, size: [usize; 3]) -> Mask {
        let volume: i64 = self.radii.iter().product();
        Mask::from_fn(size, |i, j, k| {
            let voxel = [i, j, k];
            let total: i64 = (0..3)
                .map(|a| {
                    let d = 2 * voxel[a] as i64 - self.centre[a];
                    (d * (volume / self.radii[a])).pow(2)
                })
                .sum();
            let hash = voxel.iter().fold(self.seed, |h, x| {
                let h = (h ^ *x as u32).wrapping_mul(0x9E37_79B1);
                h ^ (h >> 15)
            });
            (total <= volume * volume) != (hash % 1000 < self.flips)
        })
    }
}

#[test]
fn scores_agree_with_medpy_and_monai() {
    let golden = golden();
    assert_eq!(golden.scores.len(), 36);
    for pair in golden.scores {
        let (prediction, reference) =
            (pair.prediction.mask(pair.size), pair.reference.mask(pair.size));
        let found = measure(&prediction, &reference, pair.spacing_mm);
        for (name, count) in [
            ("true_positive", found.true_positive),
            ("false_positive", found.false_positive),
            ("false_negative", found.false_negative),
        ] {
            assert_eq!(count, pair.scores[name] as u64, "{name}");
        }
        for metric in Metric::ALL {
            let (found, expected) = (metric.of(&found).unwrap(), pair.scores[metric.name()]);
            assert!(
                (found - expected).abs() < 1e-9,
                "{} of {:?} at {:?}: {found}, expected {expected}",
                metric.name(),
                pair.size,
                pair.spacing_mm
            );
        }
    }
}

#[test]
fn paired_tests_agree_with_scipy() {
    let paired = statistics().paired;
    assert_eq!(paired.len(), 9);
    for pair in paired {
        let found = sign_flip(&pair.sums, 1).unwrap();
        assert_eq!(found.is_exact, pair.is_exact);
        // Five standard errors of a random p.
        let error = (pair.p * (1.0 - pair.p) / RANDOM_FLIPS as f64).sqrt();
        let tolerance = if pair.is_exact { 1e-12 } else { 5.0 * error };
        let n = pair.sums.len();
        assert!((found.p - pair.p).abs() < tolerance, "n = {n}: {}, expected {}", found.p, pair.p);
    }
}

#[test]
fn summaries_agree_with_scipy() {
    let expected = statistics().summary;
    let patients: Vec<String> = expected.patients.iter().map(ToString::to_string).collect();
    let cases: Vec<MetricValue<'_>> = expected
        .values
        .iter()
        .zip(&patients)
        .map(|(value, patient)| MetricValue {
            patient,
            value: Some(*value),
            missed: false,
            worst: 0.0,
        })
        .collect();
    let found = summarise(&cases, UNBOUNDED, 1);
    assert!((found.mean.unwrap() - expected.mean).abs() < 1e-12);
    assert!((found.sd.unwrap() - expected.sd).abs() < 1e-12);
    assert!((found.median.unwrap() - expected.median).abs() < 1e-12);
    // An end of 1,999 resamples scatters by 2% of the width from that of 200,000, the mean of 20 seeds by 0.5%.
    let width = expected.interval[1] - expected.interval[0];
    let intervals = (0..20).map(|seed| summarise(&cases, UNBOUNDED, seed).interval);
    let ends: Vec<[f64; 2]> = intervals
        .map(|found| match found {
            Interval::Ends(ends) => ends,
            other => panic!("{other:?}"),
        })
        .collect();
    for (n, expected) in expected.interval.into_iter().enumerate() {
        let found = ends.iter().map(|ends| ends[n]).sum::<f64>() / 20.0;
        assert!((found - expected).abs() < 0.015 * width, "{found}, expected {expected}");
    }
}

//! Numbers of `tests/golden/metrics.py`: `MedPy`, MONAI and `SciPy` on the same masks.

use super::mask_metrics::measure;
use super::metric::Metric;
use super::summary::{MetricValue, summarise};
use super::wilcoxon::wilcoxon;
use nodulus_formats::volume::Mask;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    scores: Vec<Pair>,
    wilcoxon: Vec<Paired>,
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
    differences: Vec<f64>,
    statistic: f64,
    p: f64,
}

#[derive(Deserialize)]
struct Sample {
    values: Vec<f64>,
    mean: f64,
    sd: f64,
    median: f64,
    interval: [f64; 2],
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/golden/metrics.json")).unwrap()
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
    for pair in golden().wilcoxon {
        let found = wilcoxon(&pair.differences).unwrap();
        let n = pair.differences.len();
        assert!((found.statistic - pair.statistic).abs() < 1e-9, "n = {n}");
        let error = (found.p - pair.p).abs() / pair.p;
        assert!(error < 1e-9, "n = {n}: {}, expected {}", found.p, pair.p);
    }
}

#[test]
fn summaries_agree_with_scipy() {
    let expected = golden().summary;
    let patients: Vec<String> = (0..expected.values.len()).map(|n| n.to_string()).collect();
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
    let found = summarise(&cases, 1);
    assert!((found.mean.unwrap() - expected.mean).abs() < 1e-12);
    assert!((found.sd.unwrap() - expected.sd).abs() < 1e-12);
    assert!((found.median.unwrap() - expected.median).abs() < 1e-12);
    // 2,000 resamples compared with 200,000: the ends scatter by a few percent of the width.
    let width = expected.interval[1] - expected.interval[0];
    for (found, expected) in found.interval.unwrap().into_iter().zip(expected.interval) {
        assert!((found - expected).abs() < 0.05 * width, "{found}, expected {expected}");
    }
}

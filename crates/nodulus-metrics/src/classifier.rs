//! Discrimination and calibration of probabilities.

use super::bootstrap::{self, PatientSums, PointEstimate};
use super::interval::Interval;
use std::collections::BTreeMap;

/// Number of calibration bins, of equal width.
pub const BINS: usize = 10;

/// A case of a classifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassifierCase<'a> {
    /// The patient, who is resampled as a whole.
    pub patient: &'a str,
    /// Predicted probability, from 0 to 1.
    pub probability: f64,
    /// Whether the case is positive.
    pub truth: bool,
}

/// A number with its 95% interval by patient.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The number; `None` where it is undefined.
    pub value: Option<f64>,
    /// Its interval: see [`bootstrap::interval`].
    pub interval: Interval,
}

/// Discrimination and calibration of predicted probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassifierMetrics {
    /// Cases.
    pub n: u64,
    /// Their patients.
    pub n_patients: u64,
    /// Area under the ROC curve; undefined where all cases are of one class.
    pub auc: Estimate,
    /// Mean squared error of the probabilities (Brier 1950); undefined without a case.
    pub brier: Estimate,
    /// Expected calibration error; undefined without a case.
    pub ece: Estimate,
}

/// Evaluates predicted probabilities of cases, in any number and order.
///
/// `seed` determines the bootstrap's resamples.
///
/// METHOD: the area is the Mann-Whitney statistic, where a tie counts half, as in scikit-learn. ECE
/// (Guo et al. 2017) uses ten bins of equal width, [0, 0.1], (0.1, 0.2], …: the mean over cases of
/// the difference between the share of positive cases in a bin and the bin's mean probability.
/// Intervals come from a bootstrap over patients rather than from `DeLong`, since slices of one
/// patient are not independent.
pub fn classify(cases: &[ClassifierCase<'_>], seed: u64) -> ClassifierMetrics {
    let mut patients: BTreeMap<&str, ProbabilityTally> = BTreeMap::new();
    for case in cases {
        patients.entry(case.patient).or_default().add(case);
    }
    let indices: BTreeMap<&str, usize> =
        patients.keys().enumerate().map(|(n, patient)| (*patient, n)).collect();
    let mut ranked: Vec<RankedCase> =
        cases.iter().map(|case| (case.probability, case.truth, indices[case.patient])).collect();
    // Sums of floats depend on their order, which must not reach the results.
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let (mut squares, mut bins) = (PatientSums::new(2), PatientSums::new(1 + BINS));
    for tally in patients.into_values().map(ProbabilityTally::ordered) {
        squares.push(&[tally.n, tally.squared]);
        bins.push(&std::array::from_fn::<f64, { 1 + BINS }, _>(|n| match n {
            0 => tally.n,
            n => tally.bins[n - 1],
        }));
    }
    let n_patients = indices.len();
    let curve = RocCurve::new(ranked, n_patients);
    let estimate = |sums: &PatientSums, of: fn(&[f64]) -> Option<f64>| Estimate {
        value: of(&sums.total()),
        interval: sums.interval([0.0, 1.0], seed, of),
    };
    ClassifierMetrics {
        n: cases.len() as u64,
        n_patients: n_patients as u64,
        auc: Estimate {
            value: curve.area(&vec![1; n_patients]).map(|area| area.value),
            interval: bootstrap::interval(n_patients, [0.0, 1.0], seed, |times| {
                let area = curve.area(times)?;
                PointEstimate::by_jackknife(area.value, times, |n| area.without(n, &curve))
            }),
        },
        brier: estimate(&squares, brier),
        ece: estimate(&bins, ece),
    }
}

/// Mean of squares from their number and their sum.
fn brier(sums: &[f64]) -> Option<f64> {
    (sums[0] > 0.5).then(|| sums[1] / sums[0])
}

/// Calibration error from the number of cases and each bin's sum of truth minus probability.
fn ece(sums: &[f64]) -> Option<f64> {
    let off: f64 = sums[1..].iter().map(|bin| bin.abs()).sum();
    (sums[0] > 0.5).then(|| off / sums[0])
}

/// Probability, truth and index of the patient.
type RankedCase = (f64, bool, usize);

/// Cases in ascending order of probability.
struct RocCurve {
    ranked: Vec<RankedCase>,
    patients: Vec<RocPatient>,
}

/// A patient's own cases.
#[derive(Clone, Copy, Default)]
struct RocPatient {
    n_true: i64,
    n_false: i64,
    /// Twice the number of the patient's pairs that are ordered correctly; a tie counts half.
    own_doubled: i64,
}

/// The area for patients that were each drawn some number of times.
struct RocArea {
    value: f64,
    n_true: i64,
    n_false: i64,
    /// Twice the number of pairs that are ordered correctly; a tie counts half.
    doubled: i64,
    /// The same of the pairs that one copy of each patient has with all cases.
    of_patient: Vec<i64>,
}

impl RocCurve {
    fn new(ranked: Vec<RankedCase>, n_patients: usize) -> Self {
        let mut patients = vec![RocPatient::default(); n_patients];
        for tied in ranked.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            // Negatives come first: those of the same patient that are tied are known when a positive comes.
            let before: Vec<i64> = tied.iter().map(|case| patients[case.2].n_false).collect();
            for (case, before) in tied.iter().zip(before) {
                let patient = &mut patients[case.2];
                if case.1 {
                    patient.n_true += 1;
                    patient.own_doubled += before + patient.n_false;
                } else {
                    patient.n_false += 1;
                }
            }
        }
        Self { ranked, patients }
    }

    /// `None` where all cases are of one class.
    fn area(&self, times: &[u32]) -> Option<RocArea> {
        let total = |of: fn(&RocPatient) -> i64| -> i64 {
            self.patients.iter().zip(times).map(|(patient, n)| of(patient) * i64::from(*n)).sum()
        };
        let (n_true, n_false) = (total(|p| p.n_true), total(|p| p.n_false));
        let (mut true_below, mut false_below, mut doubled) = (0, 0, 0);
        let mut of_patient = vec![0; times.len()];
        for tied in self.ranked.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            let of = |truth: bool| -> i64 {
                let of_class = tied.iter().filter(|case| case.1 == truth);
                of_class.map(|case| i64::from(times[case.2])).sum()
            };
            let (yes, no) = (of(true), of(false));
            // A positive case beats the negative ones below it, and half of those tied with it.
            doubled += yes * (2 * false_below + no);
            for case in tied {
                of_patient[case.2] += if case.1 {
                    2 * false_below + no
                } else {
                    2 * (n_true - true_below - yes) + yes
                };
            }
            true_below += yes;
            false_below += no;
        }
        let value = share(doubled, n_true, n_false)?;
        Some(RocArea { value, n_true, n_false, doubled, of_patient })
    }
}

impl RocArea {
    /// The area without one copy of a patient.
    fn without(&self, patient: usize, curve: &RocCurve) -> Option<f64> {
        let own = curve.patients[patient];
        // The pairs within the copy are among both its positive and its negative cases' pairs.
        let doubled = self.doubled - self.of_patient[patient] + own.own_doubled;
        share(doubled, self.n_true - own.n_true, self.n_false - own.n_false)
    }
}

fn share(doubled: i64, n_true: i64, n_false: i64) -> Option<f64> {
    (n_true > 0 && n_false > 0).then(|| doubled as f64 / (2.0 * n_true as f64 * n_false as f64))
}

/// Index of a probability's bin: [0, 0.1], (0.1, 0.2], …
fn bin_of(probability: f64) -> usize {
    ((probability * BINS as f64).ceil() as usize).clamp(1, BINS) - 1
}

/// A reliability diagram, filled case by case with the bins of the calibration error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReliabilityDiagram {
    /// The bins, from 0 to 1.
    pub bins: [ReliabilityBin; BINS],
}

/// The cases whose probability lies in one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReliabilityBin {
    /// Cases.
    pub n: u64,
    /// Positive cases.
    pub n_true: u64,
    /// Sum of the probabilities.
    pub probabilities: f64,
}

impl ReliabilityDiagram {
    /// Adds a case.
    #[inline]
    pub fn add(&mut self, probability: f64, truth: bool) {
        self.add_many(probability, 1, truth);
    }

    /// Adds a number of cases with the same probability.
    #[inline]
    pub fn add_many(&mut self, probability: f64, n: u64, truth: bool) {
        let bin = &mut self.bins[bin_of(probability)];
        bin.n += n;
        bin.n_true += if truth { n } else { 0 };
        bin.probabilities += n as f64 * probability;
    }

    /// Adds the cases of another diagram.
    pub fn merge(&mut self, other: &Self) {
        for (bin, other) in self.bins.iter_mut().zip(&other.bins) {
            bin.n += other.n;
            bin.n_true += other.n_true;
            bin.probabilities += other.probabilities;
        }
    }
}

impl ReliabilityBin {
    /// Mean of the probabilities; `None` without a case.
    pub fn mean_probability(&self) -> Option<f64> {
        (self.n > 0).then(|| self.probabilities / self.n as f64)
    }

    /// Share of positive cases; `None` without a case.
    pub fn share_true(&self) -> Option<f64> {
        (self.n > 0).then(|| self.n_true as f64 / self.n as f64)
    }
}

/// The expected calibration error of pixels, from each patient's diagram of them, in any order; undefined without a pixel.
///
/// METHOD: as for cases ([`classify`]), with every pixel as a case. Patients are resampled, since the pixels of one are not
/// independent.
pub fn calibration_error(patients: &[ReliabilityDiagram], seed: u64) -> Estimate {
    let mut rows: Vec<[f64; 1 + BINS]> = Vec::with_capacity(patients.len());
    for diagram in patients {
        let mut row = [0.0; 1 + BINS];
        for (off, bin) in row[1..].iter_mut().zip(&diagram.bins) {
            *off = bin.n_true as f64 - bin.probabilities;
        }
        row[0] = diagram.bins.iter().map(|bin| bin.n).sum::<u64>() as f64;
        rows.push(row);
    }
    // Sums of floats depend on their order, which must not reach the results.
    rows.sort_unstable_by(|a, b| {
        let pairs = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
        pairs.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    let mut sums = PatientSums::new(1 + BINS);
    for row in &rows {
        sums.push(row);
    }
    Estimate { value: ece(&sums.total()), interval: sums.interval([0.0, 1.0], seed, ece) }
}

/// Sums over some cases for the Brier score and the calibration error.
#[derive(Clone, Debug, Default)]
struct ProbabilityTally {
    n: f64,
    squares: Vec<f64>,
    squared: f64,
    /// Sum of truth minus probability in each bin.
    bins: [f64; BINS],
    differences: Vec<(usize, f64)>,
}

impl ProbabilityTally {
    fn add(&mut self, case: &ClassifierCase<'_>) {
        let difference = f64::from(u8::from(case.truth)) - case.probability;
        self.n += 1.0;
        self.squares.push(difference * difference);
        self.differences.push((bin_of(case.probability), difference));
    }

    /// Sums up in an order that does not depend on the order of the cases.
    fn ordered(mut self) -> Self {
        self.squares.sort_unstable_by(f64::total_cmp);
        self.squared = self.squares.drain(..).sum();
        self.differences.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for (bin, difference) in self.differences.drain(..) {
            self.bins[bin] += difference;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(patient: &str, probability: f64, truth: bool) -> ClassifierCase<'_> {
        ClassifierCase { patient, probability, truth }
    }

    fn assert_close(found: Option<f64>, expected: f64) {
        assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}, expected {expected}");
    }

    #[test]
    fn four_cases_by_hand() {
        let cases = [
            judged("a", 0.9, true),
            judged("a", 0.4, true),
            judged("b", 0.4, false),
            judged("b", 0.15, false),
        ];
        let found = classify(&cases, 1);
        // Of four pairs three are ordered correctly and one is tied.
        assert_close(found.auc.value, 3.5 / 4.0);
        assert_close(found.brier.value, (0.01 + 0.36 + 0.16 + 0.0225) / 4.0);
        // The bins of 0.9, of 0.4 (twice) and of 0.15 are off by 0.1, 0.6 - 0.4 and 0.15.
        assert_close(found.ece.value, (0.1 + 0.2 + 0.15) / 4.0);
        assert_eq!(found.n, 4);
        assert_eq!((found.n_patients, found.auc.interval), (2, Interval::TooFewPatients));
    }

    #[test]
    fn pixels_have_the_calibration_error_of_cases() {
        let pixels = [("a", 0.9, true), ("a", 0.35, true), ("b", 0.35, false), ("b", 0.9, true)];
        let cases: Vec<_> = pixels.map(|(p, probability, t)| judged(p, probability, t)).into();
        let diagram = |patient: &str| {
            let mut diagram = ReliabilityDiagram::default();
            let own = pixels.iter().filter(|(of, ..)| *of == patient);
            own.for_each(|(_, probability, truth)| diagram.add(*probability, *truth));
            diagram
        };
        let found = calibration_error(&[diagram("a"), diagram("b")], 1);
        assert_close(found.value, classify(&cases, 1).ece.value.unwrap());
        assert_eq!(found, calibration_error(&[diagram("b"), diagram("a")], 1));
        assert_eq!(calibration_error(&[], 1).value, None);
        let mut both = diagram("a");
        both.merge(&diagram("b"));
        assert_close(calibration_error(&[both], 1).value, found.value.unwrap());
    }

    #[test]
    fn the_diagram_has_the_bins_of_the_calibration_error() {
        let cases =
            [(0.0, false), (0.1, true), (0.35, true), (0.4, false), (0.8, true), (1.0, true)];
        let mut reliability = ReliabilityDiagram::default();
        for (probability, truth) in &cases {
            reliability.add(*probability, *truth);
        }
        let filled: Vec<(usize, u64, u64)> = (0..BINS)
            .map(|bin_index| {
                (bin_index, reliability.bins[bin_index].n, reliability.bins[bin_index].n_true)
            })
            .filter(|(_, n, _)| *n > 0)
            .collect();
        assert_eq!(filled, [(0, 2, 1), (3, 2, 1), (7, 1, 1), (9, 1, 1)]);
        let off = |bin: &ReliabilityBin| {
            Some(bin.n as f64 * (bin.share_true()? - bin.mean_probability()?).abs())
        };
        let ece: f64 = reliability.bins.iter().filter_map(off).sum::<f64>() / cases.len() as f64;
        let judged: Vec<ClassifierCase<'_>> =
            cases.iter().map(|(p, t)| judged("a", *p, *t)).collect();
        assert_close(classify(&judged, 1).ece.value, ece);
        assert_eq!(
            (ReliabilityBin::default().share_true(), ReliabilityBin::default().mean_probability()),
            (None, None)
        );
    }

    #[test]
    fn one_kind_alone_has_no_area() {
        let found = classify(&[judged("a", 0.9, true), judged("b", 1.0, true)], 1);
        assert_eq!(found.auc, Estimate::default());
        assert_close(found.brier.value, 0.005);
        assert_eq!(classify(&[], 1), ClassifierMetrics::default());
    }

    #[test]
    fn order_does_not_matter() {
        let names: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        let cases: Vec<ClassifierCase<'_>> = (0..96)
            .map(|n| judged(&names[n % 12], ((n * 37) % 64) as f64 / 63.0, (n * 29) % 7 > 3))
            .collect();
        let reversed: Vec<ClassifierCase<'_>> = cases.iter().rev().copied().collect();
        let found = classify(&cases, 5);
        assert_eq!(found, classify(&reversed, 5));
        let Interval::Ends([low, high]) = found.auc.interval else { panic!("{found:?}") };
        assert!(low < found.auc.value.unwrap() && found.auc.value.unwrap() < high);
    }

    /// Numbers of `tests/golden/classifier.py`.
    #[derive(serde::Deserialize)]
    struct Golden {
        probability: Vec<f64>,
        truth: Vec<bool>,
        patient: Vec<usize>,
        auc: f64,
        brier: f64,
        ece: f64,
        auc_interval: [f64; 2],
        brier_interval: [f64; 2],
        ece_interval: [f64; 2],
    }

    #[test]
    fn agrees_with_scikit_learn() {
        let all: Vec<Golden> =
            serde_json::from_str(include_str!("../../../tests/golden/classifier.json")).unwrap();
        assert_eq!(all.len(), 2);
        for golden in all {
            let names: Vec<String> = golden.patient.iter().map(ToString::to_string).collect();
            let cases: Vec<ClassifierCase<'_>> = (0..names.len())
                .map(|n| judged(&names[n], golden.probability[n], golden.truth[n]))
                .collect();
            let found = classify(&cases, 1);
            assert_close(found.auc.value, golden.auc);
            assert_close(found.brier.value, golden.brier);
            assert_close(found.ece.value, golden.ece);
            // 1,999 resamples compared with 20,000: the ends scatter by a few percent of the width.
            for (found, expected) in [
                (found.auc, golden.auc_interval),
                (found.brier, golden.brier_interval),
                (found.ece, golden.ece_interval),
            ] {
                let width = expected[1] - expected[0];
                let Interval::Ends(ends) = found.interval else { panic!("{found:?}") };
                for (found, expected) in ends.into_iter().zip(expected) {
                    assert!(
                        (found - expected).abs() < 0.06 * width,
                        "{found}, expected {expected}"
                    );
                }
            }
        }
    }
}

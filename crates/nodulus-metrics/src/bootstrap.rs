//! Bootstrap intervals over patients.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::BTreeMap;

/// Number of resamples.
pub const RESAMPLES: usize = 2_000;
/// Quantiles of the resampled values at the interval's ends.
const ENDS: [f64; 2] = [0.025, 0.975];

/// 95% interval of the mean of values, each with its patient; `None` for fewer than two patients.
///
/// The order of patients makes no difference, and that of one patient's values only to rounding.
/// Patients without a value are not drawn.
///
/// METHOD: see [`interval`].
pub fn mean_interval(values: &[(&str, f64)], seed: u64) -> Option<[f64; 2]> {
    let mut patients: BTreeMap<&str, (f64, u64)> = BTreeMap::new();
    for (patient, value) in values {
        let (sum, n) = patients.entry(patient).or_default();
        *sum += value;
        *n += 1;
    }
    let patients: Vec<(f64, u64)> = patients.into_values().collect();
    interval(patients.len(), seed, |drawn| {
        let (mut sum, mut n) = (0.0, 0);
        for &patient in drawn {
            sum += patients[patient].0;
            n += patients[patient].1;
        }
        Some(sum / n as f64)
    })
}

/// 95% interval of a statistic that `of` computes for patients, given by their indices below
/// `n_patients`; `None` for fewer than two patients.
///
/// METHOD: percentile bootstrap (Efron and Tibshirani 1993, chapter 13): 2,000 resamples of whole
/// patients with replacement, because the nodules of one patient are not independent, and ends by
/// linear interpolation. A resample without a value could lie past either end: if one in 40 or more
/// has none, there is no interval; fewer are excluded.
pub fn interval(
    n_patients: usize,
    seed: u64,
    mut of: impl FnMut(&[usize]) -> Option<f64>,
) -> Option<[f64; 2]> {
    if n_patients < 2 {
        return None;
    }
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    // Drawn as 32 bits, to be the same on machines of every word size.
    let below = u32::try_from(n_patients).ok()?;
    let mut drawn = vec![0; n_patients];
    let mut values: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            drawn.fill_with(|| random.random_range(0..below) as usize);
            of(&drawn)
        })
        .collect();
    if (RESAMPLES - values.len()) as f64 >= ENDS[0] * RESAMPLES as f64 {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    Some(ENDS.map(|share| {
        let position = share * (values.len() - 1) as f64;
        let (low, high) = (values[position.floor() as usize], values[position.ceil() as usize]);
        low + (high - low) * position.fract()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|n| format!("p{n:04}")).collect()
    }

    #[test]
    fn agrees_with_the_normal_interval_of_many_patients() {
        // 400 values evenly spaced in 0..1: mean 0.5, deviation 1/√12.
        let names = names(400);
        let values: Vec<(&str, f64)> = names
            .iter()
            .enumerate()
            .map(|(n, name)| (name.as_str(), (n as f64 + 0.5) / 400.0))
            .collect();
        let [low, high] = mean_interval(&values, 7).unwrap();
        let half = 1.959_964 / (12f64.sqrt() * 20.0);
        // The ends of 2,000 resamples scatter by a few percent of the half width.
        assert!((low - (0.5 - half)).abs() < 0.1 * half, "{low}");
        assert!((high - (0.5 + half)).abs() < 0.1 * half, "{high}");
    }

    #[test]
    fn a_patient_is_drawn_whole() {
        // Two patients: the mean is 0, 0.5 or 1, and a quarter of the resamples give 0 and 1 each.
        let values: Vec<(&str, f64)> = (0..50).flat_map(|_| [("a", 0.0), ("b", 1.0)]).collect();
        assert_eq!(mean_interval(&values, 1), Some([0.0, 1.0]));
    }

    #[test]
    fn one_patient_has_no_interval() {
        assert_eq!(mean_interval(&[], 1), None);
        assert_eq!(mean_interval(&[("a", 0.1), ("a", 0.9)], 1), None);
    }

    #[test]
    fn the_seed_decides() {
        let names = names(20);
        let values: Vec<(&str, f64)> =
            names.iter().enumerate().map(|(n, name)| (name.as_str(), (n * n) as f64)).collect();
        assert_eq!(mean_interval(&values, 3), mean_interval(&values, 3));
        assert_ne!(mean_interval(&values, 3), mean_interval(&values, 4));
    }

    #[test]
    fn resamples_without_a_value_are_left_out_while_they_are_few() {
        // One resample in n has no value.
        let every = |n: usize| {
            let mut drawn = 0;
            interval(20, 1, |patients| {
                drawn += 1;
                (drawn % n > 0).then(|| patients[0] as f64)
            })
        };
        assert_eq!(every(40), None);
        assert_eq!(every(41), Some([0.0, 19.0]));
    }

    proptest! {
        #[test]
        fn the_interval_lies_within_the_values(
            values in prop::collection::vec(-10.0..10.0f64, 2..40),
            seed in any::<u64>(),
        ) {
            let names = names(values.len());
            let pairs: Vec<(&str, f64)> =
                names.iter().map(String::as_str).zip(values.iter().copied()).collect();
            let [low, high] = mean_interval(&pairs, seed).unwrap();
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(least - 1e-9 <= low && low <= high && high <= most + 1e-9);
        }
    }
}

//! Prints how often the tests call no difference significant, and how often the intervals cover the true mean.
//!
//! ```sh
//! cargo run --release -p nodulus-metrics --example error_rates
//! ```
//!
//! Takes two minutes. The tables in `docs/metrics.md` are its output.

#![expect(clippy::print_stdout, reason = "an example prints its figures")]

mod cohorts;

use cohorts::{Cohorts, Values, named, names};
use nodulus_metrics::Interval;
use nodulus_metrics::bootstrap::mean_interval;
use nodulus_metrics::interval::{MIN_PATIENTS_OF_INTERVAL, MIN_PATIENTS_OF_TEST, UNBOUNDED};
use nodulus_metrics::sign_flip::sign_flip;

/// Simulated cohorts for each coverage, which has a standard error of 0.0034 about 0.95.
const COHORTS: u32 = 4_000;
const PATIENTS: [usize; 3] = [MIN_PATIENTS_OF_TEST, 11, 30];
const OF_INTERVALS: [usize; 3] = [MIN_PATIENTS_OF_INTERVAL, 11, 30];
const CORRELATIONS: [f64; 3] = [0.0, 0.3, 0.6];

fn main() {
    println!("| differences | ICC | test | 6 patients | 11 patients | 30 patients |");
    println!("|---|---:|---|---:|---:|---:|");
    for values in [Values::Normal, Values::Skewed] {
        for icc in CORRELATIONS {
            let rates = PATIENTS.map(|n| error_rates(values, n, icc));
            for (test, name) in ["patients", "nodules"].into_iter().enumerate() {
                let [a, b, c] = rates.map(|rates| rates[test]);
                println!("| {} | {icc} | {name} | {a:.3} | {b:.3} | {c:.3} |", values.name());
            }
        }
    }
    println!("\n| values | ICC | 8 patients | 11 patients | 30 patients |");
    println!("|---|---:|---:|---:|---:|");
    for values in [Values::Normal, Values::Dice, Values::Distance] {
        for icc in CORRELATIONS {
            let [a, b, c] = OF_INTERVALS.map(|n| coverage(values, n, icc));
            println!("| {} | {icc} | {a:.3} | {b:.3} | {c:.3} |", values.name());
        }
    }
}

/// Share of cohorts without a difference that have p under 0.05: by patient, and with each nodule as its own patient.
fn error_rates(values: Values, n_patients: usize, icc: f64) -> [f64; 2] {
    [(10_000, true), (1_000, false)].map(|(n_cohorts, by_patient)| {
        let mut cohorts = Cohorts::new(1);
        let is_significant = |seed: u32| {
            let cohort = cohorts.next(values, n_patients, icc);
            let value = |(_, value): &(usize, f64)| *value;
            let differences: Vec<f64> = if by_patient {
                let of_patients = cohort.chunk_by(|a, b| a.0 == b.0);
                of_patients.map(|nodules| nodules.iter().map(value).sum()).collect()
            } else {
                cohort.iter().map(value).collect()
            };
            sign_flip(&differences, u64::from(seed)).is_some_and(|test| test.p < 0.05)
        };
        let n_significant: u32 = (0..n_cohorts).map(is_significant).map(u32::from).sum();
        f64::from(n_significant) / f64::from(n_cohorts)
    })
}

/// Share of cohorts whose interval holds the true mean.
fn coverage(values: Values, n_patients: usize, icc: f64) -> f64 {
    let (mut cohorts, names, mean) = (Cohorts::new(2), names(n_patients), values.mean());
    let covers = |seed: u32| {
        let cohort = cohorts.next(values, n_patients, icc);
        match mean_interval(&named(&cohort, &names), UNBOUNDED, u64::from(seed)) {
            Interval::Ends([low, high]) => low <= mean && mean <= high,
            _ => false,
        }
    };
    f64::from((0..COHORTS).map(covers).map(u32::from).sum::<u32>()) / f64::from(COHORTS)
}

//! The error rate of the test and the coverage of the interval, in few simulated cohorts; the example `error_rates` has
//! the same in many.

#[path = "../examples/error_rates/cohorts.rs"]
#[expect(dead_code, reason = "the example makes more kinds of values")]
mod cohorts;

use cohorts::{Cohorts, Values, named, names};
use nodulus_metrics::Interval;
use nodulus_metrics::bootstrap::mean_interval;
use nodulus_metrics::interval::{MIN_PATIENTS_OF_INTERVAL, UNBOUNDED};
use nodulus_metrics::paired::paired;

const COHORTS: u32 = 400;

/// Three standard errors of a share in [`COHORTS`] cohorts.
fn scatter(share: f64) -> f64 {
    3.0 * (share * (1.0 - share) / f64::from(COHORTS)).sqrt()
}

fn share(mut holds: impl FnMut(u64) -> bool) -> f64 {
    let n: u32 = (0..COHORTS).map(|seed| u32::from(holds(u64::from(seed)))).sum();
    f64::from(n) / f64::from(COHORTS)
}

#[test]
fn no_difference_is_seldom_significant_where_nodules_share_patients() {
    for n_patients in [6, 11, 30] {
        let (mut cohorts, names) = (Cohorts::new(1), names(n_patients));
        let rate = share(|seed| {
            let cohort = cohorts.next(Values::Normal, n_patients, 0.6);
            let found = paired(&named(&cohort, &names), UNBOUNDED, seed);
            found.test.is_some_and(|test| test.p < 0.05)
        });
        assert!(rate <= 0.05 + scatter(0.05), "{n_patients} patients: {rate}");
        // A test that never rejects would pass the line above.
        assert!(rate >= 0.01, "{n_patients} patients: {rate}");
    }
}

#[test]
fn intervals_cover_the_mean_as_often_as_they_say() {
    for (values, icc, least) in [(Values::Normal, 0.3, 0.94), (Values::Dice, 0.6, 0.93)] {
        for n_patients in [MIN_PATIENTS_OF_INTERVAL, 11, 30] {
            let (mut cohorts, names, mean) = (Cohorts::new(2), names(n_patients), values.mean());
            let coverage = share(|seed| {
                let cohort = cohorts.next(values, n_patients, icc);
                match mean_interval(&named(&cohort, &names), UNBOUNDED, seed) {
                    Interval::Ends([low, high]) => low <= mean && mean <= high,
                    _ => false,
                }
            });
            let case = (values.name(), n_patients);
            assert!(coverage >= least - scatter(least), "{case:?}: {coverage}");
            assert!(coverage <= 0.95 + scatter(0.95), "{case:?}: {coverage}");
        }
    }
}

#[test]
fn a_large_cohort_takes_seconds() {
    let (n_patients, n_nodules) = (20_000, 100_000);
    let names = names(n_patients);
    let values: Vec<(&str, f64)> = (0..n_nodules)
        .map(|n| (names[(n * 7) % n_patients].as_str(), ((n * 37) % 1000) as f64 / 1000.0 - 0.4))
        .collect();
    let start = std::time::Instant::now();
    let found = paired(&values, UNBOUNDED, 1);
    assert_eq!((found.n_nodules, found.n_patients), (100_000, 20_000));
    assert!(found.test.is_some() && found.interval.low().is_some());
    // 0.8 s in release mode on one core.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

//! Agreement of readers in several ratings of the same subjects.

use super::bootstrap::{self, Statistic};
use super::fleiss::{self, RatingAgreement, RatingCounts};
use super::krippendorff::{self, OrdinalAgreement};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A rating of subjects, each with its patient.
pub struct RatedSubjects<'a> {
    /// The subjects, in any number and order.
    pub subjects: Vec<(&'a str, &'a RatingCounts)>,
    /// Whether its categories have an order.
    pub is_ordinal: bool,
}

/// A rating with whether it is the coefficient of ordered categories, and its statistic.
type Sought<'a> = ((usize, bool), Statistic<'a>);

/// [`fleiss::agreement`] of each rating and, for an ordinal one, [`krippendorff::ordinal_agreement`], in the order of the
/// ratings.
///
/// All intervals of as many patients come from the same resamples, which are drawn once.
pub fn agreements(
    ratings: &[RatedSubjects<'_>],
    seed: u64,
) -> Vec<(RatingAgreement, Option<OrdinalAgreement>)> {
    let (mut found, kappas): (Vec<_>, Vec<_>) = ratings
        .par_iter()
        .map(|rating| {
            let (kappa, statistic) = fleiss::without_interval(&rating.subjects);
            let ordinal =
                rating.is_ordinal.then(|| krippendorff::without_interval(&rating.subjects));
            let (alpha, of_alpha) = match ordinal.flatten() {
                Some((alpha, n_patients, statistic)) => (alpha, Some((n_patients, statistic))),
                None => (None, None),
            };
            let ordinal = rating
                .is_ordinal
                .then(|| OrdinalAgreement { alpha, ..OrdinalAgreement::default() });
            ((kappa, ordinal), (statistic, of_alpha))
        })
        .unzip();
    // By number of patients: which rating each statistic is of, and whether it is the alpha.
    let mut sought: BTreeMap<usize, Vec<Sought<'_>>> = BTreeMap::new();
    for (n, (kappa, alpha)) in kappas.into_iter().enumerate() {
        let n_patients = found[n].0.n_patients as usize;
        sought.entry(n_patients).or_default().push(((n, false), kappa));
        if let Some((n_patients, alpha)) = alpha {
            sought.entry(n_patients).or_default().push(((n, true), alpha));
        }
    }
    for (n_patients, sought) in sought {
        let (places, statistics): (Vec<_>, Vec<_>) = sought.into_iter().unzip();
        let intervals = bootstrap::intervals(n_patients, seed, statistics);
        for ((n, is_alpha), interval) in places.into_iter().zip(intervals) {
            let (kappa, ordinal) = &mut found[n];
            match ordinal.as_mut().filter(|_| is_alpha) {
                Some(ordinal) => ordinal.interval = interval,
                None => kappa.interval = interval,
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_together_agree_as_each_does_alone() {
        let counts = |n: usize, scale: usize| -> RatingCounts {
            [n % scale, (n * n + n / 3) % scale].iter().fold(
                RatingCounts::new(),
                |mut counts, at| {
                    *counts.entry(*at as i64).or_default() += 1;
                    counts
                },
            )
        };
        let names: Vec<String> = (0..30).map(|n| format!("p{:02}", n / 2)).collect();
        let rated: Vec<[RatingCounts; 2]> = (0..30).map(|n| [counts(n, 5), counts(n, 3)]).collect();
        let of = |rating: usize, n: usize| -> Vec<(&str, &RatingCounts)> {
            names.iter().zip(&rated).take(n).map(|(name, r)| (name.as_str(), &r[rating])).collect()
        };
        // The third has fewer patients, and the last none.
        let ratings = [(0, 30, true), (1, 30, false), (1, 20, true), (0, 0, true)]
            .map(|(rating, n, is_ordinal)| RatedSubjects { subjects: of(rating, n), is_ordinal });
        let found = agreements(&ratings, 4);
        for (rating, (kappa, ordinal)) in ratings.iter().zip(&found) {
            assert_eq!(*kappa, fleiss::agreement(&rating.subjects, 4));
            let alone =
                rating.is_ordinal.then(|| krippendorff::ordinal_agreement(&rating.subjects, 4));
            assert_eq!(*ordinal, alone);
        }
        assert!(
            found[0].0.interval.low().is_some()
                && found[2].1.is_some_and(|o| o.interval.low().is_some())
        );
        assert_ne!(found[0].0.interval, found[1].0.interval);
    }
}

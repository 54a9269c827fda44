//! Simulated differences and metrics of nodules that share patients.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// Numbers of nodules that patients have, in turn: unequal, as in LIDC-IDRI.
const SIZES: [usize; 15] = [1, 1, 2, 3, 6, 9, 1, 4, 2, 11, 1, 2, 5, 1, 3];

/// What the values of the nodules look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// Normal, with mean 0.
    Normal,
    /// As Dice: logistic about 0.77, of which 7% are missed and 0.
    Dice,
    /// As distances: log-normal, with a long tail.
    Distance,
    /// Log-normal minus its mean: a mean difference of 0 that is skewed.
    Skewed,
}

impl Values {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Dice => "like Dice",
            Self::Distance => "like distance",
            Self::Skewed => "skewed",
        }
    }

    fn of(self, z: f64, missed: bool) -> f64 {
        match self {
            Self::Normal => z,
            Self::Dice if missed => 0.0,
            Self::Dice => 1.0 / (1.0 + (-1.2 - 0.9 * z).exp()),
            Self::Distance => (0.7 * z).exp(),
            Self::Skewed => (0.7 * z).exp() - 0.245f64.exp(),
        }
    }

    /// The true mean: over the normal distribution by the trapezoidal rule.
    pub(crate) fn mean(self) -> f64 {
        let step = 1e-3;
        let weighted = (-8000..=8000).map(|n| {
            let z = f64::from(n) * step;
            let density = (-z * z / 2.0).exp() * step / std::f64::consts::TAU.sqrt();
            density * ((1.0 - MISSED) * self.of(z, false) + MISSED * self.of(z, true))
        });
        weighted.sum()
    }
}

/// Share of missed nodules where a value is like Dice.
const MISSED: f64 = 0.07;

/// A series of cohorts.
pub(crate) struct Cohorts {
    random: ChaCha12Rng,
}

impl Cohorts {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: ChaCha12Rng::seed_from_u64(seed) }
    }

    /// The next cohort: each nodule's patient, below `n_patients`, and value. `icc` is the intraclass correlation of the
    /// normal values before they are transformed.
    pub(crate) fn next(
        &mut self,
        values: Values,
        n_patients: usize,
        icc: f64,
    ) -> Vec<(usize, f64)> {
        let mut cohort = Vec::new();
        for patient in 0..n_patients {
            let shared = self.normal();
            for _ in 0..SIZES[patient % SIZES.len()] {
                let z = icc.sqrt() * shared + (1.0 - icc).sqrt() * self.normal();
                let missed = self.random.random::<f64>() < MISSED;
                cohort.push((patient, values.of(z, missed)));
            }
        }
        cohort
    }

    /// A standard normal number (Box and Muller).
    fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.random.random::<f64>(), self.random.random::<f64>());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

/// The same with names of patients.
pub(crate) fn named<'a>(cohort: &[(usize, f64)], names: &'a [String]) -> Vec<(&'a str, f64)> {
    cohort.iter().map(|(patient, value)| (names[*patient].as_str(), *value)).collect()
}

/// Names for as many patients as there may be.
pub(crate) fn names(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("p{n:04}")).collect()
}

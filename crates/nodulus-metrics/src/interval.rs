//! A 95% interval, or why there is none.

/// Fewest patients for which a test is given.
///
/// METHOD: with five patients, no test by patients can reach 0.05: of the 2⁵ patterns of signs, two are the most extreme,
/// so that p is at least 0.0625. With six it is 0.031.
pub const MIN_PATIENTS_OF_TEST: usize = 6;

/// Fewest patients for which an interval is given.
///
/// METHOD: intervals of few patients keep their coverage only by their width. This is the least number with which, at every
/// simulated correlation of a patient's nodules, fewer than one in ten 95% intervals of a mean Dice are wider than nine
/// tenths of what a Dice can be: with six up to 22% are, with seven 16%, with eight 6%, with eleven 2% (docs/metrics.md).
pub const MIN_PATIENTS_OF_INTERVAL: usize = 8;

/// Range of a statistic without limits.
pub const UNBOUNDED: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

/// A 95% interval by patient, or why there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Interval {
    /// Its lower and upper end.
    Ends([f64; 2]),
    /// There are fewer than [`MIN_PATIENTS_OF_INTERVAL`] patients with a value.
    #[default]
    TooFewPatients,
    /// The statistic itself, or the statistic without one patient, is undefined.
    Undefined,
    /// Patients do not differ, or do not in one resample of 20 or more: their spread is unknown.
    NoSpread,
    /// It would hold every value that the statistic can have.
    WholeRange,
}

impl Interval {
    /// The lower end.
    pub const fn low(self) -> Option<f64> {
        match self {
            Self::Ends([low, _]) => Some(low),
            _ => None,
        }
    }

    /// The upper end.
    pub const fn high(self) -> Option<f64> {
        match self {
            Self::Ends([_, high]) => Some(high),
            _ => None,
        }
    }

    /// Why there is no interval, as tables say it; `None` where there is one.
    pub fn missing_reason(self) -> Option<String> {
        match self {
            Self::Ends(_) => None,
            Self::TooFewPatients => Some(too_few_patients(MIN_PATIENTS_OF_INTERVAL)),
            Self::Undefined => Some("undefined".to_owned()),
            Self::NoSpread => Some("patients do not differ enough".to_owned()),
            Self::WholeRange => Some("any value is possible".to_owned()),
        }
    }
}

/// Why there is no interval or no test for fewer than `least` patients, as tables say it.
pub fn too_few_patients(least: usize) -> String {
    format!("fewer than {least} patients")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_ends_or_a_reason() {
        let found = Interval::Ends([1.0, 2.0]);
        assert_eq!(
            (found.low(), found.high(), found.missing_reason()),
            (Some(1.0), Some(2.0), None)
        );
        let missing = [
            Interval::TooFewPatients,
            Interval::Undefined,
            Interval::NoSpread,
            Interval::WholeRange,
        ];
        for missing in missing {
            assert_eq!((missing.low(), missing.high()), (None, None));
            assert!(missing.missing_reason().is_some());
        }
        let few = Interval::TooFewPatients.missing_reason();
        assert_eq!(few.as_deref(), Some("fewer than 8 patients"));
    }
}

//! A 95% interval, or why there is none.

/// Fewest patients for which an interval or a test is given.
///
/// METHOD: with five patients, no test by patients can reach 0.05: of the 2⁵ patterns of signs, two are the most extreme,
/// so that p is at least 0.0625. With six it is 0.031. Intervals of fewer patients keep their coverage only by being
/// two to five times as wide as those of eleven (docs/metrics.md), so the same number holds for them.
pub const MIN_PATIENTS: usize = 6;

/// Range of a statistic without limits.
pub const UNBOUNDED: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

/// A 95% interval by patient, or why there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Interval {
    /// Its lower and upper end.
    Ends([f64; 2]),
    /// There are fewer than [`MIN_PATIENTS`] patients with a value.
    #[default]
    TooFewPatients,
    /// The statistic itself, or the statistic without one patient, is undefined.
    Undefined,
    /// Patients do not differ, or do not in one resample of 20 or more: their spread is unknown.
    NoSpread,
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
            Self::TooFewPatients => Some(too_few_patients()),
            Self::Undefined => Some("undefined".to_owned()),
            Self::NoSpread => Some("patients do not differ enough".to_owned()),
        }
    }
}

/// Why there is neither interval nor test for fewer than [`MIN_PATIENTS`] patients, as tables say it.
pub fn too_few_patients() -> String {
    format!("fewer than {MIN_PATIENTS} patients")
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
        for missing in [Interval::TooFewPatients, Interval::Undefined, Interval::NoSpread] {
            assert_eq!((missing.low(), missing.high()), (None, None));
            assert!(missing.missing_reason().is_some());
        }
        assert_eq!(too_few_patients(), "fewer than 6 patients");
    }
}

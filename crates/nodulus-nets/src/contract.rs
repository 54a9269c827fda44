//! A checkpoint's contract: what its weights were trained on, which whoever uses them has to keep to.

use super::phase::Phase;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far two windows may differ and be the same one, HU: numbers that went through a text.
const SAME_HU: f64 = 1e-6;

/// Share by which a spacing may lie past the trained range: headers round it to a few digits.
const SAME_SPACING: f64 = 0.01;

/// What weights were trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Windows of Hounsfield units of the training regions, by cohort; those of the last phase first.
    pub windows: Vec<TrainedWindow>,
    /// The regions.
    pub region: TrainedRegion,
    /// Spacings of the last phase's training regions.
    pub spacing: TrainedSpacing,
    /// The phases with the settings of loss, rate and flips, in order.
    pub phases: Vec<TrainedPhase>,
    /// Who trained and validated the weights.
    pub trained_on: TrainedOnSummary,
}

/// A window of Hounsfield units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HuWindow {
    /// Value that became 0.
    pub low_hu: f64,
    /// Value that became 1.
    pub high_hu: f64,
}

/// The window of a cohort's training regions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainedWindow {
    /// The cohort.
    pub cohort: String,
    /// Its window.
    pub window: HuWindow,
    /// Whether the cohort is one of the last phase, to which the weights were fitted last.
    pub is_of_last_phase: bool,
}

/// How the training regions were cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainedRegion {
    /// Rows and columns.
    pub size: usize,
    /// Distance between the pixels that every region was resampled to; none where each kept its scan's.
    pub spacing_mm: Option<f64>,
    /// Hounsfield units of pixels outside the image.
    pub padding_hu: i16,
}

/// Ranges of spacings, from the least to the greatest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainedSpacing {
    /// Distance between a region's pixels along i and j.
    pub in_plane_mm: [f64; 2],
    /// Distance between slices.
    pub slices_mm: [f64; 2],
}

/// A phase of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainedPhase {
    /// Its name.
    pub name: String,
    /// Its cohorts.
    pub cohorts: Vec<String>,
    /// Its settings.
    pub schedule: Phase,
}

/// Who trained and validated weights, in numbers; the keyed hashes are in a file beside the weights
/// ([`TrainedOn`](crate::TrainedOn)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainedOnSummary {
    /// SHA-256 of that file.
    pub sha256: String,
    /// Patients that the weights learnt from, without those of the initial weights.
    pub n_training_patients: u64,
    /// Patients that epochs were chosen on, without those of the initial weights.
    pub n_validation_patients: u64,
    /// Whether the initial weights, or those before them, name nobody whom they were trained on.
    pub has_unlisted_initial: bool,
}

/// An example where a description holds no window.
const LUNG_WINDOW: HuWindow = HuWindow { low_hu: -1000.0, high_hu: 400.0 };

impl HuWindow {
    /// Whether two windows are the same.
    pub fn is_same(self, other: Self) -> bool {
        (self.low_hu - other.low_hu).abs() <= SAME_HU
            && (self.high_hu - other.high_hu).abs() <= SAME_HU
    }
}

impl std::fmt::Display for HuWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {} HU", self.low_hu, self.high_hu)
    }
}

impl Contract {
    /// The window for scans of a cohort: that of the training cohort of this name, or the one window of all training
    /// cohorts. `None` where these have several: the scans' scale of intensity decides then.
    pub fn window_for(&self, cohort: Option<&str>) -> Option<HuWindow> {
        let named = self.windows.iter().find(|trained| Some(trained.cohort.as_str()) == cohort);
        if let Some(named) = named {
            return Some(named.window);
        }
        let first = self.windows.first()?.window;
        self.windows.iter().all(|other| other.window.is_same(first)).then_some(first)
    }

    /// Whether scans of a cohort may have a window: that of the training cohort of this name, or one of the last
    /// phase's.
    ///
    /// METHOD: the weights were fitted last to the last phase; earlier phases prepare for it.
    pub fn has_window(&self, cohort: Option<&str>, window: HuWindow) -> bool {
        self.windows.iter().any(|trained| {
            let is_of_scans = trained.is_of_last_phase || Some(trained.cohort.as_str()) == cohort;
            is_of_scans && trained.window.is_same(window)
        })
    }

    /// The windows in words, as `0 to 1000 HU (clinical), -1000 to 400 HU (luna16, an earlier phase)`.
    pub fn windows_text(&self) -> String {
        let text = |trained: &TrainedWindow| {
            let earlier = if trained.is_of_last_phase { "" } else { ", an earlier phase" };
            format!("{} ({}{earlier})", trained.window, trained.cohort)
        };
        self.windows.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    /// A window that needs no further permission, as a setting's value: the first of the last phase.
    pub fn window_example(&self) -> String {
        let last = self.windows.iter().find(|trained| trained.is_of_last_phase);
        let window = last.or(self.windows.first()).map_or(LUNG_WINDOW, |trained| trained.window);
        format!("{{ low_hu = {}, high_hu = {} }}", window.low_hu, window.high_hu)
    }

    /// Whether a region's spacing along i, j, k lies in the trained range.
    pub fn has_spacing(&self, [i, j, k]: [f64; 3]) -> bool {
        let is_in = |value: f64, [low, high]: [f64; 2]| {
            (low * (1.0 - SAME_SPACING)..=high * (1.0 + SAME_SPACING)).contains(&value)
        };
        let TrainedSpacing { in_plane_mm, slices_mm } = self.spacing;
        is_in(i, in_plane_mm) && is_in(j, in_plane_mm) && is_in(k, slices_mm)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn contract(windows: &[(&str, f64, f64, bool)]) -> Contract {
        let trained = |(cohort, low_hu, high_hu, is_of_last_phase): &(&str, f64, f64, bool)| {
            let window = HuWindow { low_hu: *low_hu, high_hu: *high_hu };
            TrainedWindow {
                cohort: (*cohort).to_owned(),
                window,
                is_of_last_phase: *is_of_last_phase,
            }
        };
        Contract {
            windows: windows.iter().map(trained).collect(),
            region: TrainedRegion { size: 32, spacing_mm: None, padding_hu: -1000 },
            spacing: TrainedSpacing { in_plane_mm: [0.5, 0.9], slices_mm: [1.0, 2.5] },
            phases: Vec::new(),
            trained_on: TrainedOnSummary {
                sha256: String::new(),
                n_training_patients: 1,
                n_validation_patients: 0,
                has_unlisted_initial: false,
            },
        }
    }

    const LUNG: HuWindow = HuWindow { low_hu: -1000.0, high_hu: 400.0 };
    const WIDE: HuWindow = HuWindow { low_hu: 0.0, high_hu: 1000.0 };

    #[test]
    fn the_window_is_that_of_the_cohort_or_the_only_one() {
        let two_phases =
            contract(&[("clinical", 0.0, 1000.0, true), ("luna16", -1000.0, 400.0, false)]);
        assert_eq!([two_phases.window_for(None), two_phases.window_for(Some("other"))], [None; 2]);
        let one = contract(&[("a", 0.0, 1000.0, true), ("b", 0.0, 1000.0, false)]);
        assert_eq!(one.window_for(None), Some(WIDE));
        assert_eq!(two_phases.window_for(Some("luna16")), Some(LUNG));
        assert!(two_phases.has_window(Some("other"), WIDE) && !two_phases.has_window(None, LUNG));
        assert!(!two_phases.has_window(Some("other"), LUNG));
        assert!(two_phases.has_window(Some("luna16"), LUNG));
        assert_eq!(
            two_phases.windows_text(),
            "0 to 1000 HU (clinical), -1000 to 400 HU (luna16, an earlier phase)"
        );
        let together =
            contract(&[("clinical", 0.0, 1000.0, true), ("luna16", -1000.0, 400.0, true)]);
        assert_eq!(together.window_for(None), None);
        assert_eq!(together.window_for(Some("clinical")), Some(WIDE));
        assert!(together.has_window(None, LUNG) && together.has_window(None, WIDE));
    }

    #[test]
    fn a_spacing_may_be_rounded_and_no_more() {
        let contract = contract(&[]);
        assert!(
            contract.has_spacing([0.7, 0.7, 1.25]) && contract.has_spacing([0.4951, 0.908, 2.52])
        );
        assert!(!contract.has_spacing([0.49, 0.7, 1.0]) && !contract.has_spacing([0.7, 0.92, 1.0]));
        assert!(
            !contract.has_spacing([0.7, 0.7, 5.0]) && !contract.has_spacing([f64::NAN, 0.7, 1.0])
        );
    }
}

//! Whether regions are made as those that the weights were trained on.

use super::config::Config;
use nodulus_nets::{Contract, HuWindow};

/// How the regions of a cohort are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocessing<'a> {
    /// The cohort; none where scans belong to none.
    pub cohort: Option<&'a str>,
    /// Rows and columns.
    pub size: usize,
    /// Window.
    pub window: HuWindow,
    /// Hounsfield units outside the image.
    pub padding_hu: i16,
    /// Distance between pixels; none where each region keeps its scan's.
    pub spacing_mm: Option<f64>,
}

/// The settings that say how regions are made, for messages.
#[derive(Clone, Copy, Debug)]
pub struct SettingNames<'a> {
    /// The section of window, padding and spacing.
    pub section: &'a str,
    /// The setting that allows another preprocessing.
    pub allows: &'a str,
}

/// Regions are made otherwise than the weights were trained with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// In a way that a setting can allow.
    #[error(
        "{what}, but the weights were trained with {trained}: set {setting} to that or leave it out, or set `{allows} = true`; \
         tables, report and messages then say so"
    )]
    Value {
        /// What was found.
        what: String,
        /// What was expected.
        trained: String,
        /// The setting.
        setting: String,
        /// The setting that allows it.
        allows: String,
    },
    /// In their size, which the network cannot take.
    #[error(
        "{found} × {found} pixels is the size of the regions, but the weights were trained with {trained} × {trained}: set \
         `crop.size` to {trained} or leave it out"
    )]
    Size {
        /// Rows and columns found.
        found: usize,
        /// Rows and columns of the training regions.
        trained: usize,
    },
}

impl Preprocessing<'_> {
    /// The first way in which these regions contradict a contract; `None` where they keep to it.
    pub fn contradiction(
        &self,
        contract: &Contract,
        names: SettingNames<'_>,
    ) -> Option<Contradiction> {
        let SettingNames { section, allows } = names;
        let of = self.cohort.map_or(String::new(), |cohort| format!(" of cohort `{cohort}`"));
        let value = |what: String, trained: String, setting: String| {
            Some(Contradiction::Value { what, trained, setting, allows: allows.to_owned() })
        };
        let region = &contract.region;
        if self.size != region.size {
            return Some(Contradiction::Size { found: self.size, trained: region.size });
        }
        if !contract.has_window(self.cohort, self.window) {
            let what = format!("{} is the window of the regions{of}", self.window);
            let setting = match self.cohort {
                Some(cohort) => format!("`{section}.windows.{cohort}` (or `{section}.window`)"),
                None => format!("`{section}.window`"),
            };
            return value(what, contract.windows_text(), setting);
        }
        if self.padding_hu != region.padding_hu {
            let what = format!("{} HU is the padding of the regions{of}", self.padding_hu);
            let trained = format!("{} HU", region.padding_hu);
            return value(what, trained, format!("`{section}.padding_hu`"));
        }
        let same = match (self.spacing_mm, region.spacing_mm) {
            (None, None) => true,
            (Some(found), Some(trained)) => (found - trained).abs() < 1e-9,
            _ => false,
        };
        if !same {
            let text = |mm: Option<f64>| {
                mm.map_or("each scan's own spacing".to_owned(), |mm| {
                    format!("pixels {mm} mm apart")
                })
            };
            let what = format!("the regions{of} have {}", text(self.spacing_mm));
            return value(what, text(region.spacing_mm), format!("`{section}.spacing_mm`"));
        }
        None
    }
}

impl Config {
    /// The settings' names in a pipeline file.
    pub const NAMES: SettingNames<'static> =
        SettingNames { section: "crop", allows: "infer.allow_other_preprocessing" };
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_nets::{TrainedOnSummary, TrainedRegion, TrainedSpacing, TrainedWindow};

    fn contract() -> Contract {
        let window = |cohort: &str, low_hu, high_hu, is_of_last_phase| TrainedWindow {
            cohort: cohort.to_owned(),
            window: HuWindow { low_hu, high_hu },
            is_of_last_phase,
        };
        Contract {
            windows: vec![
                window("clinical", 0.0, 1000.0, true),
                window("luna16", -1000.0, 400.0, false),
            ],
            region: TrainedRegion { size: 64, spacing_mm: None, padding_hu: -1000 },
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

    const KEPT: Preprocessing<'static> = Preprocessing {
        cohort: Some("lidc"),
        size: 64,
        window: HuWindow { low_hu: 0.0, high_hu: 1000.0 },
        padding_hu: -1000,
        spacing_mm: None,
    };

    #[test]
    fn both_values_and_the_settings_are_named() {
        let message = |made: Preprocessing<'_>| {
            made.contradiction(&contract(), Config::NAMES).map(|found| found.to_string())
        };
        assert_eq!(message(KEPT), None);
        let lung = HuWindow { low_hu: -1000.0, high_hu: 400.0 };
        assert_eq!(message(Preprocessing { cohort: Some("luna16"), window: lung, ..KEPT }), None);
        for (made, expected) in [
            (
                Preprocessing { window: lung, ..KEPT },
                "-1000 to 400 HU is the window of the regions of cohort `lidc`, but the weights were trained with 0 to 1000 \
                 HU (clinical), -1000 to 400 HU (luna16, an earlier phase): set `crop.windows.lidc` (or `crop.window`) to \
                 that or leave it out, or set `infer.allow_other_preprocessing = true`; tables, report and messages then \
                 say so",
            ),
            (
                Preprocessing { padding_hu: 0, ..KEPT },
                "0 HU is the padding of the regions of cohort `lidc`, but the weights were trained with -1000 HU: set \
                 `crop.padding_hu`",
            ),
            (
                Preprocessing { size: 128, ..KEPT },
                "128 × 128 pixels is the size of the regions, but the weights were trained with 64 × 64: set `crop.size` to 64",
            ),
            (
                Preprocessing { spacing_mm: Some(0.7), ..KEPT },
                "the regions of cohort `lidc` have pixels 0.7 mm apart, but the weights were trained with each scan's own",
            ),
        ] {
            let message = message(made).unwrap();
            assert!(message.starts_with(expected), "{message}\n{expected}");
        }
    }
}

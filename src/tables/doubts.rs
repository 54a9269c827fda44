//! Doubts: reasons why a prediction may look better or worse than it is, in the columns `doubts`.

/// A reason to doubt a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// The weights learnt from the patient, series or image.
    TrainingPatient,
    /// Epochs of the weights were chosen on the patient, series or image.
    ValidationPatient,
    /// The settings of the prediction were chosen on the nodule itself.
    TunedOnScored,
    /// The weights, or those that they started from, do not say whom they learnt from.
    UnlistedPatients,
    /// The region has another window, padding or pixel spacing than the weights were trained with.
    OtherPreprocessing,
    /// The weights do not say how their regions were made.
    UncheckedPreprocessing,
    /// The scan's spacing lies outside the range of the scans that the weights learnt from.
    OtherSpacing,
    /// The mask reaches the first or last slice of the region, or is looked for no further, although the scan goes on.
    MaskAtRegionEnd,
}

impl Doubt {
    /// Every doubt, the gravest first.
    pub const ALL: [Self; 8] = [
        Self::TrainingPatient,
        Self::ValidationPatient,
        Self::TunedOnScored,
        Self::UnlistedPatients,
        Self::OtherPreprocessing,
        Self::UncheckedPreprocessing,
        Self::OtherSpacing,
        Self::MaskAtRegionEnd,
    ];

    /// Its name in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TrainingPatient => "training_patient",
            Self::ValidationPatient => "validation_patient",
            Self::TunedOnScored => "tuned_on_scored",
            Self::UnlistedPatients => "unlisted_patients",
            Self::OtherPreprocessing => "other_preprocessing",
            Self::UncheckedPreprocessing => "unchecked_preprocessing",
            Self::OtherSpacing => "other_spacing",
            Self::MaskAtRegionEnd => "mask_at_region_end",
        }
    }

    /// The doubt with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|doubt| doubt.name() == name)
    }

    /// What it means for some nodules of a model, as a sentence.
    pub fn sentence(self, model_id: &str, n: usize, n_nodules: usize) -> String {
        format!("`{model_id}`: {n} of {n_nodules} nodules {}", self.text())
    }

    /// What it means for the nodules that have it, as the end of a sentence.
    pub const fn text(self) -> &'static str {
        match self {
            Self::TrainingPatient => {
                "are of patients that the weights learnt from: their figures say nothing about new patients"
            }
            Self::ValidationPatient => {
                "are of patients that epochs of the weights were chosen on: their figures are too good"
            }
            Self::TunedOnScored => {
                "are among those that its threshold or settings were chosen on: their figures are too good"
            }
            Self::UnlistedPatients => {
                "may be of patients that the weights learnt from: the weights, or those that they started from, do not say"
            }
            Self::OtherPreprocessing => {
                "have another window, padding or pixel spacing than the weights were trained with"
            }
            Self::UncheckedPreprocessing => {
                "have a window, padding and spacing that nobody checked: the weights do not say what they were trained with"
            }
            Self::OtherSpacing => {
                "have a spacing outside the range of the scans that the weights learnt from"
            }
            Self::MaskAtRegionEnd => {
                "have a mask that may go on past the first or last slice of their region, where nothing is measured (`score` \
                 follows a network's to its end): a larger `crop.margin_slices` measures the rest"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_in_their_order() {
        for doubt in Doubt::ALL {
            assert_eq!(Doubt::from_name(doubt.name()), Some(doubt));
        }
        assert!(Doubt::ALL.is_sorted());
    }
}

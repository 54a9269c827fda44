//! Drift: how the nodules of a night differ from those of the model's training cohort.

use crate::nightly::settings::ScoreSettings;
use crate::tables::{Drift, Score};
use nodulus_metrics::distribution::MIN_VALUES;
use nodulus_metrics::{Distribution, shift};
use nodulus_nets::{
    MEAN_HU_EDGES, PROBABILITY_EDGES, PredictionProfile, TrainingProfile, VOLUME_EDGES_MM3,
};
use std::collections::BTreeMap;

/// The measurements of a scored nodule that are compared. Nodules of superseded results have none.
#[derive(Clone, Debug, PartialEq)]
pub struct NoduleMeasurements {
    /// Day of scoring, YYYY-MM-DD.
    pub night: String,
    /// Model that scored it.
    pub model_id: String,
    /// Probability of nodule; `None` where the network has no classifier.
    pub probability: Option<f64>,
    /// Volume; 0 without a mask.
    pub volume_mm3: f64,
    /// Mean HU; `None` without a mask.
    pub mean_hu: Option<f64>,
    /// How its mask was made; `None` in a result of an earlier version, which did not say.
    pub mask_rule: Option<MaskRule>,
}

/// How a nodule's mask is made of probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskRule {
    /// Least probability of a voxel.
    pub threshold: f64,
    /// Components that it keeps, as `score.component`.
    pub component: String,
    /// Greatest distance from the centre to its nearest voxel, mm.
    pub reach_mm: f64,
}

impl MaskRule {
    /// The rule in columns that all have a value.
    pub fn new(
        threshold: Option<f64>,
        component: Option<String>,
        reach_mm: Option<f64>,
    ) -> Option<Self> {
        Some(Self { threshold: threshold?, component: component?, reach_mm: reach_mm? })
    }

    /// The rule of a nightly job.
    pub fn of_settings(settings: &ScoreSettings) -> Self {
        Self {
            threshold: settings.probability_threshold,
            component: settings.component.name().to_owned(),
            reach_mm: settings.region.reach_mm,
        }
    }

    /// The rule of a profile's masks.
    fn of(predicted: &PredictionProfile) -> Option<Self> {
        Self::new(Some(predicted.threshold), predicted.component.clone(), predicted.reach_mm)
    }
}

impl std::fmt::Display for MaskRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { threshold, component, reach_mm } = self;
        write!(f, "probability {threshold}, component {component}, reach {reach_mm} mm")
    }
}

impl NoduleMeasurements {
    /// The measurements in a row of `scores` of a night.
    pub fn of(night: &str, score: &Score) -> Self {
        Self {
            night: night.to_owned(),
            model_id: score.model_id.clone(),
            probability: score.probability,
            volume_mm3: score.volume_mm3,
            mean_hu: score.mean_hu,
            mask_rule: MaskRule::new(score.threshold, score.component.clone(), score.reach_mm),
        }
    }
}

/// A quantity that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriftQuantity {
    /// Probability of nodule.
    Probability,
    /// Volume of the predicted mask.
    Volume,
    /// Mean HU in the predicted mask.
    MeanHu,
}

impl DriftQuantity {
    /// Every quantity.
    pub const ALL: [Self; 3] = [Self::Probability, Self::Volume, Self::MeanHu];

    /// Name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probability => "probability",
            Self::Volume => "volume_mm3",
            Self::MeanHu => "mean_hu",
        }
    }

    /// The quantity with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quantity| quantity.name() == name)
    }

    fn of(self, nodule: &NoduleMeasurements) -> Option<f64> {
        match self {
            Self::Probability => nodule.probability,
            Self::Volume => Some(nodule.volume_mm3),
            Self::MeanHu => nodule.mean_hu,
        }
    }

    fn of_profile(self, predicted: &PredictionProfile) -> &Distribution {
        match self {
            Self::Probability => &predicted.probability,
            Self::Volume => &predicted.volume_mm3,
            Self::MeanHu => &predicted.mean_hu,
        }
    }

    const fn edges(self) -> &'static [f64] {
        match self {
            Self::Probability => &PROBABILITY_EDGES,
            Self::Volume => &VOLUME_EDGES_MM3,
            Self::MeanHu => &MEAN_HU_EDGES,
        }
    }
}

/// One row for each night, model and quantity, in this order; `profiles` are by model. The rows of a model
/// without a profile have no comparison, and neither has the volume or mean HU of masks that were made by another rule
/// than the profile's.
///
/// METHOD: nodules are compared with the model's own predictions for its training cohort (see
/// [`PredictionProfile`]) by the population stability index ([`shift`]). In the training cohort, all candidates are
/// nodules; those of a detector are not. A level that stays therefore says less than one that changes from
/// night to night.
pub fn by_night(
    nodules: &[NoduleMeasurements],
    profiles: &BTreeMap<String, TrainingProfile>,
) -> Vec<Drift> {
    let mut nights: BTreeMap<&str, Vec<&NoduleMeasurements>> = BTreeMap::new();
    for nodule in nodules {
        nights.entry(&nodule.night).or_default().push(nodule);
    }
    nights.into_iter().flat_map(|(night, nodules)| rows([night; 2], &nodules, profiles)).collect()
}

/// One row for each model and quantity over all nights, from the first to the last night with a nodule.
pub fn over_nights(
    nodules: &[NoduleMeasurements],
    profiles: &BTreeMap<String, TrainingProfile>,
) -> Vec<Drift> {
    let nights = || nodules.iter().map(|nodule| nodule.night.as_str());
    let (Some(first), Some(last)) = (nights().min(), nights().max()) else { return Vec::new() };
    rows([first, last], &nodules.iter().collect::<Vec<_>>(), profiles)
}

fn rows(
    [first, last]: [&str; 2],
    nodules: &[&NoduleMeasurements],
    profiles: &BTreeMap<String, TrainingProfile>,
) -> Vec<Drift> {
    let mut models: BTreeMap<&str, Vec<&NoduleMeasurements>> = BTreeMap::new();
    for nodule in nodules {
        models.entry(&nodule.model_id).or_default().push(nodule);
    }
    let mut rows = Vec::new();
    for (model_id, nodules) in models {
        for quantity in DriftQuantity::ALL {
            let compared = trained(quantity, profiles.get(model_id), &nodules);
            let trained = compared.as_ref().ok().copied();
            let edges = trained.map_or(quantity.edges(), |trained| &trained.edges);
            let values = nodules.iter().filter_map(|nodule| quantity.of(nodule));
            let scored = Distribution::of(edges, values);
            let shift = trained.and_then(|trained| shift(trained, &scored));
            rows.push(Drift {
                first_night: first.to_owned(),
                last_night: last.to_owned(),
                model_id: model_id.to_owned(),
                quantity: quantity.name().to_owned(),
                n_nodules: nodules.len() as i64,
                n: scored.n() as i64,
                mean: scored.mean,
                median: scored.median,
                n_training: trained.map_or(0, |trained| trained.n() as i64),
                training_mean: trained.and_then(|trained| trained.mean),
                training_median: trained.and_then(|trained| trained.median),
                edges: edges.to_vec(),
                counts: whole(&scored.counts),
                training_counts: trained.map_or(Vec::new(), |trained| whole(&trained.counts)),
                psi: shift.map(|shift| shift.psi),
                psi_missing_reason: shift.is_none().then(|| match &compared {
                    Ok(_) => format!("fewer than {MIN_VALUES} nodules"),
                    Err(reason) => reason.clone(),
                }),
                psi_limit: shift.map(|shift| shift.limit),
            });
        }
    }
    rows
}

/// What a quantity of nodules is compared with, or why it is not.
///
/// METHOD: a mask of all components, or from a lower probability, is larger than one by the profile's rule, whatever the
/// scans are; volume and mean HU are compared under one rule alone.
fn trained<'a>(
    quantity: DriftQuantity,
    profile: Option<&'a TrainingProfile>,
    nodules: &[&NoduleMeasurements],
) -> Result<&'a Distribution, String> {
    let Some(TrainingProfile { predicted, .. }) = profile else {
        return Err("the model has no profile of its training cohort".to_owned());
    };
    if quantity == DriftQuantity::Probability {
        return Ok(quantity.of_profile(predicted));
    }
    let other = nodules.iter().find_map(|nodule| other_rule(predicted, nodule.mask_rule.as_ref()));
    other.map_or_else(|| Ok(quantity.of_profile(predicted)), Err)
}

/// Why masks by a rule, or by one that nobody knows, are not compared with those of a profile; `None` where they are.
pub fn other_rule(predicted: &PredictionProfile, rule: Option<&MaskRule>) -> Option<String> {
    let Some(expected) = MaskRule::of(predicted) else {
        return Some("the model's profile does not say how its masks were made".to_owned());
    };
    match rule {
        Some(rule) if *rule == expected => None,
        Some(rule) => {
            Some(format!("masks by another rule ({rule}) than the profile's ({expected})"))
        }
        None => {
            Some("masks of an earlier version, which did not say how they were made".to_owned())
        }
    }
}

fn whole(counts: &[u64]) -> Vec<i64> {
    counts.iter().map(|count| *count as i64).collect()
}

#[cfg(test)]
pub(in crate::nightly) mod tests {
    use super::*;

    /// `n` nodules of a night, with probabilities, volumes and HU that rise from the first to the last.
    pub(in crate::nightly) fn night(
        day: &str,
        model_id: &str,
        n: usize,
    ) -> Vec<NoduleMeasurements> {
        let nodule = |at: usize| {
            let share = (at as f64 + 0.5) / n as f64;
            NoduleMeasurements {
                night: day.to_owned(),
                model_id: model_id.to_owned(),
                probability: Some(share),
                volume_mm3: 1000.0 * share,
                mean_hu: (at > 0).then_some(-400.0 + 500.0 * share),
                mask_rule: MaskRule::new(Some(0.5), Some("centre".to_owned()), Some(5.0)),
            }
        };
        (0..n).map(nodule).collect()
    }

    pub(in crate::nightly) fn profiles(model_id: &str) -> BTreeMap<String, TrainingProfile> {
        let nodules = night("", model_id, 100);
        let of = |quantity: DriftQuantity| {
            let values = nodules.iter().filter_map(|nodule| quantity.of(nodule));
            Distribution::of(quantity.edges(), values)
        };
        let predicted = PredictionProfile {
            split: "validation".to_owned(),
            threshold: 0.5,
            component: Some("centre".to_owned()),
            reach_mm: Some(5.0),
            n_nodules: 100,
            probability: of(DriftQuantity::Probability),
            volume_mm3: of(DriftQuantity::Volume),
            mean_hu: of(DriftQuantity::MeanHu),
        };
        BTreeMap::from([(
            model_id.to_owned(),
            TrainingProfile { predicted, ..TrainingProfile::default() },
        )])
    }

    #[test]
    fn the_index_is_near_zero_only_for_a_night_like_the_training() {
        let mut nodules = night("2026-11-23", "m", 50);
        let mut other = night("2026-11-24", "m", 50);
        for nodule in &mut other {
            nodule.probability = Some(0.95);
        }
        nodules.extend(other);
        let rows = by_night(&nodules, &profiles("m"));
        let names: Vec<_> =
            rows.iter().map(|row| (row.first_night.as_str(), row.quantity.as_str())).collect();
        assert_eq!(names.len(), 6);
        assert_eq!(names[0], ("2026-11-23", "probability"));
        assert_eq!(names[5], ("2026-11-24", "mean_hu"));
        assert!(rows.iter().all(|row| row.first_night == row.last_night));
        let psi: Vec<f64> = rows.iter().map(|row| row.psi.unwrap()).collect();
        assert!(psi[0] < 0.001 && psi[3] > 1.0, "{psi:?}");
        assert!(rows[0].psi < rows[0].psi_limit && rows[3].psi > rows[3].psi_limit);
        assert_eq!((rows[2].n, rows[2].n_nodules, rows[2].n_training), (49, 50, 99));
        assert_eq!(rows[0].counts, [5; 10]);
        assert_eq!(rows[0].training_counts, [10; 10]);
        assert_eq!(rows[0].mean.map(|mean| (mean * 1e9).round()), Some(5e8));

        let all = over_nights(&nodules, &profiles("m"));
        assert_eq!(all.len(), 3);
        assert_eq!(
            (all[0].first_night.as_str(), all[0].last_night.as_str(), all[0].n),
            ("2026-11-23", "2026-11-24", 100)
        );
        assert_eq!(all[0].counts, [5, 5, 5, 5, 5, 5, 5, 5, 5, 55]);
    }

    #[test]
    fn few_nodules_or_no_profile_give_no_index() {
        let rows = by_night(&night("2026-11-23", "m", 19), &profiles("m"));
        assert!(rows.iter().all(|row| row.psi.is_none() && row.psi_limit.is_none()));
        assert!(
            rows.iter()
                .all(|row| row.psi_missing_reason.as_deref() == Some("fewer than 20 nodules"))
        );
        let rows = by_night(&night("2026-11-23", "m", 30), &BTreeMap::new());
        assert!(rows.iter().all(|row| row.psi.is_none() && row.training_counts.is_empty()));
        let reason = Some("the model has no profile of its training cohort".to_owned());
        assert!(rows.iter().all(|row| row.psi_missing_reason == reason));
        assert_eq!((rows[0].n_training, rows[0].counts.len()), (0, 10));
        assert!(
            by_night(&[], &profiles("m")).is_empty() && over_nights(&[], &profiles("m")).is_empty()
        );
    }

    #[test]
    fn masks_by_another_rule_are_not_compared() {
        let reasons = |nodules: &[NoduleMeasurements], profiles: &_| -> Vec<Option<String>> {
            let rows = by_night(nodules, profiles);
            assert!(rows.iter().all(|row| row.psi.is_some() == row.psi_missing_reason.is_none()));
            assert!(rows.iter().all(|row| (row.n_training > 0) == row.psi.is_some()));
            rows.into_iter().map(|row| row.psi_missing_reason).collect()
        };
        let same = night("2026-11-23", "m", 30);
        assert_eq!(reasons(&same, &profiles("m")), [None, None, None]);
        let expected = |reason: &str| {
            let reason = Some(reason.to_owned());
            [None, reason.clone(), reason]
        };
        // One nodule of another rule is enough.
        let mut others = same.clone();
        others[29].mask_rule.as_mut().unwrap().component = "all".to_owned();
        let other_rule = "masks by another rule (probability 0.5, component all, reach 5 mm) than the profile's \
                          (probability 0.5, component centre, reach 5 mm)";
        assert_eq!(reasons(&others, &profiles("m")), expected(other_rule));
        others[29].mask_rule = None;
        let earlier = "masks of an earlier version, which did not say how they were made";
        assert_eq!(reasons(&others, &profiles("m")), expected(earlier));
        let mut profiles = profiles("m");
        profiles.get_mut("m").unwrap().predicted.component = None;
        let unknown = "the model's profile does not say how its masks were made";
        assert_eq!(reasons(&same, &profiles), expected(unknown));
    }

    #[test]
    fn names_come_back() {
        for quantity in DriftQuantity::ALL {
            assert_eq!(DriftQuantity::from_name(quantity.name()), Some(quantity));
        }
        assert_eq!(DriftQuantity::from_name("hu"), None);
    }
}

//! Summarises metrics over nodules and slices, for all and for subgroups.

use super::readers::READER;
use super::slice::Region;
use super::subgroups::Subgroups;
use crate::tables::{NoduleMetrics, ReaderMetric, SliceMetrics, Summary};
use nodulus_imaging::components::ComponentRule;
use nodulus_metrics::interval::UNBOUNDED;
use nodulus_metrics::summary::diagonal_mm;
use nodulus_metrics::{Metric, MetricValue, Outcome, SizeMeasure, summarise as summary_of};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One value of one metric.
#[derive(Clone, Debug)]
pub(super) struct MeasuredValue {
    pub(super) model_id: Arc<str>,
    pub(super) metric: &'static str,
    pub(super) nodule_id: Arc<str>,
    pub(super) patient_id: Arc<str>,
    pub(super) value: Option<f64>,
    pub(super) missed: bool,
    pub(super) worst: f64,
}

impl MeasuredValue {
    /// Whether it is of a slice in 2D rather than of a nodule in 3D.
    pub(super) fn is_of_slice(&self) -> bool {
        OF_SLICES.contains(&self.metric)
    }
}

/// The names of [`Metric::ALL`] with a prefix.
macro_rules! prefixed {
    ($prefix:literal) => {
        [
            concat!($prefix, "dice"),
            concat!($prefix, "iou"),
            concat!($prefix, "precision"),
            concat!($prefix, "sensitivity"),
            concat!($prefix, "hausdorff_mm"),
            concat!($prefix, "hausdorff_95_mm"),
            concat!($prefix, "assd_mm"),
            concat!($prefix, "masd_mm"),
            concat!($prefix, "surface_dice_1mm"),
        ]
    };
}

/// The names of the metrics over slices.
const OF_SLICES: [&str; Metric::ALL.len()] = prefixed!("slice_");

/// The names of the metrics by a rule of components that was not delivered.
const fn of_rule(rule: ComponentRule) -> [&'static str; Metric::ALL.len()] {
    match rule {
        ComponentRule::All => prefixed!("all_"),
        ComponentRule::Centre => prefixed!("centre_"),
    }
}

/// The metrics of slices that are summed up: the paper's six and the 95% Hausdorff distance.
const SLICE_METRICS: [Metric; 7] = [
    Metric::Dice,
    Metric::Iou,
    Metric::Precision,
    Metric::Sensitivity,
    Metric::Hausdorff,
    Metric::Hausdorff95,
    Metric::Assd,
];

/// The metrics of a nodule in 3D, then its errors of size, then its metrics by the rule of components that was not
/// delivered.
pub(super) fn of_nodule(row: &NoduleMetrics, region: Region) -> Vec<MeasuredValue> {
    let diagonal = diagonal_mm(region.size, region.spacing_mm);
    let metrics = Metric::ALL
        .into_iter()
        .map(|metric| (metric.name(), row.metrics.value(metric), metric.worst(diagonal)));
    let errors = SizeMeasure::ALL.into_iter().flat_map(|measure| {
        let error = row.size_error(measure);
        let [_, signed, absolute, relative] = measure.names();
        // A missed nodule has its errors of size already.
        [(signed, error.signed), (absolute, error.signed.map(f64::abs)), (relative, error.relative)]
            .map(|(name, value)| (name, value, value.unwrap_or(0.0)))
    });
    let ids: [Arc<str>; 3] =
        [&row.model_id, &row.nodule_id, &row.patient_id].map(|id| id.as_str().into());
    let missed = row.outcome == Outcome::Missed.name();
    let delivered = metrics.chain(errors).map(|value| measured(&ids, missed, value));
    let other = row.components.other_rule().into_iter().flat_map(|rule| {
        let missed = row.components.outcome(rule) == Outcome::Missed.name();
        let ids = &ids;
        Metric::ALL.into_iter().zip(of_rule(rule)).map(move |(metric, name)| {
            let value = row.components.value(rule, metric);
            measured(ids, missed, (name, value, metric.worst(diagonal)))
        })
    });
    delivered.chain(other).collect()
}

/// The overlap and distances of a slice in 2D; none for a slice without nodule and prediction.
pub(super) fn of_slice(row: &SliceMetrics, region: Region) -> Vec<MeasuredValue> {
    if row.outcome == Outcome::BothEmpty.name() {
        return Vec::new();
    }
    let [width, height, _] = region.size;
    let diagonal = diagonal_mm([width, height, 1], region.spacing_mm);
    let ids: [Arc<str>; 3] =
        [&row.model_id, &row.nodule_id, &row.patient_id].map(|id| id.as_str().into());
    let missed = row.outcome == Outcome::Missed.name();
    let value = |metric: Metric| {
        let name = OF_SLICES[metric as usize];
        measured(&ids, missed, (name, row.metrics.value(metric), metric.worst(diagonal)))
    };
    SLICE_METRICS.map(value).into()
}

/// A metric of a nodule's readers; `None` for a metric that this program does not know.
pub(super) fn of_reader(row: &ReaderMetric) -> Option<MeasuredValue> {
    let metric = Metric::from_name(&row.metric)?;
    let ids: [Arc<str>; 3] = [READER, &row.nodule_id, &row.patient_id].map(Into::into);
    Some(measured(&ids, false, (metric.name(), row.value, 0.0)))
}

fn measured(
    [model_id, nodule_id, patient_id]: &[Arc<str>; 3],
    missed: bool,
    (metric, value, worst): (&'static str, Option<f64>, f64),
) -> MeasuredValue {
    let (model_id, nodule_id) = (model_id.clone(), nodule_id.clone());
    MeasuredValue {
        model_id,
        metric,
        nodule_id,
        patient_id: patient_id.clone(),
        value,
        missed,
        worst,
    }
}

/// A row for each model, metric and subgroup with a nodule, by model, metric and subgroup.
///
/// A value belongs to about nine subgroups: only those of as many metrics as there are threads are in memory.
pub(super) fn summarise(
    subgroups: &Subgroups,
    measured: &[MeasuredValue],
    seed: u64,
) -> Vec<Summary> {
    let mut metrics: BTreeMap<(&str, &str), Vec<&MeasuredValue>> = BTreeMap::new();
    for row in measured {
        metrics.entry((&*row.model_id, row.metric)).or_default().push(row);
    }
    let metrics: Vec<_> = metrics.into_iter().collect();
    metrics
        .par_iter()
        .flat_map_iter(|((model_id, metric), rows)| {
            of_subgroups(subgroups, [model_id, metric], rows, seed)
        })
        .collect()
}

/// The rows of a model and metric.
fn of_subgroups(
    subgroups: &Subgroups,
    [model_id, metric]: [&str; 2],
    rows: &[&MeasuredValue],
    seed: u64,
) -> Vec<Summary> {
    let mut groups: BTreeMap<&str, Vec<MetricValue<'_>>> = BTreeMap::new();
    for row in rows {
        for subgroup in subgroups.of(&row.nodule_id) {
            let case = MetricValue {
                patient: &row.patient_id,
                value: row.value,
                missed: row.missed,
                worst: row.worst,
            };
            groups.entry(subgroup).or_default().push(case);
        }
    }
    let of_group = |(subgroup, cases): (&str, Vec<MetricValue<'_>>)| {
        let summary = summary_of(&cases, range(metric), seed);
        Summary {
            model_id: model_id.to_owned(),
            metric: metric.to_owned(),
            subgroup: subgroup.to_owned(),
            n_total: summary.n_total as i64,
            n_valid: summary.n_valid as i64,
            n_missed: summary.n_missed as i64,
            n_patients: summary.n_patients as i64,
            mean: summary.mean,
            sd: summary.sd,
            median: summary.median,
            ci_low: summary.interval.low(),
            ci_high: summary.interval.high(),
            ci_missing_reason: summary.interval.missing_reason(),
            worst_case_mean: summary.worst_case_mean,
            doubts: Vec::new(),
        }
    };
    groups.into_iter().map(of_group).collect()
}

/// The smallest and the largest value that a metric of nodules or slices, or an error of size, can have.
fn range(metric: &str) -> [f64; 2] {
    let of = ["slice_", "all_", "centre_"].iter().find_map(|of| metric.strip_prefix(of));
    match Metric::from_name(of.unwrap_or(metric)) {
        Some(metric) => metric.range(),
        None if metric.contains("_absolute_error") => [0.0, f64::INFINITY],
        None if metric.ends_with("_relative_error") => [-1.0, f64::INFINITY],
        None => UNBOUNDED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::evaluate::subgroups::tests::facts;
    use crate::tables::ComponentColumns;

    fn assd(nodule: &str, value: Option<f64>, missed: bool) -> MeasuredValue {
        let ids: [Arc<str>; 3] = ["m", nodule, nodule].map(Into::into);
        measured(&ids, missed, ("assd_mm", value, 100.0))
    }

    #[test]
    fn a_missed_nodule_stays_in_the_denominators() {
        let mut a = facts("a", 5.9);
        a.texture_type = Some("solid".to_owned());
        let mut subgroups = Subgroups::of_facts(&[a, facts("b", 7.0)]);
        for _ in 0..2 {
            subgroups.add("b", "oversize=cropped");
        }
        let rows = summarise(&subgroups, &[assd("a", Some(2.0), false), assd("b", None, true)], 1);
        let names: Vec<&str> = rows.iter().map(|row| row.subgroup.as_str()).collect();
        assert_eq!(
            names,
            [
                "all",
                "calcification=unknown",
                "cohort=c",
                "diameter_mm=6_to_8",
                "diameter_mm=under_6",
                "n_readers=3",
                "oversize=cropped",
                "spacing_k_mm=unknown",
                "texture_type=solid",
                "texture_type=unknown"
            ]
        );
        assert_eq!(rows[8].n_total, 1);
        let all = &rows[0];
        assert_eq!((all.n_total, all.n_valid, all.n_missed), (2, 1, 1));
        assert_eq!((all.mean, all.worst_case_mean), (Some(2.0), Some(51.0)));
        assert_eq!((all.n_patients, all.ci_low), (1, None));
        assert_eq!(all.ci_missing_reason.as_deref(), Some("fewer than 8 patients"));
    }

    #[test]
    fn no_interval_leaves_the_range_of_its_metric() {
        let bits = |metric: &str| range(metric).map(f64::to_bits);
        for metric in Metric::ALL {
            for names in [OF_SLICES, of_rule(ComponentRule::All), of_rule(ComponentRule::Centre)] {
                assert_eq!(bits(names[metric as usize]), metric.range().map(f64::to_bits));
            }
        }
        assert_eq!(bits("assd_mm"), [0.0, f64::INFINITY].map(f64::to_bits));
        for measure in SizeMeasure::ALL {
            let [_, signed, absolute, relative] = measure.names().map(range);
            assert_eq!((signed, absolute[0], relative[0]), (UNBOUNDED, 0.0, -1.0));
        }
    }

    #[test]
    fn names_have_the_prefix_of_what_is_measured() {
        for metric in Metric::ALL {
            let names = [
                OF_SLICES[metric as usize],
                of_rule(ComponentRule::All)[metric as usize],
                of_rule(ComponentRule::Centre)[metric as usize],
            ];
            let expected = ["slice", "all", "centre"].map(|of| format!("{of}_{}", metric.name()));
            assert_eq!(names, expected.each_ref().map(String::as_str));
        }
    }

    #[test]
    fn the_rule_that_was_not_delivered_is_summed_up_by_its_name() {
        let components = ComponentColumns {
            component: "centre".to_owned(),
            all_dice: Some(0.5),
            all_hausdorff_mm: Some(9.0),
            all_outcome: "scored".to_owned(),
            ..ComponentColumns::default()
        };
        // The model marks something, but nothing at the centre.
        let row = NoduleMetrics {
            model_id: "m".to_owned(),
            nodule_id: "a".to_owned(),
            outcome: "missed".to_owned(),
            components,
            ..NoduleMetrics::default()
        };
        let region = Region { size: [4, 4, 4], spacing_mm: [1.0; 3] };
        let rows = summarise(&Subgroups::default(), &of_nodule(&row, region), 1);
        let of = |metric: &str| rows.iter().find(|row| row.metric == metric);
        let all = of("all_hausdorff_mm").unwrap();
        assert_eq!(
            (all.mean, all.n_missed, of("all_dice").unwrap().mean),
            (Some(9.0), 0, Some(0.5))
        );
        assert_eq!(of("hausdorff_mm").unwrap().n_missed, 1);
        assert!(of("centre_dice").is_none());
    }

    #[test]
    fn errors_of_size_count_what_was_missed() {
        let row = NoduleMetrics {
            model_id: "m".to_owned(),
            nodule_id: "a".to_owned(),
            volume_error_mm3: Some(-8.0),
            volume_relative_error: Some(-1.0),
            outcome: "missed".to_owned(),
            ..NoduleMetrics::default()
        };
        let region = Region { size: [4, 4, 4], spacing_mm: [1.0; 3] };
        let rows = summarise(&Subgroups::default(), &of_nodule(&row, region), 1);
        let mean = |metric: &str| {
            let row = rows.iter().find(|row| row.metric == metric).unwrap();
            (row.mean, row.worst_case_mean, row.n_missed)
        };
        assert_eq!(mean("volume_error_mm3"), (Some(-8.0), Some(-8.0), 1));
        assert_eq!(mean("volume_absolute_error_mm3"), (Some(8.0), Some(8.0), 1));
        assert_eq!(mean("long_axis_error_mm"), (None, Some(0.0), 1));
    }
}

//! Metrics over nodules and over slices, in all and in subgroups.

use super::Region;
use crate::metrics::summary::diagonal_mm;
use crate::metrics::{Case, Metric, Outcome, summarise as summary_of};
use crate::tables::{Nodule, NoduleMetrics, SliceMetrics, Summary, parquet};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Prefix of the metrics that are means over slices.
const SLICE_PREFIX: &str = "slice_";

/// The subgroups that each nodule belongs to, beside `all`.
#[derive(Debug, Default)]
pub(super) struct Subgroups(BTreeMap<String, Vec<String>>);

impl Subgroups {
    pub(super) fn of(
        nodules: impl Iterator<Item = Result<Vec<Nodule>, parquet::Error>>,
    ) -> Result<Self, parquet::Error> {
        let mut subgroups = BTreeMap::new();
        for batch in nodules {
            subgroups.extend(
                batch?.into_iter().map(|nodule| (nodule.nodule_id.clone(), names(&nodule))),
            );
        }
        Ok(Self(subgroups))
    }

    /// Puts a nodule into one more subgroup, once.
    pub(super) fn add(&mut self, nodule_id: &str, subgroup: &str) {
        if let Some(subgroups) = self.0.get_mut(nodule_id)
            && subgroups.iter().all(|name| name != subgroup)
        {
            subgroups.push(subgroup.to_owned());
        }
    }
}

/// METHOD: bands of diameter are those of the Fleischner Society's 2017 guideline (6 and 8 mm).
fn names(nodule: &Nodule) -> Vec<String> {
    let band = match nodule.diameter_mm {
        d if d < 6.0 => "under_6",
        d if d <= 8.0 => "6_to_8",
        _ => "over_8",
    };
    let kind = nodule.nodule_type.as_deref().unwrap_or("unknown");
    vec![
        "all".to_owned(),
        format!("cohort={}", nodule.cohort),
        format!("diameter_mm={band}"),
        format!("nodule_type={kind}"),
    ]
}

/// One value of one metric.
#[derive(Debug)]
pub(super) struct Scored {
    model_id: String,
    metric: String,
    nodule_id: String,
    patient_id: String,
    value: Option<f64>,
    missed: bool,
    worst: f64,
}

/// A nodule's values, in 3D.
pub(super) fn of_nodule(row: &NoduleMetrics, region: Region) -> Vec<Scored> {
    let worst = diagonal_mm(region.size, region.spacing_mm);
    Metric::ALL
        .into_iter()
        .map(|metric| Scored {
            model_id: row.model_id.clone(),
            metric: metric.name().to_owned(),
            nodule_id: row.nodule_id.clone(),
            patient_id: row.patient_id.clone(),
            value: row.value(metric),
            missed: row.outcome == Outcome::Missed.name(),
            worst: metric.worst(worst),
        })
        .collect()
}

/// A slice's overlap, in 2D; none of a slice without nodule and prediction.
pub(super) fn of_slice(row: &SliceMetrics, region: Region) -> Vec<Scored> {
    let [width, height, _] = region.size;
    let worst = diagonal_mm([width, height, 1], region.spacing_mm);
    let values = [
        (Metric::Dice, row.dice),
        (Metric::Iou, row.iou),
        (Metric::Hausdorff, row.hausdorff_mm),
        (Metric::Assd, row.assd_mm),
    ];
    values
        .into_iter()
        .filter(|_| row.outcome != Outcome::BothEmpty.name())
        .map(|(metric, value)| Scored {
            model_id: row.model_id.clone(),
            metric: format!("{SLICE_PREFIX}{}", metric.name()),
            nodule_id: row.nodule_id.clone(),
            patient_id: row.patient_id.clone(),
            value,
            missed: row.outcome == Outcome::Missed.name(),
            worst: metric.worst(worst),
        })
        .collect()
}

/// A row for each model, metric and subgroup that has a nodule; by model, metric, subgroup.
pub(super) fn summarise(subgroups: &Subgroups, scored: &[Scored], seed: u64) -> Vec<Summary> {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<Case<'_>>> = BTreeMap::new();
    let all = vec!["all".to_owned()];
    for row in scored {
        for subgroup in subgroups.0.get(&row.nodule_id).unwrap_or(&all) {
            let case = Case {
                patient: &row.patient_id,
                value: row.value,
                missed: row.missed,
                worst: row.worst,
            };
            groups.entry((&row.model_id, &row.metric, subgroup)).or_default().push(case);
        }
    }
    let groups: Vec<_> = groups.into_iter().collect();
    groups
        .par_iter()
        .map(|((model_id, metric, subgroup), cases)| {
            let summary = summary_of(cases, seed);
            Summary {
                model_id: (*model_id).to_owned(),
                metric: (*metric).to_owned(),
                subgroup: (*subgroup).to_owned(),
                n_total: summary.n_total as i64,
                n_valid: summary.n_valid as i64,
                n_missed: summary.n_missed as i64,
                mean: summary.mean,
                sd: summary.sd,
                median: summary.median,
                ci_low: summary.interval.map(|interval| interval[0]),
                ci_high: summary.interval.map(|interval| interval[1]),
                worst_case_mean: summary.worst_case_mean,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::nodule;

    fn scored(nodule: &str, value: Option<f64>, missed: bool) -> Scored {
        Scored {
            model_id: "m".to_owned(),
            metric: "assd_mm".to_owned(),
            nodule_id: nodule.to_owned(),
            patient_id: nodule.to_owned(),
            value,
            missed,
            worst: 100.0,
        }
    }

    #[test]
    fn a_missed_nodule_stays_in_the_denominators() {
        let mut a = nodule("a", [0, 0, 0], [1, 1, 1]);
        a.diameter_mm = 5.9;
        a.nodule_type = Some("solid".to_owned());
        let b = nodule("b", [0, 0, 0], [1, 1, 1]);
        let mut subgroups = Subgroups::of([Ok(vec![a, b])].into_iter()).unwrap();
        for _ in 0..2 {
            subgroups.add("b", "oversize=cropped");
        }
        let rows =
            summarise(&subgroups, &[scored("a", Some(2.0), false), scored("b", None, true)], 1);
        let names: Vec<&str> = rows.iter().map(|row| row.subgroup.as_str()).collect();
        assert_eq!(
            names,
            [
                "all",
                "cohort=c",
                "diameter_mm=under_6",
                "nodule_type=solid",
                "nodule_type=unknown",
                "oversize=cropped"
            ]
        );
        assert_eq!(rows[5].n_total, 1);
        let all = &rows[0];
        assert_eq!((all.n_total, all.n_valid, all.n_missed), (2, 1, 1));
        assert_eq!((all.mean, all.worst_case_mean), (Some(2.0), Some(51.0)));
    }
}

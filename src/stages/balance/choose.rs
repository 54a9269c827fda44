//! Chooses slices as samples.

use super::Splits;
use super::config::Config;
use super::reached::wanted;
use crate::tables::{Role, Sample};
use nodulus_store::Version;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The columns of `rois` that this stage reads.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Slice {
    /// Id of the slice.
    pub roi_id: String,
    /// Nodule at the centre.
    pub nodule_id: String,
    /// Name of the cohort.
    pub cohort: String,
    /// The series.
    pub series_instance_uid: String,
    /// The patient.
    pub patient_id: String,
    /// Whether the slice shows the nodule.
    pub has_nodule: bool,
    /// Number of other nodules in the slice.
    pub n_other_nodules: i64,
    /// Distance to the nearest slice with the nodule, in slices.
    pub distance_to_nodule_slices: i64,
}

const SLICE_COLUMNS: &[&str] = &[
    "roi_id",
    "nodule_id",
    "cohort",
    "series_instance_uid",
    "patient_id",
    "has_nodule",
    "n_other_nodules",
    "distance_to_nodule_slices",
];

pub(super) fn slices(rois: &Version, shard: usize) -> Result<Vec<Slice>, nodulus_store::Error> {
    let mut slices = Vec::new();
    for batch in rois.shard_columns(shard, SLICE_COLUMNS) {
        slices.extend(batch?);
    }
    Ok(slices)
}

/// Chooses the samples of nodules: every slice with the nodule, and the nearest slices without any nodule until there are
/// `ratio` times as many. Nodules that are in no split have no samples.
///
/// Samples are by nodule id, then by distance from the nodule, then by slice id.
///
/// METHOD: the ratio is met for each nodule, so that empty slices lie near their own nodule and no shard depends on
/// another. Where a nodule has too few empty slices, those of other nodules do not replace them. A slice that shows
/// another nodule is not empty.
pub fn transform(config: &Config, splits: &Splits, slices: &[Slice]) -> Vec<Sample> {
    let mut by_nodule: BTreeMap<&str, Vec<&Slice>> = BTreeMap::new();
    for slice in slices {
        by_nodule.entry(&slice.nodule_id).or_default().push(slice);
    }
    let mut samples = Vec::new();
    for (nodule_id, mut slices) in by_nodule {
        let Some(assignment) = splits.of(nodule_id) else { continue };
        slices.sort_by_key(|s| (s.distance_to_nodule_slices, &s.roi_id));
        let (filled, others): (Vec<&Slice>, Vec<&Slice>) =
            slices.into_iter().partition(|s| s.has_nodule);
        let n_empty = wanted(config.ratio, filled.len());
        let empty = others.into_iter().filter(|s| s.n_other_nodules == 0).take(n_empty);
        for slice in filled.into_iter().chain(empty) {
            let role = if slice.has_nodule { Role::Nodule } else { Role::AdjacentEmpty };
            samples.push(Sample {
                roi_id: slice.roi_id.clone(),
                nodule_id: slice.nodule_id.clone(),
                cohort: slice.cohort.clone(),
                series_instance_uid: slice.series_instance_uid.clone(),
                patient_id: slice.patient_id.clone(),
                role: role.name().to_owned(),
                split_by: config.split_by.name().to_owned(),
                split: assignment.split.name().to_owned(),
                fold: assignment.fold,
            });
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::super::assign::Assignment;
    use super::super::reached::Reached;
    use super::super::units::Units;
    use super::*;
    use crate::tables::Split;

    fn slice(nodule: &str, n: i64, distance: i64) -> Slice {
        Slice {
            roi_id: format!("{nodule}-k{n:04}"),
            nodule_id: nodule.to_owned(),
            cohort: "c".to_owned(),
            series_instance_uid: "1.1".to_owned(),
            patient_id: "p".to_owned(),
            has_nodule: distance == 0,
            n_other_nodules: 0,
            distance_to_nodule_slices: distance,
        }
    }

    fn slices(nodule: &str, distances: &[i64]) -> Vec<Slice> {
        distances.iter().zip(0..).map(|(d, n)| slice(nodule, n, *d)).collect()
    }

    /// Both nodules belong to one patient, in train.
    fn splits() -> Splits {
        let unit = |nodule: &str| (nodule.to_owned(), "p".to_owned());
        let assignment = Assignment { split: Split::Train, fold: Some(0) };
        Splits {
            units: Units { of_nodule: ["m", "n"].map(unit).into(), ..Units::default() },
            assigned: BTreeMap::from([("p".to_owned(), assignment)]),
            ..Splits::default()
        }
    }

    fn ids(ratio: f64, slices: &[Slice]) -> Vec<String> {
        let config = Config { ratio, ..Config::default() };
        transform(&config, &splits(), slices).into_iter().map(|s| s.roi_id).collect()
    }

    #[test]
    fn the_nearest_empty_slices_are_kept_until_the_ratio_is_met() {
        let mut slices = slices("n", &[3, 2, 1, 0, 0, 1, 2, 3]);
        assert_eq!(ids(1.0, &slices), ["n-k0003", "n-k0004", "n-k0002", "n-k0005"]);
        assert_eq!(ids(0.0, &slices), ["n-k0003", "n-k0004"]);
        assert_eq!(ids(99.0, &slices).len(), 8);
        // Of two slices at one distance the lower one comes first, whatever the order of the rows.
        let three = ids(1.5, &slices);
        assert_eq!(three, ["n-k0003", "n-k0004", "n-k0002", "n-k0005", "n-k0001"]);
        slices.reverse();
        assert_eq!(ids(1.5, &slices), three);
    }

    #[test]
    fn a_slice_with_another_nodule_is_not_empty() {
        let mut slices = slices("n", &[2, 1, 0, 1, 2]);
        slices[1].n_other_nodules = 1;
        assert_eq!(ids(1.0, &slices), ["n-k0002", "n-k0003"]);
        assert_eq!(ids(2.0, &slices), ["n-k0002", "n-k0003", "n-k0000"]);
        slices[2].n_other_nodules = 1;
        assert_eq!(ids(0.0, &slices), ["n-k0002"]);
    }

    #[test]
    fn a_nodule_at_the_scan_s_end_has_fewer_and_no_other_nodule_makes_up_for_it() {
        let all = [slices("m", &[0, 0, 0, 1]), slices("n", &[3, 2, 1, 0, 1, 2, 3])].concat();
        let config = Config::default();
        let samples = transform(&config, &splits(), &all);
        let of = |nodule: &str| samples.iter().filter(|s| s.nodule_id == nodule).count();
        assert_eq!((of("m"), of("n")), (4, 2));
        let mut reached = Reached::default();
        // The rows come shard by shard.
        samples.chunks(4).for_each(|rows| reached.add(config.ratio, rows));
        assert_eq!(
            reached.to_string(),
            "4 slices with nodule, 2 without: ratio 0.50 of 1; 1 of 2 nodules have too few slices \
             without any within `crop.margin_slices`"
        );
        assert_eq!(
            Reached::default().to_string(),
            "0 slices with nodule, 0 without: ratio 0.00 of 0"
        );
    }
}

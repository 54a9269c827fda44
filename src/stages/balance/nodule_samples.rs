//! One sample of each nodule: enough to tell who is in which split.

use super::config::Config;
use super::{Lesion, Lesions, Splits};
use crate::tables::{Role, Sample};
use nodulus_store::Version;

/// A sample of each nodule with regions that is in a split.
pub(super) fn samples_of_nodules(
    config: &Config,
    splits: &Splits,
    lesions: &Lesions,
) -> Vec<Sample> {
    let sample = |(nodule_id, (_, lesion)): (&String, &(usize, Lesion))| {
        let assignment = splits.of(nodule_id)?;
        Some(Sample {
            roi_id: nodule_id.clone(),
            nodule_id: nodule_id.clone(),
            cohort: lesion.cohort.clone(),
            series_instance_uid: lesion.series_instance_uid.clone(),
            patient_id: lesion.patient_id.clone(),
            role: Role::Nodule.name().to_owned(),
            split_by: config.split_by.name().to_owned(),
            split: assignment.split.name().to_owned(),
            fold: assignment.fold,
        })
    };
    lesions.iter().filter_map(sample).collect()
}

/// The first sample of each nodule.
///
/// # Errors
///
/// Fails if `samples` cannot be read.
pub fn of_each_nodule(samples: &Version) -> Result<Vec<Sample>, nodulus_store::Error> {
    let mut first: Vec<Sample> = Vec::new();
    for batch in samples.rows::<Sample>() {
        for sample in batch? {
            if first.last().is_none_or(|last| last.nodule_id != sample.nodule_id) {
                first.push(sample);
            }
        }
    }
    Ok(first)
}

//! A check that no patient is in two splits or two folds.

use super::{Sample, SplitBy};
use std::collections::BTreeMap;

/// The samples cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part could not be read.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
    /// Samples that belong together are in different splits or folds.
    #[error(
        "samples leak: {what} is in {first} with slice `{first_roi}` and in {second} with slice `{second_roi}`; run balance again"
    )]
    Leak {
        /// The patient, series or nodule.
        what: String,
        /// Split and fold of its first slice.
        first: String,
        /// The slice.
        first_roi: String,
        /// Split and fold of another slice.
        second: String,
        /// The other slice.
        second_roi: String,
    },
    /// A sample has an unknown value of `split_by`.
    #[error("slice `{roi_id}` was split by `{found}`, expected patient or lesion")]
    SplitBy {
        /// The slice.
        roi_id: String,
        /// The value of `split_by`.
        found: String,
    },
}

/// Split and fold of the first sample of a patient, series or nodule.
struct FirstSample {
    split: String,
    fold: Option<i64>,
    roi_id: String,
}

/// Checks that all samples of a patient are in one split and one fold, and all samples of a series too, even if it
/// is recorded under several patients. Samples that were split by lesion are checked for each nodule instead.
///
/// METHOD: patients with the same id are one patient, also in different cohorts.
///
/// # Errors
///
/// Fails at the first sample whose split or fold differs from that of an earlier one.
pub fn check(
    samples: impl Iterator<Item = Result<Vec<Sample>, nodulus_store::Error>>,
) -> Result<(), Error> {
    let mut first_samples: BTreeMap<String, FirstSample> = BTreeMap::new();
    for batch in samples {
        for sample in batch? {
            let what = match sample.split_by.as_str() {
                by if by == SplitBy::Patient.name() => vec![
                    format!("patient `{}`", sample.patient_id),
                    format!("series `{}`", sample.series_instance_uid),
                ],
                by if by == SplitBy::Lesion.name() => {
                    vec![format!("nodule `{}`", sample.nodule_id)]
                }
                found => {
                    let found = found.to_owned();
                    return Err(Error::SplitBy { roi_id: sample.roi_id, found });
                }
            };
            for what in what {
                check_sample(&mut first_samples, what, &sample)?;
            }
        }
    }
    Ok(())
}

fn check_sample(
    first_samples: &mut BTreeMap<String, FirstSample>,
    what: String,
    sample: &Sample,
) -> Result<(), Error> {
    let Some(first) = first_samples.get(&what) else {
        let (split, fold) = (sample.split.clone(), sample.fold);
        first_samples.insert(what, FirstSample { split, fold, roi_id: sample.roi_id.clone() });
        return Ok(());
    };
    if first.split == sample.split && first.fold == sample.fold {
        return Ok(());
    }
    let name = |split: &str, fold: Option<i64>| match fold {
        Some(fold) => format!("{split} (fold {fold})"),
        None => split.to_owned(),
    };
    Err(Error::Leak {
        what,
        first: name(&first.split, first.fold),
        first_roi: first.roi_id.clone(),
        second: name(&sample.split, sample.fold),
        second_roi: sample.roi_id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: usize, series: &str, patient: &str, split: &str, fold: Option<i64>) -> Sample {
        Sample {
            roi_id: format!("r{n}"),
            nodule_id: format!("n{n}"),
            cohort: format!("c{n}"),
            series_instance_uid: series.to_owned(),
            patient_id: patient.to_owned(),
            role: "nodule".to_owned(),
            split_by: "patient".to_owned(),
            split: split.to_owned(),
            fold,
        }
    }

    fn error(samples: &[Sample]) -> String {
        let batches = samples.iter().map(|sample| Ok(vec![sample.clone()]));
        check(batches).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn a_patient_of_two_splits_or_folds_is_named_with_both() {
        let train = sample(1, "1.1", "p", "train", Some(2));
        let test = sample(2, "1.2", "p", "test", None);
        assert_eq!(
            error(&[train.clone(), test.clone()]),
            "samples leak: patient `p` is in train (fold 2) with slice `r1` and in test with slice \
             `r2`; run balance again"
        );
        let other = sample(3, "1.3", "p", "train", Some(3));
        assert!(error(&[train.clone(), other]).contains("train (fold 2)"));
        let others = sample(4, "1.4", "q", "test", None);
        assert_eq!(error(&[train.clone(), train, others]), "");
    }

    #[test]
    fn a_series_under_two_patients_is_one_patient() {
        let found = error(&[
            sample(1, "1.1", "LIDC-IDRI-0001", "train", Some(0)),
            sample(2, "1.1", "1.1", "test", None),
        ]);
        assert!(found.contains("series `1.1` is in train (fold 0)"), "{found}");
    }

    #[test]
    fn samples_that_were_split_by_lesion_are_checked_for_each_nodule() {
        let lesion = |n, nodule: &str, split: &str| {
            let by = |sample: Sample| Sample {
                split_by: "lesion".to_owned(),
                nodule_id: nodule.to_owned(),
                ..sample
            };
            by(sample(n, "1.1", "p", split, None))
        };
        assert_eq!(error(&[lesion(1, "a", "train"), lesion(2, "b", "test")]), "");
        let found = error(&[lesion(1, "a", "train"), lesion(2, "a", "test")]);
        assert!(found.contains("nodule `a` is in train"), "{found}");
        let none = Sample { split_by: String::new(), ..sample(1, "1.1", "p", "train", None) };
        assert!(error(&[none]).contains("was split by ``"));
    }
}

//! Measures each reader against the consensus of the others: a benchmark for models.

use crate::stages::agree::reader_masks;
use crate::tables::{Mark, Nodule, ReaderMetric, mask_box};
use nodulus_formats::volume::Mask;
use nodulus_imaging::consensus::n_needed;
use nodulus_metrics::{MaskMetrics, Metric, measure};
use std::collections::BTreeMap;

/// Model id of the readers in `summary`.
pub const READER: &str = "reader";

/// A nodule's value of each metric, as the mean over its readers; none for fewer than two readers.
///
/// `marks` are the nodule's, in any order; `spacing_mm` is the scan's, along i, j, k.
///
/// METHOD: each reader's mask (the union of that reader's marks) is measured in 3D, as a prediction is, against the voxels
/// that enough of the other readers hold, by the nodule's own level and denominator with one reader fewer. A nodule
/// counts once, with the mean over its readers. A reader is left out where the others agree on no voxel, because there
/// is nothing to compare with.
///
/// # Errors
///
/// Fails if a mark's box and bits do not fit each other.
pub(super) fn against_the_others(
    nodule: &Nodule,
    marks: &[&Mark],
    spacing_mm: [f64; 3],
) -> Result<Vec<ReaderMetric>, mask_box::Error> {
    let mut readers: BTreeMap<i64, Vec<&Mark>> = BTreeMap::new();
    for mark in marks {
        readers.entry(mark.reading_session).or_default().push(mark);
    }
    if readers.len() < 2 {
        return Ok(Vec::new());
    }
    let masks = reader_masks(&readers)?;
    let n_others = usize::try_from(nodule.consensus_n_readers).unwrap_or(0).saturating_sub(1);
    let needed = n_needed(nodule.consensus_level, n_others);
    let metrics: Vec<MaskMetrics> = masks
        .iter()
        .filter_map(|(session, own)| {
            let others = || masks.iter().filter(|(other, _)| other != session);
            let consensus = Mask::from_fn(own.size(), |i, j, k| {
                others().filter(|(_, mask)| mask.get(i, j, k)).count() >= needed
            });
            (!consensus.is_empty()).then(|| measure(own, &consensus, spacing_mm))
        })
        .collect();
    let of_metric = |metric: Metric| {
        let values: Vec<f64> = metrics.iter().filter_map(|metrics| metric.of(metrics)).collect();
        ReaderMetric {
            nodule_id: nodule.nodule_id.clone(),
            patient_id: nodule.patient_id.clone(),
            metric: metric.name().to_owned(),
            value: nodulus_metrics::summary::mean(&values),
            n_readers: values.len() as i64,
        }
    };
    Ok(Metric::ALL.map(of_metric).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::nodule;
    use crate::stages::ingest::tests::mark;

    fn dice(marks: &[Mark], level: f64, n_readers: i64) -> Option<f64> {
        let mut nodule = nodule("n", [0, 0, 0], [1, 1, 1]);
        (nodule.consensus_level, nodule.consensus_n_readers) = (level, n_readers);
        let marks: Vec<&Mark> = marks.iter().collect();
        let found = against_the_others(&nodule, &marks, [0.5, 0.5, 2.0]).unwrap();
        let found = found.into_iter().find(|measured| measured.metric == "dice");
        found.and_then(|measured| measured.value)
    }

    #[test]
    fn each_reader_is_compared_with_what_the_others_agree_on() {
        // Columns 4 to 7, 5 to 8 and 6 to 9.
        let marks = [
            mark("a", 0, [4, 9, 1], [4, 1, 1]),
            mark("b", 1, [5, 9, 1], [4, 1, 1]),
            mark("c", 2, [6, 9, 1], [4, 1, 1]),
        ];
        // One of two is enough: against 5 to 9, 4 to 9 and 4 to 8: 3 of 4 and 5, 4 of 4 and 6, 3 of
        // 4 and 5.
        let expected = (6.0 / 9.0 + 8.0 / 10.0 + 6.0 / 9.0) / 3.0;
        assert!((dice(&marks, 0.5, 3).unwrap() - expected).abs() < 1e-12);
        // Both are needed: against 6 to 8, 6 to 7 and 5 to 7.
        let expected = (4.0 / 7.0 + 4.0 / 6.0 + 4.0 / 7.0) / 3.0;
        assert!((dice(&marks, 1.0, 3).unwrap() - expected).abs() < 1e-12);
        // Two readers are each other's consensus.
        assert!((dice(&marks[..2], 0.5, 2).unwrap() - 0.75).abs() < 1e-12);
        assert_eq!(dice(&marks[..1], 0.5, 1), None);
    }

    #[test]
    fn others_without_a_common_voxel_are_no_reference() {
        let marks = [
            mark("a", 0, [4, 9, 1], [2, 1, 1]),
            mark("b", 1, [4, 9, 1], [2, 1, 1]),
            mark("c", 2, [9, 9, 1], [2, 1, 1]),
        ];
        // a and b share no voxel with c; c misses everything that a and b agree on.
        assert_eq!(dice(&marks, 1.0, 3), Some(0.0));
    }
}

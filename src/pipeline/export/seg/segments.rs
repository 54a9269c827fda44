//! The segments of a scan: each nodule's consensus, then the marks that were merged into it.

use crate::tables::{Mark, Nodule, mask_box};
use nodulus_formats::lidc_xml::Ratings;
use nodulus_formats::volume::PlacedMask;
use std::collections::BTreeMap;

/// A segment to be written.
pub(super) struct PlannedSegment<'a> {
    /// `SegmentLabel`.
    pub(super) label: String,
    /// `SegmentDescription`.
    pub(super) description: String,
    /// The id of the mark, or of the nodule for its consensus.
    pub(super) tracking_id: &'a str,
    pub(super) nodule_id: &'a str,
    pub(super) drawn: Drawn<'a>,
    pub(super) mask: PlacedMask,
}

/// What a segment shows.
#[derive(Clone, Copy)]
pub(super) enum Drawn<'a> {
    /// The voxels that enough readers include.
    Consensus,
    /// A reader's mark.
    By(&'a Mark),
}

impl<'a> PlannedSegment<'a> {
    /// The mark; `None` for a consensus.
    pub(super) fn mark(&self) -> Option<&'a Mark> {
        match self.drawn {
            Drawn::Consensus => None,
            Drawn::By(mark) => Some(mark),
        }
    }
}

/// The tables do not give a nodule's masks.
#[derive(Debug, thiserror::Error)]
pub(super) enum SegmentError {
    #[error(
        "nodule `{nodule_id}` has mark `{mark_id}`, which is not in `marks`: run merge again with `--force`"
    )]
    NoMark { nodule_id: String, mark_id: String },
    #[error("the mask of `{id}` does not fit its box: run ingest and merge again with `--force`")]
    Mask { id: String, source: mask_box::Error },
}

/// The segments of a scan's nodules, in the order of the table; marks by their sessions. A segment without voxels is left out.
///
/// METHOD: a segment is a mark, not the union of a reader's marks: a reader who marked a nodule twice rated it twice.
pub(super) fn planned<'a>(
    nodules: &'a [Nodule],
    marks: &'a BTreeMap<String, Mark>,
) -> Result<Vec<PlannedSegment<'a>>, SegmentError> {
    let mut planned = Vec::new();
    for (n, nodule) in (1..).zip(nodules) {
        let nodule_id = nodule.nodule_id.as_str();
        let unfit = |id: &str| {
            let id = id.to_owned();
            move |source| SegmentError::Mask { id, source }
        };
        planned.push(PlannedSegment {
            label: format!("Nodule {n}, consensus"),
            description: format!(
                "Voxels that {} or more of {} readers include",
                nodule.consensus_n_needed, nodule.consensus_n_readers
            ),
            tracking_id: nodule_id,
            nodule_id,
            drawn: Drawn::Consensus,
            mask: nodule.placed().map_err(unfit(nodule_id))?,
        });
        let mut own = Vec::with_capacity(nodule.mark_ids.len());
        for mark_id in &nodule.mark_ids {
            own.push(marks.get(mark_id).ok_or_else(|| SegmentError::NoMark {
                nodule_id: nodule_id.to_owned(),
                mark_id: mark_id.clone(),
            })?);
        }
        own.sort_by_key(|mark| mark.reading_session);
        for of_reader in own.chunk_by(|a, b| a.reading_session == b.reading_session) {
            for (m, mark) in (1..).zip(of_reader) {
                let mut label = format!("Nodule {n}, reader {}", mark.reading_session);
                if of_reader.len() > 1 {
                    label = format!("{label}, mark {m}");
                }
                let Some(mask) = mark.placed().map_err(unfit(&mark.mark_id))? else { continue };
                planned.push(PlannedSegment {
                    label,
                    description: format!("Mark of reading session {}", mark.reading_session),
                    tracking_id: &mark.mark_id,
                    nodule_id,
                    drawn: Drawn::By(mark),
                    mask,
                });
            }
        }
    }
    planned.retain(|segment| !segment.mask.mask.is_empty());
    Ok(planned)
}

/// The ratings of a mark.
pub(super) fn ratings(mark: &Mark) -> Ratings {
    let of = &mark.ratings;
    Ratings {
        subtlety: of.subtlety,
        internal_structure: of.internal_structure,
        calcification: of.calcification,
        sphericity: of.sphericity,
        margin: of.margin,
        lobulation: of.lobulation,
        spiculation: of.spiculation,
        texture: of.texture,
        malignancy: of.malignancy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_formats::volume::Mask;

    fn mark(mark_id: &str, reading_session: i64, n_voxels: i64) -> (String, Mark) {
        let bits = Mask::from_fn([n_voxels as usize, 1, 1], |_, _, _| true).into_bits();
        let mark = Mark {
            mark_id: mark_id.to_owned(),
            reading_session,
            bbox_i: Some(5),
            bbox_j: Some(6),
            bbox_k: Some(7),
            bbox_size_i: Some(n_voxels),
            bbox_size_j: Some(1),
            bbox_size_k: Some(1),
            mask_bits: Some(bits),
            ..Mark::default()
        };
        (mark_id.to_owned(), mark)
    }

    fn nodule(nodule_id: &str, mark_ids: &[&str]) -> Nodule {
        Nodule {
            nodule_id: nodule_id.to_owned(),
            mark_ids: mark_ids.iter().map(ToString::to_string).collect(),
            consensus_n_needed: 1,
            consensus_n_readers: 2,
            ..Nodule::default()
        }
    }

    #[test]
    fn each_mark_is_a_segment_after_its_consensus() {
        let marks = BTreeMap::from([mark("a", 3, 2), mark("b", 0, 4), mark("c", 3, 1)]);
        // One voxel in the consensus of the first nodule, none in that of the second.
        let agreed = Nodule {
            bbox_size_i: 1,
            bbox_size_j: 1,
            bbox_size_k: 1,
            mask_bits: vec![1],
            ..nodule("n-1", &["a", "b", "c"])
        };
        let nodules = [agreed, nodule("n-2", &["b"])];
        let planned = planned(&nodules, &marks).unwrap();
        let found: Vec<_> = planned
            .iter()
            .map(|s| (s.label.as_str(), s.tracking_id, s.mask.mask.count()))
            .collect();
        assert_eq!(
            found,
            [
                ("Nodule 1, consensus", "n-1", 1),
                ("Nodule 1, reader 0", "b", 4),
                ("Nodule 1, reader 3, mark 1", "a", 2),
                ("Nodule 1, reader 3, mark 2", "c", 1),
                ("Nodule 2, reader 0", "b", 4),
            ]
        );
        assert_eq!(planned[1].mask.start, [5, 6, 7]);
        assert_eq!(planned[0].description, "Voxels that 1 or more of 2 readers include");
    }

    #[test]
    fn a_mark_that_is_not_in_the_table_is_named() {
        let nodules = [nodule("n-1", &["gone"])];
        let Err(error) = planned(&nodules, &BTreeMap::new()) else { panic!("no error") };
        assert!(error.to_string().contains("has mark `gone`, which is not in `marks`"), "{error}");
    }
}

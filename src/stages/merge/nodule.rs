//! The row of one nodule.

use super::MergeError;
use super::config::{Config, Denominator};
use super::join::MarkGroup;
use super::located::LocatedMark;
use super::points::NearPoints;
use super::ratings::{ratings, texture_type};
use crate::tables::{Mark, Nodule, Scan};
use nodulus_formats::volume::PlacedMask;
use nodulus_imaging::consensus::{ReaderCounts, n_needed};
use nodulus_store::hash;
use std::collections::BTreeMap;

/// The row of a group of marks; `points` are those near it.
pub(super) fn row(
    config: &Config,
    scan: &Scan,
    all: &[LocatedMark<'_>],
    joined: &MarkGroup,
    points: &[&Mark],
) -> Result<Nodule, MergeError> {
    let members: Vec<&LocatedMark<'_>> = joined.marks.iter().map(|mark| &all[*mark]).collect();
    let marks: Vec<&Mark> = members.iter().map(|placed| placed.mark).collect();
    let NoduleMasks { n_readers, of_readers, n_needed, consensus, union, counts } =
        masks(config, scan, &members)?;
    let no_spacing = || MergeError::NoSpacing(scan.series_instance_uid.clone());
    let voxel_mm3: f64 = scan.spacing_mm().ok_or_else(no_spacing)?.iter().product();
    let [volume_mm3, union_volume_mm3] =
        [&consensus, &union].map(|placed| placed.mask.count() as f64 * voxel_mm3);
    let [bbox_i, bbox_j, bbox_k] = consensus.start.map(|v| v as i64);
    let [bbox_size_i, bbox_size_j, bbox_size_k] = consensus.mask.size().map(|v| v as i64);
    let [union_bbox_i, union_bbox_j, union_bbox_k] = union.start.map(|v| v as i64);
    let [union_bbox_size_i, union_bbox_size_j, union_bbox_size_k] =
        union.mask.size().map(|v| v as i64);
    let whole: f64 = joined.weights.iter().sum();
    let mean = |value: &dyn Fn(&LocatedMark<'_>) -> f64| {
        let weighted = members.iter().zip(&joined.weights);
        weighted.map(|(placed, weight)| weight * value(placed)).sum::<f64>() / whole
    };
    let mean_known = |value: &dyn Fn(&Mark) -> Option<f64>| {
        let weighted = marks.iter().zip(&joined.weights);
        let sum: Option<f64> = weighted.map(|(mark, weight)| Some(weight * value(mark)?)).sum();
        sum.map(|sum| sum / whole)
    };
    let mark_ids = sorted_ids(all, &joined.marks);
    let alternative = joined.alternative.as_ref().map(|groups| {
        let mut ids: Vec<_> = groups.iter().map(|group| sorted_ids(all, group)).collect();
        ids.sort_unstable();
        ids
    });
    let sessions = marks.iter().map(|mark| mark.reading_session).collect();
    let near = NearPoints::of(points.iter().copied(), &sessions);
    let ratings = ratings(&marks);
    let texture_type = texture_type(&ratings.texture);
    Ok(Nodule {
        nodule_id: hash::id("n-", mark_ids.iter().map(String::as_str)),
        cohort: scan.cohort.clone(),
        series_instance_uid: scan.series_instance_uid.clone(),
        patient_id: scan.patient_id.clone(),
        merge_rule: config.rule.name().to_owned(),
        n_marks: marks.len() as i64,
        n_readers: n_readers as i64,
        n_small: near.n_small,
        n_non_nodule: near.n_non_nodule,
        more_marks_than_readers: marks.len() > n_readers,
        centroid_i: mean(&|placed| placed.centroid[0]),
        centroid_j: mean(&|placed| placed.centroid[1]),
        centroid_k: mean(&|placed| placed.centroid[2]),
        centroid_x_mm: mean_known(&|mark| mark.centroid_x_mm),
        centroid_y_mm: mean_known(&|mark| mark.centroid_y_mm),
        centroid_z_mm: mean_known(&|mark| mark.centroid_z_mm),
        diameter_mm: mean(&|placed| placed.diameter_mm),
        volume_mm3,
        consensus_level: config.consensus_level,
        consensus_denominator: config.denominator.name().to_owned(),
        consensus_n_readers: of_readers as i64,
        consensus_n_needed: n_needed as i64,
        bbox_i,
        bbox_j,
        bbox_k,
        bbox_size_i,
        bbox_size_j,
        bbox_size_k,
        mask_bits: consensus.mask.into_bits(),
        union_volume_mm3,
        union_bbox_i,
        union_bbox_j,
        union_bbox_k,
        union_bbox_size_i,
        union_bbox_size_j,
        union_bbox_size_k,
        union_mask_bits: union.mask.into_bits(),
        reader_counts: counts,
        mark_ids,
        small_mark_ids: near.small_mark_ids,
        non_nodule_mark_ids: near.non_nodule_mark_ids,
        alternative_mark_ids: alternative,
        ratings,
        texture_type: texture_type.map(str::to_owned),
    })
}

/// The masks that follow from a nodule's readers.
struct NoduleMasks {
    n_readers: usize,
    /// Number of readers that the consensus level is a share of.
    of_readers: usize,
    /// Number of readers that must hold a voxel of the consensus.
    n_needed: usize,
    consensus: PlacedMask,
    union: PlacedMask,
    /// Number of readers of each voxel of the union's box.
    counts: Vec<u8>,
}

fn masks(
    config: &Config,
    scan: &Scan,
    members: &[&LocatedMark<'_>],
) -> Result<NoduleMasks, MergeError> {
    let mut by_reader: BTreeMap<i64, Vec<&PlacedMask>> = BTreeMap::new();
    for placed in members {
        by_reader.entry(placed.mark.reading_session).or_default().push(&placed.mask);
    }
    let readers: Vec<_> = by_reader.into_values().collect();
    let n_readers = readers.len();
    let of_readers = match config.denominator {
        Denominator::Marking => n_readers,
        Denominator::All => sessions(scan, n_readers)?,
    };
    let n_needed = n_needed(config.consensus_level, of_readers);
    let holders = ReaderCounts::count(&readers);
    let [consensus, union] = [n_needed, 1].map(|n| holders.at_least(n));
    let counts = holders.within(union.start, union.mask.size());
    Ok(NoduleMasks { n_readers, of_readers, n_needed, consensus, union, counts })
}

/// The number of the scan's reading sessions. Fails where it is less than the number of the nodule's readers.
fn sessions(scan: &Scan, n_readers: usize) -> Result<usize, MergeError> {
    let n_sessions = usize::try_from(scan.n_reading_sessions).ok();
    n_sessions
        .filter(|n| *n >= n_readers)
        .ok_or(MergeError::Sessions { n_reading_sessions: scan.n_reading_sessions, n_readers })
}

fn sorted_ids(all: &[LocatedMark<'_>], marks: &[usize]) -> Vec<String> {
    let mut ids: Vec<String> = marks.iter().map(|mark| all[*mark].mark.mark_id.clone()).collect();
    ids.sort_unstable();
    ids
}

#[cfg(test)]
mod tests {
    use super::super::{Chains, MergeRule, transform};
    use super::*;
    use crate::stages::ingest::tests::{mark, scan};

    /// Bars of voxels along i: session, first column and length; near enough to be one nodule.
    fn bars(bars: &[(usize, usize, usize)]) -> Vec<Mark> {
        let marks = bars.iter().enumerate().map(|(n, (session, start, length))| {
            let mark = mark(&format!("m{n}"), *session, [*start, 10, 1], [*length, 1, 1]);
            Mark { diameter_mm: Some(15.0), ..mark }
        });
        marks.collect()
    }

    fn only(config: &Config, scan: &Scan, marks: &[Mark]) -> Nodule {
        let (mut nodules, failures) = transform(config, scan, marks);
        assert_eq!((nodules.len(), failures), (1, Vec::new()));
        nodules.remove(0)
    }

    #[test]
    fn the_share_is_of_those_who_marked_or_of_all_who_read() {
        let marks = bars(&[(0, 10, 4), (1, 10, 3), (3, 10, 2)]);
        let scan = Scan { n_reading_sessions: 5, ..scan() };
        let config = Config::default();
        let marking = only(&config, &scan, &marks);
        assert_eq!((marking.consensus_n_readers, marking.consensus_n_needed), (3, 2));
        assert_eq!((marking.bbox_i, marking.bbox_size_i), (10, 3));
        assert_eq!(marking.consensus_denominator, "marking");
        let all = only(&Config { denominator: Denominator::All, ..config }, &scan, &marks);
        assert_eq!((all.consensus_n_readers, all.consensus_n_needed), (5, 3));
        assert_eq!((all.bbox_i, all.bbox_size_i), (10, 2));
        assert_eq!(all.consensus_denominator, "all");
    }

    #[test]
    fn fewer_sessions_than_readers_are_a_failure_that_names_the_marks() {
        let config = Config { denominator: Denominator::All, ..Config::default() };
        let scan = Scan { n_reading_sessions: 1, ..scan() };
        let (nodules, failures) = transform(&config, &scan, &bars(&[(0, 10, 4), (1, 10, 3)]));
        assert!(nodules.is_empty());
        assert!(failures[0].case_id.ends_with("marks m0 m1"), "{}", failures[0].case_id);
        let cause = "the scan has 1 reading sessions, but 2 marked the nodule";
        assert!(failures[0].cause.starts_with(cause), "{}", failures[0].cause);
    }

    #[test]
    fn a_nodule_without_consensus_keeps_its_row_and_its_union() {
        let config = Config { consensus_level: 1.0, ..Config::default() };
        let nodule = only(&config, &scan(), &bars(&[(0, 12, 2), (1, 9, 2)]));
        assert!(nodule.volume_mm3.abs() < 1e-12);
        assert_eq!([nodule.bbox_i, nodule.bbox_j, nodule.bbox_k], [9, 10, 1]);
        assert_eq!([nodule.bbox_size_i, nodule.bbox_size_j, nodule.bbox_size_k], [0, 0, 0]);
        assert!(nodule.mask_bits.is_empty());
        assert!(nodule.placed().unwrap().mask.is_empty());
        // Columns 9, 10, 12 and 13, of 0.7 × 0.8 × 2.5 mm each.
        assert_eq!(nodule.union_mask_bits, [0b11011]);
        assert_eq!(nodule.reader_counts, [1, 1, 0, 1, 1]);
        assert_eq!([8, 9, 11, 13, 14].map(|i| nodule.n_readers_at([i, 10, 1])), [0, 1, 0, 1, 0]);
        assert_eq!(nodule.n_readers_at([9, 11, 1]), 0);
        assert_eq!([nodule.union_bbox_i, nodule.union_bbox_size_i], [9, 5]);
        assert_eq!(nodule.placed_union().unwrap().mask.count(), 4);
        assert!((nodule.union_volume_mm3 - 4.0 * 1.4).abs() < 1e-12);
    }

    #[test]
    fn two_marks_of_one_reader_are_two_marks_and_one_reader() {
        // One reader holds columns 10 to 13, the other 13 to 15.
        let marks = bars(&[(0, 10, 2), (0, 12, 2), (1, 13, 3)]);
        let chains = Some(Chains::Flag);
        let config = Config { consensus_level: 1.0, chains, ..Config::default() };
        let nodule = only(&config, &scan(), &marks);
        assert_eq!((nodule.n_marks, nodule.n_readers), (3, 2));
        assert_eq!((nodule.consensus_n_readers, nodule.consensus_n_needed), (2, 2));
        assert_eq!((nodule.bbox_i, nodule.bbox_size_i), (13, 1));
        assert!((nodule.volume_mm3 - 1.4).abs() < 1e-12);
        assert!(nodule.more_marks_than_readers);
        // Centres are at columns 10.5, 12.5 and 14; the last two are closer.
        let alternative = [vec!["m0"], vec!["m1", "m2"]];
        let alternative = alternative.map(|ids| ids.into_iter().map(str::to_owned).collect());
        assert_eq!(nodule.alternative_mark_ids, Some(alternative.to_vec()));
        let nodule = only(&config, &scan(), &bars(&[(0, 10, 2), (1, 11, 3)]));
        assert!(!nodule.more_marks_than_readers);
        assert_eq!(nodule.alternative_mark_ids, None);
    }

    #[test]
    fn place_and_diameter_have_the_weights_of_the_rule() {
        // Columns 0, 2, 4 and 8, a millimetre apart, with diameters of 10, 12, 10 and 6 mm.
        let mut marks = bars(&[(0, 0, 1), (1, 2, 1), (2, 4, 1), (3, 8, 1)]);
        for (mark, diameter) in marks.iter_mut().zip([10.0, 12.0, 10.0, 6.0]) {
            mark.diameter_mm = Some(diameter);
        }
        let scan = Scan { spacing_i_mm: 1.0, ..scan() };
        for (rule, column, diameter) in
            [(MergeRule::Linkage, 3.5, 9.5), (MergeRule::Luna16, 2.0, 10.0)]
        {
            let nodule = only(&Config { rule, ..Config::default() }, &scan, &marks);
            assert_eq!(nodule.merge_rule, rule.name());
            assert!((nodule.centroid_i - column).abs() < 1e-12, "{}", nodule.centroid_i);
            assert!((nodule.centroid_j - 10.0).abs() < 1e-12);
            assert!((nodule.diameter_mm - diameter).abs() < 1e-12, "{}", nodule.diameter_mm);
            // The marks' own x is 1 + 0.7 i.
            let x = nodule.centroid_x_mm.unwrap();
            assert!((x - 1.0 - 0.7 * column).abs() < 1e-12, "{x}");
        }
        marks[2].centroid_x_mm = None;
        assert_eq!(only(&Config::default(), &scan, &marks).centroid_x_mm, None);
    }
}

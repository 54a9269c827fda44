//! Joins a scan's marks to nodules.

use super::config::{Chains, Config, MergeRule};
use super::located::LocatedMark;
use nodulus_formats::volume::PlacedMask;
use nodulus_imaging::chains;
use nodulus_imaging::linkage::{distance_mm, single_linkage};
use nodulus_imaging::luna16_merge::luna16_merge;
use nodulus_imaging::overlap::{iou, overlap_linkage};
use std::collections::{BTreeMap, BTreeSet};

/// Marks of one nodule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MarkGroup {
    /// Index of each mark, ascending.
    pub(super) marks: Vec<usize>,
    /// Weight of each mark in the nodule's centre and diameter.
    pub(super) weights: Vec<f64>,
    /// Where a reader marked twice: groups of the marks, each with at most one mark of a reader.
    pub(super) alternative: Option<Vec<Vec<usize>>>,
}

impl MarkGroup {
    fn plain(marks: Vec<usize>) -> Self {
        Self { weights: vec![1.0; marks.len()], marks, alternative: None }
    }
}

/// Groups the marks of a scan by nodule; each mark is in one group.
///
/// METHOD: a reader drew the marks of one session as separate nodules, so they are never joined only with each other:
/// where a scan has a single session, each mark is a nodule.
pub(super) fn join(config: &Config, marks: &[LocatedMark<'_>]) -> Vec<MarkGroup> {
    if readers(marks, 0..marks.len()) < 2 {
        return (0..marks.len()).map(|mark| MarkGroup::plain(vec![mark])).collect();
    }
    let nodules = match config.rule {
        MergeRule::Linkage => {
            let (centres, diameters) = spheres(marks);
            plain_groups(&single_linkage(&centres, &diameters))
        }
        MergeRule::Luna16 => {
            let (centres, diameters) = spheres(marks);
            let sessions: Vec<_> = marks.iter().map(|placed| placed.mark.reading_session).collect();
            let merged = luna16_merge(&centres, &diameters, &sessions).into_iter();
            merged
                .map(|n| MarkGroup { marks: n.marks, weights: n.weights, alternative: None })
                .collect()
        }
        MergeRule::Overlap => {
            let masks: Vec<&PlacedMask> = marks.iter().map(|placed| &placed.mask).collect();
            plain_groups(&overlap_linkage(&masks, config.iou_threshold))
        }
    };
    nodules.into_iter().flat_map(|nodule| unchained(config, marks, nodule)).collect()
}

/// The nodule, with the alternative groups where a reader marked it more than once; or those groups as nodules, by the
/// settings.
fn unchained(config: &Config, marks: &[LocatedMark<'_>], nodule: MarkGroup) -> Vec<MarkGroup> {
    if readers(marks, nodule.marks.iter().copied()) == nodule.marks.len() {
        return vec![nodule];
    }
    let members: Vec<&LocatedMark<'_>> = nodule.marks.iter().map(|mark| &marks[*mark]).collect();
    let sessions: Vec<_> = members.iter().map(|placed| placed.mark.reading_session).collect();
    let groups = chains::split(&sessions, |a, b| gap(config, members[a], members[b]));
    let of_scan = |group: Vec<usize>| group.into_iter().map(|n| nodule.marks[n]).collect();
    let groups: Vec<Vec<usize>> = groups.into_iter().map(of_scan).collect();
    match config.chains() {
        Chains::Flag => vec![MarkGroup { alternative: Some(groups), ..nodule }],
        // METHOD: plain means, because the weights of LUNA16's rule belong to the whole chain.
        Chains::Split => groups.into_iter().map(MarkGroup::plain).collect(),
    }
}

/// The distance of two marks by the measure of the rule; `None` where they are not linked.
fn gap(config: &Config, a: &LocatedMark<'_>, b: &LocatedMark<'_>) -> Option<f64> {
    match config.rule {
        MergeRule::Linkage | MergeRule::Luna16 => {
            let distance = distance_mm(a.centre_mm, b.centre_mm);
            let radii = f64::midpoint(a.diameter_mm, b.diameter_mm);
            (distance < radii).then(|| distance / radii)
        }
        MergeRule::Overlap => {
            let iou = iou(&a.mask, &b.mask);
            (iou > config.iou_threshold).then_some(1.0 - iou)
        }
    }
}

fn readers(marks: &[LocatedMark<'_>], members: impl Iterator<Item = usize>) -> usize {
    let sessions: BTreeSet<i64> = members.map(|n| marks[n].mark.reading_session).collect();
    sessions.len()
}

fn spheres(marks: &[LocatedMark<'_>]) -> (Vec<[f64; 3]>, Vec<f64>) {
    marks.iter().map(|placed| (placed.centre_mm, placed.diameter_mm)).unzip()
}

fn plain_groups(group_of: &[usize]) -> Vec<MarkGroup> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (mark, group) in group_of.iter().enumerate() {
        groups.entry(*group).or_default().push(mark);
    }
    groups.into_values().map(MarkGroup::plain).collect()
}

#[cfg(test)]
mod tests {
    use super::super::located::locate;
    use super::*;
    use crate::stages::ingest::tests::{mark, scan};
    use crate::tables::{Mark, Scan};

    /// Single voxels on a line: session, column and diameter of each; columns are 1 mm apart.
    fn line(marks: &[(usize, usize, f64)]) -> Vec<Mark> {
        let marks = marks.iter().enumerate().map(|(n, (session, i, diameter))| {
            let mark = mark(&n.to_string(), *session, [*i, 10, 1], [1, 1, 1]);
            Mark { diameter_mm: Some(*diameter), ..mark }
        });
        marks.collect()
    }

    fn joined(config: &Config, marks: &[Mark]) -> Vec<MarkGroup> {
        let scan = Scan { spacing_i_mm: 1.0, ..scan() };
        join(config, &locate(&scan, &marks.iter().collect::<Vec<_>>()).unwrap())
    }

    fn groups(config: &Config, marks: &[Mark]) -> Vec<Vec<usize>> {
        joined(config, marks).into_iter().map(|nodule| nodule.marks).collect()
    }

    fn by(rule: MergeRule) -> Config {
        Config { rule, ..Config::default() }
    }

    #[test]
    fn each_rule_joins_in_its_own_way() {
        // Each is within 4 of the next; the mean of the last two, at 4.5, is not within 4 of the first.
        let marks = line(&[(0, 0, 4.0), (1, 3, 4.0), (2, 6, 4.0)]);
        let linkage = joined(&by(MergeRule::Linkage), &marks);
        assert_eq!(linkage, [MarkGroup::plain(vec![0, 1, 2])]);
        let luna16 = joined(&by(MergeRule::Luna16), &marks);
        assert_eq!(luna16[0], MarkGroup::plain(vec![0]));
        assert_eq!((&luna16[1].marks, &luna16[1].weights), (&vec![1, 2], &vec![0.5, 0.5]));
        assert_eq!(groups(&by(MergeRule::Overlap), &marks), [[0], [1], [2]]);

        // 1 of 7 voxels between 0 and 1, none between 0 and 2, whose centres are near.
        let [a, b] = [[2, 4, 1], [5, 4, 1]].map(|start| mark("m", 0, start, [4, 1, 1]));
        let mut marks = [a, b, mark("m", 2, [2, 5, 1], [4, 1, 1])];
        marks[1].reading_session = 1;
        let overlap = |iou_threshold| Config { iou_threshold, ..by(MergeRule::Overlap) };
        assert_eq!(groups(&overlap(0.0), &marks), [vec![0, 1], vec![2]]);
        assert_eq!(groups(&overlap(0.2), &marks), [[0], [1], [2]]);
    }

    #[test]
    fn marks_of_one_session_alone_stay_apart_under_every_rule() {
        let marks = [mark("a", 0, [10, 10, 1], [4, 1, 1]), mark("b", 0, [11, 10, 1], [4, 1, 1])];
        for rule in [MergeRule::Linkage, MergeRule::Luna16, MergeRule::Overlap] {
            assert_eq!(joined(&by(rule), &marks), [[0], [1]].map(|n| MarkGroup::plain(n.to_vec())));
        }
    }

    #[test]
    fn a_chain_is_flagged_with_its_alternative_or_split() {
        // Two nodules of two readers, about columns 1 and 9.5; 2 and 3 are within 8 of each other.
        let marks = line(&[(0, 0, 8.0), (0, 11, 8.0), (1, 2, 8.0), (1, 8, 8.0)]);
        let flag = Config { chains: Some(Chains::Flag), ..by(MergeRule::Linkage) };
        let flagged = joined(&flag, &marks);
        let alternative = Some(vec![vec![0, 2], vec![1, 3]]);
        assert_eq!(flagged, [MarkGroup { alternative, ..MarkGroup::plain(vec![0, 1, 2, 3]) }]);
        let split = joined(&by(MergeRule::Linkage), &marks);
        assert_eq!(split, [vec![0, 2], vec![1, 3]].map(MarkGroup::plain));

        // LUNA16's rule joins 3 to 1, at column 9.5, and 2 to both; 0 is of the same session as 1.
        let flagged = joined(&by(MergeRule::Luna16), &marks);
        let weights = vec![0.25, 0.5, 0.25];
        let alternative = Some(vec![vec![1, 3], vec![2]]);
        let chain = MarkGroup { marks: vec![1, 2, 3], weights, alternative };
        assert_eq!(flagged, [MarkGroup::plain(vec![0]), chain]);
        let split =
            joined(&Config { chains: Some(Chains::Split), ..by(MergeRule::Luna16) }, &marks);
        assert_eq!(split, [vec![0], vec![1, 3], vec![2]].map(MarkGroup::plain));
    }

    #[test]
    fn closeness_is_by_the_measure_of_the_rule() {
        // 2 is 3 of 4 from mark 0 and 7 of 10 from mark 1, which is closer for its size.
        let marks = line(&[(0, 0, 4.0), (0, 10, 16.0), (1, 3, 4.0)]);
        let split = Config { chains: Some(Chains::Split), ..by(MergeRule::Linkage) };
        assert_eq!(groups(&split, &marks), [vec![0], vec![1, 2]]);
        // 2 shares 2 of 9 voxels with mark 0 and 3 of 8 with mark 1.
        let marks = [
            mark("a", 0, [0, 4, 1], [4, 1, 1]),
            mark("b", 0, [6, 4, 1], [4, 1, 1]),
            mark("c", 1, [2, 4, 1], [7, 1, 1]),
        ];
        let config = Config { chains: Some(Chains::Flag), ..by(MergeRule::Overlap) };
        let nodules = joined(&config, &marks);
        assert_eq!(nodules[0].marks, [0, 1, 2]);
        assert_eq!(nodules[0].alternative, Some(vec![vec![0], vec![1, 2]]));
        let nodules = joined(&Config { iou_threshold: 0.3, ..config }, &marks);
        assert_eq!(nodules, [vec![0], vec![1, 2]].map(MarkGroup::plain));
    }
}

//! Links points to nodules: marks of nodules under 3 mm, and of non-nodules.

use super::MergeError;
use super::located::{LocatedMark, centre_mm};
use crate::tables::{Mark, MarkKind, Scan};
use nodulus_imaging::linkage::distance_mm;
use std::collections::BTreeSet;

/// The diameter that stands for a point's, which has none: the size that parts LIDC's kinds of marks.
const POINT_DIAMETER_MM: f64 = 3.0;

/// A point and its position.
pub(super) struct Point<'a> {
    pub(super) mark: &'a Mark,
    centre_mm: [f64; 3],
}

/// The points of a scan that have a position.
pub(super) fn points<'a>(scan: &Scan, marks: &[&'a Mark]) -> Result<Vec<Point<'a>>, MergeError> {
    let is_point =
        |mark: &&&Mark| mark.kind != MarkKind::Nodule.name() && mark.centroid_i.is_some();
    let placed = |mark: &&'a Mark| Ok(Point { mark, centre_mm: centre_mm(scan, mark)?.1 });
    marks.iter().filter(is_point).map(placed).collect()
}

/// The nodule of each point, as an index into `nodules`, which are the indices of their marks in `marks`; `None` for a point that
/// is near no nodule.
///
/// METHOD: a point belongs to the nearest of the nodules from whose centre, the mean of its marks', it is nearer than half the sum
/// of the nodule's mean diameter and 3 mm: the criterion by which outlined marks are linked, with 3 mm for the point, which is the
/// greatest diameter of the one kind of points and the least of the other. A point of a reader who outlined the nodule is linked
/// too, and its reader counts as one who outlined it.
pub(super) fn nodule_of_points(
    points: &[Point<'_>],
    marks: &[LocatedMark<'_>],
    nodules: &[Vec<usize>],
) -> Vec<Option<usize>> {
    let spheres: Vec<([f64; 3], f64)> = nodules
        .iter()
        .map(|members| {
            let mean = |value: &dyn Fn(&LocatedMark<'_>) -> f64| {
                members.iter().map(|n| value(&marks[*n])).sum::<f64>() / members.len() as f64
            };
            let centre = std::array::from_fn(|a| mean(&|mark| mark.centre_mm[a]));
            (centre, mean(&|mark| mark.diameter_mm))
        })
        .collect();
    let nearest = |point: &Point<'_>| {
        let near = spheres.iter().enumerate().filter_map(|(n, (centre, diameter))| {
            let distance = distance_mm(*centre, point.centre_mm);
            (distance < f64::midpoint(*diameter, POINT_DIAMETER_MM)).then_some((distance, n))
        });
        near.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n)
    };
    points.iter().map(nearest).collect()
}

/// What the points near a nodule say of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NearPoints {
    /// Readers who marked a nodule under 3 mm there and outlined none.
    pub(super) n_small: i64,
    /// Readers who marked a non-nodule there and no nodule.
    pub(super) n_non_nodule: i64,
    /// Ids of the marks of nodules under 3 mm, sorted.
    pub(super) small_mark_ids: Vec<String>,
    /// Ids of the marks of non-nodules, sorted.
    pub(super) non_nodule_mark_ids: Vec<String>,
}

impl NearPoints {
    /// Of the points of a nodule that these sessions outlined.
    pub(super) fn of<'a>(points: impl Iterator<Item = &'a Mark>, outlined: &BTreeSet<i64>) -> Self {
        let (mut small, mut other) = (BTreeSet::new(), BTreeSet::new());
        let mut near = Self::default();
        for mark in points {
            let (sessions, ids) = if mark.kind == MarkKind::SmallNodule.name() {
                (&mut small, &mut near.small_mark_ids)
            } else {
                (&mut other, &mut near.non_nodule_mark_ids)
            };
            sessions.insert(mark.reading_session);
            ids.push(mark.mark_id.clone());
        }
        near.small_mark_ids.sort();
        near.non_nodule_mark_ids.sort();
        near.n_small = small.difference(outlined).count() as i64;
        near.n_non_nodule =
            other.iter().filter(|s| !outlined.contains(*s) && !small.contains(*s)).count() as i64;
        near
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, transform};
    use crate::stages::ingest::tests::{mark, scan};
    use crate::tables::{Mark, MarkKind};

    fn point(id: &str, session: usize, kind: MarkKind, i: f64) -> Mark {
        let outlined = mark(id, session, [2, 10, 1], [1, 1, 1]);
        Mark {
            kind: kind.name().to_owned(),
            centroid_i: Some(i),
            diameter_mm: None,
            mask_bits: None,
            bbox_i: None,
            bbox_j: None,
            bbox_k: None,
            bbox_size_i: None,
            bbox_size_j: None,
            bbox_size_k: None,
            ..outlined
        }
    }

    #[test]
    fn readers_who_drew_no_outline_are_counted_by_what_they_said() {
        let outline = |id: &str, session, i| Mark {
            diameter_mm: Some(5.0),
            ..mark(id, session, [i, 10, 1], [1, 1, 1])
        };
        let (small, other) = (MarkKind::SmallNodule, MarkKind::NonNodule);
        // Columns are 0.7 mm apart; (5 + 3) / 2 mm are 5.7 of them. Nodules lie at columns 2 and 12.
        let marks = [
            outline("a", 0, 2),
            outline("b", 1, 2),
            outline("c", 0, 12),
            point("d", 2, small, 5.0),
            point("e", 3, other, 6.0),
            // Nearer to the second nodule; the same reader, in two ways.
            point("f", 2, other, 9.0),
            point("g", 2, small, 10.0),
            // Of a reader who outlined the first.
            point("h", 1, other, 2.0),
            // Near nothing, and without a position.
            point("i", 3, small, 19.0),
            Mark { centroid_i: None, ..point("j", 3, small, 2.0) },
        ];
        let (nodules, failures) = transform(&Config::default(), &scan(), &marks);
        assert_eq!(failures, []);
        let find = |id: &str| nodules.iter().find(|n| n.mark_ids.contains(&id.to_owned())).unwrap();
        let (first, second) = (find("a"), find("c"));
        assert_eq!((first.n_readers, first.n_small, first.n_non_nodule), (2, 1, 1));
        assert_eq!(
            (&first.small_mark_ids[..], &first.non_nodule_mark_ids[..]),
            (&["d".to_owned()][..], &["e".to_owned(), "h".to_owned()][..])
        );
        assert_eq!((second.n_readers, second.n_small, second.n_non_nodule), (1, 1, 0));
        assert_eq!(
            (&second.small_mark_ids[..], &second.non_nodule_mark_ids[..]),
            (&["g".to_owned()][..], &["f".to_owned()][..])
        );
    }
}

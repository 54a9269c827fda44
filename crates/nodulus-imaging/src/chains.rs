//! Splits a chain of linked marks into groups with at most one mark of each reader.

/// Groups of the marks, ordered by first mark, each ascending; no groups for no marks.
///
/// `sessions` gives each mark's reader. `gap` of two marks, the first before the second, is smaller
/// the closer they are, and `None` where they are not linked.
///
/// METHOD: linked pairs are joined from the closest to the furthest, pairs with equal gaps in the
/// marks' order, unless two marks of one session would come together: a reader who marked twice saw
/// two nodules.
pub fn split(sessions: &[i64], gap: impl Fn(usize, usize) -> Option<f64>) -> Vec<Vec<usize>> {
    let n = sessions.len();
    let pairs = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b)));
    let mut linked: Vec<_> = pairs.filter_map(|(a, b)| Some((gap(a, b)?, a, b))).collect();
    linked.sort_by(|(gap, ..), (other, ..)| gap.total_cmp(other));
    let mut group_of: Vec<usize> = (0..n).collect();
    let mut groups: Vec<Vec<usize>> = (0..n).map(|mark| vec![mark]).collect();
    for (_, a, b) in linked {
        let (a, b) = (group_of[a], group_of[b]);
        let meet = groups[a].iter().any(|x| groups[b].iter().any(|y| sessions[*x] == sessions[*y]));
        if a == b || meet {
            continue;
        }
        let joined = std::mem::take(&mut groups[b]);
        for mark in &joined {
            group_of[*mark] = a;
        }
        groups[a].extend(joined);
    }
    groups.retain(|group| !group.is_empty());
    for group in &mut groups {
        group.sort_unstable();
    }
    groups.sort_unstable();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Marks on a line, linked when less than `reach` apart.
    fn line(marks: &[(f64, i64)], reach: f64) -> Vec<Vec<usize>> {
        let sessions: Vec<_> = marks.iter().map(|m| m.1).collect();
        split(&sessions, |a, b| {
            assert!(a < b);
            let gap = (marks[a].0 - marks[b].0).abs();
            (gap < reach).then_some(gap)
        })
    }

    #[test]
    fn two_nodules_of_two_readers_come_apart() {
        // 0 and 2 are 1 apart, 1 and 3 are 1.5; 2 and 3 would be next, at 3.
        let marks = [(0.0, 0), (5.5, 0), (1.0, 1), (4.0, 1)];
        assert_eq!(line(&marks, 4.0), [[0, 2], [1, 3]]);
    }

    #[test]
    fn a_third_reader_goes_to_the_closer_one() {
        let marks = [(0.0, 0), (5.0, 0), (3.0, 1)];
        assert_eq!(line(&marks, 4.0), [vec![0], vec![1, 2]]);
        // In the middle, the earlier pair comes first.
        let marks = [(0.0, 0), (5.0, 0), (2.5, 1)];
        assert_eq!(line(&marks, 4.0), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn groups_that_hold_a_common_reader_stay_apart() {
        // 0-1 and 2-3 are joined first; 1-2 would put two marks of each reader into one group.
        let marks = [(0.0, 0), (1.0, 1), (2.5, 0), (3.5, 1), (9.0, 2)];
        assert_eq!(line(&marks, 4.0), [vec![0, 1], vec![2, 3], vec![4]]);
        // A third reader joins one of them as a whole group.
        let marks = [(0.0, 0), (1.0, 1), (2.5, 0), (3.5, 1), (6.0, 2)];
        assert_eq!(line(&marks, 4.0), [vec![0, 1], vec![2, 3, 4]]);
        assert_eq!(line(&[], 4.0), [] as [Vec<usize>; 0]);
    }

    proptest! {
        #[test]
        fn every_mark_is_in_one_group_and_no_reader_twice(
            marks in prop::collection::vec((0.0..20.0f64, 0..4i64), 0..14),
            reach in 0.0..10.0f64,
        ) {
            let groups = line(&marks, reach);
            let mut all: Vec<usize> = groups.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..marks.len()).collect::<Vec<_>>());
            for group in groups {
                prop_assert!(group.is_sorted());
                let mut sessions: Vec<i64> = group.iter().map(|mark| marks[*mark].1).collect();
                sessions.sort_unstable();
                prop_assert!(sessions.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }
}

//! One-to-one matching of two sets at the lowest cost.

use ndarray::{Array2, ArrayView2};
use std::ops::{Add, Sub};

/// Cost of an assignment; each part counts where the previous ones are equal.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct AssignmentCost {
    n_unmatched: i64,
    first: f64,
    second: f64,
}

impl AssignmentCost {
    const NONE: Self = Self { n_unmatched: 0, first: 0.0, second: 0.0 };
    /// A pair that must not be matched: both stay alone.
    const UNMATCHED: Self = Self { n_unmatched: 1, ..Self::NONE };
    /// More than any assignment that fits in memory.
    const MOST: Self = Self { n_unmatched: i64::MAX / 4, ..Self::NONE };
}

impl Add for AssignmentCost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            n_unmatched: self.n_unmatched + other.n_unmatched,
            first: self.first + other.first,
            second: self.second + other.second,
        }
    }
}

impl Sub for AssignmentCost {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            n_unmatched: self.n_unmatched - other.n_unmatched,
            first: self.first - other.first,
            second: self.second - other.second,
        }
    }
}

/// The column matched to each row, or `None`; no column is matched twice. Empty for no rows.
///
/// `costs` has a row for each member of one set and a column for each of the other: `None` where
/// the two must not be matched, otherwise two costs, of which the second decides between equal
/// totals of the first. A cost that is not finite counts as `None`.
///
/// METHOD: as many pairs as possible, and among those the lowest total cost, by the Hungarian
/// algorithm with potentials (Kuhn 1955; shortest augmenting paths after Jonker and Volgenant 1987)
/// in O(n²m) for n ≤ m; rows and columns that stay alone are assigned to each other at a cost that
/// outweighs every other.
pub fn best_matching(costs: &Array2<Option<[f64; 2]>>) -> Vec<Option<usize>> {
    let (n_rows, n_columns) = costs.dim();
    if n_rows <= n_columns {
        return assign(&costs.view());
    }
    let mut columns = vec![None; n_rows];
    for (column, row) in assign(&costs.t()).into_iter().enumerate() {
        if let Some(row) = row {
            columns[row] = Some(column);
        }
    }
    columns
}

/// The same, for at most as many rows as columns.
fn assign(costs: &ArrayView2<'_, Option<[f64; 2]>>) -> Vec<Option<usize>> {
    let (n_rows, n_columns) = costs.dim();
    let eligible = |row: usize, column: usize| {
        costs[[row, column]].filter(|cost| cost.iter().all(|part| part.is_finite()))
    };
    let cost =
        |row: usize, column: usize| {
            eligible(row, column).map_or(AssignmentCost::UNMATCHED, |[first, second]| {
                AssignmentCost { n_unmatched: 0, first, second }
            })
        };
    let mut row_potential = vec![AssignmentCost::NONE; n_rows];
    let mut column_potential = vec![AssignmentCost::NONE; n_columns];
    let mut row_of: Vec<Option<usize>> = vec![None; n_columns];
    for new_row in 0..n_rows {
        // A shortest path from the new row to a free column; `before` is the previous column on the
        // path, `None` at the new row itself.
        let mut slack = vec![AssignmentCost::MOST; n_columns];
        let mut before: Vec<Option<usize>> = vec![None; n_columns];
        let mut visited = vec![false; n_columns];
        let mut last = None;
        let end = loop {
            let row = match last {
                None => new_row,
                Some(column) => match row_of[column] {
                    Some(row) => row,
                    None => break last,
                },
            };
            let mut nearest: Option<usize> = None;
            for column in (0..n_columns).filter(|column| !visited[*column]) {
                let reduced = cost(row, column) - row_potential[row] - column_potential[column];
                if reduced < slack[column] {
                    slack[column] = reduced;
                    before[column] = last;
                }
                if nearest.is_none_or(|nearest| slack[column] < slack[nearest]) {
                    nearest = Some(column);
                }
            }
            let Some(nearest) = nearest else { break None };
            let step = slack[nearest];
            row_potential[new_row] = row_potential[new_row] + step;
            for column in 0..n_columns {
                if visited[column] {
                    column_potential[column] = column_potential[column] - step;
                    if let Some(row) = row_of[column] {
                        row_potential[row] = row_potential[row] + step;
                    }
                } else {
                    slack[column] = slack[column] - step;
                }
            }
            visited[nearest] = true;
            last = Some(nearest);
        };
        // Along the path, each column takes the row of the column before it.
        let mut column = end;
        while let Some(this) = column {
            column = before[this];
            row_of[this] = column.map_or(Some(new_row), |before| row_of[before]);
        }
    }
    let mut columns = vec![None; n_rows];
    for (column, row) in row_of.into_iter().enumerate() {
        if let Some(row) = row.filter(|row| eligible(*row, column).is_some()) {
            columns[row] = Some(column);
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    const X: f64 = f64::NAN;

    /// Pairs that cost so much, none where that is NaN.
    fn given<const N: usize, const M: usize>(costs: [[f64; M]; N]) -> Array2<Option<[f64; 2]>> {
        Array2::from_shape_fn((N, M), |(n, m)| {
            Some([costs[n][m], 0.0]).filter(|cost| !cost[0].is_nan())
        })
    }

    #[test]
    fn the_least_total_is_not_the_nearest_first() {
        // Nearest first would take 1 and then 9: 10, where 2 + 3 = 5 is less.
        let costs = given([[1.0, 2.0], [3.0, 9.0]]);
        assert_eq!(best_matching(&costs), [Some(1), Some(0)]);
    }

    #[test]
    fn more_pairs_go_before_less_cost() {
        let costs = given([[0.0, 5.0], [1.0, X]]);
        assert_eq!(best_matching(&costs), [Some(1), Some(0)]);
        let costs = given([[0.0, 5.0], [X, X]]);
        assert_eq!(best_matching(&costs), [Some(0), None]);
        assert_eq!(best_matching(&array![[Some([f64::NAN, 0.0])]]), [None]);
    }

    #[test]
    fn sides_may_differ_in_number_or_be_empty() {
        let costs = given([[4.0], [3.0], [5.0]]);
        assert_eq!(best_matching(&costs), [None, Some(0), None]);
        let costs = given([[4.0, X, 3.0]]);
        assert_eq!(best_matching(&costs), [Some(2)]);
        assert_eq!(best_matching(&Array2::from_elem((0, 3), None)), [None; 0]);
        assert_eq!(best_matching(&Array2::from_elem((2, 0), None)), [None; 2]);
    }

    #[test]
    fn equal_totals_are_settled_by_the_second_cost() {
        let costs =
            array![[Some([0.0, 2.0]), Some([0.0, 0.0])], [Some([0.0, 0.0]), Some([0.0, 2.0])]];
        assert_eq!(best_matching(&costs), [Some(1), Some(0)]);
    }

    /// Pairs and total of the best way to match rows from `row` on, over every way there is.
    fn best(costs: &Array2<Option<[f64; 2]>>, row: usize, taken: u32) -> (usize, f64) {
        if row == costs.nrows() {
            return (0, 0.0);
        }
        let mut found = best(costs, row + 1, taken);
        for column in (0..costs.ncols()).filter(|column| taken & (1 << column) == 0) {
            if let Some([cost, _]) = costs[[row, column]] {
                let (pairs, total) = best(costs, row + 1, taken | (1 << column));
                let way = (pairs + 1, total + cost);
                if way.0 > found.0 || (way.0 == found.0 && way.1 < found.1) {
                    found = way;
                }
            }
        }
        found
    }

    fn any_costs() -> impl Strategy<Value = Array2<Option<[f64; 2]>>> {
        (0..=6usize, 0..=6usize).prop_flat_map(|shape| {
            // Whole numbers make equal costs, which must not lead astray.
            let cost = prop_oneof![(0..4u8).prop_map(f64::from), 0.0..30.0f64];
            let pair = prop::option::weighted(0.6, cost.prop_map(|cost| [cost, 0.0]));
            prop::collection::vec(pair, shape.0 * shape.1)
                .prop_map(move |costs| Array2::from_shape_vec(shape, costs).unwrap())
        })
    }

    proptest! {
        #[test]
        fn no_other_way_has_more_pairs_or_costs_less(costs in any_costs()) {
            let matched = best_matching(&costs);
            prop_assert_eq!(matched.len(), costs.nrows());
            let mut taken = vec![false; costs.ncols()];
            let (mut pairs, mut total) = (0, 0.0);
            for (row, column) in matched.iter().enumerate() {
                if let Some(column) = *column {
                    prop_assert!(!std::mem::replace(&mut taken[column], true));
                    let cost = costs[[row, column]];
                    prop_assert!(cost.is_some());
                    pairs += 1;
                    total += cost.unwrap()[0];
                }
            }
            let (most, least) = best(&costs, 0, 0);
            prop_assert_eq!(pairs, most);
            prop_assert!((total - least).abs() < 1e-9, "{} instead of {}", total, least);
        }
    }
}

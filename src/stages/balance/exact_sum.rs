//! Chooses patients who have a number of lesions together.

/// Chooses the earliest sizes that add up to a sum; `None` where none do.
pub(super) fn first_with_sum(sizes: &[usize], sum: usize) -> Option<Vec<bool>> {
    if sum > sizes.iter().sum() {
        return None;
    }
    // For each index, the sums that the sizes from there on can make.
    let mut makes = vec![vec![false; sum + 1]; sizes.len() + 1];
    makes[sizes.len()][0] = true;
    for n in (0..sizes.len()).rev() {
        for total in 0..=sum {
            let with = total >= sizes[n] && makes[n + 1][total - sizes[n]];
            makes[n][total] = with || makes[n + 1][total];
        }
    }
    let mut left = sum;
    makes[0][sum].then(|| {
        let take = |n: usize| {
            let taken = left >= sizes[n] && makes[n + 1][left - sizes[n]];
            left -= if taken { sizes[n] } else { 0 };
            taken
        };
        (0..sizes.len()).map(take).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_sum_is_made_where_it_can_be(sizes in prop::collection::vec(1usize..5, 0..10), sum in 0usize..20) {
            let sums: BTreeSet<usize> = (0..1usize << sizes.len())
                .map(|set| (0..sizes.len()).filter(|n| set >> n & 1 == 1).map(|n| sizes[n]).sum())
                .collect();
            let found = first_with_sum(&sizes, sum);
            prop_assert_eq!(found.is_some(), sums.contains(&sum));
            let total: Option<usize> =
                found.map(|taken| sizes.iter().zip(taken).filter(|(_, t)| *t).map(|(s, _)| s).sum());
            prop_assert!(total.is_none_or(|total| total == sum));
        }
    }
}

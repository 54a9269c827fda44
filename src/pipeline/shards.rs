//! Which cases make a shard: a function of the cases alone, so that every machine cuts the same ones.

use super::listed_case::unit_name;
use crate::stages::ingest::SourceCase;
use nodulus_formats::cohort::Layout;
use nodulus_store::hash;
use std::collections::BTreeMap;

/// Cuts the cases of a cohort into shards. Within a shard, cases are by what they are and not by where they lie.
pub(super) fn of_cases(
    layout: Layout,
    cases: Vec<SourceCase>,
    most: usize,
) -> Vec<Vec<SourceCase>> {
    let mut named: Vec<(String, SourceCase)> =
        cases.into_iter().map(|case| (unit(layout, &case), case)).collect();
    named.sort_by(|(a, of_a), (b, of_b)| {
        (a, &of_a.content_sha256, &of_a.case.case_id).cmp(&(
            b,
            &of_b.content_sha256,
            &of_b.case.case_id,
        ))
    });
    let units: Vec<&str> = named.iter().map(|(unit, _)| unit.as_str()).collect();
    let shards = cut(&units, most);
    let mut named: Vec<Option<SourceCase>> =
        named.into_iter().map(|(_, case)| Some(case)).collect();
    let mut take = |n: usize| named.get_mut(n).and_then(Option::take);
    let of_shard = |mut shard: Vec<usize>| {
        shard.sort_unstable();
        shard.into_iter().filter_map(&mut take).collect()
    };
    shards.into_iter().map(of_shard).collect()
}

/// What stays in one shard with a case: its name, or its content where nothing names it.
fn unit(layout: Layout, source: &SourceCase) -> String {
    unit_name(layout, &source.case).unwrap_or_else(|| source.content_sha256.clone())
}

/// Cuts cases into shards of at most `most` cases. `units` names for each case what stays in one shard: its patient,
/// or the case itself. Shards hold the positions of their cases, in the order of `units`; there is none without cases.
///
/// Units are put into a binary tree by the bits of their hashes; a leaf with more than `most` cases is split at the next
/// bit. A shard is a leaf. A new case therefore changes its own leaf and no other, and makes at most one leaf more,
/// whatever was there before and in whatever order it came. A unit with more than `most` cases is one shard.
fn cut(units: &[&str], most: usize) -> Vec<Vec<usize>> {
    let mut cases: BTreeMap<(u64, &str), Vec<usize>> = BTreeMap::new();
    for (n, unit) in units.iter().enumerate() {
        cases.entry((bits(unit), unit)).or_default().push(n);
    }
    let leaves: Vec<_> = cases.into_iter().map(|((bits, _), cases)| (bits, cases)).collect();
    let mut shards = Vec::new();
    split(&leaves, 0, most.max(1), &mut shards);
    shards
}

/// The first 64 bits of the hash of a unit.
fn bits(unit: &str) -> u64 {
    let digest = hash::sha256(unit.as_bytes());
    u64::from_str_radix(&digest[..16], 16).unwrap_or(0)
}

/// Splits units, which are sorted by their bits and agree in the first `depth` of them.
fn split(units: &[(u64, Vec<usize>)], depth: u32, most: usize, shards: &mut Vec<Vec<usize>>) {
    let n_cases: usize = units.iter().map(|(_, cases)| cases.len()).sum();
    if n_cases == 0 {
        return;
    }
    if n_cases <= most || depth == u64::BITS || units.len() == 1 {
        shards.push(units.iter().flat_map(|(_, cases)| cases).copied().collect());
        return;
    }
    let is_set = |bits: u64| bits >> (u64::BITS - 1 - depth) & 1 == 1;
    let (low, high) = units.split_at(units.partition_point(|(bits, _)| !is_set(*bits)));
    split(low, depth + 1, most, shards);
    split(high, depth + 1, most, shards);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn names(units: &[&str], most: usize) -> BTreeSet<Vec<String>> {
        let shards = cut(units, most).into_iter();
        let named = shards.map(|shard| shard.into_iter().map(|n| units[n].to_owned()).collect());
        named.collect()
    }

    #[test]
    fn no_cases_make_no_shard_and_a_large_patient_is_one() {
        assert_eq!(cut(&[], 4), [[0; 0]; 0]);
        assert_eq!(cut(&["a"; 9], 4), [(0..9).collect::<Vec<_>>()]);
        assert_eq!(cut(&["a", "b"], 0).len(), 2);
    }

    #[test]
    fn shards_are_filled_to_about_two_thirds() {
        let units: Vec<String> = (0..20_000).map(|n| format!("case {n}")).collect();
        let units: Vec<&str> = units.iter().map(String::as_str).collect();
        let mean = 20_000.0 / cut(&units, 24).len() as f64;
        assert!((14.0..20.0).contains(&mean), "{mean}");
    }

    proptest! {
        #[test]
        fn a_new_case_makes_at_most_two_shards_anew(
            ids in prop::collection::btree_set(0u32..5000, 1..300),
            new in 5000u32..9000,
            most in 1usize..20,
        ) {
            let mut units: Vec<String> = ids.iter().map(|id| format!("c{}", id / 2)).collect();
            let before = units.clone();
            units.push(format!("c{}", new / 2));
            let of = |units: &[String]| names(&units.iter().map(String::as_str).collect::<Vec<_>>(), most);
            let (before, after) = (of(&before), of(&units));
            prop_assert!(after.difference(&before).count() <= 2);
            // The order in which the cases come does not matter.
            units.reverse();
            prop_assert_eq!(of(&units), after);
        }

        #[test]
        fn every_case_is_in_one_shard_and_no_unit_in_two(
            ids in prop::collection::vec(0u32..200, 0..400), most in 1usize..30,
        ) {
            let units: Vec<String> = ids.iter().map(u32::to_string).collect();
            let units: Vec<&str> = units.iter().map(String::as_str).collect();
            let shards = cut(&units, most);
            let mut all: Vec<usize> = shards.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..units.len()).collect::<Vec<_>>());
            let mut seen = BTreeSet::new();
            for shard in &shards {
                let of_shard: BTreeSet<&str> = shard.iter().map(|n| units[*n]).collect();
                prop_assert!(shard.len() <= most || of_shard.len() == 1);
                prop_assert!(of_shard.iter().all(|unit| seen.insert(*unit)));
            }
        }
    }
}

//! Why the outputs of a step would be made anew.

use super::work::Fate;
use crate::pipeline::differences;
use crate::tables::SOURCES;
use nodulus_store::{JobSpec, Manifest, ShardInput};
use std::collections::BTreeMap;

/// How an output differs from what would be made, and which inputs will differ. `contents` is what it was made from, where
/// that is some rows of its inputs alone.
pub(super) fn reasons(
    made: &Manifest,
    wanted: &JobSpec,
    fates: &BTreeMap<&str, Fate>,
    contents: Option<&[ShardInput]>,
) -> Vec<String> {
    let mut reasons = differences::changed_work(made, wanted);
    let changed = differences::changed_inputs(made, wanted);
    for input in &wanted.inputs {
        let name = differences::in_words(&input.name);
        let plural = if input.name == SOURCES || name.ends_with('s') { "" } else { "s" };
        let reason = match fates.get(&*input.name) {
            Some(Fate::Changes) => format!("{name} change{plural}"),
            Some(Fate::MayChange) => format!("{name} may change"),
            _ if contents.is_some() && !input.is_from_outside() => continue,
            _ if changed.contains(&input.name) => format!("{name} changed"),
            _ => continue,
        };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    // What is still to be made has no rows to compare.
    let is_known = fates.values().all(|fate| *fate == Fate::Stays);
    for made in contents.into_iter().flatten().filter(|_| is_known) {
        let of_shard = wanted.shards.iter().flat_map(|shard| &shard.inputs);
        let differs = |input: &ShardInput| {
            input.name == made.name && input.content_sha256 != made.content_sha256
        };
        let reason = format!("{} changed", made.name);
        if of_shard.into_iter().any(differs) && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.extend(differences::other_inputs(made, wanted));
    reasons
}

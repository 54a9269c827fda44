//! Suggestions for a mistyped name.

/// Most suggestions of one name.
const MOST: usize = 3;

/// The names near `name`, nearest first.
///
/// A name is near where at most a third of its characters differ (optimal string alignment, case ignored).
pub fn near_names<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let lower = name.to_lowercase();
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = strsim::osa_distance(&lower, &candidate.to_lowercase());
            let longest = name.chars().count().max(candidate.chars().count());
            (distance <= longest.div_ceil(3) && distance < longest).then_some((distance, candidate))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    // Names that are further than the nearest by more than one edit are no help.
    let nearest = near.first().map_or(0, |(distance, _)| *distance);
    near.retain(|(distance, _)| *distance <= nearest + 1);
    near.into_iter().take(MOST).map(|(_, candidate)| candidate).collect()
}

/// ": did you mean `margin_slices`?" where `candidates` has names near `name`; empty where none is near.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let near = near_names(name, candidates);
    let names: Vec<String> = near.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => format!(": did you mean {last}?"),
        Some((last, others)) => format!(": did you mean {} or {last}?", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let keys = ["margin_slices", "padding_hu", "spacing_mm"];
        assert_eq!(did_you_mean("margin_slcies", keys), ": did you mean `margin_slices`?");
        assert_eq!(did_you_mean("Padding_HU", keys), ": did you mean `padding_hu`?");
        assert_eq!(did_you_mean("workers", keys), "");
        assert_eq!(did_you_mean("", []), "");
        assert_eq!(did_you_mean("d", ["c"]), "");
    }

    #[test]
    fn names_as_near_are_suggested_together() {
        let tables = ["scans", "scores", "samples"];
        assert_eq!(did_you_mean("scan", tables), ": did you mean `scans`?");
        assert_eq!(did_you_mean("scas", ["scans", "scars"]), ": did you mean `scans` or `scars`?");
    }
}

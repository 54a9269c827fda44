//! Suggestions for a mistyped name.

pub(crate) use nodulus_settings::did_you_mean;

/// ": did you mean `scans`?", or "; there are: marks, scans" where no name is near.
pub(crate) fn near_or_all(name: &str, existing: &[&str]) -> String {
    match did_you_mean(name, existing.iter().copied()) {
        near if near.is_empty() && existing.is_empty() => "; there are none".to_owned(),
        near if near.is_empty() => format!("; there are: {}", existing.join(", ")),
        near => near,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_otherwise_all_are_listed() {
        let tables = ["scans", "marks"];
        assert_eq!(near_or_all("scan", &tables), ": did you mean `scans`?");
        assert_eq!(near_or_all("x", &tables), "; there are: scans, marks");
        assert_eq!(near_or_all("x", &[]), "; there are none");
    }
}

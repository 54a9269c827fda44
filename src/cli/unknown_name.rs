//! Messages about a name that does not exist.

use crate::near_names::did_you_mean;

/// "there is no table `scan`: did you mean `scans`?"; every name that exists, where none is near.
pub(super) fn unknown_name(kind: &str, name: &str, existing: &[&str]) -> String {
    match did_you_mean(name, existing.iter().copied()) {
        near if near.is_empty() => {
            format!("there is no {kind} `{name}`; there are: {}", existing.join(", "))
        }
        near => format!("there is no {kind} `{name}`{near}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_otherwise_all_are_listed() {
        let tables = ["scans", "marks"];
        let message = |name| unknown_name("table", name, &tables);
        assert_eq!(message("scan"), "there is no table `scan`: did you mean `scans`?");
        assert_eq!(message("x"), "there is no table `x`; there are: scans, marks");
    }
}

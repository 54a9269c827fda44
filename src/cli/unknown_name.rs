//! Messages about a name that does not exist.

use crate::near_names::near_or_all;

/// "there is no table `scan`: did you mean `scans`?"; every name that exists, where none is near.
pub(super) fn unknown_name(kind: &str, name: &str, existing: &[&str]) -> String {
    format!("there is no {kind} `{name}`{}", near_or_all(name, existing))
}

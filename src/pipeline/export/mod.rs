//! Exports a store for other programs and for readers: LUNA16's files, nodules' regions in four formats, readers' outlines as
//! DICOM, and the nodules that are most worth a look.

mod error;
pub(super) mod folder;
pub(super) mod regions;
pub mod luna16;
pub mod review;
pub mod rois;
pub mod seg;

pub use error::Error;
pub use folder::{FileRecord, Record};

use nodulus_store::Version;
use std::collections::BTreeSet;

/// Fails if a table was made from another version of an input.
pub(super) fn check_made_of(made: &Version, of: &Version) -> Result<(), Error> {
    let now = of.manifest.as_input();
    let then = made.manifest.inputs.iter().find(|input| input.name == now.name);
    if then.is_some_and(|then| then.content_sha256 != now.content_sha256) {
        let (made, stage) = (made.manifest.output.clone(), made.manifest.stage.clone());
        return Err(Error::Stale { made, of: now.name, stage });
    }
    Ok(())
}

/// The chosen cohort, or the only cohort with scans.
pub(super) fn one_cohort(found: &BTreeSet<String>, asked: Option<&str>) -> Result<String, Error> {
    check_cohort(found, asked)?;
    match (asked, found.first()) {
        (Some(asked), _) => Ok(asked.to_owned()),
        (None, Some(only)) if found.len() == 1 => Ok(only.clone()),
        (None, _) => Err(Error::Cohorts { found: found.iter().cloned().collect() }),
    }
}

/// Fails if the chosen cohort has no scans.
fn check_cohort(found: &BTreeSet<String>, asked: Option<&str>) -> Result<(), Error> {
    match asked {
        Some(asked) if !found.contains(asked) => Err(Error::NoCohort {
            cohort: asked.to_owned(),
            found: found.iter().cloned().collect(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cohort_is_chosen_by_name_where_there_are_several() {
        let found = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let (one, two) = (found(&["c"]), found(&["c", "d"]));
        assert_eq!(one_cohort(&one, None).unwrap(), "c");
        assert_eq!(one_cohort(&two, Some("d")).unwrap(), "d");
        let error = one_cohort(&two, None).unwrap_err();
        assert_eq!(error.to_string(), "store has 2 cohorts (c, d): name one with `--cohort`");
        let error = one_cohort(&one, Some("d")).unwrap_err();
        assert_eq!(error.to_string(), "store has no scans of cohort `d`; there are: c");
        assert!(one_cohort(&found(&[]), None).unwrap_err().is_choice());
        assert!(check_cohort(&two, None).is_ok());
    }
}

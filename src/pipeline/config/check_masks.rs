//! Where the masks of a cohort of volumes are, and how they are read: whether a pipeline file says what
//! can be.

use super::error::{Error, range};
use crate::stages::ingest::Cohort;
use nodulus_formats::cohort;
use nodulus_formats::cohort::Layout;
use nodulus_formats::mask_file::MaskRules;
use std::collections::BTreeSet;

/// Checks where a cohort's masks are and how they are read.
pub(super) fn check(cohort: &Cohort) -> Result<(), Error> {
    let has_masks = cohort.source == Layout::Volumes;
    let is_plain =
        cohort.mask.is_none() && cohort.readers.is_empty() && cohort.masks == MaskRules::default();
    range(
        has_masks || is_plain,
        "ingest.cohorts.mask",
        "left out with `readers` and `masks`, as the cohort's layout is not `volumes`",
        format!("some for cohort `{}`", cohort.name),
    )?;
    if !has_masks {
        return Ok(());
    }
    range(
        cohort.mask.is_none() || cohort.readers.is_empty(),
        "ingest.cohorts.mask",
        "left out where there are `readers`",
        format!("both for cohort `{}`", cohort.name),
    )?;
    let names: BTreeSet<&str> = cohort.readers.iter().map(|reader| reader.name.as_str()).collect();
    range(
        names.len() == cohort.readers.len() && !names.contains(""),
        "ingest.cohorts.readers.name",
        "another name for each reader",
        cohort
            .readers
            .iter()
            .map(|reader| format!("`{}`", reader.name))
            .collect::<Vec<_>>()
            .join(", "),
    )?;
    let threshold = cohort.masks.fractional_threshold;
    range(
        threshold > 0.0 && threshold <= 1.0,
        "ingest.cohorts.masks.fractional_threshold",
        "over 0 and up to 1",
        threshold.to_string(),
    )?;
    for roi in &cohort.masks.rois {
        let is_pattern = glob::Pattern::new(roi).is_ok();
        range(is_pattern, "ingest.cohorts.masks.rois", "glob patterns", format!("`{roi}`"))?;
    }
    cohort::patterns(&cohort.image, &cohort.mask_patterns())
        .map_err(|source| Error::Pattern { cohort: cohort.name.clone(), source })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let cohort: Cohort = toml::from_str(&format!("name = \"c\"\n{text}")).unwrap();
        check(&cohort).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_was_found() {
        for (text, expected) in [
            (
                "source = \"lidc\"\nmask = \"{patient}\"",
                "`ingest.cohorts.mask` must be left out with `readers` and `masks`, as the cohort's layout \
                 is not `volumes`, got some for cohort `c`",
            ),
            (
                "source = \"volumes\"\nmask = \"{patient}\"\nreaders = [{name=\"a\", mask=\"{patient}\"}]",
                "`ingest.cohorts.mask` must be left out where there are `readers`, got both for cohort `c`",
            ),
            (
                "source = \"volumes\"\nreaders = [{name=\"a\", mask=\"{patient}\"}, {name=\"a\", mask=\"x{patient}\"}]",
                "`ingest.cohorts.readers.name` must be another name for each reader, got `a`, `a`",
            ),
            (
                "source = \"volumes\"\nmasks = {fractional_threshold = 0.0}",
                "`ingest.cohorts.masks.fractional_threshold` must be over 0 and up to 1, got 0",
            ),
            (
                "source = \"volumes\"\nmasks = {rois = [\"a[\"]}",
                "`ingest.cohorts.masks.rois` must be glob patterns, got `a[`",
            ),
            (
                "source = \"volumes\"\nmask = \"m.nii\"",
                "cohort `c`: pattern `m.nii` needs `{patient}` and must stay below the cohort's root",
            ),
            (
                "source = \"volumes\"\nimage = \"{patient}/{scan}/ct\"",
                "cohort `c`: patterns `{patient}/{scan}/ct` and `{patient}/mask.nii.gz` must both have \
                 `{scan}`, or neither",
            ),
        ] {
            assert_eq!(refused(text), expected);
        }
        let good = "name = \"c\"\nsource = \"volumes\"\nmasks = {resample = true, rois = [\"n*\"]}";
        check(&toml::from_str(good).unwrap()).unwrap();
    }
}

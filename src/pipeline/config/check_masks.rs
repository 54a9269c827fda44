//! Whether the settings of where a cohort's masks are, and how they are read, fit each other.

use super::check::check_name;
use crate::stages::ingest::Cohort;
use nodulus_formats::cohort;
use nodulus_formats::cohort::Layout;
use nodulus_formats::mask_file::MaskRules;
use nodulus_settings::Fault;

/// Checks where a cohort's masks are and how they are read; `section` is the cohort's.
pub(super) fn check(cohort: &Cohort, section: &str) -> Result<(), Fault> {
    let key = |name: &str| format!("{section}.{name}");
    if cohort.source != Layout::Volumes {
        let given = [
            ("mask", cohort.mask.is_some()),
            ("readers", !cohort.readers.is_empty()),
            ("masks", cohort.masks != MaskRules::default()),
        ];
        return match given.into_iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!(
                    "`{}` is a setting of cohorts with `source = \"volumes\"`, which cohort `{}` is not; remove it",
                    key(name),
                    cohort.name
                );
                Err(Fault::new(key(name), message))
            }
        };
    }
    if cohort.mask.is_some() && !cohort.readers.is_empty() {
        let message = format!(
            "`{}` and `{}` exclude each other; remove one of them",
            key("mask"),
            key("readers")
        );
        return Err(Fault::new(key("mask"), message).or(key("readers")));
    }
    for (n, reader) in cohort.readers.iter().enumerate() {
        let key = format!("{section}.readers.{n}.name");
        check_name(&key, &reader.name)?;
        if cohort.readers[..n].iter().any(|other| other.name == reader.name) {
            let message = format!(
                "`{key}` is {:?}, which another reader is too; give each reader a name of its own",
                reader.name
            );
            return Err(Fault::new(key, message));
        }
    }
    for (n, roi) in cohort.masks.rois.iter().enumerate() {
        if glob::Pattern::new(roi).is_err() {
            let key = format!("{section}.masks.rois.{n}");
            let message = format!(
                "`{key}` is {roi:?}, expected a glob pattern, as in `rois = [\"nodule*\"]`"
            );
            return Err(Fault::new(key, message));
        }
    }
    cohort::patterns(&cohort.image, &cohort.mask_patterns()).map_err(|error| {
        let fault = Fault::new(key("mask"), format!("cohort `{}`: {error}", cohort.name));
        fault.or(key("readers")).or(key("image")).or(section)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let cohort: Cohort = toml::from_str(&format!("name = \"c\"\n{text}")).unwrap();
        check(&cohort, "ingest.cohorts.0").unwrap_err().message
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_was_found() {
        for (text, expected) in [
            (
                "source = \"lidc\"\nmask = \"{patient}\"",
                "`ingest.cohorts.0.mask` is a setting of cohorts with `source = \"volumes\"`, which cohort `c` is not; \
                 remove it",
            ),
            (
                "source = \"volumes\"\nmask = \"{patient}\"\nreaders = [{name=\"a\", mask=\"{patient}\"}]",
                "`ingest.cohorts.0.mask` and `ingest.cohorts.0.readers` exclude each other; remove one of them",
            ),
            (
                "source = \"volumes\"\nreaders = [{name=\"a\", mask=\"{patient}\"}, {name=\"a\", mask=\"x{patient}\"}]",
                "`ingest.cohorts.0.readers.1.name` is \"a\", which another reader is too; give each reader a name of its \
                 own",
            ),
            (
                "source = \"volumes\"\nmasks = {rois = [\"n*\", \"a[\"]}",
                "`ingest.cohorts.0.masks.rois.1` is \"a[\", expected a glob pattern, as in `rois = [\"nodule*\"]`",
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
        check(&toml::from_str(good).unwrap(), "").unwrap();
    }
}

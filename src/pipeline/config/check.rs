//! Whether the settings of a pipeline file can be, and fit each other.

use super::error::{Error, range};
use super::{check_masks, check_train};
use crate::stages::config::Config;
use crate::stages::{balance, infer};

/// Checks all settings.
pub(super) fn check(config: &Config) -> Result<(), Error> {
    if config.ingest.cohorts.is_empty() {
        return Err(Error::NoCohorts);
    }
    let names: Vec<&str> = config.ingest.cohorts.iter().map(|c| c.name.as_str()).collect();
    for (n, name) in names.iter().enumerate() {
        if names[..n].contains(name) {
            return Err(Error::SameCohort((*name).to_owned()));
        }
    }
    for cohort in &config.ingest.cohorts {
        if cohort.root.as_os_str().is_empty() {
            return Err(Error::NoRoot(cohort.name.clone()));
        }
        if !cohort.source.has_images() && cohort.scan_geometry.is_none() {
            return Err(Error::NoScanGeometry(cohort.name.clone()));
        }
        if !cohort.source.has_images() && config.has_images() {
            return Err(Error::MixedCohorts(cohort.name.clone()));
        }
        check_masks::check(cohort)?;
    }
    let trained_on = config.train.iter().flat_map(|train| &train.phases);
    let by_cohort = [
        ("crop.windows", config.crop.windows.keys().collect::<Vec<_>>()),
        ("balance.splits", config.balance.splits.keys().collect()),
        ("train.phases.cohorts", trained_on.flat_map(|phase| &phase.cohorts).collect()),
        ("infer.cohorts", config.infer.cohorts.iter().collect()),
    ];
    for (setting, cohorts) in by_cohort {
        if let Some(cohort) = cohorts.into_iter().find(|c| !names.contains(&c.as_str())) {
            let (cohort, known) = (cohort.clone(), names.join(", "));
            return Err(Error::UnknownCohort { setting, cohort, known });
        }
    }
    let shard = config.ingest.shard_size;
    range(shard > 0, "ingest.shard_size", "at least 1", shard.to_string())?;
    let level = config.merge.consensus_level;
    range(
        level > 0.0 && level <= 1.0,
        "merge.consensus_level",
        "over 0 and up to 1",
        level.to_string(),
    )?;
    let threshold = config.merge.iou_threshold;
    range(
        (0.0..1.0).contains(&threshold),
        "merge.iou_threshold",
        "at least 0 and under 1",
        threshold.to_string(),
    )?;
    check_regions(config)?;
    check_inference(config)?;
    if let Some(train) = &config.train {
        check_train::check(train, config.crop.size)?;
    }
    if config.has_images() && config.train.is_none() && config.infer.checkpoint.is_none() {
        return Err(Error::NoWeights);
    }
    Ok(())
}

/// The settings of `[crop]` and `[balance]`.
fn check_regions(config: &Config) -> Result<(), Error> {
    let size = config.crop.size;
    let divides = size > 0 && size.is_multiple_of(16) && size <= 1024;
    range(divides, "crop.size", "a multiple of 16, up to 1024", size.to_string())?;
    if let Some(spacing) = config.crop.spacing_mm {
        let fits = (0.05..=10.0).contains(&spacing);
        range(fits, "crop.spacing_mm", "from 0.05 to 10", spacing.to_string())?;
    }
    let folds = config.balance.folds;
    range(folds > 0, "balance.folds", "at least 1", folds.to_string())?;
    for shares in config.balance.splits.values().chain([&config.balance.split]) {
        let balance::Shares { validation, test, test_lesions } = *shares;
        let all = [validation, test, validation + test];
        range(
            all.iter().all(|share| (0.0..=1.0).contains(share)),
            "balance.split",
            "shares from 0 to 1 that sum to at most 1",
            format!("validation {validation} and test {test}"),
        )?;
        range(
            test_lesions.is_none() || test == 0.0,
            "balance.split",
            "of `test` and `test_lesions` one alone",
            format!("test {test} and test_lesions {}", test_lesions.unwrap_or(0)),
        )?;
    }
    let ratio = config.balance.ratio;
    range(ratio.is_finite() && ratio >= 0.0, "balance.ratio", "0 or more", ratio.to_string())?;
    for window in config.crop.windows.values().chain([&config.crop.window]) {
        let found = format!("{} to {}", window.low_hu, window.high_hu);
        range(
            window.low_hu < window.high_hu,
            "crop.window",
            "from a lower to a higher value",
            found,
        )?;
    }
    Ok(())
}

/// The settings of `[infer]`.
fn check_inference(config: &Config) -> Result<(), Error> {
    if let infer::Batch::Slices(batch) = config.infer.batch {
        let ok = (1..=4096).contains(&batch);
        range(ok, "infer.batch", "\"auto\" or from 1 to 4096", batch.to_string())?;
    }
    if let infer::ProbabilityThreshold::Fixed(threshold) = config.infer.probability_threshold {
        range(
            threshold > 0.0 && threshold < 1.0,
            "infer.probability_threshold",
            "\"validation\" or over 0 and under 1",
            threshold.to_string(),
        )?;
    }
    Ok(())
}

//! Whether the settings of a pipeline file fit each other; what a single key takes is in the JSON Schema.

use super::{check_masks, check_train};
use crate::near_names::near_or_all;
use crate::phantom;
use crate::stages::balance::{self, FoldsFrom};
use crate::stages::config::Config;
use crate::stages::crop::Window;
use crate::stages::evaluate::READER;
use crate::stages::infer::REGION_GROWING;
use nodulus_formats::cohort::Layout;
use nodulus_settings::Fault;
use nodulus_store::disk;
use std::collections::BTreeSet;

/// Most characters of a name.
const NAME_LENGTH: usize = 100;
/// Folders subset0 to subset9 of LUNA16.
const LUNA16_FOLDS: usize = 10;

/// Checks all settings.
pub(super) fn check(config: &Config) -> Result<(), Fault> {
    check_phantom(config)?;
    check_cohorts(config)?;
    check_cohort_names(config)?;
    check_store(config)?;
    if let Some([low, high]) = config.ingest.inclusion.kvp
        && low > high
    {
        let key = "ingest.inclusion.kvp";
        let message = format!(
            "`{key}` is [{low}, {high}], expected the least and then the greatest voltage, as in `kvp = [100, 140]`"
        );
        return Err(Fault::new(key, message));
    }
    if let Some(window) = config.crop.window {
        check_window("crop.window", window)?;
    }
    for (cohort, window) in &config.crop.windows {
        check_window(&format!("crop.windows.{cohort}"), *window)?;
    }
    check_balance(&config.balance)?;
    check_fold(config, "infer.fold", config.infer.fold)?;
    if let Some(id) = &config.infer.model_id {
        check_model_id("infer.model_id", id)?;
    }
    check_outside_models(config)?;
    check_seed_means(config)?;
    if let Some(train) = &config.train {
        check_train::check(train, config.crop.size())?;
        check_fold(config, "train.fold", train.fold)?;
    }
    Ok(())
}

fn check_phantom(config: &Config) -> Result<(), Fault> {
    let Some(phantom::Config { nodules_min, nodules_max, .. }) = config.phantom else {
        return Ok(());
    };
    if nodules_min > nodules_max {
        let key = "phantom.nodules_min";
        let message = format!(
            "`{key}` is {nodules_min}, expected at most `phantom.nodules_max`, which is {nodules_max}"
        );
        return Err(Fault::new(key, message).or("phantom.nodules_max"));
    }
    Ok(())
}

/// Each cohort alone, and that their names differ.
fn check_cohorts(config: &Config) -> Result<(), Fault> {
    for (n, cohort) in config.ingest.cohorts.iter().enumerate() {
        let section = format!("ingest.cohorts.{n}");
        let key = |name: &str| format!("{section}.{name}");
        let name = &cohort.name;
        check_name(&key("name"), name)?;
        let same = config.ingest.cohorts[..n].iter().position(|other| other.name == *name);
        if let Some(same) = same {
            let key = key("name");
            let message = format!(
                "`{key}` is {name:?}, which `ingest.cohorts.{same}.name` is too; give each cohort a name of its own"
            );
            return Err(Fault::new(key, message).or(format!("ingest.cohorts.{same}.name")));
        }
        if cohort.root.as_os_str().is_empty() {
            let message = format!(
                "cohort `{name}` has no folder: set `{}`, or `ingest.root` for all cohorts, as in `root = \"data/lidc\"`",
                key("root")
            );
            return Err(Fault::new(key("root"), message).or(section));
        }
        let has_images = cohort.source.has_images();
        if !has_images && cohort.scan_geometry.is_none() {
            let message = format!(
                "cohort `{name}` has annotations without images: set `{}`, or `ingest.scan_geometry` for all cohorts, as in \
                 `scan_geometry = \"data/scans.csv\"`",
                key("scan_geometry")
            );
            return Err(Fault::new(key("scan_geometry"), message).or(section));
        }
        if !has_images && config.has_images() {
            let message = format!(
                "cohort `{name}` has annotations without images, and other cohorts have images; give it a pipeline file of \
                 its own"
            );
            return Err(Fault::new(key("source"), message));
        }
        check_masks::check(cohort, &section)?;
    }
    Ok(())
}

/// That the store lies in no folder that is read: its files would be taken for scans and marks.
fn check_store(config: &Config) -> Result<(), Fault> {
    for (n, cohort) in config.ingest.cohorts.iter().enumerate() {
        let folders = [("root", Some(&cohort.root)), ("annotations", cohort.annotations.as_ref())];
        let folders = folders.into_iter().filter_map(|(key, path)| Some((key, path?)));
        let around = folders
            .filter(|(_, path)| !path.as_os_str().is_empty())
            .find(|(_, path)| disk::lies_in(&config.store, path));
        if let Some((key, path)) = around {
            let message = format!(
                "`store` `{}` lies in `ingest.cohorts.{n}.{key}`, `{}`, which is never written to; name a folder outside it",
                config.store.display(),
                path.display()
            );
            return Err(Fault::new("store", message));
        }
    }
    Ok(())
}

/// That sections and lists name cohorts that exist.
fn check_cohort_names(config: &Config) -> Result<(), Fault> {
    let names: Vec<&str> = config.ingest.cohorts.iter().map(|c| c.name.as_str()).collect();
    let listed = |section: &str, cohorts: &[String]| -> Vec<(String, String)> {
        let entry = |(n, name): (usize, &String)| (format!("{section}.{n}"), name.clone());
        cohorts.iter().enumerate().map(entry).collect()
    };
    let windows =
        config.crop.windows.keys().map(|name| (format!("crop.windows.{name}"), name.clone()));
    let splits =
        config.balance.splits.keys().map(|name| (format!("balance.splits.{name}"), name.clone()));
    let mut used: Vec<(String, String)> = windows.chain(splits).collect();
    for (n, phase) in config.train.iter().flat_map(|train| train.phases.iter().enumerate()) {
        used.extend(listed(&format!("train.phases.{n}.cohorts"), &phase.cohorts));
    }
    used.extend(listed("infer.cohorts", &config.infer.cohorts));
    let unknown = used.into_iter().find(|(_, name)| !names.contains(&name.as_str()));
    let Some((key, name)) = unknown else { return Ok(()) };
    let rest = near_or_all(&name, &names);
    let message = format!("`{key}` names `{name}`, which is no cohort{rest}");
    Err(Fault::new(key, message))
}

/// A name that becomes a value in tables and a part of file names.
pub(super) fn check_name(key: &str, name: &str) -> Result<(), Fault> {
    let is_bad = |c: char| c == '/' || c == '\\' || c.is_control();
    if name.trim() == name && !name.contains(is_bad) && name.chars().count() <= NAME_LENGTH {
        return Ok(());
    }
    let message = format!(
        "`{key}` is {name:?}, expected up to {NAME_LENGTH} characters without `/`, `\\`, line breaks or blanks at the ends, \
         as in `name = \"clinic\"`"
    );
    Err(Fault::new(key, message))
}

/// A model's name in the tables, where the baseline has one too.
///
/// # Errors
///
/// Names the key and what it can be.
pub fn check_model_id(key: &str, id: &str) -> Result<(), Fault> {
    if id == REGION_GROWING {
        let message = format!(
            "`{key}` is {id:?}, which is the id of the baseline in the tables; choose another, as in `\"proposed\"`"
        );
        return Err(Fault::new(key, message));
    }
    check_name(key, id)
}

/// That models of other programs have names of their own; those of the store's models are known once they predict.
fn check_outside_models(config: &Config) -> Result<(), Fault> {
    let models = &config.evaluate.predictions;
    for (n, of_model) in models.iter().enumerate() {
        let (section, name) = ("evaluate.predictions", &of_model.model);
        let key = format!("{section}.{n}.model");
        check_model_id(&key, name)?;
        if name == READER {
            let message = format!(
                "`{key}` is {name:?}, which stands for the readers in the tables; choose another, as in `\"nnunet\"`"
            );
            return Err(Fault::new(key, message));
        }
        let others = models.iter().take(n).position(|other| other.model == *name);
        let same = others.map(|other| format!("{section}.{other}.model"));
        let network = config.infer.model_id.as_ref().filter(|id| *id == name);
        if let Some(same) = same.or_else(|| network.map(|_| "infer.model_id".to_owned())) {
            let message = format!(
                "`{key}` is {name:?}, which `{same}` is too; give each model a name of its own"
            );
            return Err(Fault::new(key, message).or(same));
        }
    }
    Ok(())
}

/// That means over seeds have names of their own, and each is of several models, none of which is in two means.
fn check_seed_means(config: &Config) -> Result<(), Fault> {
    let means = &config.evaluate.seed_means;
    let mut names = BTreeSet::new();
    for (n, mean) in means.iter().enumerate() {
        let (model, of) =
            (format!("evaluate.seed_means.{n}.model"), format!("evaluate.seed_means.{n}.of"));
        check_model_id(&model, &mean.model)?;
        if mean.of.len() < 2 {
            let message = format!(
                "`{of}` names {} model, expected two or more that differ in their seed",
                mean.of.len()
            );
            return Err(Fault::new(of, message));
        }
        let own = std::iter::once((&model, &mean.model)).chain(mean.of.iter().map(|id| (&of, id)));
        for (key, id) in own {
            if id == READER || id == REGION_GROWING || !names.insert(id) {
                let message = format!(
                    "`{key}` has {id:?}, which has another meaning or is named twice; name each model once"
                );
                return Err(Fault::new(key.clone(), message));
            }
        }
    }
    Ok(())
}

/// A window of Hounsfield units.
///
/// # Errors
///
/// Names the section, and its values if they are not in order.
pub fn check_window(section: &str, window: Window) -> Result<(), Fault> {
    let Window { low_hu, high_hu } = window;
    if low_hu < high_hu {
        return Ok(());
    }
    let message = format!(
        "`{section}` is from {low_hu} to {high_hu} HU, expected `low_hu` under `high_hu`, as in \
         `{{ low_hu = -1000, high_hu = 400 }}`"
    );
    Err(Fault::new(section, message))
}

/// The settings of `[balance]`.
fn check_balance(balance: &balance::Config) -> Result<(), Fault> {
    let of_cohorts =
        balance.splits.iter().map(|(name, shares)| (format!("balance.splits.{name}"), shares));
    for (section, shares) in of_cohorts.chain([("balance.split".to_owned(), &balance.split)]) {
        let balance::Shares { validation, test, test_lesions } = *shares;
        if validation + test > 1.0 {
            let message = format!(
                "`{section}` has validation {validation} and test {test}, expected shares that sum to at most 1, \
                 as in `{{ validation = 0.1, test = 0.2 }}`"
            );
            return Err(Fault::new(section, message));
        }
        if test_lesions.is_some() && test != 0.0 {
            let message = format!(
                "`{section}` has both `test` and `test_lesions`, expected one of them; remove the other"
            );
            return Err(Fault::new(section, message));
        }
    }
    Ok(())
}

/// A fold, which is one of `balance.folds` or of LUNA16's subsets.
fn check_fold(config: &Config, key: &str, fold: Option<i64>) -> Result<(), Fault> {
    let balance = &config.balance;
    let has_subsets = balance.folds_from == FoldsFrom::Subsets
        && config.ingest.cohorts.iter().any(|cohort| cohort.source == Layout::Luna16);
    let n_folds = if has_subsets { balance.folds.max(LUNA16_FOLDS) } else { balance.folds };
    let Some(fold) = fold.filter(|fold| !(0..n_folds as i64).contains(fold)) else { return Ok(()) };
    let why = if n_folds > balance.folds {
        format!("LUNA16 has {LUNA16_FOLDS} subsets")
    } else {
        format!("`balance.folds` is {}", balance.folds)
    };
    let message =
        format!("`{key}` is {fold}, expected a fold from 0 to {}, because {why}", n_folds - 1);
    Err(Fault::new(key, message).or("balance.folds"))
}

//! Means over models that differ in the seed of their training alone.

use super::config::{Config, SeedMean};
use super::summaries::MeasuredValue;
use crate::stages::task::Task;
use crate::tables::{Output, Table};
use nodulus_metrics::summary::mean;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A mean over seeds cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Another model has the name.
    #[error(
        "`evaluate.seed_means` names a mean `{model_id}`, and `predictions` has a model of this name already: choose another name"
    )]
    Taken {
        /// The name.
        model_id: String,
    },
    /// A model has no predictions.
    #[error(
        "`evaluate.seed_means` takes `{mean}` from the model `{model_id}`, of which `predictions` has no row: predict with it, or \
         leave it out"
    )]
    Unknown {
        /// Name of the mean.
        mean: String,
        /// The model.
        model_id: String,
    },
    /// A table cannot be read.
    #[error(transparent)]
    Tables(#[from] crate::tables::Error),
}

#[derive(Deserialize)]
struct ModelOfRow {
    model_id: String,
}

/// Fails if a mean has the name of a model, or a model of a mean predicted nothing.
pub(super) fn check(config: &Config, task: &Task<'_>) -> Result<(), Error> {
    if config.seed_means.is_empty() {
        return Ok(());
    }
    let mut models: BTreeSet<String> =
        config.predictions.iter().map(|of| of.model.clone()).collect();
    for version in task.inputs(Output::Table(Table::Predictions))? {
        for batch in version.columns::<ModelOfRow>(&["model_id"]) {
            models.extend(batch?.into_iter().map(|row| row.model_id));
        }
    }
    check_models(&config.seed_means, &models)
}

fn check_models(means: &[SeedMean], models: &BTreeSet<String>) -> Result<(), Error> {
    for SeedMean { model, of } in means {
        if models.contains(model) {
            return Err(Error::Taken { model_id: model.clone() });
        }
        if let Some(unknown) = of.iter().find(|id| !models.contains(*id)) {
            return Err(Error::Unknown { mean: model.clone(), model_id: unknown.clone() });
        }
    }
    Ok(())
}

/// Whether a model is one of those of a mean.
pub(super) fn is_of_a_mean(means: &[SeedMean], model_id: &str) -> bool {
    means.iter().any(|mean| mean.of.iter().any(|id| id == model_id))
}

/// The values of the means, over the nodules that every one of their models measured.
///
/// METHOD: a nodule counts once, with the mean of its values over the seeds that have one, so that several seeds are not
/// several nodules; it is missed where a seed misses it, and its worst value is the mean over the seeds with the worst
/// value of those. A slice counts once for each seed that measures it: a slice without nodule is measured only where that
/// seed marks it, and the mean over the seeds that do would count a mark of one seed as one of all. Intervals are by
/// patient, so that a slice that counts thrice makes none narrower.
pub(super) fn means(means: &[SeedMean], measured: &[MeasuredValue]) -> Vec<MeasuredValue> {
    let mut values = Vec::new();
    for SeedMean { model, of } in means {
        let model: Arc<str> = model.as_str().into();
        let own = |row: &&MeasuredValue| of.iter().any(|id| **id == *row.model_id);
        let own: Vec<&MeasuredValue> = measured.iter().filter(own).collect();
        let mut seeds: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for row in own.iter().filter(|row| !row.is_of_slice()) {
            seeds.entry(&row.nodule_id).or_default().insert(&row.model_id);
        }
        let is_whole =
            |nodule: &str| seeds.get(nodule).is_some_and(|seeds| seeds.len() == of.len());
        let mut nodules: BTreeMap<(&str, &str), Vec<&MeasuredValue>> = BTreeMap::new();
        for row in own.into_iter().filter(|row| is_whole(&row.nodule_id)) {
            if row.is_of_slice() {
                values.push(MeasuredValue { model_id: model.clone(), ..row.clone() });
            } else {
                nodules.entry((row.metric, &row.nodule_id)).or_default().push(row);
            }
        }
        values.extend(nodules.into_values().filter_map(|rows| of_nodule(&model, &rows)));
    }
    values
}

/// The mean of a nodule's values of one metric; `None` without a nodule.
fn of_nodule(model: &Arc<str>, rows: &[&MeasuredValue]) -> Option<MeasuredValue> {
    let first = *rows.first()?;
    let ascending = |values: &mut Vec<f64>| values.sort_unstable_by(f64::total_cmp);
    let mut values: Vec<f64> = rows.iter().filter_map(|row| row.value).collect();
    let worst = |row: &&MeasuredValue| if row.missed { Some(row.worst) } else { row.value };
    let mut worst: Vec<f64> = rows.iter().filter_map(worst).collect();
    // Sums of floats depend on their order, which must not reach the results.
    ascending(&mut values);
    ascending(&mut worst);
    Some(MeasuredValue {
        model_id: model.clone(),
        value: mean(&values),
        missed: rows.iter().any(|row| row.missed),
        worst: mean(&worst).unwrap_or(first.worst),
        ..first.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::evaluate::comparisons::compare;
    use crate::stages::evaluate::subgroups::Subgroups;
    use crate::stages::evaluate::summaries::summarise;

    fn value(model: &str, metric: &'static str, nodule: &str, value: Option<f64>) -> MeasuredValue {
        MeasuredValue {
            model_id: model.into(),
            metric,
            nodule_id: nodule.into(),
            patient_id: nodule.into(),
            value,
            missed: false,
            worst: 100.0,
        }
    }

    fn of(model: &str, of: &[&str]) -> SeedMean {
        SeedMean { model: model.to_owned(), of: of.iter().map(|id| (*id).to_owned()).collect() }
    }

    #[test]
    fn a_nodule_counts_once_with_the_mean_of_its_seeds() {
        let missed = MeasuredValue { missed: true, ..value("m, seed 2", "assd_mm", "a", None) };
        let measured = [
            value("m, seed 1", "assd_mm", "a", Some(2.0)),
            missed,
            value("m, seed 1", "dice", "a", Some(0.5)),
            value("m, seed 2", "dice", "a", Some(0.0)),
            // The other seed did not measure this one.
            value("m, seed 1", "dice", "b", Some(0.9)),
            value("other", "dice", "a", Some(0.1)),
        ];
        let means = means(&[of("m", &["m, seed 1", "m, seed 2"])], &measured);
        let found: Vec<_> = means.iter().map(|row| (row.metric, row.value, row.missed)).collect();
        assert_eq!(found, [("assd_mm", Some(2.0), true), ("dice", Some(0.25), false)]);
        assert!((means[0].worst - 51.0).abs() < 1e-12);
        assert!(means.iter().all(|row| &*row.model_id == "m" && &*row.nodule_id == "a"));
        assert!(super::means(&[], &measured).is_empty());
    }

    #[test]
    fn a_slice_counts_once_for_each_seed_that_measures_it() {
        let measured = [
            value("m1", "dice", "a", Some(0.5)),
            value("m2", "dice", "a", Some(0.7)),
            value("m1", "slice_dice", "a", Some(0.5)),
            value("m2", "slice_dice", "a", Some(0.7)),
            value("m2", "slice_dice", "a", Some(0.0)),
            value("m1", "slice_dice", "b", Some(0.0)),
        ];
        let means = means(&[of("m", &["m1", "m2"])], &measured);
        let slices = means.iter().filter(|row| row.is_of_slice());
        assert_eq!(
            slices.map(|row| row.value).collect::<Vec<_>>(),
            [Some(0.5), Some(0.7), Some(0.0)]
        );
    }

    #[test]
    fn more_seeds_are_not_more_patients() {
        let mut measured = Vec::new();
        for n in 0..10 {
            let nodule = n.to_string();
            for seed in ["m, seed 1", "m, seed 2", "m, seed 3"] {
                measured.push(value(seed, "dice", &nodule, Some(0.5 + 0.03 * f64::from(n))));
            }
            measured.push(value("once", "dice", &nodule, Some(0.5 + 0.03 * f64::from(n))));
            measured.push(value("z", "dice", &nodule, Some(0.5)));
        }
        let config = [of("m", &["m, seed 1", "m, seed 2", "m, seed 3"])];
        measured.extend(means(&config, &measured));
        let rows = summarise(&Subgroups::default(), &measured, 1);
        let of_model = |id: &str| rows.iter().find(|row| row.model_id == id).unwrap();
        let (of_seeds, once) = (of_model("m"), of_model("once"));
        assert_eq!((of_seeds.n_total, of_seeds.n_patients), (10, 10));
        assert!((of_seeds.ci_low.unwrap() - once.ci_low.unwrap()).abs() < 1e-9);
        assert!((of_seeds.ci_high.unwrap() - once.ci_high.unwrap()).abs() < 1e-9);

        measured.retain(|row| !is_of_a_mean(&config, &row.model_id));
        let rows = compare(&measured, 1);
        let pair = |id: &str| {
            let is = |row: &&crate::tables::Comparison| {
                row.metric == "dice" && row.model_id == id && row.baseline_id == "z"
            };
            rows.iter().find(is).unwrap()
        };
        assert_eq!((pair("m").n_nodules, pair("m").n_patients), (10, 10));
        assert!((pair("m").p.unwrap() - pair("once").p.unwrap()).abs() < 1e-12);
        assert!(rows.iter().all(|row| !row.model_id.contains("seed")));
    }

    #[test]
    fn a_mean_that_cannot_be_is_refused() {
        let models: BTreeSet<String> = ["a", "b"].map(str::to_owned).into();
        let error = |mean: SeedMean| check_models(&[mean], &models).unwrap_err().to_string();
        assert!(check_models(&[of("m", &["a", "b"])], &models).is_ok());
        assert!(error(of("a", &["a", "b"])).contains("`predictions` has a model of this name"));
        let unknown = error(of("m", &["a", "c"]));
        assert!(unknown.contains("takes `m` from the model `c`"), "{unknown}");
    }
}

//! Train: `scans`, `rois`, `samples` → `training_log`, checkpoint.

pub(super) mod config;
mod error;
mod contract;
mod course;
mod training_sample;
mod examples;
mod made_from;
mod metrics;
mod origin;
mod prefetch;
mod profile;
mod resume;
mod source;
mod tensorboard;
mod warnings;

use crate::stages::spec::{OutsideWeights, StageError, StageSpec};
use crate::stages::task::{Event, Task};
use crate::tables::{Output, Sample, Split, Table, TrainingLog, leak};
pub use config::{Config, Initial, Phase};
pub use contract::{check_initial, foreseen_list};
use course::{Course, best, calibration, decimals, described, is_collapsed, is_over};
pub use error::Error;
use examples::Selection;
use metrics::EpochMetrics;
use nodulus_nets::{
    self, BEST_WEIGHTS_FILE, Device, EpochLog, TrainedOn, Trainer, TrainingProfile, TransferReport,
    Validation, WEIGHTS_FILE,
};
use nodulus_store::Job;
use origin::INITIAL_WEIGHTS;
pub use origin::{InitialWeights, Origin, WeightsNote};
use serde_json::{Value, json};
use source::SampleSource;
use std::path::Path;
use warnings::REMEDY;
pub use warnings::{EpochValues, warnings};

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "train",
    description: "train the network, phase by phase",
    example: "--force train",
    reads: &[
        Output::Table(Table::Scans),
        Output::Table(Table::Rois),
        Output::Table(Table::Samples),
    ],
    writes: &[Output::Table(Table::TrainingLog), Output::Checkpoint],
    version: 10,
    needs_images: true,
    is_sharded: false,
    is_on: |config| config.train.is_some(),
    settings: |config| serde_json::to_value(&config.train),
    outside_weights: |config| {
        let initial = config.train.as_ref()?.initial.as_ref()?;
        let (setting, input) = ("train.initial.checkpoint", INITIAL_WEIGHTS);
        Some(OutsideWeights { setting, input, path: &initial.checkpoint })
    },
    outside_files: None,
    check: None,
    contents: Some(|config, task| {
        let train = config.train.as_ref();
        Ok(train.map_or(Ok(Vec::new()), |train| made_from::made_from(train, task))?)
    }),
    decide: None,
    run: |config, task, job| {
        let Some(train) = &config.train else { return Ok(()) };
        let name = config.infer.model_id.as_deref().unwrap_or(train.model.architecture.name());
        Ok(run(train, task, job, name, config.infer.allow_training_patients)?)
    },
    reduction: None,
};

/// Trains every phase, or resumes a training that was stopped. Metrics of its epochs are under the model's name, `model_id`.
///
/// # Errors
///
/// Fails if a patient is in two splits, the initial weights learnt from a test patient and `allows_training_patients` is not
/// set, a phase has no samples, no tensor of the initial weights fits, the network cannot
/// be trained, or the store cannot be read or written to.
pub fn run(
    config: &Config,
    task: &Task<'_>,
    job: &Job,
    model_id: &str,
    allows_training_patients: bool,
) -> Result<(), Error> {
    let Some(writer) = job.work()?.next().transpose()? else { return Ok(()) };
    leak::check(task.table(Table::Samples)?.rows::<Sample>())?;
    let folder = job.resume_folder(&writer)?;
    let device = task.device.with_precision(config.precision)?;
    let mut trainer = Trainer::started(&config.model, config.seed, config.start, &device)?;
    let (list, has_unlisted_initial) =
        contract::trained_on(config, task, job.key(), task.weights, allows_training_patients)?;
    trainer.set_contract(contract::contract(config, task, &list, has_unlisted_initial)?);
    let transfer = transfer(config, task, &mut trainer)?;
    let warn = |text: String| (task.progress)(Event::Note(format!("warning: {text}")));
    let mut course = resume::load(&folder, &mut trainer, &warn)?;
    let mut metrics = EpochMetrics::open(
        job.metrics_folder(&writer)?,
        model_id,
        config.tensorboard,
        &course.log,
    )?;
    let counts = count(config, task)?;
    let mut about = json!({
        "run_id": job.key(),
        "seed": config.seed,
        "fold": config.fold,
        "data": origin::inputs(job.spec()),
        "n_cases": origin::n_cases(config, task)?,
        "initial": transfer,
        "tool_version": env!("CARGO_PKG_VERSION"),
    });
    if let (Device::Cuda(_), Some(about)) = (task.device, about.as_object_mut()) {
        about.insert("device".to_owned(), json!(task.device.name()));
        about.insert("precision".to_owned(), json!(config.precision));
    }
    for (number, phase) in config.phases.iter().enumerate() {
        let over = is_over(phase, course.rows_of(phase));
        let begun = over || course.epoch.is_some() || !course.rows_of(phase).is_empty();
        // A finished phase begins too: the written weights record its settings.
        trainer.begin_phase(&phase.schedule, begun)?;
        let source = SampleSource::new(config, task, number, &counts, &folder)?;
        while !is_over(phase, course.rows_of(phase)) {
            let epoch = course.rows_of(phase).len() + 1;
            let learnt = source.learn(&mut trainer, &mut course, epoch)?;
            let validation = source.validate(&mut trainer)?;
            let mut row = transform(job.key(), config.fold, &learnt, phase, epoch, validation);
            (task.progress)(Event::Note(describe(&row, phase)));
            row.collapsed = is_collapsed(course.rows_of(phase), &row);
            if row.collapsed {
                (task.progress)(Event::Note(format!(
                    "warning: phase {}: the Dice fell to 0 after epoch {epoch} (collapse): {REMEDY}",
                    phase.name
                )));
            }
            course.log.push(row);
            if number + 1 == config.phases.len() {
                resume::keep_best(&folder, &mut trainer, course.rows_of(phase), &about)?;
            }
            resume::save(&folder, &trainer, &course)?;
            metrics.add(&course.log)?;
        }
        for text in warnings(&epoch_values(course.rows_of(phase))) {
            (task.progress)(Event::Note(format!("warning: phase {}: {text}", phase.name)));
        }
    }
    let files = writer.files(Output::Checkpoint)?;
    trainer.set_calibration(calibration(course.log.last())?);
    trainer.save_checkpoint(&files.join(WEIGHTS_FILE), &described(&about, course.log.last()))?;
    resume::copy_best(&folder, &files)?;
    for name in [WEIGHTS_FILE, BEST_WEIGHTS_FILE] {
        let weights = files.join(name);
        if weights.exists() {
            list.write_beside(&weights)?;
        }
    }
    profiles(config, task, &mut trainer, &course, &about, &files)?;
    metrics.finish()?;
    let mut part = writer.part::<TrainingLog>()?;
    part.write(course.log)?;
    let number = writer.number();
    writer.commit(vec![part.finish()?], Vec::new())?;
    Ok(job.publish_metrics(number)?)
}

fn epoch_values(rows: &[TrainingLog]) -> Vec<EpochValues> {
    let values = |row: &TrainingLog| EpochValues {
        epoch: row.epoch.unsigned_abs(),
        loss: row.loss,
        dice: row.dice,
        validation_dice: row.validation_dice,
    };
    rows.iter().map(values).collect()
}

/// Fails if training cannot start from weights from outside the store.
///
/// # Errors
///
/// Fails if the file holds no network, or no tensor of it fits.
pub fn check_weights(config: &Config, weights: &Path) -> Result<(), StageError> {
    let Some(initial) = &config.initial else { return Ok(()) };
    let mut trainer = Trainer::new(&config.model, config.seed, &Device::Cpu)?;
    trainer.transfer(weights, &initial.prefix)?;
    TrainedOn::of_weights(weights)?;
    Ok(())
}

/// Fails if a phase has no patients to learn from, or none to end it by. `samples` have at least one sample of each nodule.
///
/// # Errors
///
/// Fails at the first such phase.
pub fn check_samples(config: &Config, samples: &[Sample]) -> Result<(), Error> {
    for phase in &config.phases {
        let has = |split| {
            let selection = Selection::of(config, phase, split);
            samples.iter().any(|sample| selection.holds(sample))
        };
        check_phase(phase, [Split::Train, Split::Validation].map(has))?;
    }
    Ok(())
}

/// Fails if a phase ends by its validation Dice, and no patient can be in the validation split.
///
/// # Errors
///
/// Fails at the first such phase.
pub fn check_settings(config: &Config, has_validation: bool) -> Result<(), Error> {
    let has_validation = has_validation || config.fold.is_some();
    config.phases.iter().try_for_each(|phase| check_phase(phase, [true, has_validation]))
}

/// Whether a phase has samples of its training and its validation split says whether it can run.
fn check_phase(phase: &Phase, has_samples: [bool; 2]) -> Result<(), Error> {
    let [has_training, has_validation] = has_samples;
    let (name, cohorts) = (|| phase.name.clone(), || phase.cohorts.join(", "));
    if !has_training {
        return Err(Error::NoSamples { phase: name(), cohorts: cohorts() });
    }
    if phase.patience.is_some() && !has_validation {
        return Err(Error::NoValidation { phase: name(), cohorts: cohorts() });
    }
    Ok(())
}

impl Config {
    /// Whether the training of these samples has weights of a best epoch.
    pub(in crate::stages) fn has_best(&self, samples: &[Sample]) -> bool {
        self.phases.last().is_some_and(|phase| {
            let selection = Selection::of(self, phase, Split::Validation);
            samples.iter().any(|sample| selection.holds(sample))
        })
    }
}

/// Adds the profile of the training cohort to each weights file's description.
fn profiles(
    config: &Config,
    task: &Task<'_>,
    trainer: &mut Trainer,
    course: &Course,
    about: &Value,
    files: &Path,
) -> Result<(), Error> {
    let Some(phase) = config.phases.last() else { return Ok(()) };
    (task.progress)(Event::Note("profile of the training cohort".to_owned()));
    let cohort = profile::cohort(config, phase, task)?;
    let of_phase = course.rows_of(phase);
    for (name, row) in [(WEIGHTS_FILE, course.log.last()), (BEST_WEIGHTS_FILE, best(of_phase))] {
        let weights = files.join(name);
        if weights.exists() {
            let predicted = profile::predicted(config, phase, task, &weights)?;
            let mut about = described(about, row);
            if let Some(about) = about.as_object_mut() {
                let profile = TrainingProfile { predicted, ..cohort.clone() };
                about.insert(TrainingProfile::KEY.to_owned(), json!(profile));
            }
            trainer.set_calibration(calibration(row)?);
            trainer.save_description(&weights, &about)?;
        }
    }
    Ok(())
}

/// Loads the initial weights, where the settings name some, and reports which tensors fit.
fn transfer(
    config: &Config,
    task: &Task<'_>,
    trainer: &mut Trainer,
) -> Result<Option<TransferReport>, Error> {
    let (Some(initial), Some(path)) = (&config.initial, task.weights) else { return Ok(None) };
    let found = trainer.transfer(path, &initial.prefix)?;
    (task.progress)(Event::Note(format!(
        "starts from {}: {} tensors loaded, {} missing in the file, {} of another shape, {} of the file unused",
        path.display(),
        found.taken.len(),
        found.missing.len(),
        found.other_shape.len(),
        found.unused.len()
    )));
    for (what, names) in
        [("missing in the file", &found.missing), ("of another shape", &found.other_shape)]
    {
        if !names.is_empty() {
            (task.progress)(Event::Note(format!("{what}: {}", names.join(", "))));
        }
    }
    Ok(Some(found))
}

/// Number of training samples of each phase.
fn count(config: &Config, task: &Task<'_>) -> Result<Vec<usize>, Error> {
    let samples = task.table(Table::Samples)?;
    let mut counts = Vec::new();
    for phase in &config.phases {
        let count = |split| examples::count(samples, &Selection::of(config, phase, split));
        let n_samples = count(Split::Train)?;
        check_phase(phase, [n_samples > 0, count(Split::Validation)? > 0])?;
        counts.push(n_samples);
    }
    Ok(counts)
}

/// The row of `training_log` of an epoch.
pub fn transform(
    run_id: &str,
    fold: Option<i64>,
    learnt: &EpochLog,
    phase: &Phase,
    epoch: usize,
    validation: Validation,
) -> TrainingLog {
    TrainingLog {
        run_id: run_id.to_owned(),
        phase: phase.name.clone(),
        epoch: epoch as i64,
        fold,
        learning_rate: learnt.learning_rate,
        loss: learnt.loss,
        loss_segmentation: learnt.loss_segmentation,
        loss_classification: learnt.loss_classification,
        dice: learnt.dice,
        iou: learnt.iou,
        validation_dice: validation.dice,
        pixel_calibration: validation.pixel_calibration,
        slice_temperature: validation.image_temperature,
        collapsed: false,
        n_samples: learnt.n_samples as i64,
        seconds: Some(learnt.seconds),
        samples_per_second: (learnt.seconds > 0.0)
            .then(|| learnt.n_samples as f64 / learnt.seconds),
    }
}

fn describe(row: &TrainingLog, phase: &Phase) -> String {
    format!(
        "{} epoch {}/{}: loss {:.4}, Dice {}, validation Dice {}, {:.1} slices/s",
        phase.name,
        row.epoch,
        phase.schedule.epochs,
        row.loss,
        decimals(row.dice),
        decimals(row.validation_dice),
        row.samples_per_second.unwrap_or(0.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_without_duration_has_no_rate() {
        let learnt = EpochLog {
            learning_rate: 1e-3,
            loss: 2.0,
            loss_segmentation: 1.5,
            loss_classification: Some(0.5),
            dice: Some(0.25),
            iou: None,
            n_samples: 30,
            seconds: 0.0,
        };
        let phase = Phase {
            name: "pretrain".to_owned(),
            cohorts: Vec::new(),
            patience: None,
            schedule: nodulus_nets::Phase::default(),
        };
        let validation = Validation { dice: Some(0.5), ..Validation::default() };
        let row = transform("run", Some(2), &learnt, &phase, 3, validation);
        assert_eq!((row.phase.as_str(), row.epoch, row.fold), ("pretrain", 3, Some(2)));
        assert_eq!((row.samples_per_second, row.dice), (None, Some(0.25)));
        let learnt = EpochLog { seconds: 2.0, ..learnt };
        let row = transform("run", None, &learnt, &phase, 3, Validation::default());
        assert_eq!(row.samples_per_second, Some(15.0));
    }
}

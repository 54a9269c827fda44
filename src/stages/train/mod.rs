//! Train: `rois`, `samples` → `training_log`, checkpoint.

mod examples;
mod resume;

use super::{Event, Task};
use crate::model::{self, EpochLog, Trainer};
use crate::tables::{Output, Sample, Split, Table, TrainingLog, leak, parquet, shard, store};
use examples::{Examples, Order, Selection};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Outputs read.
pub const READS: &[Output] = &[Output::Table(Table::Rois), Output::Table(Table::Samples)];
/// Outputs written.
pub const WRITES: &[Output] = &[Output::Table(Table::TrainingLog), Output::Checkpoint];
/// Raised when the stage's results change.
pub const VERSION: u32 = 2;

/// Settings: `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Decides the first weights, the order of samples and the flips.
    #[serde(default = "one")]
    pub seed: u64,
    /// The network.
    #[serde(default)]
    pub model: model::Config,
    /// Samples that are shuffled among each other: about 80 KiB each in memory.
    #[serde(default = "default_shuffle_buffer")]
    pub shuffle_buffer: usize,
    /// Fold of `samples` that is held out for validation, in place of the validation split.
    #[serde(default)]
    pub fold: Option<i64>,
    /// What is trained on what, in order; each phase goes on with the weights of the one before.
    pub phases: Vec<Phase>,
}

/// A phase of training: `[[train.phases]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Name in `training_log`.
    pub name: String,
    /// Cohorts whose samples are learnt from.
    pub cohorts: Vec<String>,
    /// How they are learnt from.
    pub schedule: model::Phase,
}

fn one() -> u64 {
    1
}

fn default_shuffle_buffer() -> usize {
    2048
}

/// Trains every phase, or goes on after the last finished epoch.
///
/// # Errors
///
/// Fails if a patient is in two splits, a phase has no samples, the network cannot be trained, or the store cannot be read or
/// written to.
pub fn run(config: &Config, task: &Task<'_>) -> Result<(), Error> {
    if task.job.pending().is_empty() {
        return Ok(());
    }
    leak::check(task.table(Table::Samples)?.rows::<Sample>())?;
    let folder = task.job.resume_folder()?;
    let mut trainer = Trainer::new(&config.model, config.seed, task.device)?;
    let mut log: Vec<TrainingLog> = resume::load(&folder, &mut trainer)?;
    let total: usize = config.phases.iter().map(|phase| phase.schedule.epochs).sum();
    let mut before = 0;
    for (number, phase) in config.phases.iter().enumerate() {
        let done = log.len().saturating_sub(before).min(phase.schedule.epochs);
        before += phase.schedule.epochs;
        if done == phase.schedule.epochs {
            continue;
        }
        trainer.begin_phase(&phase.schedule, done > 0)?;
        for epoch in done + 1..=phase.schedule.epochs {
            let order = Order::Shuffled {
                seed: config.seed,
                phase: number,
                epoch,
                buffer: config.shuffle_buffer,
            };
            let mut examples = select(config, task, phase, Split::Train, order)?;
            let learnt = trainer.epoch(&phase.schedule, epoch, &mut examples)?;
            if learnt.n_samples == 0 {
                let cohorts = phase.cohorts.join(", ");
                return Err(Error::NoSamples { phase: phase.name.clone(), cohorts });
            }
            let mut held_out = select(config, task, phase, Split::Validation, Order::Stored)?;
            let validation = trainer.evaluate(phase.schedule.std, &mut held_out)?;
            log.push(transform(task.job.key(), config.fold, &learnt, phase, epoch, validation));
            resume::save(&folder, &trainer, &log)?;
            (task.progress)(Event::Note(describe(&learnt, phase, epoch, validation)));
            task.cases(log.len(), total);
        }
    }
    let writer = task.job.shard(0)?;
    let mut part = writer.part::<TrainingLog>()?;
    let last = log.last().and_then(|row| row.dice);
    part.write(log)?;
    let metadata = json!({
        "run_id": task.job.key(),
        "seed": config.seed,
        "phases": config.phases,
        "fold": config.fold,
        "data": task.job.spec().inputs,
        "epochs": total,
        "training_dice": last,
        "tool_version": env!("CARGO_PKG_VERSION"),
    });
    trainer.save_checkpoint(&writer.files(Output::Checkpoint)?, &metadata)?;
    writer.commit(vec![part.finish()?], Vec::new())?;
    Ok(())
}

fn select(
    config: &Config,
    task: &Task<'_>,
    phase: &Phase,
    split: Split,
    order: Order,
) -> Result<Examples, Error> {
    let selection = Selection { cohorts: phase.cohorts.clone(), split, fold: config.fold };
    let (rois, samples) = (task.table(Table::Rois)?, task.table(Table::Samples)?);
    Ok(Examples::new(rois, samples, selection, order))
}

/// The log's row of an epoch.
pub fn transform(
    run_id: &str,
    fold: Option<i64>,
    learnt: &EpochLog,
    phase: &Phase,
    epoch: usize,
    validation_dice: Option<f64>,
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
        validation_dice,
        n_samples: learnt.n_samples as i64,
        seconds: Some(learnt.seconds),
        samples_per_second: (learnt.seconds > 0.0)
            .then(|| learnt.n_samples as f64 / learnt.seconds),
    }
}

fn describe(learnt: &EpochLog, phase: &Phase, epoch: usize, validation: Option<f64>) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    format!(
        "{} epoch {epoch}/{}: loss {:.4}, Dice {}, validation Dice {}, {:.1} slices/s",
        phase.name,
        phase.schedule.epochs,
        learnt.loss,
        number(learnt.dice),
        number(validation),
        learnt.n_samples as f64 / learnt.seconds.max(1e-9),
    )
}

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to learn from.
    #[error(
        "phase `{phase}` has no training samples from cohorts {cohorts}: look at the `samples` table and `[balance]`"
    )]
    NoSamples {
        /// The phase.
        phase: String,
        /// Its cohorts.
        cohorts: String,
    },
    /// A region's pixels do not have its shape.
    #[error("region `{roi_id}` has {found} bytes of pixels, expected {height} × {width} × 2")]
    Pixels {
        /// The region.
        roi_id: String,
        /// Bytes there are.
        found: usize,
        /// Rows.
        height: i64,
        /// Columns.
        width: i64,
    },
    /// A region does not say what is learnt from other nodules.
    #[error("region `{roi_id}` has neighbours `{found}`, expected include or ignore")]
    Neighbours {
        /// The region.
        roi_id: String,
        /// What it says.
        found: String,
    },
    /// The samples cannot be learnt from.
    #[error(transparent)]
    Leak(#[from] leak::Error),
    /// The network could not be trained.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A part could not be read.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// A part could not be written.
    #[error(transparent)]
    Shard(#[from] shard::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
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
            schedule: model::Phase::default(),
        };
        let row = transform("run", Some(2), &learnt, &phase, 3, Some(0.5));
        assert_eq!((row.phase.as_str(), row.epoch, row.fold), ("pretrain", 3, Some(2)));
        assert_eq!((row.samples_per_second, row.dice), (None, Some(0.25)));
        let learnt = EpochLog { seconds: 2.0, ..learnt };
        let row = transform("run", None, &learnt, &phase, 3, None);
        assert_eq!(row.samples_per_second, Some(15.0));
    }
}

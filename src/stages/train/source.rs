//! Runs the epochs of a phase: streams its samples to the network.

use super::config::Config;
use super::course::{Course, decimals};
use super::error::Error;
use super::examples::{Order, Selection, Stream};
use super::prefetch::prefetch;
use super::resume;
use crate::stages::{Event, Task};
use crate::tables::Split;
use nodulus_nets::{Epoch, EpochLog, Trainer, TrainingSample, Validation};
use std::path::Path;
use std::time::{Duration, Instant};

/// Number of validation samples that are read ahead.
const VALIDATION_AHEAD: usize = 32;

/// The samples of a phase, and the folder of its saved state.
pub(super) struct SampleSource<'a, 't> {
    config: &'a Config,
    task: &'a Task<'t>,
    /// Number of the phase, from 0.
    phase: usize,
    /// Number of training samples of each phase.
    n_samples: &'a [usize],
    folder: &'a Path,
    learning: Stream,
    validation: Stream,
}

impl<'a, 't> SampleSource<'a, 't> {
    /// Finds the samples of a phase; `n_samples` is the number of training samples of each phase.
    ///
    /// # Errors
    ///
    /// Fails if a table cannot be read.
    pub(super) fn new(
        config: &'a Config,
        task: &'a Task<'t>,
        phase: usize,
        n_samples: &'a [usize],
        folder: &'a Path,
    ) -> Result<Self, Error> {
        let of_split = |split| {
            let selection = Selection::of(config, &config.phases[phase], split);
            Stream::new(task, &selection, config.targets, config.model.input_slices)
        };
        let (learning, validation) = (of_split(Split::Train)?, of_split(Split::Validation)?);
        Ok(Self { config, task, phase, n_samples, folder, learning, validation })
    }

    /// Trains one epoch, or the rest of an unfinished one.
    pub(super) fn learn(
        &self,
        trainer: &mut Trainer,
        course: &mut Course,
        number: usize,
    ) -> Result<EpochLog, Error> {
        let phase = &self.config.phases[self.phase];
        let order = Order::Shuffled {
            seed: self.config.seed,
            phase: self.phase,
            epoch: number,
            buffer: self.config.shuffle_buffer,
        };
        let stream = self.learning.clone();
        let every = Duration::from_secs_f64(60.0 * self.config.save_minutes);
        let mut saved = Instant::now();
        let planned = self.n_samples[self.phase].div_ceil(phase.schedule.batch);
        let begun = || Epoch::of_batches(number, planned);
        let mut epoch = course.epoch.take().unwrap_or_else(begun);
        let (rate, learnt) = (phase.schedule.learning_rate_at(number), epoch.examples());
        std::thread::scope(|scope| {
            let ahead = 2 * phase.schedule.batch;
            let examples = prefetch(scope, ahead, move || stream.open(order).skip(learnt));
            loop {
                let batch = examples.iter().take(phase.schedule.batch);
                let mut batch = batch.collect::<Result<Vec<TrainingSample>, Error>>()?;
                if batch.is_empty() {
                    return Ok(epoch.log(rate));
                }
                trainer.learn(&phase.schedule, &mut epoch, &mut batch)?;
                self.show(&epoch.log(rate), number);
                if saved.elapsed() >= every {
                    course.epoch = Some(epoch);
                    resume::save(self.folder, trainer, course)?;
                    epoch = course.epoch.take().unwrap_or_default();
                    saved = Instant::now();
                }
            }
        })
    }

    /// What the validation samples say of the weights.
    pub(super) fn validate(&self, trainer: &mut Trainer) -> Result<Validation, Error> {
        let std = self.config.phases[self.phase].schedule.std;
        let stream = self.validation.clone();
        std::thread::scope(|scope| {
            let examples = prefetch(scope, VALIDATION_AHEAD, move || stream.open(Order::Stored));
            trainer.evaluate(std, &mut examples.into_iter())
        })
    }

    /// Reports the progress of an epoch, as a part of all phases.
    fn show(&self, log: &EpochLog, number: usize) {
        let phases = self.config.phases.iter().zip(self.n_samples);
        let of_phases: Vec<usize> = phases.map(|(p, n)| p.schedule.epochs * n).collect();
        let before: usize = of_phases[..self.phase].iter().sum();
        let done = before + (number - 1) * self.n_samples[self.phase] + log.n_samples;
        let phase = &self.config.phases[self.phase];
        let note = format!(
            "{} {number}/{}, loss {:.4}, Dice {}",
            phase.name,
            phase.schedule.epochs,
            log.loss,
            decimals(log.dice)
        );
        (self.task.progress)(Event::Cases { done, total: of_phases.iter().sum(), note });
    }
}

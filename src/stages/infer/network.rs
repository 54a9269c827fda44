//! Sends slices through a network.

use super::error::Error;
use super::selection::{DiceSums, dice_by_threshold, probability_threshold};
use crate::stages::network_input::image;
use crate::stages::nodule_slices::each_nodule;
use crate::tables::Roi;
use nodulus_imaging::components::ComponentRule;
use nodulus_nets::{self as model, Ensemble, PredictionProfile, TrainingProfile};
use nodulus_store::{FailedCase, Version};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::ops::Range;

/// A network with its settings.
pub(super) struct Network {
    pub(super) predictor: Ensemble,
    pub(super) batch: usize,
    pub(super) flips: bool,
}

impl Network {
    /// The profile of the first network's predictions, where its description has one.
    pub(super) fn profile(&self) -> Result<Option<PredictionProfile>, Error> {
        let Some(metadata) = self.predictor.metadata().next() else { return Ok(None) };
        Ok(TrainingProfile::of(metadata)?.map(|profile| profile.predicted))
    }

    /// Predicts slices of whole nodules, in batches: a prediction for each, `None` for those that do not fit the network, which
    /// become failures.
    pub(super) fn predict(
        &self,
        slices: &[Roi],
        failures: &mut Vec<FailedCase>,
    ) -> Result<Vec<Option<model::Prediction>>, Error> {
        let mut predictions = Vec::with_capacity(slices.len());
        for start in (0..slices.len()).step_by(self.batch.max(1)) {
            let end = slices.len().min(start.saturating_add(self.batch.max(1)));
            predictions.extend(self.predict_batch(slices, start..end, failures)?);
        }
        Ok(predictions)
    }

    /// Predicts some slices; the others are their neighbours.
    fn predict_batch(
        &self,
        slices: &[Roi],
        batch: Range<usize>,
        failures: &mut Vec<FailedCase>,
    ) -> Result<Vec<Option<model::Prediction>>, Error> {
        let mut images = Vec::with_capacity(batch.len());
        let mut is_readable = Vec::with_capacity(batch.len());
        let (side, n_slices) = (self.predictor.image_size(), self.predictor.input_slices());
        for (n, roi) in slices.iter().enumerate().take(batch.end).skip(batch.start) {
            let image = image(slices, n, side, n_slices);
            is_readable.push(image.is_ok());
            match image {
                Ok(image) => images.push(image),
                Err(unfit) => {
                    let error = Error::shape(unfit, side);
                    failures.push(
                        FailedCase::new("infer", &roi.roi_id, &error, None).of_cohort(&roi.cohort),
                    );
                }
            }
        }
        let mut predicted = self.predictor.predict(&images, self.flips)?.into_iter();
        let of_slice = |is_readable| if is_readable { predicted.next() } else { None };
        Ok(is_readable.into_iter().map(of_slice).collect())
    }

    /// The best probability threshold on the given nodules.
    ///
    /// METHOD: the threshold of 0.01 to 0.99, in steps of 0.01, with the highest mean Dice over the nodules of the
    /// validation split, each over all of its slices and by the rule of components that delivers masks; test plays no part.
    pub(super) fn best_probability(
        &self,
        rois: &Version,
        nodules: &BTreeSet<String>,
        rule: ComponentRule,
        reach_mm: f64,
    ) -> Result<f64, Error> {
        let mut sums = DiceSums::default();
        // Slices that do not fit the network fail again where they are predicted.
        let mut failures = Vec::new();
        let predict = |slices: &[Roi]| self.predict(slices, &mut failures);
        each_nodule(rois.rows::<Roi>(), nodules, predict, |complete| -> Result<(), Error> {
            let dice =
                complete.par_iter().filter_map(|slices| dice_by_threshold(slices, rule, reach_mm));
            dice.collect::<Vec<_>>().iter().for_each(|dice| sums.add(dice));
            Ok(())
        })?;
        sums.best().map(probability_threshold).ok_or(Error::NoValidation)
    }
}

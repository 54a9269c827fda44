//! Sends slices through a network.

use super::error::Error;
use super::selection::{DiceSums, dice_by_threshold, probability_threshold};
use crate::stages::nodule_slices::each_nodule;
use crate::tables::Roi;
use nodulus_imaging::components::ComponentRule;
use nodulus_imaging::normalise::normalise_slice;
use nodulus_nets::{self as model, Ensemble, PredictionProfile, TrainingProfile};
use nodulus_store::{FailedCase, Version};
use rayon::prelude::*;
use std::collections::BTreeSet;

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

    /// Predicts slices, in batches: a prediction for each, `None` for those that do not fit the network, which become
    /// failures.
    pub(super) fn predict(
        &self,
        slices: &[Roi],
        failures: &mut Vec<FailedCase>,
    ) -> Result<Vec<Option<model::Prediction>>, Error> {
        let mut predictions = Vec::with_capacity(slices.len());
        for batch in slices.chunks(self.batch) {
            predictions.extend(self.predict_batch(batch, failures)?);
        }
        Ok(predictions)
    }

    fn predict_batch(
        &self,
        slices: &[Roi],
        failures: &mut Vec<FailedCase>,
    ) -> Result<Vec<Option<model::Prediction>>, Error> {
        let mut images = Vec::with_capacity(slices.len());
        let mut is_readable = Vec::with_capacity(slices.len());
        let side = self.predictor.image_size();
        for roi in slices {
            let hu = roi.pixels_hu().filter(|_| [roi.height, roi.width] == [side as i64; 2]);
            is_readable.push(hu.is_some());
            if let Some(hu) = hu {
                images.push(normalise_slice(&hu, roi.norm_low_hu, roi.norm_high_hu));
            } else {
                let error = Error::shape(roi, side);
                failures.push(
                    FailedCase::new("infer", &roi.roi_id, &error, None).of_cohort(&roi.cohort),
                );
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

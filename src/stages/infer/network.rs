//! Sends slices through a network.

use super::error::Error;
use super::threshold::Histograms;
use crate::tables::Roi;
use nodulus_imaging::normalise::normalise_slice;
use nodulus_nets::{self as model, Ensemble};
use nodulus_store::{FailedCase, Version};
use std::collections::BTreeSet;

/// A network with its settings.
pub(super) struct Network {
    pub(super) predictor: Ensemble,
    pub(super) batch: usize,
    pub(super) flips: bool,
}

impl Network {
    /// Predicts slices; those that do not fit the network become failures.
    pub(super) fn predict<'a>(
        &self,
        slices: &'a [Roi],
    ) -> Result<(Predicted<'a>, Vec<FailedCase>), Error> {
        let mut images = Vec::with_capacity(slices.len());
        let mut readable = Vec::with_capacity(slices.len());
        let mut failures = Vec::new();
        let side = self.predictor.image_size();
        for roi in slices {
            let hu = roi.pixels_hu().filter(|_| [roi.height, roi.width] == [side as i64; 2]);
            if let Some(hu) = hu {
                images.push(normalise_slice(&hu, roi.norm_low_hu, roi.norm_high_hu));
                readable.push(roi);
            } else {
                let error = Error::shape(roi, side);
                failures.push(FailedCase::new("infer", &roi.roi_id, &error, None));
            }
        }
        let predicted = self.predictor.predict(&images, self.flips)?;
        Ok((readable.into_iter().zip(predicted).collect(), failures))
    }

    /// The best probability threshold on the given nodules.
    ///
    /// METHOD: the threshold of 0.01 to 0.99, in steps of 0.01, with the highest mean Dice over the nodules of the
    /// validation split, each over all of its slices; test plays no part.
    pub(super) fn best_probability(
        &self,
        rois: &Version,
        nodules: &BTreeSet<String>,
    ) -> Result<f64, Error> {
        let mut histograms = Histograms::of_probabilities();
        for batch in rois.rows::<Roi>() {
            let batch: Vec<Roi> =
                batch?.into_iter().filter(|roi| nodules.contains(&roi.nodule_id)).collect();
            for slices in batch.chunks(self.batch) {
                // Slices that fail here are not among the predicted ones.
                for (roi, predicted) in self.predict(slices)?.0 {
                    histograms.add(roi, predicted.probability.into_iter().map(f64::from));
                }
            }
        }
        histograms.best().ok_or(Error::NoValidation)
    }
}

/// Slices with their predictions.
type Predicted<'a> = Vec<(&'a Roi, model::Prediction)>;

//! Training loss and its gradients.

pub(super) mod composed;

use super::batch::{IGNORED_PIXEL, TrainingSample};
use super::error::Result;
use super::ops::sigmoid::sigmoid;
use crate::tensors::{tensor, view};
use candle_core::Tensor;
use rayon::prelude::*;

/// Losses of a batch.
#[derive(Debug)]
pub(super) struct BatchLosses {
    /// Segmentation loss, unweighted.
    pub(super) segmentation: f64,
    /// Classification loss, unweighted; `None` where the network has no classifier.
    pub(super) classification: Option<f64>,
    /// Dice and `IoU` of each image with nodule.
    pub(super) overlaps: Vec<[f64; 2]>,
    /// Gradients of the weighted losses with respect to the logits of pixels and of images.
    pub(super) gradients: Vec<Tensor>,
}

/// Evaluates a network's logits for a batch: of pixels, `[B, 1, H, W]`, and of images, `[B]`.
/// `weights` are those of the segmentation and the classification loss.
pub(super) fn evaluate(
    pixels: &Tensor,
    images: Option<&Tensor>,
    batch: &[TrainingSample],
    weights: [f64; 2],
) -> Result<BatchLosses> {
    let weighted = |mut gradient: Vec<f32>, weight: f64, logits: &Tensor| {
        for g in &mut gradient {
            *g *= weight as f32;
        }
        tensor(gradient, logits.dims())
    };
    let masks: Vec<u8> = batch.iter().flat_map(|example| example.mask.iter().copied()).collect();
    let logits = view(pixels)?;
    let n = logits.len() / batch.len().max(1);
    let overlaps = logits.chunks(n).zip(masks.chunks(n));
    let overlaps = overlaps.filter_map(|(logits, mask)| overlap(logits, mask)).collect();
    let of_pixels: Vec<f32> = batch.iter().flat_map(pixel_targets).collect();
    let loss = segmentation(&logits, &of_pixels, n);
    let segmentation = loss.value;
    let mut gradients = vec![weighted(loss.gradient, weights[0], pixels)?];
    let classification = match images {
        None => None,
        Some(images) => {
            let loss = classification(&view(images)?, &targets(batch));
            gradients.push(weighted(loss.gradient, weights[1], images)?);
            Some(loss.value)
        }
    };
    Ok(BatchLosses { segmentation, classification, overlaps, gradients })
}

fn targets(batch: &[TrainingSample]) -> Vec<Option<bool>> {
    batch.iter().map(|example| example.has_nodule).collect()
}

/// A batch's loss and its gradient with respect to the logits.
#[derive(Debug)]
pub(super) struct Loss {
    /// Mean over the batch.
    pub(super) value: f64,
    /// In the order of the logits.
    pub(super) gradient: Vec<f32>,
}

/// Cross entropy of one logit, exact also where the logistic function is near 0 or 1.
fn cross_entropy(logit: f32, target: f32) -> f64 {
    let (v, y) = (f64::from(logit), f64::from(target));
    v.max(0.0) - v * y + (-v.abs()).exp().ln_1p()
}

/// What a sample's pixels should be: 0..=1, or [`IGNORED`].
fn pixel_targets(sample: &TrainingSample) -> impl Iterator<Item = f32> + '_ {
    sample.mask.iter().enumerate().map(|(pixel, y)| match (*y, sample.soft.get(pixel)) {
        (IGNORED_PIXEL, _) => IGNORED,
        (_, Some(share)) => *share,
        (y, None) => f32::from(y),
    })
}

/// Target of an ignored pixel.
const IGNORED: f32 = -1.0;

/// Cross entropy over pixels plus Dice loss over images of `pixels` pixels, for targets of 0..=1 or
/// [`IGNORED`]. An ignored pixel takes no part in sums, counts and gradients; an image with
/// only ignored pixels has no loss.
// METHOD: Dice loss 1 - (2 sum xy + 1) / (sum x + sum y + 1) of each image, then the mean; the
// paper does not say over what it sums.
pub(super) fn segmentation(logits: &[f32], targets: &[f32], pixels: usize) -> Loss {
    let images = logits.len() / pixels;
    let mut gradient = super::buffer::take(logits.len());
    let values: Vec<f64> = gradient
        .par_chunks_mut(pixels)
        .zip(logits.par_chunks(pixels).zip(targets.par_chunks(pixels)))
        .map(|(gradient, (logits, targets))| {
            let (mut entropy, mut both, mut either) = (0.0, 0.0, 0.0);
            let counted = targets.iter().filter(|y| **y >= 0.0).count().max(1);
            // Short sums in f32 are exact enough and vectorise.
            let rows = gradient.chunks_mut(256).zip(logits.chunks(256).zip(targets.chunks(256)));
            for (x, (logits, targets)) in rows {
                let (mut row_entropy, mut row_both, mut row_either) = (0.0f32, 0.0f32, 0.0f32);
                for ((x, v), y) in x.iter_mut().zip(logits).zip(targets) {
                    let [y, counts] = target(*y);
                    *x = sigmoid(*v);
                    // -ln(sigmoid(|v|)) is ln(1 + exp(-|v|)).
                    row_entropy += counts * (v.max(0.0) - v * y - sigmoid(v.abs()).ln());
                    row_both += *x * y;
                    row_either += counts * (*x + y);
                }
                entropy += f64::from(row_entropy);
                both += f64::from(row_both);
                either += f64::from(row_either);
            }
            let (above, below) = (2.0 * both + 1.0, either + 1.0);
            let per_pixel = 1.0 / (images * counted) as f32;
            let of_pixel = (above / (below * below * images as f64)) as f32;
            let of_nodule = (-2.0 / (below * images as f64)) as f32;
            for (x, y) in gradient.iter_mut().zip(targets) {
                let [y, counts] = target(*y);
                let of_dice = of_pixel + of_nodule * y;
                *x = counts * ((*x - y) * per_pixel + of_dice * *x * (1.0 - *x));
            }
            entropy / counted as f64 + 1.0 - above / below
        })
        .collect();
    Loss { value: values.iter().sum::<f64>() / images as f64, gradient }
}

/// A pixel's target, and 1 where the pixel counts.
fn target(y: f32) -> [f32; 2] {
    if y < 0.0 { [0.0, 0.0] } else { [y, 1.0] }
}

/// Cross entropy over the images that have a target; 0 without any.
pub(super) fn classification(logits: &[f32], targets: &[Option<bool>]) -> Loss {
    let n = targets.iter().flatten().count().max(1);
    let target = |y: &Option<bool>| y.map(|y| f32::from(u8::from(y)));
    let pairs = || logits.iter().zip(targets).map(|(v, y)| (*v, target(y)));
    let value = |(v, y): (f32, Option<f32>)| y.map_or(0.0, |y| cross_entropy(v, y));
    Loss {
        value: pairs().map(value).sum::<f64>() / n as f64,
        gradient: pairs().map(|(v, y)| y.map_or(0.0, |y| (sigmoid(v) - y) / n as f32)).collect(),
    }
}

/// Dice and `IoU` of one image, with pixels of logit 0 or more as nodule; `None` where the mask is
/// empty. Ignored pixels do not count.
pub(super) fn overlap(logits: &[f32], mask: &[u8]) -> Option<[f64; 2]> {
    let (mut both, mut found, mut wanted) = (0u32, 0u32, 0u32);
    for (v, y) in logits.iter().zip(mask).filter(|(_, y)| **y != IGNORED_PIXEL) {
        let x = u32::from(*v >= 0.0);
        both += x & u32::from(*y);
        found += x;
        wanted += u32::from(*y);
    }
    let (both, sum) = (f64::from(both), f64::from(found + wanted));
    (wanted > 0).then(|| [2.0 * both / sum, both / (sum - both)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loss for masks of 0, 1 and [`IGNORED_PIXEL`].
    fn segmentation(logits: &[f32], masks: &[u8], pixels: usize) -> Loss {
        let of = |y: &u8| if *y == IGNORED_PIXEL { IGNORED } else { f32::from(*y) };
        super::segmentation(logits, &masks.iter().map(of).collect::<Vec<_>>(), pixels)
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }

    /// The logits with one of them moved.
    fn moved(logits: &[f32], i: usize, by: f32) -> Vec<f32> {
        let mut logits = logits.to_vec();
        logits[i] += by;
        logits
    }

    /// Checks a gradient by difference quotients.
    fn assert_slopes(logits: &[f32], value: impl Fn(&[f32]) -> f64, gradient: &[f32]) {
        assert_eq!(logits.len(), gradient.len());
        for (i, slope) in gradient.iter().enumerate() {
            let [up, down] = [0.01, -0.01].map(|by| value(&moved(logits, i, by)));
            assert!((f64::from(*slope) - (up - down) / 0.02).abs() < 2e-5);
        }
    }

    #[test]
    fn the_segmentation_loss_is_its_definition() {
        // Probabilities 1/2 and 3/4; the second pixel is nodule.
        let logits = [0.0, 3.0f32.ln()];
        let entropy = -(0.5f64.ln() + 0.75f64.ln()) / 2.0;
        let dice = 1.0 - (2.0 * 0.75 + 1.0) / (1.25 + 1.0 + 1.0);
        close(segmentation(&logits, &[0, 1], 2).value, entropy + dice);
        // Two images: the mean of their separate losses.
        let other = [1.0, -1.0];
        let single = segmentation(&other, &[0, 0], 2).value;
        let both = segmentation(&[logits, other].concat(), &[0, 1, 0, 0], 2).value;
        close(both, f64::midpoint(entropy + dice, single));
    }

    #[test]
    fn shares_of_readers_are_targets_between_0_and_1() {
        // Probabilities 1/2 and 3/4, shares 1/4 and 1.
        let (logits, shares) = ([0.0, 3.0f32.ln()], [0.25, 1.0]);
        let entropy = -(0.5f64.ln() + 0.75f64.ln()) / 2.0;
        let dice = 1.0 - (2.0 * (0.125 + 0.75) + 1.0) / (1.25 + 1.25 + 1.0);
        let found = super::segmentation(&logits, &shares, 2);
        close(found.value, entropy + dice);
        assert_slopes(
            &logits,
            |logits| super::segmentation(logits, &shares, 2).value,
            &found.gradient,
        );
        let sample = TrainingSample {
            id: String::new(),
            image: vec![0.0; 3],
            mask: vec![0, 1, IGNORED_PIXEL],
            soft: vec![0.25, 1.0, 0.5],
            has_nodule: None,
        };
        assert_eq!(pixel_targets(&sample).collect::<Vec<_>>(), [0.25, 1.0, IGNORED]);
        let hard = TrainingSample { soft: Vec::new(), ..sample };
        assert_eq!(pixel_targets(&hard).collect::<Vec<_>>(), [0.0, 1.0, IGNORED]);
    }

    #[test]
    fn gradients_are_difference_quotients() {
        let logits = [0.3, -1.2, 2.0, 0.1, -0.4, 1.5f32];
        let masks = [1, 0, 1, 0, 0, 1];
        let targets = [true, false, true, false, false, true].map(Some);
        let found = segmentation(&logits, &masks, 3).gradient;
        let images = classification(&logits, &targets).gradient;
        assert_slopes(&logits, |logits| segmentation(logits, &masks, 3).value, &found);
        assert_slopes(&logits, |logits| classification(logits, &targets).value, &images);
    }

    #[test]
    fn what_is_ignored_has_no_loss_and_no_gradient() {
        let logits = [0.3, -1.2, 2.0, 0.1, -0.4, 1.5f32];
        let masks = [1, IGNORED_PIXEL, 0, IGNORED_PIXEL, IGNORED_PIXEL, IGNORED_PIXEL];
        let targets = [Some(true), None, Some(false), None, None, None];
        let found = segmentation(&logits, &masks, 3);
        let images = classification(&logits, &targets);
        // Half of the loss of the first image's other pixels; the second image only has the Dice
        // loss 1 - 1 / 1.
        close(found.value, segmentation(&[0.3, 2.0], &[1, 0], 2).value / 2.0);
        close(images.value, classification(&[0.3, 2.0], &[Some(true), Some(false)]).value);
        let of_pixels = |logits: &[f32]| segmentation(logits, &masks, 3).value;
        let of_images = |logits: &[f32]| classification(logits, &targets).value;
        assert_slopes(&logits, of_pixels, &found.gradient);
        assert_slopes(&logits, of_images, &images.gradient);
        for i in 0..6 {
            let up = moved(&logits, i, 0.01);
            if masks[i] == IGNORED_PIXEL {
                let value = of_pixels(&up);
                assert_eq!((found.gradient[i], value.to_bits()), (0.0, found.value.to_bits()));
            }
            if targets[i].is_none() {
                let value = of_images(&up);
                assert_eq!((images.gradient[i], value.to_bits()), (0.0, images.value.to_bits()));
            }
        }
        assert_eq!(overlap(&logits[..3], &masks[..3]), overlap(&[0.3, 2.0], &[1, 0]));
        assert_eq!(overlap(&logits[3..], &masks[3..]), None);
        let none = classification(&[1.0], &[None]);
        assert_eq!((none.value, none.gradient), (0.0, vec![0.0]));
    }

    #[test]
    fn far_from_the_truth_the_loss_is_the_distance() {
        close(classification(&[-200.0, 200.0], &[Some(true); 2]).value, 100.0);
        let loss = segmentation(&[-80.0, 80.0], &[1, 0], 2);
        close(loss.value, 80.0 + 1.0 - 1.0 / 3.0);
        assert!(loss.gradient.iter().all(|g| g.is_finite()));
        close(f64::from(loss.gradient[0]), -0.5);
    }

    #[test]
    fn overlap_counts_pixels() {
        let [dice, iou] = overlap(&[1.0, 0.0, -1.0, 2.0], &[1, 1, 1, 0]).unwrap();
        close(dice, 4.0 / 6.0);
        close(iou, 0.5);
        assert_eq!(overlap(&[1.0], &[0]), None);
        assert_eq!(overlap(&[-1.0], &[1]), Some([0.0, 0.0]));
    }
}

//! The loss by the tensor library's operations; only a few numbers per image are copied back.

use super::{BatchLosses, classification, pixel_targets, target, targets};
use crate::batch::TrainingSample;
use crate::error::Result;
use crate::ops::composed::sigmoid;
use crate::tensors::{tensor, values};
use candle_core::Tensor;

/// See [`super::evaluate`].
pub(crate) fn evaluate(
    pixels: &Tensor,
    images: Option<&Tensor>,
    batch: &[TrainingSample],
    weights: [f64; 2],
) -> Result<BatchLosses> {
    let (gradient, sums) = segmentation(pixels, batch)?;
    let mut gradients = vec![(gradient * weights[0])?];
    // One copy, so that the processor waits for the card once per step.
    let sums = sums.flatten_all()?;
    let found = match images {
        None => values(&sums)?,
        Some(images) => values(&Tensor::cat(&[&sums, images], 0)?)?,
    };
    let (sums, logits) = found.split_at(sums.elem_count());
    let sums: Vec<Sums> = sums.as_chunks::<SUMS>().0.iter().map(|sums| Sums::new(*sums)).collect();
    let segmentation = sums.iter().map(Sums::loss).sum::<f64>() / batch.len() as f64;
    let overlaps = sums.iter().filter_map(Sums::overlap).collect();
    let classification = match images {
        None => None,
        Some(images) => {
            let loss = classification(logits, &targets(batch));
            let gradient = tensor(loss.gradient, images.dims())?.to_device(images.device())?;
            gradients.push((gradient * weights[1])?);
            Some(loss.value)
        }
    };
    Ok(BatchLosses { segmentation, classification, overlaps, gradients })
}

const SUMS: usize = 7;

/// Sums over an image's counted pixels.
struct Sums {
    entropy: f64,
    counted: f64,
    /// Sum of the products of probability and mask.
    both: f64,
    /// Sum of probabilities and mask.
    either: f64,
    /// Nodule pixels of the mask, of the prediction, and of both.
    wanted: f64,
    found: f64,
    hits: f64,
}

impl Sums {
    fn new(sums: [f32; SUMS]) -> Self {
        let [entropy, counted, both, either, wanted, found, hits] = sums.map(f64::from);
        Self { entropy, counted, both, either, wanted, found, hits }
    }

    fn loss(&self) -> f64 {
        let dice = (2.0 * self.both + 1.0) / (self.either + 1.0);
        self.entropy / self.counted.max(1.0) + 1.0 - dice
    }

    fn overlap(&self) -> Option<[f64; 2]> {
        let sum = self.found + self.wanted;
        (self.wanted > 0.0).then(|| [2.0 * self.hits / sum, self.hits / (sum - self.hits)])
    }
}

/// The gradient of [`super::segmentation`] with respect to the logits, and the sums of each image,
/// `[B, 7]`.
fn segmentation(logits: &Tensor, batch: &[TrainingSample]) -> Result<(Tensor, Tensor)> {
    let images = batch.len();
    let shape = (images, logits.elem_count() / images.max(1));
    let part = |part: usize| {
        let of_pixels = batch.iter().flat_map(pixel_targets);
        tensor(of_pixels.map(|y| target(y)[part]).collect(), shape)
    };
    let (y, counts) = (part(0)?.to_device(logits.device())?, part(1)?.to_device(logits.device())?);
    let v = logits.reshape(shape)?;
    let x = sigmoid(&v)?;
    let entropy = ((v.relu()? - (&v * &y)?)? - sigmoid(&v.abs()?)?.log()?)?;
    // 1 where the logit is 0 or more.
    let hard = ((v.sign()? + 1.0)? * 0.5)?.ceil()?;
    let hard = (hard * &counts)?;
    let nodule = batch.iter().flat_map(|example| &example.mask);
    let nodule = tensor(nodule.map(|y| f32::from(u8::from(*y == 1))).collect(), shape)?;
    let nodule = nodule.to_device(logits.device())?;
    let parts = [
        (entropy * &counts)?,
        counts.clone(),
        (&x * &y)?,
        ((&x + &y)? * &counts)?,
        nodule.clone(),
        hard.clone(),
        (hard * nodule)?,
    ];
    let sums = parts.iter().map(|part| part.sum_keepdim(1));
    let sums = Tensor::cat(&sums.collect::<candle_core::Result<Vec<_>>>()?, 1)?;
    let sum = |n: usize| sums.narrow(1, n, 1);
    let n = images as f64;
    let counted = ((sum(1)? - 1.0)?.relu()? + 1.0)?;
    let (above, below) = (((sum(2)? * 2.0)? + 1.0)?, (sum(3)? + 1.0)?);
    let of_pixel = (above.div(&below.sqr()?)? / n)?;
    let of_nodule = (below.recip()? * (-2.0 / n))?;
    let of_dice = y.broadcast_mul(&of_nodule)?.broadcast_add(&of_pixel)?;
    let slope = (&x * x.affine(-1.0, 1.0)?)?;
    let of_entropy = (x - y)?.broadcast_div(&(counted * n)?)?;
    let gradient = ((of_entropy + (of_dice * slope)?)? * counts)?;
    Ok((gradient.reshape(logits.shape())?, sums))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::IGNORED_PIXEL;

    #[test]
    fn it_is_the_processors() {
        let side = 6;
        let pixel = |i: usize, n: usize| ((i * 37 + n * 11) % 41) as f32 / 4.0 - 5.0;
        let pixel_share = |i: usize| (i % 4) as f32 / 3.0;
        let masks: [fn(usize) -> u8; 4] =
            [|i| u8::from(i % 5 == 0), |_| 0, |i| [0, 1, IGNORED_PIXEL][i % 3], |_| IGNORED_PIXEL];
        let batch: Vec<TrainingSample> = masks
            .iter()
            .enumerate()
            .map(|(n, mask)| TrainingSample {
                id: n.to_string(),
                image: Vec::new(),
                mask: (0..side * side).map(mask).collect(),
                soft: if n < 2 { Vec::new() } else { (0..side * side).map(pixel_share).collect() },
                has_nodule: [Some(true), None, Some(false), Some(true)][n],
            })
            .collect();
        let logits = (0..4).flat_map(|n| (0..side * side).map(move |i| pixel(i, n)));
        let logits: Vec<f32> = logits.chain([0.5, -2.0, 100.0, -100.0]).collect();
        let pixels = tensor(logits[..4 * side * side].to_vec(), (4, 1, side, side)).unwrap();
        let images = tensor(logits[4 * side * side..].to_vec(), 4).unwrap();
        for images in [Some(&images), None] {
            let host = super::super::evaluate(&pixels, images, &batch, [0.5, 2.0]).unwrap();
            let found = evaluate(&pixels, images, &batch, [0.5, 2.0]).unwrap();
            let losses = |m: &BatchLosses| [m.segmentation, m.classification.unwrap_or(-1.0)];
            for (found, host) in losses(&found).iter().zip(losses(&host)) {
                assert!((found - host).abs() < 1e-6 * host.abs(), "{found} {host}");
            }
            assert_eq!(found.overlaps, host.overlaps);
            assert_eq!(found.gradients.len(), host.gradients.len());
            for (found, host) in found.gradients.iter().zip(&host.gradients) {
                assert_eq!(found.dims(), host.dims());
                for (found, host) in values(found).unwrap().iter().zip(values(host).unwrap()) {
                    assert!((found - host).abs() < 1e-7, "{found} {host}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_has_a_loss_that_is_none() {
        let logits = tensor(vec![f32::NAN, 0.0, 0.0, 0.0], (1, 1, 2, 2)).unwrap();
        let (id, image) = (String::new(), Vec::new());
        let batch = [TrainingSample {
            id,
            image,
            mask: vec![0, 1, 0, 0],
            soft: Vec::new(),
            has_nodule: None,
        }];
        let found = evaluate(&logits, None, &batch, [1.0, 1.0]).unwrap();
        assert!(found.segmentation.is_nan());
    }
}

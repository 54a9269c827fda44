//! Training samples and batches of them.

use super::backend::{Backend, Execution};
use super::buffer;
use super::error::{Error, Result};
use super::tape::Value;
use super::tensors::tensor;

/// Value in [`TrainingSample::mask`] of a pixel that is ignored in training.
pub const IGNORED_PIXEL: u8 = 2;

/// An image with its reference mask.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingSample {
    /// Name, for messages.
    pub id: String,
    /// Pixels in 0..1, row by row along j, i fastest.
    pub image: Vec<f32>,
    /// 1 for nodule, 0 for background, [`IGNORED_PIXEL`] for neither; in the image's order.
    pub mask: Vec<u8>,
    /// Targets of the pixels that are not ignored, 0..=1, in the image's order: shares of readers; empty where the mask is the
    /// target.
    pub soft: Vec<f32>,
    /// Whether there is a nodule; `None` where the image does not train the classifier.
    pub has_nodule: Option<bool>,
}

impl TrainingSample {
    /// Mirrors the sample along i, j, both or neither.
    pub(super) fn flip(&mut self, side: usize, mirrored: [bool; 2]) {
        flip(&mut self.image, side, mirrored);
        flip(&mut self.mask, side, mirrored);
        flip(&mut self.soft, side, mirrored);
    }
}

/// Mirrors an image along i, j, both or neither.
pub(super) fn flip<T>(pixels: &mut [T], side: usize, [along_i, along_j]: [bool; 2]) {
    // Reversing all pixels mirrors along both axes.
    if along_j {
        pixels.reverse();
    }
    if along_i != along_j {
        pixels.chunks_mut(side).for_each(<[T]>::reverse);
    }
}

/// Checks a sample's size.
pub(super) fn check(sample: &TrainingSample, side: usize) -> Result<()> {
    let id = || format!("`{}`", sample.id);
    check_len("image", sample.image.len(), id, side)?;
    check_len("mask", sample.mask.len(), id, side)?;
    if sample.soft.is_empty() {
        Ok(())
    } else {
        check_len("soft mask", sample.soft.len(), id, side)
    }
}

fn check_len(
    what: &'static str,
    found: usize,
    sample: impl FnOnce() -> String,
    side: usize,
) -> Result<()> {
    let expected = side * side;
    if found == expected {
        return Ok(());
    }
    Err(Error::Sample { sample: sample(), what, found, expected })
}

/// Images as `[B, 1, side, side]` on a backend.
pub(super) fn input<'a>(
    images: impl ExactSizeIterator<Item = &'a [f32]>,
    side: usize,
    backend: &Backend,
) -> Result<Value> {
    let count = images.len();
    let mut values = buffer::take(count * side * side);
    for (index, (pixels, image)) in values.chunks_exact_mut(side * side).zip(images).enumerate() {
        check_len("image", image.len(), || index.to_string(), side)?;
        pixels.copy_from_slice(image);
    }
    let images = tensor(values, (count, 1, side, side))?;
    Ok(match backend.execution {
        Execution::Host => Value::constant(images),
        Execution::Composed(_) => Value::borrowed(&images.to_device(&backend.device)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_along_the_axis_they_name() {
        let flipped = |along_i, along_j| {
            let mut example = TrainingSample {
                id: "a".to_owned(),
                image: vec![1.0, 2.0, 3.0, 4.0],
                mask: vec![1, 0, 0, 0],
                soft: vec![0.5, 0.0, 0.0, 0.0],
                has_nodule: Some(true),
            };
            example.flip(2, [along_i, along_j]);
            let halves: Vec<f32> = example.mask.iter().map(|m| 0.5 * f32::from(*m)).collect();
            assert_eq!(example.soft, halves);
            (example.image, example.mask)
        };
        assert_eq!(flipped(false, false), (vec![1.0, 2.0, 3.0, 4.0], vec![1, 0, 0, 0]));
        assert_eq!(flipped(true, false), (vec![2.0, 1.0, 4.0, 3.0], vec![0, 1, 0, 0]));
        assert_eq!(flipped(false, true), (vec![3.0, 4.0, 1.0, 2.0], vec![0, 0, 1, 0]));
        assert_eq!(flipped(true, true), (vec![4.0, 3.0, 2.0, 1.0], vec![0, 0, 0, 1]));
    }

    #[test]
    fn an_image_of_another_size_is_refused() {
        let images = [vec![0.0; 4], vec![0.0; 5]];
        let error =
            input(images.iter().map(Vec::as_slice), 2, &Backend::host()).err().unwrap().to_string();
        assert_eq!(error, "sample 1: the image has 5 pixels, expected 4");
    }
}

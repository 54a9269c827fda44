//! Training samples and batches of them.

use super::backend::{Backend, Execution};
use super::buffer;
use super::error::{Error, Result};
use super::planes::ImageShape;
use super::tape::Value;
use super::tensors::tensor;

/// Value in [`TrainingSample::mask`] of a pixel that is ignored in training.
pub const IGNORED_PIXEL: u8 = 2;

/// An image with its reference mask.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingSample {
    /// Name, for messages.
    pub id: String,
    /// Pixels in 0..1, slice by slice along k, row by row along j, i fastest: the slice of the mask in the middle, and its
    /// neighbours where the network takes several.
    pub image: Vec<f32>,
    /// 1 for nodule, 0 for background, [`IGNORED_PIXEL`] for neither; in the order of a slice of the image.
    pub mask: Vec<u8>,
    /// Targets of the pixels that are not ignored, 0..=1, in the mask's order: shares of readers; empty where the mask is the
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

/// Mirrors the slices of an image along i, j, both or neither.
pub(super) fn flip<T>(pixels: &mut [T], side: usize, [along_i, along_j]: [bool; 2]) {
    for slice in pixels.chunks_mut((side * side).max(1)) {
        // Reversing all pixels mirrors along both axes.
        if along_j {
            slice.reverse();
        }
        if along_i != along_j {
            slice.chunks_mut(side).for_each(<[T]>::reverse);
        }
    }
}

/// Checks a sample's size.
pub(super) fn check(sample: &TrainingSample, shape: ImageShape) -> Result<()> {
    let id = || format!("`{}`", sample.id);
    let mask = ImageShape { slices: 1, ..shape };
    check_len("image", sample.image.len(), id, shape)?;
    check_len("mask", sample.mask.len(), id, mask)?;
    if sample.soft.is_empty() {
        Ok(())
    } else {
        check_len("soft mask", sample.soft.len(), id, mask)
    }
}

fn check_len(
    what: &str,
    found: usize,
    sample: impl FnOnce() -> String,
    shape: ImageShape,
) -> Result<()> {
    let expected = shape.n_values();
    if found == expected {
        return Ok(());
    }
    let what = match shape.slices {
        1 => what.to_owned(),
        n => format!("{what} of {n} slices"),
    };
    Err(Error::Sample { sample: sample(), what, found, expected })
}

/// Images as `[B, C, side, side]` on a backend, with slices as channels, k ascending.
pub(super) fn input<'a>(
    images: impl ExactSizeIterator<Item = &'a [f32]>,
    shape: ImageShape,
    backend: &Backend,
) -> Result<Value> {
    let (count, n) = (images.len(), shape.n_values());
    let mut values = buffer::take(count * n);
    for (index, (pixels, image)) in values.chunks_exact_mut(n).zip(images).enumerate() {
        check_len("image", image.len(), || index.to_string(), shape)?;
        pixels.copy_from_slice(image);
    }
    let images = tensor(values, (count, shape.slices, shape.side, shape.side))?;
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
    fn every_slice_is_mirrored_in_its_place() {
        let mut image: Vec<u8> = (1..=8).collect();
        flip(&mut image, 2, [true, false]);
        assert_eq!(image, [2, 1, 4, 3, 6, 5, 8, 7]);
        flip(&mut image, 2, [true, true]);
        assert_eq!(image, [3, 4, 1, 2, 7, 8, 5, 6]);
    }

    #[test]
    fn slices_are_channels_in_the_order_of_k() {
        let images = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let shape = ImageShape { slices: 3, side: 1 };
        let found = input(images.iter().map(<[f32; 3]>::as_slice), shape, &Backend::host());
        let found = found.unwrap();
        assert_eq!(found.tensor().dims(), [2, 3, 1, 1]);
        assert_eq!(crate::tensors::values(found.tensor()).unwrap(), images.concat());
    }

    #[test]
    fn an_image_of_another_size_is_refused() {
        let error = |images: &[Vec<f32>], slices| {
            let shape = ImageShape { slices, side: 2 };
            let images = images.iter().map(Vec::as_slice);
            input(images, shape, &Backend::host()).err().unwrap().to_string()
        };
        let found = error(&[vec![0.0; 4], vec![0.0; 5]], 1);
        assert_eq!(found, "sample 1: the image has 5 pixels, expected 4");
        let found = error(&[vec![0.0; 4]], 3);
        assert_eq!(found, "sample 0: the image of 3 slices has 4 pixels, expected 12");
        let sample = |image: usize, mask: usize| TrainingSample {
            id: "a".to_owned(),
            image: vec![0.0; image],
            mask: vec![0; mask],
            soft: Vec::new(),
            has_nodule: None,
        };
        let checked = |sample| check(&sample, ImageShape { slices: 3, side: 2 });
        assert!(checked(sample(12, 4)).is_ok());
        let error = checked(sample(12, 12)).unwrap_err().to_string();
        assert_eq!(error, "sample `a`: the mask has 12 pixels, expected 4");
    }
}

//! Examples, and how they become tensors.

use super::buffer;
use super::device::{Operators, Place};
use super::error::{Error, Result};
use super::ops::tensor;
use super::tape::Value;

/// A pixel's place in [`Example::mask`] where nothing is learnt from it.
pub const IGNORED: u8 = 2;

/// An image with what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Name of the image, for messages.
    pub id: String,
    /// Values in 0..1, rows along j one after the other, i fastest.
    pub image: Vec<f32>,
    /// 1 for nodule, 0 for none, [`IGNORED`] for neither, in the image's order.
    pub mask: Vec<u8>,
    /// Whether there is a nodule; `None` where the classifier learns nothing from the image.
    pub has_nodule: Option<bool>,
}

impl Example {
    /// Mirrors the example along i, j, both or neither.
    pub(super) fn flip(&mut self, side: usize, mirrored: [bool; 2]) {
        flip(&mut self.image, side, mirrored);
        flip(&mut self.mask, side, mirrored);
    }
}

/// Mirrors an image along i, j, both or neither.
pub(super) fn flip<T>(pixels: &mut [T], side: usize, [along_i, along_j]: [bool; 2]) {
    // All pixels in reverse are both mirrors at once.
    if along_j {
        pixels.reverse();
    }
    if along_i != along_j {
        pixels.chunks_mut(side).for_each(<[T]>::reverse);
    }
}

/// Checks an example's size.
pub(super) fn check(example: &Example, side: usize) -> Result<()> {
    let id = || format!("`{}`", example.id);
    check_len("image", example.image.len(), id, side)?;
    check_len("mask", example.mask.len(), id, side)
}

fn check_len(
    what: &'static str,
    found: usize,
    example: impl FnOnce() -> String,
    side: usize,
) -> Result<()> {
    let expected = side * side;
    if found == expected {
        return Ok(());
    }
    Err(Error::Example { example: example(), what, found, expected })
}

/// Images as `[B, 1, side, side]`, copied to a place at once.
pub(super) fn input<'a>(
    images: impl ExactSizeIterator<Item = &'a [f32]>,
    side: usize,
    place: &Place,
) -> Result<Value> {
    let count = images.len();
    let mut values = buffer::take(count * side * side);
    for (index, (place, image)) in values.chunks_exact_mut(side * side).zip(images).enumerate() {
        check_len("image", image.len(), || index.to_string(), side)?;
        place.copy_from_slice(image);
    }
    let images = tensor(values, (count, 1, side, side))?;
    Ok(match place.operators {
        Operators::Host => Value::constant(images),
        Operators::Composed(_) => Value::borrowed(&images.to_device(&place.tensors)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_along_the_axis_they_name() {
        let flipped = |along_i, along_j| {
            let mut example = Example {
                id: "a".to_owned(),
                image: vec![1.0, 2.0, 3.0, 4.0],
                mask: vec![1, 0, 0, 0],
                has_nodule: Some(true),
            };
            example.flip(2, [along_i, along_j]);
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
            input(images.iter().map(Vec::as_slice), 2, &Place::host()).err().unwrap().to_string();
        assert_eq!(error, "example 1: image has 5 pixels, expected 4");
    }
}

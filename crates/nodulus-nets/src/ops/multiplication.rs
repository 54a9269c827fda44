//! Elementwise products.

use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use crate::vector;
use candle_core::Tensor;
use rayon::prelude::*;

/// `a * b`, for two inputs of one shape.
pub(crate) struct Multiplication;

impl Operator for Multiplication {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        check(inputs)?;
        tensor(multiplied(&view(inputs[0])?, &view(inputs[1])?), inputs[0].dims())
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let gradient = view(step.gradient.tensor())?;
        let part = |wanted: bool, other: &Tensor| {
            let found = |other: &Tensor| {
                let values = multiplied(&gradient, &view(other)?);
                Ok::<_, Error>(Gradient::new(tensor(values, other.dims())?))
            };
            wanted.then(|| found(other)).transpose()
        };
        Ok(vec![part(step.wanted[0], step.inputs[1])?, part(step.wanted[1], step.inputs[0])?])
    }
}

/// Fails if the inputs do not have the same shape.
pub(super) fn check(inputs: &[&Tensor]) -> Result<()> {
    match [inputs[0].dims(), inputs[1].dims()] {
        [a, b] if a == b => Ok(()),
        [a, b] => {
            Err(Error::Shape { operator: "multiplication", problem: format!("{a:?} and {b:?}") })
        }
    }
}

fn multiplied(a: &[f32], b: &[f32]) -> Vec<f32> {
    const CHUNK: usize = 1 << 14;
    let mut found = buffer::take(a.len());
    let chunks = found.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK)).zip(b.par_chunks(CHUNK));
    chunks.for_each(|((to, a), b)| {
        vector::vectorised(
            #[inline(always)]
            || to.iter_mut().zip(a).zip(b).for_each(|((to, a), b)| *to = a * b),
        );
    });
    found
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    #[test]
    fn places_meet_their_own() {
        let a = tensor(vec![1.0, 2.0, 3.0], (1, 1, 1, 3)).unwrap();
        let b = tensor(vec![4.0, -5.0, 0.5], (1, 1, 1, 3)).unwrap();
        assert_eq!(output(&Multiplication, &[a.clone(), b]), [4.0, -10.0, 1.5]);
        let error = Multiplication.forward(&[&a, &random(&[1, 1, 3, 1], 1)]).unwrap_err();
        assert_eq!(error.to_string(), "multiplication: [1, 1, 1, 3] and [1, 1, 3, 1]");
    }

    #[test]
    fn gradients_are_difference_quotients() {
        let inputs = [random(&[1, 2, 3, 5], 1), random(&[1, 2, 3, 5], 2)];
        assert_gradients(|| Box::new(Multiplication), &inputs, 0.5, 1e-5);
    }
}

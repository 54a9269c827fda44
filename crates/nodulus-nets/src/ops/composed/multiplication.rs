//! Elementwise products, and channels multiplied by a weight each.

use super::sigmoid;
use crate::error::Result;
use crate::operator::Composed;
use crate::operator::Step;
use crate::ops::channel_gate::{self, ChannelGate};
use crate::ops::multiplication::{self, Multiplication};
use candle_core::Tensor;

impl Composed for Multiplication {
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        multiplication::check(inputs)?;
        Ok((inputs[0] * inputs[1])?)
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        let times = |wanted: bool, other: &Tensor| {
            wanted.then(|| step.gradient.tensor() * other).transpose()
        };
        Ok(vec![times(step.wanted[0], step.inputs[1])?, times(step.wanted[1], step.inputs[0])?])
    }
}

impl Composed for ChannelGate {
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        channel_gate::pixels(inputs)?;
        Ok(inputs[0].broadcast_mul(&sigmoid(inputs[1])?)?)
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        channel_gate::pixels(step.inputs)?;
        let (x, gradient) = (step.inputs[0], step.gradient.tensor());
        let weight = sigmoid(step.inputs[1])?;
        let of_x = || -> Result<Tensor> { Ok(gradient.broadcast_mul(&weight)?) };
        let of_g = || -> Result<Tensor> {
            let sums = (gradient * x)?.flatten_from(2)?.sum(2)?.reshape(weight.shape())?;
            Ok((sums * (&weight * weight.affine(-1.0, 1.0)?)?)?)
        };
        Ok(vec![step.wanted[0].then(of_x).transpose()?, step.wanted[1].then(of_g).transpose()?])
    }
}

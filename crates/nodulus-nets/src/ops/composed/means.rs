//! Means over pixels.

use crate::error::Result;
use crate::operator::Composed;
use crate::operator::Step;
use crate::ops::global_mean::{self, GlobalMean};
use crate::ops::mean_logit::{self, MeanLogit};
use candle_core::Tensor;

impl Composed for GlobalMean {
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let [images, channels, n] = global_mean::sizes(inputs[0])?;
        let means = (inputs[0].flatten_from(2)?.sum(2)? / n as f64)?;
        Ok(means.reshape((images, channels, 1, 1))?)
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        let [_, _, n] = global_mean::sizes(step.inputs[0])?;
        let each = (step.gradient.tensor() / n as f64)?;
        Ok(vec![Some(each.broadcast_as(step.inputs[0].shape())?)])
    }
}

impl Composed for MeanLogit {
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let [_, _, n] = mean_logit::sizes(inputs)?;
        let means = (inputs[0].flatten_from(2)?.sum(2)? / n as f64)?;
        let logits = means.broadcast_mul(inputs[1])?.sum(1)?;
        Ok(logits.broadcast_add(inputs[2])?)
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        let [images, channels, n] = mean_logit::sizes(step.inputs)?;
        let gradient = step.gradient.tensor().reshape((images, 1))?;
        let of_input = || -> Result<Tensor> {
            let each = (gradient.broadcast_mul(step.inputs[1])? / n as f64)?;
            let each = each.reshape((images, channels, 1, 1))?;
            Ok(each.broadcast_as(step.inputs[0].shape())?)
        };
        let of_weight = || -> Result<Tensor> {
            let means = (step.inputs[0].flatten_from(2)?.sum(2)? / n as f64)?;
            Ok(means.broadcast_mul(&gradient)?.sum_keepdim(0)?)
        };
        let of_bias = || -> Result<Tensor> { Ok(gradient.sum(0)?) };
        Ok(vec![
            step.wanted[0].then(of_input).transpose()?,
            step.wanted[1].then(of_weight).transpose()?,
            step.wanted[2].then(of_bias).transpose()?,
        ])
    }
}

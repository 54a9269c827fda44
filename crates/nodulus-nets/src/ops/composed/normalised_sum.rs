//! Sum of batch-normalised and plain tensors, optionally rectified.

use super::{by_channel, channel_sums, plus};
use crate::error::Result;
use crate::operator::Composed;
use crate::operator::Step;
use crate::ops::normalised_sum::{
    ChannelStatistics, EPSILON, NormalisedSum, Term, recorded_statistics,
};
use candle_core::Tensor;

impl Composed for NormalisedSum {
    fn compose(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let [images, _, n] = self.shape(inputs)?;
        let mut sum = None;
        let mut rest = inputs;
        for term in &self.terms {
            let (own, others) = rest.split_at(term.inputs());
            rest = others;
            let addend = match term {
                Term::Plain => own[0].clone(),
                Term::Batch(found) => {
                    let statistics = statistics(own[0], images * n)?;
                    let addend = normalised(&statistics, own)?;
                    found.replace(Some(statistics));
                    addend
                }
                Term::Fixed(statistics) => normalised(statistics, own)?,
            };
            sum = Some(plus(sum, addend)?);
        }
        let sum = sum.unwrap_or(inputs[0].zeros_like()?);
        Ok(if self.rectified { sum.relu()? } else { sum })
    }

    fn compose_back(&self, step: &Step) -> Result<Vec<Option<Tensor>>> {
        self.shape(step.inputs)?;
        let mut gradient = step.gradient.tensor().clone();
        if self.rectified {
            // The output is not negative: its sign is the rectifier's slope, 0 at 0.
            gradient = (gradient * step.output.sign()?)?;
        }
        let mut found = Vec::with_capacity(step.inputs.len());
        for term in &self.terms {
            let first = found.len();
            let inputs = &step.inputs[first..first + term.inputs()];
            let wanted = &step.wanted[first..first + term.inputs()];
            match term {
                Term::Plain => found.push(wanted[0].then(|| gradient.clone())),
                Term::Batch(statistics) => {
                    found.extend(gradients(
                        &recorded_statistics(statistics)?,
                        true,
                        inputs,
                        wanted,
                        &gradient,
                    )?);
                }
                Term::Fixed(statistics) => {
                    found.extend(gradients(statistics, false, inputs, wanted, &gradient)?);
                }
            }
        }
        Ok(found)
    }
}

fn statistics(x: &Tensor, count: usize) -> Result<ChannelStatistics> {
    let mean = (channel_sums(x)? / count as f64)?;
    let squares = x.broadcast_sub(&by_channel(&mean)?)?.sqr()?;
    Ok(ChannelStatistics { mean, variance: (channel_sums(&squares)? / count as f64)?, count })
}

fn inverse_deviation(statistics: &ChannelStatistics) -> Result<Tensor> {
    Ok((&statistics.variance + EPSILON)?.sqrt()?.recip()?)
}

/// A tensor normalised, scaled and shifted.
fn normalised(statistics: &ChannelStatistics, inputs: &[&Tensor]) -> Result<Tensor> {
    let scale = (inverse_deviation(statistics)? * inputs[1])?;
    let centred = inputs[0].broadcast_sub(&by_channel(&statistics.mean)?)?;
    Ok(centred.broadcast_mul(&by_channel(&scale)?)?.broadcast_add(&by_channel(inputs[2])?)?)
}

/// Gradients with respect to the tensor, its scale and its shift.
fn gradients(
    statistics: &ChannelStatistics,
    of_batch: bool,
    inputs: &[&Tensor],
    wanted: &[bool],
    gradient: &Tensor,
) -> Result<[Option<Tensor>; 3]> {
    let inverse = inverse_deviation(statistics)?;
    let unit = inputs[0]
        .broadcast_sub(&by_channel(&statistics.mean)?)?
        .broadcast_mul(&by_channel(&inverse)?)?;
    // With respect to the shift, and to the scale.
    let [of_shift, of_scale] = [channel_sums(gradient)?, channel_sums(&(gradient * &unit)?)?];
    let of_input = || -> Result<Tensor> {
        let mut of_unit = gradient.clone();
        if of_batch {
            let mean = |sum: &Tensor| by_channel(&(sum / statistics.count as f64)?);
            of_unit = of_unit
                .broadcast_sub(&mean(&of_shift)?)?
                .sub(&unit.broadcast_mul(&mean(&of_scale)?)?)?;
        }
        Ok(of_unit.broadcast_mul(&by_channel(&(inverse * inputs[1])?)?)?)
    };
    let of_input = wanted[0].then(of_input).transpose()?;
    Ok([of_input, wanted[1].then_some(of_scale), wanted[2].then_some(of_shift)])
}

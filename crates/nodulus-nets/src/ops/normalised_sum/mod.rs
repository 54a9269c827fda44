//! Sum of batch-normalised and plain tensors, optionally rectified: batch norm and `ReLU`, the end
//! of a residual unit, and the sum of a pyramid's branches, each in one pass over memory.

mod backward;
mod channel_statistics;

use super::tasks::planes_per_task;
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use crate::vector;
use backward::NormBackward;
use candle_core::Tensor;
pub(super) use channel_statistics::EPSILON;
use channel_statistics::statistics;
pub(crate) use channel_statistics::{
    ChannelAffine, ChannelStatistics, StatisticsSlot, affine, recorded_statistics,
};
use rayon::prelude::*;

/// An addend.
pub(crate) enum Term {
    /// The tensor itself; one input.
    Plain,
    /// Normalised by the batch's own statistics, which are recorded in the slot; three inputs: the
    /// tensor, and scale and shift of each channel.
    Batch(StatisticsSlot),
    /// Normalised by these statistics; three inputs, as above.
    Fixed(ChannelStatistics),
}

impl Term {
    pub(super) fn inputs(&self) -> usize {
        match self {
            Self::Plain => 1,
            Self::Batch(_) | Self::Fixed(_) => 3,
        }
    }
}

/// `sum of terms`, or `max(0, sum of terms)`.
pub(crate) struct NormalisedSum {
    /// The addends.
    pub(crate) terms: Vec<Term>,
    /// Whether negative sums become 0.
    pub(crate) rectified: bool,
}

impl Operator for NormalisedSum {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let shape = self.shape(inputs)?;
        let [_, channels, n] = shape;
        let mut addends = Vec::new();
        let mut rest = inputs;
        for term in &self.terms {
            let (own, others) = rest.split_at(term.inputs());
            rest = others;
            let x = view(own[0])?;
            let affine: Vec<ChannelAffine> = match term {
                Term::Plain => vec![(1.0, 0.0); channels],
                Term::Batch(found) => {
                    let statistics = statistics(&x, shape)?;
                    let affine = affine(&statistics, &view(own[1])?, &view(own[2])?)?;
                    found.replace(Some(statistics));
                    affine
                }
                Term::Fixed(statistics) => affine(statistics, &view(own[1])?, &view(own[2])?)?,
            };
            addends.push((x, affine));
        }
        let addends: Vec<(&[f32], &[ChannelAffine])> =
            addends.iter().map(|(x, affine)| (&**x, affine.as_slice())).collect();
        let rectified = self.rectified;
        let mut y = buffer::take(inputs[0].elem_count());
        y.par_chunks_mut(n).with_min_len(planes_per_task(n)).enumerate().for_each(|(plane, y)| {
            // Blocks that stay in the fastest cache from term to term.
            for (block, y) in y.chunks_mut(2048).enumerate() {
                let start = plane * n + block * 2048;
                for (t, (x, affine)) in addends.iter().enumerate() {
                    let (scale, shift) = affine[plane % channels];
                    if t == 0 {
                        vector::affine(y, &x[start..], scale, shift);
                    } else {
                        vector::add_affine(y, &x[start..], scale, shift);
                    }
                }
                if rectified {
                    vector::rectify(y);
                }
            }
        });
        tensor(y, inputs[0].dims())
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let shape = self.shape(step.inputs)?;
        let mut gradient = step.gradient.clone();
        // With a single term, its input determines where the output is positive.
        let gated_by_input =
            self.rectified && matches!(self.terms.as_slice(), [Term::Batch(_) | Term::Fixed(_)]);
        if self.rectified && !gated_by_input {
            let gated = gated(&view(gradient.tensor())?, &view(step.output)?);
            gradient = Gradient::new(tensor(gated, step.output.dims())?);
        }
        let g = view(gradient.tensor())?;
        let mut found = Vec::with_capacity(step.inputs.len());
        for term in &self.terms {
            let first = found.len();
            let inputs = &step.inputs[first..first + term.inputs()];
            let wanted = &step.wanted[first..first + term.inputs()];
            let saved;
            let (statistics, of_batch) = match term {
                Term::Plain => {
                    found.push(wanted[0].then(|| gradient.clone()));
                    continue;
                }
                Term::Batch(statistics) => {
                    saved = recorded_statistics(statistics)?;
                    (&saved, true)
                }
                Term::Fixed(statistics) => (statistics, false),
            };
            let [mean, variance] = [view(&statistics.mean)?, view(&statistics.variance)?];
            let gated = gated_by_input;
            let back =
                NormBackward { g: &g, gated, shape, mean: &mean, variance: &variance, of_batch };
            let affine = affine(statistics, &view(inputs[1])?, &view(inputs[2])?)?;
            found.extend(back.run(inputs, wanted, &affine)?);
        }
        Ok(found)
    }
}

impl NormalisedSum {
    /// Images, channels and pixels, after a check that the inputs fit.
    pub(super) fn shape(&self, inputs: &[&Tensor]) -> Result<[usize; 3]> {
        let wrong = || Error::Shape {
            operator: "normalised sum",
            problem: format!(
                "terms do not fit each other: {:?}",
                inputs.iter().map(|input| input.dims()).collect::<Vec<_>>()
            ),
        };
        let [images, channels, height, width] = *inputs.first().ok_or_else(wrong)?.dims() else {
            return Err(wrong());
        };
        let mut rest = inputs.iter();
        for term in &self.terms {
            if rest.next().is_none_or(|x| x.dims() != [images, channels, height, width]) {
                return Err(wrong());
            }
            for _ in 1..term.inputs() {
                if rest.next().is_none_or(|p| p.dims() != [channels]) {
                    return Err(wrong());
                }
            }
            if let Term::Fixed(statistics) = term
                && [statistics.mean.dims(), statistics.variance.dims()] != [[channels]; 2]
            {
                return Err(wrong());
            }
        }
        if rest.next().is_some() || images * height * width == 0 {
            return Err(wrong());
        }
        Ok([images, channels, height * width])
    }
}

/// The gradient where the output is positive, 0 elsewhere: the rectifier's slope at 0 is 0.
fn gated(gradient: &[f32], y: &[f32]) -> Vec<f32> {
    let mut gated = buffer::take(gradient.len());
    let chunks = gated.par_chunks_mut(1 << 14).zip(gradient.par_chunks(1 << 14));
    chunks.zip(y.par_chunks(1 << 14)).for_each(|((to, g), y)| {
        vector::gated(to, g, y);
    });
    gated
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    fn batch() -> Term {
        Term::Batch(StatisticsSlot::default())
    }

    fn fixed() -> Term {
        Term::Fixed(ChannelStatistics {
            mean: tensor(vec![0.2, -0.3, 0.1], 3).unwrap(),
            variance: tensor(vec![0.5, 2.0, 0.1], 3).unwrap(),
            count: 0,
        })
    }

    fn inputs(seed: u64) -> [Tensor; 3] {
        [random(&[2, 3, 4, 5], seed), random(&[3], seed + 1), random(&[3], seed + 2)]
    }

    #[test]
    fn a_batch_comes_out_with_the_scale_and_shift_asked_for() {
        let x = tensor(vec![1.0, 3.0, 1005.0, 1007.0, 5.0, 7.0, 1001.0, 1003.0], (2, 2, 1, 2));
        let scale = tensor(vec![1.0, 2.0], 2).unwrap();
        let shift = tensor(vec![0.0, 10.0], 2).unwrap();
        let found = StatisticsSlot::default();
        let operator = NormalisedSum { terms: vec![Term::Batch(found.clone())], rectified: false };
        let y = output(&operator, &[x.unwrap(), scale, shift]);
        // 1 3 5 7: mean 4, variance 5.
        let unit = 1.0 / 5.000_01f32.sqrt();
        let expected = [-3.0, -1.0, 1.0, 3.0, 1.0, 3.0, -3.0, -1.0].map(|v: f32| v * unit);
        for (i, (y, e)) in y.iter().zip(expected).enumerate() {
            let e = if i / 2 % 2 == 1 { 2.0 * e + 10.0 } else { e };
            assert!((y - e).abs() < 1e-4, "{y} {e}");
        }
        let statistics = recorded_statistics(&found).unwrap();
        assert_eq!(view(&statistics.mean).unwrap()[..], [4.0, 1004.0]);
        assert_eq!(view(&statistics.variance).unwrap()[..], [5.0, 5.0]);
        assert_eq!(statistics.count, 4);
    }

    #[test]
    fn given_statistics_are_used_as_they_are() {
        let [x, scale, shift] = inputs(4);
        let operator = NormalisedSum { terms: vec![fixed()], rectified: true };
        let y = output(&operator, &[x.clone(), scale.clone(), shift.clone()]);
        let (x, scale, shift) = (view(&x).unwrap(), view(&scale).unwrap(), view(&shift).unwrap());
        let expected = (x[25] + 0.3) / 2.000_01f32.sqrt() * scale[1] + shift[1];
        assert!((y[25] - expected.max(0.0)).abs() < 1e-6);
        assert!(y.iter().all(|y| *y >= 0.0) && y.contains(&0.0));
    }

    #[test]
    fn gradients_are_difference_quotients() {
        let [a, b, c] = inputs(1);
        let [d, e, f] = inputs(7);
        let plain = random(&[2, 3, 4, 5], 20);
        let make = |terms: fn() -> Vec<Term>, rectified| {
            move || Box::new(NormalisedSum { terms: terms(), rectified }) as Box<dyn Operator>
        };
        let one = [a.clone(), b.clone(), c.clone()];
        assert_gradients(make(|| vec![batch()], false), &one, 2e-2, 5e-3);
        assert_gradients(make(|| vec![fixed()], false), &one, 2e-2, 1e-4);
        let all = [a, b, c, plain.clone(), d, e, f];
        assert_gradients(make(|| vec![batch(), Term::Plain, fixed()], false), &all, 2e-2, 5e-3);
        let two = [plain.clone(), random(&[2, 3, 4, 5], 31)];
        assert_gradients(make(|| vec![Term::Plain, Term::Plain], false), &two, 0.1, 1e-5);
        // Steps so small that hardly any sum crosses 0.
        assert_gradients(make(|| vec![batch()], true), &one, 2e-4, 2e-2);
        assert_gradients(make(|| vec![batch(), Term::Plain, fixed()], true), &all, 2e-4, 2e-2);
    }

    #[test]
    fn the_rectifier_has_no_slope_at_zero() {
        let zero = tensor(vec![0.0, 1.0], (1, 1, 1, 2)).unwrap();
        let operator = NormalisedSum { terms: vec![Term::Plain], rectified: true };
        let y = operator.forward(&[&zero]).unwrap();
        let gradient = Gradient::new(y.ones_like().unwrap());
        let step = Step { inputs: &[&zero], output: &y, gradient: &gradient, wanted: &[true] };
        let found = operator.backward(&step).unwrap().remove(0).unwrap();
        assert_eq!(view(found.tensor()).unwrap()[..], [0.0, 1.0]);
    }
}

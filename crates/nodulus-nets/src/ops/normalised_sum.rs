//! Sum of batch-normalised and plain tensors, optionally rectified: batch norm and `ReLU`, the end
//! of a residual unit, and the sum of a pyramid's branches, each in one pass over memory.

use super::tasks::planes_per_task;
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use crate::vector::{self, ReluGate};
use candle_core::Tensor;
use rayon::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// Added to variances before the square root: `PyTorch`'s default.
pub(super) const EPSILON: f64 = 1e-5;

/// Mean and variance (of the population, not the sample) of each channel.
#[derive(Clone, Debug)]
pub(crate) struct ChannelStatistics {
    /// Means, `[C]`.
    pub(crate) mean: Tensor,
    /// Variances, `[C]`.
    pub(crate) variance: Tensor,
    /// Number of values averaged over; 0 for running statistics.
    pub(crate) count: usize,
}

/// Slot in which a forward pass records a batch's statistics.
pub(crate) type StatisticsSlot = Rc<RefCell<Option<ChannelStatistics>>>;

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

/// Scale and shift of a channel: `scale * x + shift`.
pub(crate) type ChannelAffine = (f32, f32);

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

fn inverse_deviation(variance: f32) -> f64 {
    1.0 / (f64::from(variance) + EPSILON).sqrt()
}

/// Scale and shift of each channel that normalise by these statistics, then scale and shift.
pub(crate) fn affine(
    statistics: &ChannelStatistics,
    scale: &[f32],
    shift: &[f32],
) -> Result<Vec<ChannelAffine>> {
    let (mean, variance) = (view(&statistics.mean)?, view(&statistics.variance)?);
    let moments = mean.iter().zip(&*variance);
    let affine = moments.zip(scale.iter().zip(shift)).map(|((mean, variance), (scale, shift))| {
        let scale = f64::from(*scale) * inverse_deviation(*variance);
        (scale as f32, (f64::from(*shift) - f64::from(*mean) * scale) as f32)
    });
    Ok(affine.collect())
}

/// The statistics that a forward pass recorded.
pub(crate) fn recorded_statistics(found: &StatisticsSlot) -> Result<ChannelStatistics> {
    found.borrow().clone().ok_or_else(|| Error::Shape {
        operator: "normalised sum",
        problem: "no statistics: backward without forward".to_owned(),
    })
}

/// Sums by channel, over images, of the pairs that `f` computes for each plane.
fn channel_pairs(
    [images, channels, n]: [usize; 3],
    f: impl Fn(usize, std::ops::Range<usize>) -> (f32, f32) + Sync,
) -> Vec<(f64, f64)> {
    let planes: Vec<(f32, f32)> = (0..images * channels)
        .into_par_iter()
        .with_min_len(planes_per_task(n))
        .map(|plane| f(plane % channels, plane * n..(plane + 1) * n))
        .collect();
    (0..channels)
        .map(|c| {
            let of_channel = planes.iter().skip(c).step_by(channels);
            of_channel.fold((0.0, 0.0), |sum, plane| {
                (sum.0 + f64::from(plane.0), sum.1 + f64::from(plane.1))
            })
        })
        .collect()
}

fn statistics(x: &[f32], shape: [usize; 3]) -> Result<ChannelStatistics> {
    let [images, channels, n] = shape;
    // Differences from one of the channel's own values keep all digits where the mean is large
    // compared with the deviation.
    let pivot = |c: usize| x[c * n];
    let sums = channel_pairs(shape, |c, plane| vector::moments(&x[plane], pivot(c)));
    let count = images * n;
    let (mut mean, mut variance) = (Vec::new(), Vec::new());
    for (c, (sum, squares)) in sums.into_iter().enumerate().take(channels) {
        let shifted = sum / count as f64;
        mean.push((f64::from(pivot(c)) + shifted) as f32);
        variance.push((squares / count as f64 - shifted * shifted).max(0.0) as f32);
    }
    Ok(ChannelStatistics {
        mean: tensor(mean, channels)?,
        variance: tensor(variance, channels)?,
        count,
    })
}

/// The backward pass of one normalised term.
struct NormBackward<'a> {
    g: &'a [f32],
    /// Whether the gradient counts only where the normalised input is positive.
    gated: bool,
    shape: [usize; 3],
    mean: &'a [f32],
    variance: &'a [f32],
    of_batch: bool,
}

impl NormBackward<'_> {
    fn run(
        &self,
        inputs: &[&Tensor],
        wanted: &[bool],
        affine: &[ChannelAffine],
    ) -> Result<[Option<Gradient>; 3]> {
        let (x, scale) = (view(inputs[0])?, view(inputs[1])?);
        let [images, channels, n] = self.shape;
        let gates: Vec<Option<ReluGate>> = affine
            .iter()
            .map(|&(scale, shift)| self.gated.then_some(ReluGate { scale, shift }))
            .collect();
        let sums = if self.of_batch && wanted[0] || wanted[1] || wanted[2] {
            self.sums(&x, &gates)
        } else {
            vec![(0.0, 0.0); channels]
        };
        let mut found = [None, None, None];
        if wanted[1] {
            let values = sums.iter().zip(self.variance);
            let values = values.map(|((_, q), v)| (q * inverse_deviation(*v)) as f32).collect();
            found[1] = Some(Gradient::new(tensor(values, channels)?));
        }
        if wanted[2] {
            let values = sums.iter().map(|(s, _)| *s as f32).collect();
            found[2] = Some(Gradient::new(tensor(values, channels)?));
        }
        if wanted[0] {
            let count = if self.of_batch { (images * n) as f64 } else { f64::INFINITY };
            let factors: Vec<[f32; 3]> = (0..channels)
                .map(|c| {
                    let inverse = inverse_deviation(self.variance[c]);
                    let of_g = f64::from(scale[c]) * inverse;
                    let of_x = -of_g * inverse * inverse * sums[c].1 / count;
                    let mean = f64::from(self.mean[c]);
                    let constant = -of_g * sums[c].0 / count - of_x * mean;
                    [of_g as f32, of_x as f32, constant as f32]
                })
                .collect();
            let values = self.input_gradient(&x, &gates, &factors);
            found[0] = Some(Gradient::new(tensor(values, inputs[0].dims())?));
        }
        Ok(found)
    }

    /// Sums of `g` and of `g * (x - mean)` for each channel.
    fn sums(&self, x: &[f32], gates: &[Option<ReluGate>]) -> Vec<(f64, f64)> {
        channel_pairs(self.shape, |c, plane| {
            let mean = self.mean[c];
            vector::weighted_sums(&self.g[plane.clone()], &x[plane], gates[c], mean)
        })
    }

    fn input_gradient(
        &self,
        x: &[f32],
        gates: &[Option<ReluGate>],
        factors: &[[f32; 3]],
    ) -> Vec<f32> {
        let [_, channels, n] = self.shape;
        let mut found = buffer::take(x.len());
        let planes = found.par_chunks_mut(n).with_min_len(planes_per_task(n)).enumerate();
        planes.for_each(|(plane, found)| {
            let at = plane * n..(plane + 1) * n;
            let (g, x, c) = (&self.g[at.clone()], &x[at], plane % channels);
            vector::combine(found, g, x, gates[c], factors[c]);
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, output, random};
    use super::*;

    fn batch() -> Term {
        Term::Batch(Rc::default())
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

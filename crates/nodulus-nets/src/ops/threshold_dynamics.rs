//! Soft threshold dynamics with the classifier's nodule probability as a prior.

use super::sigmoid::{sigmoid, softplus};
use crate::buffer;
use crate::error::{Error, Result};
use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use crate::vector::vectorised;
use candle_core::Tensor;
use rayon::prelude::*;

/// Minimises, over `x` in 0..1,
/// `-<x,u> + e(<x,ln x> + <1-x,ln(1-x)>) + l1 <x, k*(1-x)> + l2 (1-c) <x,1>`
/// by `x = sigmoid(u)`, then `steps` times
/// `v = (u - l1 k*(1 - 2x) - l2 (1-c)) / e, x = sigmoid(v)`; returns the last `v`.
///
/// Inputs: `u` `[B, 1, H, W]`, sigma `[1]`, l1 `[1]` where it is learnt, and l2 `[1]` with a prior, all before
/// softplus. Output: `v`, as `u`.
// METHOD: energy and iteration of arXiv 2410.20154. Kernel `k`: Gaussian of deviation sigma, cut off
// at `radius` and normalised; the border is replicated, so that a constant image has no boundary.
// Only u / e, l1 / e and l2 / e enter the iteration. Thus e cannot be told from the scale of u, which the network's last layer
// learns, and of l2: it is fixed, and to learn l1 is to learn the ratio l1 / e. Only the first x, `sigmoid(u)`, tells e apart,
// and the iteration forgets it.
pub(crate) struct ThresholdDynamics {
    /// Nodule probability `c` of each image, `[B]`, which has no gradient; without it, l2 is 0.
    pub(crate) nodule_probability: Option<Tensor>,
    /// Iterations.
    pub(crate) steps: usize,
    /// Pixels of the kernel on each side of its centre.
    pub(crate) radius: usize,
    /// Weight of the boundary length, l1; `None` where it is learnt, and an input.
    pub(crate) boundary: Option<f32>,
    /// Weight of the entropy, e.
    pub(crate) entropy: f32,
}

/// The iteration for the images of one batch.
struct HostDynamics<'a> {
    operator: &'a ThresholdDynamics,
    /// `1 - c` of each image; empty without a prior.
    doubt: Vec<f32>,
    height: usize,
    width: usize,
    kernel: Vec<f32>,
    /// The kernel's derivative with respect to sigma.
    slope: Vec<f32>,
    l1: f32,
    l2: f32,
}

/// Gradients of one image with respect to the parameters.
#[derive(Default)]
struct ParameterGradients {
    sigma: f64,
    /// 0 where it is not learnt.
    l1: f64,
    l2: f64,
}

impl Operator for ThresholdDynamics {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let dynamics = self.dynamics(inputs)?;
        let u = view(inputs[0])?;
        let n = dynamics.height * dynamics.width;
        let mut v = buffer::take(u.len());
        v.par_chunks_mut(n).zip(u.par_chunks(n)).enumerate().for_each(|(image, (v, u))| {
            vectorised(
                #[inline(always)]
                || dynamics.run(u, dynamics.prior(image), v, |_| {}),
            );
        });
        tensor(v, inputs[0].dims())
    }

    fn backward(&self, step: &Step) -> Result<Vec<Option<Gradient>>> {
        let dynamics = self.dynamics(step.inputs)?;
        let (u, gradient) = (view(step.inputs[0])?, view(step.gradient.tensor())?);
        let n = dynamics.height * dynamics.width;
        let mut of_u = buffer::take(u.len());
        let parts: Vec<ParameterGradients> = of_u
            .par_chunks_mut(n)
            .zip(u.par_chunks(n).zip(gradient.par_chunks(n)))
            .enumerate()
            .map(|(image, (of_u, (u, gradient)))| {
                vectorised(
                    #[inline(always)]
                    || dynamics.back(image, u, gradient, of_u),
                )
            })
            .collect();
        let slope = |i: usize, sum: f64| -> Result<Option<Gradient>> {
            let raw = view(step.inputs[i])?[0];
            // The derivative of softplus is the logistic function.
            let value = sum * f64::from(sigmoid(raw));
            Ok(Some(Gradient::new(tensor(vec![value as f32], 1)?)))
        };
        let mut found = vec![
            Some(Gradient::new(tensor(of_u, step.inputs[0].dims())?)),
            slope(1, parts.iter().map(|part| part.sigma).sum())?,
        ];
        if self.boundary.is_none() {
            found.push(slope(2, parts.iter().map(|part| part.l1).sum())?);
        }
        if self.nodule_probability.is_some() {
            found.push(slope(found.len(), parts.iter().map(|part| part.l2).sum())?);
        }
        Ok(found)
    }
}

impl ThresholdDynamics {
    fn dynamics(&self, inputs: &[&Tensor]) -> Result<HostDynamics<'_>> {
        let [height, width] = self.size(inputs)?;
        let sigma = softplus(f64::from(view(inputs[1])?[0]));
        let (kernel, slope) = gaussian(sigma, self.radius);
        let weight = |raw: Option<&Tensor>| -> Result<Option<f32>> {
            raw.map(|raw| Ok(softplus(f64::from(view(raw)?[0])) as f32)).transpose()
        };
        let [l1, l2] = self.weights(inputs).map(weight);
        let l1 = self.boundary.or(l1?).unwrap_or_default();
        let l2 = l2?.unwrap_or_default();
        let doubt = match &self.nodule_probability {
            Some(nodule_probability) => view(nodule_probability)?.iter().map(|c| 1.0 - c).collect(),
            None => Vec::new(),
        };
        Ok(HostDynamics { operator: self, doubt, height, width, kernel, slope, l1, l2 })
    }

    /// Of the inputs, l1 and l2, before softplus; `None` for one that is no input.
    pub(super) fn weights<'a>(&self, inputs: &[&'a Tensor]) -> [Option<&'a Tensor>; 2] {
        let is_learnt = self.boundary.is_none();
        let l1 = inputs.get(2).filter(|_| is_learnt);
        [l1, inputs.get(if is_learnt { 3 } else { 2 })].map(Option::<&&Tensor>::copied)
    }

    /// Rows and columns, after a check that the inputs fit.
    pub(super) fn size(&self, inputs: &[&Tensor]) -> Result<[usize; 2]> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.dims()).collect();
        let probabilities = self.nodule_probability.as_ref().map(Tensor::dims);
        let n_parameters =
            1 + usize::from(self.boundary.is_none()) + usize::from(probabilities.is_some());
        let size = match *shapes.as_slice() {
            [&[images, 1, height, width], ref parameters @ ..]
                if parameters.len() == n_parameters
                    && parameters.iter().all(|shape| **shape == [1])
                    && probabilities.is_none_or(|shape| *shape == [images]) =>
            {
                Some([height, width])
            }
            _ => None,
        };
        size.filter(|size| size.iter().all(|n| *n > 0)).ok_or_else(|| Error::Shape {
            operator: "threshold dynamics",
            problem: format!("inputs {shapes:?}, nodule probabilities {probabilities:?}"),
        })
    }
}

/// A normalised Gaussian and its derivative with respect to its deviation.
fn gaussian(sigma: f64, radius: usize) -> (Vec<f32>, Vec<f32>) {
    let squares: Vec<f64> = (0..=2 * radius).map(|i| (i as f64 - radius as f64).powi(2)).collect();
    let powers = squares.iter().map(|square| (-square / (2.0 * sigma * sigma)).exp());
    let sum: f64 = powers.clone().sum();
    let kernel: Vec<f64> = powers.map(|power| power / sum).collect();
    let mean: f64 = kernel.iter().zip(&squares).map(|(k, square)| k * square).sum();
    let slope = kernel.iter().zip(&squares).map(|(k, square)| k * (square - mean) / sigma.powi(3));
    (kernel.iter().map(|k| *k as f32).collect(), slope.map(|s| s as f32).collect())
}

impl HostDynamics<'_> {
    /// `l2 (1 - c)`.
    fn prior(&self, image: usize) -> f32 {
        self.doubt.get(image).map_or(0.0, |doubt| self.l2 * doubt)
    }

    /// Iterates; `seen` receives the `x` at the start of each step.
    #[inline(always)]
    fn run(&self, u: &[f32], prior: f32, v: &mut [f32], mut seen: impl FnMut(&[f32])) {
        let ThresholdDynamics { steps, entropy, .. } = *self.operator;
        let (n, boundary) = (u.len(), self.l1);
        let mut x: Vec<f32> = u.iter().map(|u| sigmoid(*u)).collect();
        let (mut difference, mut across, mut smooth) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        v.copy_from_slice(u);
        for _ in 0..steps {
            seen(&x);
            difference.iter_mut().zip(&x).for_each(|(d, x)| *d = 1.0 - 2.0 * x);
            self.along_rows(&self.kernel, &difference, &mut across);
            self.along_columns(&self.kernel, &across, &mut smooth);
            for (((v, x), u), smooth) in v.iter_mut().zip(&mut x).zip(u).zip(&smooth) {
                *v = (u - boundary * smooth - prior) / entropy;
                *x = sigmoid(*v);
            }
        }
    }

    #[inline(always)]
    fn back(
        &self,
        image: usize,
        u: &[f32],
        gradient: &[f32],
        of_u: &mut [f32],
    ) -> ParameterGradients {
        let entropy = self.operator.entropy;
        let (n, boundary) = (u.len(), self.l1);
        let mut states: Vec<Vec<f32>> = Vec::with_capacity(self.operator.steps);
        // `of_u` serves as memory for `v`, which is not needed.
        self.run(u, self.prior(image), of_u, |x| states.push(x.to_vec()));
        of_u.fill(0.0);
        let mut of_v = gradient.to_vec();
        let (mut difference, mut a, mut b) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let mut parts = ParameterGradients::default();
        let weight = self.doubt.get(image).copied().unwrap_or(0.0);
        while let Some(x) = states.pop() {
            // From v = (u - boundary k*difference - prior) / entropy:
            for (of_u, of_v) in of_u.iter_mut().zip(&mut of_v) {
                *of_v /= entropy;
                *of_u += *of_v;
            }
            parts.l2 -= f64::from(weight) * of_v.iter().map(|g| f64::from(*g)).sum::<f64>();
            difference.iter_mut().zip(&x).for_each(|(d, x)| *d = 1.0 - 2.0 * x);
            self.along_rows(&self.kernel, &difference, &mut a);
            if self.operator.boundary.is_none() {
                self.along_columns(&self.kernel, &a, &mut b);
                parts.l1 -= dot(&of_v, &b);
            }
            for of_v in &mut of_v {
                *of_v *= -boundary;
            }
            // of_v is now the gradient of k*difference. k smooths along rows, then along columns,
            // so its derivative is a sum of two.
            self.along_columns(&self.slope, &a, &mut b);
            parts.sigma += dot(&of_v, &b);
            self.along_columns_transposed(&self.kernel, &of_v, &mut a);
            self.along_rows(&self.slope, &difference, &mut b);
            parts.sigma += dot(&a, &b);
            self.along_rows_transposed(&self.kernel, &a, &mut b);
            for ((of_v, of_difference), x) in of_v.iter_mut().zip(&b).zip(&x) {
                *of_v = -2.0 * of_difference * x * (1.0 - x);
            }
        }
        of_u.iter_mut().zip(&of_v).for_each(|(of_u, of_v)| *of_u += of_v);
        parts
    }

    #[inline(always)]
    fn along_rows(&self, kernel: &[f32], from: &[f32], to: &mut [f32]) {
        let (width, radius) = (self.width, kernel.len() / 2);
        let mut padded = vec![0.0; width + 2 * radius];
        for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
            padded[..radius].fill(from[0]);
            padded[radius..radius + width].copy_from_slice(from);
            padded[radius + width..].fill(from[width - 1]);
            weighted(kernel, |k| &padded[k..k + width], to);
        }
    }

    #[inline(always)]
    fn along_columns(&self, kernel: &[f32], from: &[f32], to: &mut [f32]) {
        let (width, radius) = (self.width, kernel.len() / 2);
        for (row, to) in to.chunks_exact_mut(width).enumerate() {
            let line = |k: usize| {
                let at = (row + k).saturating_sub(radius).min(self.height - 1) * width;
                &from[at..at + width]
            };
            weighted(kernel, line, to);
        }
    }

    /// The transpose of [`Self::along_rows`], for a symmetric kernel.
    #[inline(always)]
    fn along_rows_transposed(&self, kernel: &[f32], from: &[f32], to: &mut [f32]) {
        let (width, radius) = (self.width, kernel.len() / 2);
        let mut padded = vec![0.0; width + 4 * radius];
        let mut wide = vec![0.0; width + 2 * radius];
        for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
            padded[2 * radius..2 * radius + width].copy_from_slice(from);
            weighted(kernel, |k| &padded[k..k + width + 2 * radius], &mut wide);
            to.copy_from_slice(&wide[radius..radius + width]);
            to[0] += wide[..radius].iter().sum::<f32>();
            to[width - 1] += wide[radius + width..].iter().sum::<f32>();
        }
    }

    /// The transpose of [`Self::along_columns`], for a symmetric kernel.
    #[inline(always)]
    fn along_columns_transposed(&self, kernel: &[f32], from: &[f32], to: &mut [f32]) {
        let (width, radius) = (self.width, kernel.len() / 2);
        let zeros = vec![0.0; width];
        let mut line = vec![0.0; width];
        to.fill(0.0);
        for row in 0..self.height + 2 * radius {
            let source = |k: usize| match (row + k).checked_sub(2 * radius) {
                Some(at) if at < self.height => &from[at * width..(at + 1) * width],
                _ => &zeros[..],
            };
            weighted(kernel, source, &mut line);
            let at = row.saturating_sub(radius).min(self.height - 1) * width;
            to[at..at + width].iter_mut().zip(&line).for_each(|(to, line)| *to += line);
        }
    }
}

/// `to = sum of weight[k] * line(k)`.
#[inline(always)]
fn weighted<'a>(weights: &[f32], line: impl Fn(usize) -> &'a [f32], to: &mut [f32]) {
    to.fill(0.0);
    // Four lines at a time: the sums are read and written a quarter as often.
    let mut k = 0;
    while k + 4 <= weights.len() {
        let [a, b, c, d] = [line(k), line(k + 1), line(k + 2), line(k + 3)];
        let [p, q, r, s] = [weights[k], weights[k + 1], weights[k + 2], weights[k + 3]];
        for ((((to, a), b), c), d) in to.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *to += p * a + q * b + r * c + s * d;
        }
        k += 4;
    }
    for (k, weight) in weights.iter().enumerate().skip(k) {
        to.iter_mut().zip(line(k)).for_each(|(to, from)| *to += weight * from);
    }
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let chunk = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    a.chunks(128).zip(b.chunks(128)).map(|pair| f64::from(chunk(pair))).sum()
}

#[cfg(test)]
#[path = "threshold_dynamics_tests.rs"]
mod tests;

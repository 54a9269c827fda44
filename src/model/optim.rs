//! Adam.

use super::error::Result;
use super::ops::view;
use super::parameters::Parameters;
use super::tape::Gradients;
use candle_core::{CpuStorage, InplaceOp1, Layout};
use rayon::prelude::*;
use std::cell::RefCell;

/// Values that one thread updates at a time.
const CHUNK: usize = 1 << 14;

/// Settings of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    /// Learning rate.
    pub(super) learning: f64,
    /// Weight of the parameters' squares.
    pub(super) decay: f64,
    /// Whether the decay acts on the parameters themselves (`AdamW`) instead of on the gradients.
    pub(super) decoupled: bool,
    /// What the gradients are scaled down to where their norm over all parameters is larger.
    pub(super) clip_norm: Option<f64>,
}

/// Moving means of a parameter's gradients.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Moments {
    /// Of the gradients.
    pub(super) first: Vec<f32>,
    /// Of their squares.
    pub(super) second: Vec<f32>,
    /// Steps that they are over.
    pub(super) steps: u64,
}

/// Adam (Kingma and Ba 2015), as `PyTorch` computes it.
#[derive(Default)]
pub(super) struct Adam {
    /// By parameter; empty until its first step.
    pub(super) moments: Vec<Moments>,
}

const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

impl Adam {
    /// An optimiser that has seen nothing.
    pub(super) fn new(parameters: usize) -> Self {
        Self { moments: vec![Moments::default(); parameters] }
    }

    /// Moves the parameters that there are gradients for.
    pub(super) fn step(
        &mut self,
        parameters: &Parameters,
        gradients: &Gradients,
        rates: Rates,
    ) -> Result<()> {
        let scale = match rates.clip_norm {
            // METHOD: one norm over all parameters, as `torch.nn.utils.clip_grad_norm_` takes it.
            Some(limit) => (limit / (norm(gradients)? + 1e-6)).min(1.0) as f32,
            None => 1.0,
        };
        for (index, gradient) in gradients.iter() {
            let gradient = view(gradient)?;
            let moments = &mut self.moments[index];
            if moments.steps == 0 {
                moments.first = vec![0.0; gradient.len()];
                moments.second = vec![0.0; gradient.len()];
            }
            moments.steps += 1;
            let moments = RefCell::new(moments);
            let update = Update { gradient: &gradient, scale, moments, rates };
            parameters.tensors[index].inplace_op1(&update)?;
        }
        Ok(())
    }
}

/// The Euclidean norm of all gradients together, the same for any number of threads.
fn norm(gradients: &Gradients) -> Result<f64> {
    let mut squares = Vec::new();
    for (index, gradient) in gradients.iter() {
        let chunks = view(gradient)?;
        let square = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        let sums: Vec<f64> = chunks.par_chunks(CHUNK).map(square).collect();
        squares.push((index, sums.iter().sum::<f64>()));
    }
    squares.sort_unstable_by_key(|(index, _)| *index);
    Ok(squares.iter().map(|(_, square)| square).sum::<f64>().sqrt())
}

struct Update<'a> {
    gradient: &'a [f32],
    scale: f32,
    moments: RefCell<&'a mut Moments>,
    rates: Rates,
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let mut moments = self.moments.borrow_mut();
        let Moments { first, second, steps } = &mut **moments;
        let n = self.gradient.len();
        let values = match storage {
            CpuStorage::F32(values) if layout.start_offset() == 0 && values.len() == n => values,
            _ => candle_core::bail!("parameter of other than {n} values of f32"),
        };
        if first.len() != n || second.len() != n {
            candle_core::bail!("moments of {} values for a parameter of {n}", first.len());
        }
        let Rates { learning, decay, decoupled, .. } = self.rates;
        let scale = self.scale;
        let [b1, b2] = BETAS.map(|beta| beta as f32);
        let steps = i32::try_from(*steps).unwrap_or(i32::MAX);
        let [c1, c2] = BETAS.map(|beta| 1.0 - beta.powi(steps));
        let (rate, root) = ((learning / c1) as f32, (1.0 / c2.sqrt()) as f32);
        let onto_gradient = if decoupled { 0.0 } else { decay as f32 };
        let kept = if decoupled { (1.0 - learning * decay) as f32 } else { 1.0 };
        let epsilon = EPSILON as f32;
        values
            .par_chunks_mut(CHUNK)
            .zip(self.gradient.par_chunks(CHUNK))
            .zip(first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)))
            .for_each(|((values, gradients), (first, second))| {
                let moments = first.iter_mut().zip(second);
                for ((p, g), (m, v)) in values.iter_mut().zip(gradients).zip(moments) {
                    let g = scale * g + onto_gradient * *p;
                    *m = b1 * *m + (1.0 - b1) * g;
                    *v = b2 * *v + (1.0 - b2) * g * g;
                    *p = kept * *p - rate * *m / (v.sqrt() * root + epsilon);
                }
            });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ops::tensor;
    use crate::model::parameters::{Scope, Start};
    use crate::model::tape::{Tape, Value};

    /// Three steps with gradient `2 p`.
    fn three_steps(rates: Rates) -> Vec<f32> {
        let mut specs = Vec::new();
        Scope::new(&mut specs).parameter("p", &[1], Start::Constant(1.0));
        let parameters = Parameters::draw(specs, 1).unwrap();
        let mut adam = Adam::new(1);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut tape = Tape::recording();
            let p: Value = tape.parameter(&parameters.tensors[0], Some(0));
            let value = view(p.tensor()).unwrap()[0];
            let gradients =
                tape.backward(vec![(p, tensor(vec![2.0 * value], 1).unwrap())]).unwrap();
            adam.step(&parameters, &gradients, rates).unwrap();
            seen.push(view(&parameters.tensors[0]).unwrap()[0]);
        }
        seen
    }

    #[test]
    fn steps_are_those_of_the_paper() {
        // The recursion in f64.
        let expected = |decay: f64, decoupled: bool| {
            let (mut p, mut m, mut v, mut seen) = (1.0f64, 0.0, 0.0, Vec::new());
            for t in 1..=3 {
                let mut g = 2.0 * p;
                if decoupled {
                    p -= 0.1 * decay * p;
                } else {
                    g += decay * p;
                }
                m = 0.9 * m + 0.1 * g;
                v = 0.999 * v + 0.001 * g * g;
                let (m, v): (f64, f64) = (m / (1.0 - 0.9f64.powi(t)), v / (1.0 - 0.999f64.powi(t)));
                p -= 0.1 * m / (v.sqrt() + 1e-8);
                seen.push(p);
            }
            seen
        };
        for (decay, decoupled) in [(0.0, false), (0.5, false), (0.5, true)] {
            let found = three_steps(Rates { learning: 0.1, decay, decoupled, clip_norm: None });
            for (f, e) in found.iter().zip(expected(decay, decoupled)) {
                assert!((f64::from(*f) - e).abs() < 1e-5, "{f} {e}");
            }
        }
        let rates = Rates { learning: 0.1, decay: 0.0, decoupled: false, clip_norm: None };
        assert!((three_steps(rates)[0] - 0.9).abs() < 1e-6);
    }

    #[test]
    fn gradients_are_scaled_down_together_and_never_up() {
        let mut specs = Vec::new();
        let mut scope = Scope::new(&mut specs);
        for name in ["p", "q"] {
            scope.parameter(name, &[2], Start::Constant(0.0));
        }
        let first_moments = |clip_norm| {
            let parameters = Parameters::draw(specs.clone(), 1).unwrap();
            let mut tape = Tape::recording();
            let gradient = |values: [f32; 2]| tensor(values.to_vec(), 2).unwrap();
            let mut seed = |index: usize, values| {
                (tape.parameter(&parameters.tensors[index], Some(index)), gradient(values))
            };
            // Norm 13.
            let seeds = vec![seed(0, [3.0, 4.0]), seed(1, [0.0, 12.0])];
            let gradients = tape.backward(seeds).unwrap();
            let mut adam = Adam::new(2);
            let rates = Rates { learning: 0.1, decay: 0.0, decoupled: false, clip_norm };
            adam.step(&parameters, &gradients, rates).unwrap();
            adam.moments.iter().flat_map(|m| m.first.clone()).collect::<Vec<f32>>()
        };
        let whole = [0.3f32, 0.4, 0.0, 1.2];
        for (clip_norm, scale) in
            [(None, 1.0), (Some(13.5), 1.0), (Some(6.5), 0.5), (Some(0.13), 0.01)]
        {
            for (found, expected) in first_moments(clip_norm).iter().zip(whole) {
                assert!((found - scale * expected).abs() < 1e-6, "{clip_norm:?}: {found}");
            }
        }
    }
}

//! Adam.

mod composed;
mod host;

use super::device::Operators;
use super::error::Result;
use super::parameters::Parameters;
use super::tape::Gradients;
use candle_core::Tensor;

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

/// Moving means of a parameter's gradients, each of its shape.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    /// Of the gradients.
    pub(super) first: Tensor,
    /// Of their squares.
    pub(super) second: Tensor,
    /// Steps that they are over.
    pub(super) steps: u64,
}

/// Adam (Kingma and Ba 2015), as `PyTorch` computes it.
#[derive(Default)]
pub(super) struct Adam {
    /// By parameter; `None` until its first step.
    pub(super) moments: Vec<Option<Moments>>,
}

const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

impl Adam {
    /// An optimiser that has seen nothing.
    pub(super) fn new(parameters: usize) -> Self {
        Self { moments: vec![None; parameters] }
    }

    /// Moves the parameters that there are gradients for.
    pub(super) fn step(
        &mut self,
        parameters: &mut Parameters,
        gradients: &Gradients,
        rates: Rates,
    ) -> Result<()> {
        match parameters.place.operators {
            Operators::Host => host::step(&mut self.moments, parameters, gradients, rates),
            Operators::Composed(_) => {
                composed::step(&mut self.moments, parameters, gradients, rates)
            }
        }
    }
}

/// The numbers of one update.
struct Update {
    /// Of the first moment.
    rate: f32,
    /// Of the second moment's root.
    root: f32,
    /// Of the parameter, onto its gradient.
    onto_gradient: f32,
    /// Part of the parameter that is kept.
    kept: f32,
}

impl Update {
    /// The update of a step, from 1.
    fn new(rates: Rates, step: u64) -> Self {
        let Rates { learning, decay, decoupled, .. } = rates;
        let steps = i32::try_from(step).unwrap_or(i32::MAX);
        let [c1, c2] = BETAS.map(|beta| 1.0 - beta.powi(steps));
        Self {
            rate: (learning / c1) as f32,
            root: (1.0 / c2.sqrt()) as f32,
            onto_gradient: if decoupled { 0.0 } else { decay as f32 },
            kept: if decoupled { (1.0 - learning * decay) as f32 } else { 1.0 },
        }
    }
}

/// What gradients of a norm are multiplied by.
// METHOD: one norm over all parameters, as `torch.nn.utils.clip_grad_norm_` takes it.
fn clipped(norm: f64, limit: f64) -> f64 {
    (limit / (norm + 1e-6)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{tensor, view};
    use crate::parameters::{Scope, Start};
    use crate::tape::{Tape, Value};

    /// Three steps with gradient `2 p`.
    fn three_steps(rates: Rates) -> Vec<f32> {
        let mut specs = Vec::new();
        Scope::new(&mut specs).parameter("p", &[1], Start::Constant(1.0));
        let mut parameters = Parameters::draw(specs, 1).unwrap();
        let mut adam = Adam::new(1);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut tape = Tape::recording(Operators::Host);
            let p: Value = tape.parameter(&parameters.tensors[0], Some(0));
            let value = view(p.tensor()).unwrap()[0];
            let gradients =
                tape.backward(vec![(p, tensor(vec![2.0 * value], 1).unwrap())]).unwrap();
            adam.step(&mut parameters, &gradients, rates).unwrap();
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
            let mut parameters = Parameters::draw(specs.clone(), 1).unwrap();
            let mut tape = Tape::recording(Operators::Host);
            let gradient = |values: [f32; 2]| tensor(values.to_vec(), 2).unwrap();
            let mut seed = |index: usize, values| {
                (tape.parameter(&parameters.tensors[index], Some(index)), gradient(values))
            };
            // Norm 13.
            let seeds = vec![seed(0, [3.0, 4.0]), seed(1, [0.0, 12.0])];
            let gradients = tape.backward(seeds).unwrap();
            let mut adam = Adam::new(2);
            let rates = Rates { learning: 0.1, decay: 0.0, decoupled: false, clip_norm };
            adam.step(&mut parameters, &gradients, rates).unwrap();
            let moments = adam.moments.iter().flatten();
            moments.flat_map(|m| view(&m.first).unwrap().to_vec()).collect::<Vec<f32>>()
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

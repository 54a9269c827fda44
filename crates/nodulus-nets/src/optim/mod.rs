//! The Adam optimiser.

mod update;
mod host;
mod composed;

pub(super) use update::{Moments, StepSettings};

use super::backend::Execution;
use super::error::Result;
use super::parameters::Parameters;
use super::tape::Gradients;

/// Adam (Kingma and Ba 2015), as `PyTorch` computes it.
#[derive(Default)]
pub(super) struct Adam {
    /// Moments by parameter; `None` before its first step.
    pub(super) moments: Vec<Option<Moments>>,
}

impl Adam {
    /// An optimiser before its first step.
    pub(super) fn new(parameters: usize) -> Self {
        Self { moments: vec![None; parameters] }
    }

    /// Updates the parameters that have gradients.
    pub(super) fn step(
        &mut self,
        parameters: &mut Parameters,
        gradients: &Gradients,
        rates: StepSettings,
    ) -> Result<()> {
        match parameters.backend.execution {
            Execution::Host => host::step(&mut self.moments, parameters, gradients, rates),
            Execution::Composed(_) => {
                composed::step(&mut self.moments, parameters, gradients, rates)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::{Initialiser, Scope};
    use crate::tape::{Tape, Value};
    use crate::tensors::{tensor, view};

    /// Three steps with gradient `2 p`.
    fn three_steps(rates: StepSettings) -> Vec<f32> {
        let mut specs = Vec::new();
        Scope::new(&mut specs).parameter("p", &[1], Initialiser::Constant(1.0));
        let mut parameters = Parameters::draw(specs, 1).unwrap();
        let mut adam = Adam::new(1);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut tape = Tape::recording(Execution::Host);
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
            let found =
                three_steps(StepSettings { learning: 0.1, decay, decoupled, clip_norm: None });
            for (f, e) in found.iter().zip(expected(decay, decoupled)) {
                assert!((f64::from(*f) - e).abs() < 1e-5, "{f} {e}");
            }
        }
        let rates = StepSettings { learning: 0.1, decay: 0.0, decoupled: false, clip_norm: None };
        assert!((three_steps(rates)[0] - 0.9).abs() < 1e-6);
    }

    #[test]
    fn gradients_are_scaled_down_together_and_never_up() {
        let mut specs = Vec::new();
        let mut scope = Scope::new(&mut specs);
        for name in ["p", "q"] {
            scope.parameter(name, &[2], Initialiser::Constant(0.0));
        }
        let first_moments = |clip_norm| {
            let mut parameters = Parameters::draw(specs.clone(), 1).unwrap();
            let mut tape = Tape::recording(Execution::Host);
            let gradient = |values: [f32; 2]| tensor(values.to_vec(), 2).unwrap();
            let mut seed = |index: usize, values| {
                (tape.parameter(&parameters.tensors[index], Some(index)), gradient(values))
            };
            // Norm 13.
            let seeds = vec![seed(0, [3.0, 4.0]), seed(1, [0.0, 12.0])];
            let gradients = tape.backward(seeds).unwrap();
            let mut adam = Adam::new(2);
            let rates = StepSettings { learning: 0.1, decay: 0.0, decoupled: false, clip_norm };
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

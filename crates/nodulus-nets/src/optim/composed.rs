//! Adam's step by the tensor library's operations, on any device.

use super::update::{BETAS, EPSILON, Moments, StepSettings, UpdateFactors, clipped};
use crate::error::Result;
use crate::parameters::Parameters;
use crate::tape::Gradients;
use crate::tensors::values;
use candle_core::Tensor;

/// Values updated together: few operations for many parameters, with bounded memory.
const GROUP: usize = 1 << 24;

/// See [`super::Adam::step`].
pub(super) fn step(
    moments: &mut [Option<Moments>],
    parameters: &mut Parameters,
    gradients: &Gradients,
    rates: StepSettings,
) -> Result<()> {
    let mut found: Vec<(usize, &Tensor)> = gradients.iter().collect();
    found.sort_unstable_by_key(|(index, _)| *index);
    let steps = |index: usize| moments[index].as_ref().map_or(0, |moments| moments.steps);
    let mut groups: Vec<ParameterGroup> = Vec::new();
    for group in split(&found, steps) {
        let indices: Vec<usize> = group.iter().map(|(index, _)| *index).collect();
        let step = steps(group[0].0) + 1;
        let gradient = flat(group.iter().map(|(_, gradient)| *gradient))?;
        groups.push(ParameterGroup { indices, step, gradient });
    }
    let scale = match rates.clip_norm {
        Some(limit) => clipped(norm(&groups)?, limit),
        None => 1.0,
    };
    for group in groups {
        group.update(scale, rates, moments, parameters)?;
    }
    Ok(())
}

/// Splits parameters into groups with the same number of steps and at most [`GROUP`] values
/// together, or a single larger parameter.
fn split<'a>(
    found: &'a [(usize, &'a Tensor)],
    steps: impl Fn(usize) -> u64,
) -> Vec<&'a [(usize, &'a Tensor)]> {
    let (mut groups, mut first, mut n_values) = (Vec::new(), 0, 0);
    for (i, (index, gradient)) in found.iter().enumerate() {
        n_values += gradient.elem_count();
        if i > first && (n_values > GROUP || steps(*index) != steps(found[first].0)) {
            groups.push(&found[first..i]);
            (first, n_values) = (i, gradient.elem_count());
        }
    }
    if first < found.len() {
        groups.push(&found[first..]);
    }
    groups
}

/// The values of several tensors, concatenated.
fn flat<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Result<Tensor> {
    let tensors: candle_core::Result<Vec<Tensor>> = tensors.map(Tensor::flatten_all).collect();
    Ok(Tensor::cat(&tensors?, 0)?)
}

/// The Euclidean norm of all gradients together.
fn norm(groups: &[ParameterGroup]) -> Result<f64> {
    let squares = groups.iter().map(|group| group.gradient.sqr()?.sum_all());
    let squares = Tensor::stack(&squares.collect::<candle_core::Result<Vec<_>>>()?, 0)?;
    Ok(values(&squares)?.into_iter().map(f64::from).sum::<f64>().sqrt())
}

/// Parameters that are updated together.
struct ParameterGroup {
    indices: Vec<usize>,
    /// Number of the step, from 1.
    step: u64,
    gradient: Tensor,
}

impl ParameterGroup {
    fn update(
        self,
        scale: f64,
        rates: StepSettings,
        moments: &mut [Option<Moments>],
        parameters: &mut Parameters,
    ) -> Result<()> {
        let UpdateFactors { rate, root, onto_gradient, kept } =
            UpdateFactors::new(rates, self.step);
        let p = flat(self.indices.iter().map(|&index| &parameters.tensors[index]))?;
        let known: Option<Vec<&Moments>> =
            self.indices.iter().map(|&index| moments[index].as_ref()).collect();
        let [m, v] = match known {
            None => [p.zeros_like()?, p.zeros_like()?],
            Some(known) => [
                flat(known.iter().map(|moments| &moments.first))?,
                flat(known.iter().map(|moments| &moments.second))?,
            ],
        };
        // The factors of the processor's step, in its precision.
        let [b1, b2] = BETAS.map(|beta| beta as f32);
        let times = |x: &Tensor, factor: f32| x.affine(f64::from(factor), 0.0);
        let g = (times(&self.gradient, scale as f32)? + times(&p, onto_gradient)?)?;
        let m = (times(&m, b1)? + times(&g, 1.0 - b1)?)?;
        let v = (times(&v, b2)? + times(&g.sqr()?, 1.0 - b2)?)?;
        let deviation = v.sqrt()?.affine(f64::from(root), EPSILON)?;
        let p = (times(&p, kept)? - times(&m, rate)?.div(&deviation)?)?;
        let mut start = 0;
        for index in self.indices {
            let tensor = &mut parameters.tensors[index];
            let (n, shape) = (tensor.elem_count(), tensor.shape().clone());
            let part = |of: &Tensor| of.narrow(0, start, n)?.reshape(&shape);
            *tensor = part(&p)?;
            moments[index] =
                Some(Moments { first: part(&m)?, second: part(&v)?, steps: self.step });
            start += n;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Backend;
    use crate::optim::Adam;
    use crate::parameters::{Initialiser, Scope};
    use crate::tape::Tape;
    use crate::tensors::tensor;

    #[test]
    fn steps_are_the_processors() {
        let sizes = [3, 1, 7, 2];
        let specs = || {
            let mut specs = Vec::new();
            let mut scope = Scope::new(&mut specs);
            for (n, size) in sizes.into_iter().enumerate() {
                scope.parameter(&n.to_string(), &[size], Initialiser::Normal(1.0));
            }
            specs
        };
        for (decay, decoupled, clip_norm) in
            [(0.0, false, None), (0.1, false, Some(0.5)), (0.1, true, Some(50.0))]
        {
            let rates = StepSettings { learning: 0.1, decay, decoupled, clip_norm };
            let [host, composed] = [Backend::host(), Backend::composed()].map(|backend| {
                let mut parameters = Parameters::draw(specs(), 3).unwrap();
                parameters.move_to(&backend).unwrap();
                let mut adam = Adam::new(sizes.len());
                for step in 0..5 {
                    let mut tape = Tape::recording(backend.execution);
                    let mut seeds = Vec::new();
                    // One parameter has no gradient in the first steps, and then a different number
                    // of steps.
                    for index in (0..sizes.len()).filter(|index| step > 1 || *index != 1) {
                        let p = tape.parameter(&parameters.tensors[index], Some(index));
                        let gradient =
                            values(p.tensor()).unwrap().into_iter().map(|p| 2.0 * p - 0.3);
                        seeds.push((p, tensor(gradient.collect(), sizes[index]).unwrap()));
                    }
                    let gradients = tape.backward(seeds).unwrap();
                    adam.step(&mut parameters, &gradients, rates).unwrap();
                }
                let steps: Vec<u64> = adam.moments.iter().flatten().map(|m| m.steps).collect();
                assert_eq!(steps, [5, 3, 5, 5]);
                let all = parameters.tensors.iter().map(|tensor| values(tensor).unwrap());
                let moments = adam.moments.iter().flatten().flat_map(|m| [&m.first, &m.second]);
                all.chain(moments.map(|m| values(m).unwrap())).collect::<Vec<_>>().concat()
            });
            assert_eq!(host.len(), composed.len());
            for (host, composed) in host.iter().zip(&composed) {
                assert!((host - composed).abs() < 1e-6, "{host} {composed}");
            }
        }
    }

    #[test]
    fn groups_are_bounded() {
        let large = tensor(vec![0.0; GROUP / 2], GROUP / 2).unwrap();
        let found: Vec<(usize, &Tensor)> = (0..5).map(|index| (index, &large)).collect();
        let lengths = |steps: fn(usize) -> u64| {
            split(&found, steps).iter().map(|group| group.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(|_| 1), [2, 2, 1]);
        assert_eq!(lengths(|index| u64::from(index > 0)), [1, 2, 2]);
        assert_eq!(split(&[], |_| 0).len(), 0);
    }
}

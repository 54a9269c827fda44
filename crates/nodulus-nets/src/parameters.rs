//! A network's numbers by name.

use super::device::Place;
use super::error::Result;
use super::ops::tensor;
use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// What a parameter is before training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Start {
    /// This number throughout.
    Constant(f32),
    /// Normal, mean 0, of this deviation.
    Normal(f32),
    /// Uniform between minus this number and this number.
    Uniform(f32),
}

/// A parameter, or a running statistic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spec {
    /// Name as in weights files.
    pub(super) name: String,
    /// Length of each axis.
    pub(super) shape: Vec<usize>,
    /// Values before training.
    pub(super) start: Start,
    /// Whether the optimiser changes it; running statistics change otherwise.
    pub(super) trained: bool,
}

/// Where in a network's naming a layer is built.
pub(super) struct Scope<'a> {
    specs: &'a mut Vec<Spec>,
    prefix: String,
}

impl<'a> Scope<'a> {
    /// The root.
    pub(super) fn new(specs: &'a mut Vec<Spec>) -> Self {
        Self { specs, prefix: String::new() }
    }

    /// The place `name` below this one.
    pub(super) fn inner(&mut self, name: &str) -> Scope<'_> {
        Scope { specs: self.specs, prefix: format!("{}{name}.", self.prefix) }
    }

    /// This place again.
    pub(super) fn same(&mut self) -> Scope<'_> {
        Scope { specs: self.specs, prefix: self.prefix.clone() }
    }

    /// Adds a parameter and gives its index.
    pub(super) fn parameter(&mut self, name: &str, shape: &[usize], start: Start) -> usize {
        self.add(name, shape, start, true)
    }

    /// Adds a running statistic and gives its index.
    pub(super) fn statistic(&mut self, name: &str, shape: &[usize], start: Start) -> usize {
        self.add(name, shape, start, false)
    }

    fn add(&mut self, name: &str, shape: &[usize], start: Start, trained: bool) -> usize {
        let name = format!("{}{name}", self.prefix);
        self.specs.push(Spec { name, shape: shape.to_vec(), start, trained });
        self.specs.len() - 1
    }
}

/// The values of all parameters, in the order of their specs.
pub(super) struct Parameters {
    pub(super) specs: Vec<Spec>,
    pub(super) tensors: Vec<Tensor>,
    /// Where they are.
    pub(super) place: Place,
}

impl Parameters {
    /// Draws values on the processor; each parameter has a stream of random numbers of its own.
    pub(super) fn draw(specs: Vec<Spec>, seed: u64) -> Result<Self> {
        let tensors = specs.iter().enumerate().map(|(i, spec)| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(i as u64);
            let n: usize = spec.shape.iter().product();
            let values = match spec.start {
                Start::Constant(value) => vec![value; n],
                Start::Uniform(bound) => {
                    (0..n).map(|_| bound * rng.random_range(-1.0..1.0f32)).collect()
                }
                Start::Normal(deviation) => {
                    let unit = StandardNormal;
                    (0..n)
                        .map(|_| deviation * Distribution::<f32>::sample(&unit, &mut rng))
                        .collect()
                }
            };
            tensor(values, spec.shape.as_slice())
        });
        let tensors = tensors.collect::<Result<_>>()?;
        Ok(Self { specs, tensors, place: Place::host() })
    }

    /// Moves all of them that are not there yet.
    pub(super) fn move_to(&mut self, place: &Place) -> Result<()> {
        for tensor in &mut self.tensors {
            *tensor = tensor.to_device(&place.tensors)?;
        }
        self.place = place.clone();
        Ok(())
    }

    /// No values yet: each tensor is empty.
    pub(super) fn unset(specs: Vec<Spec>) -> Result<Self> {
        let tensors = specs.iter().map(|_| tensor(Vec::new(), 0)).collect::<Result<_>>()?;
        Ok(Self { specs, tensors, place: Place::host() })
    }

    /// How many numbers the parameters are when none is unset.
    pub(super) fn n_values(&self) -> usize {
        self.specs.iter().map(|spec| spec.shape.iter().product::<usize>()).sum()
    }

    /// Forgets a parameter's values.
    pub(super) fn unset_one(&mut self, index: usize) -> Result<()> {
        self.tensors[index] = tensor(Vec::new(), 0)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::view;

    #[test]
    fn names_nest_and_seeds_decide() {
        let build = || {
            let mut specs = Vec::new();
            let mut scope = Scope::new(&mut specs);
            scope.parameter("gain", &[2], Start::Constant(1.5));
            let mut inner = scope.inner("block");
            let mut inner = inner.inner("conv");
            assert_eq!(inner.parameter("weight", &[40, 50], Start::Normal(0.5)), 1);
            inner.statistic("mean", &[1000], Start::Uniform(2.0));
            specs
        };
        assert_eq!(build()[1].name, "block.conv.weight");
        let values = |seed, i: usize| {
            let parameters = Parameters::draw(build(), seed).unwrap();
            view(&parameters.tensors[i]).unwrap().to_vec()
        };
        assert_eq!(values(1, 0), [1.5, 1.5]);
        assert_eq!(values(1, 1), values(1, 1));
        assert_ne!(values(1, 1), values(2, 1));
        let normal = values(3, 1);
        let square = normal.iter().map(|v| v * v).sum::<f32>() / 2000.0;
        assert!((square.sqrt() - 0.5).abs() < 0.03);
        let uniform = values(3, 2);
        assert!(uniform.iter().all(|v| v.abs() <= 2.0) && uniform.iter().any(|v| *v < -1.8));
    }
}

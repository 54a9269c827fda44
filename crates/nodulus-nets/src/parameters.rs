//! A network's parameters and running statistics, by name.

use super::backend::Backend;
use super::error::Result;
use super::tensors::tensor;
use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Initial values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Initialiser {
    /// A constant.
    Constant(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// As `Normal`, by He's rule, of a layer that no `ReLU` follows: [`super::start`] may change it.
    Linear(f32),
    /// Uniform between minus this number and this number.
    Uniform(f32),
}

/// Specification of a parameter or a running statistic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ParameterSpec {
    /// Name, as in weights files.
    pub(super) name: String,
    /// Length of each axis.
    pub(super) shape: Vec<usize>,
    /// Initial values.
    pub(super) start: Initialiser,
    /// Whether the optimiser updates it; running statistics are updated otherwise.
    pub(super) trained: bool,
}

/// Prefix of parameter names under which a layer is built.
pub(super) struct Scope<'a> {
    specs: &'a mut Vec<ParameterSpec>,
    prefix: String,
}

impl<'a> Scope<'a> {
    /// The root scope.
    pub(super) fn new(specs: &'a mut Vec<ParameterSpec>) -> Self {
        Self { specs, prefix: String::new() }
    }

    /// The scope `name` inside this one.
    pub(super) fn inner(&mut self, name: &str) -> Scope<'_> {
        Scope { specs: self.specs, prefix: format!("{}{name}.", self.prefix) }
    }

    /// This scope again.
    pub(super) fn same(&mut self) -> Scope<'_> {
        Scope { specs: self.specs, prefix: self.prefix.clone() }
    }

    /// Adds a parameter and returns its index.
    pub(super) fn parameter(&mut self, name: &str, shape: &[usize], start: Initialiser) -> usize {
        self.add(name, shape, start, true)
    }

    /// Adds a running statistic and returns its index.
    pub(super) fn statistic(&mut self, name: &str, shape: &[usize], start: Initialiser) -> usize {
        self.add(name, shape, start, false)
    }

    fn add(&mut self, name: &str, shape: &[usize], start: Initialiser, trained: bool) -> usize {
        let name = format!("{}{name}", self.prefix);
        self.specs.push(ParameterSpec { name, shape: shape.to_vec(), start, trained });
        self.specs.len() - 1
    }
}

/// The values of all parameters, in the order of their specs. Copies share the values.
#[derive(Clone)]
pub(super) struct Parameters {
    pub(super) specs: Vec<ParameterSpec>,
    pub(super) tensors: Vec<Tensor>,
    /// Where the tensors lie.
    pub(super) backend: Backend,
}

impl Parameters {
    /// Draws initial values on the processor; each parameter has its own random stream.
    pub(super) fn draw(specs: Vec<ParameterSpec>, seed: u64) -> Result<Self> {
        let tensors = specs.iter().enumerate().map(|(i, spec)| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(i as u64);
            let n: usize = spec.shape.iter().product();
            let values = match spec.start {
                Initialiser::Constant(value) => vec![value; n],
                Initialiser::Uniform(bound) => {
                    (0..n).map(|_| bound * rng.random_range(-1.0..1.0f32)).collect()
                }
                Initialiser::Normal(deviation) | Initialiser::Linear(deviation) => {
                    let unit = StandardNormal;
                    (0..n)
                        .map(|_| deviation * Distribution::<f32>::sample(&unit, &mut rng))
                        .collect()
                }
            };
            tensor(values, spec.shape.as_slice())
        });
        let tensors = tensors.collect::<Result<_>>()?;
        Ok(Self { specs, tensors, backend: Backend::host() })
    }

    /// Moves the tensors to a backend.
    pub(super) fn move_to(&mut self, backend: &Backend) -> Result<()> {
        for tensor in &mut self.tensors {
            *tensor = tensor.to_device(&backend.device)?;
        }
        self.backend = backend.clone();
        Ok(())
    }

    /// Parameters without values: each tensor is empty.
    pub(super) fn unset(specs: Vec<ParameterSpec>) -> Result<Self> {
        let tensors = specs.iter().map(|_| tensor(Vec::new(), 0)).collect::<Result<_>>()?;
        Ok(Self { specs, tensors, backend: Backend::host() })
    }

    /// Number of values when every parameter is set.
    pub(super) fn n_values(&self) -> usize {
        self.specs.iter().map(|spec| spec.shape.iter().product::<usize>()).sum()
    }

    /// Drops a parameter's values.
    pub(super) fn unset_one(&mut self, index: usize) -> Result<()> {
        self.tensors[index] = tensor(Vec::new(), 0)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::view;

    #[test]
    fn names_nest_and_seeds_decide() {
        let build = || {
            let mut specs = Vec::new();
            let mut scope = Scope::new(&mut specs);
            scope.parameter("gain", &[2], Initialiser::Constant(1.5));
            let mut inner = scope.inner("block");
            let mut inner = inner.inner("conv");
            assert_eq!(inner.parameter("weight", &[40, 50], Initialiser::Normal(0.5)), 1);
            inner.statistic("mean", &[1000], Initialiser::Uniform(2.0));
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

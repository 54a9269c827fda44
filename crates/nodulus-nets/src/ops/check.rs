//! Comparison of gradients with finite differences.

use crate::operator::{Gradient, Operator, Step};
use crate::tensors::{tensor, view};
use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Random numbers in -1..1.
pub(super) fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n = shape.iter().product();
    tensor((0..n).map(|_| rng.random_range(-1.0..1.0f32)).collect(), shape).unwrap()
}

/// The output for these inputs.
pub(super) fn output(operator: &impl Operator, inputs: &[Tensor]) -> Vec<f32> {
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    view(&operator.forward(&inputs).unwrap()).unwrap().to_vec()
}

/// Asserts that every element of every gradient is the difference quotient of a random weighted sum
/// of the output, within `tolerance` of the largest.
pub(super) fn assert_gradients(
    make: impl Fn() -> Box<dyn Operator>,
    inputs: &[Tensor],
    step: f32,
    tolerance: f64,
) {
    let refs: Vec<&Tensor> = inputs.iter().collect();
    let operator = make();
    let y = operator.forward(&refs).unwrap();
    let weights = random(y.dims(), 99);
    let gradient = Gradient::new(weights.copy().unwrap());
    let wanted = vec![true; inputs.len()];
    let found = operator
        .backward(&Step { inputs: &refs, output: &y, gradient: &gradient, wanted: &wanted })
        .unwrap();
    let loss = |inputs: &[&Tensor]| -> f64 {
        let y = make().forward(inputs).unwrap();
        let (y, weights) = (view(&y).unwrap(), view(&weights).unwrap());
        y.iter().zip(weights.iter()).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
    };
    for (i, input) in inputs.iter().enumerate() {
        let values = view(input).unwrap().to_vec();
        let analytic = view(found[i].as_ref().unwrap().tensor()).unwrap().to_vec();
        let numeric: Vec<f64> = (0..values.len())
            .map(|j| {
                let moved = |by: f32| {
                    let mut values = values.clone();
                    values[j] += by;
                    let moved = tensor(values, input.dims()).unwrap();
                    let mut refs = refs.clone();
                    refs[i] = &moved;
                    loss(&refs)
                };
                (moved(step) - moved(-step)) / f64::from(2.0 * step)
            })
            .collect();
        let largest = numeric.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
        for (j, (a, n)) in analytic.iter().zip(&numeric).enumerate() {
            assert!(
                (f64::from(*a) - n).abs() <= tolerance * largest,
                "input {i}, element {j}: gradient {a}, difference quotient {n}"
            );
        }
    }
}

//! Operators against `PyTorch`: numbers made by `tests/golden/operators.py`, in double precision.

use super::bilinear::Bilinear;
use super::concatenation::{Concatenation, Enlargement};
use super::gate::Gate;
use super::global_mean::GlobalMean;
use super::max_pool::MaxPool;
use super::multiplication::Multiplication;
use super::strips::Window;
use super::up_convolution::UpConvolution;
use super::{tensor, view};
use crate::model::golden::numbers;
use crate::model::tape::{Gradient, Operator, Step};
use candle_core::Tensor;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Case {
    inputs: Vec<Vec<usize>>,
    shape: Vec<usize>,
    output: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

fn operator(name: &str) -> Box<dyn Operator> {
    let bilinear = |size| Box::new(Bilinear { size });
    let concatenation = |how| Box::new(Concatenation { enlarged: Some(how) });
    match name {
        "up_convolution" => Box::new(UpConvolution),
        "max_pool_2" => Box::new(MaxPool::HALF),
        "max_pool_3" => Box::new(MaxPool(Window::centred(3, 2))),
        "global_mean" => Box::new(GlobalMean),
        "gate" => Box::new(Gate),
        "multiplication" => Box::new(Multiplication),
        "bilinear_7_11" => bilinear([7, 11]),
        "bilinear_2_3" => bilinear([2, 3]),
        "bilinear_3_5" => bilinear([3, 5]),
        "bilinear_12_20" => bilinear([12, 20]),
        "concatenation_nearest" => concatenation(Enlargement::Nearest),
        "concatenation_bilinear" => concatenation(Enlargement::Bilinear),
        _ => panic!("no operator {name}"),
    }
}

fn made(seed: usize, shape: &[usize]) -> Tensor {
    tensor(numbers(seed, shape.iter().product()), shape).unwrap()
}

fn assert_close(what: &str, found: &Tensor, expected: &[f64]) {
    let found = view(found).unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (f, e) in found.iter().zip(expected) {
        assert!((f64::from(*f) - e).abs() < 1e-5, "{what}: {f}, PyTorch {e}");
    }
}

#[test]
fn outputs_and_gradients_are_pytorchs() {
    let cases: BTreeMap<String, Case> =
        serde_json::from_str(include_str!("../../../tests/golden/operators.json")).unwrap();
    assert_eq!(cases.len(), 12);
    for (name, case) in cases {
        let operator = operator(&name);
        let inputs: Vec<Tensor> =
            case.inputs.iter().enumerate().map(|(n, shape)| made(n, shape)).collect();
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let y = operator.forward(&inputs).unwrap();
        assert_eq!(y.dims(), case.shape, "{name}");
        assert_close(&name, &y, &case.output);
        let gradient = Gradient::new(made(99, &case.shape));
        let wanted = vec![true; inputs.len()];
        let step = Step { inputs: &inputs, output: &y, gradient: &gradient, wanted: &wanted };
        let found = operator.backward(&step).unwrap();
        assert_eq!(found.len(), case.gradients.len(), "{name}");
        for (n, (found, expected)) in found.iter().zip(&case.gradients).enumerate() {
            let what = format!("{name}, gradient {n}");
            assert_close(&what, found.as_ref().unwrap().tensor(), expected);
        }
    }
}

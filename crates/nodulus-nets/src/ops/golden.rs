//! Operators compared with `PyTorch`: `tests/golden/operators.py` computed the numbers in double
//! precision.

use super::bilinear::Bilinear;
use super::concatenation::{Concatenation, Enlargement};
use super::convolution::Convolution;
use super::depthwise::Depthwise;
use super::global_mean::GlobalMean;
use super::max_pool::MaxPool;
use super::multiplication::Multiplication;
use super::normalised_sum::{ChannelStatistics, NormalisedSum, Term};
use super::threshold_dynamics::ThresholdDynamics;
use super::up_convolution::UpConvolution;
use super::window::Window;
use crate::backend::{Backend, Precision};
use crate::device::composed_backends;
use crate::golden::numbers;
use crate::operator::{Gradient, Operator, Step, composed_gradients, composed_output};
use crate::ops::channel_gate::ChannelGate;
use crate::ops::mean_logit::MeanLogit;
use crate::tensors::{tensor, values};
use candle_core::{Device, Tensor};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Deserialize)]
struct Case {
    inputs: Vec<Vec<usize>>,
    shape: Vec<usize>,
    output: Vec<f64>,
    gradients: Vec<Vec<f64>>,
    /// Results in `bf16`, for convolutions.
    bf16: Option<RoundedOutput>,
}

#[derive(Deserialize)]
struct RoundedOutput {
    output: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

fn operator(name: &str, device: &Device) -> Box<dyn Operator> {
    let on = |values: &[f32]| made_of(values).to_device(device).unwrap();
    let bilinear = |size| Box::new(Bilinear { size });
    let concatenation = |how| Box::new(Concatenation { enlarged: Some(how) });
    let centred = |size, stride| Window::centred(size, stride);
    let convolution = |window| Box::new(Convolution(window));
    let norm = || Term::Batch(Rc::default());
    let sum = |terms, rectified| Box::new(NormalisedSum { terms, rectified });
    let dynamics = |nodule_probability: &[f32], steps, boundary, entropy| {
        let nodule_probability = (!nodule_probability.is_empty()).then(|| on(nodule_probability));
        Box::new(ThresholdDynamics { nodule_probability, steps, radius: 5, boundary, entropy })
    };
    match name {
        "convolution_3" => convolution(centred(3, 1)),
        "convolution_3_half" => convolution(centred(3, 2)),
        "convolution_7_half" => convolution(centred(7, 2)),
        "convolution_1_half" => convolution(centred(1, 2)),
        "convolution_3_dilated" => {
            convolution(Window { size: 3, stride: 1, padding: 5, dilation: 5 })
        }
        "depthwise" => Box::new(Depthwise { stride: 1 }),
        "depthwise_half" => Box::new(Depthwise { stride: 2 }),
        "norm" => sum(vec![norm()], false),
        "norm_relu" => sum(vec![norm()], true),
        "fixed_norm_relu" => {
            let variance: Vec<f32> = numbers(51, 3).iter().map(|x| 1.0 + x / 2.0).collect();
            let [mean, variance] = [numbers(50, 3), variance].map(|values| on(&values));
            let statistics = ChannelStatistics { mean, variance, count: 0 };
            sum(vec![Term::Fixed(statistics)], true)
        }
        "sum_relu" => sum(vec![norm(), Term::Plain], true),
        "sum_of_norms" => sum(vec![norm(), norm()], false),
        "mean_score" => Box::new(MeanLogit),
        "threshold_dynamics" => dynamics(&[0.8, 0.1], 10, Some(1.0), 1.0),
        "threshold_dynamics_plain" => dynamics(&[], 3, Some(0.5), 1.5),
        "threshold_dynamics_learnt" => dynamics(&[0.8, 0.1], 10, None, 1.5),
        "threshold_dynamics_learnt_plain" => dynamics(&[], 3, None, 1.5),
        "up_convolution" => Box::new(UpConvolution),
        "max_pool_2" => Box::new(MaxPool::HALF),
        "max_pool_3" => Box::new(MaxPool(Window::centred(3, 2))),
        "global_mean" => Box::new(GlobalMean),
        "gate" => Box::new(ChannelGate),
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

fn made_of(values: &[f32]) -> Tensor {
    tensor(values.to_vec(), values.len()).unwrap()
}

fn made(seed: usize, shape: &[usize]) -> Tensor {
    tensor(numbers(seed, shape.iter().product()), shape).unwrap()
}

fn assert_close(what: &str, found: &Tensor, expected: &[f64]) {
    let found = values(found).unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1.0f64, |m, e| m.max(e.abs()));
    for (f, e) in found.iter().zip(expected) {
        assert!((f64::from(*f) - e).abs() < 1e-5 * largest, "{what}: {f}, PyTorch {e}");
    }
}

/// The same numbers with columns stored contiguously.
fn transposed(x: &Tensor) -> Tensor {
    if x.rank() < 2 {
        return x.clone();
    }
    let last = x.rank() - 1;
    let stored = x.transpose(last - 1, last).unwrap().contiguous().unwrap();
    stored.transpose(last - 1, last).unwrap()
}

/// Asserts that the composed operator equals `PyTorch`'s, for any layout of the inputs.
fn assert_composed(name: &str, device: &Device, inputs: &[&Tensor], case: &Case) {
    let operator = operator(name, device);
    let name = format!("{name}, composed, {device:?}");
    let inputs: Vec<Tensor> = inputs.iter().map(|x| x.to_device(device).unwrap()).collect();
    let strided: Vec<Tensor> = inputs.iter().map(transposed).collect();
    for inputs in [inputs, strided] {
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let y = operator.compose(&inputs).unwrap();
        assert_eq!(y.dims(), case.shape, "{name}");
        assert_close(&name, &y, &case.output);
        let gradient = Gradient::borrowed(made(99, &case.shape).to_device(device).unwrap());
        let wanted = vec![true; inputs.len()];
        let step = Step { inputs: &inputs, output: &y, gradient: &gradient, wanted: &wanted };
        let found = operator.compose_back(&step).unwrap();
        assert_eq!(found.len(), case.gradients.len(), "{name}");
        for (n, (found, expected)) in found.iter().zip(&case.gradients).enumerate() {
            let found = found.as_ref().unwrap();
            assert_eq!(found.dims(), case.inputs[n], "{name}, gradient {n}");
            assert_close(&format!("{name}, gradient {n}"), found, expected);
        }
    }
}

/// Asserts that numbers equal `PyTorch`'s in `bf16`, and those in double precision within its
/// rounding.
fn assert_rounded(what: &str, found: &Tensor, expected: &[f64], exact: &[f64]) {
    let found = values(found).unwrap();
    assert_eq!([found.len(); 2], [expected.len(), exact.len()], "{what}");
    let largest = exact.iter().fold(0.0f64, |m, e| m.max(e.abs()));
    let off = |from: &[f64]| -> Vec<f64> {
        found.iter().zip(from).map(|(f, e)| (f64::from(*f) - e).abs() / largest).collect()
    };
    // A sum nearly halfway between two numbers may round to either.
    let same = off(expected).into_iter().filter(|off| *off < 1e-6).count();
    assert!(20 * same >= 19 * found.len(), "{what}: {same} of {}", found.len());
    let most = off(exact).into_iter().fold(0.0, f64::max);
    assert!((1e-3..1.0 / 128.0).contains(&most), "{what}: {most} off double precision");
}

#[test]
fn convolutions_in_bf16_are_pytorchs() {
    let cases: BTreeMap<String, Case> =
        serde_json::from_str(include_str!("../../../../tests/golden/operators.json")).unwrap();
    let mut seen = 0;
    for (name, case) in cases {
        let Some(expected) = &case.bf16 else { continue };
        for Backend { device, .. } in composed_backends() {
            let operator = operator(&name, device);
            let inputs: Vec<Tensor> =
                case.inputs.iter().enumerate().map(|(n, shape)| made(n, shape)).collect();
            let inputs: Vec<Tensor> = inputs.iter().map(|x| x.to_device(device).unwrap()).collect();
            let strided: Vec<Tensor> = inputs.iter().map(transposed).collect();
            for inputs in [inputs, strided] {
                let inputs: Vec<&Tensor> = inputs.iter().collect();
                let y = composed_output(&*operator, &inputs, Precision::Bf16).unwrap();
                assert_rounded(&name, &y, &expected.output, &case.output);
                let gradient = Gradient::borrowed(made(99, &case.shape).to_device(device).unwrap());
                let wanted = vec![true; inputs.len()];
                let step =
                    Step { inputs: &inputs, output: &y, gradient: &gradient, wanted: &wanted };
                let found = composed_gradients(&*operator, &step, Precision::Bf16).unwrap();
                for (n, found) in found.iter().enumerate() {
                    let (found, what) = (found.as_ref().unwrap(), format!("{name}, gradient {n}"));
                    if n < 2 {
                        let (expected, exact) = (&expected.gradients[n], &case.gradients[n]);
                        assert_rounded(&what, found, expected, exact);
                    } else {
                        assert_close(&what, found, &expected.gradients[n]);
                    }
                }
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 8);
}

#[test]
fn other_operators_are_the_same_in_bf16() {
    let inputs = [made(0, &[1, 2, 3, 5]), made(1, &[1, 2, 3, 5])];
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    let [single, half] = [Precision::F32, Precision::Bf16]
        .map(|precision| composed_output(&Multiplication, &inputs, precision).unwrap());
    assert_eq!(values(&single).unwrap(), values(&half).unwrap());
}

#[test]
fn outputs_and_gradients_are_pytorchs() {
    let cases: BTreeMap<String, Case> =
        serde_json::from_str(include_str!("../../../../tests/golden/operators.json")).unwrap();
    assert_eq!(cases.len(), 29);
    let mut n_refused = 0;
    for (name, case) in cases {
        let operator = operator(&name, &Device::Cpu);
        let inputs: Vec<Tensor> =
            case.inputs.iter().enumerate().map(|(n, shape)| made(n, shape)).collect();
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        for Backend { device, .. } in composed_backends() {
            assert_composed(&name, device, &inputs, &case);
        }
        let y = operator.forward(&inputs).unwrap();
        assert_eq!(y.dims(), case.shape, "{name}");
        assert_close(&name, &y, &case.output);
        // Other layouts are refused: read in memory order, they would be different images.
        let strided: Vec<Tensor> = inputs.iter().map(|x| transposed(x)).collect();
        if !strided[0].is_contiguous() {
            let strided: Vec<&Tensor> = strided.iter().collect();
            let error = operator.forward(&strided).unwrap_err().to_string();
            assert!(error.contains("is not contiguous f32 on the CPU"), "{name}: {error}");
            n_refused += 1;
        }
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
    assert_eq!(n_refused, 28);
}

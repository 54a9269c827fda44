//! Check that a device computes what the processor computes.

use crate::backend::{Execution, Precision};
use crate::error::Result;
use crate::operator::{Gradient, Operator, Step, composed_gradients, composed_output};
use crate::ops::convolution::Convolution;
use crate::ops::depthwise::Depthwise;
use crate::ops::up_convolution::UpConvolution;
use crate::ops::window::Window;
use crate::tensors::{tensor, values};
use candle_core::{Device, Tensor};

/// Compares small convolutions and all their gradients, so that products and copies of a card, its
/// driver and its libraries are known to be right. Takes milliseconds.
///
/// # Errors
///
/// Fails with a description if the device cannot compute or computes something else.
pub(crate) fn check(device: &Device, precision: Precision) -> std::result::Result<(), String> {
    Execution::Composed(precision).run(|| compare(device, precision))
}

fn compare(device: &Device, precision: Precision) -> std::result::Result<(), String> {
    // Allowed error for factors of this precision, relative to the largest value.
    let most = match precision {
        Precision::F32 => 1e-4,
        Precision::Tf32 => 2e-3,
        Precision::Bf16 => 1e-2,
    };
    let (x, weight, own, up) = ([2, 3, 9, 8], [4, 3, 3, 3], [3, 1, 3, 3], [3, 4, 2, 2]);
    let half = Window::centred(3, 2);
    let cases: [(&str, &dyn Operator, Vec<Vec<usize>>); 5] = [
        ("convolution", &Convolution(Window::centred(3, 1)), vec![x.into(), weight.into()]),
        ("dilated convolution", &Convolution(Window::dilated(2)), vec![x.into(), weight.into()]),
        ("convolution of stride 2", &Convolution(half), vec![x.into(), weight.into(), vec![4]]),
        ("depthwise convolution", &Depthwise { stride: 2 }, vec![x.into(), own.into()]),
        ("transposed convolution", &UpConvolution, vec![x.into(), up.into(), vec![4]]),
    ];
    for (name, operator, shapes) in cases {
        let name = format!("{} {name}", precision.name());
        let difference = difference(operator, &shapes, device, precision)
            .map_err(|error| format!("its {name}: {error}"))?;
        if difference > most {
            return Err(format!("its {name} is {difference:e} off the processor's"));
        }
    }
    Ok(())
}

fn made(seed: usize, shape: &[usize]) -> Result<Tensor> {
    let value = |i: usize| ((i * 37 + seed * 11) % 101) as f32 / 50.5 - 1.0;
    tensor((0..shape.iter().product()).map(value).collect(), shape)
}

/// Largest difference between the operator on a device and on the processor, relative to the
/// largest value; infinite if it is not a number.
fn difference(
    operator: &dyn Operator,
    shapes: &[Vec<usize>],
    device: &Device,
    precision: Precision,
) -> Result<f32> {
    let inputs: Vec<Tensor> =
        shapes.iter().enumerate().map(|(n, shape)| made(n, shape)).collect::<Result<_>>()?;
    let there: Vec<Tensor> =
        inputs.iter().map(|input| input.to_device(device)).collect::<candle_core::Result<_>>()?;
    let (inputs, there): (Vec<&Tensor>, Vec<&Tensor>) =
        (inputs.iter().collect(), there.iter().collect());
    let (y, found) = (operator.forward(&inputs)?, composed_output(operator, &there, precision)?);
    let gradient = made(9, y.dims())?;
    let wanted = vec![true; inputs.len()];
    let there_gradient = Gradient::borrowed(gradient.to_device(device)?);
    let step = Step { inputs: &there, output: &found, gradient: &there_gradient, wanted: &wanted };
    let back = composed_gradients(operator, &step, precision)?;
    let gradient = Gradient::borrowed(gradient);
    let step = Step { inputs: &inputs, output: &y, gradient: &gradient, wanted: &wanted };
    let mut largest = distance(&y, &found)?;
    for (expected, found) in operator.backward(&step)?.iter().zip(&back) {
        if let (Some(expected), Some(found)) = (expected, found) {
            largest = largest.max(distance(expected.tensor(), found)?);
        }
    }
    Ok(largest)
}

fn distance(expected: &Tensor, found: &Tensor) -> Result<f32> {
    let (expected, found) = (values(expected)?, values(found)?);
    let largest = |most: f32, (a, b): (&f32, &f32)| {
        let difference = (a - b).abs();
        if difference.is_nan() { f32::INFINITY } else { most.max(difference) }
    };
    let scale = expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
    Ok(expected.iter().zip(&found).fold(0.0, largest) / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_agrees_with_itself() {
        for precision in [Precision::F32, Precision::Bf16] {
            assert_eq!(check(&Device::Cpu, precision), Ok(()));
        }
    }

    #[test]
    fn differences_are_seen() {
        let tensor = |values: [f32; 2]| tensor(values.to_vec(), 2).unwrap();
        let distance = |a, b| distance(&tensor(a), &tensor(b)).unwrap();
        assert!((distance([1.0, 2.0], [1.5, 2.0]) - 0.25).abs() < 1e-6);
        assert!(distance([1.0, f32::NAN], [1.0, 2.0]).is_infinite());
    }
}

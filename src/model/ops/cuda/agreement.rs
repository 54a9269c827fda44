//! Whether a device computes what the processor does.

use crate::model::error::Result;
use crate::model::ops::convolution::{Convolution, Window};
use crate::model::ops::depthwise::Depthwise;
use crate::model::ops::{tensor, values};
use crate::model::tape::{Gradient, Operator, Step};
use candle_core::{Device, Tensor};

/// Largest difference between outputs and gradients of about 1 with the factors' full precision.
const MOST: f32 = 1e-4;

/// Compares small convolutions and all of their gradients: whatever else is wrong with a card, its
/// driver or its libraries, products and copies of it are right. Takes milliseconds.
///
/// # Errors
///
/// Fails if the device cannot compute, or computes something else; says what.
pub(in crate::model) fn check(device: &Device) -> std::result::Result<(), String> {
    let (x, weight, own) = ([2, 3, 9, 8], [4, 3, 3, 3], [3, 1, 3, 3]);
    let half = Window::centred(3, 2);
    let cases: [(&str, &dyn Operator, Vec<Vec<usize>>); 4] = [
        ("convolution", &Convolution(Window::centred(3, 1)), vec![x.into(), weight.into()]),
        ("dilated convolution", &Convolution(Window::dilated(2)), vec![x.into(), weight.into()]),
        ("convolution of stride 2", &Convolution(half), vec![x.into(), weight.into(), vec![4]]),
        ("depthwise convolution", &Depthwise { stride: 2 }, vec![x.into(), own.into()]),
    ];
    for (name, operator, shapes) in cases {
        let difference =
            difference(operator, &shapes, device).map_err(|error| error.to_string())?;
        if difference > MOST {
            return Err(format!("its {name} is {difference:e} off the processor's"));
        }
    }
    Ok(())
}

fn made(seed: usize, shape: &[usize]) -> Result<Tensor> {
    let value = |i: usize| ((i * 37 + seed * 11) % 101) as f32 / 50.5 - 1.0;
    tensor((0..shape.iter().product()).map(value).collect(), shape)
}

/// Largest difference, infinite where one is no number, between the operator on a device and on the processor.
fn difference(operator: &dyn Operator, shapes: &[Vec<usize>], device: &Device) -> Result<f32> {
    let inputs: Vec<Tensor> =
        shapes.iter().enumerate().map(|(n, shape)| made(n, shape)).collect::<Result<_>>()?;
    let there: Vec<Tensor> =
        inputs.iter().map(|input| input.to_device(device)).collect::<candle_core::Result<_>>()?;
    let (inputs, there): (Vec<&Tensor>, Vec<&Tensor>) =
        (inputs.iter().collect(), there.iter().collect());
    let (y, found) = (operator.forward(&inputs)?, operator.compose(&there)?);
    let gradient = made(9, y.dims())?;
    let wanted = vec![true; inputs.len()];
    let there_gradient = Gradient::borrowed(gradient.to_device(device)?);
    let back = operator.compose_back(&Step {
        inputs: &there,
        output: &found,
        gradient: &there_gradient,
        wanted: &wanted,
    })?;
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

fn distance(a: &Tensor, b: &Tensor) -> Result<f32> {
    let (a, b) = (values(a)?, values(b)?);
    let largest = |most: f32, (a, b): (&f32, &f32)| {
        let difference = (a - b).abs();
        if difference.is_nan() { f32::INFINITY } else { most.max(difference) }
    };
    Ok(a.iter().zip(&b).fold(0.0, largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_agrees_with_itself() {
        assert_eq!(check(&Device::Cpu), Ok(()));
    }

    #[test]
    fn differences_are_seen() {
        let tensor = |values: [f32; 2]| tensor(values.to_vec(), 2).unwrap();
        let distance = |a, b| distance(&tensor(a), &tensor(b)).unwrap();
        assert!((distance([1.0, 2.0], [1.5, 2.0]) - 0.5).abs() < 1e-6);
        assert!(distance([1.0, f32::NAN], [1.0, 2.0]).is_infinite());
    }
}

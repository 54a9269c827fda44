//! Composed operators compared with the processor's, for odd shapes.

use crate::backend::Backend;
use crate::device::composed_backends;
use crate::operator::Composed;
use crate::operator::{Gradient, Operator, Step};
use crate::ops::bilinear::Bilinear;
use crate::ops::channel_gate::ChannelGate;
use crate::ops::check::random;
use crate::ops::concatenation::{Concatenation, Enlargement};
use crate::ops::convolution::Convolution;
use crate::ops::depthwise::Depthwise;
use crate::ops::global_mean::GlobalMean;
use crate::ops::max_pool::MaxPool;
use crate::ops::mean_logit::MeanLogit;
use crate::ops::multiplication::Multiplication;
use crate::ops::normalised_sum::{ChannelStatistics, NormalisedSum, Term, recorded_statistics};
use crate::ops::threshold_dynamics::ThresholdDynamics;
use crate::ops::up_convolution::UpConvolution;
use crate::ops::window::Window;
use crate::tensors::{tensor, values};
use candle_core::{Device, Tensor};
use std::rc::Rc;

type Make<'a> = &'a dyn Fn(&Device) -> Box<dyn Operator>;

/// Asserts that outputs and gradients of both implementations agree within rounding, on every
/// device.
fn assert_same(make: Make, shapes: &[&[usize]]) {
    let inputs: Vec<Tensor> =
        shapes.iter().enumerate().map(|(n, shape)| random(shape, n as u64 + 1)).collect();
    assert_same_of(make, &inputs.iter().collect::<Vec<_>>());
}

fn assert_same_of(make: Make, inputs: &[&Tensor]) {
    let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.dims()).collect();
    let operator = make(&Device::Cpu);
    let y = operator.forward(inputs).unwrap();
    let gradient = Gradient::new(random(y.dims(), 99));
    let wanted = vec![true; inputs.len()];
    let step = Step { inputs, output: &y, gradient: &gradient, wanted: &wanted };
    let expected = operator.backward(&step).unwrap();
    for Backend { device, .. } in composed_backends() {
        let operator = make(device);
        let there: Vec<Tensor> = inputs.iter().map(|x| x.to_device(device).unwrap()).collect();
        let there: Vec<&Tensor> = there.iter().collect();
        let found = operator.compose(&there).unwrap();
        assert_close(&format!("{shapes:?}"), &found, &y);
        let gradient = Gradient::borrowed(gradient.tensor().to_device(device).unwrap());
        let step = Step { inputs: &there, output: &found, gradient: &gradient, wanted: &wanted };
        let found = operator.compose_back(&step).unwrap();
        assert_eq!(found.len(), expected.len());
        for (n, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let what = format!("{shapes:?}, gradient {n}");
            assert_close(&what, found.as_ref().unwrap(), expected.as_ref().unwrap().tensor());
        }
        let wanted = vec![false; inputs.len()];
        let found = operator.compose_back(&Step { wanted: &wanted, ..step }).unwrap();
        assert_eq!(found.len(), inputs.len());
    }
}

fn assert_close(what: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (values(found).unwrap(), values(expected).unwrap());
    let largest = expected.iter().fold(1.0f32, |m, e| m.max(e.abs()));
    for (f, e) in found.iter().zip(&expected) {
        assert!((f - e).abs() < 2e-6 * largest, "{what}: {f}, expected {e}");
    }
}

#[test]
fn convolutions() {
    let windows = [
        Window::centred(1, 1),
        Window::centred(1, 2),
        Window::centred(3, 1),
        Window::centred(3, 2),
        Window::centred(7, 2),
        Window::centred(5, 3),
        Window::dilated(2),
        Window::dilated(15),
        Window { size: 3, stride: 2, padding: 0, dilation: 2 },
        Window { size: 2, stride: 1, padding: 3, dilation: 1 },
        Window { size: 2, stride: 3, padding: 1, dilation: 3 },
    ];
    for window in windows {
        for [images, channels, filters, height, width] in
            [[1, 1, 1, 5, 5], [2, 3, 4, 7, 12], [1, 2, 5, 8, 6], [3, 4, 1, 9, 9]]
        {
            let (x, w) = ([images, channels, height, width], window.size);
            let weight = [filters, channels, w, w];
            assert_same(&|_| Box::new(Convolution(window)), &[&x, &weight]);
            assert_same(&|_| Box::new(Convolution(window)), &[&x, &weight, &[filters]]);
        }
    }
}

#[test]
fn convolutions_of_single_channels() {
    for stride in [1, 2] {
        for [images, channels, height, width] in
            [[1, 1, 1, 1], [2, 3, 7, 12], [1, 5, 8, 6], [3, 1, 2, 9]]
        {
            let x = [images, channels, height, width];
            assert_same(&|_| Box::new(Depthwise { stride }), &[&x, &[channels, 1, 3, 3]]);
        }
    }
    assert_same(&|_| Box::new(UpConvolution), &[&[1, 1, 1, 1], &[1, 1, 2, 2], &[1]]);
    assert_same(&|_| Box::new(UpConvolution), &[&[2, 3, 5, 4], &[3, 7, 2, 2], &[7]]);
}

#[test]
fn maxima() {
    let windows = [Window::centred(3, 2), Window::centred(3, 1), Window::centred(5, 3)];
    for window in windows.into_iter().chain([MaxPool::HALF.0]) {
        let pool = |_: &Device| Box::new(MaxPool(window)) as Box<dyn Operator>;
        for shape in [[1, 1, 2, 2], [2, 3, 7, 12], [1, 2, 9, 5]] {
            assert_same(&pool, &[&shape]);
            // All values equal, and equal rows: the first takes the gradient.
            assert_same_of(&pool, &[&random(&shape, 1).zeros_like().unwrap()]);
            let steps = (random(&shape, 1) * 2.0).unwrap().round().unwrap();
            assert_same_of(&pool, &[&steps]);
        }
    }
}

#[test]
fn other_sizes() {
    for (shape, size) in [([2, 2, 3, 5], [7, 11]), ([1, 2, 5, 7], [2, 3]), ([1, 1, 1, 1], [3, 2])] {
        assert_same(&|_| Box::new(Bilinear { size }), &[&shape]);
    }
    for how in [Enlargement::Nearest, Enlargement::Bilinear] {
        let concatenation =
            |_: &Device| Box::new(Concatenation { enlarged: Some(how) }) as Box<dyn Operator>;
        assert_same(&concatenation, &[&[1, 1, 1, 1], &[1, 2, 2, 2]]);
        assert_same(&concatenation, &[&[2, 3, 5, 3], &[2, 1, 10, 6], &[2, 2, 10, 6]]);
    }
    let concatenation =
        |_: &Device| Box::new(Concatenation { enlarged: None }) as Box<dyn Operator>;
    assert_same(&concatenation, &[&[2, 3, 5, 3], &[2, 1, 5, 3]]);
    assert_same(&concatenation, &[&[1, 3, 1, 3]]);
}

#[test]
fn sums_and_norms() {
    let batch = || Term::Batch(Rc::default());
    let fixed = |device: &Device| {
        let on = |values: [f32; 3]| tensor(values.to_vec(), 3).unwrap().to_device(device).unwrap();
        let (mean, variance) = (on([0.2, -0.3, 0.1]), on([0.5, 2.0, 0.1]));
        Term::Fixed(ChannelStatistics { mean, variance, count: 0 })
    };
    for shape in [[1, 3, 1, 2], [2, 3, 7, 5]] {
        for rectified in [false, true] {
            let sum = |terms| Box::new(NormalisedSum { terms, rectified });
            assert_same(&|_| sum(vec![batch()]), &[&shape, &[3], &[3]]);
            assert_same(&|device| sum(vec![fixed(device)]), &[&shape, &[3], &[3]]);
            assert_same(&|_| sum(vec![Term::Plain, Term::Plain]), &[&shape, &shape]);
            let shapes: [&[usize]; 7] = [&shape, &[3], &[3], &shape, &shape, &[3], &[3]];
            assert_same(&|device| sum(vec![batch(), Term::Plain, fixed(device)]), &shapes);
        }
    }
    // One value per channel: no deviation.
    let alone = |_: &Device| {
        Box::new(NormalisedSum { terms: vec![batch()], rectified: false }) as Box<dyn Operator>
    };
    assert_same(&alone, &[&[1, 3, 1, 1], &[3], &[3]]);
}

#[test]
fn a_batchs_statistics_are_left() {
    let x = (random(&[3, 2, 5, 7], 1) + 1000.0).unwrap();
    let (scale, shift) = (random(&[2], 2), random(&[2], 3));
    let inputs = [&x, &scale, &shift];
    let [host, composed] = [false, true].map(|composed| {
        let found = Rc::default();
        let terms = vec![Term::Batch(Rc::clone(&found))];
        let sum = NormalisedSum { terms, rectified: true };
        if composed {
            sum.compose(&inputs).unwrap()
        } else {
            sum.forward(&inputs).unwrap()
        };
        recorded_statistics(&found).unwrap()
    });
    assert_eq!(host.count, composed.count);
    for (host, composed, most) in
        [(host.mean, composed.mean, 1e-3), (host.variance, composed.variance, 1e-5)]
    {
        for (host, composed) in values(&host).unwrap().iter().zip(values(&composed).unwrap()) {
            assert!((host - composed).abs() < most, "{host} {composed}");
        }
    }
}

#[test]
fn means_and_products() {
    for shape in [[1, 1, 1, 1], [3, 4, 2, 5]] {
        let [images, channels, ..] = shape;
        assert_same(&|_| Box::new(GlobalMean), &[&shape]);
        assert_same(&|_| Box::new(MeanLogit), &[&shape, &[1, channels], &[1]]);
        assert_same(&|_| Box::new(Multiplication), &[&shape, &shape]);
        assert_same(&|_| Box::new(ChannelGate), &[&shape, &[images, channels, 1, 1]]);
    }
}

#[test]
fn dynamics() {
    for (size, radius) in [([9, 7], 5), ([1, 1], 5), ([2, 17], 1), ([4, 3], 0)] {
        let learnt = [(false, true, 10), (true, true, 10), (true, true, 0)];
        let fixed = [(false, false, 10), (true, false, 10), (false, false, 0)];
        for (has_prior, is_learnt, steps) in fixed.into_iter().chain(learnt) {
            let dynamics = |device: &Device| {
                let nodule_probability =
                    tensor(vec![0.9, 0.2], 2).unwrap().to_device(device).unwrap();
                let nodule_probability = has_prior.then_some(nodule_probability);
                let (boundary, entropy) = ((!is_learnt).then_some(0.7), 1.3);
                Box::new(ThresholdDynamics { nodule_probability, steps, radius, boundary, entropy })
                    as Box<dyn Operator>
            };
            let u = (random(&[2, 1, size[0], size[1]], 1) * 4.0).unwrap();
            let (sigma, l2, l1) = (random(&[1], 2), random(&[1], 3), random(&[1], 4));
            let (l1, l2) = (is_learnt.then_some(&l1), has_prior.then_some(&l2));
            let inputs: Vec<&Tensor> =
                [Some(&u), Some(&sigma), l1, l2].into_iter().flatten().collect();
            assert_same_of(&dynamics, &inputs);
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused_as_on_the_processor() {
    let (x, w) = (random(&[1, 2, 5, 5], 1), random(&[4, 3, 3, 3], 2));
    let cases: [(&dyn Operator, Vec<&Tensor>); 6] = [
        (&Convolution(Window::centred(3, 1)), vec![&x, &w]),
        (&Depthwise { stride: 1 }, vec![&x, &w]),
        (&Multiplication, vec![&x, &w]),
        (&ChannelGate, vec![&x, &w]),
        (&MaxPool(Window { size: 9, stride: 1, padding: 0, dilation: 1 }), vec![&x]),
        (&Concatenation { enlarged: None }, vec![&x, &w]),
    ];
    for (operator, inputs) in cases {
        let expected = operator.forward(&inputs).unwrap_err().to_string();
        assert_eq!(operator.compose(&inputs).unwrap_err().to_string(), expected);
    }
}

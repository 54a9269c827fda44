use super::super::check::{assert_gradients, output, random};
use super::super::sigmoid::softplus_inverse;
use super::*;

fn raw(value: f64) -> Tensor {
    tensor(vec![softplus_inverse(value) as f32], 1).unwrap()
}

fn dynamics(nodule_probability: Option<Vec<f32>>, steps: usize) -> ThresholdDynamics {
    let nodule_probability = nodule_probability.map(|nodule_probability| {
        tensor(nodule_probability.clone(), nodule_probability.len()).unwrap()
    });
    ThresholdDynamics { nodule_probability, steps, radius: 5, boundary: Some(1.0), entropy: 1.0 }
}

#[test]
fn a_learnt_boundary_weighs_as_much_as_one_that_is_set() {
    let u = random(&[2, 1, 6, 5], 1).affine(3.0, 0.0).unwrap();
    for prior in [None, Some(vec![0.8, 0.1])] {
        let set = ThresholdDynamics { boundary: Some(0.7), ..dynamics(prior.clone(), 10) };
        let learnt = ThresholdDynamics { boundary: None, ..dynamics(prior.clone(), 10) };
        let l2 = prior.map(|_| raw(0.7));
        let inputs = |l1: Option<Tensor>| -> Vec<Tensor> {
            [Some(u.clone()), Some(raw(1.3)), l1, l2.clone()].into_iter().flatten().collect()
        };
        let (expected, found) =
            (output(&set, &inputs(None)), output(&learnt, &inputs(Some(raw(0.7)))));
        let off = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "{off}");
    }
}

#[test]
fn a_constant_image_has_no_boundary() {
    // k*(1 - 2x) is 1 - 2x here, also at the border.
    let u = tensor(vec![0.7; 48], (1, 1, 6, 8)).unwrap();
    let found = output(&dynamics(None, 2), &[u, raw(1.0)]);
    let mut v = 0.7f64;
    for _ in 0..2 {
        v = 0.7 - (1.0 - 2.0 / (1.0 + (-v).exp()));
    }
    assert!(found.iter().all(|f| (f64::from(*f) - v).abs() < 1e-6), "{found:?} {v}");
}

#[test]
fn a_low_nodule_probability_lowers_every_pixel_and_certainty_none() {
    let u = tensor(vec![0.3; 32], (2, 1, 4, 4)).unwrap();
    let found = output(&dynamics(Some(vec![1.0, 0.25]), 1), &[u, raw(1.0), raw(2.0)]);
    for pixel in &found[16..] {
        assert!((found[0] - pixel - 2.0 * 0.75).abs() < 1e-6);
    }
}

#[test]
fn a_lone_pixel_is_smoothed_away() {
    let mut u = vec![-3.0; 15 * 15];
    u[7 * 15 + 7] = 0.5;
    let u = tensor(u, (1, 1, 15, 15)).unwrap();
    let found = output(&dynamics(None, 10), &[u, raw(1.0)]);
    assert!(found.iter().all(|v| *v < 0.0));
}

#[test]
fn the_kernel_is_a_normalised_gaussian() {
    let (kernel, slope) = gaussian(1.0, 5);
    assert_eq!(kernel.len(), 11);
    assert!((kernel.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    assert!((kernel[5] - 0.398_942_3).abs() < 1e-6 && (kernel[4] - 0.241_970_7).abs() < 1e-6);
    assert!(slope.iter().sum::<f32>().abs() < 1e-6 && slope[5] < 0.0 && slope[3] > 0.0);
}

#[test]
fn gradients_are_difference_quotients() {
    let u = random(&[2, 1, 6, 5], 1).affine(3.0, 0.0).unwrap();
    let with_prior = || dynamics(Some(vec![0.8, 0.1]), 10);
    let inputs = [u.clone(), raw(1.3), raw(0.7)];
    assert_gradients(|| Box::new(with_prior()), &inputs, 2e-2, 2e-3);
    let other = || ThresholdDynamics { boundary: Some(0.5), entropy: 1.5, ..dynamics(None, 3) };
    assert_gradients(|| Box::new(other()), &[u.clone(), raw(0.6)], 2e-2, 2e-3);
    let learnt = |prior| ThresholdDynamics { boundary: None, entropy: 1.5, ..dynamics(prior, 10) };
    let inputs = [u, raw(1.3), raw(0.4), raw(0.7)];
    assert_gradients(|| Box::new(learnt(None)), &inputs[..3], 2e-2, 2e-3);
    assert_gradients(|| Box::new(learnt(Some(vec![0.8, 0.1]))), &inputs, 2e-2, 2e-3);
}

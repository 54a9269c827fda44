use super::super::check::{assert_gradients, output, random};
use super::*;

/// The definition, one element at a time.
fn reference(window: Window, x: &Tensor, w: &Tensor, bias: Option<&[f32]>) -> Vec<f32> {
    let (b, c, h, wd) = x.dims4().unwrap();
    let d = w.dims()[0];
    let (ho, wo) = (window.output(h).unwrap(), window.output(wd).unwrap());
    let (x, w) = (view(x).unwrap(), view(w).unwrap());
    let mut y = Vec::new();
    for i in 0..b * d * ho * wo {
        let (image, o, oy, ox) = (i / (d * ho * wo), i / (ho * wo) % d, i / wo % ho, i % wo);
        let mut sum = bias.map_or(0.0, |bias| f64::from(bias[o]));
        for k in 0..c * window.size * window.size {
            let (ci, ky, kx) =
                (k / (window.size * window.size), k / window.size % window.size, k % window.size);
            let iy = oy * window.stride + ky * window.dilation;
            let ix = ox * window.stride + kx * window.dilation;
            let inside = |i: usize, n| i >= window.padding && i < n + window.padding;
            if inside(iy, h) && inside(ix, wd) {
                let at = ((image * c + ci) * h + iy - window.padding) * wd + ix - window.padding;
                sum += f64::from(x[at]) * f64::from(w[o * c * window.size * window.size + k]);
            }
        }
        y.push(sum as f32);
    }
    y
}

fn windows() -> Vec<Window> {
    let dilated = |dilation| Window { size: 3, stride: 1, padding: dilation, dilation };
    vec![
        Window::centred(3, 1),
        Window::centred(3, 2),
        Window::centred(1, 1),
        Window::centred(1, 2),
        Window::centred(7, 2),
        dilated(2),
        dilated(5),
        dilated(10),
        Window { size: 3, stride: 2, padding: 2, dilation: 2 },
        Window { size: 3, stride: 1, padding: 0, dilation: 1 },
        Window { size: 2, stride: 3, padding: 1, dilation: 1 },
        Window { size: 1, stride: 1, padding: 1, dilation: 1 },
    ]
}

#[test]
fn the_output_is_the_definitions() {
    for window in windows() {
        let x = random(&[2, 3, 9, 8], 1);
        let w = random(&[4, 3, window.size, window.size], 2);
        let bias = random(&[4], 3);
        let expected = reference(window, &x, &w, Some(&view(&bias).unwrap()));
        let found = output(&Convolution(window), &[x.clone(), w.clone(), bias]);
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(&expected) {
            assert!((f - e).abs() < 1e-5, "{window:?}: {f} {e}");
        }
        let plain = output(&Convolution(window), &[x.clone(), w.clone()]);
        let expected = reference(window, &x, &w, None);
        assert!(plain.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-5));
    }
}

#[test]
fn gradients_are_difference_quotients() {
    for window in windows() {
        let inputs = [
            random(&[2, 3, 7, 6], 1),
            random(&[2, 3, window.size, window.size], 2),
            random(&[2], 3),
        ];
        assert_gradients(|| Box::new(Convolution(window)), &inputs, 0.5, 1e-5);
    }
}

#[test]
fn wide_images_of_few_channels_make_no_difference() {
    for (channels, filters, width, dilation) in [(2, 3, 32, 1), (3, 9, 37, 2), (2, 16, 40, 5)] {
        let window = Window { size: 3, stride: 1, padding: dilation, dilation };
        let x = random(&[2, channels, 12, width], 1);
        let w = random(&[filters, channels, 3, 3], 2);
        let bias = random(&[filters], 3);
        let inputs = [x.clone(), w.clone(), bias.clone()];
        assert!(Convolution(window).sizes(&[&x, &w, &bias]).unwrap().direct().is_some());
        let expected = reference(window, &x, &w, Some(&view(&bias).unwrap()));
        let found = output(&Convolution(window), &inputs);
        assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-5));
        if filters < 16 {
            assert_gradients(|| Box::new(Convolution(window)), &inputs, 0.5, 1e-5);
        }
    }
}

#[test]
fn stacked_images_make_no_difference() {
    for window in windows() {
        let inputs = [
            random(&[5, 2, 5, 4], 1),
            random(&[3, 2, window.size, window.size], 2),
            random(&[3], 3),
        ];
        let [x, w, bias] = &inputs;
        let expected = reference(window, x, w, Some(&view(bias).unwrap()));
        let found = output(&Convolution(window), &inputs);
        assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-5), "{window:?}");
        assert_gradients(|| Box::new(Convolution(window)), &inputs, 0.5, 1e-5);
    }
}

#[test]
fn tiles_and_parts_join_without_a_seam() {
    // Deep enough for several tiles, and with enough images for several parts.
    let window = Window { size: 3, stride: 1, padding: 5, dilation: 5 };
    let (x, w) = (random(&[5, 65, 40, 40], 1), random(&[128, 65, 3, 3], 2));
    let operator = Convolution(window);
    let sizes = operator.sizes(&[&x, &w]).unwrap();
    assert!(sizes.direct().is_none() && sizes.strips().unwrap().tile_rows() < 40);
    let found = output(&operator, &[x.clone(), w.clone()]);
    let expected = reference(window, &x, &w, None);
    assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-3));
    // The gradient of the sum with respect to a weight is the sum of its factors.
    let y = operator.forward(&[&x, &w]).unwrap();
    let gradient = Gradient::new(y.ones_like().unwrap());
    let step = Step { inputs: &[&x, &w], output: &y, gradient: &gradient, wanted: &[false, true] };
    let found = operator.backward(&step).unwrap().remove(1).unwrap();
    let (found, x) = (view(found.tensor()).unwrap(), view(&x).unwrap());
    for (c, sum) in (0..65).map(|c| {
        let plane = |b: usize| &x[(b * 65 + c) * 1600..(b * 65 + c + 1) * 1600];
        (c, (0..5).map(|b| plane(b).iter().sum::<f32>()).sum::<f32>())
    }) {
        assert!((found[(7 * 65 + c) * 9 + 4] - sum).abs() < 2e-2);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let window = Window::centred(3, 1);
    let operator = Convolution(window);
    let bad = |x: &[usize], w: &[usize]| {
        operator.forward(&[&random(x, 1), &random(w, 2)]).unwrap_err().to_string()
    };
    assert!(bad(&[1, 2, 8, 8], &[4, 3, 3, 3]).contains("[1, 2, 8, 8], [4, 3, 3, 3]"));
    assert!(bad(&[1, 2, 8, 8], &[4, 2, 5, 5]).starts_with("convolution: Window"));
    assert!(bad(&[2, 8, 8], &[4, 2, 3, 3]).starts_with("convolution: Window"));
}

//! The network against `PyTorch`: numbers made by `tests/golden/network.py`, in double precision.

use super::batch::{self, Example};
use super::checkpoint::{self, Description};
use super::config::{Config, Preset};
use super::device::Device;
use super::error::Error;
use super::infer::Predictor;
use super::layers::Pass;
use super::loss;
use super::ops::{tensor, view};
use super::parameters::Parameters;
use super::phase::Phase;
use super::proposed::Proposed;
use super::train::Trainer;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    parameters: BTreeMap<String, Vec<usize>>,
    plain: Case,
    std_prior: Case,
}

#[derive(Deserialize)]
struct Case {
    evaluation: Outputs,
    training: Training,
    after_a_step: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Outputs {
    logits: Vec<f64>,
    scores: Vec<f64>,
}

#[derive(Deserialize)]
struct Training {
    logits: Vec<f64>,
    scores: Vec<f64>,
    loss: f64,
    gradients: BTreeMap<String, [f64; 2]>,
}

const SIDE: usize = 64;

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../tests/golden/network.json")).unwrap()
}

fn config() -> Config {
    Config { image_size: SIDE, width: 2, classifier_width: 4, ..Config::preset(Preset::Tiny) }
}

/// `numbers` of the Python file.
fn numbers(seed: usize, n: usize) -> Vec<f32> {
    let number = |i: usize| {
        let mut x = (i as u32).wrapping_mul(2_654_435_761);
        x = x.wrapping_add((seed as u32).wrapping_mul(40_503));
        x ^= x >> 15;
        x = x.wrapping_mul(2_246_822_519);
        x ^= x >> 13;
        (f64::from(x) / 2.0f64.powi(31) - 1.0) as f32
    };
    (0..n).map(number).collect()
}

/// `fill` of the Python file.
fn parameters() -> Parameters {
    let (_, specs) = Proposed::new(&config()).unwrap();
    let mut parameters = Parameters::draw(specs, 0).unwrap();
    let mut order: Vec<usize> = (0..parameters.specs.len()).collect();
    order.sort_by_key(|&i| parameters.specs[i].name.clone());
    for (seed, i) in order.into_iter().enumerate() {
        let spec = &parameters.specs[i];
        let fan_in: usize = spec.shape[1..].iter().product();
        let scale = spec.name.ends_with("running_var")
            || spec.shape.len() == 1 && spec.name.ends_with(".weight");
        let values = numbers(seed, spec.shape.iter().product()).into_iter().map(|x| {
            if scale {
                1.0 + x / 2.0
            } else if spec.shape.len() > 1 {
                x * (3.0 / fan_in as f64).sqrt() as f32
            } else {
                x / 2.0
            }
        });
        parameters.tensors[i] = tensor(values.collect(), spec.shape.as_slice()).unwrap();
    }
    parameters
}

fn examples() -> Vec<Example> {
    let pixels = numbers(1000, 3 * SIDE * SIDE);
    let example = |n: usize| {
        let image = &pixels[n * SIDE * SIDE..(n + 1) * SIDE * SIDE];
        let inside = |p: usize| {
            let (di, dj) = ((p % SIDE).abs_diff(40 - 6 * n), (p / SIDE).abs_diff(20 + 5 * n));
            di * di + dj * dj < 16 * n * n
        };
        Example {
            image: image.iter().map(|x| x / 2.0 + 0.5).collect(),
            mask: (0..SIDE * SIDE).map(|p| u8::from(inside(p))).collect(),
            has_nodule: n > 0,
        }
    };
    (0..3).map(example).collect()
}

fn assert_close(what: &str, found: impl IntoIterator<Item = f32>, expected: &[f64]) {
    let found: Vec<f32> = found.into_iter().collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1.0f64, |m, e| m.max(e.abs()));
    for (f, e) in found.iter().zip(expected) {
        assert!((f64::from(*f) - e).abs() < 1e-3 * largest, "{what}: {f}, PyTorch {e}");
    }
}

#[test]
fn names_and_shapes_are_pytorchs() {
    let found: BTreeMap<_, _> = super::parameter_table(&config()).unwrap().into_iter().collect();
    assert_eq!(found, golden().parameters);
}

#[test]
fn outputs_and_gradients_are_pytorchs() {
    let golden = golden();
    let parameters = parameters();
    let (network, specs) = Proposed::new(&config()).unwrap();
    let examples = examples();
    let input = || batch::input(examples.iter().map(|e| e.image.as_slice()), SIDE).unwrap();
    for (std, case) in [(false, golden.plain), (true, golden.std_prior)] {
        let found = network.forward(&mut Pass::evaluation(&parameters), &input(), std).unwrap();
        let sample = |logits: &[f32]| logits.iter().step_by(397).copied().collect::<Vec<f32>>();
        let logits = view(found.logits.tensor()).unwrap();
        assert_close("evaluation", sample(&logits), &case.evaluation.logits);
        let scores = view(found.nodule_logit.tensor()).unwrap().to_vec();
        assert_close("evaluation's scores", scores, &case.evaluation.scores);

        let trained: Vec<bool> = specs.iter().map(|spec| spec.trained).collect();
        let mut pass = Pass::training(&parameters, &trained);
        let found = network.forward(&mut pass, &input(), std).unwrap();
        let logits = view(found.logits.tensor()).unwrap().to_vec();
        let scores = view(found.nodule_logit.tensor()).unwrap().to_vec();
        assert_close("training", sample(&logits), &case.training.logits);
        assert_close("training's scores", scores.clone(), &case.training.scores);
        let masks: Vec<u8> = examples.iter().flat_map(|e| e.mask.clone()).collect();
        let pixels = loss::segmentation(&logits, &masks, SIDE * SIDE);
        let images = loss::classification(&scores, &[false, true, true]);
        assert_close("loss", [(pixels.value + images.value) as f32], &[case.training.loss]);
        let seed = |gradient, shape| tensor(gradient, shape).unwrap();
        let (tape, _) = pass.finish();
        let gradients = tape
            .backward(vec![
                (found.logits, seed(pixels.gradient, vec![3, 1, SIDE, SIDE])),
                (found.nodule_logit, seed(images.gradient, vec![3])),
            ])
            .unwrap();
        let mut seen = 0;
        for (index, gradient) in gradients.iter() {
            let name = &specs[index].name;
            let gradient = view(gradient).unwrap();
            let [norm, product] = case.training.gradients[name];
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let found =
                [dot(&gradient, &gradient).sqrt(), dot(&gradient, &numbers(7, gradient.len()))];
            for (f, e) in found.iter().zip([norm, product]) {
                // Where a norm follows, the gradient of a shift is 0 but for rounding.
                assert!((f - e).abs() < 5e-3 * norm + 1e-4, "{name}: {found:?}, {norm} {product}");
            }
            seen += 1;
        }
        assert_eq!(seen, case.training.gradients.len());
    }
}

#[test]
fn a_step_of_training_is_pytorchs() {
    let golden = golden();
    let folder = tempfile::tempdir().unwrap();
    for (std, case) in [(false, golden.plain), (true, golden.std_prior)] {
        let description = Description { config: config(), std, metadata: ().into() };
        checkpoint::save(folder.path(), &parameters(), &description).unwrap();
        let predictor = Predictor::load(folder.path(), &Device::Cpu).unwrap();
        let images: Vec<Vec<f32>> = examples().into_iter().map(|e| e.image).collect();
        let probabilities =
            predictor.predict(&images).unwrap().into_iter().flat_map(|p| p.probability);
        let expected: Vec<f64> =
            case.evaluation.logits.iter().map(|v| 1.0 / (1.0 + (-v).exp())).collect();
        assert_close("probabilities", probabilities.step_by(397), &expected);

        let mut trainer = Trainer::new(&config(), 1, &Device::Cpu).unwrap();
        trainer.load_weights(folder.path()).unwrap();
        let phase = Phase { batch: 3, flips: false, std, ..Phase::default() };
        trainer.begin_phase(&phase, false).unwrap();
        let mut stream = examples().into_iter().map(Ok::<_, Error>);
        let log = trainer.epoch(&phase, 1, &mut stream).unwrap();
        assert_close("loss", [log.loss as f32], &[case.training.loss]);
        trainer.save_checkpoint(folder.path(), &().into()).unwrap();
        let after = checkpoint::read(&folder.path().join("model.safetensors")).unwrap();
        for (name, expected) in case.after_a_step {
            assert_close(&name, [after[&name].1[0]], &[expected]);
        }
    }
}

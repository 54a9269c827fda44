//! The network of arXiv 2410.20154 ("Detection-guided deep learning-based model with spatial
//! regularization for lung nodule segmentation", QIMS 2025): a classifier guides a segmenter by its
//! features and by its score.

use super::config::{Config, Mode};
use super::error::Result;
use super::layers::{Addend, BatchNorm, Combination, Conv, Pass, Pyramid, ResidualUnit, up};
use super::ops::convolution::Window;
use super::ops::sigmoid::{sigmoids, softplus_inverse};
use super::ops::threshold_dynamics::ThresholdDynamics;
use super::ops::view;
use super::parameters::{Scope, Spec, Start};
use super::resnet::ResNet;
use super::tape::Value;

/// S1: 3 × 3 convolution, norm, `ReLU`, 3 × 3 convolution; skip path as in [`ResidualUnit`].
struct Stem {
    conv1: Conv,
    norm: BatchNorm,
    conv2: Conv,
    skip: Conv,
    skip_norm: BatchNorm,
}

impl Stem {
    fn new(scope: &mut Scope, width: usize) -> Self {
        let window = Window::centred(3, 1);
        let mut main = scope.inner("main");
        let conv1 = Conv::new(main.inner("conv1"), [1, width], window);
        let norm = BatchNorm::new(main.inner("bn"), width);
        let conv2 = Conv::new(main.inner("conv2"), [width; 2], window);
        let mut inner = scope.inner("skip");
        let skip = Conv::new(inner.inner("conv"), [1, width], Window::centred(1, 1));
        let skip_norm = BatchNorm::new(inner.inner("bn"), width);
        Self { conv1, norm, conv2, skip, skip_norm }
    }

    fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let main = pass.sum(&[Addend::Convolved(&self.conv1, Some(self.norm), x)], true)?;
        let main = Addend::Convolved(&self.conv2, None, &main);
        pass.sum(&[main, Addend::Convolved(&self.skip, Some(self.skip_norm), x)], false)
    }
}

struct Segmenter {
    s1: Stem,
    /// S2 to S5, each with its combination.
    encoder: Vec<(ResidualUnit, Option<Combination>)>,
    s5_pyramid: Pyramid,
    /// S6 to S9.
    decoder: Vec<ResidualUnit>,
    s9_pyramid: Pyramid,
    out: Conv,
}

impl Segmenter {
    fn new(scope: &mut Scope, config: &Config) -> Self {
        let w = config.width;
        let s1 = Stem::new(&mut scope.inner("s1"), w);
        let mut encoder = Vec::new();
        for i in 0..4 {
            let mut scope = scope.inner(&format!("s{}", i + 2));
            let (from, to) = (w << i, w << (i + 1));
            let unit = ResidualUnit::new(&mut scope, [from, to], 2);
            let classifier = config.classifier_width << if i == 0 { 0 } else { i + 1 };
            let combination = config
                .combination
                .then(|| Combination::new(&mut scope.inner("combine"), [to, classifier]));
            encoder.push((unit, combination));
        }
        let pyramid = |scope: &mut Scope, channels| {
            Pyramid::new(&mut scope.inner("aspp"), channels, &config.dilations)
        };
        let s5_pyramid = pyramid(&mut scope.inner("s5"), 16 * w);
        let mut decoder = Vec::new();
        for i in (0..4).rev() {
            let (below, to) = (w << (i + 1), w << i);
            let mut scope = scope.inner(&format!("s{}", 9 - i));
            decoder.push(ResidualUnit::new(&mut scope, [below + to, to], 1));
        }
        let mut s9 = scope.inner("s9");
        let s9_pyramid = pyramid(&mut s9, w);
        let out = Conv::with_bias(s9.inner("out"), [w, 1], Window::centred(1, 1));
        Self { s1, encoder, s5_pyramid, decoder, s9_pyramid, out }
    }

    fn forward(&self, pass: &mut Pass, x: &Value, classifier: &[Value; 4]) -> Result<Value> {
        let mut x = self.s1.forward(pass, x)?;
        let mut skips = Vec::new();
        for ((unit, combination), feature) in self.encoder.iter().zip(classifier) {
            let mut next = unit.forward(pass, &x)?;
            if let Some(combination) = combination {
                next = combination.forward(pass, &next, feature)?;
            }
            skips.push(std::mem::replace(&mut x, next));
        }
        x = self.s5_pyramid.forward(pass, &x, None)?;
        for (unit, skip) in self.decoder.iter().zip(skips.iter().rev()) {
            x = up(pass, &x, skip)?;
            x = unit.forward(pass, &x)?;
        }
        self.s9_pyramid.forward(pass, &x, Some(&self.out))
    }
}

/// The network.
pub(super) struct Proposed {
    config: Config,
    classifier: ResNet,
    segmenter: Segmenter,
    sigma: Option<usize>,
    score: Option<usize>,
}

/// What the network finds in a batch.
pub(super) struct Found {
    /// Before the logistic function, `[B, 1, H, W]`.
    pub(super) logits: Value,
    /// Before the logistic function, `[B]`.
    pub(super) nodule_logit: Value,
}

impl Proposed {
    /// The network and what its parameters are.
    ///
    /// # Errors
    ///
    /// Fails if the configuration makes no network.
    pub(super) fn new(config: &Config) -> Result<(Self, Vec<Spec>)> {
        config.check()?;
        let mut specs = Vec::new();
        let mut scope = Scope::new(&mut specs);
        let classifier = ResNet::new(&mut scope.inner("classifier"), config.classifier_width);
        let segmenter = Segmenter::new(&mut scope.inner("segmenter"), config);
        let mut std = scope.inner("std");
        let mut positive = |name: &str, value: f64| {
            // Stored before softplus, which keeps it positive.
            std.parameter(name, &[1], Start::Constant(softplus_inverse(value) as f32))
        };
        let sigma = (config.mode != Mode::None).then(|| positive("sigma", config.std_sigma));
        let score = (config.mode == Mode::StdPrior).then(|| positive("l2", config.std_score));
        Ok((Self { config: config.clone(), classifier, segmenter, sigma, score }, specs))
    }

    /// Applies it to `[B, 1, image_size, image_size]`; with the threshold dynamics, if there are any, where
    /// `std` is set.
    pub(super) fn forward(&self, pass: &mut Pass, x: &Value, std: bool) -> Result<Found> {
        let features = self.classifier.forward(pass, x)?;
        let u = self.segmenter.forward(pass, x, &features.blocks)?;
        let nodule_logit = features.logit;
        let Some(sigma) = self.sigma.filter(|_| std) else {
            return Ok(Found { logits: u, nodule_logit });
        };
        let sigma = pass.parameter(sigma);
        let l2 = self.score.map(|index| pass.parameter(index));
        // METHOD: the score is a prior; no gradient goes through it into the classifier.
        let score = match &l2 {
            Some(_) => Some(sigmoids(&view(nodule_logit.tensor())?)),
            None => None,
        };
        let operator = ThresholdDynamics {
            score,
            steps: self.config.std_steps,
            radius: self.config.std_radius,
            boundary: self.config.std_boundary as f32,
            entropy: self.config.std_entropy as f32,
        };
        let inputs: Vec<&Value> =
            [Some(&u), Some(&sigma), l2.as_ref()].into_iter().flatten().collect();
        let logits = pass.apply(operator, &inputs)?;
        Ok(Found { logits, nodule_logit })
    }
}

/// Names and shapes of all parameters and running statistics of a network, in weights files' names.
///
/// # Errors
///
/// Fails if the configuration makes no network.
pub fn parameter_table(config: &Config) -> Result<Vec<(String, Vec<usize>)>> {
    let (_, specs) = Proposed::new(config)?;
    Ok(specs.into_iter().map(|spec| (spec.name, spec.shape)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::Preset;
    use crate::model::ops::tensor;
    use crate::model::parameters::Parameters;

    fn shape(config: &Config, name: &str) -> Option<Vec<usize>> {
        let table = parameter_table(config).unwrap();
        table.into_iter().find(|(found, _)| found == name).map(|(_, shape)| shape)
    }

    #[test]
    fn the_papers_network_has_torchvisions_resnet() {
        let config = Config::preset(Preset::Paper);
        let table = parameter_table(&config).unwrap();
        let classifier = table
            .iter()
            .filter(|(name, _)| name.starts_with("classifier.") && !name.contains("running_"));
        let count: usize = classifier.map(|(_, s)| s.iter().product::<usize>()).sum();
        // torchvision's resnet50 has 25 557 032 parameters; less two of three input channels of
        // conv1 and the 1000 classes, plus one score.
        assert_eq!(count, 25_557_032 - 2 * 64 * 49 - 2048 * 1000 - 1000 + 2049);
        let is = |name: &str, expected: &[usize]| {
            assert_eq!(shape(&config, name).as_deref(), Some(expected), "{name}");
        };
        is("classifier.layer1.0.downsample.0.weight", &[256, 64, 1, 1]);
        is("classifier.layer4.2.bn3.running_var", &[2048]);
        is("classifier.fc.weight", &[1, 2048]);
        is("segmenter.s1.main.conv1.weight", &[64, 1, 3, 3]);
        is("segmenter.s2.main.depthwise.weight", &[64, 1, 3, 3]);
        is("segmenter.s5.combine.merge.weight", &[1024, 2048, 1, 1]);
        is("segmenter.s5.aspp.3.conv.weight", &[1024, 1024, 3, 3]);
        is("segmenter.s9.main.pointwise.weight", &[64, 192, 1, 1]);
        is("segmenter.s9.out.bias", &[1]);
        is("std.l2", &[1]);
        let mut names: Vec<&String> = table.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table.len());
    }

    #[test]
    fn each_mode_has_the_parameters_it_uses() {
        let tiny = Config::preset(Preset::Tiny);
        let std = Config { mode: Mode::Std, ..tiny.clone() };
        assert!(shape(&std, "std.sigma").is_some() && shape(&std, "std.l2").is_none());
        let none = Config { mode: Mode::None, combination: false, ..tiny };
        assert!(shape(&none, "std.sigma").is_none());
        assert!(shape(&none, "segmenter.s2.combine.merge.weight").is_none());
    }

    #[test]
    fn an_image_gives_a_logit_for_each_pixel_and_one_for_the_nodule() {
        for mode in [Mode::None, Mode::Std, Mode::StdPrior] {
            let config = Config {
                image_size: 32,
                width: 2,
                classifier_width: 2,
                mode,
                ..Config::preset(Preset::Tiny)
            };
            let (network, specs) = Proposed::new(&config).unwrap();
            let parameters = Parameters::draw(specs, 1).unwrap();
            let run = |std| {
                let values = (0..2 * 32 * 32).map(|i| (i % 7) as f32 / 7.0).collect();
                let x = Value::constant(tensor(values, (2, 1, 32, 32)).unwrap());
                let found = network.forward(&mut Pass::evaluation(&parameters), &x, std).unwrap();
                assert_eq!(found.nodule_logit.tensor().dims(), [2]);
                assert_eq!(found.logits.tensor().dims(), [2, 1, 32, 32]);
                view(found.logits.tensor()).unwrap().to_vec()
            };
            assert!(run(true).iter().all(|v| v.is_finite()));
            assert_eq!(run(true) == run(false), mode == Mode::None);
        }
    }
}

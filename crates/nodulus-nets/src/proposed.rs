//! The network of arXiv 2410.20154 ("Detection-guided deep learning-based model with spatial
//! regularization for lung nodule segmentation", QIMS 2025). A classifier guides a segmenter by its
//! features and by its nodule probability.

use super::config::{Config, DynamicsMode};
use super::error::Result;
use super::layers::{Combination, Conv, Pass, ResidualUnit, Stem, SummedPyramid, up};
use super::ops::concatenation::Enlargement;
use super::ops::sigmoid::softplus_inverse;
use super::ops::threshold_dynamics::ThresholdDynamics;
use super::ops::window::Window;
use super::parameters::{Initialiser, Scope};
use super::resnet::Classifier;
use super::tape::Value;

struct Segmenter {
    s1: Stem,
    /// S2 to S5, each with its combination.
    encoder: Vec<(ResidualUnit, Option<Combination>)>,
    s5_pyramid: SummedPyramid,
    /// S6 to S9.
    decoder: Vec<ResidualUnit>,
    s9_pyramid: SummedPyramid,
    out: Conv,
}

impl Segmenter {
    fn new(scope: &mut Scope, config: &Config) -> Self {
        let w = config.width;
        let s1 = Stem::new(&mut scope.inner("s1"), [config.input_slices, w]);
        let mut encoder = Vec::new();
        for i in 0..4 {
            let mut scope = scope.inner(&format!("s{}", i + 2));
            let (from, to) = (w << i, w << (i + 1));
            let unit = ResidualUnit::separable(&mut scope, [from, to], 2);
            let classifier = config.classifier_width << if i == 0 { 0 } else { i + 1 };
            let combination = config
                .combination
                .then(|| Combination::new(&mut scope.inner("combine"), [to, classifier]));
            encoder.push((unit, combination));
        }
        let pyramid = |scope: &mut Scope, channels| {
            SummedPyramid::new(&mut scope.inner("aspp"), [channels; 2], &config.dilations)
        };
        let s5_pyramid = pyramid(&mut scope.inner("s5"), 16 * w);
        let mut decoder = Vec::new();
        for i in (0..4).rev() {
            let (below, to) = (w << (i + 1), w << i);
            let mut scope = scope.inner(&format!("s{}", 9 - i));
            decoder.push(ResidualUnit::separable(&mut scope, [below + to, to], 1));
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
            x = up(pass, Enlargement::Bilinear, &x, skip)?;
            x = unit.forward(pass, &x)?;
        }
        self.s9_pyramid.forward(pass, &x, Some(&self.out))
    }
}

/// The network.
pub(super) struct Proposed {
    config: Config,
    classifier: Classifier,
    segmenter: Segmenter,
    sigma: Option<usize>,
    /// Weight of the boundary length, where it is learnt.
    boundary: Option<usize>,
    prior_weight: Option<usize>,
}

impl Proposed {
    /// Builds the network of a checked configuration.
    pub(super) fn new(scope: &mut Scope, config: &Config) -> Self {
        let counts = [config.input_slices, config.classifier_width];
        let classifier = Classifier::new(&mut scope.inner("classifier"), counts);
        let segmenter = Segmenter::new(&mut scope.inner("segmenter"), config);
        let mut std = scope.inner("std");
        let mut positive = |name: &str, value: f64| {
            // Stored before softplus, which keeps it positive.
            std.parameter(name, &[1], Initialiser::Constant(softplus_inverse(value) as f32))
        };
        let sigma =
            (config.mode != DynamicsMode::None).then(|| positive("sigma", config.std_sigma));
        let learns_boundary = config.std_learns_boundary && sigma.is_some();
        let boundary = learns_boundary.then(|| positive("l1", config.std_boundary));
        let prior_weight =
            (config.mode == DynamicsMode::StdPrior).then(|| positive("l2", config.std_score));
        Self { config: config.clone(), classifier, segmenter, sigma, boundary, prior_weight }
    }

    /// Logits of pixels, `[B, 1, H, W]`, and of images, `[B]`, for `[B, C, H, W]`; `std` turns on
    /// the threshold dynamics, if the network has them.
    pub(super) fn forward(&self, pass: &mut Pass, x: &Value, std: bool) -> Result<[Value; 2]> {
        let (features, nodule_logit) = self.classifier.forward(pass, x)?;
        let u = self.segmenter.forward(pass, x, &features)?;
        let Some(sigma) = self.sigma.filter(|_| std) else {
            return Ok([u, nodule_logit]);
        };
        let sigma = pass.parameter(sigma);
        let [l1, l2] = [self.boundary, self.prior_weight]
            .map(|weight| weight.map(|index| pass.parameter(index)));
        // METHOD: the nodule probability is a prior; no gradient flows through it into the
        // classifier.
        let nodule_probability = match &l2 {
            Some(_) => Some(pass.detached_sigmoid(&nodule_logit)?),
            None => None,
        };
        let operator = ThresholdDynamics {
            nodule_probability,
            steps: self.config.std_steps,
            radius: self.config.std_radius,
            boundary: l1.is_none().then_some(self.config.std_boundary as f32),
            entropy: self.config.std_entropy as f32,
        };
        let inputs: Vec<&Value> =
            [Some(&u), Some(&sigma), l1.as_ref(), l2.as_ref()].into_iter().flatten().collect();
        let logits = pass.apply(operator, &inputs)?;
        Ok([logits, nodule_logit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;
    use crate::network::{Network, parameter_table};
    use crate::parameters::Parameters;
    use crate::tensors::{tensor, view};

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
        // torchvision's resnet50 has 25 557 032 parameters. Two of three input channels of conv1
        // and the 1000 classes are subtracted, one output is added.
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
        let std = Config { mode: DynamicsMode::Std, ..tiny.clone() };
        assert!(shape(&std, "std.sigma").is_some() && shape(&std, "std.l2").is_none());
        assert!(shape(&std, "std.l1").is_none());
        let learnt = Config { std_learns_boundary: true, ..tiny.clone() };
        assert_eq!(shape(&learnt, "std.l1").as_deref(), Some(&[1][..]));
        let none = Config { mode: DynamicsMode::None, ..learnt };
        assert!(shape(&none, "std.l1").is_none());
        let none = Config { mode: DynamicsMode::None, combination: false, ..tiny };
        assert!(shape(&none, "std.sigma").is_none());
        assert!(shape(&none, "segmenter.s2.combine.merge.weight").is_none());
    }

    fn smallest() -> Config {
        Config { image_size: 32, width: 2, classifier_width: 2, ..Config::preset(Preset::Tiny) }
    }

    /// Logits of pixels and images for the same image and weights; `std` turns on the threshold
    /// dynamics.
    fn found(mode: DynamicsMode, std: bool) -> [Vec<f32>; 2] {
        let config = Config { mode, ..smallest() };
        let (network, specs) = Network::new(&config).unwrap();
        let parameters = Parameters::draw(specs, 1).unwrap();
        let values = (0..2 * 32 * 32).map(|i| (i % 7) as f32 / 7.0).collect();
        let x = Value::constant(tensor(values, (2, 1, 32, 32)).unwrap());
        let found = network.forward(&mut Pass::evaluation(&parameters), &x, std).unwrap();
        [found.logits, found.nodule_logit.unwrap()].map(|v| view(v.tensor()).unwrap().to_vec())
    }

    #[test]
    fn each_mode_changes_what_it_names() {
        let [plain, nodule_logits] = found(DynamicsMode::None, true);
        assert!(plain.iter().chain(&nodule_logits).all(|v| v.is_finite()));
        // Without the dynamics, every mode equals the segmenter alone; with them, the modes differ.
        for mode in [DynamicsMode::Std, DynamicsMode::StdPrior] {
            assert_eq!(found(mode, false), [plain.clone(), nodule_logits.clone()]);
            let [logits, same_logits] = found(mode, true);
            assert!(logits != plain && same_logits == nodule_logits);
        }
        let ([std, _], [prior, _]) =
            (found(DynamicsMode::Std, true), found(DynamicsMode::StdPrior, true));
        assert!(std != prior && std.iter().zip(&prior).all(|(std, prior)| prior <= std));
    }

    /// Logits of two images, and the names of the parameters that their sum has a gradient for.
    fn logits_and_reached(config: &Config) -> (Vec<f32>, Vec<String>) {
        let (network, specs) = Network::new(config).unwrap();
        let trained: Vec<bool> = specs.iter().map(|spec| spec.trained).collect();
        let parameters = Parameters::draw(specs, 1).unwrap();
        let mut pass = Pass::training(&parameters, &trained);
        let values = (0..2 * 32 * 32).map(|i| (i % 7) as f32 / 7.0).collect();
        let x = Value::constant(tensor(values, (2, 1, 32, 32)).unwrap());
        let logits = network.forward(&mut pass, &x, true).unwrap().logits;
        let found = view(logits.tensor()).unwrap().to_vec();
        let gradient = logits.tensor().ones_like().unwrap();
        let (tape, _) = pass.finish();
        let gradients = tape.backward(vec![(logits, gradient)]).unwrap();
        let name = |(index, _): (usize, _)| parameters.specs[index].name.clone();
        (found, gradients.iter().map(name).collect())
    }

    #[test]
    fn a_learnt_boundary_begins_where_a_fixed_one_stays() {
        let is_l1 = |name: &String| name == "std.l1";
        let config = Config { std_boundary: 0.6, std_entropy: 1.2, ..smallest() };
        let (fixed, reached) = logits_and_reached(&config);
        assert!(!reached.iter().any(is_l1));
        let (learnt, reached) = logits_and_reached(&Config { std_learns_boundary: true, ..config });
        assert!(reached.iter().any(is_l1));
        let off = fixed.iter().zip(&learnt).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-4, "{off}");
    }

    #[test]
    fn the_segmenter_sees_the_classifier_through_the_combination_alone() {
        for combination in [false, true] {
            let (_, reached) = logits_and_reached(&Config { combination, ..smallest() });
            // The prior is detached, so only the combination leads to the classifier.
            let is_of_classifier = |name: &String| name.starts_with("classifier.conv1.");
            assert_eq!(reached.iter().any(is_of_classifier), combination);
        }
    }
}

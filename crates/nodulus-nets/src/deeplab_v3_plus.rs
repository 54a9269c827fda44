//! DeepLabv3+: Chen, Zhu, Papandreou, Schroff, Adam, "Encoder-decoder with atrous separable
//! convolution for semantic image segmentation", ECCV 2018 (arXiv 1802.02611).
//!
//! From the paper, with 64 channels at the backbone's first block: atrous spatial pyramid pooling
//! at stride 16 with 256 filters per branch (a 1 × 1 convolution, 3 × 3 convolutions of rates 6,
//! 12, 18, and image-level features); 1 × 1 convolution of all of them to 256; enlargement by four
//! and concatenation with low-level features at stride 4 reduced to 48 channels; two 3 × 3
//! convolutions of 256 filters; logits enlarged by four.
//!
//! METHOD: chosen: ResNet-50 as the backbone (the paper has ResNet-101 and Xception), its last
//! layer dilated as in torchvision and without multi-grid; plain 3 × 3 convolutions (the paper's
//! separable ones go with Xception); bilinear enlargement with pixels as areas (`align_corners =
//! false`, as in torchvision); no dropout and no pre-training; the loss of the proposed network,
//! with which it is compared.

use super::error::Result;
use super::layers::{Conv, ConvUnit, Pass};
use super::ops::bilinear::Bilinear;
use super::ops::concatenation::Concatenation;
use super::ops::global_mean::GlobalMean;
use super::ops::window::Window;
use super::parameters::Scope;
use super::resnet::{Features, OutputStride, ResNet};
use super::tape::Value;

/// Atrous spatial pyramid pooling by concatenation: branches with norm and `ReLU`, concatenated and
/// convolved.
struct ConcatenatedPyramid {
    branches: Vec<ConvUnit>,
    image: ConvUnit,
    out: ConvUnit,
}

impl ConcatenatedPyramid {
    fn new(mut scope: Scope, counts: [usize; 2], dilations: &[usize]) -> Self {
        let point = Window::centred(1, 1);
        let windows = std::iter::once(point).chain(dilations.iter().map(|&d| Window::dilated(d)));
        let mut inner = scope.inner("branches");
        let branches: Vec<ConvUnit> = windows
            .enumerate()
            .map(|(i, window)| ConvUnit::new(inner.inner(&i.to_string()), counts, window))
            .collect();
        let image = ConvUnit::new(scope.inner("image"), counts, point);
        let all = (branches.len() + 1) * counts[1];
        let out = ConvUnit::new(scope.inner("out"), [all, counts[1]], point);
        Self { branches, image, out }
    }

    fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let mut found = Vec::new();
        for branch in &self.branches {
            found.push(branch.forward(pass, x)?);
        }
        let mean = pass.apply(GlobalMean, &[x])?;
        let image = self.image.forward(pass, &mean)?;
        found.push(pass.apply(Bilinear { size: size(x, 1) }, &[&image])?);
        let found: Vec<&Value> = found.iter().collect();
        let all = pass.apply(Concatenation { enlarged: None }, &found)?;
        self.out.forward(pass, &all)
    }
}

/// Rows and columns of an image, times a factor.
fn size(x: &Value, factor: usize) -> [usize; 2] {
    match *x.tensor().dims() {
        [.., height, width] => [height * factor, width * factor],
        _ => [0, 0],
    }
}

/// The network.
pub(super) struct DeepLabV3Plus {
    backbone: ResNet,
    pyramid: ConcatenatedPyramid,
    low: ConvUnit,
    refine: [ConvUnit; 2],
    out: Conv,
}

impl DeepLabV3Plus {
    /// A network with so many input slices, and `width` channels at its backbone's first block; `ResNet-50` has 64.
    pub(super) fn new(scope: &mut Scope, [slices, width]: [usize; 2], dilations: &[usize]) -> Self {
        let (filters, low_filters) = (4 * width, (3 * width / 4).max(1));
        let window = Window::centred(3, 1);
        let counts = [slices, width];
        let backbone = ResNet::new(&mut scope.inner("backbone"), counts, OutputStride::Sixteen);
        let pyramid = ConcatenatedPyramid::new(
            scope.inner("aspp"),
            [ResNet::LAST * width, filters],
            dilations,
        );
        // C2's channels.
        let low =
            ConvUnit::new(scope.inner("low"), [4 * width, low_filters], Window::centred(1, 1));
        let mut inner = scope.inner("refine");
        let refine = [
            ConvUnit::new(inner.inner("0"), [filters + low_filters, filters], window),
            ConvUnit::new(inner.inner("1"), [filters; 2], window),
        ];
        let out = Conv::with_bias(scope.inner("out"), [filters, 1], Window::centred(1, 1));
        Self { backbone, pyramid, low, refine, out }
    }

    /// The logits for `[B, C, H, W]` whose sides are multiples of 16.
    pub(super) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let Features { blocks: [_, c2, ..], last } = self.backbone.forward(pass, x)?;
        let high = self.pyramid.forward(pass, &last)?;
        let high = pass.apply(Bilinear { size: size(&high, 4) }, &[&high])?;
        let low = self.low.forward(pass, &c2)?;
        let mut x = pass.apply(Concatenation { enlarged: None }, &[&high, &low])?;
        for unit in &self.refine {
            x = unit.forward(pass, &x)?;
        }
        let logits = pass.convolve(&self.out, &x)?;
        pass.apply(Bilinear { size: size(&logits, 4) }, &[&logits])
    }
}

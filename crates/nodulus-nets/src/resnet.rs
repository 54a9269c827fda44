//! `ResNet-50` (He 2016) for slices in place of colours, with torchvision's parameter names.

use super::error::Result;
use super::layers::{Addend, BatchNorm, Conv, Pass};
use super::ops::max_pool::MaxPool;
use super::ops::mean_logit::MeanLogit;
use super::ops::window::Window;
use super::parameters::{Initialiser, Scope};
use super::tape::Value;

/// Number of blocks in each layer.
const DEPTHS: [usize; 4] = [3, 4, 6, 3];

/// Ratio of a block's output channels to its inner channels.
const EXPANSION: usize = 4;

struct Bottleneck {
    convs: [(Conv, BatchNorm); 3],
    downsample: Option<(Conv, BatchNorm)>,
}

impl Bottleneck {
    /// A block with this window in its middle convolution.
    fn new(scope: &mut Scope, from: usize, inner: usize, window: Window) -> Self {
        let (to, stride) = (inner * EXPANSION, window.stride);
        let mut conv = |i: usize, counts: [usize; 2], window| {
            let conv = Conv::of_resnet(scope.inner(&format!("conv{i}")), counts, window);
            (conv, BatchNorm::new(scope.inner(&format!("bn{i}")), counts[1]))
        };
        let convs = [
            conv(1, [from, inner], Window::centred(1, 1)),
            // The stride is in the 3 × 3 convolution, as in torchvision.
            conv(2, [inner, inner], window),
            conv(3, [inner, to], Window::centred(1, 1)),
        ];
        let downsample = (stride != 1 || from != to).then(|| {
            let mut scope = scope.inner("downsample");
            let conv = Conv::of_resnet(scope.inner("0"), [from, to], Window::centred(1, stride));
            (conv, BatchNorm::new(scope.inner("1"), to))
        });
        Self { convs, downsample }
    }

    fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let [first, second, third] = &self.convs;
        let y = pass.sum(&[Addend::Convolved(&first.0, Some(first.1), x)], true)?;
        let y = pass.sum(&[Addend::Convolved(&second.0, Some(second.1), &y)], true)?;
        let main = Addend::Convolved(&third.0, Some(third.1), &y);
        let skip = match &self.downsample {
            None => Addend::Plain(x),
            Some((conv, norm)) => Addend::Convolved(conv, Some(*norm), x),
        };
        pass.sum(&[main, skip], true)
    }
}

/// Ratio of the input's size to the last feature's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputStride {
    /// The last layer keeps the size of its input.
    Sixteen,
    /// As in the paper.
    ThirtyTwo,
}

/// The network without its head.
pub(super) struct ResNet {
    conv1: Conv,
    bn1: BatchNorm,
    layers: Vec<Vec<Bottleneck>>,
}

/// Features of a batch.
pub(super) struct Features {
    /// C1 to C4: `[B, w, H/2, W/2]`, `[B, 4w, H/4, W/4]`, `[B, 8w, H/8, W/8]`,
    /// `[B, 16w, H/16, W/16]`.
    pub(super) blocks: [Value; 4],
    /// Feature of the last layer: `[B, 32w, H/32, W/32]`, or as large as C4.
    pub(super) last: Value,
}

impl ResNet {
    /// Ratio of the last layer's channels to those of the first block.
    pub(super) const LAST: usize = 32;

    /// A network with so many input slices, and `width` channels in its first block; `ResNet-50` has 64.
    // METHOD: at stride 16 the last layer's first block has no stride and its other blocks have
    // dilation 2, as with torchvision's `replace_stride_with_dilation`, so torchvision's weights
    // fit.
    pub(super) fn new(
        scope: &mut Scope,
        [slices, width]: [usize; 2],
        stride: OutputStride,
    ) -> Self {
        let conv1 = Conv::of_resnet(scope.inner("conv1"), [slices, width], Window::centred(7, 2));
        let bn1 = BatchNorm::new(scope.inner("bn1"), width);
        let mut channels = width;
        let mut layers = Vec::new();
        for (l, depth) in DEPTHS.into_iter().enumerate() {
            let mut scope = scope.inner(&format!("layer{}", l + 1));
            let inner = width << l;
            let dilated = stride == OutputStride::Sixteen && l == DEPTHS.len() - 1;
            let blocks = (0..depth).map(|b| {
                let window = match (dilated, b) {
                    (false, 0) if l > 0 => Window::centred(3, 2),
                    (true, 1..) => Window::dilated(2),
                    _ => Window::centred(3, 1),
                };
                let from = std::mem::replace(&mut channels, inner * EXPANSION);
                Bottleneck::new(&mut scope.inner(&b.to_string()), from, inner, window)
            });
            layers.push(blocks.collect());
        }
        Self { conv1, bn1, layers }
    }

    /// Applies the network to `[B, C, H, W]`.
    pub(super) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Features> {
        let c1 = pass.sum(&[Addend::Convolved(&self.conv1, Some(self.bn1), x)], true)?;
        let mut x = pass.apply(MaxPool(Window::centred(3, 2)), &[&c1])?;
        let mut found = vec![c1];
        for layer in &self.layers {
            for block in layer {
                x = block.forward(pass, &x)?;
            }
            found.push(x.clone());
        }
        let blocks = std::array::from_fn(|i| found[i].clone());
        Ok(Features { blocks, last: x })
    }
}

/// The network with a head for one logit.
pub(super) struct Classifier {
    trunk: ResNet,
    weight: usize,
    bias: usize,
}

impl Classifier {
    /// A classifier with so many input slices, and `width` channels in its first block.
    pub(super) fn new(scope: &mut Scope, [slices, width]: [usize; 2]) -> Self {
        let trunk = ResNet::new(scope, [slices, width], OutputStride::ThirtyTwo);
        let channels = ResNet::LAST * width;
        let mut fc = scope.inner("fc");
        let start = Initialiser::Uniform(1.0 / (channels as f32).sqrt());
        let weight = fc.parameter("weight", &[1, channels], start);
        let bias = fc.parameter("bias", &[1], start);
        Self { trunk, weight, bias }
    }

    /// Its features C1 to C4, and its logit, `[B]`.
    pub(super) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<([Value; 4], Value)> {
        let Features { blocks, last } = self.trunk.forward(pass, x)?;
        let (weight, bias) = (pass.parameter(self.weight), pass.parameter(self.bias));
        let logit = pass.apply(MeanLogit, &[&last, &weight, &bias])?;
        Ok((blocks, logit))
    }
}

//! ResUNet++: Jha, Smedsrud, Riegler, Johansen, de Lange, Halvorsen, Johansen, "ResUNet++: an
//! advanced architecture for medical image segmentation", IEEE ISM 2019 (arXiv 1911.07067); where
//! the paper is vague, its authors' code (github.com/DebeshJha/ResUNetPlusPlus, `m_resunet.py`).
//!
//! From the paper: a residual U-Net of a stem and three units of stride 2; squeeze and excitation
//! (Hu 2018); atrous spatial pyramid pooling as a bridge and before the output; attention in the
//! decoder, from the level's own features and those from below.
//!
//! From the code: 16 channels at the first level; squeeze and excitation after every residual unit,
//! also in the decoder, to an eighth of the channels, without biases; pyramids that are sums of
//! four 3 × 3 convolutions with dilations 1, 6, 12, 18, each with a norm, followed by a 1 × 1
//! convolution; attention that multiplies the features from below by a convolution, without a
//! sigmoid; nearest-neighbour up-sampling.
//!
//! METHOD: chosen: no bias where a norm follows or is added; the loss of the proposed network, with
//! which it is compared, in place of Dice loss alone.

use super::error::Result;
use super::layers::{Addend, BatchNorm, Conv, Pass, ResidualUnit, Stem, SummedPyramid, up};
use super::ops::channel_gate::ChannelGate;
use super::ops::concatenation::Enlargement;
use super::ops::global_mean::GlobalMean;
use super::ops::max_pool::MaxPool;
use super::ops::multiplication::Multiplication;
use super::ops::window::Window;
use super::parameters::Scope;
use super::tape::Value;

/// Ratio of the channels to those inside squeeze and excitation.
const REDUCTION: usize = 8;

/// Squeeze and excitation: channels weighted according to the means of all channels.
struct SqueezeExcitation {
    reduce: Conv,
    expand: Conv,
}

impl SqueezeExcitation {
    fn new(mut scope: Scope, channels: usize) -> Self {
        let (inner, window) = ((channels / REDUCTION).max(1), Window::centred(1, 1));
        let reduce = Conv::new(scope.inner("reduce"), [channels, inner], window);
        Self { reduce, expand: Conv::new(scope.inner("expand"), [inner, channels], window) }
    }

    fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let mean = pass.apply(GlobalMean, &[x])?;
        let inner = pass.sum(&[Addend::Convolved(&self.reduce, None, &mean)], true)?;
        let weights = pass.convolve(&self.expand, &inner)?;
        pass.apply(ChannelGate, &[x, &weights])
    }
}

/// Norm, `ReLU`, 3 × 3 convolution.
struct NormReluConv {
    norm: BatchNorm,
    conv: Conv,
}

impl NormReluConv {
    fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let x = pass.rectified(self.norm, x)?;
        pass.convolve(&self.conv, &x)
    }
}

/// Attention: the features from below, weighted by a map computed from them and from the level's
/// own features.
struct Attention {
    skip: NormReluConv,
    below: NormReluConv,
    both: NormReluConv,
}

impl Attention {
    fn new(mut scope: Scope, [skip, below]: [usize; 2]) -> Self {
        let window = Window::centred(3, 1);
        let mut part = |name: &str, from: usize, is_last: bool| {
            let mut scope = scope.inner(name);
            let norm = BatchNorm::new(scope.inner("bn"), from);
            let (inner, counts) = (scope.inner("conv"), [from, below]);
            let conv = if is_last {
                Conv::with_bias(inner, counts, window)
            } else {
                Conv::new(inner, counts, window)
            };
            NormReluConv { norm, conv }
        };
        let (skip, own) = (part("skip", skip, false), part("below", below, false));
        Self { skip, below: own, both: part("both", below, true) }
    }

    fn forward(&self, pass: &mut Pass, skip: &Value, below: &Value) -> Result<Value> {
        let skip = self.skip.forward(pass, skip)?;
        let skip = pass.apply(MaxPool::HALF, &[&skip])?;
        let own = pass.rectified(self.below.norm, below)?;
        let own = Addend::Convolved(&self.below.conv, None, &own);
        let both = pass.sum(&[Addend::Plain(&skip), own], false)?;
        let weights = self.both.forward(pass, &both)?;
        pass.apply(Multiplication, &[below, &weights])
    }
}

/// A level of the decoder.
struct DecoderLevel {
    attention: Attention,
    unit: ResidualUnit,
    excitation: SqueezeExcitation,
}

/// The network.
pub(super) struct ResUNetPlusPlus {
    stem: (Stem, SqueezeExcitation),
    encoder: Vec<(ResidualUnit, SqueezeExcitation)>,
    bridge: SummedPyramid,
    /// Levels from the lowest up.
    decoder: Vec<DecoderLevel>,
    pyramid: SummedPyramid,
    out: Conv,
}

impl ResUNetPlusPlus {
    /// A network with so many input slices, and `width` channels at its first level; the paper's has 16.
    pub(super) fn new(scope: &mut Scope, [slices, width]: [usize; 2], dilations: &[usize]) -> Self {
        let w = |i: usize| width << i;
        let mut inner = scope.inner("encoder");
        let mut first = inner.inner("0");
        let stem = Stem::new(&mut first, [slices, width]);
        let stem = (stem, SqueezeExcitation::new(first.inner("excite"), width));
        let encoder = (1..=3).map(|i| {
            let mut scope = inner.inner(&i.to_string());
            let unit = ResidualUnit::plain(&mut scope, [w(i - 1), w(i)], 2);
            (unit, SqueezeExcitation::new(scope.inner("excite"), w(i)))
        });
        let encoder = encoder.collect();
        let bridge = SummedPyramid::new(&mut scope.inner("bridge"), [w(3), w(4)], dilations);
        let mut inner = scope.inner("decoder");
        let decoder = [(4, 2, 3), (3, 1, 2), (2, 0, 1)].into_iter().enumerate();
        let decoder = decoder.map(|(i, (below, skip, to))| {
            let mut scope = inner.inner(&i.to_string());
            let [below, skip, to] = [below, skip, to].map(w);
            DecoderLevel {
                attention: Attention::new(scope.inner("attention"), [skip, below]),
                unit: ResidualUnit::plain(&mut scope, [below + skip, to], 1),
                excitation: SqueezeExcitation::new(scope.inner("excite"), to),
            }
        });
        let decoder = decoder.collect();
        let pyramid = SummedPyramid::new(&mut scope.inner("aspp"), [w(1), w(0)], dilations);
        let out = Conv::with_bias(scope.inner("out"), [width, 1], Window::centred(1, 1));
        Self { stem, encoder, bridge, decoder, pyramid, out }
    }

    /// The logits for `[B, C, H, W]` whose sides are multiples of 8.
    pub(super) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let (stem, excitation) = &self.stem;
        let mut x = stem.forward(pass, x)?;
        x = excitation.forward(pass, &x)?;
        let mut skips = Vec::new();
        for (unit, excitation) in &self.encoder {
            let next = unit.forward(pass, &x)?;
            let next = excitation.forward(pass, &next)?;
            skips.push(std::mem::replace(&mut x, next));
        }
        x = self.bridge.forward(pass, &x, None)?;
        for (level, skip) in self.decoder.iter().zip(skips.iter().rev()) {
            x = level.attention.forward(pass, skip, &x)?;
            x = up(pass, Enlargement::Nearest, &x, skip)?;
            x = level.unit.forward(pass, &x)?;
            x = level.excitation.forward(pass, &x)?;
        }
        self.pyramid.forward(pass, &x, Some(&self.out))
    }
}

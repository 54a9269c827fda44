//! U-Net: Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image
//! segmentation", MICCAI 2015 (arXiv 1505.04597).
//!
//! From the paper: four levels down by 2 × 2 max-pooling, with twice the channels at each; two 3 ×
//! 3 convolutions with `ReLU` per level; up by 2 × 2 transposed convolution, with half the
//! channels; concatenation with the level's own features; 1 × 1 convolution to the output.
//!
//! METHOD: chosen: padded convolutions, so that the output is as large as the input (the paper's
//! lose a border), each followed by batch norm (Ioffe 2015) and without a bias; no dropout; one
//! logit instead of two classes; the loss of the proposed network, with which it is compared.

use super::error::Result;
use super::layers::{Conv, ConvUnit, Pass, UpConv};
use super::ops::concatenation::Concatenation;
use super::ops::max_pool::MaxPool;
use super::ops::window::Window;
use super::parameters::Scope;
use super::tape::Value;

/// Levels below the first.
const DEPTH: usize = 4;

/// Two convolutions, each with norm and `ReLU`.
struct DoubleConv([ConvUnit; 2]);

impl DoubleConv {
    fn new(scope: &mut Scope, [from, to]: [usize; 2]) -> Self {
        let window = Window::centred(3, 1);
        Self([
            ConvUnit::numbered(scope, "1", [from, to], window),
            ConvUnit::numbered(scope, "2", [to, to], window),
        ])
    }

    fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let [first, second] = &self.0;
        let x = first.forward(pass, x)?;
        second.forward(pass, &x)
    }
}

/// The network.
pub(super) struct UNet {
    encoder: Vec<DoubleConv>,
    /// Levels from the lowest up.
    decoder: Vec<(UpConv, DoubleConv)>,
    out: Conv,
}

impl UNet {
    /// A network with so many input slices, and `width` channels at its first level; the paper's has 64.
    pub(super) fn new(scope: &mut Scope, [slices, width]: [usize; 2]) -> Self {
        let mut inner = scope.inner("encoder");
        let encoder = (0..=DEPTH).map(|i| {
            let from = if i == 0 { slices } else { width << (i - 1) };
            DoubleConv::new(&mut inner.inner(&i.to_string()), [from, width << i])
        });
        let encoder = encoder.collect();
        let mut inner = scope.inner("decoder");
        let decoder = (0..DEPTH).map(|i| {
            let to = width << (DEPTH - 1 - i);
            let mut scope = inner.inner(&i.to_string());
            let up = UpConv::new(scope.inner("up"), [2 * to, to]);
            (up, DoubleConv::new(&mut scope, [2 * to, to]))
        });
        let decoder = decoder.collect();
        let out = Conv::with_bias(scope.inner("out"), [width, 1], Window::centred(1, 1));
        Self { encoder, decoder, out }
    }

    /// The logits for `[B, C, H, W]` whose sides are multiples of 16.
    pub(super) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let mut x = x.clone();
        let mut skips = Vec::new();
        for (i, level) in self.encoder.iter().enumerate() {
            if i > 0 {
                let pooled = pass.apply(MaxPool::HALF, &[&x])?;
                skips.push(std::mem::replace(&mut x, pooled));
            }
            x = level.forward(pass, &x)?;
        }
        for ((up, level), skip) in self.decoder.iter().zip(skips.iter().rev()) {
            let below = up.forward(pass, &x)?;
            // METHOD: the features from below come first; the paper does not say.
            x = pass.apply(Concatenation { enlarged: None }, &[&below, skip])?;
            x = level.forward(pass, &x)?;
        }
        pass.convolve(&self.out, &x)
    }
}

//! ResU-Net: Zhang, Liu, Wang, "Road extraction by deep residual U-Net", IEEE Geoscience and Remote
//! Sensing Letters 2018 (arXiv 1711.10684).
//!
//! From the paper: residual units with norm and `ReLU` before each of their two 3 × 3 convolutions;
//! three levels down by stride 2 in place of pooling, 64 to 512 channels; up-sampling and
//! concatenation with the level's own features before each unit of the decoder; 1 × 1 convolution
//! to the output.
//!
//! METHOD: chosen: up-sampling by nearest neighbour, which the paper does not specify (the default
//! of Keras, in which its network was made); a 1 × 1 convolution and a norm in every unit's
//! shortcut, since its input never has its output's channels; no bias where a norm follows or is
//! added; the loss of the proposed network, with which it is compared, in place of the squared
//! error.

use super::error::Result;
use super::layers::{Conv, Pass, ResidualUnit, Stem, up};
use super::ops::concatenation::Enlargement;
use super::ops::window::Window;
use super::parameters::Scope;
use super::tape::Value;

/// Levels below the first.
const DEPTH: usize = 3;

/// The network.
pub(super) struct ResUNet {
    stem: Stem,
    encoder: Vec<ResidualUnit>,
    /// Units from the lowest level up.
    decoder: Vec<ResidualUnit>,
    out: Conv,
}

impl ResUNet {
    /// A network with so many input slices, and `width` channels at its first level; the paper's has 64.
    pub(super) fn new(scope: &mut Scope, [slices, width]: [usize; 2]) -> Self {
        let mut inner = scope.inner("encoder");
        let stem = Stem::new(&mut inner.inner("0"), [slices, width]);
        let encoder = (1..=DEPTH).map(|i| {
            let counts = [width << (i - 1), width << i];
            ResidualUnit::plain(&mut inner.inner(&i.to_string()), counts, 2)
        });
        let encoder = encoder.collect();
        let mut inner = scope.inner("decoder");
        let decoder = (0..DEPTH).map(|i| {
            let to = width << (DEPTH - 1 - i);
            ResidualUnit::plain(&mut inner.inner(&i.to_string()), [3 * to, to], 1)
        });
        let decoder = decoder.collect();
        let out = Conv::with_bias(scope.inner("out"), [width, 1], Window::centred(1, 1));
        Self { stem, encoder, decoder, out }
    }

    /// The logits for `[B, C, H, W]` whose sides are multiples of 8.
    pub(super) fn forward(&self, pass: &mut Pass, x: &Value) -> Result<Value> {
        let mut x = self.stem.forward(pass, x)?;
        let mut skips = Vec::new();
        for unit in &self.encoder {
            let next = unit.forward(pass, &x)?;
            skips.push(std::mem::replace(&mut x, next));
        }
        for (unit, skip) in self.decoder.iter().zip(skips.iter().rev()) {
            x = up(pass, Enlargement::Nearest, &x, skip)?;
            x = unit.forward(pass, &x)?;
        }
        pass.convolve(&self.out, &x)
    }
}

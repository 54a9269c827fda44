//! Where tensors lie and how operators run there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Precision of a card's products. Weights, moments, norms and losses are always `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Factors have 24 significant bits.
    #[default]
    F32,
    /// Factors of matrix products and convolutions have 11 significant bits; sums have 24.
    Tf32,
    /// Factors and outputs of convolutions have 8 significant bits, sums 24; other products are as in `f32`.
    Bf16,
}

impl Precision {
    /// Name in a pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }

    /// Whether this is the default precision.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How operators run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Execution {
    /// By this crate's own code for the processor.
    Host,
    /// Composed of the tensor library's operations, with products of this precision.
    Composed(Precision),
}

impl Execution {
    /// Runs a pass.
    pub(super) fn run<R: Send>(self, f: impl FnOnce() -> R + Send) -> R {
        match self {
            // Inside the thread pool, so that operators need not wake it.
            Self::Host => rayon::scope(|_| f()),
            // A card's libraries are initialised once per thread, so the pass stays on this one.
            Self::Composed(precision) => {
                // The tensor library has one switch for all cards.
                candle_core::cuda::set_gemm_reduced_precision_f32(precision == Precision::Tf32);
                f()
            }
        }
    }
}

/// Device that holds the tensors, and how operators run there.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub(super) device: candle_core::Device,
    pub(super) execution: Execution,
}

impl Backend {
    /// The processor.
    pub(super) fn host() -> Self {
        Self { device: candle_core::Device::Cpu, execution: Execution::Host }
    }

    /// The processor with the operators that cards use.
    #[cfg(test)]
    pub(super) fn composed() -> Self {
        Self { device: candle_core::Device::Cpu, execution: Execution::Composed(Precision::F32) }
    }

    /// The same device with composed operators of this precision.
    #[cfg(test)]
    pub(super) fn with_precision(&self, precision: Precision) -> Self {
        Self { execution: Execution::Composed(precision), ..self.clone() }
    }
}

//! Settings, state and factors of one Adam step.

use candle_core::Tensor;

/// Settings of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepSettings {
    /// Learning rate.
    pub(crate) learning: f64,
    /// Weight of the squared parameters.
    pub(crate) decay: f64,
    /// Whether the decay acts on the parameters themselves (`AdamW`) rather than on the gradients.
    pub(crate) decoupled: bool,
    /// Largest norm of the gradients over all parameters; larger gradients are scaled down to it.
    pub(crate) clip_norm: Option<f64>,
}

/// Moving averages of a parameter's gradients, each with its shape.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    /// Average of the gradients.
    pub(crate) first: Tensor,
    /// Average of the squared gradients.
    pub(crate) second: Tensor,
    /// Steps averaged over.
    pub(crate) steps: u64,
}

pub(super) const BETAS: [f64; 2] = [0.9, 0.999];
pub(super) const EPSILON: f64 = 1e-8;

/// Factors of one update.
pub(super) struct UpdateFactors {
    /// Factor of the first moment.
    pub(super) rate: f32,
    /// Factor of the second moment's root.
    pub(super) root: f32,
    /// Factor of the parameter in its gradient.
    pub(super) onto_gradient: f32,
    /// Share of the parameter that is kept.
    pub(super) kept: f32,
}

impl UpdateFactors {
    /// Factors of a step, from 1.
    pub(super) fn new(rates: StepSettings, step: u64) -> Self {
        let StepSettings { learning, decay, decoupled, .. } = rates;
        let steps = i32::try_from(step).unwrap_or(i32::MAX);
        let [c1, c2] = BETAS.map(|beta| 1.0 - beta.powi(steps));
        Self {
            rate: (learning / c1) as f32,
            root: (1.0 / c2.sqrt()) as f32,
            onto_gradient: if decoupled { 0.0 } else { decay as f32 },
            kept: if decoupled { (1.0 - learning * decay) as f32 } else { 1.0 },
        }
    }
}

/// Factor that scales gradients of this norm down to the limit.
// METHOD: one norm over all parameters, as in `torch.nn.utils.clip_grad_norm_`.
pub(super) fn clipped(norm: f64, limit: f64) -> f64 {
    (limit / (norm + 1e-6)).min(1.0)
}

//! The first values of a network's parameters.

use super::parameters::{Initialiser, ParameterSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rule of the first weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// He's rule (2015) for every convolution, and no bias.
    #[default]
    He,
    /// Half of He's variance where no `ReLU` follows, and a last layer that finds a pixel in 55 nodule at first.
    Prior,
}

impl Start {
    /// Whether it is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Bias of the last layer.
///
/// METHOD: about 1.8% of a region's pixels are nodule; as in Lin et al. 2017 (focal loss), the network says so from the start, and
/// the first steps do not go into the background's level.
const PRIOR_LOGIT: f32 = -4.0;

/// Standard deviation of the last layer's weights.
///
/// METHOD: as in Lin et al. 2017: the first logits are nearly the prior.
const LAST_DEVIATION: f32 = 0.01;

/// Sets the first values of parameters by a rule.
///
/// METHOD: He's variance of 2 / fan-in keeps the size of what passes a `ReLU`, which halves it; without one, 1 / fan-in does
/// (`LeCun` 1998).
pub(super) fn start(specs: &mut [ParameterSpec], rule: Start) {
    if rule == Start::He {
        return;
    }
    for spec in specs {
        let is_last = is_last(spec);
        spec.start = match spec.start {
            Initialiser::Linear(_) if is_last => Initialiser::Normal(LAST_DEVIATION),
            Initialiser::Linear(deviation) => {
                Initialiser::Normal(deviation * std::f32::consts::FRAC_1_SQRT_2)
            }
            Initialiser::Constant(_) if is_last => Initialiser::Constant(PRIOR_LOGIT),
            other => other,
        };
    }
}

/// Whether a parameter is of the layer that gives the logits of pixels: the one `out` with a single channel.
fn is_last(spec: &ParameterSpec) -> bool {
    let mut names = spec.name.rsplit('.');
    let is_parameter = matches!(names.next(), Some("weight" | "bias"));
    is_parameter
        && names.next() == Some("out")
        && names.next() != Some("aspp")
        && spec.shape.first() == Some(&1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Architecture, Config, Preset};
    use crate::network::Network;

    #[test]
    fn every_network_has_one_last_layer_with_the_prior() {
        for architecture in Architecture::ALL {
            let (_, specs) = Network::new(&Config::of(architecture, Preset::Tiny)).unwrap();
            let mut begun = specs.clone();
            start(&mut begun, Start::He);
            assert_eq!(begun, specs);
            start(&mut begun, Start::Prior);
            let last: Vec<_> = begun.iter().filter(|spec| is_last(spec)).collect();
            let starts: Vec<_> = last.iter().map(|spec| spec.start).collect();
            let expected =
                [Initialiser::Normal(LAST_DEVIATION), Initialiser::Constant(PRIOR_LOGIT)];
            assert_eq!(starts, expected, "{architecture:?}");
            let n_changed = begun.iter().zip(&specs).filter(|(a, b)| a.start != b.start).count();
            assert!(
                n_changed > 2 || architecture == Architecture::DeepLabV3Plus,
                "{architecture:?}"
            );
            assert!(begun.iter().all(|spec| !matches!(spec.start, Initialiser::Linear(_))));
        }
    }
}

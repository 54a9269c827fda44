//! The interface of all networks for training and inference.

use super::config::{Architecture, Config};
use super::deeplab_v3_plus::DeepLabV3Plus;
use super::error::Result;
use super::layers::Pass;
use super::parameters::{ParameterSpec, Scope};
use super::proposed::Proposed;
use super::resunet::ResUNet;
use super::resunet_plus_plus::ResUNetPlusPlus;
use super::tape::Value;
use super::unet::UNet;

/// A network.
pub(super) enum Network {
    /// See [`Proposed`].
    Proposed(Box<Proposed>),
    /// See [`UNet`].
    UNet(UNet),
    /// See [`ResUNet`].
    ResUNet(ResUNet),
    /// See [`ResUNetPlusPlus`].
    ResUNetPlusPlus(ResUNetPlusPlus),
    /// See [`DeepLabV3Plus`].
    DeepLabV3Plus(DeepLabV3Plus),
}

/// A network's output for a batch.
pub(super) struct NetworkOutput {
    /// Logit of each pixel, `[B, 1, H, W]`.
    pub(super) logits: Value,
    /// Logit of each image, `[B]`; `None` without a classifier.
    pub(super) nodule_logit: Option<Value>,
}

impl Network {
    /// A network and the specifications of its parameters.
    ///
    /// # Errors
    ///
    /// Fails if the configuration describes no network.
    pub(super) fn new(config: &Config) -> Result<(Self, Vec<ParameterSpec>)> {
        config.check()?;
        let mut specs = Vec::new();
        let scope = &mut Scope::new(&mut specs);
        let counts = [config.input_slices, config.width];
        let network = match config.architecture {
            Architecture::Proposed => Self::Proposed(Box::new(Proposed::new(scope, config))),
            Architecture::UNet => Self::UNet(UNet::new(scope, counts)),
            Architecture::ResUNet => Self::ResUNet(ResUNet::new(scope, counts)),
            Architecture::ResUNetPlusPlus => {
                Self::ResUNetPlusPlus(ResUNetPlusPlus::new(scope, counts, &config.dilations))
            }
            Architecture::DeepLabV3Plus => {
                Self::DeepLabV3Plus(DeepLabV3Plus::new(scope, counts, &config.dilations))
            }
        };
        Ok((network, specs))
    }

    /// Applies the network to `[B, input_slices, image_size, image_size]`; `std` turns on the threshold
    /// dynamics of a network that has them.
    ///
    /// # Errors
    ///
    /// Fails if the images do not have the network's size.
    pub(super) fn forward(&self, pass: &mut Pass, x: &Value, std: bool) -> Result<NetworkOutput> {
        let logits = match self {
            Self::Proposed(network) => {
                let [logits, nodule_logit] = network.forward(pass, x, std)?;
                return Ok(NetworkOutput { logits, nodule_logit: Some(nodule_logit) });
            }
            Self::UNet(network) => network.forward(pass, x)?,
            Self::ResUNet(network) => network.forward(pass, x)?,
            Self::ResUNetPlusPlus(network) => network.forward(pass, x)?,
            Self::DeepLabV3Plus(network) => network.forward(pass, x)?,
        };
        Ok(NetworkOutput { logits, nodule_logit: None })
    }
}

/// Names and shapes of a network's parameters and running statistics, as in weights files.
///
/// # Errors
///
/// Fails if the configuration describes no network.
pub fn parameter_table(config: &Config) -> Result<Vec<(String, Vec<usize>)>> {
    let (_, specs) = Network::new(config)?;
    Ok(specs.into_iter().map(|spec| (spec.name, spec.shape)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;
    use crate::parameters::Parameters;
    use crate::tensors::{tensor, view};

    #[test]
    fn every_network_gives_a_logit_for_each_pixel_of_the_smallest_image() {
        for architecture in Architecture::ALL {
            let tiny = Config::of(architecture, Preset::Tiny);
            let side = architecture.stride();
            // A single image too, for which a batch norm may have one value only.
            for (images, slices) in [(1, 1), (3, 1), (2, 7)] {
                let config = Config { image_size: side, input_slices: slices, ..tiny.clone() };
                let (network, specs) = Network::new(&config).unwrap();
                let trained: Vec<bool> = specs.iter().map(|spec| spec.trained).collect();
                let parameters = Parameters::draw(specs, 1).unwrap();
                let n = images * slices * side * side;
                let values = (0..n).map(|i| (i % 7) as f32 / 7.0).collect();
                let x = Value::constant(tensor(values, (images, slices, side, side)).unwrap());
                for mut pass in
                    [Pass::evaluation(&parameters), Pass::training(&parameters, &trained)]
                {
                    let found = network.forward(&mut pass, &x, true).unwrap();
                    assert_eq!(found.logits.tensor().dims(), [images, 1, side, side]);
                    assert!(view(found.logits.tensor()).unwrap().iter().all(|v| v.is_finite()));
                    let classifies = architecture == Architecture::Proposed;
                    assert_eq!(found.nodule_logit.is_some(), classifies);
                }
            }
        }
    }

    /// `cargo test --release -p nodulus-nets memory_of_a_step -- --ignored --nocapture`
    #[test]
    #[ignore = "prints figures of docs/gpu.md"]
    #[expect(clippy::print_stdout, reason = "that is its purpose")]
    fn memory_of_a_step() {
        for architecture in Architecture::ALL {
            for preset in [Preset::Tiny, Preset::Paper] {
                let config = Config::of(architecture, preset);
                let (network, specs) = Network::new(&config).unwrap();
                let trained: Vec<bool> = specs.iter().map(|spec| spec.trained).collect();
                let parameters = Parameters::draw(specs, 1).unwrap();
                let side = config.image_size;
                let x = tensor(vec![0.5; side * side], (1, 1, side, side)).unwrap();
                let mut pass = Pass::training(&parameters, &trained);
                network.forward(&mut pass, &Value::constant(x), true).unwrap();
                let weights: usize = parameters.tensors.iter().map(|t| 4 * t.elem_count()).sum();
                let mib = |bytes: f64| bytes / f64::from(1 << 20);
                println!(
                    "{} {preset:?}: weights {:.0} MiB, an image {:.0} MiB in training, {:.0} MiB in inference",
                    architecture.name(),
                    mib(weights as f64),
                    mib(pass.finish().0.bytes() as f64),
                    mib(3.0 * config.image_bytes() as f64)
                );
            }
        }
    }

    #[test]
    fn no_two_parameters_have_one_name() {
        for architecture in Architecture::ALL {
            let table = parameter_table(&Config::of(architecture, Preset::Paper)).unwrap();
            let mut names: Vec<&String> = table.iter().map(|(name, _)| name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.len(), "{architecture:?}");
        }
    }
}

//! Schedule of a training phase.

use super::augment::Augmentation;
use super::config::{Config, key_of};
use super::error::{Error, Result};
use super::network::Network;
use super::parameters::ParameterSpec;
use nodulus_settings::{Fault, check_json, near_names, schema_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Schedule of a training phase. The defaults are the paper's pre-training with threshold dynamics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Phase {
    /// Passes over the samples.
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: usize,
    /// Samples in a batch.
    #[schemars(range(min = 1, max = 1024))]
    pub batch: usize,
    /// Highest learning rate: that of the first epochs, or after the warm-up.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1000))]
    pub learning_rate: f64,
    /// Epochs, or a part of one, in which the learning rate rises evenly from 0.
    #[schemars(range(min = 0, max = 100_000), extend("default" = 0.0))]
    #[serde(skip_serializing_if = "is_zero")]
    pub warm_up_epochs: f64,
    /// How the learning rate falls from then on.
    #[serde(skip_serializing_if = "Decay::is_default")]
    #[schemars(extend("default" = "steps"))]
    pub decay: Decay,
    /// Factor by which the learning rate is multiplied every `decay_every` epochs, with `decay = "steps"`.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1000))]
    pub decay_factor: f64,
    /// Epochs between two changes of the learning rate; 0 for a constant rate.
    #[schemars(range(max = 100_000))]
    pub decay_every: usize,
    /// Weight of the squared parameters (L2 penalty).
    #[schemars(range(min = 0, max = 1000))]
    pub weight_decay: f64,
    /// Whether the decay acts on the parameters themselves (`AdamW`) rather than on the gradients.
    pub decoupled_decay: bool,
    /// Largest norm of the gradients of all parameters together: larger gradients are scaled down to it;
    /// without it, they are not scaled.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1e9))]
    pub clip_norm: Option<f64>,
    /// Whether the threshold dynamics take part, in a network that has them.
    pub std: bool,
    /// Parameters that are not trained: blocks of the proposed network (`S1` to `S9`, `C1` to `C5`) or
    /// patterns of parameter names; their batch norms run as in evaluation.
    #[schemars(extend("examples" = [["S1"]]))]
    pub freeze: Vec<String>,
    /// Whether each sample is mirrored along each axis with a probability of one half.
    pub flips: bool,
    /// Further random changes of each sample.
    #[serde(skip_serializing_if = "Augmentation::is_off")]
    pub augmentation: Augmentation,
    /// Share of itself that a moving average of the weights keeps in each step. With it, the average is what is validated
    /// and written; without it, the weights are.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1), extend("examples" = [0.999]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_decay: Option<f64>,
    /// Weight of the segmentation loss.
    #[schemars(range(min = 0, max = 1e6))]
    pub segmentation_weight: f64,
    /// Weight of the classification loss, in a network with a classifier.
    #[schemars(range(min = 0, max = 1e6))]
    pub classification_weight: f64,
}

/// How the learning rate falls over the epochs of a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// In steps, by `decay_factor` every `decay_every` epochs.
    #[default]
    Steps,
    /// To 0 at the end, along half a cosine (Loshchilov and Hutter 2017), batch by batch.
    Cosine,
    /// To 0 at the end, along a line, batch by batch.
    Linear,
}

impl Decay {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &f64) -> bool {
    *value <= 0.0
}

impl Default for Phase {
    fn default() -> Self {
        // METHOD: batch size, learning rate, decay and flips of arXiv 2410.20154.
        Self {
            epochs: 200,
            batch: 10,
            learning_rate: 1e-3,
            warm_up_epochs: 0.0,
            decay: Decay::Steps,
            decay_factor: 1.0,
            decay_every: 0,
            weight_decay: 1e-8,
            decoupled_decay: false,
            clip_norm: None,
            std: true,
            freeze: Vec::new(),
            flips: true,
            augmentation: Augmentation::default(),
            average_decay: None,
            segmentation_weight: 1.0,
            classification_weight: 1.0,
        }
    }
}

impl Phase {
    /// The learning rate in the middle of an epoch, from 1.
    pub fn learning_rate_at(&self, epoch: usize) -> f64 {
        self.learning_rate_after(epoch as f64 - 0.5)
    }

    /// The learning rate after a number of epochs, with fractions.
    pub(super) fn learning_rate_after(&self, epochs: f64) -> f64 {
        let rise = if epochs < self.warm_up_epochs { epochs / self.warm_up_epochs } else { 1.0 };
        let falling = (self.epochs as f64 - self.warm_up_epochs).max(f64::MIN_POSITIVE);
        let share = ((epochs - self.warm_up_epochs) / falling).clamp(0.0, 1.0);
        let fall = match (self.decay, self.decay_every) {
            (Decay::Cosine, _) => 0.5 * (1.0 + (std::f64::consts::PI * share).cos()),
            (Decay::Linear, _) => 1.0 - share,
            (Decay::Steps, 0) => 1.0,
            (Decay::Steps, every) => self.decay_factor.powf((epochs / every as f64).floor()),
        };
        self.learning_rate * rise * fall
    }

    /// Checks the schedule for a network; `section` is the schedule's section of a file.
    ///
    /// # Errors
    ///
    /// Fails if a setting is invalid, or if a frozen block or pattern matches nothing.
    pub fn check_at(&self, section: &str, config: &Config) -> std::result::Result<(), Fault> {
        let (_, specs) =
            Network::new(config).map_err(|error| Fault::new(section, error.to_string()))?;
        self.trained_at(section, &specs).map(|_| ())
    }

    /// Whether each parameter is trained in this phase.
    ///
    /// # Errors
    ///
    /// Fails if a setting is invalid, or if a frozen block or pattern matches nothing.
    pub(super) fn trained(&self, specs: &[ParameterSpec]) -> Result<Vec<bool>> {
        self.trained_at("", specs).map_err(|fault| Error::Phase(fault.message))
    }

    fn trained_at(
        &self,
        section: &str,
        specs: &[ParameterSpec],
    ) -> std::result::Result<Vec<bool>, Fault> {
        let json = serde_json::to_value(self).unwrap_or_default();
        check_json(&json, &schema_of::<Self>(), section)?;
        if self.warm_up_epochs >= self.epochs as f64 {
            let key = key_of(section, "warm_up_epochs");
            let message = format!(
                "`{key}` is {}, expected less than the {} epochs of the phase",
                self.warm_up_epochs, self.epochs
            );
            return Err(Fault::new(key, message));
        }
        let mut trained: Vec<bool> = specs.iter().map(|spec| spec.trained).collect();
        for (n, name) in self.freeze.iter().enumerate() {
            let key = key_of(section, &format!("freeze.{n}"));
            let wrong = |rest: &str| Err(Fault::new(&key, format!("`{key}` is {name:?}, {rest}")));
            let patterns = match block(name) {
                Some(patterns) => patterns,
                None => vec![name.clone()],
            };
            let mut met = false;
            for pattern in patterns {
                let Ok(pattern) = glob::Pattern::new(&pattern) else {
                    return wrong("which is no pattern, expected one as in `freeze = [\"std.*\"]`");
                };
                for (spec, trained) in specs.iter().zip(&mut trained) {
                    if pattern.matches(&spec.name) {
                        met = true;
                        *trained = false;
                    }
                }
            }
            if !met {
                let near = near_names(name, specs.iter().map(|spec| spec.name.as_str()));
                let near = near.first().map(|near| format!("; near is `{near}`"));
                return wrong(&format!(
                    "which is neither a block nor a parameter of this network (blocks are S1 to S9 and C1 to C5 of the \
                     proposed network){}",
                    near.unwrap_or_default()
                ));
            }
        }
        if !trained.contains(&true) {
            let key = key_of(section, "freeze");
            let message = format!("`{key}` leaves nothing to train; remove an entry");
            return Err(Fault::new(key, message));
        }
        Ok(trained)
    }
}

/// Patterns of the parameters of a block.
fn block(name: &str) -> Option<Vec<String>> {
    let patterns: &[&str] = match name {
        "C1" => &["classifier.conv1.*", "classifier.bn1.*"],
        "C2" => &["classifier.layer1.*"],
        "C3" => &["classifier.layer2.*"],
        "C4" => &["classifier.layer3.*"],
        // METHOD: the paper calls C5 "the fully connected layer".
        "C5" => &["classifier.fc.*"],
        _ => {
            let number = name.strip_prefix('S')?;
            let known = ["1", "2", "3", "4", "5", "6", "7", "8", "9"].contains(&number);
            return known.then(|| vec![format!("segmenter.s{number}.*")]);
        }
    };
    Some(patterns.iter().map(|&pattern| pattern.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Architecture, Preset};

    fn frozen(freeze: &[&str]) -> Result<Vec<String>> {
        frozen_of(Architecture::Proposed, freeze)
    }

    fn frozen_of(architecture: Architecture, freeze: &[&str]) -> Result<Vec<String>> {
        let (_, specs) = Network::new(&Config::of(architecture, Preset::Tiny))?;
        let freeze = freeze.iter().map(|&name| name.to_owned()).collect();
        let trained = Phase { freeze, ..Phase::default() }.trained(&specs)?;
        let of_specs = specs.into_iter().zip(trained);
        Ok(of_specs.filter(|(s, trained)| s.trained && !trained).map(|(s, _)| s.name).collect())
    }

    #[test]
    fn the_rate_decays_in_steps() {
        let phase = Phase { decay_factor: 0.75, decay_every: 5, ..Phase::default() };
        for (epoch, rate) in [(1, 1e-3), (5, 1e-3), (6, 0.75e-3), (11, 0.5625e-3)] {
            assert!((phase.learning_rate_at(epoch) - rate).abs() < 1e-15);
        }
        assert!((Phase::default().learning_rate_at(200) - 1e-3).abs() < 1e-15);
    }

    #[test]
    fn the_rate_rises_and_falls_to_zero() {
        let of = |decay| Phase { epochs: 10, warm_up_epochs: 2.0, decay, ..Phase::default() };
        let rates = |decay, at: [f64; 5]| at.map(|at| 1e3 * of(decay).learning_rate_after(at));
        let close = |found: [f64; 5], expected: [f64; 5]| {
            let near = found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-12);
            assert!(near, "{found:?} {expected:?}");
        };
        let at = [0.5, 2.0, 4.0, 6.0, 10.0];
        close(rates(Decay::Linear, at), [0.25, 1.0, 0.75, 0.5, 0.0]);
        let quarter = 0.5 + 0.5f64.sqrt() / 2.0;
        close(rates(Decay::Cosine, at), [0.25, 1.0, quarter, 0.5, 0.0]);
        close(rates(Decay::Steps, at), [0.25, 1.0, 1.0, 1.0, 1.0]);
        let (_, specs) = Network::new(&Config::preset(Preset::Tiny)).unwrap();
        let long = Phase { epochs: 2, ..of(Decay::Cosine) };
        let error = long.trained(&specs).unwrap_err().to_string();
        assert!(
            error.contains("`warm_up_epochs` is 2, expected less than the 2 epochs"),
            "{error}"
        );
        // What is off is not part of a checkpoint's description.
        let json = serde_json::to_string(&Phase::default()).unwrap();
        assert!(
            ["warm_up", "\"decay\"", "augmentation", "average"].iter().all(|k| !json.contains(k))
        );
    }

    #[test]
    fn blocks_and_patterns_freeze() {
        assert_eq!(frozen(&["C5"]).unwrap(), ["classifier.fc.weight", "classifier.fc.bias"]);
        let c1 = ["classifier.conv1.weight", "classifier.bn1.weight", "classifier.bn1.bias"];
        assert_eq!(frozen(&["C1"]).unwrap(), c1);
        let s1 = frozen(&["S1"]).unwrap();
        assert!(s1.len() == 7 && s1.iter().all(|name| name.starts_with("segmenter.s1.")));
        assert!(frozen(&["S5"]).unwrap().iter().any(|name| name.contains("aspp")));
        assert_eq!(frozen(&["std.*"]).unwrap(), ["std.sigma", "std.l2"]);
    }

    #[test]
    fn what_cannot_be_frozen_is_refused() {
        let message = |freeze: &[&str]| frozen(freeze).unwrap_err().to_string();
        assert!(message(&["S10"]).contains("`freeze.0` is \"S10\", which is neither a block"));
        assert!(
            message(&["S1", "encoder.*"]).contains("`freeze.1` is \"encoder.*\", which is neither")
        );
        assert!(message(&["std.sgma"]).ends_with("; near is `std.sigma`"));
        assert!(message(&["["]).contains("`freeze.0` is \"[\", which is no pattern"));
        assert!(message(&["*"]).contains("leaves nothing to train"));
    }

    #[test]
    fn other_networks_have_no_such_blocks_and_freeze_by_name() {
        for architecture in Architecture::ALL.into_iter().skip(1) {
            for block in ["S1", "C5"] {
                let message = frozen_of(architecture, &[block]).unwrap_err().to_string();
                assert!(
                    message.contains(&format!("is \"{block}\", which is neither a block")),
                    "{message}"
                );
            }
            assert_eq!(frozen_of(architecture, &["out.*"]).unwrap(), ["out.weight", "out.bias"]);
        }
    }
}

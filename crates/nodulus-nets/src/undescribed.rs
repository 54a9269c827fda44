//! Weights without a description: what is missing, and the line that writes it.

use super::config::{Architecture, Config, Preset};
use super::error::{Error, Result};
use super::network::Network;
use super::weights_file::{self, WeightsFile, quoted, wrong};
use fs_err as fs;
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;

/// Fails if a file is one of PyTorch's own format; a file that cannot be read is left to whoever reads it.
pub(super) fn refuse_pytorch(weights: &Path) -> Result<()> {
    let mut start = Vec::new();
    let read = fs::File::open(weights).and_then(|file| file.take(16).read_to_end(&mut start));
    if read.is_ok() && weights_file::is_of_pytorch(&start) {
        return Err(wrong(weights, weights_file::of_pytorch(weights)));
    }
    Ok(())
}

/// What to say of weights without a description: what is wrong with the file itself, else the line that describes it.
///
/// METHOD: names and shapes of the tensors say which network of a preset they are of. They do not say the size of the images,
/// nor with which window the network was trained, so that nobody guesses these.
pub(super) fn undescribed(weights: &Path) -> Error {
    let file = fs::read(weights).map_err(Error::from);
    match file.and_then(|bytes| WeightsFile::parse(weights, &bytes)) {
        Ok(file) => wrong(&weights.with_extension("json"), problem(weights, &file)),
        Err(error) => error,
    }
}

fn problem(weights: &Path, file: &WeightsFile) -> String {
    let (found, network) = match network_of(file) {
        Some((architecture, preset)) => {
            let name = architecture.name();
            (format!("the tensors are those of `{name}` with the preset {preset}"), (name, preset))
        }
        None => (
            "the tensors are of no network in the widths of a preset: put in the architecture and its settings \
             (docs/models.md), whose tensors schemas/model-parameters.json lists"
                .to_owned(),
            ("unet", json!("paper")),
        ),
    };
    let (architecture, preset) = network;
    let image_size = Config::default().image_size;
    let has_dynamics = architecture == Architecture::Proposed.name();
    let config =
        json!({ "architecture": architecture, "preset": preset, "image_size": image_size });
    let description = json!({ "config": config, "std": has_dynamics, "metadata": null });
    format!(
        "is missing; it says which network the weights `{}` are of: copy it from the checkpoint, or, for weights of another \
         program, write it with\nprintf '%s\\n' '{description}' > {}\nwith the `image_size` that the network was trained \
         with; {found}. Then state the window that they were trained with, because such weights do not say it",
        weights.display(),
        quoted(&weights.with_extension("json"))
    )
}

/// The network of a preset whose parameters a file holds, all of them and no others.
fn network_of(file: &WeightsFile) -> Option<(Architecture, Value)> {
    let all = Architecture::ALL.into_iter();
    let mut all = all.flat_map(|a| [Preset::Paper, Preset::Tiny].map(|preset| (a, preset)));
    let (architecture, preset) = all.find(|(architecture, preset)| {
        Network::new(&Config::of(*architecture, *preset)).is_ok_and(|(_, specs)| {
            let has = |name: &str, shape: &[usize]| {
                file.arrays.get(name).is_some_and(|(found, _)| found == shape)
            };
            specs.len() == file.arrays.len()
                && specs.iter().all(|spec| has(&spec.name, &spec.shape))
        })
    })?;
    Some((architecture, json!(preset)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Predictor, Trainer, contract, weights_path};

    fn weights(folder: &Path, config: &Config) -> std::path::PathBuf {
        let path = folder.join("it's.safetensors");
        let trainer = Trainer::new(config, 1, &Device::Cpu).unwrap();
        trainer.save_checkpoint(&path, &Value::Null).unwrap();
        fs::remove_file(path.with_extension("json")).unwrap();
        path
    }

    fn message(path: &Path) -> String {
        Predictor::load(path, &Device::Cpu).err().unwrap().to_string()
    }

    #[test]
    fn the_line_describes_weights_so_that_they_predict() {
        let folder = tempfile::tempdir().unwrap();
        for architecture in [Architecture::UNet, Architecture::Proposed] {
            let config = Config::of(architecture, Preset::Tiny);
            let path = weights(folder.path(), &config);
            let error = message(&path);
            let network = format!(
                "the tensors are those of `{}` with the preset \"tiny\"",
                config.architecture.name()
            );
            assert!(
                error.contains("it's.json: is missing;") && error.contains(&network),
                "{error}"
            );
            let line = error.lines().find(|line| line.starts_with("printf ")).unwrap();
            assert!(
                std::process::Command::new("sh").args(["-c", line]).status().unwrap().success()
            );
            let predictor = Predictor::load(&path, &Device::Cpu).unwrap();
            assert_eq!(predictor.config(), &config);
            assert_eq!((predictor.contract(), predictor.metadata()), (None, &Value::Null));
        }
    }

    #[test]
    fn a_network_of_other_widths_is_not_guessed() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { width: 12, ..Config::of(Architecture::UNet, Preset::Tiny) };
        let error = message(&weights(folder.path(), &config));
        assert!(error.contains("are of no network in the widths of a preset"), "{error}");
        let nowhere = message(&folder.path().join("nowhere.safetensors"));
        assert!(nowhere.contains("nowhere.safetensors"), "{nowhere}");
    }

    #[test]
    fn a_file_of_pytorch_is_recognised_before_its_description_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["net.pth", "net.safetensors"] {
            let path = weights_path(&folder.path().join(name));
            fs::write(&path, b"PK\x03\x04 and so on").unwrap();
            for error in [message(&path), contract(&path).unwrap_err().to_string()] {
                assert!(error.contains("is a file of PyTorch's own format"), "{error}");
            }
        }
    }
}

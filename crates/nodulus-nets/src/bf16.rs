//! Training in `bf16` compared with training in `f32`.

use super::backend::Precision;
use super::checkpoint;
use super::config::{Architecture, Config};
use super::device::composed_backends;
use super::golden::{golden, samples, save, trainer};
use super::infer::Predictor;

/// Allowed relative difference of a `bf16` loss from the `f32` loss after `step` steps: twice the
/// difference that `PyTorch` shows under `torch.autocast`, which rounds more: 5.7e-2, 2.8e-1,
/// 2.2e-1 and 2.1e-2 for the proposed network, 2.1e-3 for U-Net (`tests/golden/rounding.py`).
fn follows(config: &Config, step: usize) -> f64 {
    match (config.architecture, step) {
        (Architecture::UNet, _) => 4e-3,
        (_, 0) => 1e-1,
        (_, 1) => 5e-1,
        (_, 2..15) => 4e-1,
        _ => 4e-2,
    }
}

#[test]
fn steps_of_training_in_bf16_follow_those_in_f32() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join(checkpoint::WEIGHTS_FILE);
    for (name, case) in golden().cases {
        if !["proposed", "unet"].contains(&name.as_str()) {
            continue;
        }
        let samples = samples(&case.config);
        let images: Vec<Vec<f32>> = samples.iter().map(|e| e.image.clone()).collect();
        for backend in composed_backends() {
            save(&case, &weights);
            let backends = [Precision::F32, Precision::Bf16].map(|p| backend.with_precision(p));
            let predicted = backends.each_ref().map(|backend| {
                let predictor = Predictor::load_on(folder.path(), backend).unwrap();
                let found = predictor.predict(&images).unwrap().into_iter();
                found.flat_map(|p| p.probability).collect::<Vec<f32>>()
            });
            let pairs = predicted[0].iter().zip(&predicted[1]);
            let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!((1e-4..1e-1).contains(&off), "{name}: probabilities {off} apart");
            let [mut single, mut half] = backends.map(|backend| trainer(&case, &weights, &backend));
            for step in 0..case.losses.len() {
                let [single, half] = [&mut single, &mut half]
                    .map(|(trainer, phase)| trainer.epoch(phase, step + 1, &samples).loss);
                let off = (single - half).abs() / single;
                let most = follows(&case.config, step);
                assert!(off < most, "{name}, step {step}: loss {half}, in f32 {single}");
                assert!(step > 0 || off > 1e-6, "{name}: not in bf16");
            }
            // The weights themselves are not rounded: bf16 values end in 16 zero bits.
            half.0.save_checkpoint(&weights, &().into()).unwrap();
            let after = crate::weights_file::read(&weights).unwrap();
            let values = || after.values().flat_map(|(_, values)| values);
            let whole = values().filter(|value| value.to_bits() & 0xffff != 0).count();
            assert!(2 * whole > values().count(), "{name}: {whole} weights");
        }
    }
}

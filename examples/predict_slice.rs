//! Loads a checkpoint and predicts one slice: Hounsfield units → window → network → mask.
//!
//! `cargo run --release --example predict_slice -- STORE/train/FILES/model`

use nodulus_formats::volume::Mask;
use nodulus_imaging::normalise::normalise_slice;
use nodulus_metrics::mask_size;
use nodulus_nets::{Device, Predictor};
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Probability from which a pixel belongs to the mask.
const THRESHOLD: f32 = 0.5;

/// Distance between pixel centres and between slices, mm.
const SPACING_MM: [f64; 3] = [0.7, 0.7, 1.0];

fn main() -> ExitCode {
    let outcome = match std::env::args_os().nth(1) {
        Some(checkpoint) => predict(Path::new(&checkpoint)),
        None => {
            Err("name a checkpoint: the folder with `model.safetensors` and `model.json` that \
                     `nodulus train` wrote"
                .into())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn predict(checkpoint: &Path) -> Result<(), Box<dyn Error>> {
    let predictor = Predictor::load(checkpoint, &Device::Cpu)?;
    let side = predictor.image_size();
    // The window that the network was trained with; a checkpoint may have several, or none.
    let contract = predictor.contract().ok_or("the checkpoint does not say how it was trained")?;
    let window = contract
        .window_for(None)
        .ok_or_else(|| format!("choose a window: {}", contract.windows_text()))?;
    let image = normalise_slice(&slice_hu(side), window.low_hu, window.high_hu);
    for prediction in predictor.predict(&[image])? {
        let mask = Mask::from_fn([side, side, 1], |i, j, _| {
            prediction.probability[j * side + i] >= THRESHOLD
        });
        let largest = prediction.probability.iter().copied().fold(0.0, f32::max);
        let mut out = std::io::stdout().lock();
        writeln!(out, "mask: {} of {} pixels", mask.count(), side * side)?;
        writeln!(out, "long axis: {:.1} mm", mask_size(&mask, SPACING_MM).long_axis_mm)?;
        writeln!(out, "largest pixel probability: {largest:.3}")?;
        match prediction.nodule_probability {
            Some(probability) => writeln!(out, "nodule probability: {probability:.3}")?,
            None => writeln!(out, "nodule probability: none, the network has no classifier")?,
        }
    }
    Ok(())
}

/// A slice of lung with a solid nodule of 12 mm in its centre, HU, row by row.
fn slice_hu(side: usize) -> Vec<i16> {
    let centre = side as f64 / 2.0;
    let radius = 6.0 / SPACING_MM[0];
    let hu = |pixel: usize| {
        let (i, j) = ((pixel % side) as f64, (pixel / side) as f64);
        if (i - centre).hypot(j - centre) <= radius { 40 } else { -850 }
    };
    (0..side * side).map(hu).collect()
}

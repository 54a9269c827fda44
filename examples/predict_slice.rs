//! Loads a checkpoint and predicts one slice: Hounsfield units → window → network → mask.
//!
//! `cargo run --release --example predict_slice -- STORE/checkpoint/current`
//!
//! Weights that were trained with several windows need one more argument: the cohort whose window the slice has, or the
//! window itself, as in `-1000,400`.

use nodulus_formats::volume::Mask;
use nodulus_imaging::normalise::normalise_slice;
use nodulus_metrics::mask_size;
use nodulus_nets::{Contract, Device, HuWindow, Predictor};
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Probability from which a pixel belongs to the mask.
const THRESHOLD: f32 = 0.5;

/// Distance between pixel centres and between slices, mm.
const SPACING_MM: [f64; 3] = [0.7, 0.7, 1.0];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (checkpoint, chosen) = (arguments.next(), arguments.next());
    let chosen = chosen.map(|chosen| chosen.to_string_lossy().into_owned());
    let outcome = match checkpoint {
        Some(checkpoint) => predict(Path::new(&checkpoint), chosen.as_deref()),
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

fn predict(checkpoint: &Path, chosen: Option<&str>) -> Result<(), Box<dyn Error>> {
    let predictor = Predictor::load(checkpoint, &Device::Cpu)?;
    let (side, n_slices) = (predictor.image_size(), predictor.input_slices());
    let window = window(predictor.contract(), chosen)?;
    let image = normalise_slice(&slice_hu(side), window.low_hu, window.high_hu);
    // A network of several slices takes the neighbours too; here, all are alike.
    for prediction in predictor.predict(&[image.repeat(n_slices)])? {
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

/// The window that the network was trained with. A checkpoint may have several, or none; then `chosen` says which.
fn window(contract: Option<&Contract>, chosen: Option<&str>) -> Result<HuWindow, Box<dyn Error>> {
    let ends = chosen.and_then(|chosen| chosen.split_once(','));
    let stated = match ends {
        Some((low_hu, high_hu)) => {
            let hu = |text: &str| text.parse().map_err(|_| "expected a window as in -1000,400");
            let window = HuWindow { low_hu: hu(low_hu)?, high_hu: hu(high_hu)? };
            let is_window =
                window.low_hu < window.high_hu && window.high_hu - window.low_hu < f64::INFINITY;
            Some(is_window.then_some(window).ok_or("expected a window as in -1000,400")?)
        }
        None => None,
    };
    let Some(contract) = contract else {
        let unknown = "the checkpoint does not say with which window it was trained: name one, as in -1000,400";
        return Ok(stated.ok_or(unknown)?);
    };
    let windows = contract.windows_text();
    if let Some(window) = stated {
        let is_trained = contract.windows.iter().any(|trained| trained.window.is_same(window));
        let other =
            || format!("the checkpoint was trained with other windows than {window}: {windows}");
        return Ok(is_trained.then_some(window).ok_or_else(other)?);
    }
    if let Some(cohort) = chosen
        && contract.windows.iter().all(|trained| trained.cohort != cohort)
    {
        return Err(format!(
            "the checkpoint was trained on no cohort `{cohort}`; its windows: {windows}"
        )
        .into());
    }
    let several = || {
        format!(
            "the checkpoint was trained with several windows: {windows}; name the cohort, or the window as in -1000,400"
        )
    };
    Ok(contract.window_for(chosen).ok_or_else(several)?)
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

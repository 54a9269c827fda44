//! Time and memory of inference and of training steps on a device.
//!
//!     cargo bench --bench model -- FOLDER CONFIGURATION WORK ROUNDS [DEVICE [PRECISION]]
//!
//! `CONFIGURATION` is `paper` or `tiny`; `WORK` is `infer` or `train`; `DEVICE` is a device as for `nodulus run`, by default
//! `cpu`; `PRECISION` is `f32` or, on a card, `tf32` or `bf16`. The benchmark reads the checkpoint
//! `FOLDER/CONFIGURATION`, or makes one with five training steps. After two rounds to warm up, it prints the seconds of each
//! round and the process's peak memory as one line of JSON. `infer` writes the probabilities to
//! `FOLDER/CONFIGURATION/probabilities`. `benches/peers/model.py` runs this and `PyTorch` in turn, with the same weights.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use nodulus_nets::{
    Config, Device, Epoch, Phase, Precision, Predictor, Preset, Trainer, TrainingSample,
    WEIGHTS_FILE,
};
use std::path::Path;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let (device, precision) = match &arguments[..] {
        [_, _, _, _] => ("cpu", "f32"),
        [_, _, _, _, device] => (device.as_str(), "f32"),
        [_, _, _, _, device, precision] => (device.as_str(), precision.as_str()),
        _ => {
            println!("usage: model FOLDER paper|tiny infer|train ROUNDS [DEVICE [f32|tf32|bf16]]");
            return;
        }
    };
    let [folder, preset, work, rounds] = &arguments[..4] else { return };
    let precision: Precision = serde_json::from_value(precision.into()).expect("a precision");
    let device = Device::from_name(device).expect("a device");
    let device = device.with_precision(precision).expect("a precision of the device");
    let folder = Path::new(folder).join(preset);
    let preset = if preset == "tiny" { Preset::Tiny } else { Preset::Paper };
    let config = Config::preset(preset);
    let rounds: usize = rounds.parse().expect("a number of rounds");
    let side = config.image_size;
    let images: Vec<Vec<f32>> = (0..BATCH)
        .map(|n| (0..side * side).map(move |p| ((p * 37 + n * 11 + p / side) % 101) as f32 / 100.0))
        .map(Iterator::collect)
        .collect();
    let examples: Vec<TrainingSample> = images
        .iter()
        .map(|image| TrainingSample {
            id: String::new(),
            image: image.clone(),
            mask: image.iter().map(|v| u8::from(*v > 0.9)).collect(),
            soft: Vec::new(),
            has_nodule: Some(true),
        })
        .collect();
    let phase = Phase { batch: BATCH, flips: false, std: true, ..Phase::default() };
    let step = |trainer: &mut Trainer| {
        let mut batch = examples.clone();
        trainer.learn(&phase, &mut Epoch::new(1), &mut batch).expect("a finite loss");
    };
    if !folder.join("model.safetensors").exists() {
        fs_err::create_dir_all(&folder).expect("a folder that can be written to");
        let mut trainer = Trainer::new(&config, 1, &Device::Cpu).expect("a configuration");
        trainer.begin_phase(&phase, false).expect("a schedule");
        (0..5).for_each(|_| step(&mut trainer));
        trainer
            .save_checkpoint(&folder.join(WEIGHTS_FILE), &().into())
            .expect("a folder that can be written to");
        return;
    }
    let mut seconds = Vec::new();
    let mut time = |round: &mut dyn FnMut()| {
        for n in 0..rounds + 2 {
            let start = Instant::now();
            round();
            if n >= 2 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
    };
    if work == "infer" {
        let predictor = Predictor::load(&folder, &device).expect("a checkpoint");
        let mut bytes = Vec::new();
        time(&mut || {
            let found = predictor.predict(&images).expect("images of its size");
            bytes =
                found.into_iter().flat_map(|p| p.probability).flat_map(f32::to_le_bytes).collect();
        });
        fs_err::write(folder.join("probabilities"), bytes)
            .expect("a folder that can be written to");
    } else {
        let mut trainer = Trainer::new(&config, 1, &device).expect("a configuration");
        trainer.transfer(&folder, "").expect("a checkpoint");
        trainer.begin_phase(&phase, false).expect("a schedule");
        time(&mut || step(&mut trainer));
    }
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|line| line.split_whitespace().next()).unwrap_or("0");
    println!("{{\"seconds\": {seconds:?}, \"peak_kib\": {kib}}}");
}

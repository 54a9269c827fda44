use super::*;
use crate::augment::Augmentation;
use crate::checkpoint::WEIGHTS_FILE;
use crate::config::{DynamicsMode, Preset};
use crate::epoch::EpochLog;
use crate::infer::Predictor;
use crate::phase::Decay;
use crate::tensors::view;

type Examples = Vec<std::result::Result<TrainingSample, Error>>;

/// Bright discs on noise; one image in three has none.
fn discs(n: usize, side: usize, seed: u64) -> Vec<TrainingSample> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut disc = |i: usize| {
        let has_nodule = !i.is_multiple_of(3);
        let mut at = || rng.random_range(0.3..0.7f32) * side as f32;
        let (ci, cj) = (at(), at());
        let radius = rng.random_range(0.08..0.2f32) * side as f32;
        let inside = |p: usize| {
            let (di, dj) = ((p % side) as f32 - ci, (p / side) as f32 - cj);
            has_nodule && di * di + dj * dj <= radius * radius
        };
        let mask: Vec<u8> = (0..side * side).map(|p| u8::from(inside(p))).collect();
        let noise = |m: &u8| 0.3 * f32::from(*m) + rng.random_range(0.0..0.5f32);
        let image = mask.iter().map(noise).collect();
        TrainingSample {
            id: format!("disc-{i}"),
            image,
            mask,
            soft: Vec::new(),
            has_nodule: Some(has_nodule),
        }
    };
    (0..n).map(&mut disc).collect()
}

fn config() -> Config {
    Config { image_size: 32, width: 4, classifier_width: 4, ..Config::preset(Preset::Tiny) }
}

impl Trainer {
    /// Trains on the batches of an epoch that are left, up to a number of batches.
    fn go_on(
        &mut self,
        phase: &Phase,
        epoch: &mut Epoch,
        examples: &[TrainingSample],
        until: usize,
    ) {
        for batch in examples.chunks(phase.batch).take(until).skip(epoch.batches()) {
            self.learn(phase, epoch, &mut batch.to_vec()).unwrap();
        }
    }

    /// Trains a whole epoch.
    pub(crate) fn epoch(
        &mut self,
        phase: &Phase,
        number: usize,
        examples: &[TrainingSample],
    ) -> EpochLog {
        let mut epoch = Epoch::new(number);
        self.go_on(phase, &mut epoch, examples, usize::MAX);
        epoch.log(phase.learning_rate_at(number))
    }
}

fn stream(
    examples: &[TrainingSample],
) -> std::vec::IntoIter<std::result::Result<TrainingSample, Error>> {
    examples.iter().cloned().map(Ok).collect::<Examples>().into_iter()
}

fn bits(trainer: &Trainer) -> Vec<u32> {
    let averages = trainer.average.iter().flat_map(|average| &average.tensors);
    let tensors = trainer.parameters.tensors.iter().chain(averages);
    tensors.flat_map(|t| view(t).unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>()).collect()
}

#[test]
fn the_same_seed_gives_the_same_weights_stopped_or_not() {
    let examples = discs(7, 32, 1);
    let phases = [
        Phase { batch: 3, std: false, ..Phase::default() },
        Phase { batch: 3, freeze: vec!["C1".to_owned()], ..Phase::default() },
        Phase {
            batch: 3,
            epochs: 3,
            warm_up_epochs: 0.5,
            decay: Decay::Cosine,
            average_decay: Some(0.9),
            augmentation: Augmentation {
                rotation_degrees: 20.0,
                scale: 0.2,
                shift_pixels: 2.0,
                brightness: 0.1,
                contrast: 0.1,
                noise: 0.05,
            },
            ..Phase::default()
        },
    ];
    let folder = tempfile::tempdir().unwrap();
    // The state is saved and loaded again before each epoch and within it.
    let run = |seed: u64, stops: bool, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut trainer = Trainer::new(&config(), seed, &Device::Cpu).unwrap();
        let mut logs = Vec::new();
        for phase in &phases {
            trainer.begin_phase(phase, false).unwrap();
            for number in 1..=2 {
                let mut epoch = Epoch::of_batches(number, 3);
                for until in 0..=3 {
                    if stops {
                        trainer.save_state(folder.path(), Some(&epoch)).unwrap();
                        trainer = Trainer::new(&config(), seed, &Device::Cpu).unwrap();
                        epoch = trainer.load_state(folder.path()).unwrap().unwrap();
                        trainer.begin_phase(phase, true).unwrap();
                    }
                    pool.install(|| trainer.go_on(phase, &mut epoch, &examples, until));
                }
                logs.push(EpochLog { seconds: 0.0, ..epoch.log(0.0) });
            }
        }
        (bits(&trainer), logs)
    };
    let expected = run(5, false, 2);
    assert!(expected == run(5, false, 1), "another number of threads");
    assert!(expected == run(5, true, 2), "stopped and resumed");
    assert!(expected != run(6, false, 2), "another seed");
}

#[test]
fn the_average_is_written_and_handed_on() {
    let examples = discs(6, 32, 2);
    let phase = Phase { batch: 2, average_decay: Some(0.5), ..Phase::default() };
    let mut trainer = Trainer::new(&config(), 1, &Device::Cpu).unwrap();
    trainer.begin_phase(&phase, false).unwrap();
    let weights = |trainer: &Trainer| -> Vec<f32> {
        trainer.parameters.tensors.iter().flat_map(|t| view(t).unwrap().to_vec()).collect()
    };
    // The recursion by hand: 1/10, 2/11 and 3/12 are below the decay of 0.5.
    let mut expected = weights(&trainer);
    let mut epoch = Epoch::new(1);
    for (until, kept) in [(1, 0.1), (2, 2.0 / 11.0), (3, 0.25)] {
        trainer.go_on(&phase, &mut epoch, &examples, until);
        for (average, value) in expected.iter_mut().zip(weights(&trainer)) {
            *average = kept * *average + (1.0 - kept) * value;
        }
    }
    let last = weights(&trainer);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(WEIGHTS_FILE);
    trainer.save_checkpoint(&path, &serde_json::Value::Null).unwrap();
    trainer.begin_phase(&Phase::default(), false).unwrap();
    let handed_on = weights(&trainer);
    let mut other = Trainer::new(&config(), 2, &Device::Cpu).unwrap();
    other.transfer(&path, "").unwrap();
    assert_eq!(weights(&other), handed_on);
    let far =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
    assert!(far(&handed_on, &expected) < 1e-5 && far(&handed_on, &last) > 1e-4);
}

#[test]
fn what_is_frozen_stays() {
    let mut trainer = Trainer::new(&config(), 1, &Device::Cpu).unwrap();
    let tensors = trainer.parameters.tensors.iter();
    let before: Vec<Vec<f32>> = tensors.map(|t| view(t).unwrap().to_vec()).collect();
    let freeze = vec!["C2".to_owned(), "segmenter.s9.aspp.*".to_owned()];
    let phase = Phase { batch: 2, freeze, ..Phase::default() };
    trainer.begin_phase(&phase, false).unwrap();
    trainer.epoch(&phase, 1, &discs(4, 32, 2));
    let parameters = trainer.parameters.specs.iter().zip(&trainer.parameters.tensors);
    for ((spec, tensor), before) in parameters.zip(before) {
        let frozen = spec.name.contains("classifier.layer1.") || spec.name.contains("s9.aspp.");
        let changed = view(tensor).unwrap().to_vec() != before;
        assert_eq!(changed, !frozen, "{}", spec.name);
    }
}

#[test]
fn discs_are_learnt_and_predicted() {
    let config = Config { image_size: 64, ..Config::preset(Preset::Tiny) };
    let (examples, others) = (discs(60, 64, 3), discs(16, 64, 4));
    let mut trainer = Trainer::new(&config, 7, &Device::Cpu).unwrap();
    let schedule = |epochs, std| Phase { epochs, std, ..Phase::default() };
    for phase in [schedule(6, false), schedule(3, true)] {
        trainer.begin_phase(&phase, false).unwrap();
        for epoch in 1..=phase.epochs {
            let log = trainer.epoch(&phase, epoch, &examples);
            assert_eq!(log.n_samples, 60);
        }
    }
    let found = trainer.evaluate(true, &mut stream(&others)).unwrap();
    let dice = found.dice.unwrap();
    assert!(dice > 0.8, "{dice}");
    let pixels = found.calibration().unwrap().unwrap().pixels.unwrap();
    assert_eq!(Some(&pixels.calibrated), found.pixel_calibration.as_ref());
    let folder = tempfile::tempdir().unwrap();
    trainer.set_calibration(found.calibration().unwrap());
    trainer
        .save_checkpoint(&folder.path().join(WEIGHTS_FILE), &serde_json::json!({"run": 1}))
        .unwrap();
    let predictor = Predictor::load(folder.path(), &Device::Cpu).unwrap();
    assert_eq!((predictor.image_size(), &predictor.metadata()["run"]), (64, &1.into()));
    let images: Vec<Vec<f32>> = others.iter().map(|example| example.image.clone()).collect();
    let predictions = predictor.predict(&images).unwrap();
    let overlaps: Vec<f64> = predictions
        .iter()
        .zip(&others)
        .filter_map(|(prediction, example)| {
            let logits: Vec<f32> = prediction.probability.iter().map(|p| p - 0.5).collect();
            loss::overlap(&logits, &example.mask).map(|[dice, _]| dice)
        })
        .collect();
    let mean = overlaps.iter().sum::<f64>() / overlaps.len() as f64;
    assert!((mean - dice).abs() < 1e-9, "{mean} {dice}");
    assert!(predictor.predict(&[]).unwrap().is_empty());
    let error = predictor.predict(&[vec![0.0; 5]]).unwrap_err().to_string();
    assert_eq!(error, "sample 0: the image has 5 pixels, expected 4096");
}

#[test]
fn without_examples_there_is_no_dice() {
    let config = Config { mode: DynamicsMode::None, ..config() };
    let mut trainer = Trainer::new(&config, 1, &Device::Cpu).unwrap();
    let found = trainer.evaluate(true, &mut stream(&[])).unwrap();
    assert_eq!((found.calibration().unwrap(), found), (None, Validation::default()));
}

#[test]
fn a_loss_that_is_no_number_names_the_images() {
    let mut trainer = Trainer::new(&config(), 1, &Device::Cpu).unwrap();
    let phase = Phase { batch: 2, ..Phase::default() };
    trainer.begin_phase(&phase, false).unwrap();
    let mut examples = discs(2, 32, 2);
    examples[1].image[7] = f32::NAN;
    let before = bits(&trainer);
    let error = trainer.learn(&phase, &mut Epoch::new(3), &mut examples).unwrap_err().to_string();
    assert!(error.starts_with("epoch 3, batch 0: the loss is NaN on disc-0, disc-1;"), "{error}");
    assert!(before == bits(&trainer), "nothing is learnt from it");
}

#[test]
fn an_image_of_another_size_is_named() {
    let mut trainer = Trainer::new(&config(), 1, &Device::Cpu).unwrap();
    let phase = Phase::default();
    trainer.begin_phase(&phase, false).unwrap();
    let mut examples = discs(2, 32, 2);
    examples[1].mask.pop();
    let error = trainer.learn(&phase, &mut Epoch::new(1), &mut examples).unwrap_err().to_string();
    assert_eq!(error, "sample `disc-1`: the mask has 1023 pixels, expected 1024");
}

//! Times the agreement of readers on as many patients and nodules as LIDC-IDRI has: kappa and alpha with their intervals.
//!
//! `cargo run --release -p nodulus-metrics --example rating_agreement`

use nodulus_metrics::fleiss::{self, RatingCounts};
use nodulus_metrics::krippendorff;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::io::Write as _;
use std::time::Instant;

const PATIENTS: u32 = 875;
const READERS: usize = 4;
const CATEGORIES: i64 = 5;
const ROUNDS: usize = 20;

fn main() -> std::io::Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut rated: Vec<(String, RatingCounts)> = Vec::new();
    for patient in 0..PATIENTS {
        for _ in 0..random.random_range(1..6u32) {
            let middle = random.random_range(1..=CATEGORIES);
            let mut counts = RatingCounts::new();
            for _ in 0..random.random_range(1..=READERS as u32) {
                let rating = (middle + random.random_range(-1..=1i64)).clamp(1, CATEGORIES);
                *counts.entry(rating).or_default() += 1;
            }
            rated.push((format!("p{patient:04}"), counts));
        }
    }
    let subjects: Vec<(&str, &RatingCounts)> =
        rated.iter().map(|(patient, counts)| (patient.as_str(), counts)).collect();
    let mut seconds = [f64::INFINITY; 2];
    let mut out = std::io::stdout().lock();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let kappa = fleiss::agreement(&subjects, 1);
        seconds[0] = seconds[0].min(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let alpha = krippendorff::ordinal_agreement(&subjects, 1);
        seconds[1] = seconds[1].min(begun.elapsed().as_secs_f64());
        std::hint::black_box((&kappa, &alpha));
    }
    let (kappa, alpha) =
        (fleiss::agreement(&subjects, 1), krippendorff::ordinal_agreement(&subjects, 1));
    writeln!(out, "{} nodules of {PATIENTS} patients", subjects.len())?;
    writeln!(out, "kappa {:.1} ms: {:?} {:?}", 1e3 * seconds[0], kappa.kappa, kappa.interval)?;
    writeln!(out, "alpha {:.1} ms: {:?} {:?}", 1e3 * seconds[1], alpha.alpha, alpha.interval)
}

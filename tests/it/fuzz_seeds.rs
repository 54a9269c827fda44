//! The fuzz targets read their seeds, changed seeds and what was found before: on the usual compiler, in seconds.
//!
//! `fuzz/run` looks further, with the help of a fuzzer; `NODULUS_FUZZ_SECONDS` looks longer here, for each target, without one.
//! What fails comes into `FOUND`.

#[expect(unreachable_pub, reason = "it is the library of another crate")]
#[path = "../../fuzz/src/targets.rs"]
mod targets;

use crate::seeds::{Seed, seeds};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

/// Changed inputs of a target.
const N_CHANGED: usize = 60;

/// A target, and bytes that once made it fail.
const FOUND: [(&str, &[u8]); 0] = [];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A number from the environment.
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Some bytes are replaced, cut out or written twice, or another seed follows from some byte on.
fn changed(whole: &[u8], other: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..random.random_range(1..=4) {
        // Headers are at the start.
        let most = if random.random_bool(0.5) { bytes.len().min(512) } else { bytes.len() };
        let at = random.random_range(0..=most);
        let end = (at + random.random_range(0..40)).min(bytes.len());
        match random.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] = random.random(),
            1 if at < bytes.len() => bytes[at] = *[0, 1, 0x7F, 0x80, 0xFF].choose(random).unwrap(),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            4 => {
                bytes.truncate(at);
                bytes.extend_from_slice(&other[at.min(other.len())..]);
            }
            _ => {}
        }
    }
    bytes
}

/// Runs a target; what makes it fail is kept in a file, so that it can be read again.
fn check(name: &str, target: Target, bytes: &[u8]) {
    if catch_unwind(|| target(bytes)).is_ok() {
        return;
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("found-{name}"));
    fs_err::write(&file, bytes).unwrap();
    panic!("{name} fails with the {} bytes of {}", bytes.len(), file.display());
}

#[test]
fn every_target_reads_its_seeds_changed_ones_and_what_was_found() {
    let seeds = seeds(root());
    let folder = std::env::var_os("NODULUS_FUZZ_CORPUS");
    for Seed { target, name, bytes } in folder.iter().flat_map(|_| &seeds) {
        let folder = Path::new(folder.as_ref().unwrap()).join(target);
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join(name), bytes).unwrap();
    }
    let names: BTreeSet<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(seeds.iter().map(|seed| seed.target).collect::<BTreeSet<_>>(), names);
    let seconds = number("NODULUS_FUZZ_SECONDS").map(Duration::from_secs);
    let chosen = std::env::var("NODULUS_FUZZ_TARGET").ok();
    for (name, target) in TARGETS {
        if chosen.as_ref().is_some_and(|chosen| chosen != name) {
            continue;
        }
        let own: Vec<&Seed> = seeds.iter().filter(|seed| seed.target == name).collect();
        for seed in &own {
            check(name, target, &seed.bytes);
        }
        for (_, bytes) in FOUND.iter().filter(|(of, _)| *of == name) {
            check(name, target, bytes);
        }
        let mut random = ChaCha8Rng::seed_from_u64(number("NODULUS_FUZZ_SEED").unwrap_or(21));
        let (begun, mut n) = (Instant::now(), 0);
        while seconds.map_or(n < N_CHANGED, |seconds| begun.elapsed() < seconds) {
            let [whole, other] = [0; 2].map(|_| *own.choose(&mut random).unwrap());
            check(name, target, &changed(&whole.bytes, &other.bytes, &mut random));
            n += 1;
        }
        writeln!(std::io::stderr(), "{name}: {} seeds, {n} changed ones", own.len()).unwrap();
    }
}

#[test]
fn every_target_has_a_file_for_the_fuzzer() {
    let folder = root().join("fuzz");
    let manifest = fs_err::read_to_string(folder.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let file = fs_err::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(file.contains(&format!("nodulus_fuzz::targets::{name}(bytes)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
    }
}

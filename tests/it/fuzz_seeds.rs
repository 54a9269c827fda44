//! The fuzz targets read their seeds, changed seeds and what was found before: on the usual compiler, in seconds.
//!
//! `fuzz/run` finds more; what it finds comes into `FOUND`.

#[expect(unreachable_pub, reason = "they are the library of another crate")]
#[path = "../../fuzz/src/seeds.rs"]
mod seeds;
#[expect(unreachable_pub, reason = "they are the library of another crate")]
#[path = "../../fuzz/src/targets.rs"]
mod targets;

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;

/// Changed inputs of a target.
const N_CHANGED: usize = 60;

/// A target, a name, and bytes that once made it fail.
const FOUND: [(&str, &str, &[u8]); 0] = [];

/// Some bytes are replaced, cut out or written twice, or another seed follows from some byte on.
fn changed(whole: &[u8], other: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..40)).min(bytes.len());
        match random.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] = random.random(),
            1 if at < bytes.len() => bytes[at] = *[0, 1, 0x7F, 0x80, 0xFF].choose(random).unwrap(),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            4 => {
                bytes.truncate(at);
                bytes.extend_from_slice(&other[at.min(other.len())..]);
            }
            _ => {}
        }
    }
    bytes
}

#[test]
fn every_target_reads_its_seeds_changed_ones_and_what_was_found() {
    let mut of_target: BTreeMap<&str, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    for seed in seeds::seeds(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        of_target.entry(seed.target).or_default().push((seed.name, seed.bytes));
    }
    let mut random = ChaCha8Rng::seed_from_u64(21);
    for (name, target) in targets::TARGETS {
        let seeds = of_target.remove(name).unwrap_or_default();
        assert!(!seeds.is_empty(), "no seed for {name}");
        let mut inputs: Vec<(String, Vec<u8>)> = Vec::new();
        for n in 0..N_CHANGED {
            let [whole, other] = [0; 2].map(|_| seeds.choose(&mut random).unwrap());
            inputs.push((format!("change {n} of {}", whole.0), changed(&whole.1, &other.1, &mut random)));
        }
        let found = FOUND.iter().filter(|(of, ..)| *of == name);
        inputs.extend(found.map(|(_, what, bytes)| ((*what).to_owned(), bytes.to_vec())));
        for (what, bytes) in seeds.into_iter().chain(inputs) {
            assert!(catch_unwind(|| target(&bytes)).is_ok(), "{name} fails with {what}");
        }
    }
    assert!(of_target.is_empty(), "seeds of targets that do not exist: {:?}", of_target.keys());
}

#[test]
fn every_target_has_a_file_for_the_fuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs_err::read_to_string(folder.join("Cargo.toml")).unwrap();
    for (name, _) in targets::TARGETS {
        let file = fs_err::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(file.contains(&format!("nodulus_fuzz::targets::{name}(bytes)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
    }
}

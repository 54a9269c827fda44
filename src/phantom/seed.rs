//! Random numbers and identifiers that a seed and a name determine.

use nodulus_formats::uid;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// A stream of random numbers for one purpose; what other streams draw does not change it.
pub(super) fn stream(seed: u64, names: &[&str]) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(digest(seed, names))
}

/// A DICOM unique identifier below `2.25`: a version 8 UUID as a decimal number.
pub(super) fn uid(seed: u64, names: &[&str]) -> String {
    uid::from_digest(&digest(seed, names))
}

/// A uniform number from `low` up to `high`.
pub(super) fn between(rng: &mut impl Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// A unit vector in a uniform direction.
pub(super) fn direction(rng: &mut impl Rng) -> [f64; 3] {
    loop {
        let v: [f64; 3] = std::array::from_fn(|_| between(rng, -1.0, 1.0));
        let square: f64 = v.iter().map(|c| c * c).sum();
        if (0.01..=1.0).contains(&square) {
            let length = square.sqrt();
            return v.map(|c| c / length);
        }
    }
}

fn digest(seed: u64, names: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for name in names {
        // The length keeps ("a", "bc") apart from ("ab", "c").
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_separate_the_streams() {
        let first = |seed, names: &[&str]| stream(seed, names).random::<u64>();
        assert_eq!(first(1, &["a", "bc"]), first(1, &["a", "bc"]));
        assert_ne!(first(1, &["a", "bc"]), first(1, &["ab", "c"]));
        assert_ne!(first(1, &["a", "bc"]), first(2, &["a", "bc"]));
    }

    #[test]
    fn identifiers_fit_dicom() {
        let uid = uid(7, &["series"]);
        let number: u128 = uid.strip_prefix("2.25.").unwrap().parse().unwrap();
        assert!(uid.len() <= 64);
        assert_eq!(number >> 76 & 0xf, 8, "UUID version");
        assert_eq!(number >> 62 & 0b11, 0b10, "UUID variant");
    }

    #[test]
    fn directions_have_unit_length() {
        let mut rng = stream(1, &["directions"]);
        let mut mean = [0.0; 3];
        for _ in 0..2000 {
            let d = direction(&mut rng);
            assert!((d.iter().map(|c| c * c).sum::<f64>() - 1.0).abs() < 1e-12);
            (0..3).for_each(|a| mean[a] += d[a] / 2000.0);
        }
        assert!(mean.iter().all(|m| m.abs() < 0.06), "{mean:?}");
    }
}

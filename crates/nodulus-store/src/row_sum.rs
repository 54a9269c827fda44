//! A digest of rows that depends neither on their order nor on the shards that hold them.

use sha2::{Digest as _, Sha256};
use std::fmt;

/// The sum, modulo 2^256, of the SHA-256 of each row.
///
/// Unlike a hash over a list, the sums of shards add up to the sum of all, however the rows are divided among shards. A row that
/// is there twice counts twice. No rows sum to 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowSum([u64; 4]);

impl RowSum {
    /// Adds a row, by a text that covers its content.
    pub fn add(&mut self, row: &str) {
        let digest = Sha256::digest(row.as_bytes());
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().rev().zip(digest.chunks_exact(8)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        self.merge(Self(words));
    }

    /// Adds the rows of another sum.
    pub fn merge(&mut self, other: Self) {
        let mut carry = false;
        for (word, other) in self.0.iter_mut().zip(other.0) {
            let (sum, over) = word.overflowing_add(other);
            let (sum, over_carry) = sum.overflowing_add(u64::from(carry));
            (*word, carry) = (sum, over || over_carry);
        }
    }

    /// The sum with this text; `None` where the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut words = [0; 4];
        for (n, word) in words.iter_mut().rev().enumerate() {
            *word = u64::from_str_radix(text.get(16 * n..16 * n + 16)?, 16).ok()?;
        }
        Some(Self(words))
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for RowSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|word| write!(f, "{word:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256;

    fn sum(rows: &[&str]) -> RowSum {
        let mut sum = RowSum::default();
        for row in rows {
            sum.add(row);
        }
        sum
    }

    #[test]
    fn the_sum_of_one_row_is_its_hash() {
        assert_eq!(sum(&["abc"]).to_string(), sha256(b"abc"));
        assert_eq!(sum(&[]).to_string(), "0".repeat(64));
    }

    #[test]
    fn sums_are_those_of_python_s_integers() {
        // sum(int(hashlib.sha256(b"row %d" % n).hexdigest(), 16) for n in range(5)) % 2**256
        let found = sum(&["row 0", "row 1", "row 2", "row 3", "row 4"]).to_string();
        assert_eq!(found, "68c31f4bcbe3a7c79b7fa80e5947c42f9fada5145a37c12397c0e4e4d971a039");
    }

    #[test]
    fn neither_order_nor_division_matters_and_each_row_counts() {
        let mut parts = sum(&["c", "a"]);
        parts.merge(sum(&["b", "a"]));
        assert_eq!(parts, sum(&["a", "a", "b", "c"]));
        assert_ne!(parts, sum(&["a", "b", "c"]));
        assert_eq!(RowSum::parse(&parts.to_string()), Some(parts));
        for text in ["", "12", &"g".repeat(64), &format!("+{}", "1".repeat(63))] {
            assert_eq!(RowSum::parse(text), None, "{text}");
        }
    }
}

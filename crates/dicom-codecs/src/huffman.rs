//! Huffman codes of JPEG: ITU-T T.81, annex C and F.2.2.

use crate::bit_reader::BitReader;
use crate::fault::Fault;

/// Codes of up to this many bits are found by one lookup.
const SHORT: u32 = 9;

/// A table of Huffman codes.
#[derive(Clone, Debug)]
pub(crate) struct HuffmanTable {
    values: Vec<u8>,
    /// Length and value of the code with which the index begins; length 0 where the code is longer than the index.
    short: Vec<(u8, u8)>,
    /// First code of each length, and the index of its value.
    first: [(u32, usize); 17],
    /// Number of codes of each length.
    counts: [u32; 17],
}

impl HuffmanTable {
    /// Builds a table from the number of codes of each length, 1 to 16 bits, and their values.
    pub(crate) fn new(n_codes: &[u8; 16], values: &[u8]) -> Result<Self, Fault> {
        let mut table = Self {
            values: values.to_vec(),
            short: vec![(0, 0); 1 << SHORT],
            first: [(0, 0); 17],
            counts: [0; 17],
        };
        let (mut code, mut index) = (0, 0);
        for (bits, n) in (1..=16).zip(n_codes) {
            let n = u32::from(*n);
            table.first[bits as usize] = (code, index);
            table.counts[bits as usize] = n;
            let end = index + n as usize;
            if code + n > 1 << bits || end > values.len() {
                let expected = format!("at most {} codes of {bits} bits", (1 << bits) - code);
                return Err(Fault::new(format!("a Huffman table with {n}"), expected));
            }
            if bits <= SHORT {
                for (code, value) in (code..).zip(&values[index..end]) {
                    let start = (code << (SHORT - bits)) as usize;
                    table.short[start..start + (1 << (SHORT - bits))].fill((bits as u8, *value));
                }
            }
            (code, index) = ((code + n) << 1, end);
        }
        Ok(table)
    }

    /// Takes a code and returns its value. The reader then still holds at least 16 bits, unless the scan ends.
    #[inline]
    pub(crate) fn take(&self, bits: &mut BitReader) -> Result<u8, Fault> {
        bits.fill();
        let (length, value) = self.short[bits.peek(SHORT) as usize];
        if length > 0 {
            bits.skip(length.into())?;
            return Ok(value);
        }
        for length in SHORT + 1..=16 {
            let (first, index) = self.first[length as usize];
            let offset = bits.peek(length).wrapping_sub(first);
            if offset < self.counts[length as usize] {
                bits.skip(length)?;
                return Ok(self.values[index + offset as usize]);
            }
        }
        let found = format!("bits {:016b}", bits.peek(16));
        Err(Fault::new(found, "a code of the Huffman table"))
    }
}

/// Takes a difference of `n` bits, 0 to 15: ITU-T T.81, F.2.2.1.
#[inline]
pub(crate) fn difference(bits: &mut BitReader, n: u32) -> Result<i32, Fault> {
    if n == 0 {
        return Ok(0);
    }
    let value = bits.take(n)? as i32;
    Ok(if value < 1 << (n - 1) { value - (1 << n) + 1 } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bit_reader::Stuffing;

    #[test]
    fn short_and_long_codes_are_taken() {
        // 0 is 5; 10 is 6; 1111 1111 10 is 7.
        let mut n_codes = [0; 16];
        (n_codes[0], n_codes[1], n_codes[9]) = (1, 1, 1);
        let table = HuffmanTable::new(&n_codes, &[5, 6, 7]).unwrap();
        // 10, 0, 11 0000 0000 (first code of 10 bits is 11 followed by zeros), 0.
        let mut bits = BitReader::new(&[0b1001_1000, 0b0000_0100], Stuffing::Byte);
        let taken: Vec<u8> = (0..4).map(|_| table.take(&mut bits).unwrap()).collect();
        assert_eq!(taken, [6, 5, 7, 6]);
        let mut bits = BitReader::new(&[0xFE, 0xFE], Stuffing::Byte);
        assert!(table.take(&mut bits).unwrap_err().found.starts_with("bits 1111111011111110"));
    }

    #[test]
    fn tables_with_too_many_codes_or_too_few_values_are_refused() {
        let mut n_codes = [0; 16];
        n_codes[0] = 3;
        assert!(HuffmanTable::new(&n_codes, &[0; 3]).is_err());
        n_codes[0] = 1;
        assert!(HuffmanTable::new(&n_codes, &[]).is_err());
    }

    #[test]
    fn differences_have_their_sign_in_the_first_bit() {
        let mut bits = BitReader::new(&[0b0110_0001, 0b1100_0000], Stuffing::Byte);
        let found: Vec<i32> = [1, 2, 3, 4].map(|n| difference(&mut bits, n).unwrap()).to_vec();
        // 0 is -1; 11 is 3; 000 is -7; 0111 is -8.
        assert_eq!(found, [-1, 3, -7, -8]);
    }
}

//! Progressive DCT with samples of 8 or 12 bits: ITU-T T.81, annex G.

use crate::bit_reader::BitReader;
use crate::fault::Fault;
use crate::huffman::{HuffmanTable, difference};
use crate::jpeg_dct::{BlockWriter, ZIGZAG};

/// The part of the coefficients that a scan adds: ITU-T T.81, G.1.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Band {
    /// First and last coefficient.
    start: usize,
    end: usize,
    /// Whether earlier scans had the higher bits of the coefficients.
    is_refinement: bool,
    /// The lowest bit that this scan adds.
    low_bit: u32,
}

impl Band {
    /// Checks the parameters of a scan: its first and last coefficient and its two bit positions in one byte.
    pub(crate) fn new(start: u8, end: u8, approximation: u8) -> Result<Self, Fault> {
        let (high, low) = (approximation >> 4, approximation & 15);
        let is_band = if start == 0 { end == 0 } else { start <= end && end <= 63 };
        if !is_band || low > 13 || high > 0 && high != low + 1 {
            let found = format!("coefficients {start} to {end}, bits {high} and {low}");
            return Err(Fault::new(found, "one coefficient 0 or some of 1 to 63, bit by bit"));
        }
        let (start, end) = (start.into(), end.into());
        Ok(Self { start, end, is_refinement: high > 0, low_bit: low.into() })
    }

    /// Whether the scan has the mean of each block, and not its other coefficients.
    pub(crate) fn is_dc(&self) -> bool {
        self.start == 0
    }
}

/// The quantised coefficients of a frame, as far as its scans were read.
pub(crate) struct Progressive {
    /// Blocks row by row; each in the order of its rows.
    blocks: Vec<[i32; 64]>,
}

impl Progressive {
    pub(crate) fn new(columns: usize, rows: usize) -> Self {
        Self { blocks: vec![[0; 64]; columns.div_ceil(8) * rows.div_ceil(8)] }
    }

    /// Adds the bits of a scan. `table` is the one of its band; refinements of the mean have none.
    pub(crate) fn scan(
        &mut self,
        band: Band,
        table: Option<&HuffmanTable>,
        restart_interval: usize,
        bits: &mut BitReader,
    ) -> Result<(), Fault> {
        let (mut last_dc, mut n_ended) = (0i32, 0u32);
        for (at, block) in self.blocks.iter_mut().enumerate() {
            if restart_interval > 0 && at > 0 && at.is_multiple_of(restart_interval) {
                bits.restart()?;
                (last_dc, n_ended) = (0, 0);
            }
            match (band.is_dc(), band.is_refinement, table) {
                (true, true, _) => block[0] |= (bits.take(1)? as i32) << band.low_bit,
                (true, false, Some(table)) => {
                    let n = table.take(bits)?;
                    if n > 15 {
                        return Err(Fault::new(format!("a difference of {n} bits"), "0 to 15"));
                    }
                    last_dc = last_dc.wrapping_add(difference(bits, n.into())?);
                    block[0] = last_dc.wrapping_shl(band.low_bit);
                }
                (false, false, Some(table)) => first(band, table, bits, block, &mut n_ended)?,
                (false, true, Some(table)) => refine(band, table, bits, block, &mut n_ended)?,
                (_, _, None) => return Err(Fault::new("none", "a Huffman table before the scan")),
            }
        }
        Ok(())
    }

    /// Writes the samples.
    pub(crate) fn finish(&self, quantization: &[u16; 64], mut writer: BlockWriter<'_>) {
        for (at, block) in self.blocks.iter().enumerate() {
            let mut coefficients = [0.0; 64];
            for (position, step) in ZIGZAG.into_iter().zip(quantization) {
                coefficients[position] = block[position] as f32 * f32::from(*step);
            }
            writer.write(at, &coefficients);
        }
    }
}

/// Reads a run of blocks that end here: G.1.2.2.
fn run_of_ends(bits: &mut BitReader, n_bits: u8) -> Result<u32, Fault> {
    Ok((1 << n_bits) + bits.take(n_bits.into())?)
}

/// The first bits of the coefficients of a band.
fn first(
    band: Band,
    table: &HuffmanTable,
    bits: &mut BitReader,
    block: &mut [i32; 64],
    n_ended: &mut u32,
) -> Result<(), Fault> {
    if *n_ended > 0 {
        *n_ended -= 1;
        return Ok(());
    }
    let mut at = band.start;
    while at <= band.end {
        let code = table.take(bits)?;
        match (code >> 4, code & 15) {
            (15, 0) => at += 16,
            (n_bits, 0) => {
                *n_ended = run_of_ends(bits, n_bits)? - 1;
                return Ok(());
            }
            (zeros, n) => {
                at += usize::from(zeros);
                let value = difference(bits, n.into())? << band.low_bit;
                if at > band.end {
                    let expected = format!("at most {}", band.end);
                    return Err(Fault::new(format!("coefficient {at}"), expected));
                }
                block[ZIGZAG[at]] = value;
                at += 1;
            }
        }
    }
    Ok(())
}

/// A further bit of the coefficients of a band: G.1.2.3.
fn refine(
    band: Band,
    table: &HuffmanTable,
    bits: &mut BitReader,
    block: &mut [i32; 64],
    n_ended: &mut u32,
) -> Result<(), Fault> {
    let bit = 1i32 << band.low_bit;
    let correct = |coefficient: &mut i32, bits: &mut BitReader| -> Result<(), Fault> {
        if bits.take(1)? == 1 && *coefficient & bit == 0 {
            *coefficient += if *coefficient > 0 { bit } else { -bit };
        }
        Ok(())
    };
    let mut at = band.start;
    while *n_ended == 0 && at <= band.end {
        let code = table.take(bits)?;
        let (mut zeros, n) = (code >> 4, code & 15);
        let new = match (zeros, n) {
            (15, 0) => 0,
            (n_bits, 0) => {
                *n_ended = run_of_ends(bits, n_bits)?;
                break;
            }
            (_, 1) => {
                if bits.take(1)? == 1 {
                    bit
                } else {
                    -bit
                }
            }
            (_, n) => return Err(Fault::new(format!("a new coefficient of {n} bits"), "1")),
        };
        // Coefficients that are not zero lie between the zeros that are counted.
        while at <= band.end {
            let coefficient = &mut block[ZIGZAG[at]];
            at += 1;
            if *coefficient != 0 {
                correct(coefficient, bits)?;
            } else if zeros == 0 {
                *coefficient = new;
                break;
            } else {
                zeros -= 1;
            }
        }
    }
    if *n_ended > 0 {
        for position in &ZIGZAG[at..=band.end] {
            if block[*position] != 0 {
                correct(&mut block[*position], bits)?;
            }
        }
        *n_ended -= 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::layout;
    use crate::{Codec, decode};

    /// Codestreams and their samples; `tests/golden/progressive_jpeg.py` made them with libjpeg-turbo.
    const GOLDEN: &str = include_str!("../../../tests/golden/progressive_jpeg.json");

    /// Each codestream with its samples. Keys are in a fixed order, and values hold no brackets or quotes.
    fn golden() -> Vec<(Vec<u8>, Vec<u16>)> {
        let streams = GOLDEN.split("\"codestream\": \"").skip(1);
        let parsed = streams.map(|stream| {
            let (hex, rest) = stream.split_once('"').unwrap();
            let bytes = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            let bytes = bytes.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
            let (_, samples) = rest.split_once('[').unwrap();
            let (samples, _) = samples.split_once(']').unwrap();
            (bytes, samples.split(", ").map(|sample| sample.parse().unwrap()).collect())
        });
        parsed.collect()
    }

    #[test]
    fn samples_are_those_of_libjpeg() {
        let golden = golden();
        assert_eq!(golden.len(), 3);
        for (bytes, expected) in golden {
            let mut values = vec![0; expected.len()];
            decode(Codec::JpegDct, &bytes, &layout(41, 33, 8), &mut values).unwrap();
            for (at, (value, expected)) in values.iter().zip(&expected).enumerate() {
                // libjpeg's inverse transform is in integers.
                assert!(value.abs_diff(*expected) <= 1, "{at}: {value}, expected {expected}");
            }
        }
    }

    #[test]
    fn a_cut_or_damaged_codestream_is_an_error_and_no_panic() {
        let (bytes, samples) = golden().swap_remove(0);
        let mut values = vec![0; samples.len()];
        for length in 0..bytes.len() - 2 {
            let cut = decode(Codec::JpegDct, &bytes[..length], &layout(41, 33, 8), &mut values);
            assert!(cut.is_err(), "{length}");
        }
        for at in 2..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x5A;
            let _ = decode(Codec::JpegDct, &damaged, &layout(41, 33, 8), &mut values);
        }
    }

    #[test]
    fn a_band_is_the_mean_or_none_of_it() {
        assert!(Band::new(0, 0, 0x01).unwrap().is_dc());
        assert!(Band::new(1, 5, 0x21).unwrap().is_refinement);
        for (start, end, bits) in [(0, 5, 0), (5, 1, 0), (1, 64, 0), (1, 5, 0x31), (1, 5, 0x0E)] {
            assert!(Band::new(start, end, bits).is_err());
        }
    }
}

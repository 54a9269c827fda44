//! Sequential DCT with samples of 8 or 12 bits: ITU-T T.81, annex F.

use crate::bit_reader::BitReader;
use crate::fault::Fault;
use crate::huffman::{HuffmanTable, difference};
use crate::jpeg_scan::Scan;
use std::f32::consts::{FRAC_1_SQRT_2, PI};

/// For each coefficient in the order of the scan, its index in the block, row by row: figure A.6.
pub(crate) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Decodes a scan, block by block of 8 × 8 samples.
///
/// METHOD: the inverse transform follows the definition in A.3.3, in single precision, and is rounded to the nearest
/// integer. Decoders with integer arithmetic differ by 1 in some samples.
pub(crate) fn decode(
    scan: &Scan,
    [dc, ac]: [&HuffmanTable; 2],
    quantization: &[u16; 64],
    bits: &mut BitReader,
    values: &mut [u16],
) -> Result<(), Fault> {
    let n_blocks = scan.columns.div_ceil(8) * scan.rows.div_ceil(8);
    let mut writer = BlockWriter::new(scan.columns, scan.bits, values);
    let mut last_dc = 0i32;
    for block in 0..n_blocks {
        if scan.restart_interval > 0 && block > 0 && block.is_multiple_of(scan.restart_interval) {
            bits.restart()?;
            last_dc = 0;
        }
        let coefficients = coefficients([dc, ac], quantization, bits, &mut last_dc)?;
        writer.write(block, &coefficients);
    }
    Ok(())
}

/// Writes blocks of 8 × 8 samples into a frame.
pub(crate) struct BlockWriter<'a> {
    basis: [[f32; 8]; 8],
    columns: usize,
    middle: f32,
    greatest: f32,
    values: &'a mut [u16],
}

impl<'a> BlockWriter<'a> {
    pub(crate) fn new(columns: usize, bits: u32, values: &'a mut [u16]) -> Self {
        let (middle, greatest) = ((1 << (bits - 1)) as f32, ((1 << bits) - 1) as f32);
        Self { basis: basis(), columns, middle, greatest, values }
    }

    /// Writes the samples of a block, whose dequantised coefficients are given row by row.
    pub(crate) fn write(&mut self, block: usize, coefficients: &[f32; 64]) {
        let samples = inverse(&self.basis, coefficients);
        let across = self.columns.div_ceil(8);
        let (i, j) = (block % across * 8, block / across * 8);
        let n = (self.columns - i).min(8);
        let rows = self.values.chunks_exact_mut(self.columns).skip(j);
        for (row, samples) in rows.zip(samples.chunks(8)) {
            for (value, sample) in row[i..i + n].iter_mut().zip(samples) {
                *value = (sample + self.middle).round().clamp(0.0, self.greatest) as u16;
            }
        }
    }
}

/// The dequantised coefficients of a block, row by row.
fn coefficients(
    [dc, ac]: [&HuffmanTable; 2],
    quantization: &[u16; 64],
    bits: &mut BitReader,
    last_dc: &mut i32,
) -> Result<[f32; 64], Fault> {
    let mut block = [0.0; 64];
    let n = dc.take(bits)?;
    if n > 15 {
        return Err(Fault::new(format!("a difference of {n} bits"), "0 to 15"));
    }
    // Only a malformed codestream overflows 32 bits; any value will do then.
    *last_dc = last_dc.wrapping_add(difference(bits, n.into())?);
    block[0] = *last_dc as f32 * f32::from(quantization[0]);
    let mut at = 1;
    while at < 64 {
        let code = ac.take(bits)?;
        let (zeros, n) = (usize::from(code >> 4), u32::from(code & 15));
        match (zeros, n) {
            (15, 0) => at += 16,
            (_, 0) => break,
            _ => {
                at += zeros;
                let value = difference(bits, n)?;
                let (Some(&position), Some(&step)) = (ZIGZAG.get(at), quantization.get(at)) else {
                    return Err(Fault::new(format!("coefficient {at}"), "at most 63"));
                };
                block[position] = value as f32 * f32::from(step);
                at += 1;
            }
        }
    }
    Ok(block)
}

/// At `[x][u]`: the cosine of frequency u at sample x, with the factor of A.3.3.
fn basis() -> [[f32; 8]; 8] {
    std::array::from_fn(|x| {
        std::array::from_fn(|u| {
            let scale = if u == 0 { FRAC_1_SQRT_2 } else { 1.0 };
            scale / 2.0 * ((2 * x + 1) as f32 * u as f32 * PI / 16.0).cos()
        })
    })
}

fn inverse(basis: &[[f32; 8]; 8], coefficients: &[f32; 64]) -> [f32; 64] {
    // Rows of frequencies first, then columns.
    let mut along = [0.0; 64];
    for (along, row) in along.as_chunks_mut::<8>().0.iter_mut().zip(coefficients.as_chunks::<8>().0)
    {
        for (sample, cosines) in along.iter_mut().zip(basis) {
            *sample = cosines.iter().zip(row).map(|(a, b)| a * b).sum();
        }
    }
    let mut samples = [0.0; 64];
    for (row, cosines) in samples.as_chunks_mut::<8>().0.iter_mut().zip(basis) {
        for (cosine, along) in cosines.iter().zip(along.as_chunks::<8>().0) {
            for (sample, along) in row.iter_mut().zip(along) {
                *sample += cosine * along;
            }
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_transform_is_the_definition() {
        // The DC coefficient is 8 times the mean. Then one cosine down the columns.
        let mut block = [0.0; 64];
        block[0] = 80.0;
        assert!(inverse(&basis(), &block).iter().all(|sample| (sample - 10.0).abs() < 1e-4));
        block = [0.0; 64];
        block[8] = 8.0;
        let samples = inverse(&basis(), &block);
        for (at, sample) in samples.iter().enumerate() {
            let expected =
                8.0 / 4.0 * FRAC_1_SQRT_2 * ((2 * (at / 8) + 1) as f32 * PI / 16.0).cos();
            assert!((sample - expected).abs() < 1e-5, "{at}: {sample}, expected {expected}");
        }
    }

    #[test]
    fn the_zigzag_visits_every_coefficient_once() {
        let mut sorted = ZIGZAG;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..64));
        // Each step leads to a neighbour.
        for pair in ZIGZAG.windows(2) {
            let [from, to] = [pair[0], pair[1]].map(|at| ((at / 8) as i32, (at % 8) as i32));
            assert!((from.0 - to.0).abs() <= 1 && (from.1 - to.1).abs() <= 1);
        }
    }
}

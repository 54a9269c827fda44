//! Lossless JPEG: ITU-T T.81, annex H.

use crate::bit_reader::BitReader;
use crate::fault::Fault;
use crate::huffman::{HuffmanTable, difference};
use crate::jpeg_scan::Scan;

/// Decodes a scan, in which a sample is the prediction from its neighbours plus a coded difference.
pub(crate) fn decode(
    scan: &Scan,
    table: &HuffmanTable,
    bits: &mut BitReader,
    values: &mut [u16],
) -> Result<(), Fault> {
    let columns = scan.columns;
    if !scan.restart_interval.is_multiple_of(columns) {
        let found = format!("a restart every {} samples", scan.restart_interval);
        return Err(Fault::new(found, format!("whole rows of {columns}")));
    }
    let rows_between = scan.restart_interval / columns;
    let start = 1 << (scan.bits - scan.point_transform - 1);
    let mut any = 0;
    for j in 0..scan.rows {
        let restart = rows_between > 0 && j > 0 && j.is_multiple_of(rows_between);
        if restart {
            bits.restart()?;
        }
        let (above, row) = values.split_at_mut(j * columns);
        let row = &mut row[..columns];
        let above = if j == 0 || restart { None } else { Some(&above[(j - 1) * columns..]) };
        let mut left = above.map_or(start, |above| i32::from(above[0]));
        let mut above_left = left;
        for i in 0..columns {
            let predicted = match above {
                // The first row and the first column have one neighbour.
                Some(above) if i > 0 => {
                    let above = i32::from(above[i]);
                    let predicted = predict(scan.predictor, left, above, above_left);
                    above_left = above;
                    predicted
                }
                _ => left,
            };
            // H.1.2.1: the sum is modulo 2^16.
            let sample = (predicted + take(table, bits)?) as u16;
            any |= sample;
            row[i] = sample;
            left = sample.into();
        }
    }
    let n_bits = scan.bits - scan.point_transform;
    if u32::from(any) >> n_bits != 0 {
        return Err(Fault::new(format!("a sample of more than {n_bits} bits"), "none"));
    }
    for value in values {
        *value <<= scan.point_transform;
    }
    Ok(())
}

/// Takes a difference, of up to 16 bits: table H.2.
fn take(table: &HuffmanTable, bits: &mut BitReader) -> Result<i32, Fault> {
    match table.take(bits)? {
        n @ 0..16 => difference(bits, n.into()),
        16 => Ok(1 << 15),
        n => Err(Fault::new(format!("a difference of {n} bits"), "0 to 16")),
    }
}

/// The prediction of a sample: table H.1.
fn predict(predictor: u8, left: i32, above: i32, above_left: i32) -> i32 {
    match predictor {
        1 => left,
        2 => above,
        3 => above_left,
        4 => left + above - above_left,
        5 => left + ((above - above_left) >> 1),
        6 => above + ((left - above_left) >> 1),
        _ => (left + above) >> 1,
    }
}

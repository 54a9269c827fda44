//! RLE, run lengths of bytes: PS3.5, annex G.

use crate::fault::Fault;
use crate::pixel_layout::PixelLayout;

/// Bytes of the header: the number of segments, and where each begins.
const HEADER: usize = 64;

/// Decodes a frame: a segment for each byte of a pixel, the most significant byte first.
pub(crate) fn decode(bytes: &[u8], layout: &PixelLayout, values: &mut [u16]) -> Result<(), Fault> {
    let Some((header, _)) = bytes.split_at_checked(HEADER) else {
        return Err(Fault::truncated("a header of 64 bytes"));
    };
    let (numbers, _) = header.as_chunks();
    let number = |at: usize| u32::from_le_bytes(numbers[at]) as usize;
    let n_segments = layout.bits_allocated as usize / 8;
    if number(0) != n_segments {
        let bits = layout.bits_allocated;
        let expected = format!("{n_segments}, as {bits} bits are allocated");
        return Err(Fault::new(format!("{} segments", number(0)), expected));
    }
    values.fill(0);
    for segment in 0..n_segments {
        let start = number(1 + segment);
        let end = if segment + 1 < n_segments { number(2 + segment) } else { bytes.len() };
        let range = format!("a segment of bytes {start} to {end}");
        let Some(packed) = bytes.get(start..end).filter(|_| start >= HEADER) else {
            let expected = format!("one within bytes {HEADER} to {}", bytes.len());
            return Err(Fault::new(range, expected));
        };
        unpack(packed, values)
            .map_err(|n| Fault::new(format!("{range} with {n} pixels"), values.len()))?;
    }
    Ok(())
}

/// Shifts the next byte into every value. Fails with the number of unpacked bytes where it is not the number of values.
fn unpack(mut packed: &[u8], values: &mut [u16]) -> Result<(), usize> {
    let n_values = values.len();
    let mut done = 0;
    while done < n_values {
        let Some((&control, rest)) = packed.split_first() else { return Err(done) };
        packed = rest;
        // 128 is reserved and has no effect.
        let (n, repeated) = match control {
            0..128 => (usize::from(control) + 1, false),
            128 => continue,
            129.. => (257 - usize::from(control), true),
        };
        let n_bytes = if repeated { 1 } else { n };
        let Some((run, rest)) = packed.split_at_checked(n_bytes) else { return Err(done) };
        let Some(values) = values.get_mut(done..done + n) else { return Err(done + n) };
        packed = rest;
        for (value, byte) in values.iter_mut().zip(run.iter().cycle()) {
            *value = *value << 8 | u16::from(*byte);
        }
        done += n;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::layout;

    fn file(segments: &[&[u8]]) -> Vec<u8> {
        let mut header = vec![segments.len() as u32];
        let mut at = HEADER as u32;
        for segment in segments {
            header.push(at);
            at += segment.len() as u32;
        }
        header.resize(HEADER / 4, 0);
        let mut bytes: Vec<u8> = header.iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.extend(segments.concat());
        bytes
    }

    #[test]
    fn bytes_are_joined_most_significant_first() {
        // 0x01, then 0x02 three times; 0xA0, 0xA1, no effect, 0xFF twice.
        let bytes = file(&[&[0, 1, 254, 2], &[1, 0xA0, 0xA1, 128, 255, 0xFF, 0]]);
        let mut values = [7; 4];
        decode(&bytes, &layout(2, 2, 16), &mut values).unwrap();
        assert_eq!(values, [0x01A0, 0x02A1, 0x02FF, 0x02FF]);
        let mut values = [7; 4];
        decode(&file(&[&[253, 9]]), &layout(2, 2, 8), &mut values).unwrap();
        assert_eq!(values, [9; 4]);
    }

    #[test]
    fn a_segment_that_does_not_fill_the_frame_is_an_error() {
        let refused = |segments: &[&[u8]]| {
            let fault = decode(&file(segments), &layout(2, 2, 16), &mut [0; 4]).unwrap_err();
            format!("{}, expected {}", fault.found, fault.expected)
        };
        assert_eq!(refused(&[&[253, 1]]), "1 segments, expected 2, as 16 bits are allocated");
        let found = refused(&[&[253, 1], &[252, 1]]);
        assert_eq!(found, "a segment of bytes 66 to 68 with 5 pixels, expected 4");
        assert_eq!(
            refused(&[&[253, 1], &[2, 1]]),
            "a segment of bytes 66 to 68 with 0 pixels, expected 4"
        );
        let mut bytes = file(&[&[253, 1], &[253, 1]]);
        bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        let fault = decode(&bytes, &layout(2, 2, 16), &mut [0; 4]).unwrap_err();
        assert_eq!(fault.found, "a segment of bytes 64 to 4294967295");
        assert!(decode(&bytes[..63], &layout(2, 2, 16), &mut [0; 4]).is_err());
    }
}

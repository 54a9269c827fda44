//! Run lengths of bytes: PS3.5, annex G.

use super::{Expected, Fault};

const HEADER: usize = 64;

/// Decodes one segment for each byte of a pixel, the most significant first.
pub(super) fn decode(bytes: &[u8], expected: &Expected, words: &mut [u16]) -> Result<(), Fault> {
    let Some((header, _)) = bytes.split_at_checked(HEADER) else {
        return Err(Fault::cut("a header of 64 bytes"));
    };
    let (numbers, _) = header.as_chunks();
    let number = |at: usize| u32::from_le_bytes(numbers[at]) as usize;
    let n_segments = expected.bits_allocated as usize / 8;
    if number(0) != n_segments {
        let bits = expected.bits_allocated;
        let expected = format!("{n_segments}, as {bits} bits are allocated");
        return Err(Fault::new(format!("{} segments", number(0)), expected));
    }
    words.fill(0);
    for segment in 0..n_segments {
        let start = number(1 + segment);
        let end = if segment + 1 < n_segments { number(2 + segment) } else { bytes.len() };
        let range = format!("a segment of bytes {start} to {end}");
        let Some(packed) = bytes.get(start..end).filter(|_| start >= HEADER) else {
            let expected = format!("one within bytes {HEADER} to {}", bytes.len());
            return Err(Fault::new(range, expected));
        };
        unpack(packed, words)
            .map_err(|n| Fault::new(format!("{range} with {n} pixels"), words.len()))?;
    }
    Ok(())
}

/// Appends a byte to every word; where there are more or fewer bytes, returns their number.
fn unpack(mut packed: &[u8], words: &mut [u16]) -> Result<(), usize> {
    let n_words = words.len();
    let mut done = 0;
    while done < n_words {
        let Some((&control, rest)) = packed.split_first() else { return Err(done) };
        packed = rest;
        // 128 is reserved, and does nothing.
        let (n, repeated) = match control {
            0..128 => (usize::from(control) + 1, false),
            128 => continue,
            129.. => (257 - usize::from(control), true),
        };
        let n_bytes = if repeated { 1 } else { n };
        let Some((run, rest)) = packed.split_at_checked(n_bytes) else { return Err(done) };
        let Some(words) = words.get_mut(done..done + n) else { return Err(done + n) };
        packed = rest;
        for (word, byte) in words.iter_mut().zip(run.iter().cycle()) {
            *word = *word << 8 | u16::from(*byte);
        }
        done += n;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::expected;
    use super::*;

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
        // 0x01, three times 0x02; then 0xA0, 0xA1, nothing, twice 0xFF.
        let bytes = file(&[&[0, 1, 254, 2], &[1, 0xA0, 0xA1, 128, 255, 0xFF, 0]]);
        let mut words = [7; 4];
        decode(&bytes, &expected(2, 2, 16), &mut words).unwrap();
        assert_eq!(words, [0x01A0, 0x02A1, 0x02FF, 0x02FF]);
        let mut words = [7; 4];
        decode(&file(&[&[253, 9]]), &expected(2, 2, 8), &mut words).unwrap();
        assert_eq!(words, [9; 4]);
    }

    #[test]
    fn what_does_not_fill_the_slice_is_an_error() {
        let of = |segments: &[&[u8]]| {
            let fault = decode(&file(segments), &expected(2, 2, 16), &mut [0; 4]).unwrap_err();
            format!("{}, expected {}", fault.found, fault.expected)
        };
        assert_eq!(of(&[&[253, 1]]), "1 segments, expected 2, as 16 bits are allocated");
        let found = of(&[&[253, 1], &[252, 1]]);
        assert_eq!(found, "a segment of bytes 66 to 68 with 5 pixels, expected 4");
        assert_eq!(
            of(&[&[253, 1], &[2, 1]]),
            "a segment of bytes 66 to 68 with 0 pixels, expected 4"
        );
        let mut bytes = file(&[&[253, 1], &[253, 1]]);
        bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        let fault = decode(&bytes, &expected(2, 2, 16), &mut [0; 4]).unwrap_err();
        assert_eq!(fault.found, "a segment of bytes 64 to 4294967295");
        assert!(decode(&bytes[..63], &expected(2, 2, 16), &mut [0; 4]).is_err());
    }
}

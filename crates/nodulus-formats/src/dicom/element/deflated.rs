//! Data sets that are deflated as a whole: PS3.5, A.5.

use crate::dicom::error::Problem;
use flate2::read::DeflateDecoder;
use nodulus_faults::FaultClass;
use std::io::Read;

/// Most bytes of an inflated data set: a slice of 4096 × 4096 voxels, and as much for the other elements.
const MAX_BYTES: u64 = 64 << 20;
/// Deflate compresses no further: 258 bytes to 2 bits.
const MAX_RATIO: u64 = 1032;

/// Inflates the rest of a file of `file_length` bytes.
pub(crate) fn inflate(compressed: impl Read, file_length: u64) -> Result<Vec<u8>, Problem> {
    let limit = MAX_BYTES.min(file_length.saturating_mul(MAX_RATIO));
    let mut bytes = Vec::new();
    let problem = |found: String, expected: String| Problem::Compressed {
        what: "deflated data set",
        found,
        expected,
    };
    DeflateDecoder::new(compressed).take(limit + 1).read_to_end(&mut bytes).map_err(|error| {
        match FaultClass::of(&error) {
            FaultClass::Machine => Problem::Io(error),
            _ => problem(error.to_string(), "a whole deflate stream".to_owned()),
        }
    })?;
    if bytes.len() as u64 > limit {
        return Err(problem(format!("more than {limit} bytes"), format!("at most {limit}")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::DeflateEncoder;

    #[test]
    fn what_is_too_long_or_cut_off_is_an_error() {
        let deflate = |bytes: &[u8]| {
            let mut deflated = Vec::new();
            DeflateEncoder::new(bytes, Compression::best()).read_to_end(&mut deflated).unwrap();
            deflated
        };
        let text = deflate(b"abcabcabcabc");
        let inflated = inflate(&text[..], text.len() as u64).unwrap();
        assert_eq!(inflated, b"abcabcabcabc");
        for length in 0..text.len() {
            assert!(inflate(&text[..length], 100).is_err(), "{length}");
        }
        let bomb = deflate(&vec![0; (MAX_BYTES + 1) as usize]);
        let error = inflate(&bomb[..], bomb.len() as u64).unwrap_err().to_string();
        let expected = "deflated data set: found more than 67108864 bytes";
        assert!(error.starts_with(expected), "{error}");
    }
}

//! Data sets that are deflated as a whole: PS3.5, A.5.

use crate::archive::MAX_RATIO;
use crate::dicom::error::Problem;
use flate2::bufread::DeflateDecoder;
use nodulus_faults::FaultClass;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// Most bytes of an inflated data set: a slice of 4096 × 4096 voxels, and as much for the other elements.
const MAX_BYTES: u64 = 64 << 20;
/// Bytes that are inflated at once where they are only counted.
const BLOCK_BYTES: usize = 1 << 16;

/// Inflates the rest of a file of `file_length` bytes. For objects that are small beside a CT.
pub(crate) fn inflate(compressed: impl BufRead, file_length: u64) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    each_block(compressed, file_length, |block| bytes.extend(block))?;
    Ok(bytes)
}

/// The length of a data set that is the rest of a file of `file_length` bytes, which is inflated to its end and not kept.
pub(crate) fn inflated_length(compressed: impl BufRead, file_length: u64) -> Result<u64, Problem> {
    each_block(compressed, file_length, |_| ())
}

/// Gives each block of a data set to a function; returns the length of all.
fn each_block(
    compressed: impl BufRead,
    file_length: u64,
    mut with_block: impl FnMut(&[u8]),
) -> Result<u64, Problem> {
    let limit = MAX_BYTES.min(file_length.saturating_mul(MAX_RATIO));
    let problem = |found: String, expected: String| Problem::Compressed {
        what: "deflated data set",
        found,
        expected,
    };
    let (mut decoder, mut length) = (DeflateDecoder::new(compressed), 0);
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let n = match decoder.read(&mut block) {
            Ok(0) => return Ok(length),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if FaultClass::of(&error) == FaultClass::Machine => {
                return Err(Problem::Io(error));
            }
            Err(error) => {
                return Err(problem(error.to_string(), "a whole deflate stream".to_owned()));
            }
        };
        length += n as u64;
        if length > limit {
            return Err(problem(format!("more than {limit} bytes"), format!("at most {limit}")));
        }
        with_block(&block[..n]);
    }
}

/// A data set that is inflated as it is read, and of which nothing is kept. It seeks forward only.
pub(crate) struct Inflated<R> {
    decoder: DeflateDecoder<R>,
    at: u64,
}

impl<R: BufRead> Inflated<R> {
    pub(crate) fn new(compressed: R) -> Self {
        Self { decoder: DeflateDecoder::new(compressed), at: 0 }
    }
}

impl<R: BufRead> Read for Inflated<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.decoder.read(bytes)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl<R: BufRead> Seek for Inflated<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let passed = match to {
            SeekFrom::Current(n) => u64::try_from(n).ok(),
            SeekFrom::Start(at) => at.checked_sub(self.at),
            SeekFrom::End(_) => None,
        };
        let passed = passed.ok_or(io::ErrorKind::Unsupported)?;
        io::copy(&mut self.by_ref().take(passed), &mut io::sink())?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::DeflateEncoder;

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut deflated = Vec::new();
        DeflateEncoder::new(bytes, Compression::best()).read_to_end(&mut deflated).unwrap();
        deflated
    }

    #[test]
    fn what_is_too_long_or_cut_off_is_an_error() {
        let text = deflate(b"abcabcabcabc");
        let inflated = inflate(&text[..], text.len() as u64).unwrap();
        assert_eq!(inflated, b"abcabcabcabc");
        assert_eq!(inflated_length(&text[..], 100).unwrap(), 12);
        for length in 0..text.len() {
            assert!(inflate(&text[..length], 100).is_err(), "{length}");
            assert!(inflated_length(&text[..length], 100).is_err(), "{length}");
        }
        let bomb = deflate(&vec![0; (MAX_BYTES + 1) as usize]);
        let error = inflated_length(&bomb[..], bomb.len() as u64).unwrap_err().to_string();
        let expected = "deflated data set: found more than 67108864 bytes";
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn a_data_set_is_read_forward() {
        let numbers: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let packed = deflate(&numbers);
        let mut inflated = Inflated::new(&packed[..]);
        assert_eq!(inflated.seek(SeekFrom::Start(150_000)).unwrap(), 150_000);
        assert_eq!(inflated.seek(SeekFrom::Current(7)).unwrap(), 150_007);
        let mut bytes = [0; 3];
        inflated.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, numbers[150_007..150_010]);
        assert!(inflated.seek(SeekFrom::Start(0)).is_err());
        assert_eq!(inflated.seek(SeekFrom::Current(1 << 40)).unwrap(), 200_000);
    }
}

//! A reader of CSV that fails past a number of bytes, in all or in a row: a small file may unpack to a large one.

use nodulus_faults::quoted::Words;
use std::io::{self, ErrorKind, Read};

/// Most bytes of a row: 65,535 heights of 60 digits.
const MOST_ROW_BYTES: u64 = 4 << 20;

pub(crate) struct BoundedReader<R> {
    source: R,
    most: u64,
    left: u64,
    /// Bytes since the row began.
    of_row: u64,
    /// Whether a line break belongs to a value.
    is_quoted: bool,
}

impl<R: Read> BoundedReader<R> {
    /// Reads at most `most` bytes of a source.
    pub(crate) fn new(source: R, most: u64) -> Self {
        Self { source, most, left: most, of_row: 0, is_quoted: false }
    }
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(bytes)?;
        let left = self.left.checked_sub(n as u64);
        let too_many =
            || Words::of(ErrorKind::Other, format!("it unpacks to more than {} bytes", self.most));
        self.left = left.ok_or_else(too_many)?;
        for byte in &bytes[..n] {
            match byte {
                b'"' => self.is_quoted = !self.is_quoted,
                b'\n' if !self.is_quoted => self.of_row = 0,
                _ => self.of_row += 1,
            }
        }
        if self.of_row > MOST_ROW_BYTES {
            let text = format!("a row has more than {MOST_ROW_BYTES} bytes");
            return Err(Words::of(ErrorKind::Other, text));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        BoundedReader::new(text, most).read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn the_byte_past_the_last_one_is_an_error() {
        assert_eq!(read(b"abcd", 4).unwrap(), b"abcd");
        assert_eq!(read(b"abcd", 3).unwrap_err().to_string(), "it unpacks to more than 3 bytes");
    }

    #[test]
    fn a_row_ends_at_a_line_break_that_is_not_in_quotes() {
        let rows = b"0 0 0 0 0 0 0\n".repeat(1 << 20);
        assert_eq!(read(&rows, u64::MAX).unwrap().len(), rows.len());
        let in_quotes = [b"\"", &rows[..]].concat();
        for row in [in_quotes, b"0 ".repeat(3 << 20)] {
            let error = read(&row, u64::MAX).unwrap_err().to_string();
            assert_eq!(error, "a row has more than 4194304 bytes");
        }
    }
}

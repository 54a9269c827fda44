//! A reader that fails past a number of bytes, for what a small file unpacks to.

use std::io::{self, Read};

pub(crate) struct BoundedReader<R> {
    source: R,
    most: u64,
    left: u64,
}

impl<R: Read> BoundedReader<R> {
    pub(crate) fn new(source: R, most: u64) -> Self {
        Self { source, most, left: most }
    }
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(bytes)?;
        let left = self.left.checked_sub(n as u64);
        let too_many = || io::Error::other(format!("it unpacks to more than {} bytes", self.most));
        self.left = left.ok_or_else(too_many)?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_past_the_last_one_is_an_error() {
        let read = |most| {
            let mut bytes = Vec::new();
            BoundedReader::new(&b"abcd"[..], most).read_to_end(&mut bytes).map(|_| bytes)
        };
        assert_eq!(read(4).unwrap(), b"abcd");
        assert_eq!(read(3).unwrap_err().to_string(), "it unpacks to more than 3 bytes");
    }
}

//! gzip with what storage adds to it: several members, zeros between or after them, other bytes at the end.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// The first two bytes of a member.
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Decompresses the members of a gzip file one after the other.
///
/// METHOD: zeros after a member pad it to a block of tape or object storage; gzip(1) and Python's gzip ignore them. The
/// first other byte that begins no member ends the content: gzip(1) ignores it with a warning, zlib (and so ITK)
/// without one. Each member's own length and checksum are verified.
pub(crate) struct GzipMembers<R> {
    state: State<R>,
    /// Whether bytes outside the members were ignored.
    pub(crate) has_extra_bytes: bool,
}

enum State<R> {
    Member(Box<GzDecoder<BufReader<R>>>),
    Ended,
}

impl<R: Read> GzipMembers<R> {
    pub(crate) fn new(source: R) -> Self {
        let first = GzDecoder::new(BufReader::new(source));
        Self { state: State::Member(Box::new(first)), has_extra_bytes: false }
    }

    /// Goes on to the next member, if there is one.
    fn next_member(&mut self) -> io::Result<()> {
        let State::Member(member) = std::mem::replace(&mut self.state, State::Ended) else {
            return Ok(());
        };
        let mut source = member.into_inner();
        loop {
            let bytes = source.fill_buf()?;
            let n_zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            match bytes.get(n_zeros) {
                None if bytes.is_empty() => return Ok(()),
                Some(byte) if *byte == MAGIC[0] => {
                    self.has_extra_bytes |= n_zeros > 0;
                    source.consume(n_zeros);
                    self.state = State::Member(Box::new(GzDecoder::new(source)));
                    return Ok(());
                }
                other => {
                    self.has_extra_bytes = true;
                    if other.is_some() {
                        return Ok(());
                    }
                    source.consume(n_zeros);
                }
            }
        }
    }
}

impl<R: Read> Read for GzipMembers<R> {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        while let State::Member(member) = &mut self.state {
            let n = member.read(block)?;
            if n > 0 || block.is_empty() {
                return Ok(n);
            }
            self.next_member()?;
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(parts: &[&[u8]]) -> io::Result<(Vec<u8>, bool)> {
        let bytes = parts.concat();
        let mut stream = GzipMembers::new(bytes.as_slice());
        let mut content = Vec::new();
        stream.read_to_end(&mut content)?;
        Ok((content, stream.has_extra_bytes))
    }

    #[test]
    fn members_are_read_and_bytes_outside_them_are_not() {
        let (a, b, zeros) = (packed(b"first "), packed(b"second"), vec![0; 20_000]);
        let both = b"first second".to_vec();
        assert_eq!(unpacked(&[&a, &b]).unwrap(), (both.clone(), false));
        assert_eq!(unpacked(&[&a, &zeros, &b, &zeros]).unwrap(), (both.clone(), true));
        assert_eq!(unpacked(&[&a, &b, b"tail"]).unwrap(), (both.clone(), true));
        assert_eq!(unpacked(&[&a, &b, &zeros, b"tail", &a]).unwrap(), (both, true));
    }

    #[test]
    fn damaged_members_are_errors() {
        let (a, mut b) = (packed(b"first "), packed(b"second"));
        assert!(unpacked(&[&a, &b[..b.len() - 1]]).is_err());
        assert!(unpacked(&[&a, &MAGIC[..]]).is_err());
        let n = b.len();
        b[n - 5] ^= 1;
        assert!(unpacked(&[&b]).is_err(), "the checksum differs");
        assert!(unpacked(&[b"tail"]).is_err());
    }
}

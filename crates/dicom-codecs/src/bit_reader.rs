//! Reads the bits of a JPEG scan, the most significant first.

use crate::fault::Fault;

/// Reads bits up to the next marker, and never past it.
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bits that were read from the bytes and not yet taken, left-aligned; zeros follow.
    held: u64,
    n_held: u32,
    stuffing: Stuffing,
}

/// What an encoder inserts after a 0xFF byte that does not begin a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stuffing {
    /// A zero byte: ITU-T T.81, F.1.2.3.
    Byte,
    /// A zero bit: ITU-T T.87, A.1.
    Bit,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8], stuffing: Stuffing) -> Self {
        Self { bytes, at: 0, held: 0, n_held: 0, stuffing }
    }

    /// Reads bytes until at least 32 bits are held, or the scan ends.
    #[inline]
    pub(crate) fn fill(&mut self) {
        if self.n_held >= 32 {
            return;
        }
        match self.stuffing {
            Stuffing::Byte => self.fill_bytes(),
            Stuffing::Bit => self.fill_bits(),
        }
    }

    fn fill_bytes(&mut self) {
        while self.n_held <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            if byte == 0xFF {
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.hold(byte, 8);
        }
    }

    fn fill_bits(&mut self) {
        while self.n_held <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            let after_ones = self.at > 0 && self.bytes[self.at - 1] == 0xFF;
            let is_marker = |next: Option<&u8>| next.is_none_or(|next| *next >= 0x80);
            if byte == 0xFF && is_marker(self.bytes.get(self.at + 1)) {
                return;
            }
            self.at += 1;
            self.hold(byte, if after_ones { 7 } else { 8 });
        }
    }

    #[inline]
    fn hold(&mut self, byte: u8, n: u32) {
        self.held |= u64::from(byte) << (64 - n - self.n_held);
        self.n_held += n;
    }

    /// The next `n` bits, 1 to 32, without taking them; zeros stand in for bits past the end.
    #[inline]
    pub(crate) fn peek(&self, n: u32) -> u32 {
        (self.held >> (64 - n)) as u32
    }

    /// Takes zeros and the one bit that follows them; returns the number of zeros, at most `most`.
    #[inline]
    pub(crate) fn zeros(&mut self, most: u32) -> Result<u32, Fault> {
        let mut n = 0;
        loop {
            self.fill();
            let zeros = self.held.leading_zeros().min(self.n_held);
            n += zeros;
            if n > most {
                return Err(Fault::new(format!("a code of {n} zeros"), format!("at most {most}")));
            }
            if zeros < self.n_held {
                self.skip(zeros + 1)?;
                return Ok(n);
            }
            if zeros == 0 {
                return Err(Fault::truncated("more bits of the scan"));
            }
            self.skip(zeros)?;
        }
    }

    /// Drops bits.
    #[inline]
    pub(crate) fn skip(&mut self, n: u32) -> Result<(), Fault> {
        if n > self.n_held {
            return Err(Fault::truncated("more bits of the scan"));
        }
        self.held = self.held.unbounded_shl(n);
        self.n_held -= n;
        Ok(())
    }

    /// Takes `n` bits, at most 32.
    #[inline]
    pub(crate) fn take(&mut self, n: u32) -> Result<u32, Fault> {
        if n == 0 {
            return Ok(0);
        }
        self.fill();
        let bits = self.peek(n);
        self.skip(n)?;
        Ok(bits)
    }

    /// Drops the bits before a restart marker, and the marker.
    pub(crate) fn restart(&mut self) -> Result<(), Fault> {
        while self.bytes.get(self.at) == Some(&0xFF) && self.bytes.get(self.at + 1) == Some(&0xFF) {
            self.at += 1;
        }
        let next =
            self.bytes.get(self.at..self.at + 2).ok_or_else(|| Fault::truncated("a restart"))?;
        if next[0] != 0xFF || !(0xD0..=0xD7).contains(&next[1]) {
            let found = format!("bytes {:02x} {:02x}", next[0], next[1]);
            return Err(Fault::new(found, "a restart marker"));
        }
        self.at += 2;
        (self.held, self.n_held) = (0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffing_is_dropped_and_markers_end_the_scan() {
        let bytes = [0xFF, 0x00, 0xA5, 0xFF, 0xD9, 0x12];
        let mut bits = BitReader::new(&bytes, Stuffing::Byte);
        assert_eq!(bits.take(12).unwrap(), 0xFFA);
        assert_eq!(bits.take(4).unwrap(), 5);
        assert!(bits.take(1).is_err());
        // 1111 1111, then 7 bits 1000 001.
        let mut bits = BitReader::new(&[0xFF, 0x41, 0xFF, 0x80], Stuffing::Bit);
        assert_eq!(bits.take(15).unwrap(), 0b111_1111_1100_0001);
        assert!(bits.take(1).is_err());
    }

    #[test]
    fn zeros_are_counted_past_what_is_held() {
        let bytes = [[0; 10].as_slice(), &[0x10, 0x00]].concat();
        assert_eq!(BitReader::new(&bytes, Stuffing::Bit).zeros(83).unwrap(), 83);
        assert!(BitReader::new(&bytes, Stuffing::Bit).zeros(82).is_err());
        let mut bits = BitReader::new(&bytes[10..], Stuffing::Bit);
        assert_eq!(bits.zeros(40).unwrap(), 3);
        assert_eq!(bits.zeros(40).unwrap_err().found, "the end of the codestream");
    }

    #[test]
    fn a_restart_drops_bits() {
        let bytes = [0x0F, 0xFF, 0xFF, 0xD0, 0x80];
        let mut bits = BitReader::new(&bytes, Stuffing::Byte);
        assert_eq!(bits.take(3).unwrap(), 0);
        bits.restart().unwrap();
        assert_eq!(bits.take(1).unwrap(), 1);
        assert!(bits.restart().is_err());
    }
}

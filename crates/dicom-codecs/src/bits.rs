//! Bits of a JPEG scan, the most significant first.

use super::Fault;

/// Reads up to a marker. No bit after it is ever taken.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bits that were read and not taken, from the left; zeros follow.
    held: u64,
    n_held: u32,
    stuffing: Stuffing,
}

/// What follows a byte of 0xFF that is no marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stuffing {
    /// A byte of zero: ITU-T T.81, F.1.2.3.
    Byte,
    /// A bit of zero: ITU-T T.87, A.1.
    Bit,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], stuffing: Stuffing) -> Self {
        Self { bytes, at: 0, held: 0, n_held: 0, stuffing }
    }

    /// Reads on, so that 32 bits are held where there are as many.
    #[inline]
    pub(super) fn fill(&mut self) {
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

    /// The next 1 to 32 bits, zeros where there are fewer.
    #[inline]
    pub(super) fn peek(&self, n: u32) -> u32 {
        (self.held >> (64 - n)) as u32
    }

    /// Counts the zeros before the next one, and passes over both.
    #[inline]
    pub(super) fn zeros(&mut self, most: u32) -> Result<u32, Fault> {
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
                return Err(Fault::cut("more bits of the scan"));
            }
            self.skip(zeros)?;
        }
    }

    /// Passes over bits.
    #[inline]
    pub(super) fn skip(&mut self, n: u32) -> Result<(), Fault> {
        if n > self.n_held {
            return Err(Fault::cut("more bits of the scan"));
        }
        self.held = self.held.unbounded_shl(n);
        self.n_held -= n;
        Ok(())
    }

    /// Takes up to 32 bits.
    #[inline]
    pub(super) fn take(&mut self, n: u32) -> Result<u32, Fault> {
        if n == 0 {
            return Ok(0);
        }
        self.fill();
        let bits = self.peek(n);
        self.skip(n)?;
        Ok(bits)
    }

    /// Drops what is left before a restart marker, and passes over it.
    pub(super) fn restart(&mut self) -> Result<(), Fault> {
        while self.bytes.get(self.at) == Some(&0xFF) && self.bytes.get(self.at + 1) == Some(&0xFF) {
            self.at += 1;
        }
        let next = self.bytes.get(self.at..self.at + 2).ok_or_else(|| Fault::cut("a restart"))?;
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
    fn stuffing_is_left_out_and_markers_end_the_scan() {
        let bytes = [0xFF, 0x00, 0xA5, 0xFF, 0xD9, 0x12];
        let mut bits = Bits::new(&bytes, Stuffing::Byte);
        assert_eq!(bits.take(12).unwrap(), 0xFFA);
        assert_eq!(bits.take(4).unwrap(), 5);
        assert!(bits.take(1).is_err());
        // 1111 1111, then 7 bits 1000 001.
        let mut bits = Bits::new(&[0xFF, 0x41, 0xFF, 0x80], Stuffing::Bit);
        assert_eq!(bits.take(15).unwrap(), 0b111_1111_1100_0001);
        assert!(bits.take(1).is_err());
    }

    #[test]
    fn zeros_are_counted_past_what_is_held() {
        let bytes = [[0; 10].as_slice(), &[0x10, 0x00]].concat();
        assert_eq!(Bits::new(&bytes, Stuffing::Bit).zeros(83).unwrap(), 83);
        assert!(Bits::new(&bytes, Stuffing::Bit).zeros(82).is_err());
        let mut bits = Bits::new(&bytes[10..], Stuffing::Bit);
        assert_eq!(bits.zeros(40).unwrap(), 3);
        assert_eq!(bits.zeros(40).unwrap_err().found, "its end");
    }

    #[test]
    fn a_restart_drops_bits() {
        let bytes = [0x0F, 0xFF, 0xFF, 0xD0, 0x80];
        let mut bits = Bits::new(&bytes, Stuffing::Byte);
        assert_eq!(bits.take(3).unwrap(), 0);
        bits.restart().unwrap();
        assert_eq!(bits.take(1).unwrap(), 1);
        assert!(bits.restart().is_err());
    }
}

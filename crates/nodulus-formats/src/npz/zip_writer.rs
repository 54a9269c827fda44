//! Writes a ZIP archive of compressed files.

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use std::io::{self, Write as _};

/// Version of the format that a reader needs: 2.0, for compression.
const VERSION: u16 = 20;
/// The code of deflate.
const DEFLATE: u16 = 8;
/// 1 January 1980, the first day of the format: the archive does not depend on the clock.
const DATE: u16 = 1 << 5 | 1;

/// Files one after the other, then their list.
#[derive(Debug, Default)]
pub(super) struct ZipWriter {
    bytes: Vec<u8>,
    list: Vec<u8>,
    n_files: u16,
}

impl ZipWriter {
    /// Appends a file; its name is ASCII.
    pub(super) fn add(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let start = checked(self.bytes.len())?;
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content)?;
        let packed = encoder.finish()?;
        let mut crc = Crc::new();
        crc.update(content);

        let name_length = u16::try_from(name.len()).map_err(|_| too_large("a name of 64 KiB"))?;
        let mut about = Vec::new();
        for number in [VERSION, 0, DEFLATE, 0, DATE] {
            about.extend(number.to_le_bytes());
        }
        for number in [crc.sum(), checked(packed.len())?, checked(content.len())?] {
            about.extend(number.to_le_bytes());
        }
        about.extend(name_length.to_le_bytes());
        about.extend(0u16.to_le_bytes());

        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(&about);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(packed);

        self.list.extend(b"PK\x01\x02");
        self.list.extend(VERSION.to_le_bytes());
        self.list.extend(&about);
        // No comment, the first disk, no attributes.
        self.list.extend([0; 10]);
        self.list.extend(start.to_le_bytes());
        self.list.extend(name.as_bytes());
        self.n_files = self.n_files.checked_add(1).ok_or_else(|| too_large("65,536 files"))?;
        Ok(())
    }

    /// The bytes of the archive.
    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        let (start, length) = (checked(self.bytes.len())?, checked(self.list.len())?);
        self.bytes.extend(self.list);
        self.bytes.extend(b"PK\x05\x06");
        // The first disk of one.
        self.bytes.extend([0; 4]);
        for _ in 0..2 {
            self.bytes.extend(self.n_files.to_le_bytes());
        }
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(start.to_le_bytes());
        self.bytes.extend(0u16.to_le_bytes());
        Ok(self.bytes)
    }
}

/// A length, which must fit in 32 bits.
fn checked(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| too_large("4 GiB"))
}

fn too_large(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("an archive cannot hold {what} or more"))
}

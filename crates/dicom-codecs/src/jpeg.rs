//! JPEG of one component and one scan, with Huffman codes: ITU-T T.81.

use super::bits::{Bits, Stuffing};
use super::huffman::Table;
use super::{Expected, Fault, Frame, dct, lossless};

/// What a transfer syntax promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// Processes 1, 2 and 4: sequential DCT.
    Dct,
    /// Process 14.
    Lossless,
}

/// A scan's header and the tables before it.
pub(super) struct Scan {
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// Of a sample.
    pub(super) bits: u32,
    /// Samples or blocks between two restarts; 0 where there is none.
    pub(super) restart_interval: usize,
    /// Bits that were left out of every sample; lossless only.
    pub(super) point_transform: u32,
    /// 1 to 7; lossless only.
    pub(super) predictor: u8,
}

/// Markers: ITU-T T.81, table B.1.
const SOI: u8 = 0xD8;
const SOF0: u8 = 0xC0;
const SOF1: u8 = 0xC1;
const SOF3: u8 = 0xC3;
const DHT: u8 = 0xC4;
const JPG: u8 = 0xC8;
const DAC: u8 = 0xCC;
const SOF15: u8 = 0xCF;
const SOS: u8 = 0xDA;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;

#[derive(Default)]
struct Tables {
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    quantization: [Option<[u16; 64]>; 4],
    restart_interval: usize,
}

struct FrameHeader {
    frame: Frame,
    component: u8,
    quantization: usize,
}

/// Decodes a file with sequential DCT or a lossless one, whichever is promised.
pub(super) fn decode(
    bytes: &[u8],
    process: Process,
    expected: &Expected,
    words: &mut [u16],
) -> Result<(), Fault> {
    let mut segments = Segments::new(bytes)?;
    let mut tables = Tables::default();
    let mut frame = None;
    loop {
        let (marker, segment) = segments.next()?;
        match marker {
            DHT => tables.read_huffman(segment)?,
            DQT => tables.read_quantization(segment)?,
            DRI => {
                let [high, low] = fixed(segment, "a restart interval")?;
                tables.restart_interval = u16::from_be_bytes([high, low]).into();
            }
            DAC => return Err(Fault::new("arithmetic coding", "Huffman codes")),
            SOF0..=SOF15 if marker != JPG => {
                check_process(marker, process)?;
                if frame.replace(frame_header(segment, expected)?).is_some() {
                    return Err(Fault::new("two frames", "one"));
                }
            }
            SOS => {
                let Some(frame) = frame else { return Err(Fault::new("a scan", "a frame first")) };
                return scan(&tables, &frame, segment, segments.rest(), process, words);
            }
            _ => {}
        }
    }
}

fn check_process(marker: u8, process: Process) -> Result<(), Fault> {
    match (process, marker) {
        (Process::Dct, SOF0 | SOF1) | (Process::Lossless, SOF3) => Ok(()),
        (process, _) => {
            let expected = match process {
                Process::Dct => "a sequential one, SOF0 or SOF1",
                Process::Lossless => "a lossless one, SOF3",
            };
            Err(Fault::new(format!("a frame SOF{}", marker - SOF0), expected))
        }
    }
}

fn frame_header(segment: &[u8], expected: &Expected) -> Result<FrameHeader, Fault> {
    let Some((&[bits, y0, y1, x0, x1, components], of_components)) = segment.split_first_chunk()
    else {
        return Err(Fault::cut("a frame header of 6 bytes"));
    };
    let frame = Frame {
        columns: u16::from_be_bytes([x0, x1]).into(),
        rows: u16::from_be_bytes([y0, y1]).into(),
        components: components.into(),
        bits: bits.into(),
        signed: None,
    };
    expected.check(&frame)?;
    let [component, _sampling, quantization] = fixed(of_components, "a frame's component")?;
    Ok(FrameHeader { frame, component, quantization: quantization.into() })
}

fn scan(
    tables: &Tables,
    header: &FrameHeader,
    segment: &[u8],
    coded: &[u8],
    process: Process,
    words: &mut [u16],
) -> Result<(), Fault> {
    let [n, component, table, start, end, approximation] = fixed(segment, "a scan of 1 component")?;
    if n != 1 || component != header.component {
        let found = format!("a scan of {n} components from {component}");
        return Err(Fault::new(found, format!("one of component {}", header.component)));
    }
    let Frame { columns, rows, bits, .. } = header.frame;
    let point_transform = u32::from(approximation & 15);
    let scan = Scan {
        columns,
        rows,
        bits,
        restart_interval: tables.restart_interval,
        point_transform,
        predictor: start,
    };
    let missing = |what: &str| Fault::new("none", format!("a {what} table before the scan"));
    let huffman = |tables: &'_ [Option<Table>; 4], at: u8| {
        let table = tables.get(usize::from(at)).and_then(Option::as_ref);
        table.cloned().ok_or_else(|| missing("Huffman"))
    };
    let dc = huffman(&tables.dc, table >> 4)?;
    let mut coded = Bits::new(coded, Stuffing::Byte);
    match process {
        Process::Lossless => {
            if !(1..=7).contains(&start) || !(2..=16).contains(&bits) || point_transform >= bits {
                let found = format!("predictor {start}, {bits} bits less {point_transform}");
                return Err(Fault::new(found, "predictor 1 to 7 and 2 to 16 bits"));
            }
            lossless::decode(&scan, &dc, &mut coded, words)
        }
        Process::Dct => {
            if [start, end, approximation] != [0, 63, 0] || ![8, 12].contains(&bits) {
                let found =
                    format!("coefficients {start} to {end}, {approximation} of {bits} bits");
                return Err(Fault::new(found, "0 to 63, 0 of 8 or 12 bits"));
            }
            let ac = huffman(&tables.ac, table & 15)?;
            let quantization = tables.quantization.get(header.quantization).copied().flatten();
            let quantization = quantization.ok_or_else(|| missing("quantization"))?;
            dct::decode(&scan, [&dc, &ac], &quantization, &mut coded, words)
        }
    }
}

impl Tables {
    fn read_huffman(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while let Some((&destination, rest)) = segment.split_first() {
            let cut = || Fault::cut("a Huffman table");
            let (n_codes, rest) = rest.split_first_chunk::<16>().ok_or_else(cut)?;
            let n = n_codes.iter().map(|n| usize::from(*n)).sum();
            let (values, rest) = rest.split_at_checked(n).ok_or_else(cut)?;
            let tables = match destination >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                other => return Err(Fault::new(format!("Huffman class {other}"), "0 or 1")),
            };
            *place(tables, destination & 15)? = Some(Table::new(n_codes, values)?);
            segment = rest;
        }
        Ok(())
    }

    fn read_quantization(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while let Some((&destination, rest)) = segment.split_first() {
            let wide = destination >> 4 == 1;
            let n_bytes = if wide { 128 } else { 64 };
            let (values, rest) =
                rest.split_at_checked(n_bytes).ok_or_else(|| Fault::cut("a quantization table"))?;
            let mut table = [0; 64];
            for (at, value) in table.iter_mut().enumerate() {
                *value = if wide {
                    u16::from_be_bytes([values[2 * at], values[2 * at + 1]])
                } else {
                    values[at].into()
                };
            }
            *place(&mut self.quantization, destination & 15)? = Some(table);
            segment = rest;
        }
        Ok(())
    }
}

fn place<T>(tables: &mut [T; 4], at: u8) -> Result<&mut T, Fault> {
    tables.get_mut(usize::from(at)).ok_or_else(|| Fault::new(format!("table {at}"), "0 to 3"))
}

fn fixed<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], Fault> {
    let found = || Fault::new(format!("{} bytes", bytes.len()), format!("{what}, {N} bytes"));
    bytes.try_into().map_err(|_| found())
}

/// Marker segments of a JPEG file.
pub(super) struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        if !bytes.starts_with(&[0xFF, SOI]) {
            let start = &bytes[..bytes.len().min(2)];
            return Err(Fault::new(format!("bytes {start:02x?} at its start"), "ff d8"));
        }
        Ok(Self { bytes, at: 2 })
    }

    /// The next marker, and its segment without the length.
    pub(super) fn next(&mut self) -> Result<(u8, &'a [u8]), Fault> {
        let cut = || Fault::cut("a marker and its segment");
        let rest = self.bytes.get(self.at..).ok_or_else(cut)?;
        // Any number of bytes of 0xFF may come before a marker.
        let fill = rest.iter().take_while(|byte| **byte == 0xFF).count();
        let &marker = rest.get(fill).ok_or_else(cut)?;
        if fill == 0 || marker == 0 {
            return Err(Fault::new(format!("byte {marker:02x} at byte {}", self.at), "a marker"));
        }
        if matches!(marker, 0x01 | 0xD0..=0xD9) {
            return Err(Fault::new(format!("marker ff {marker:02x}"), "a segment before the scan"));
        }
        let segment = &rest[fill + 1..];
        let (length, _) = segment.split_first_chunk().ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let segment = segment.get(2..length).ok_or_else(cut)?;
        self.at += fill + 1 + length;
        Ok((marker, segment))
    }

    /// What comes after the last segment.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::expected;
    use super::*;

    /// Differences of 0 and 1 bits, codes 0 and 10; 3 x 2 samples of 16 bits, a restart each row.
    const HEADER: [u8; 58] = [
        0xFF, SOI, 0xFF, DHT, 0, 21, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF,
        DRI, 0, 4, 0, 3, 0xFF, SOF3, 0, 11, 16, 0, 2, 0, 3, 1, 1, 0x11, 0, 0xFF, 0xFF, SOS, 0, 8,
        1, 1, 0, 1, 0, 0, 0xA7, 0xFF, 0xD0,
    ];

    fn lossless(bytes: &[u8]) -> Result<[u16; 6], String> {
        let mut words = [0; 6];
        decode(bytes, Process::Lossless, &expected(3, 2, 16), &mut words)
            .map(|()| words)
            .map_err(|fault| format!("{}, expected {}", fault.found, fault.expected))
    }

    #[test]
    fn a_restart_forgets_the_row_above() {
        // 10 1, 0, 0 and padding; a restart; 0, 0, 10 0 and padding.
        let bytes = [&HEADER[..], &[0b0010_0111]].concat();
        let found = lossless(&bytes).unwrap();
        assert_eq!(found, [32769, 32769, 32769, 32768, 32768, 32767]);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(lossless(&HEADER).unwrap_err(), "its end, expected more bits of the scan");
        let without_table = [&HEADER[..2], &HEADER[25..]].concat();
        let expected = "none, expected a Huffman table before the scan";
        assert_eq!(lossless(&without_table).unwrap_err(), expected);
        let mut other = HEADER;
        other[30] = 2;
        let expected = "a restart every 2 samples, expected whole rows of 3";
        assert_eq!(lossless(&other).unwrap_err(), expected);
        other[32] = 0xC2;
        assert!(lossless(&other).unwrap_err().starts_with("a frame SOF2, expected a lossless"));
        assert!(lossless(&HEADER[..40]).unwrap_err().starts_with("its end"));
        assert!(lossless(&HEADER[1..]).unwrap_err().starts_with("bytes [d8, ff] at its start"));
    }
}

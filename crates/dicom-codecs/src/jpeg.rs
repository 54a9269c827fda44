//! JPEG with one component and Huffman codes, in one scan or progressive: ITU-T T.81.

use crate::bit_reader::{BitReader, Stuffing};
use crate::fault::Fault;
use crate::huffman::HuffmanTable;
use crate::jpeg_progressive::{Band, Progressive};
use crate::jpeg_scan::Scan;
use crate::marker_segments::MarkerSegments;
use crate::pixel_layout::{CodestreamHeader, PixelLayout};
use crate::{jpeg_dct, jpeg_lossless};

/// The process that a transfer syntax promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// DCT, sequential or progressive: processes 1, 2, 4, 6, 8, 10 and 12.
    Dct,
    /// Lossless: process 14.
    Lossless,
}

/// Markers: ITU-T T.81, table B.1.
const SOF0: u8 = 0xC0;
const SOF1: u8 = 0xC1;
const SOF2: u8 = 0xC2;
const SOF3: u8 = 0xC3;
const DHT: u8 = 0xC4;
const JPG: u8 = 0xC8;
const DAC: u8 = 0xCC;
const SOF15: u8 = 0xCF;
const SOS: u8 = 0xDA;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;

/// Tables that segments before the scan define.
#[derive(Default)]
struct JpegTables {
    dc: [Option<HuffmanTable>; 4],
    ac: [Option<HuffmanTable>; 4],
    quantization: [Option<[u16; 64]>; 4],
    restart_interval: usize,
}

/// The frame header: ITU-T T.81, B.2.2.
struct JpegFrame {
    frame: CodestreamHeader,
    component: u8,
    quantization: usize,
    /// The coefficients of a progressive frame.
    progressive: Option<Progressive>,
}

/// Decodes a codestream of the promised process and refuses the other one.
pub(crate) fn decode(
    bytes: &[u8],
    process: Process,
    layout: &PixelLayout,
    values: &mut [u16],
) -> Result<(), Fault> {
    let mut segments = MarkerSegments::new(bytes)?;
    let mut tables = JpegTables::default();
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
                let mut header = frame_header(segment, layout)?;
                if marker == SOF2 {
                    let CodestreamHeader { columns, rows, .. } = header.frame;
                    header.progressive = Some(Progressive::new(columns, rows));
                }
                if frame.replace(header).is_some() {
                    return Err(Fault::new("two frames", "one"));
                }
            }
            SOS => {
                let Some(frame) = &mut frame else {
                    return Err(Fault::new("a scan", "a frame first"));
                };
                if frame.progressive.is_none() {
                    return scan(&tables, frame, segment, segments.rest(), process, values);
                }
                progressive_scan(&tables, frame, segment, segments.rest())?;
                if segments.is_end_after_scan()? {
                    return finish_progressive(&tables, frame, values);
                }
            }
            _ => {}
        }
    }
}

fn check_process(marker: u8, process: Process) -> Result<(), Fault> {
    match (process, marker) {
        (Process::Dct, SOF0 | SOF1 | SOF2) | (Process::Lossless, SOF3) => Ok(()),
        (process, _) => {
            let expected = match process {
                Process::Dct => "a sequential or progressive one, SOF0 to SOF2",
                Process::Lossless => "a lossless one, SOF3",
            };
            Err(Fault::new(format!("a frame SOF{}", marker - SOF0), expected))
        }
    }
}

fn frame_header(segment: &[u8], layout: &PixelLayout) -> Result<JpegFrame, Fault> {
    let Some((&[bits, y0, y1, x0, x1, components], of_components)) = segment.split_first_chunk()
    else {
        return Err(Fault::truncated("a frame header of 6 bytes"));
    };
    let frame = CodestreamHeader {
        columns: u16::from_be_bytes([x0, x1]).into(),
        rows: u16::from_be_bytes([y0, y1]).into(),
        components: components.into(),
        bits: bits.into(),
        signed: None,
    };
    layout.check_codestream(&frame)?;
    let [component, _sampling, quantization] = fixed(of_components, "a frame's component")?;
    Ok(JpegFrame { frame, component, quantization: quantization.into(), progressive: None })
}

/// Reads one of the scans of a progressive frame.
fn progressive_scan(
    tables: &JpegTables,
    header: &mut JpegFrame,
    segment: &[u8],
    coded: &[u8],
) -> Result<(), Fault> {
    let [component, table, start, end, approximation] = scan_header(segment, header.component)?;
    let band = Band::new(start, end, approximation)?;
    let (of_band, at) =
        if band.is_dc() { (&tables.dc, table >> 4) } else { (&tables.ac, table & 15) };
    let table = of_band.get(usize::from(at)).and_then(Option::as_ref);
    let mut bits = BitReader::new(coded, Stuffing::Byte);
    match &mut header.progressive {
        Some(frame) => frame.scan(band, table, tables.restart_interval, &mut bits),
        None => Err(Fault::new(format!("a scan of component {component}"), "a progressive frame")),
    }
}

/// Turns the coefficients of a progressive frame into samples.
fn finish_progressive(
    tables: &JpegTables,
    header: &JpegFrame,
    values: &mut [u16],
) -> Result<(), Fault> {
    let CodestreamHeader { columns, bits, .. } = header.frame;
    if ![8, 12].contains(&bits) {
        return Err(Fault::new(format!("samples of {bits} bits"), "8 or 12 bits"));
    }
    let quantization = tables.quantization.get(header.quantization).copied().flatten();
    let missing = || Fault::new("none", "a quantization table before the scan");
    let quantization = quantization.ok_or_else(missing)?;
    if let Some(frame) = &header.progressive {
        frame.finish(&quantization, jpeg_dct::BlockWriter::new(columns, bits, values));
    }
    Ok(())
}

/// The component of a scan, its tables, and three parameters that depend on the process.
fn scan_header(segment: &[u8], expected: u8) -> Result<[u8; 5], Fault> {
    let [n, header @ ..]: [u8; 6] = fixed(segment, "a scan of 1 component")?;
    if n != 1 || header[0] != expected {
        let found = format!("a scan of {n} components from {}", header[0]);
        return Err(Fault::new(found, format!("one of component {expected}")));
    }
    Ok(header)
}

fn scan(
    tables: &JpegTables,
    header: &JpegFrame,
    segment: &[u8],
    coded: &[u8],
    process: Process,
    values: &mut [u16],
) -> Result<(), Fault> {
    let [_, table, start, end, approximation] = scan_header(segment, header.component)?;
    let CodestreamHeader { columns, rows, bits, .. } = header.frame;
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
    let huffman = |tables: &'_ [Option<HuffmanTable>; 4], at: u8| {
        let table = tables.get(usize::from(at)).and_then(Option::as_ref);
        table.cloned().ok_or_else(|| missing("Huffman"))
    };
    let dc = huffman(&tables.dc, table >> 4)?;
    let mut coded = BitReader::new(coded, Stuffing::Byte);
    match process {
        Process::Lossless => {
            if !(1..=7).contains(&start) || !(2..=16).contains(&bits) || point_transform >= bits {
                let found = format!("predictor {start}, {bits} bits less {point_transform}");
                return Err(Fault::new(found, "predictor 1 to 7 and 2 to 16 bits"));
            }
            jpeg_lossless::decode(&scan, &dc, &mut coded, values)
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
            jpeg_dct::decode(&scan, [&dc, &ac], &quantization, &mut coded, values)
        }
    }
}

impl JpegTables {
    fn read_huffman(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while let Some((&destination, rest)) = segment.split_first() {
            let cut = || Fault::truncated("a Huffman table");
            let (n_codes, rest) = rest.split_first_chunk::<16>().ok_or_else(cut)?;
            let n = n_codes.iter().map(|n| usize::from(*n)).sum();
            let (values, rest) = rest.split_at_checked(n).ok_or_else(cut)?;
            let tables = match destination >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                other => return Err(Fault::new(format!("Huffman class {other}"), "0 or 1")),
            };
            *table_mut(tables, destination & 15)? = Some(HuffmanTable::new(n_codes, values)?);
            segment = rest;
        }
        Ok(())
    }

    fn read_quantization(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while let Some((&destination, rest)) = segment.split_first() {
            let wide = destination >> 4 == 1;
            let n_bytes = if wide { 128 } else { 64 };
            let (values, rest) = rest
                .split_at_checked(n_bytes)
                .ok_or_else(|| Fault::truncated("a quantization table"))?;
            let mut table = [0; 64];
            for (at, value) in table.iter_mut().enumerate() {
                *value = if wide {
                    u16::from_be_bytes([values[2 * at], values[2 * at + 1]])
                } else {
                    values[at].into()
                };
            }
            *table_mut(&mut self.quantization, destination & 15)? = Some(table);
            segment = rest;
        }
        Ok(())
    }
}

fn table_mut<T>(tables: &mut [T; 4], at: u8) -> Result<&mut T, Fault> {
    tables.get_mut(usize::from(at)).ok_or_else(|| Fault::new(format!("table {at}"), "0 to 3"))
}

/// A segment that must have N bytes.
fn fixed<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], Fault> {
    let found = || Fault::new(format!("{} bytes", bytes.len()), format!("{what}, {N} bytes"));
    bytes.try_into().map_err(|_| found())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::layout;

    /// Differences of 0 and 1 bits have the codes 0 and 10; 3 x 2 samples of 16 bits, with a restart after each row.
    const HEADER: [u8; 58] = [
        0xFF, 0xD8, 0xFF, DHT, 0, 21, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        0xFF, DRI, 0, 4, 0, 3, 0xFF, SOF3, 0, 11, 16, 0, 2, 0, 3, 1, 1, 0x11, 0, 0xFF, 0xFF, SOS,
        0, 8, 1, 1, 0, 1, 0, 0, 0xA7, 0xFF, 0xD0,
    ];

    fn lossless(bytes: &[u8]) -> Result<[u16; 6], String> {
        let mut values = [0; 6];
        decode(bytes, Process::Lossless, &layout(3, 2, 16), &mut values)
            .map(|()| values)
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
        assert_eq!(
            lossless(&HEADER).unwrap_err(),
            "the end of the codestream, expected more bits of the scan"
        );
        let without_table = [&HEADER[..2], &HEADER[25..]].concat();
        let expected = "none, expected a Huffman table before the scan";
        assert_eq!(lossless(&without_table).unwrap_err(), expected);
        let mut other = HEADER;
        other[30] = 2;
        let expected = "a restart every 2 samples, expected whole rows of 3";
        assert_eq!(lossless(&other).unwrap_err(), expected);
        other[32] = 0xC2;
        assert!(lossless(&other).unwrap_err().starts_with("a frame SOF2, expected a lossless"));
        assert!(lossless(&HEADER[..40]).unwrap_err().starts_with("the end"));
        assert!(lossless(&HEADER[1..]).unwrap_err().starts_with("bytes [d8, ff] at its start"));
    }
}

//! JPEG 2000 and HTJ2K: checks the main header, and decodes with `hayro-jpeg2000` and `dicom-toolkit-jpeg2000`.

use crate::fault::Fault;
use crate::pixel_layout::{CodestreamHeader, PixelLayout};

/// Start of a JP2 file. PS3.5, A.4.4 does not allow one, but some writers make it.
const JP2: &[u8] = b"\0\0\0\x0CjP  ";
/// Markers: ITU-T T.800, table A.2.
const SOC_SIZ: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
const COD: u8 = 0x52;
const COC: u8 = 0x53;
const SOT: u8 = 0x90;
/// Most tiles of a codestream: a tile has a number of 16 bits.
const MAX_TILES: u64 = 65_535;

/// What the main header of a codestream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MainHeader {
    frame: CodestreamHeader,
    signed: bool,
    high_throughput: bool,
    /// Whether every component has the reversible transform, by the main header.
    reversible: bool,
}

/// Decodes JPEG 2000, lossless or not.
pub(crate) fn decode(bytes: &[u8], layout: &PixelLayout, values: &mut [u16]) -> Result<(), Fault> {
    let (codestream, header) = checked(bytes, false, layout)?;
    let samples = caught(|| {
        use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
        let settings = DecodeSettings {
            resolve_palette_indices: false,
            strict: true,
            target_resolution: None,
        };
        let image = Image::new(codestream, &settings).map_err(|error| error.to_string())?;
        let mut context = DecoderContext::default();
        let decoded = image.decode(&mut context).map_err(|error| error.to_string())?;
        let samples = decoded.components().first().map(|component| component.samples().to_vec());
        samples.ok_or_else(|| "no component".to_owned())
    })?;
    expect_samples(samples.len(), values.len())?;
    let greatest = (1u32 << header.frame.bits) - 1;
    for (value, sample) in values.iter_mut().zip(samples) {
        *value = unshifted(sample.round().clamp(0.0, greatest as f32) as u16, &header);
    }
    Ok(())
}

/// Decodes HTJ2K with the reversible transform.
///
/// The irreversible transform is refused: the decoder drops the middle of what was quantised, and its samples are further
/// from the original than those of other decoders.
pub(crate) fn decode_high_throughput(
    bytes: &[u8],
    layout: &PixelLayout,
    values: &mut [u16],
) -> Result<(), Fault> {
    let (codestream, header) = checked(bytes, true, layout)?;
    if !header.reversible {
        return Err(Fault::new("the irreversible transform", "the reversible one"));
    }
    let samples = caught(|| {
        use dicom_toolkit_jpeg2000::{DecodeSettings, Image};
        let settings = DecodeSettings {
            resolve_palette_indices: false,
            strict: true,
            target_resolution: None,
        };
        let image = Image::new(codestream, &settings).map_err(|error| error.to_string())?;
        Ok(image.decode_native().map_err(|error| error.to_string())?.data)
    })?;
    let n_bytes = layout.bits_allocated as usize / 8;
    expect_samples(samples.len(), n_bytes * values.len())?;
    for (value, sample) in values.iter_mut().zip(samples.chunks_exact(n_bytes)) {
        let sample = sample.iter().rev().fold(0, |sample, byte| sample << 8 | u16::from(*byte));
        *value = unshifted(sample, &header);
    }
    Ok(())
}

/// Both decoders add half the range to a signed sample; this takes it off again.
fn unshifted(sample: u16, header: &MainHeader) -> u16 {
    if header.signed { sample.wrapping_sub(1 << (header.frame.bits - 1)) } else { sample }
}

fn expect_samples(found: usize, expected: usize) -> Result<(), Fault> {
    if found == expected { Ok(()) } else { Err(Fault::new(found, format!("{expected} samples"))) }
}

/// The codestream and its main header, which agrees with the layout.
fn checked<'a>(
    bytes: &'a [u8],
    high_throughput: bool,
    layout: &PixelLayout,
) -> Result<(&'a [u8], MainHeader), Fault> {
    let codestream = if bytes.starts_with(JP2) { inside_jp2(bytes)? } else { bytes };
    let header = main_header(codestream)?;
    layout.check_codestream(&header.frame)?;
    let kind = |high_throughput| if high_throughput { "an HTJ2K codestream" } else { "JPEG 2000" };
    if header.high_throughput != high_throughput {
        return Err(Fault::new(kind(header.high_throughput), kind(high_throughput)));
    }
    Ok((codestream, header))
}

/// The codestream inside a JP2 file.
fn inside_jp2(mut bytes: &[u8]) -> Result<&[u8], Fault> {
    let cut = || Fault::truncated("a box with the codestream");
    loop {
        let (start, _) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
        let [length @ .., _, _, _, _] = *start;
        let length = u32::from_be_bytes(length) as usize;
        if start.ends_with(b"jp2c") {
            let end = if length == 0 { bytes.len() } else { length };
            return bytes.get(8..end).ok_or_else(cut);
        }
        bytes = bytes.get(length.max(8)..).ok_or_else(cut)?;
    }
}

/// Reads the main header: ITU-T T.800, A.5.1 and A.6.1; T.814, A.2.
fn main_header(bytes: &[u8]) -> Result<MainHeader, Fault> {
    let cut = || Fault::truncated("a main header");
    if !bytes.starts_with(&SOC_SIZ) {
        let start = &bytes[..bytes.len().min(4)];
        return Err(Fault::new(format!("bytes {start:02x?} at its start"), "ff 4f ff 51"));
    }
    let (siz, _) = bytes[4..].split_first_chunk::<41>().ok_or_else(cut)?;
    let number = |at: usize| u32::from_be_bytes([siz[at], siz[at + 1], siz[at + 2], siz[at + 3]]);
    let [end_x, end_y, x, y, tile_x, tile_y, first_tile_x, first_tile_y] =
        std::array::from_fn(|at| number(4 + 4 * at));
    let (depth, sampling) = (siz[38], [siz[39], siz[40]]);
    let tiles = |end: u32, first: u32, size: u32| {
        u64::from(end.saturating_sub(first)).div_ceil(u64::from(size.max(1)))
    };
    let n_tiles =
        tiles(end_x, first_tile_x, tile_x).saturating_mul(tiles(end_y, first_tile_y, tile_y));
    if tile_x == 0 || tile_y == 0 || n_tiles > MAX_TILES || sampling != [1, 1] {
        let found = format!("{n_tiles} tiles of {tile_x} x {tile_y}, sampled every {sampling:?}");
        return Err(Fault::new(found, format!("1 to {MAX_TILES} tiles, sampled every [1, 1]")));
    }
    let signed = depth & 0x80 != 0;
    let bits = u32::from(depth & 0x7F) + 1;
    if bits > 16 {
        return Err(Fault::new(format!("samples of {bits} bits"), "at most 16"));
    }
    let frame = CodestreamHeader {
        columns: end_x.saturating_sub(x) as usize,
        rows: end_y.saturating_sub(y) as usize,
        components: u16::from_be_bytes([siz[36], siz[37]]).into(),
        bits,
        signed: Some(signed),
    };
    let mut high_throughput = None;
    let mut reversible = true;
    // The segments after SIZ, up to SOT, which begins the first tile.
    let mut rest = bytes.get(4 + usize::from(u16::from_be_bytes([siz[0], siz[1]]))..);
    while let Some(&[0xFF, marker, l0, l1, ref segment @ ..]) = rest {
        if marker == SOT {
            break;
        }
        match (marker, segment) {
            (COD, &[_, _, _, _, _, _, _, _, style, transform, ..]) => {
                high_throughput = Some(style & 0x40 != 0);
                reversible &= transform == 1;
            }
            // A frame of one component does not need COC.
            (COC, _) => return Err(Fault::new("a COC segment", "one style for 1 component")),
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        rest = segment.get(length.saturating_sub(2)..);
    }
    let high_throughput = high_throughput.ok_or_else(cut)?;
    Ok(MainHeader { frame, signed, high_throughput, reversible })
}

/// Runs a decoder and turns a panic into an error; nothing is written to standard error.
fn caught<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, Fault> {
    let expected = "a codestream that the decoder can read";
    match nodulus_faults::caught(decode) {
        Ok(done) => done.map_err(|error| Fault::new(error, expected)),
        Err(_) => Err(Fault::new("a codestream on which the decoder panics", expected)),
    }
}

//! JPEG 2000, and HTJ2K, by decoders of others.

use super::{Expected, Fault, Frame};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Start of a JP2 file, which PS3.5, A.4.4 does not allow and some writers make.
const JP2: &[u8] = b"\0\0\0\x0CjP  ";
/// Markers: ITU-T T.800, table A.2.
const SOC_SIZ: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
const COD: u8 = 0x52;
const COC: u8 = 0x53;
const SOT: u8 = 0x90;
/// Tiles of a codestream: their number has 16 bits.
const MAX_TILES: u64 = 65_535;

/// What the main header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MainHeader {
    frame: Frame,
    signed: bool,
    high_throughput: bool,
    /// Whether every component has the reversible transform, as far as the main header tells.
    reversible: bool,
}

/// Decodes JPEG 2000, lossless or not.
pub(super) fn decode(bytes: &[u8], expected: &Expected, words: &mut [u16]) -> Result<(), Fault> {
    let (codestream, header) = checked(bytes, false, expected)?;
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
    expect_samples(samples.len(), words.len())?;
    let greatest = (1u32 << header.frame.bits) - 1;
    for (word, sample) in words.iter_mut().zip(samples) {
        *word = unshifted(sample.round().clamp(0.0, greatest as f32) as u16, &header);
    }
    Ok(())
}

/// Decodes HTJ2K with the reversible transform.
///
/// With the other one the decoder drops the middle of what was quantised, and is further from the
/// slice than other decoders: refused.
pub(super) fn decode_high_throughput(
    bytes: &[u8],
    expected: &Expected,
    words: &mut [u16],
) -> Result<(), Fault> {
    let (codestream, header) = checked(bytes, true, expected)?;
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
    let n_bytes = expected.bits_allocated as usize / 8;
    expect_samples(samples.len(), n_bytes * words.len())?;
    for (word, sample) in words.iter_mut().zip(samples.chunks_exact(n_bytes)) {
        let sample = sample.iter().rev().fold(0, |sample, byte| sample << 8 | u16::from(*byte));
        *word = unshifted(sample, &header);
    }
    Ok(())
}

/// Both decoders return a signed sample moved up by half its range.
fn unshifted(sample: u16, header: &MainHeader) -> u16 {
    if header.signed { sample.wrapping_sub(1 << (header.frame.bits - 1)) } else { sample }
}

fn expect_samples(found: usize, expected: usize) -> Result<(), Fault> {
    if found == expected { Ok(()) } else { Err(Fault::new(found, format!("{expected} samples"))) }
}

/// The codestream, after its main header was compared with the file's.
fn checked<'a>(
    bytes: &'a [u8],
    high_throughput: bool,
    expected: &Expected,
) -> Result<(&'a [u8], MainHeader), Fault> {
    let codestream = if bytes.starts_with(JP2) { inside_jp2(bytes)? } else { bytes };
    let header = main_header(codestream)?;
    expected.check(&header.frame)?;
    let kind = |high_throughput| if high_throughput { "an HTJ2K codestream" } else { "JPEG 2000" };
    if header.high_throughput != high_throughput {
        return Err(Fault::new(kind(header.high_throughput), kind(high_throughput)));
    }
    Ok((codestream, header))
}

/// The codestream inside a JP2 file.
fn inside_jp2(mut bytes: &[u8]) -> Result<&[u8], Fault> {
    let cut = || Fault::cut("a box with the codestream");
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

/// ITU-T T.800, A.5.1 and A.6.1; T.814, A.2.
fn main_header(bytes: &[u8]) -> Result<MainHeader, Fault> {
    let cut = || Fault::cut("a main header");
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
    let frame = Frame {
        columns: end_x.saturating_sub(x) as usize,
        rows: end_y.saturating_sub(y) as usize,
        components: u16::from_be_bytes([siz[36], siz[37]]).into(),
        bits,
        signed: Some(signed),
    };
    let mut high_throughput = None;
    let mut reversible = true;
    // The segments after SIZ; SOT begins the first tile.
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
            // How it is laid out depends on the number of components; no slice needs it.
            (COC, _) => return Err(Fault::new("a COC segment", "one style for 1 component")),
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        rest = segment.get(length.saturating_sub(2)..);
    }
    let high_throughput = high_throughput.ok_or_else(cut)?;
    Ok(MainHeader { frame, signed, high_throughput, reversible })
}

/// Runs a decoder; a panic in it is an error, and writes nothing.
fn caught<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, Fault> {
    let expected = "what the decoder reads";
    match quiet::run(|| catch_unwind(AssertUnwindSafe(decode))) {
        Ok(done) => done.map_err(|error| Fault::new(error, expected)),
        Err(_) => Err(Fault::new("what stops the decoder", expected)),
    }
}

mod quiet {
    //! Panics that are not written to standard error.

    use std::cell::Cell;
    use std::panic;
    use std::sync::Once;

    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();

    /// Runs what may panic and is caught; other threads' panics are written as before.
    pub(super) fn run<T>(run: impl FnOnce() -> T) -> T {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !QUIET.get() {
                    before(info);
                }
            }));
        });
        QUIET.set(true);
        let result = run();
        QUIET.set(false);
        result
    }
}

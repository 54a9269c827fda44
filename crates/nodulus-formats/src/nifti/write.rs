//! Writes a volume as a NIfTI-1 file.

use super::fields::NIFTI_1_BYTES;
use crate::volume::{Geometry, Volume};
use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use std::io::{self, Write};
use std::path::Path;

/// A stored type: its code in the header, and its bits.
type StoredType = (i16, i16);

/// Unsigned bytes.
const BYTE: StoredType = (2, 8);

/// Signed 16-bit integers.
const SIGNED: StoredType = (4, 16);

/// Unsigned 16-bit integers.
const UNSIGNED: StoredType = (512, 16);

/// Writes Hounsfield units as signed 16-bit integers with an sform, compressed if the name ends with `.gz`. The same
/// volume gives the same bytes; positions are rounded to 32 bits.
///
/// # Errors
///
/// Fails if the file cannot be written, or an axis has more than 32,767 voxels, the most that NIfTI-1 allows.
pub fn write(path: &Path, volume: &Volume<i16>) -> io::Result<()> {
    let header = header(volume.geometry(), SIGNED)?;
    write_bytes(path, header, volume.voxels().iter().flat_map(|value| value.to_le_bytes()))
}

/// Writes labels as unsigned 16-bit integers; otherwise as [`write()`].
///
/// # Errors
///
/// Fails as [`write()`] does.
pub fn write_labels(path: &Path, labels: &Volume<u16>) -> io::Result<()> {
    let header = header(labels.geometry(), UNSIGNED)?;
    write_bytes(path, header, labels.voxels().iter().flat_map(|label| label.to_le_bytes()))
}

/// Writes labels up to 255 as unsigned bytes; otherwise as [`write()`].
///
/// # Errors
///
/// Fails as [`write()`] does.
pub fn write_byte_labels(path: &Path, labels: &Volume<u8>) -> io::Result<()> {
    let header = header(labels.geometry(), BYTE)?;
    write_bytes(path, header, labels.voxels().iter().copied())
}

/// The bytes of a `.nii.gz` of 16-bit labels, made slice by slice: `fill` is given k and the labels of the slice, all
/// 0, in the order j, then i. Otherwise as [`write()`].
///
/// # Errors
///
/// Fails if an axis has more than 32,767 voxels.
pub fn label_bytes(
    geometry: &Geometry,
    mut fill: impl FnMut(usize, &mut [u16]),
) -> io::Result<Vec<u8>> {
    let header = header(geometry, UNSIGNED)?;
    // Labels are mostly 0, which every level compresses equally well.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&header)?;
    let [ni, nj, nk] = geometry.size();
    let mut labels = vec![0u16; ni * nj];
    let mut bytes: Vec<[u8; 2]> = Vec::with_capacity(labels.len());
    for k in 0..nk {
        labels.fill(0);
        fill(k, &mut labels);
        bytes.clear();
        bytes.extend(labels.iter().map(|label| label.to_le_bytes()));
        encoder.write_all(bytes.as_flattened())?;
    }
    encoder.finish()
}

fn write_bytes(
    path: &Path,
    mut bytes: Vec<u8>,
    voxels: impl Iterator<Item = u8>,
) -> io::Result<()> {
    bytes.extend(voxels);
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz")) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&bytes)?;
        bytes = encoder.finish()?;
    }
    fs::write(path, bytes)
}

/// The header, little-endian, with the standard's byte offsets.
fn header(geometry: &Geometry, (code, bits): StoredType) -> io::Result<Vec<u8>> {
    let mut header = vec![0; NIFTI_1_BYTES];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348i32.to_le_bytes());
    put(40, &3i16.to_le_bytes());
    for (n, length) in geometry.size().into_iter().chain([1; 4]).enumerate() {
        let length = i16::try_from(length).map_err(|_| {
            let message = format!(
                "an axis has {length} voxels, expected at most 32767, the limit of NIfTI-1"
            );
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        put(42 + 2 * n, &length.to_le_bytes());
    }
    put(70, &code.to_le_bytes());
    put(72, &bits.to_le_bytes());
    let spacing = geometry.spacing().ijk();
    for (n, spacing) in [1.0].into_iter().chain(spacing).enumerate() {
        put(76 + 4 * n, &(spacing as f32).to_le_bytes());
    }
    put(108, &(NIFTI_1_BYTES as f32).to_le_bytes());
    put(112, &1f32.to_le_bytes());
    // The unit is millimetres, and the sform is in scanner coordinates.
    put(123, &[2]);
    put(254, &1i16.to_le_bytes());
    for row in 0..3 {
        // LPS to RAS negates x and y.
        let turned = if row < 2 { -1.0 } else { 1.0 };
        let axes = (0..3).map(|column| geometry.direction()[3 * row + column] * spacing[column]);
        for (column, value) in axes.chain([geometry.origin_mm()[row]]).enumerate() {
            put(280 + 16 * row + 4 * column, &((turned * value) as f32).to_le_bytes());
        }
    }
    put(344, b"n+1\0");
    Ok(header)
}

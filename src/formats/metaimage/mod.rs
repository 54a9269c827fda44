//! MetaImage: a text header (`.mhd`) with its voxels beside it (`.raw`, `.zraw`) or behind it
//! (`.mha`), as LUNA16 and ITK have them.
//!
//! Positions are LPS, in millimetres. Source: ITK's `MetaIO` and `MetaImageIO`.

mod header;
mod write;

pub use header::Error;
pub use write::write;

use super::elements::{self, ByteOrder, Element, Refused};
use crate::volume::Volume;
use flate2::read::ZlibDecoder;
use fs_err as fs;
use header::{Data, Header};
use ndarray::Array3;
use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

/// zlib shrinks bytes to no less than this share of one.
const ZLIB_MOST: usize = 1032;

/// Reads a volume of one value a voxel; the file's path is that of its header.
///
/// Any stored type is taken as long as every voxel's value is a 16-bit integer.
///
/// # Errors
///
/// Fails if a file cannot be read, the header lacks what places the voxels or says something that
/// is not supported, there are more or fewer bytes than it says, or a value is no 16-bit integer.
pub fn read(path: &Path) -> Result<Volume<i16>, Error> {
    let bytes = fs::read(path)?;
    let (header, rest) = Header::parse(path, &bytes)?;
    let [ni, nj, nk] = header.geometry.size();
    let (data_path, stored) = match &header.data {
        Data::Local => (path.to_owned(), Cow::Borrowed(rest)),
        Data::File(name) => {
            let data_path = path.with_file_name(name);
            let stored = fs::read(&data_path)?;
            (data_path, Cow::Owned(stored))
        }
    };
    let expected = header
        .geometry
        .n_voxels()
        .checked_mul(header.element.n_bytes())
        .ok_or(Error::TooLarge(path.to_owned(), [ni, nj, nk]))?;
    let raw = if header.compressed {
        let most = stored.len().saturating_mul(ZLIB_MOST).min(expected);
        let mut raw = Vec::with_capacity(most);
        // One byte more than expected tells that there are too many.
        let limit = (expected as u64).saturating_add(1);
        ZlibDecoder::new(stored.as_ref())
            .take(limit)
            .read_to_end(&mut raw)
            .map_err(|source| Error::Inflate { path: data_path.clone(), source })?;
        Cow::Owned(raw)
    } else {
        stored
    };
    if raw.len() != expected {
        return Err(Error::Size { path: data_path, found: raw.len(), expected });
    }
    let voxels = decode(header.element, header.order, &raw).map_err(|refused| Error::Voxel {
        path: data_path,
        voxel: [refused.index % ni, refused.index / ni % nj, refused.index / (ni * nj)],
        value: refused.value,
    })?;
    let mismatch = |_| Error::TooLarge(path.to_owned(), [ni, nj, nk]);
    let voxels = Array3::from_shape_vec((nk, nj, ni), voxels).map_err(mismatch)?;
    Volume::new(header.geometry, voxels).map_err(|_| Error::TooLarge(path.to_owned(), [ni, nj, nk]))
}

fn decode(element: Element, order: ByteOrder, raw: &[u8]) -> Result<Vec<i16>, Refused> {
    if (element, order) == (Element::I16, ByteOrder::Little) {
        // Every file of LUNA16; nothing can be refused.
        return Ok(raw.as_chunks().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect());
    }
    element.decode(raw, order, elements::as_i16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Geometry;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use std::io::Write;

    /// A header as SimpleITK 2.5 writes it, of 3 × 2 × 1 voxels.
    const HEADER: &str = "ObjectType = Image\nNDims = 3\nBinaryData = True\n\
        BinaryDataByteOrderMSB = False\nCompressedData = False\n\
        TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = -195 -195.5 -378\nCenterOfRotation = 0 0 0\n\
        AnatomicalOrientation = RAI\nElementSpacing = 0.7617188 0.7617188 2.5\nDimSize = 3 2 1\n\
        ElementType = MET_SHORT\nElementDataFile = ct.raw\n";

    fn read_with(header: &str, raw: &[u8]) -> Result<Volume<i16>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ct.mhd");
        fs::write(&path, header).unwrap();
        fs::write(folder.path().join("ct.raw"), raw).unwrap();
        read(&path)
    }

    fn shorts(values: &[i16]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn message(header: &str, raw: &[u8]) -> String {
        let error = read_with(header, raw).unwrap_err().to_string();
        let (_, after) = error.rsplit_once("ct.").unwrap();
        after.to_owned()
    }

    #[test]
    fn a_file_is_read_in_its_order() {
        let volume = read_with(HEADER, &shorts(&[-3024, 1, 2, 10, 11, 5892])).unwrap();
        let geometry = volume.geometry();
        assert_eq!(geometry.size(), [3, 2, 1]);
        assert_eq!(
            geometry.spacing().ijk().map(f64::to_bits),
            [0.761_718_8f64, 0.761_718_8, 2.5].map(f64::to_bits)
        );
        assert_eq!(
            geometry.origin_mm().map(f64::to_bits),
            [-195f64, -195.5, -378.0].map(f64::to_bits)
        );
        assert_eq!(geometry.direction().map(f64::to_bits), Geometry::AXIAL.map(f64::to_bits));
        assert_eq!(volume.voxels()[[0, 0, 0]], -3024);
        assert_eq!(volume.voxels()[[0, 0, 2]], 2);
        assert_eq!(volume.voxels()[[0, 1, 2]], 5892);
    }

    #[test]
    fn rows_of_the_matrix_are_axes() {
        // SimpleITK: direction (0,-1,0, 1,0,0, 0,0,1) is written with its columns as rows.
        let header = HEADER.replace("1 0 0 0 1 0 0 0 1", "0 1 0 -1 0 0 0 0 1");
        let volume = read_with(&header, &shorts(&[0; 6])).unwrap();
        let geometry = volume.geometry();
        let found = geometry.voxel_to_patient([2.0, 1.0, 0.0]);
        // SimpleITK: TransformIndexToPhysicalPoint((2, 1, 0)).
        for (found, expected) in found.iter().zip([-195.761_718_8, -193.976_562_4, -378.0]) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn other_types_and_orders_are_read_where_they_fit() {
        let big = HEADER.replace("MSB = False", "MSB = True");
        let bytes: Vec<u8> = [1i16, 2, 3, 4, 5, -6].iter().flat_map(|v| v.to_be_bytes()).collect();
        assert_eq!(read_with(&big, &bytes).unwrap().voxels()[[0, 1, 2]], -6);
        let bytes = HEADER.replace("MET_SHORT", "MET_UCHAR");
        assert_eq!(read_with(&bytes, &[0, 1, 2, 3, 4, 255]).unwrap().voxels()[[0, 1, 2]], 255);
        let floats = HEADER.replace("MET_SHORT", "MET_FLOAT");
        let mut raw: Vec<u8> =
            [0f32, 1.0, 2.0, 3.0, 4.5, 5.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(
            message(&floats, &raw),
            "raw`: voxel [1, 1, 0] (i, j, k) is 4.5, expected a 16-bit integer"
        );
        raw[16..20].copy_from_slice(&4f32.to_le_bytes());
        assert_eq!(read_with(&floats, &raw).unwrap().voxels()[[0, 1, 1]], 4);
    }

    #[test]
    fn wrong_amounts_of_bytes_are_refused() {
        for n in [5, 7] {
            let expected = format!("raw` holds {} bytes of voxels, expected 12", 2 * n);
            assert_eq!(message(HEADER, &shorts(&vec![0; n])), expected);
        }
        let compressed = HEADER.replace("CompressedData = False", "CompressedData = True");
        let deflate = |n: usize| {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&vec![0; n]).unwrap();
            encoder.finish().unwrap()
        };
        assert!(read_with(&compressed, &deflate(12)).is_ok());
        assert_eq!(
            message(&compressed, &deflate(11)),
            "raw` holds 11 bytes of voxels, expected 12"
        );
        assert_eq!(
            message(&compressed, &deflate(99)),
            "raw` holds 13 bytes of voxels, expected 12"
        );
        assert_eq!(message(&compressed, &[1, 2, 3]), "raw` is no zlib stream");
        let huge = HEADER.replace("DimSize = 3 2 1", "DimSize = 99999 99999 9999");
        assert_eq!(message(&huge, &[]), "raw` holds 0 bytes of voxels, expected 199976000419998");
    }

    #[test]
    fn voxels_may_follow_the_header() {
        let mut bytes = HEADER.replace("ct.raw", "LOCAL").into_bytes();
        bytes.extend(shorts(&[10, 13, 0x0a0a, 4, 5, 6]));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ct.mha");
        fs::write(&path, bytes).unwrap();
        assert_eq!(read(&path).unwrap().voxels().as_slice().unwrap(), [10, 13, 0x0a0a, 4, 5, 6]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (s, c) = 0.3f64.sin_cos();
        let direction = [c, -s, 0.0, s, c, 0.0, 0.0, 0.0, -1.0];
        let geometry =
            Geometry::new([5, 4, 3], [0.1 + 0.2, 0.7, 1.25], [1e-7, -3.3, 400.1], direction);
        let voxels =
            Array3::from_shape_fn((3, 4, 5), |(k, j, i)| (1000 * k + 100 * j + i) as i16 - 1500);
        let volume = Volume::new(geometry.unwrap(), voxels).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (name, compressed) in [("1.3.6.raw.mhd", false), ("1.3.6.z.mhd", true)] {
            let path = folder.path().join(name);
            write(&path, &volume, compressed).unwrap();
            assert_eq!(read(&path).unwrap(), volume);
            let first =
                fs::read(path.with_extension(if compressed { "zraw" } else { "raw" })).unwrap();
            write(&path, &volume, compressed).unwrap();
            let again =
                fs::read(path.with_extension(if compressed { "zraw" } else { "raw" })).unwrap();
            assert_eq!(first, again);
        }
    }
}

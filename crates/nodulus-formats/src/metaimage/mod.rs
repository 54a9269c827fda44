//! MetaImage: a text header (`.mhd`) with its voxels beside it (`.raw`, `.zraw`, or a file for each slice) or after
//! it (`.mha`), as LUNA16 and ITK write it.
//!
//! Positions are LPS in millimetres. Source: ITK's `MetaIO` and `MetaImageIO`.

mod error;
mod data;
mod header;
mod voxel_file;
mod write;

pub use error::Error;
pub use write::write;

use crate::image_rules::ReadRules;
use crate::loaded_image::LoadedImage;
use crate::repair::Repairs;
use crate::volume::{Geometry, LoadedSlices, SliceRanges, Volume};
use crate::voxel_encoding::Voxel;
use crate::voxel_stream::room;
use data::DataLocation;
use header::MetaImageHeader;
use nodulus_faults::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use voxel_file::{n_values, voxel_files};

/// Most bytes of a header.
const HEADER_MOST: u64 = 1 << 20;

/// Reads a volume with one value for each voxel; `path` is that of the header.
///
/// Any stored type is accepted if every value is a 16-bit integer. Reading needs memory for the volume and one block
/// of a file; a volume may have at most 1,032 times the bytes of its files.
///
/// # Errors
///
/// Fails if a file cannot be read, the header does not place the voxels or has a value that is not supported, there
/// are more or fewer files or bytes than the header says, or a value is not a 16-bit integer.
pub fn read(path: &Path) -> Result<Volume<i16>, Error> {
    load(path, &SliceRanges::all(), &ReadRules::default())?.into_volume(too_large(path))
}

/// Reads a mask of labels, with 0 for the background; otherwise as [`read`].
///
/// # Errors
///
/// Fails as [`read`] does, or if a value is not an integer from 0 to 65,535.
pub fn read_labels(path: &Path) -> Result<Volume<u16>, Error> {
    load(path, &SliceRanges::all(), &ReadRules::default())?.into_volume(too_large(path))
}

/// Reads some slices of a volume; otherwise as [`read`]. Slices past its end are ignored.
///
/// Voxels of other slices are not read where they are not compressed; in a compressed stream, those after the last
/// wanted slice are not. Whether they are complete, and 16-bit integers, is not checked.
///
/// # Errors
///
/// Fails as [`read`] does, for the part that is read.
pub fn read_slices(path: &Path, wanted: &SliceRanges) -> Result<LoadedSlices<i16>, Error> {
    Ok(load(path, wanted, &ReadRules::default())?.slices)
}

fn too_large(path: &Path) -> impl Fn([usize; 3]) -> Error + '_ {
    |size| Error::TooLarge(path.to_owned(), size)
}

/// Reads slices by the rules.
pub(crate) fn load<T: Voxel>(
    path: &Path,
    wanted: &SliceRanges,
    rules: &ReadRules,
) -> Result<LoadedImage<T>, Error> {
    let (header, start) = read_header(path, rules)?;
    let (geometry, too_large) = (header.geometry, too_large(path));
    let files = voxel_files(path, &header, start, rules)?;
    let n = n_values(&header, &files, wanted);
    let mut voxels = room(n).map_err(|_| too_large(geometry.size()))?;
    let mut repairs: Repairs = header.repairs.clone();
    for file in &files {
        file.read(&header, wanted, &mut voxels, &mut repairs)?;
    }
    LoadedImage::of_voxels(geometry, true, wanted, voxels, repairs, too_large)
}

/// Reads where the voxels of a header lie; the voxels need not be there.
///
/// # Errors
///
/// Fails if the header cannot be read or does not place its voxels.
pub fn read_geometry(path: &Path) -> Result<Geometry, Error> {
    Ok(read_header(path, &ReadRules::default())?.0.geometry)
}

/// Estimates the bytes that a volume needs in memory, from its header and the lengths of its files.
///
/// # Errors
///
/// Fails if the header or the length of a file cannot be read, or a length is not what the header says.
pub fn estimate_bytes(path: &Path) -> Result<u64, Error> {
    let rules = ReadRules::default();
    let (header, start) = read_header(path, &rules)?;
    let files = voxel_files(path, &header, start, &rules)?;
    Ok(n_values(&header, &files, &SliceRanges::all()) as u64 * size_of::<i16>() as u64)
}

/// The files that a header names, up to the first one that does not exist; empty where the header cannot be read.
pub fn data_files(path: &Path) -> Vec<PathBuf> {
    // Reading the voxels reports what is wrong.
    let Ok((header, _)) = read_header(path, &ReadRules::default()) else { return Vec::new() };
    let paths = header.data.names().map(|name| path.with_file_name(name));
    paths.take_while(|path| fs::exists(path)).collect()
}

/// The header, and the offset of the first byte after it.
fn read_header(path: &Path, rules: &ReadRules) -> Result<(MetaImageHeader, u64), Error> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(HEADER_MOST).read_to_end(&mut bytes)?;
    let long = || Error::LongHeader { path: path.to_owned(), most: HEADER_MOST };
    let cut = bytes.len() as u64 == HEADER_MOST;
    match MetaImageHeader::parse(path, &bytes, rules.off_grid) {
        Err(Error::Files { .. }) if cut => Err(long()),
        Ok((header, _)) if cut && matches!(header.data, DataLocation::List(_)) => Err(long()),
        parsed => parsed.map(|(header, rest)| (header, (bytes.len() - rest.len()) as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::ZlibEncoder;
    use fs_err as fs;
    use ndarray::Array3;
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
            "raw`: voxel [1, 1, 0] (i, j, k) is 4.5, expected a 16-bit integer; \
             `tolerances.image_files.round_hu = true` rounds HU"
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
        let deflate = |n: usize| zlib(&vec![0; n]);
        assert!(read_with(&compressed, &deflate(12)).is_ok());
        assert_eq!(
            message(&compressed, &deflate(11)),
            "raw` holds 11 bytes of voxels, expected 12"
        );
        assert_eq!(
            message(&compressed, &deflate(96)),
            "raw` holds 96 bytes of voxels, expected 12"
        );
        assert_eq!(message(&compressed, &[1, 2, 3]), "raw` is not a valid zlib stream");
        let huge = HEADER.replace("DimSize = 3 2 1", "DimSize = 60000 60000 9999");
        assert_eq!(message(&huge, &[]), "raw` holds 0 bytes of voxels, expected 71992800000000");
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

    /// Reads a header with these files beside it.
    fn read_files(header: &str, files: &[(&str, &[u8])]) -> Result<Volume<i16>, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let path = folder.path().join("ct.mhd");
        fs::write(&path, header).unwrap();
        let listed = data_files(&path);
        let volume = read(&path).map_err(|error| error.to_string());
        if volume.is_ok() {
            assert_eq!(listed.len(), files.len());
        }
        volume.map_err(|error| error.replace(&format!("{}/", folder.path().display()), ""))
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn each_slice_may_have_a_file() {
        let header = HEADER.replace("= 3 2 1", "= 3 1 2");
        let one = read_files(&header, &[("ct.raw", &shorts(&[1, 2, 3, 4, 5, 6]))]).unwrap();
        let (a, b) = (shorts(&[1, 2, 3]), shorts(&[4, 5, 6]));
        let list = header.replace("ct.raw", "LIST\ns/b.raw\na.raw");
        assert_eq!(read_files(&list, &[("s/b.raw", &a), ("a.raw", &b)]), Ok(one.clone()));
        let pattern = header.replace("ct.raw", "s%03d.raw 7 9 2");
        let files: [(&str, &[u8]); 2] = [("s007.raw", &a), ("s009.raw", &b)];
        assert_eq!(read_files(&pattern, &files), Ok(one.clone()));
        let packed = list.replace("CompressedData = False", "CompressedData = True");
        let (za, zb) = (zlib(&a), zlib(&b));
        assert_eq!(read_files(&packed, &[("s/b.raw", &za), ("a.raw", &zb)]), Ok(one));
        assert_eq!(
            read_files(&list, &[("s/b.raw", &a), ("a.raw", &b[..4])]).unwrap_err(),
            "`a.raw` holds 4 bytes of voxels, expected 6"
        );
        let long = list.replace("LIST", &format!("LIST{}", "\n".repeat(1 << 20)));
        assert_eq!(
            read_files(&long, &[]).unwrap_err(),
            "`ct.mhd` has a header of more than 1048576 bytes"
        );
        let missing = read_files(&pattern, &[("s007.raw", &a)]).unwrap_err();
        assert!(missing.contains("s009.raw"), "{missing}");
        let real = list.replace("MET_SHORT", "MET_FLOAT");
        let bytes: Vec<u8> = [1f32, 0.5, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let ones: Vec<u8> = [1f32; 3].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(
            read_files(&real, &[("s/b.raw", &ones), ("a.raw", &bytes)]).unwrap_err(),
            "`a.raw`: voxel [1, 0, 1] (i, j, k) is 0.5, expected a 16-bit integer; \
             `tolerances.image_files.round_hu = true` rounds HU"
        );
    }

    #[test]
    fn bytes_before_the_voxels_are_skipped() {
        let raw = shorts(&[1, 2, 3, 4, 5, 6]);
        let before = [b"other".as_slice(), &raw].concat();
        let with =
            |n: &str| HEADER.replace("ElementType", &format!("HeaderSize = {n}\nElementType"));
        let plain = read_files(HEADER, &[("ct.raw", &raw)]);
        assert_eq!(read_files(&with("5"), &[("ct.raw", &before)]), plain);
        assert_eq!(read_files(&with("-1"), &[("ct.raw", &before)]), plain);
        assert_eq!(
            read_files(&with("6"), &[("ct.raw", &before)]).unwrap_err(),
            "`ct.raw` holds 11 bytes of voxels, expected 12"
        );
        assert_eq!(
            read_files(&with("99"), &[("ct.raw", &before)]).unwrap_err(),
            "`ct.raw` holds 0 bytes of voxels, expected 12"
        );
        assert_eq!(
            read_files(&with("-1"), &[("ct.raw", &raw[..3])]).unwrap_err(),
            "`ct.raw` holds 3 bytes of voxels, expected 12"
        );
        let packed = with("5").replace("CompressedData = False", "CompressedData = True");
        let packed_bytes = [b"other".as_slice(), &zlib(&raw)].concat();
        assert_eq!(read_files(&packed, &[("ct.raw", &packed_bytes)]), plain);
    }

    #[test]
    fn the_size_of_a_compressed_stream_must_be_right() {
        let raw = shorts(&[1, 2, 3, 4, 5, 6]);
        let packed = zlib(&raw);
        let n = packed.len();
        let with = |size: usize| {
            let text = format!("CompressedData = True\nCompressedDataSize = {size}");
            HEADER.replace("CompressedData = False", &text)
        };
        let plain = read_files(HEADER, &[("ct.raw", &raw)]);
        assert_eq!(read_files(&with(n), &[("ct.raw", &packed)]), plain);
        let cut_off = read_files(&with(n - 1), &[("ct.raw", &packed)]).unwrap_err();
        assert!(cut_off.starts_with("`ct.raw` "), "{cut_off}");
        assert_eq!(
            read_files(&with(n + 1), &[("ct.raw", &packed)]).unwrap_err(),
            format!("`ct.raw` holds {n} compressed bytes, expected {}", n + 1)
        );
        let longer = [packed.as_slice(), b"tail"].concat();
        let unsized_ = HEADER.replace("CompressedData = False", "CompressedData = True");
        for header in [&unsized_, &with(n)] {
            assert_eq!(read_files(header, &[("ct.raw", &longer)]), plain);
        }
        let far_longer = [packed.clone(), vec![1; 70_000]].concat();
        assert_eq!(
            read_files(&unsized_, &[("ct.raw", &far_longer)]).unwrap_err(),
            format!("`ct.raw` holds {} compressed bytes, expected {n}", n + 70_000)
        );
    }

    #[test]
    fn bytes_after_the_voxels_are_ignored_where_the_start_is_known() {
        let raw = [shorts(&[1, 2, 3, 4, 5, 6]), vec![9; 7]].concat();
        let headers = [
            HEADER.replace("ElementDataFile", "HeaderSize = 0\nElementDataFile"),
            HEADER.replace("ct.raw", "LOCAL"),
        ];
        for (header, name) in headers.iter().zip(["ct.mhd", "ct.mha"]) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            let bytes = if name == "ct.mha" {
                [header.as_bytes(), &raw].concat()
            } else {
                header.clone().into_bytes()
            };
            fs::write(&path, bytes).unwrap();
            fs::write(folder.path().join("ct.raw"), &raw).unwrap();
            let loaded = load::<i16>(&path, &SliceRanges::all(), &ReadRules::default()).unwrap();
            assert_eq!(
                loaded.repairs,
                Repairs::from([crate::repair::Repair::ExtraBytes]),
                "{name}"
            );
            assert_eq!(loaded.slices.slice(0).unwrap()[[1, 2]], 6);
        }
        assert_eq!(message(HEADER, &raw), "raw` holds 19 bytes of voxels, expected 12");
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
        for (name, data, compressed) in [
            ("1.3.6.raw.mhd", "1.3.6.raw.raw", false),
            ("1.3.6.z.mhd", "1.3.6.z.zraw", true),
            ("1.3.6.mha", "1.3.6.mha", false),
            ("1.3.6.z.mha", "1.3.6.z.mha", true),
        ] {
            let path = folder.path().join(name);
            write(&path, &volume, compressed).unwrap();
            assert_eq!(read(&path).unwrap(), volume);
            let first = fs::read(folder.path().join(data)).unwrap();
            write(&path, &volume, compressed).unwrap();
            assert_eq!(first, fs::read(folder.path().join(data)).unwrap());
        }
    }
}

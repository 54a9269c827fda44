//! A scan of 512 × 512 × 1,200 voxels in several formats.

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use fs_err as fs;
use ndarray::Array3;
use nodulus_formats::nifti;
use nodulus_formats::volume::{Geometry, Volume};
use std::io::Write as _;
use std::path::Path;

pub(crate) const SIZE: [usize; 3] = [512, 512, 1200];

/// Slices of the two nodules: boxes of 12 × 10 × 5 voxels.
const NODULES: [usize; 2] = [100, 1090];

/// A volume of a single slice: air with a bright square.
pub(crate) fn slice() -> Volume<i16> {
    let [ni, nj, _] = SIZE;
    let size = [ni, nj, 1];
    let geometry = Geometry::new(size, [0.7, 0.7, 0.3], [-180.0, -170.0, -300.0], Geometry::AXIAL);
    let value = |(_, j, i)| if is_nodule(i, j) { 40 } else { (i % 16 + j % 16) as i16 - 900 };
    Volume::new(geometry.unwrap(), Array3::from_shape_fn((1, nj, ni), value)).unwrap()
}

fn is_nodule(i: usize, j: usize) -> bool {
    (250..262).contains(&i) && (300..310).contains(&j)
}

/// Writes `NAME.mhd` with all voxels in one zlib stream.
pub(crate) fn write_zraw(folder: &Path, name: &str) {
    let [ni, nj, nk] = SIZE;
    let header = format!(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n\
         CompressedData = True\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = -180 -170 -300\n\
         ElementSpacing = 0.7 0.7 0.3\nDimSize = {ni} {nj} {nk}\nElementType = MET_SHORT\n\
         ElementDataFile = {name}.zraw\n"
    );
    fs::write(folder.join(format!("{name}.mhd")), header).unwrap();
    let bytes: Vec<u8> = slice().voxels().iter().flat_map(|value| value.to_le_bytes()).collect();
    let file = fs::File::create(folder.join(format!("{name}.zraw"))).unwrap();
    let mut encoder = ZlibEncoder::new(file, Compression::fast());
    for _ in 0..nk {
        encoder.write_all(&bytes).unwrap();
    }
    encoder.finish().unwrap();
}

/// Writes a `.nii.gz` with 32-bit floating-point voxels.
pub(crate) fn write_reals(path: &Path) {
    let values = slice();
    let bytes = values.voxels().iter().flat_map(|value| f32::from(*value).to_le_bytes()).collect();
    write_nifti(path, 16, |_| &bytes);
}

/// Writes a `.nii.gz` with 8-bit labels: the nodules are 1 and 2.
pub(crate) fn write_mask(path: &Path) {
    let [ni, nj, _] = SIZE;
    let none = vec![0u8; ni * nj];
    let labels = [1, 2].map(|label| {
        let inside = |n: usize| if is_nodule(n % ni, n / ni) { label } else { 0 };
        (0..ni * nj).map(inside).collect::<Vec<u8>>()
    });
    write_nifti(path, 2, |k| {
        let here = NODULES.iter().position(|first| (*first..first + 5).contains(&k));
        here.map_or(&none, |n| &labels[n])
    });
}

/// Writes each slice as its own gzip stream, and compresses equal slices only once.
fn write_nifti<'a>(path: &Path, datatype: i16, slice_bytes: impl Fn(usize) -> &'a Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let one = folder.path().join("one.nii");
    nifti::write(&one, &slice()).unwrap();
    let mut header = fs::read(one).unwrap();
    header.truncate(352);
    header[46..48].copy_from_slice(&(SIZE[2] as i16).to_le_bytes());
    header[70..72].copy_from_slice(&datatype.to_le_bytes());
    let gzipped = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let mut file = gzipped(&header);
    let mut last: Option<(&Vec<u8>, Vec<u8>)> = None;
    for k in 0..SIZE[2] {
        let bytes = slice_bytes(k);
        let stream = match last.take() {
            Some((before, stream)) if std::ptr::eq(before, bytes) => stream,
            _ => gzipped(bytes),
        };
        file.extend(&stream);
        last = Some((bytes, stream));
    }
    fs::write(path, file).unwrap();
}

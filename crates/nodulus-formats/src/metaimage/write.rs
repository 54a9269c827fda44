//! Writes a volume as a MetaImage.

use crate::volume::Volume;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use fs_err as fs;
use std::io::{self, Write};
use std::path::Path;

/// Writes a header at `path` and its voxels: after the header where the name ends with `.mha`, otherwise beside it
/// under the same name with `.raw`, or with `.zraw` if compressed. The same volume gives the same bytes.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn write(path: &Path, volume: &Volume<i16>, compressed: bool) -> io::Result<()> {
    let raw: Vec<u8> = volume.voxels().iter().flat_map(|v| v.to_le_bytes()).collect();
    let data = if compressed {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&raw)?;
        encoder.finish()?
    } else {
        raw
    };
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mha")) {
        let mut bytes = header(volume, compressed.then_some(data.len()), "LOCAL").into_bytes();
        bytes.extend(data);
        return fs::write(path, bytes);
    }
    let data_path = path.with_extension(if compressed { "zraw" } else { "raw" });
    fs::write(&data_path, &data)?;
    let name = data_path.file_name().unwrap_or_default().to_string_lossy();
    fs::write(path, header(volume, compressed.then_some(data.len()), &name))
}

/// The header for voxels in the file `data`, with the size of their zlib stream if compressed.
fn header(volume: &Volume<i16>, compressed: Option<usize>, data: &str) -> String {
    let geometry = volume.geometry();
    let d = geometry.direction();
    let rows: [f64; 9] = std::array::from_fn(|n| d[n % 3 * 3 + n / 3]);
    let compression = compressed.map_or("CompressedData = False".to_owned(), |size| {
        format!("CompressedData = True\nCompressedDataSize = {size}")
    });
    format!(
        "ObjectType = Image\n\
         NDims = 3\n\
         BinaryData = True\n\
         BinaryDataByteOrderMSB = False\n\
         {compression}\n\
         TransformMatrix = {}\n\
         Offset = {}\n\
         CenterOfRotation = 0 0 0\n\
         AnatomicalOrientation = RAI\n\
         ElementSpacing = {}\n\
         DimSize = {}\n\
         ElementType = MET_SHORT\n\
         ElementDataFile = {data}\n",
        joined(&rows),
        joined(&geometry.origin_mm()),
        joined(&geometry.spacing().ijk()),
        joined(&geometry.size()),
    )
}

fn joined<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

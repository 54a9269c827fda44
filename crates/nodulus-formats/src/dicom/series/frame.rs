//! Reads the voxels of one slice.

use super::pixels::{self, PixelFaults};
use super::slice::SliceHeader;
use crate::dicom::element::deflated::Inflated;
use crate::dicom::element::fragments;
use crate::dicom::element::syntax::Packing;
use crate::dicom::error::{Error, Problem};
use nodulus_faults::fs::File;
use std::borrow::Cow;
use std::io::{BufReader, Read, Seek, SeekFrom};

/// Reads a slice in HU. `raw` is a buffer that is reused.
pub(crate) fn read(
    slice: &SliceHeader,
    raw: &mut Vec<u8>,
    hu: &mut [i16],
) -> Result<PixelFaults, Error> {
    let mut file = File::open(&slice.file)?;
    load(slice, &mut file, raw, hu.len())
        .and_then(|()| pixels::decode(raw, &slice.pixels, slice.size[0], hu))
        .map_err(|problem| Error::file(&slice.name(), problem))
}

/// Loads two bytes for each voxel into `raw`.
fn load(
    slice: &SliceHeader,
    file: &mut File,
    raw: &mut Vec<u8>,
    n_voxels: usize,
) -> Result<(), Problem> {
    let format = &slice.pixels;
    match format.packing {
        Packing::Plain => {
            file.seek(SeekFrom::Start(slice.location.offset))?;
            raw.resize(2 * n_voxels, 0);
            file.read_exact(raw)?;
        }
        Packing::Deflated => {
            file.seek(SeekFrom::Start(format.data_set))?;
            let mut inflated = Inflated::new(BufReader::new(file));
            inflated.seek(SeekFrom::Start(slice.location.offset))?;
            raw.resize(2 * n_voxels, 0);
            inflated.read_exact(raw)?;
        }
        Packing::Encapsulated(codec) => {
            let mut bytes = Vec::new();
            let frame = if slice.location.fragments.is_empty() {
                file.seek(SeekFrom::Start(slice.location.offset))?;
                file.read_to_end(&mut bytes)?;
                fragments::frame(&bytes, slice.location.offset)?
            } else {
                for fragment in &slice.location.fragments {
                    file.seek(SeekFrom::Start(fragment.offset))?;
                    file.by_ref().take(fragment.length).read_to_end(&mut bytes)?;
                }
                Cow::Owned(bytes)
            };
            let expected = dicom_codecs::PixelLayout {
                columns: slice.size[0],
                rows: slice.size[1],
                bits_allocated: format.bits_allocated,
                high_bit: format.high_bit,
                signed: format.signed,
            };
            let mut words = vec![0; n_voxels];
            dicom_codecs::decode(codec, &frame, &expected, &mut words)?;
            raw.clear();
            raw.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
    }
    Ok(())
}

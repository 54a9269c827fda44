//! Files of a series to a volume.

use super::header::{self, Slice};
use super::stack::{self, Stack};
use super::{Error, pixels};
use crate::volume::{Geometry, Volume};
use fs_err::File;
use ndarray::Array3;
use rayon::prelude::*;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What a series' headers say; where slices differ, the one at k = 0.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    /// DICOM `SeriesInstanceUID`.
    pub series_instance_uid: String,
    /// DICOM `StudyInstanceUID`.
    pub study_instance_uid: String,
    /// DICOM `PatientID`, may be empty.
    pub patient_id: String,
    /// Greatest DICOM `SliceThickness` of the slices, which is not the spacing.
    pub slice_thickness_mm: Option<f64>,
    /// Largest deviation of a slice gap from the spacing along k.
    pub slice_gap_max_deviation_mm: f64,
    /// Slices that the spacing leaves room for and no file fills: 0, as such a series is refused.
    pub n_missing_slices: usize,
    /// Identical slices at one position that were left out.
    pub n_duplicate_slices: usize,
    /// DICOM `Manufacturer`.
    pub manufacturer: Option<String>,
    /// DICOM `ManufacturerModelName`.
    pub model: Option<String>,
    /// DICOM `ConvolutionKernel`, several joined by `\`.
    pub kernel: Option<String>,
    /// DICOM `KVP`, kV.
    pub kvp: Option<f64>,
    /// DICOM `XRayTubeCurrent`, mA.
    pub tube_current: Option<f64>,
    /// UID of the transfer syntax.
    pub transfer_syntax: String,
}

/// A CT series.
#[derive(Clone, Debug)]
pub struct CtSeries {
    /// What its headers say.
    pub info: SeriesInfo,
    /// Hounsfield units; what `PixelPaddingValue` marks is rescaled like any other voxel.
    pub volume: Volume<i16>,
    /// DICOM `SOPInstanceUID` of each slice, in the order of k.
    pub sop_instance_uids: Vec<String>,
}

/// Reads the files of one CT series, given in any order.
///
/// Slices are ordered by `ImagePositionPatient` along their normal, i × j; i is the direction of a
/// row, j that of a column, k ascends along the normal. The spacing along k is the median gap.
/// Localizers are passed over; a slice that repeats another, voxel for voxel, is left out and
/// counted. Headers are read first, then pixels straight into the volume: at most one slice a thread
/// is held beside it.
///
/// # Errors
///
/// Fails if there is no slice; if a file is not a single-frame CT Image Storage in an uncompressed
/// transfer syntax, is cut off or malformed, or lacks an attribute; if slices differ in series,
/// study, patient, frame of reference, size, spacing or orientation; if they are missing, unevenly
/// spaced, or shifted sideways (a tilted gantry); if two at one position differ; if a single slice
/// has no `SpacingBetweenSlices`; or if a value does not fit into 16 bits.
pub fn read_series(files: &[PathBuf]) -> Result<CtSeries, Error> {
    let headers: Vec<_> = files.par_iter().map(|file| header::read(file)).collect();
    let mut slices = Vec::new();
    for header in headers {
        slices.extend(header?);
    }
    if slices.is_empty() {
        let folder = files.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
        return Err(Error::NoSlices { n_files: files.len(), folder: folder.to_owned() });
    }
    let stack = stack::stack(&slices)?;
    let voxels = read_voxels(&stack)?;
    check_duplicates(&stack, &voxels)?;
    let info = info(&stack);
    let sop_instance_uids = stack.slices.iter().map(|s| s.sop_instance_uid.clone()).collect();
    Ok(CtSeries { info, volume: volume(stack.geometry, voxels), sop_instance_uids })
}

/// Voxels of all slices, k, j, i.
fn read_voxels(stack: &Stack<'_>) -> Result<Vec<i16>, Error> {
    let [columns, rows, _] = stack.geometry.size();
    // Every slice's pixels were seen to be in its file, so that this is not more than was read.
    let mut voxels = vec![0i16; stack.geometry.n_voxels()];
    let results: Vec<_> = voxels
        .par_chunks_mut(columns * rows)
        .zip(&stack.slices)
        .map_init(Vec::new, |raw, (hu, slice)| read_pixels(slice, raw, hu))
        .collect();
    results.into_iter().collect::<Result<(), _>>()?;
    Ok(voxels)
}

fn read_pixels(slice: &Slice, raw: &mut Vec<u8>, hu: &mut [i16]) -> Result<(), Error> {
    let mut file = File::open(&slice.file)?;
    file.seek(SeekFrom::Start(slice.pixels.offset))?;
    raw.resize(2 * hu.len(), 0);
    file.read_exact(raw)?;
    pixels::decode(raw, &slice.pixels, slice.size[0], hu)
        .map_err(|problem| Error::file(&slice.file, problem))
}

/// Refuses a slice that lies where another does and is not the same.
fn check_duplicates(stack: &Stack<'_>, voxels: &[i16]) -> Result<(), Error> {
    let [columns, rows, _] = stack.geometry.size();
    let (mut raw, mut hu) = (Vec::new(), vec![0; columns * rows]);
    for &(slice, k) in &stack.duplicates {
        read_pixels(slice, &mut raw, &mut hu)?;
        if voxels[k * hu.len()..][..hu.len()] != hu[..] {
            let position_mm = stack.geometry.axis(2).iter().zip(slice.position_mm);
            return Err(Error::Conflict {
                file: stack.slices[k].file.clone(),
                other: slice.file.clone(),
                position_mm: position_mm.map(|(a, b)| a * b).sum(),
            });
        }
    }
    Ok(())
}

fn info(stack: &Stack<'_>) -> SeriesInfo {
    let slice = stack.slices[0];
    let thickness = stack.slices.iter().filter_map(|slice| slice.slice_thickness_mm);
    SeriesInfo {
        series_instance_uid: slice.series_instance_uid.clone(),
        study_instance_uid: slice.study_instance_uid.clone(),
        patient_id: slice.patient_id.clone(),
        slice_thickness_mm: thickness.reduce(f64::max),
        slice_gap_max_deviation_mm: stack.gap_max_deviation_mm,
        n_missing_slices: 0,
        n_duplicate_slices: stack.duplicates.len(),
        manufacturer: slice.manufacturer.clone(),
        model: slice.model.clone(),
        kernel: slice.kernel.clone(),
        kvp: slice.kvp,
        tube_current: slice.tube_current,
        transfer_syntax: slice.transfer_syntax.clone(),
    }
}

fn volume(geometry: Geometry, voxels: Vec<i16>) -> Volume<i16> {
    let [columns, rows, n_slices] = geometry.size();
    let voxels = Array3::from_shape_vec((n_slices, rows, columns), voxels)
        .expect("as many voxels as the geometry has");
    Volume::new(geometry, voxels).expect("the geometry's own shape")
}

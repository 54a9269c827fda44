//! Reads the scans of a case.

use super::case_files::CaseFiles;
use super::error::Error;
use crate::repair::Repairs;
use crate::volume::{LoadedSlices, SliceRanges, Volume};
use crate::{dicom, image_file};

/// A scan that was read from its files.
#[derive(Debug)]
pub struct LoadedScan {
    /// The series UID: from the header, from the file's name, or made from the voxels.
    pub series_instance_uid: String,
    /// The header, if the format has one.
    pub info: Option<dicom::SeriesInfo>,
    /// Hounsfield units.
    pub volume: Volume<i16>,
    /// What was put right in an image file.
    pub repairs: Repairs,
}

/// Reads the scans of a case (an image file, or every CT series of a folder or archive) and collects the results of
/// `each`. One scan is in memory at a time.
///
/// # Errors
///
/// Fails if there is no scan. A scan that cannot be read is passed to `each` as an error.
pub fn read_scans<R>(
    files: &CaseFiles,
    tolerances: &dicom::Tolerances,
    mut each: impl FnMut(Result<LoadedScan, Error>) -> R,
) -> Result<Vec<R>, Error> {
    if files.is_image_file() {
        let (volume, repairs) =
            image_file::read_with_repairs(&files.path, &tolerances.image_files)?;
        let series_instance_uid = image_file::series_uid(&files.path, &volume);
        let scan = LoadedScan { series_instance_uid, info: None, volume, repairs };
        return Ok(vec![each(Ok(scan))]);
    }
    let named = |error| files.named(error);
    let series = dicom::find_series(&files.dicom).map_err(named)?;
    if series.is_empty() {
        let kinds = dicom::file_kinds(&files.dicom).map_err(named)?;
        return Err(Error::NoSeries { path: files.path.clone(), kinds });
    }
    let read = |slices: dicom::SeriesFiles| {
        let series = dicom::read_series(&slices.files, tolerances).map_err(named)?;
        let dicom::CtSeries { info, volume, .. } = series;
        Ok(LoadedScan {
            series_instance_uid: info.series_instance_uid.clone(),
            info: Some(info),
            volume,
            repairs: Repairs::default(),
        })
    };
    Ok(series.into_iter().map(|slices| each(read(slices))).collect())
}

/// Reads some slices of one scan of a case: of an image file, or of a series in a folder or archive, whatever else
/// there cannot be read. `None` if the series is not there. Each format documents what it then does not check.
///
/// # Errors
///
/// Fails if the scan cannot be read.
pub fn read_slices(
    files: &CaseFiles,
    tolerances: &dicom::Tolerances,
    series_instance_uid: &str,
    wanted: &SliceRanges,
) -> Result<Option<LoadedSlices<i16>>, Error> {
    if files.is_image_file() {
        return Ok(Some(image_file::read_slices(&files.path, wanted, &tolerances.image_files)?));
    }
    let slices = dicom::files_of_series(&files.dicom, series_instance_uid);
    if slices.is_empty() {
        return Ok(None);
    }
    let loaded = dicom::read_slices(&slices, tolerances, wanted);
    Ok(Some(loaded.map_err(|error| files.named(error))?))
}

//! Reads the scans of a case.

use super::case_files::CaseFiles;
use super::error::Error;
use crate::dicom::{Irregularity, PassedOver, SeriesListing, UnreadableSeries};
use crate::repair::Repairs;
use crate::volume::{ImageFacts, LoadedSlices, SliceRanges};
use crate::{dicom, image_file};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A scan whose voxels were read, and not kept.
#[derive(Debug)]
pub struct ScanFacts {
    /// The series UID: from the header, from the file's name, or made from the voxels.
    pub series_instance_uid: String,
    /// The header, if the format has one.
    pub info: Option<dicom::SeriesInfo>,
    /// What the voxels are.
    pub image: ImageFacts,
    /// What was put right in an image file.
    pub repairs: Repairs,
}

/// What the files of a case hold.
#[derive(Debug)]
pub struct CaseScans<R> {
    /// What `each` made of the scans, in the order of their series.
    pub scans: Vec<R>,
    /// Files that are left aside.
    pub passed_over: Vec<PassedOver>,
    /// DICOM files that cannot be read as far as their series. They may be slices of any scan.
    pub damaged: Vec<dicom::Error>,
}

/// Reads the scans of a case (an image file, or every CT series of a folder or archive) and collects the results of
/// `each`. Of a DICOM series, each thread holds one slice; an image file is in memory.
///
/// # Errors
///
/// Fails if there is no scan, and no damaged file that could be one. A scan that cannot be read is passed to `each` as an
/// error.
pub fn read_scans<R>(
    files: &CaseFiles,
    tolerances: &dicom::Tolerances,
    mut each: impl FnMut(Result<ScanFacts, Error>) -> R,
) -> Result<CaseScans<R>, Error> {
    if files.is_image_file() {
        let (volume, repairs) =
            image_file::read_with_repairs(&files.path, &tolerances.image_files)?;
        let series_instance_uid = image_file::series_uid(&files.path, &volume);
        let image = ImageFacts::of(&volume);
        let scan = ScanFacts { series_instance_uid, info: None, image, repairs };
        let scans = vec![each(Ok(scan))];
        return Ok(CaseScans { scans, passed_over: Vec::new(), damaged: Vec::new() });
    }
    let named = |error| files.named(error);
    let listing = dicom::list_series(&files.dicom, &files.beside);
    let SeriesListing { series, mut passed_over, damaged, mut incomplete, announced } = listing;
    if series.is_empty() && damaged.is_empty() {
        return Err(Error::no_series(files, passed_over));
    }
    let others = passed_over.iter().filter(|other| other.may_be_slice()).map(|other| &other.path);
    let unreadable = others.chain(damaged.iter().filter_map(dicom::Error::of_file));
    let unreadable: Vec<PathBuf> = unreadable.cloned().collect();
    let mut scans = Vec::new();
    for slices in series {
        let loaded = match dicom::read_facts(&slices.files, tolerances) {
            // All of them are set aside.
            Err(dicom::Error::NoSlices { aside, .. }) if !aside.is_empty() => {
                passed_over.extend(aside);
                continue;
            }
            Err(error @ dicom::Error::File { .. }) => {
                Err(Error::from(UnreadableSeries::new(error, &slices.files, named)))
            }
            Err(error) => Err(Error::from(named(error))),
            Ok(dicom::CtFacts { mut info, image, aside }) => {
                if let Some(error) = incomplete.remove(&info.series_instance_uid) {
                    passed_over.extend(aside);
                    scans.push(each(Err(Error::from(named(error)))));
                    continue;
                }
                let folders: BTreeSet<_> = slices.files.iter().map(|file| file.parent()).collect();
                let beside = unreadable.iter().filter(|file| folders.contains(&file.parent()));
                info.irregularities.add(Irregularity::UnreadableFiles, beside.count());
                if let Some(n) = announced.get(&info.series_instance_uid) {
                    let n_found = image.geometry.size()[2].max(slices.files.len() + aside.len());
                    let n_missing = n.saturating_sub(n_found);
                    info.irregularities.add(Irregularity::AnnouncedImages, n_missing);
                }
                passed_over.extend(aside);
                let series_instance_uid = info.series_instance_uid.clone();
                let repairs = Repairs::default();
                Ok(ScanFacts { series_instance_uid, info: Some(info), image, repairs })
            }
        };
        scans.push(each(loaded));
    }
    for other in &mut passed_over {
        other.path = files.name(&other.path);
    }
    let damaged = damaged.into_iter().map(named).collect();
    Ok(CaseScans { scans, passed_over, damaged })
}

/// What the headers of a case's DICOM series say, without what only voxels tell. Series that cannot be read or may lack a
/// slice, and image files, whose headers name no series, are left out.
pub fn read_headers(files: &CaseFiles, tolerances: &dicom::Tolerances) -> Vec<ScanFacts> {
    let listing = dicom::list_series(&files.dicom, &files.beside);
    let open = |slices: &dicom::SeriesFiles| {
        let dicom::OpenSeries { info, geometry, .. } =
            dicom::OpenSeries::open(&slices.files, tolerances).ok()?;
        let series_instance_uid = info.series_instance_uid.clone();
        let image = ImageFacts { geometry, hu_range: None, sha256: None };
        Some(ScanFacts {
            series_instance_uid,
            info: Some(info),
            image,
            repairs: Repairs::default(),
        })
    };
    let is_whole = |slices: &&dicom::SeriesFiles| {
        !listing.incomplete.contains_key(&slices.series_instance_uid)
    };
    listing.series.iter().filter(is_whole).filter_map(open).collect()
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
    let slices = slices.map_err(|error| files.named(error))?;
    if slices.is_empty() {
        return Ok(None);
    }
    let loaded = dicom::read_slices(&slices, tolerances, wanted);
    Ok(Some(loaded.map_err(|error| files.named(error))?))
}

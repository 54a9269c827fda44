//! Finds the CT series among files.

use super::announced::AnnouncedInstances;
use super::lost_slices::{UnreadableFile, lost_slices};
use super::sop_class::{self, SopClass};
use crate::dicom::element::elements;
use crate::dicom::element::values;
use crate::dicom::error::{Error, Problem, attribute_name};
use crate::dicom::passed_over::{PassedOver, PassedOverRule};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use nodulus_faults::fs::File;
use nodulus_faults::{FaultClass, quoted};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// The files of a CT series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesFiles {
    /// The series.
    pub series_instance_uid: String,
    /// Its files, in the given order.
    pub files: Vec<PathBuf>,
}

/// What a file is that says neither its modality nor its class.
pub(crate) const WITHOUT_MODALITY: &str = "a DICOM file without Modality";

/// In the order of the tags, as reading ends after the last one.
const WANTED: [Tag; 4] =
    [tags::IMAGE_TYPE, tags::SOP_CLASS_UID, tags::MODALITY, tags::SERIES_INSTANCE_UID];

/// The CT series among files, and what the other files are.
#[derive(Debug, Default)]
pub struct SeriesListing {
    /// The series, sorted by UID.
    pub series: Vec<SeriesFiles>,
    /// Files that are left aside, in the given order.
    pub passed_over: Vec<PassedOver>,
    /// DICOM files that cannot be read as far as their series.
    pub damaged: Vec<Error>,
    /// The series, by UID, that may lack a slice, with the error that says so.
    pub incomplete: BTreeMap<String, Error>,
    /// The number of images of its acquisition that a series, by UID, announces, if it has fewer files.
    pub announced: BTreeMap<String, usize>,
}

/// Lists the CT series among files.
///
/// Left aside are other modalities, localizers, files that are not DICOM, empty or zeros alone, and files of modality CT that are not
/// slices by their SOP class (secondary captures, reports, presentation states, ...) or have an unknown class and no pixels.
/// Slices that cannot be read for other reasons, such as their compression, are listed: reading them reports why.
///
/// `beside` is what lies beside the files and cannot be opened, such as links that lead nowhere: it may be slices.
pub fn list_series(files: &[PathBuf], beside: &[PassedOver]) -> SeriesListing {
    let mut listing = SeriesListing::default();
    let mut series: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut unreadable: Vec<_> = beside.iter().filter_map(UnreadableFile::of_no_file).collect();
    for (file, content) in files.iter().zip(contents_of_each(files)) {
        unreadable.extend(UnreadableFile::of(file, &content));
        match content {
            Ok(FileContent::Slice(uid)) => series.entry(uid).or_default().push(file.clone()),
            Ok(FileContent::Other(passed_over)) => listing.passed_over.push(passed_over),
            Err(error) => listing.damaged.push(error),
        }
    }
    let named = |(series_instance_uid, files)| SeriesFiles { series_instance_uid, files };
    listing.series = series.into_iter().map(named).collect();
    listing.incomplete = lost_slices(&listing.series, &unreadable);
    compare_with_announced(&mut listing);
    listing
}

/// Compares the number of files of each series with what it announces.
///
/// METHOD: `NumberOfSeriesRelatedInstances` counts every instance of the series, localizers too: with fewer files, the series
/// lacks some. `ImagesInAcquisition` counts the images of an acquisition, which may be in several series.
fn compare_with_announced(listing: &mut SeriesListing) {
    for series in &listing.series {
        let Some(first) = series.files.first() else { continue };
        // A fault of the machine shows again when the slices are read.
        let announced = AnnouncedInstances::read(first).unwrap_or_default();
        let uid = &series.series_instance_uid;
        let is_own = |other: &&PassedOver| other.series_instance_uid.as_ref() == Some(uid);
        let n_files = series.files.len() + listing.passed_over.iter().filter(is_own).count();
        if let Some(n_announced) = announced.of_series.filter(|n| *n > n_files) {
            let series_instance_uid = uid.clone();
            let error = Error::FewerThanAnnounced { series_instance_uid, n_files, n_announced };
            listing.incomplete.entry(uid.clone()).or_insert(error);
        }
        if let Some(n) = announced.of_acquisition.filter(|n| *n > n_files) {
            listing.announced.insert(uid.clone(), n);
        }
    }
}

/// The series of [`list_series`], for files that are all expected to be readable.
///
/// # Errors
///
/// Fails if a DICOM file is truncated or malformed before its series, or a file named `.dcm` is not DICOM.
pub fn find_series(files: &[PathBuf]) -> Result<Vec<SeriesFiles>, Error> {
    let listing = list_series(files, &[]);
    if let Some(error) = listing.damaged.into_iter().next() {
        return Err(error);
    }
    match listing.passed_over.iter().find(|other| other.is_misnamed()) {
        Some(other) => Err(other.unreadable()),
        None => Ok(listing.series),
    }
}

/// The files of one CT series, as [`list_series`] lists them.
///
/// # Errors
///
/// Fails if the machine is at fault that a file cannot be read, as it may be a slice of the series; a damaged file is left
/// out.
pub fn files_of_series(
    files: &[PathBuf],
    series_instance_uid: &str,
) -> Result<Vec<PathBuf>, Error> {
    let mut own = Vec::new();
    for (file, content) in files.iter().zip(contents_of_each(files)) {
        match content {
            Ok(FileContent::Slice(uid)) if uid == series_instance_uid => own.push(file.clone()),
            Err(error) if FaultClass::of(&error) == FaultClass::Machine => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(own)
}

/// The UIDs of the CT series among files, as [`list_series`] lists them.
pub fn series_uids(files: &[PathBuf]) -> BTreeSet<String> {
    let uid = |content| match content {
        Ok(FileContent::Slice(uid)) => Some(uid),
        Ok(FileContent::Other(_)) | Err(_) => None,
    };
    contents_of_each(files).into_iter().filter_map(uid).collect()
}

/// What each file is to a CT series, as [`list_series`] lists them. A file that fails is damaged.
pub fn contents_of_each(files: &[PathBuf]) -> Vec<Result<FileContent, Error>> {
    files.par_iter().map(|file| content_of(file)).collect()
}

/// What a file is to a CT series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// A slice, or several, of this series.
    Slice(String),
    /// Something else.
    Other(PassedOver),
}

fn content_of(file: &Path) -> Result<FileContent, Error> {
    let other = |rule, what: String| Ok(FileContent::Other(PassedOver::new(file, rule, what)));
    let Some(header) = SeriesHeader::read(file)? else {
        return match BlankFile::of(file)? {
            BlankFile::Empty => other(PassedOverRule::Empty, "an empty file".to_owned()),
            BlankFile::Zeros => other(PassedOverRule::Empty, "a file of zeros alone".to_owned()),
            BlankFile::No => other(PassedOverRule::NotDicom, "no DICOM file".to_owned()),
        };
    };
    let with_series = |rule, what: String| {
        let series_instance_uid = header.text(file, tags::SERIES_INSTANCE_UID).ok().flatten();
        let other = PassedOver::new(file, rule, what);
        Ok(FileContent::Other(PassedOver { series_instance_uid, ..other }))
    };
    let modality = sop_class::modality(&header.0.values).map_err(|e| Error::file(file, e))?;
    match modality.as_deref() {
        Some(found) if sop_class::is_ct(found) => {}
        None => {
            return with_series(PassedOverRule::OtherModality, WITHOUT_MODALITY.to_owned());
        }
        Some(other) => return with_series(PassedOverRule::OtherModality, other.to_owned()),
    }
    if header.is_localizer() {
        return with_series(PassedOverRule::Localizer, "CT (localizer)".to_owned());
    }
    match header.class() {
        SopClass::NoScan(what) => {
            return with_series(PassedOverRule::NoImage, format!("CT ({what})"));
        }
        SopClass::Other if !has_pixels(file)? => {
            let class = header.text(file, tags::SOP_CLASS_UID)?.unwrap_or_default();
            // A reason of the nightly job, which repeats no text that may name the patient.
            let is_uid = quoted::is_recognisable_uid(&class);
            let class = if is_uid { class.as_str() } else { "that is no UID" };
            return with_series(PassedOverRule::NoImage, format!("CT (SOP class {class})"));
        }
        SopClass::Ct | SopClass::MultiFrameCt | SopClass::Other => {}
    }
    let uid = header.text(file, tags::SERIES_INSTANCE_UID)?;
    let missing = || Problem::Missing(attribute_name(tags::SERIES_INSTANCE_UID));
    uid.map(FileContent::Slice).ok_or_else(|| Error::file(file, missing()))
}

/// What a file is that has no content.
enum BlankFile {
    /// It has no byte.
    Empty,
    /// It has zeros alone.
    Zeros,
    /// It has content.
    No,
}

impl BlankFile {
    fn of(file: &Path) -> Result<Self, Error> {
        let mut reader = BufReader::new(File::open(file)?);
        let mut kind = Self::Empty;
        loop {
            let bytes = reader.fill_buf()?;
            let n = bytes.len();
            match n {
                0 => return Ok(kind),
                _ if bytes.iter().any(|byte| *byte != 0) => return Ok(Self::No),
                _ => kind = Self::Zeros,
            }
            reader.consume(n);
        }
    }
}

fn has_pixels(file: &Path) -> Result<bool, Error> {
    let elements = elements::read(file, &[tags::PIXEL_DATA])?;
    Ok(elements.is_some_and(|elements| elements.pixels.is_some()))
}

/// The elements that determine whether a file belongs to a CT series, and to which.
struct SeriesHeader(elements::Elements);

impl SeriesHeader {
    fn read(file: &Path) -> Result<Option<Self>, Error> {
        let Some(found) = elements::read(file, &WANTED)? else { return Ok(None) };
        let is_there = |tag: &Tag| found.values.get(*tag).is_some();
        if [tags::SOP_CLASS_UID, tags::MODALITY].iter().all(is_there) {
            return Ok(Some(Self(found)));
        }
        // Elements may be out of order: the whole file is searched.
        let all: Vec<Tag> = WANTED.into_iter().chain([tags::PIXEL_DATA]).collect();
        Ok(elements::read(file, &all)?.map(Self))
    }

    fn text(&self, file: &Path, tag: Tag) -> Result<Option<String>, Error> {
        values::text(&self.0.values, tag).map_err(|problem| Error::file(file, problem))
    }

    fn is_localizer(&self) -> bool {
        sop_class::is_localizer(&self.0.values, tags::IMAGE_TYPE)
    }

    fn class(&self) -> SopClass {
        let uid = values::text(&self.0.values, tags::SOP_CLASS_UID).ok().flatten();
        sop_class::of(&uid.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::tests::samples;
    use dicom_core::{PrimitiveValue, VR};
    use fs_err as fs;
    use std::path::Path;

    fn set(file: &Path, tag: Tag, vr: VR, value: &str) {
        samples::edit(file, |object| {
            object.put_element(dicom_core::DataElement::new(tag, vr, PrimitiveValue::from(value)));
        });
    }

    #[test]
    fn files_are_listed_by_series_and_others_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let files = samples::write(folder.path(), &samples::volume());
        set(&files[0], tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3");
        set(&files[1], tags::MODALITY, VR::CS, "SEG");
        set(&files[2], tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
        let other = ["notes.xml", "empty"].map(|name| folder.path().join(name));
        for file in &other {
            fs::write(file, "x").unwrap();
        }
        let found = find_series(&[&files[..], &other].concat()).unwrap();
        let series = |uid: &str, at: usize| SeriesFiles {
            series_instance_uid: uid.to_owned(),
            files: vec![files[at].clone()],
        };
        assert_eq!(found, [series("1.2.3", 0), series(samples::SERIES, 3)]);
    }

    #[test]
    fn a_slice_does_not_vanish_unnoticed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find_series(&[]).unwrap(), []);
        assert!(matches!(find_series(&[folder.path().join("none")]), Err(Error::Io(_))));
        let files = samples::write(folder.path(), &samples::volume());
        let bytes = fs::read(&files[1]).unwrap();
        fs::write(&files[1], &bytes[..400]).unwrap();
        let error = find_series(&files).unwrap_err().to_string();
        assert!(error.contains("000002.dcm`: cut off at byte 400"), "{error}");
        fs::write(&files[1], "").unwrap();
        let error = find_series(&files).unwrap_err().to_string();
        assert!(
            error.contains("000002.dcm`: an empty file, expected a DICOM file: copy"),
            "{error}"
        );
        fs::write(&files[1], bytes).unwrap();
        samples::edit(&files[1], |object| {
            object.remove_element(tags::SERIES_INSTANCE_UID);
        });
        let error = find_series(&files).unwrap_err().to_string();
        assert!(
            error.ends_with("000002.dcm`: SeriesInstanceUID (0020,000E) is missing"),
            "{error}"
        );
    }

    #[test]
    fn other_classes_are_skipped_and_unknown_ones_with_pixels_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let files = samples::write(folder.path(), &samples::volume());
        let listed = |files: &[PathBuf]| {
            find_series(files).unwrap().into_iter().map(|found| found.files).collect::<Vec<_>>()
        };
        // Secondary capture, radiation dose report, presentation state.
        for class in ["7", "88.67", "11.1"] {
            let uid = format!("1.2.840.10008.5.1.4.1.1.{class}");
            set(&files[1], tags::SOP_CLASS_UID, VR::UI, &uid);
            assert_eq!(listed(&files), [[0, 2, 3].map(|at| files[at].clone())], "{class}");
        }
        let [other] = &list_series(&files[1..2], &[]).passed_over[..] else { panic!() };
        assert_eq!(other.what, "CT (presentation state)");
        assert_eq!(other.series_instance_uid.as_deref(), Some(samples::SERIES));
        // A manufacturer's own class: with pixels the file would be missed, without pixels it is not an image.
        set(&files[1], tags::SOP_CLASS_UID, VR::UI, "1.3.46.670589.5.0.3.1");
        assert_eq!(listed(&files), std::slice::from_ref(&files));
        let series = crate::dicom::read_series(&files, &crate::dicom::Tolerances::default());
        let error = series.unwrap_err().to_string();
        let expected = "000002.dcm`: SOPClassUID (0008,0016) is 1.3.46.670589.5.0.3.1, expected CT";
        assert!(error.contains(expected), "{error}");
        samples::edit(&files[1], |object| {
            object.remove_element(tags::PIXEL_DATA);
        });
        assert_eq!(listed(&files), [[0, 2, 3].map(|at| files[at].clone())]);
    }
}

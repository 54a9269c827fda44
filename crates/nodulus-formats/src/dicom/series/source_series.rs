//! A CT series, as objects that annotate it refer to it.

use super::slice::SliceHeader;
use super::slice_headers::read_headers;
use crate::dicom::date::shifted_date;
use crate::dicom::element::elements;
use crate::dicom::element::values;
use crate::dicom::error::{Error, Problem, keyword};
use crate::uid;
use crate::volume::Geometry;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A CT series, as objects that annotate it refer to it.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSeries {
    /// Attributes of the patient, study and image that annotating objects repeat; those that the series lacks are
    /// absent.
    pub(crate) texts: BTreeMap<Tag, String>,
    pub(crate) series_instance_uid: String,
    pub(crate) frame_of_reference_uid: Option<String>,
    /// The slices by k.
    pub(crate) slices: Vec<SourceSlice>,
    /// Pixels along i and j.
    pub(crate) size: [usize; 2],
    /// Spacing along i and j.
    pub(crate) spacing_mm: [f64; 2],
    /// Unit vectors of i, then of j.
    pub(crate) orientation: [f64; 6],
    pub(crate) slice_thickness_mm: Option<f64>,
    /// Distance between slices along their normal.
    pub(crate) step_mm: f64,
    /// How the series was de-identified, if it was.
    pub(crate) deidentification: Option<Deidentification>,
}

/// How a series was de-identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deidentification {
    pub(crate) shift_days: i64,
    pub(crate) uids_replaced: bool,
}

/// A slice of a source series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SourceSlice {
    pub(crate) sop_class_uid: String,
    pub(crate) sop_instance_uid: String,
    /// The frame, from 1, in a file with several frames.
    pub(crate) frame: Option<usize>,
    /// Centre of the first pixel, LPS.
    pub(crate) position_mm: [f64; 3],
}

/// Attributes that annotating objects repeat, in the order of their tags.
pub(crate) const REPEATED: [Tag; 16] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_DESCRIPTION,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_ID,
    tags::LOSSY_IMAGE_COMPRESSION,
    tags::LOSSY_IMAGE_COMPRESSION_RATIO,
    tags::LOSSY_IMAGE_COMPRESSION_METHOD,
];

/// Those of them that may have several values (PS3.6).
const SEVERAL_VALUES: [Tag; 2] =
    [tags::LOSSY_IMAGE_COMPRESSION_RATIO, tags::LOSSY_IMAGE_COMPRESSION_METHOD];

impl SourceSeries {
    /// Reads the headers of the files of a series, given in any order. `sop_instance_uids` (in the order of k) and
    /// `geometry` are those of the series as [`read_series`](crate::dicom::read_series) returned it.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read as a CT, or no file has one of the slices.
    pub fn read(
        files: &[PathBuf],
        sop_instance_uids: &[String],
        geometry: &Geometry,
    ) -> Result<Self, Error> {
        let (headers, _) = read_headers(files)?;
        let mut slices: Vec<Option<&SliceHeader>> = vec![None; geometry.size()[2]];
        for header in &headers {
            let k = geometry.patient_to_voxel(header.position_mm)[2].round();
            if !(0.0..slices.len() as f64).contains(&k) {
                continue;
            }
            let k = k as usize;
            // Of slices at one position, the one that was read.
            let own = sop_instance_uids.get(k) == Some(&header.sop_instance_uid);
            let earlier = |kept: &SliceHeader| header.location.number < kept.location.number;
            if own && slices[k].is_none_or(earlier) {
                slices[k] = Some(header);
            }
        }
        let unwritable = |k: usize| {
            let series = headers.first().map(|header| header.series_instance_uid.clone());
            let uid = sop_instance_uids.get(k).map_or("none", String::as_str);
            Error::Unwritable {
                series_instance_uid: series.unwrap_or_default(),
                attribute: "the file of a slice",
                found: format!("none of the {} that were read", files.len()),
                expected: format!("one with SOPInstanceUID {uid} at slice {k}"),
            }
        };
        let slices = slices.into_iter().enumerate();
        let slices: Vec<&SliceHeader> = slices
            .map(|(k, slice)| slice.ok_or_else(|| unwritable(k)))
            .collect::<Result<_, _>>()?;
        let first = *slices.first().ok_or_else(|| unwritable(0))?;
        Ok(Self {
            texts: texts(&first.file)?.0,
            series_instance_uid: first.series_instance_uid.clone(),
            frame_of_reference_uid: first.frame_of_reference_uid.clone(),
            slices: slices.iter().map(|slice| SourceSlice::new(slice)).collect(),
            size: first.size,
            spacing_mm: first.spacing_mm,
            orientation: first.orientation,
            slice_thickness_mm: slices.iter().filter_map(|s| s.thickness_mm).reduce(f64::max),
            step_mm: geometry.spacing().ijk()[2],
            deidentification: None,
        })
    }

    /// `SeriesInstanceUID`.
    pub fn series_instance_uid(&self) -> &str {
        &self.series_instance_uid
    }

    /// `FrameOfReferenceUID`; annotations of a series without one have no position.
    pub fn frame_of_reference_uid(&self) -> Option<&str> {
        self.frame_of_reference_uid.as_deref()
    }

    /// `TrackingUID` of a finding of the series, the same in every object.
    pub fn tracking_uid(&self, tracking_id: &str) -> String {
        let parts = ["tracking", &self.series_instance_uid, tracking_id];
        uid::from_parts(parts.map(str::as_bytes))
    }

    /// `StudyDate` and `StudyTime`; 1 January 1900 without a date, and midnight without a time.
    pub fn study_time(&self) -> [String; 2] {
        let date = self.text(tags::STUDY_DATE);
        if shifted_date(date, 0).is_none() {
            return ["19000101", "000000"].map(str::to_owned);
        }
        let time = self.text(tags::STUDY_TIME).get(..6).unwrap_or_default();
        let is_time = time.len() == 6 && time.bytes().all(|b| b.is_ascii_digit());
        [date, if is_time { time } else { "000000" }].map(str::to_owned)
    }

    pub(crate) fn text(&self, tag: Tag) -> &str {
        self.texts.get(&tag).map_or("", String::as_str)
    }

    /// The position, LPS, of a point on a slice: pixels along i and j from the centre of the first pixel.
    pub(crate) fn on_slice(&self, slice: &SourceSlice, [i, j]: [f64; 2]) -> [f64; 3] {
        let [si, sj] = self.spacing_mm;
        let axes = &self.orientation;
        std::array::from_fn(|a| slice.position_mm[a] + i * si * axes[a] + j * sj * axes[3 + a])
    }

    /// An error that names the series.
    pub(crate) fn unwritable(
        &self,
        attribute: &'static str,
        found: String,
        expected: String,
    ) -> Error {
        let series_instance_uid = self.series_instance_uid.clone();
        Error::Unwritable { series_instance_uid, attribute, found, expected }
    }

    /// The frame of reference, which annotations need.
    pub(crate) fn frame_of_reference(&self) -> Result<&str, Error> {
        self.frame_of_reference_uid().ok_or_else(|| {
            let expected = "a UID, as annotations refer to it".to_owned();
            self.unwritable("FrameOfReferenceUID", "missing".to_owned(), expected)
        })
    }
}

impl SourceSlice {
    fn new(slice: &SliceHeader) -> Self {
        Self {
            sop_class_uid: slice.sop_class_uid.clone(),
            sop_instance_uid: slice.sop_instance_uid.clone(),
            frame: slice.location.number,
            position_mm: slice.position_mm,
        }
    }
}

/// Keywords of the attributes of patient and study that annotating objects leave out although a file has them: their bytes
/// are no characters of its `SpecificCharacterSet`, or they have a backslash and so several values, where the standard has one.
///
/// # Errors
///
/// Fails if the file cannot be read.
pub fn undecoded_attributes(file: &Path) -> Result<Vec<String>, Error> {
    let (_, undecoded) = texts(file)?;
    Ok(undecoded.into_iter().map(keyword).collect())
}

/// Reads the repeated attributes of a file, and which of them are left out.
fn texts(file: &Path) -> Result<(BTreeMap<Tag, String>, Vec<Tag>), Error> {
    let elements = elements::read(file, &REPEATED)?;
    let values = elements.ok_or_else(|| Error::file(file, Problem::NotDicom))?.values;
    let (mut texts, mut undecoded) = (BTreeMap::new(), Vec::new());
    for tag in REPEATED.into_iter().skip(1) {
        match values::text(&values, tag) {
            Ok(Some(text)) if text.contains('\\') && !SEVERAL_VALUES.contains(&tag) => {
                undecoded.push(tag);
            }
            Ok(text) => texts.extend(text.map(|text| (tag, text))),
            Err(_) => undecoded.push(tag),
        }
    }
    Ok((texts, undecoded))
}

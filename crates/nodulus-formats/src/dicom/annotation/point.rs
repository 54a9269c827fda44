//! Points that were marked on a CT.

use super::referenced::ReferencedUids;
use crate::dicom::series::source_series::SourceSeries;
use std::collections::BTreeSet;

/// The points of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointSet {
    /// The CT that the file refers to.
    pub referenced: ReferencedUids,
    /// `SOPInstanceUID` of each image that the file refers to.
    pub instances: BTreeSet<String>,
    /// The points, in the file's order.
    pub points: Vec<Point>,
    /// Other marks, each with the reason why it is not a point.
    pub skipped: Vec<String>,
    /// Findings of a report, and regions with marks, of which no point is read: candidates whose position is not known.
    pub without_point: Vec<String>,
    /// Where nodules were looked for.
    pub examined: Examined,
}

/// Where the maker of a file looked for nodules, so that a file without any says that none was found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Examined {
    /// In this series.
    Series(String),
    /// The file does not tell, for this reason.
    Unknown(String),
}

impl Default for Examined {
    fn default() -> Self {
        Self::Unknown("it references no series".to_owned())
    }
}

impl Examined {
    /// In the series, if it is the only one.
    pub(crate) fn one_of(series: &BTreeSet<String>) -> Self {
        let mut of = series.iter();
        match (of.next(), of.next()) {
            (None, _) => Self::default(),
            (Some(one), None) => Self::Series(one.clone()),
            (Some(_), Some(_)) => Self::Unknown(format!(
                "it references {} series, and does not say which was examined",
                series.len()
            )),
        }
    }
}

/// A point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The part of the file that holds the point: `region 3`, or the path of a content item, `1.4.2`. Free text of
    /// the file may name the patient and is not included.
    pub label: String,
    /// The position.
    pub position: PointPosition,
    /// The code of what it marks, as `value, scheme`, if the file gives one.
    pub finding: Option<String>,
    /// The confidence that the file gives, from 0 to 1 where it is a percentage.
    pub confidence: Option<f64>,
}

/// The position of a point.
///
/// The nightly job hashes the `Debug` form: names of variants and fields must not change.
#[derive(Clone, Debug, PartialEq)]
pub enum PointPosition {
    /// A position in the patient.
    Patient {
        /// The position, LPS.
        point_mm: [f64; 3],
        /// `FrameOfReferenceUID`, if it is given.
        frame_of_reference_uid: Option<String>,
    },
    /// A position on an image.
    Image {
        /// `SOPInstanceUID`.
        sop_instance_uid: String,
        /// The frame of the image, from 1, if it is given.
        frame: Option<usize>,
        /// Pixels along i and j from the centre of the first pixel.
        ij: [f64; 2],
    },
}

impl PointPosition {
    /// The position in the patient, LPS; `None` if it is in another frame of reference or on another image.
    ///
    /// A point without a frame of reference is assumed to be in that of the series.
    pub fn in_patient(&self, series: &SourceSeries) -> Option<[f64; 3]> {
        match self {
            Self::Patient { point_mm, frame_of_reference_uid } => {
                let own = series.frame_of_reference_uid();
                let other = frame_of_reference_uid.as_deref();
                other.is_none_or(|uid| own == Some(uid)).then_some(*point_mm)
            }
            Self::Image { sop_instance_uid, frame, ij } => {
                let slices = series.slices.iter();
                let mut on = slices.filter(|slice| slice.sop_instance_uid == *sop_instance_uid);
                let slice = match frame {
                    // In a file with one image, the first frame is that image.
                    Some(frame) => on.find(|slice| slice.frame.unwrap_or(1) == *frame)?,
                    None => on.next().filter(|slice| slice.frame.is_none())?,
                };
                Some(series.on_slice(slice, *ij))
            }
        }
    }
}

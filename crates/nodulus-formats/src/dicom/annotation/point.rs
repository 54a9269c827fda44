//! PointSet that were set on a CT.

use super::referenced::ReferencedUids;
use crate::dicom::series::source_series::SourceSeries;
use std::collections::BTreeSet;

/// PointSet of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointSet {
    /// The CT that they were set on, as far as the file says.
    pub referenced: ReferencedUids,
    /// `SOPInstanceUID` of each image that the file names.
    pub instances: BTreeSet<String>,
    /// The points, in the file's order.
    pub points: Vec<Point>,
    /// What else is marked, and why it is no point.
    pub skipped: Vec<String>,
}

/// A point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Where in the file it is: `region 3`, or the positions of content items `1.4.2`. Free text of
    /// the file, which may name the patient, is not taken over.
    pub label: String,
    /// Where it is.
    pub position: PointPosition,
    /// What it marks by the file's coding, as `value, scheme`, where it says so.
    pub finding: Option<String>,
    /// How sure the file is of it, 0 to 1 where it gives percent.
    pub confidence: Option<f64>,
}

/// Where a point is.
#[derive(Clone, Debug, PartialEq)]
pub enum PointPosition {
    /// In the patient.
    Patient {
        /// LPS.
        point_mm: [f64; 3],
        /// `FrameOfReferenceUID`, where it is given.
        frame_of_reference_uid: Option<String>,
    },
    /// On an image.
    Image {
        /// `SOPInstanceUID`.
        sop_instance_uid: String,
        /// Its frame, from 1, where it is given.
        frame: Option<usize>,
        /// Pixels along i and j from the centre of the first one.
        ij: [f64; 2],
    },
}

impl PointPosition {
    /// Where it is, LPS; `None` where it is in another frame of reference or on another image.
    ///
    /// A point without a frame of reference is taken to be in the series'.
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
                    // Of a file of one image, the first frame is that image.
                    Some(frame) => on.find(|slice| slice.frame.unwrap_or(1) == *frame)?,
                    None => on.next().filter(|slice| slice.frame.is_none())?,
                };
                Some(series.on_slice(slice, *ij))
            }
        }
    }
}

//! Points that a detector or a radiologist set on a CT: RTSTRUCT, and structured reports.

use super::drawn::Referenced;
use super::nested::{Whole, required};
use super::source_series::SourceSeries;
use super::structure_set::{PatientContour, Roi};
use super::{Error, Problem, elements, header, report, structure_set};
use dicom_dictionary_std::{tags, uids};
use std::collections::BTreeSet;
use std::path::Path;

/// Structure sets, and the reports whose points are read.
const CLASSES: [&str; 6] = [
    uids::RT_STRUCTURE_SET_STORAGE,
    uids::ENHANCED_SR_STORAGE,
    uids::COMPREHENSIVE_SR_STORAGE,
    uids::COMPREHENSIVE3_DSR_STORAGE,
    uids::EXTENSIBLE_SR_STORAGE,
    uids::CHEST_CADSR_STORAGE,
];

/// Points of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// The CT that they were set on, as far as the file says.
    pub referenced: Referenced,
    /// `SOPInstanceUID` of each image that the file names.
    pub instances: BTreeSet<String>,
    /// The points, in the file's order.
    pub points: Vec<Point>,
    /// What else is marked, and why it is no point.
    pub unread: Vec<String>,
}

/// A point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Where in the file it is: `region 3`, or the positions of content items `1.4.2`. Free text of
    /// the file, which may name the patient, is not taken over.
    pub label: String,
    /// Where it is.
    pub place: Place,
    /// What it marks by the file's coding, as `value, scheme`, where it says so.
    pub finding: Option<String>,
    /// How sure the file is of it, 0 to 1 where it gives percent.
    pub score: Option<f64>,
}

/// Where a point is.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
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

/// Reads the points of a structure set or of a structured report.
///
/// METHOD: of a structure set, each contour of type POINT is a point, and each region with closed
/// contours is one: the mean of their centroids, weighted by area. Of a report, each POINT of
/// SCOORD3D or SCOORD is one that is an item of a container or a finding; one that a measurement
/// was inferred from is not. What is marked otherwise is listed as unread.
///
/// # Errors
///
/// Fails if the file cannot be read, is neither of them in a transfer syntax that is read, is cut
/// off or malformed, or lacks an attribute that a point needs.
pub fn read_points(file: &Path) -> Result<Points, Error> {
    let whole = Whole::read(file)?;
    parse(&whole).map_err(|problem| Error::file(file, problem))
}

/// Whether a file is one that [`read_points`] reads, by its SOP class; false where it cannot be read.
pub fn may_hold_points(file: &Path) -> bool {
    let elements = elements::read(file, &[tags::SOP_CLASS_UID]).ok().flatten();
    let class = elements.and_then(|e| header::text(&e.values, tags::SOP_CLASS_UID).ok().flatten());
    class.is_some_and(|class| CLASSES.contains(&class.as_str()))
}

pub(super) fn parse(whole: &Whole) -> Result<Points, Problem> {
    let wanted = [tags::SOP_CLASS_UID];
    let data = whole.data_set(&wanted)?;
    match required(data.ascii(tags::SOP_CLASS_UID)?, tags::SOP_CLASS_UID)? {
        uids::RT_STRUCTURE_SET_STORAGE => {
            let set = structure_set::parse(whole)?;
            let mut found = Points { referenced: set.referenced, ..Points::default() };
            for roi in &set.rois {
                add_region(&mut found, roi);
            }
            Ok(found)
        }
        class if CLASSES.contains(&class) => report::parse(whole),
        other => {
            let expected = "RT Structure Set, Enhanced, Comprehensive, Comprehensive 3D or Extensible SR, \
                            or Chest CAD SR Storage";
            Err(Problem::value(tags::SOP_CLASS_UID, other, expected))
        }
    }
}

impl Place {
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

fn add_region(found: &mut Points, roi: &Roi) {
    let label = format!("region {}", roi.number);
    let mut add = |point_mm| {
        let frame_of_reference_uid = roi.frame_of_reference_uid.clone();
        let place = Place::Patient { point_mm, frame_of_reference_uid };
        found.points.push(Point { label: label.clone(), place, finding: None, score: None });
    };
    let mut closed: Vec<&PatientContour> = Vec::new();
    let mut unread = Vec::new();
    for contour in &roi.contours {
        match (contour.geometric_type.as_str(), &contour.points_mm[..]) {
            ("POINT", [point_mm]) => add(*point_mm),
            ("CLOSED_PLANAR" | "CLOSEDPLANAR_XOR", _) => closed.push(contour),
            (other, points) => {
                unread.push(format!(
                    "{label} has a contour of type {other} with {} points",
                    points.len()
                ));
            }
        }
    }
    if let Some(point_mm) = centroid(&closed) {
        add(point_mm);
    }
    if roi.contours.is_empty() {
        unread.push(format!("{label} has no contour"));
    }
    found.unread.extend(unread);
}

/// The mean of the centroids of closed lines, weighted by area; of their points, where none has an
/// area.
fn centroid(contours: &[&PatientContour]) -> Option<[f64; 3]> {
    let mut sum = [0.0; 4];
    for contour in contours {
        let Some(first) = contour.points_mm.first() else { continue };
        let from_first =
            |point: &[f64; 3]| -> [f64; 3] { std::array::from_fn(|a| point[a] - first[a]) };
        // The area's vector, so that a line may lie in any plane.
        let triangles = contour.points_mm.windows(2).map(|pair| {
            let [a, b] = [from_first(&pair[0]), from_first(&pair[1])];
            let area =
                [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
            (area, std::array::from_fn::<f64, 3, _>(|x| (a[x] + b[x]) / 3.0 + first[x]))
        });
        let triangles: Vec<_> = triangles.collect();
        let whole = triangles
            .iter()
            .fold([0.0; 3], |sum: [f64; 3], (area, _)| std::array::from_fn(|a| sum[a] + area[a]));
        let length = whole.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length == 0.0 {
            continue;
        }
        for (area, centre) in triangles {
            // What lies against the whole's turn is taken off.
            let weight = area.iter().zip(whole).map(|(a, b)| a * b / length).sum::<f64>();
            let terms = [centre[0] * weight, centre[1] * weight, centre[2] * weight, weight];
            sum = std::array::from_fn(|n| sum[n] + terms[n]);
        }
    }
    let mean = |sum: [f64; 4]| {
        let mean = [sum[0], sum[1], sum[2]].map(|x| x / sum[3]);
        mean.iter().all(|x| x.is_finite()).then_some(mean)
    };
    mean(sum).or_else(|| {
        let points = contours.iter().flat_map(|contour| &contour.points_mm);
        mean(
            points.fold([0.0; 4], |sum, [x, y, z]| {
                [sum[0] + x, sum[1] + y, sum[2] + z, sum[3] + 1.0]
            }),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contour(geometric_type: &str, points_mm: &[[f64; 3]]) -> PatientContour {
        PatientContour { geometric_type: geometric_type.to_owned(), points_mm: points_mm.to_vec() }
    }

    fn region(contours: Vec<PatientContour>) -> Points {
        let roi = Roi {
            number: 3,
            name: "Herr Mustermann".to_owned(),
            interpreted_type: String::new(),
            frame_of_reference_uid: Some("1.5".to_owned()),
            contours,
        };
        let mut found = Points::default();
        add_region(&mut found, &roi);
        found
    }

    fn places(found: &Points) -> Vec<[f64; 3]> {
        let places = found.points.iter().map(|point| match point.place {
            Place::Patient { point_mm, .. } => point_mm,
            Place::Image { .. } => panic!("no image"),
        });
        places.collect()
    }

    #[test]
    fn points_and_centroids_of_regions() {
        let square = |z: f64, n: f64| {
            contour("CLOSED_PLANAR", &[[0.0, 0.0, z], [n, 0.0, z], [n, n, z], [0.0, n, z]])
        };
        // Areas 4 and 16.
        let found = region(vec![square(0.0, 2.0), square(5.0, 4.0)]);
        let [[x, y, z]] = places(&found)[..] else { panic!("one point") };
        assert!((x - 1.8).abs() < 1e-12 && (y - 1.8).abs() < 1e-12 && (z - 4.0).abs() < 1e-12);
        assert_eq!(found.points[0].label, "region 3");

        let found = region(vec![
            contour("POINT", &[[1.0, 2.0, 3.0]]),
            contour("POINT", &[[4.0, 5.0, 6.0]]),
            contour("OPEN_PLANAR", &[[0.0; 3]; 2]),
            contour("POINT", &[[0.0; 3]; 2]),
        ]);
        assert_eq!(places(&found), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let expected = [
            "region 3 has a contour of type OPEN_PLANAR with 2 points",
            "region 3 has a contour of type POINT with 2 points",
        ];
        assert_eq!(found.unread, expected);
        // A line without an area is where its points are.
        let flat = region(vec![contour("CLOSED_PLANAR", &[[1.0, 1.0, 1.0], [3.0, 1.0, 1.0]])]);
        assert_eq!(places(&flat), [[2.0, 1.0, 1.0]]);
        assert_eq!(region(Vec::new()).unread, ["region 3 has no contour"]);
        let huge =
            region(vec![contour("CLOSED_PLANAR", &[[f64::MAX; 3], [f64::MIN; 3], [0.0; 3]])]);
        assert!(huge.points.len() <= 1);
    }
}

//! Brings detections to the scans of an input, and says what became of each.

use super::detection::{Axes, Detection, Detector, ImageDetections};
use super::error::Error;
use super::images::{ImageIndex, ImageSeries};
use super::{monai, nndetection};
use crate::nightly::input::candidates::{NoduleCandidate, distinct};
use crate::nightly::input::discover::{ContentsCache, discover};
use crate::nightly::input::series::DiscoveredSeries;
use crate::nightly::redaction::PrivateFolder;
use crate::nightly::scan::files;
use nodulus_formats::dicom::Tolerances;
use nodulus_formats::luna_csv;
use nodulus_formats::volume::Geometry;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What is converted, and how.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What wrote the detections.
    pub detector: Detector,
    /// Its file, or for nnDetection also a folder of files.
    pub results: &'a Path,
    /// The axes of MONAI's boxes.
    pub axes: Axes,
    /// The folder with the scans.
    pub input: &'a Path,
    /// Detections below it are left out.
    pub min_probability: f64,
}

/// Rows of detections by what became of them. Each row counts once: `rows` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DetectionCounts {
    /// All detections.
    pub rows: usize,
    /// Candidates.
    pub matched: usize,
    /// Detections below the least probability.
    pub below_threshold: usize,
    /// Detections that repeat a position of their scan.
    pub duplicate: usize,
    /// Detections with a position outside their scan.
    pub outside: usize,
    /// Detections of images that are no scan of the input, or may be several.
    pub unknown_image: usize,
    /// Detections of scans that cannot be read, or whose grid is another one than the image's.
    pub unreadable: usize,
    /// Detections of images with a box or a score that cannot be read.
    pub malformed: usize,
}

/// An image none of whose detections are candidates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The image, as the detector names it.
    pub image: String,
    /// Why.
    pub reason: String,
}

/// Candidates, and what became of each detection.
#[derive(Clone, Debug, Default)]
pub struct Converted {
    /// Number of images of the detector.
    pub n_images: usize,
    /// The candidates by series, the most probable of each first.
    pub candidates: Vec<luna_csv::Detection>,
    /// The series that were looked at, sorted; those without candidates have none.
    pub series: Vec<String>,
    /// What became of each detection.
    pub counts: DetectionCounts,
    /// Detections that would lie outside their scans along the other axes, of as many as `counts.outside` is of.
    pub outside_turned: usize,
    /// Images without a series in `series`.
    pub left_out: Vec<LeftOut>,
}

/// Converts detections. Where the boxes or scores of an image cannot be read, it is left out as a whole: a scan with some of its
/// detections would look like one that has no others. Detections outside their scan are left out alone, as in the nightly job.
///
/// # Errors
///
/// Fails if the detections or the input cannot be read, two images are one series, or no detections can be used.
pub fn convert(request: &Request<'_>) -> Result<Converted, Error> {
    let images = match request.detector {
        Detector::Monai => monai::read(request.results, request.axes)?,
        Detector::NnDetection => nndetection::read(request.results)?,
    };
    let input = PrivateFolder { path: request.input, key: None };
    let (series, _) = discover(input, &mut ContentsCache::default(), &str::to_owned)?;
    let index = ImageIndex::of(request.input, &series)?;
    let mut converted = Converted { n_images: images.len(), ..Converted::default() };
    let mut by_series: BTreeMap<usize, Vec<ImageDetections>> = BTreeMap::new();
    for image in images {
        converted.counts.rows += image.n_rows;
        let reason = match index.find(&image.image) {
            ImageSeries::Found(n) => {
                let of_series = by_series.entry(n).or_default();
                if let Some(other) = of_series.first().filter(|other| other.image != image.image) {
                    return Err(Error::TwoImages {
                        first: other.image.text().to_owned(),
                        second: image.image.text().to_owned(),
                        series: series[n].id.clone(),
                    });
                }
                of_series.push(image);
                continue;
            }
            ImageSeries::Unknown => "it is no scan of the input",
            ImageSeries::Ambiguous => "several scans of the input may be it",
        };
        converted.counts.unknown_image += image.n_rows;
        converted.leave_out(&image, reason.to_owned());
    }
    let found: Vec<(usize, Vec<ImageDetections>)> = by_series.into_iter().collect();
    let geometries: Vec<Result<Geometry, String>> =
        found.par_iter().map(|(n, _)| geometry(&series[*n])).collect();
    for ((n, images), geometry) in found.into_iter().zip(geometries) {
        converted.add(request, &series[n].id, &images, geometry);
    }
    if let (true, Some(first)) = (converted.series.is_empty(), converted.left_out.first()) {
        let first = format!("{}: {}", first.image, first.reason);
        return Err(Error::Nothing { n_images: converted.n_images, first });
    }
    converted.series.sort();
    converted.candidates.sort_by(|a, b| a.series_instance_uid.cmp(&b.series_instance_uid));
    Ok(converted)
}

/// The geometry of a series by its headers, or why it has none.
fn geometry(series: &DiscoveredSeries) -> Result<Geometry, String> {
    let known = series.problem.clone().or(series.fault.as_ref().map(|fault| fault.cause.clone()));
    match known {
        Some(problem) => Err(problem),
        None => files::geometry(&series.source, &series.id, &Tolerances::default()),
    }
}

impl Converted {
    fn leave_out(&mut self, image: &ImageDetections, reason: String) {
        self.left_out.push(LeftOut { image: image.image.text().to_owned(), reason });
    }

    /// Adds the detections of a series: those of one image, which a file may hold several times.
    fn add(
        &mut self,
        request: &Request<'_>,
        series: &str,
        images: &[ImageDetections],
        geometry: Result<Geometry, String>,
    ) {
        let Some(image) = images.first() else { return };
        let n_rows: usize = images.iter().map(|image| image.n_rows).sum();
        let geometry = match geometry {
            Ok(geometry) => geometry,
            Err(reason) => {
                self.counts.unreadable += n_rows;
                return self.leave_out(image, format!("the scan cannot be read: {reason}"));
            }
        };
        let mut detections: Vec<Detection> = Vec::with_capacity(n_rows);
        for image in images {
            match &image.found {
                Ok(found) => detections.extend(found),
                Err(malformed) => {
                    self.counts.malformed += n_rows;
                    return self.leave_out(image, malformed.to_string());
                }
            }
        }
        if images.iter().filter_map(|image| image.grid).any(|grid| !are_same_box(&grid, &geometry))
        {
            self.counts.unreadable += n_rows;
            let reason =
                "the detector's image lies elsewhere in the patient than the scan".to_owned();
            return self.leave_out(image, reason);
        }
        let is_above = |of: &Detection| of.probability >= request.min_probability;
        let (above, below): (Vec<Detection>, Vec<_>) = detections.into_iter().partition(is_above);
        self.counts.below_threshold += below.len();
        let holds =
            |position_mm| geometry.nearest_voxel(geometry.patient_to_voxel(position_mm)).is_some();
        let is_inside = |of: &Detection| holds(of.position_mm);
        let n_above = above.len();
        self.outside_turned +=
            above.iter().filter(|of| !holds(Axes::turned(of.position_mm))).count();
        let inside: Vec<Detection> = above.into_iter().filter(is_inside).collect();
        self.counts.outside += n_above - inside.len();
        if inside.is_empty() && n_above > 0 {
            let reason = format!("all its {n_above} detections lie outside the scan");
            return self.leave_out(image, reason);
        }
        let n_inside = inside.len();
        let candidate = |Detection { position_mm, probability }| NoduleCandidate {
            position_mm,
            confidence: Some(probability),
        };
        let kept = distinct(inside.into_iter().map(candidate).collect());
        self.counts.matched += kept.len();
        self.counts.duplicate += n_inside - kept.len();
        self.series.push(series.to_owned());
        let row = |NoduleCandidate { position_mm: [x_mm, y_mm, z_mm], confidence }| {
            let series_instance_uid = series.to_owned();
            let confidence = confidence.unwrap_or_default();
            luna_csv::Detection { series_instance_uid, x_mm, y_mm, z_mm, confidence }
        };
        self.candidates.extend(kept.into_iter().map(row));
    }
}

/// Whether two grids cover one part of the patient, whatever the order and direction of their axes.
///
/// METHOD: each corner of one lies within a voxel's diagonal of the coarser grid from one of the other, as after resampling.
fn are_same_box(a: &Geometry, b: &Geometry) -> bool {
    let diagonal = |of: &Geometry| of.spacing().ijk().iter().map(|mm| mm * mm).sum::<f64>().sqrt();
    let most = diagonal(a).max(diagonal(b));
    let others = corners(b);
    corners(a).iter().all(|corner| others.iter().any(|other| distance(*corner, *other) <= most))
}

fn corners(geometry: &Geometry) -> [[f64; 3]; 8] {
    let last = geometry.size().map(|n| n.saturating_sub(1) as f64);
    std::array::from_fn(|corner| {
        let end = |a: usize| if (corner >> a) & 1 == 1 { last[a] } else { 0.0 };
        geometry.voxel_to_patient([end(0), end(1), end(2)])
    })
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

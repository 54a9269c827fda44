//! Turns mask and outline files into rows of `marks`.

use super::frame::Frame;
use super::mask_nodules::{self, Error, LabelledNodule};
use crate::tables::exclusions::{Exclusion, ExclusionRule};
use crate::tables::{Mark, MarkKind, PerRating, Scan};
use nodulus_formats::dicom::Roi;
use nodulus_formats::mask_file::{MaskFile, MaskRules};
use nodulus_imaging::irregularity::Irregularity;
use nodulus_store::hash;
use std::collections::BTreeMap;

/// The reader and the path of a mask file.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaskSource<'a> {
    pub(super) session: usize,
    pub(super) reader: Option<&'a str>,
    /// Number of the file among the reader's, from 0.
    pub(super) file: usize,
    pub(super) path: &'a str,
}

/// The marks of a file, and its exclusions.
///
/// METHOD: a mask with a single value or segment is binary, and its nodules are its 26-connected components. Several
/// values, segments or regions are nodules themselves. Components are found on the mask's own grid, before resampling.
///
/// # Errors
///
/// Fails if the file was drawn on another series, or is not on the image's grid.
pub(super) fn marks(
    scan: &Scan,
    frame: &Frame,
    rules: &MaskRules,
    file: &MaskFile,
    source: MaskSource<'_>,
) -> Result<(Vec<Mark>, Vec<Exclusion>), Error> {
    let Some(image) = frame.geometry() else { return Ok(<_>::default()) };
    let mut exclusions = Vec::new();
    let nodules = match file {
        MaskFile::Labels(labels) => {
            let left = mask_nodules::left_segments(labels, rules).into_iter();
            let rule = ExclusionRule::RoiLeftOut;
            exclusions.extend(left.map(|reason| exclusion(scan, rule, source.path, reason)));
            mask_nodules::of_labels(labels, image, rules)?
        }
        MaskFile::Segmentation(segmentation) => {
            mask_nodules::of_segments(segmentation, frame, image, rules)?
        }
        MaskFile::StructureSet(structures) => {
            let (chosen, left) = mask_nodules::choose(structures, rules);
            let nodules = mask_nodules::of_rois(structures, &chosen, frame, image, rules)?;
            let rows = left.iter().map(|(roi, reason)| left_out(scan, roi, reason, source.path));
            exclusions.extend(rows);
            nodules
        }
    };
    let mut marks = Vec::new();
    let mut n_of_id: BTreeMap<String, usize> = BTreeMap::new();
    for nodule in &nodules {
        *n_of_id.entry(nodule.id.clone()).or_default() += 1;
    }
    for LabelledNodule { key, id, placed, mut irregularities } in nodules {
        let Some(placed) = placed else {
            exclusions.push(without_voxels(scan, &id, source));
            continue;
        };
        let session = source.session.to_string();
        // The path is not part of the id, so that a mark has the same id wherever the file lies. The cohort is: two cohorts may
        // have the same series, each with marks of its own.
        let file = source.file.to_string();
        let parts = [scan.cohort.as_str(), &scan.series_instance_uid, &session, &key, &file];
        let mut mark = blank(scan, hash::id("m-", parts), source.session, &id, source.path);
        mark.reader = source.reader.map(str::to_owned);
        let is_double = n_of_id.get(&id).is_some_and(|n| *n > 1);
        if is_double {
            irregularities.insert(Irregularity::DuplicateId.name());
        }
        mark.irregularities = irregularities.into_iter().map(str::to_owned).collect();
        frame.place_mask(&mut mark, placed);
        marks.push(mark);
    }
    Ok((marks, exclusions))
}

fn left_out(scan: &Scan, roi: &Roi, reason: &str, path: &str) -> Exclusion {
    let kind = if roi.interpreted_type.is_empty() { "unknown" } else { &roi.interpreted_type };
    let reason = format!("region {} of type {kind} {reason}", roi.label());
    exclusion(scan, ExclusionRule::RoiLeftOut, path, reason)
}

fn without_voxels(scan: &Scan, id: &str, source: MaskSource<'_>) -> Exclusion {
    let reason = format!("session {}, mark {id}: no voxel in the scan", source.session);
    exclusion(scan, ExclusionRule::NoVoxels, source.path, reason)
}

fn exclusion(scan: &Scan, rule: ExclusionRule, path: &str, reason: String) -> Exclusion {
    let series = Some(scan.series_instance_uid.as_str());
    Exclusion::new(rule, Some(&scan.cohort), series, path, reason).of_file(path)
}

/// A mark without position or ratings.
pub(super) fn blank(scan: &Scan, mark_id: String, session: usize, id: &str, path: &str) -> Mark {
    Mark {
        mark_id,
        cohort: scan.cohort.clone(),
        series_instance_uid: scan.series_instance_uid.clone(),
        patient_id: scan.patient_id.clone(),
        reading_session: session as i64,
        reader: None,
        reader_nodule_id: id.to_owned(),
        kind: MarkKind::Nodule.name().to_owned(),
        centroid_i: None,
        centroid_j: None,
        centroid_k: None,
        centroid_x_mm: None,
        centroid_y_mm: None,
        centroid_z_mm: None,
        n_voxels: None,
        n_voxels_luna16: None,
        n_voxels_differ: None,
        volume_mm3: None,
        diameter_mm: None,
        ratings: PerRating::default(),
        contours: Vec::new(),
        bbox_i: None,
        bbox_j: None,
        bbox_k: None,
        bbox_size_i: None,
        bbox_size_j: None,
        bbox_size_k: None,
        mask_bits: None,
        irregularities: Vec::new(),
        source_path: path.to_owned(),
    }
}

//! Turns LIDC's reads into rows of `marks`.

use super::frame::Frame;
use crate::tables::exclusions::{Exclusion, ExclusionRule};
use crate::tables::marks::MarkContour;
use crate::tables::{Mark, MarkKind, PerRating, Scan};
use nodulus_formats::lidc_xml::{Annotations, NoduleKind, NonNodule, ReadNodule};
use nodulus_imaging::irregularity::Irregularity;
use nodulus_imaging::rasterise;
use nodulus_store::hash;
use std::collections::{BTreeMap, BTreeSet};

/// All marks of all sessions; a mark that does not lie on the scan has no position.
pub(super) fn marks(scan: &Scan, frame: &Frame, reads: &Annotations, path: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (session, read) in reads.sessions.iter().enumerate() {
        let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
        for nodule in &read.nodules {
            *ids.entry(&nodule.reader_nodule_id).or_default() += 1;
        }
        for (n, nodule) in read.nodules.iter().enumerate() {
            let id = nodule.reader_nodule_id.as_str();
            let mut irregularities = BTreeSet::new();
            if ids.get(id).is_some_and(|n| *n > 1) {
                irregularities.insert(Irregularity::DuplicateId);
            }
            let blank = blank(scan, session, id, n, path);
            marks.push(nodule_mark(blank, frame, nodule, irregularities));
        }
        for (n, finding) in read.non_nodules.iter().enumerate() {
            let blank = blank(scan, session, &finding.id, read.nodules.len() + n, path);
            marks.push(non_nodule_mark(blank, frame, finding));
        }
    }
    marks
}

/// The exclusion of a nodule whose outline encloses no voxel.
pub(super) fn exclusion(mark: &Mark) -> Option<Exclusion> {
    if mark.kind != MarkKind::Nodule.name() || mark.mask_bits.is_some() {
        return None;
    }
    let (cohort, series) = (Some(mark.cohort.as_str()), Some(mark.series_instance_uid.as_str()));
    let reason = format!(
        "session {}, mark {}: outline without a voxel in the scan ({})",
        mark.reading_session,
        mark.reader_nodule_id,
        mark.irregularities.join(", ")
    );
    let exclusion = Exclusion::new(ExclusionRule::NoVoxels, cohort, series, &mark.mark_id, reason);
    Some(exclusion.of_file(&mark.source_path))
}

fn nodule_mark(
    mut mark: Mark,
    frame: &Frame,
    nodule: &ReadNodule,
    mut irregularities: BTreeSet<Irregularity>,
) -> Mark {
    if nodule.kind() == NoduleKind::SmallNodule {
        MarkKind::SmallNodule.name().clone_into(&mut mark.kind);
        for contour in &nodule.contours {
            for point in &contour.points {
                irregularities.extend(place_point(&mut mark, frame, contour.z_mm, *point));
            }
        }
    } else {
        if nodule.ratings.is_none() {
            irregularities.insert(Irregularity::Unrated);
        }
        if let Some(slices) = frame.slices() {
            let outlined = rasterise::mark_mask(&nodule.contours, slices);
            irregularities.extend(outlined.irregularities);
            if let Some(mask) = outlined.mask {
                frame.place_mask(&mut mark, mask);
            }
        } else {
            irregularities.extend([Irregularity::NotAxial, Irregularity::NoVoxels]);
        }
    }
    if let Some(ratings) = &nodule.ratings {
        mark.ratings = PerRating {
            subtlety: ratings.subtlety,
            internal_structure: ratings.internal_structure,
            calcification: ratings.calcification,
            sphericity: ratings.sphericity,
            margin: ratings.margin,
            lobulation: ratings.lobulation,
            spiculation: ratings.spiculation,
            texture: ratings.texture,
            malignancy: ratings.malignancy,
        };
        if mark.ratings.is_off_scale() {
            irregularities.insert(Irregularity::RatingOffScale);
        }
    }
    mark.contours = nodule
        .contours
        .iter()
        .map(|c| MarkContour { z_mm: c.z_mm, inclusion: c.inclusion, points: c.points.clone() })
        .collect();
    mark.irregularities = names(&irregularities);
    mark
}

fn non_nodule_mark(mut mark: Mark, frame: &Frame, finding: &NonNodule) -> Mark {
    MarkKind::NonNodule.name().clone_into(&mut mark.kind);
    let irregularity = place_point(&mut mark, frame, finding.z_mm, finding.point);
    mark.irregularities = names(&irregularity.into_iter().collect());
    mark.contours =
        vec![MarkContour { z_mm: finding.z_mm, inclusion: true, points: vec![finding.point] }];
    mark
}

/// Sets the position of a point, or says why it has none.
fn place_point(mark: &mut Mark, frame: &Frame, z_mm: f64, point: [i64; 2]) -> Option<Irregularity> {
    let Some(slices) = frame.slices() else { return Some(Irregularity::NotAxial) };
    let Ok(k) = slices.slice_at(z_mm) else { return Some(Irregularity::OffSlice) };
    if rasterise::is_pixel(point, slices) {
        frame.place_point(mark, point, k);
        None
    } else {
        Some(Irregularity::OffImage)
    }
}

fn names(irregularities: &BTreeSet<Irregularity>) -> Vec<String> {
    let mut names: Vec<_> = irregularities.iter().map(|i| i.name().to_owned()).collect();
    names.sort();
    names
}

fn blank(scan: &Scan, session: usize, id: &str, ordinal: usize, path: &str) -> Mark {
    // The path is not part of the id, so that a scan has the same ids with its image and without it.
    let (session_text, ordinal) = (session.to_string(), ordinal.to_string());
    let parts = [scan.cohort.as_str(), &scan.series_instance_uid, &session_text, id, &ordinal];
    super::mask_marks::blank(scan, hash::id("m-", parts), session, id, path)
}

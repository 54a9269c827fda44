//! Turns LIDC's reads into rows of `marks`.

use super::cohort_settings::LidcMask;
use super::frame::Frame;
use crate::tables::exclusions::{Exclusion, ExclusionRule};
use crate::tables::marks::MarkContour;
use crate::tables::{Mark, MarkKind, PerRating, Scan};
use nodulus_formats::lidc_xml::{Annotations, NoduleKind, NonNodule, ReadNodule, Session};
use nodulus_formats::volume::PlacedMask;
use nodulus_imaging::irregularity::Irregularity;
use nodulus_imaging::luna16_mask::luna16_mask;
use nodulus_imaging::overlap::n_shared;
use nodulus_imaging::rasterise;
use nodulus_store::hash;
use std::collections::{BTreeMap, BTreeSet};

/// Most distance of a height from its slice, as a share of the spacing, in a session that reads this scan.
const ON_SLICE: f64 = 0.05;

/// For each session, whether it reads another scan than this one: none of its heights is that of a slice, and those of another
/// session of the same file are.
///
/// METHOD: all but 25 of the 77,262 heights in LIDC's reads of CT are within 0.001 mm of a slice. Those 25, from 0.06 slices off
/// to 18, are all heights of sessions 4 to 7 of 188/011.xml (LIDC-IDRI-0566), which name other slices than sessions 0 to 3 of the
/// same file. Their marks, all of them points, are kept, and merged with nothing. Where no session has a height on a slice, it is
/// the grid that lies apart from the lines, as one that makes uneven gaps even: each line belongs to its nearest slice.
fn are_of_other_scan(frame: &Frame, reads: &Annotations) -> Vec<bool> {
    let on_slices: Vec<Option<bool>> =
        reads.sessions.iter().map(|session| is_on_slices(frame, session)).collect();
    let fits_any = on_slices.contains(&Some(true));
    on_slices.into_iter().map(|on_slices| fits_any && on_slices == Some(false)).collect()
}

/// Whether a height of a session is that of a slice; `None` without slices or heights.
fn is_on_slices(frame: &Frame, session: &Session) -> Option<bool> {
    let slices = frame.slices()?;
    let lines = session.nodules.iter().flat_map(|nodule| &nodule.contours);
    let mut heights = lines
        .map(|line| line.z_mm)
        .chain(session.non_nodules.iter().map(|mark| mark.z_mm))
        .peekable();
    heights.peek()?;
    let most = ON_SLICE * slices.spacing().ijk()[2];
    Some(heights.any(|z| slices.z_mm().iter().any(|slice| (slice - z).abs() <= most)))
}

/// Number of sessions that read this scan.
pub(super) fn n_sessions(frame: &Frame, reads: &Annotations) -> usize {
    are_of_other_scan(frame, reads).into_iter().filter(|is_other| !is_other).count()
}

/// All marks of all sessions; a mark that does not lie on the scan has no position.
pub(super) fn marks(
    scan: &Scan,
    frame: &Frame,
    rule: LidcMask,
    reads: &Annotations,
    path: &str,
) -> Vec<Mark> {
    let mut marks = Vec::new();
    let are_other = are_of_other_scan(frame, reads);
    for ((session, read), is_other) in reads.sessions.iter().enumerate().zip(are_other) {
        let other_scan = is_other.then_some(Irregularity::OtherScan);
        let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
        for nodule in &read.nodules {
            *ids.entry(&nodule.reader_nodule_id).or_default() += 1;
        }
        for (n, nodule) in read.nodules.iter().enumerate() {
            let id = nodule.reader_nodule_id.as_str();
            let mut irregularities = BTreeSet::from_iter(other_scan);
            if ids.get(id).is_some_and(|n| *n > 1) {
                irregularities.insert(Irregularity::DuplicateId);
            }
            let blank = blank(scan, session, id, n, path);
            marks.push(nodule_mark(blank, frame, rule, nodule, irregularities));
        }
        for (n, finding) in read.non_nodules.iter().enumerate() {
            let blank = blank(scan, session, &finding.id, read.nodules.len() + n, path);
            marks.push(non_nodule_mark(blank, frame, finding, other_scan));
        }
    }
    marks
}

/// The exclusion of a mark whose session reads another scan, or of a nodule whose outline encloses no voxel.
pub(super) fn exclusion(mark: &Mark) -> Option<Exclusion> {
    if mark.is_of_other_scan() {
        let reason = format!(
            "session {} reads another scan: none of its heights is that of a slice",
            mark.reading_session
        );
        return Some(exclusion_of(mark, ExclusionRule::OtherScan, reason));
    }
    if mark.kind != MarkKind::Nodule.name() || mark.mask_bits.is_some() {
        return None;
    }
    let reason = format!(
        "session {}, mark {}: outline without a voxel in the scan ({})",
        mark.reading_session,
        mark.reader_nodule_id,
        mark.irregularities.join(", ")
    );
    Some(exclusion_of(mark, ExclusionRule::NoVoxels, reason))
}

fn exclusion_of(mark: &Mark, rule: ExclusionRule, reason: String) -> Exclusion {
    let (cohort, series) = (Some(mark.cohort.as_str()), Some(mark.series_instance_uid.as_str()));
    Exclusion::new(rule, cohort, series, &mark.mark_id, reason).of_file(&mark.source_path)
}

fn nodule_mark(
    mut mark: Mark,
    frame: &Frame,
    rule: LidcMask,
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
            let luna16 = luna16_mask(&nodule.contours, slices);
            irregularities.extend(outlined.irregularities);
            irregularities.remove(&Irregularity::NoVoxels);
            let n_voxels = |mask: &Option<PlacedMask>| mask.as_ref().map_or(0, |m| m.mask.count());
            let both = n_voxels(&outlined.mask) + n_voxels(&luna16);
            let shared =
                outlined.mask.as_ref().zip(luna16.as_ref()).map_or(0, |(a, b)| n_shared(a, b));
            mark.n_voxels_luna16 = Some(n_voxels(&luna16) as i64);
            mark.n_voxels_differ = Some((both - 2 * shared) as i64);
            let chosen = match rule {
                LidcMask::EachLine => outlined.mask,
                LidcMask::Luna16 => luna16,
            };
            match chosen {
                Some(mask) => frame.place_mask(&mut mark, mask),
                None => _ = irregularities.insert(Irregularity::NoVoxels),
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

fn non_nodule_mark(
    mut mark: Mark,
    frame: &Frame,
    finding: &NonNodule,
    other_scan: Option<Irregularity>,
) -> Mark {
    MarkKind::NonNodule.name().clone_into(&mut mark.kind);
    let irregularity = place_point(&mut mark, frame, finding.z_mm, finding.point);
    mark.irregularities = names(&irregularity.into_iter().chain(other_scan).collect());
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

//! Turns mask and outline files into rows of `marks`.

use super::frame::Frame;
use crate::tables::exclusions::{Exclusion, ExclusionRule};
use crate::tables::{Mark, MarkKind, PerRating, Scan};
use nodulus_formats::dicom::{ReferencedUids, Roi, Segmentation, StructureSet};
use nodulus_formats::mask_file::{MaskFile, MaskRules};
use nodulus_formats::volume::{Geometry, Mask, PlacedMask, Volume};
use nodulus_imaging::irregularity::Irregularity;
use nodulus_imaging::planar_contours::{self, ContourOffImage};
use nodulus_imaging::regrid::{self, GridMismatch, MaskExtent};
use nodulus_imaging::{components, segments};
use nodulus_store::hash;
use std::collections::{BTreeMap, BTreeSet};

/// The only geometric type of contours that encloses voxels.
const CLOSED_PLANAR: &str = "CLOSED_PLANAR";

/// `RTROIInterpretedType`s of regions that may be nodules.
///
/// METHOD: the gross tumour volume is the visible tumour, and a region without a type may be anything. All other types
/// are organs, margins around the tumour, or not tissue.
const NODULE_TYPES: [&str; 3] = ["", "NONE", "GTV"];

/// A mask file does not fit its scan.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    GridMismatch(#[from] Box<GridMismatch>),
    #[error(transparent)]
    Segments(#[from] segments::Error),
    #[error("region `{roi}` does not fit its image")]
    ContourOffImage {
        roi: String,
        #[source]
        source: ContourOffImage,
    },
    #[error("region `{roi}` has a contour of type {found}, expected {CLOSED_PLANAR}")]
    ContourType { roi: String, found: String },
    #[error("the mask was drawn on series {found}, expected its image's series {expected}")]
    OtherSeries { found: String, expected: String },
    #[error("the mask has frame of reference {found}, expected its image's {expected}")]
    OtherFrame { found: String, expected: String },
}

/// The reader and the path of a mask file.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaskSource<'a> {
    pub(super) session: usize,
    pub(super) reader: Option<&'a str>,
    /// Number of the file among the reader's, from 0.
    pub(super) file: usize,
    pub(super) path: &'a str,
}

/// A nodule in a mask file.
struct LabelledNodule {
    /// Key that is unique in the file.
    key: String,
    /// The reader's own id; not always unique.
    id: String,
    /// Voxels in the scan; `None` where there are none.
    placed: Option<PlacedMask>,
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
    let mut is_resampled = false;
    let nodules = match file {
        MaskFile::Labels(labels) => of_labels(labels, image, rules, &mut is_resampled)?,
        MaskFile::Segmentation(segmentation) => {
            check_series(frame, &segmentation.referenced)?;
            check_frame(frame, &segmentation.referenced.frames_of_reference)?;
            of_segments(segmentation, image, rules, &mut is_resampled)?
        }
        MaskFile::StructureSet(structures) => {
            check_series(frame, &structures.referenced)?;
            let (chosen, left): (Vec<&Roi>, Vec<&Roi>) =
                structures.rois.iter().partition(|roi| is_nodule(roi, rules));
            exclusions.extend(left.into_iter().map(|roi| left_out(scan, roi, source.path)));
            of_rois(structures, &chosen, frame, image)?
        }
    };
    let mut marks = Vec::new();
    let mut n_of_id: BTreeMap<String, usize> = BTreeMap::new();
    for nodule in &nodules {
        *n_of_id.entry(nodule.id.clone()).or_default() += 1;
    }
    for LabelledNodule { key, id, placed } in nodules {
        let Some(placed) = placed else {
            exclusions.push(without_voxels(scan, &id, source));
            continue;
        };
        let session = source.session.to_string();
        // The path is not part of the id, so that a mark has the same id wherever the file lies.
        let file = source.file.to_string();
        let parts = [scan.series_instance_uid.as_str(), &session, &key, &file];
        let mut mark = blank(scan, hash::id("m-", parts), source.session, &id, source.path);
        mark.reader = source.reader.map(str::to_owned);
        let is_double = n_of_id.get(&id).is_some_and(|n| *n > 1);
        let irregularities =
            [(is_double, Irregularity::DuplicateId), (is_resampled, Irregularity::Resampled)];
        let found = irregularities.iter().filter(|(is, _)| *is);
        mark.irregularities = found.map(|(_, what)| what.name().to_owned()).collect();
        frame.place_mask(&mut mark, placed);
        marks.push(mark);
    }
    Ok((marks, exclusions))
}

fn of_labels(
    labels: &Volume<u16>,
    image: &Geometry,
    rules: &MaskRules,
    is_resampled: &mut bool,
) -> Result<Vec<LabelledNodule>, Box<GridMismatch>> {
    let grid = labels.geometry();
    let on = regrid::align(grid, image, MaskExtent::Volume);
    *is_resampled = on.is_err();
    if let (Err(other), false) = (&on, rules.resample) {
        return Err(other.clone());
    }
    let place = |mask: &PlacedMask| match &on {
        Ok(on) => on.map_mask(mask),
        Err(_) => regrid::resample(mask, grid, image),
    };
    let nodule = |(label, mask): (u16, PlacedMask)| {
        let key = label.to_string();
        LabelledNodule { id: key.clone(), key, placed: place(&mask) }
    };
    Ok(nodule_masks(labels).into_iter().map(nodule).collect())
}

fn of_segments(
    segmentation: &Segmentation,
    image: &Geometry,
    rules: &MaskRules,
    is_resampled: &mut bool,
) -> Result<Vec<LabelledNodule>, segments::Error> {
    let lie = segments::locate(segmentation, image, rules.resample)?;
    *is_resampled = matches!(lie, segments::SegmentationPlacement::OwnGrid(..));
    let is_single = segmentation.segments.len() == 1;
    let mut nodules = Vec::new();
    for segment in &segmentation.segments {
        let number = segment.number.to_string();
        let name = |key: String| format!("{key} {}", segment.label).trim_end().to_owned();
        let parts = lie.segment_masks(segment, image, is_single);
        if parts.is_empty() {
            nodules.push(LabelledNodule {
                id: name(number.clone()),
                key: number.clone(),
                placed: None,
            });
        }
        for (part, placed) in (1..).zip(parts) {
            let key = if is_single { format!("{number}.{part}") } else { number.clone() };
            nodules.push(LabelledNodule { id: name(key.clone()), key, placed });
        }
    }
    Ok(nodules)
}

fn of_rois(
    structures: &StructureSet,
    chosen: &[&Roi],
    frame: &Frame,
    image: &Geometry,
) -> Result<Vec<LabelledNodule>, Error> {
    let nodule = |roi: &&Roi| {
        let own = roi.frame_of_reference_uid.clone().map(|uid| BTreeSet::from([uid]));
        let whole = &structures.referenced.frames_of_reference;
        check_frame(frame, own.as_ref().unwrap_or(whole))?;
        let other = roi.contours.iter().find(|contour| contour.geometric_type != CLOSED_PLANAR);
        if let Some(contour) = other {
            let found = contour.geometric_type.clone();
            return Err(Error::ContourType { roi: roi.name.clone(), found });
        }
        let lines: Vec<_> = roi.contours.iter().map(|contour| contour.points_mm.clone()).collect();
        let placed = planar_contours::mask(&lines, image)
            .map_err(|source| Error::ContourOffImage { roi: roi.name.clone(), source })?;
        let key = roi.number.to_string();
        let id = if roi.name.is_empty() { key.clone() } else { roi.name.clone() };
        Ok(LabelledNodule { key, id, placed })
    };
    chosen.iter().map(nodule).collect()
}

/// Whether a region is a nodule: by its name where the settings name regions, otherwise by its type.
fn is_nodule(roi: &Roi, rules: &MaskRules) -> bool {
    if rules.rois.is_empty() {
        return NODULE_TYPES.contains(&roi.interpreted_type.as_str());
    }
    // The patterns were checked when the pipeline file was read.
    let patterns = rules.rois.iter().filter_map(|pattern| glob::Pattern::new(pattern).ok());
    patterns.into_iter().any(|pattern| pattern.matches(&roi.name))
}

fn left_out(scan: &Scan, roi: &Roi, path: &str) -> Exclusion {
    let reason = format!(
        "region {} `{}` of type {} is no nodule by `masks.rois`",
        roi.number,
        roi.name,
        if roi.interpreted_type.is_empty() { "unknown" } else { &roi.interpreted_type }
    );
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

fn check_series(frame: &Frame, referenced: &ReferencedUids) -> Result<(), Error> {
    let Some(series) = frame.series_instance_uid() else { return Ok(()) };
    if referenced.series.is_empty() || referenced.series.contains(series) {
        return Ok(());
    }
    let found = all_of(&referenced.series);
    Err(Error::OtherSeries { found, expected: series.to_owned() })
}

fn check_frame(frame: &Frame, found: &BTreeSet<String>) -> Result<(), Error> {
    let Some(uid) = frame.frame_of_reference_uid() else { return Ok(()) };
    if found.is_empty() || found.len() == 1 && found.contains(uid) {
        return Ok(());
    }
    Err(Error::OtherFrame { found: all_of(found), expected: uid.to_owned() })
}

fn all_of(uids: &BTreeSet<String>) -> String {
    uids.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
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

/// The nodules of labelled voxels: components of a single label, or one nodule for each of several labels.
fn nodule_masks(labels: &Volume<u16>) -> Vec<(u16, PlacedMask)> {
    let mut boxes: BTreeMap<u16, ([usize; 3], [usize; 3])> = BTreeMap::new();
    for ((k, j, i), &label) in labels.voxels().indexed_iter() {
        if label > 0 {
            let (low, high) = boxes.entry(label).or_insert(([usize::MAX; 3], [0; 3]));
            for (a, v) in [i, j, k].into_iter().enumerate() {
                low[a] = low[a].min(v);
                high[a] = high[a].max(v + 1);
            }
        }
    }
    let cut = |label: u16, low: [usize; 3], high: [usize; 3]| {
        let size = std::array::from_fn(|a| high[a] - low[a]);
        let inside = |i, j, k| labels.voxels()[[k + low[2], j + low[1], i + low[0]]] == label;
        PlacedMask { start: low, mask: Mask::from_fn(size, inside) }
    };
    let single = boxes.len() == 1;
    boxes
        .into_iter()
        .flat_map(|(label, (low, high))| {
            let whole = cut(label, low, high);
            if single {
                (1..).zip(components::split(&whole)).collect()
            } else {
                vec![(label, whole)]
            }
        })
        .collect()
}

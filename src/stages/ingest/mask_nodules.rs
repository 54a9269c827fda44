//! The nodules that a mask or outline file holds, on the voxels of its scan.

use super::frame::Frame;
use nodulus_formats::dicom::{ReferencedUids, Roi, Segmentation, StructureSet};
use nodulus_formats::limits::decimals_over;
use nodulus_formats::mask_file::{LabelGrid, LabelMask, LabelSegment, MaskRules};
use nodulus_formats::repair::Repairs;
use nodulus_formats::volume::{Geometry, Mask, PlacedMask, Volume};
use nodulus_imaging::irregularity::Irregularity;
use nodulus_imaging::planar_contours::{self, ContourOffImage, ContourRules};
use nodulus_imaging::regrid::{self, GridAlignment, GridMismatch, MaskExtent, SAME_SPACING};
use nodulus_imaging::{components, segments};
use std::collections::{BTreeMap, BTreeSet};

/// The geometric types of contours that enclose voxels.
const CLOSED: [&str; 2] = ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"];

/// The geometric type of contours that are points, and enclose nothing.
const POINT: &str = "POINT";

/// `RTROIInterpretedType`s of regions that may be nodules.
///
/// METHOD: the gross tumour volume is the visible tumour, and a region without a type may be anything. All other types
/// are organs, margins around the tumour, or not tissue.
const NODULE_TYPES: [&str; 3] = ["", "NONE", "GTV"];

/// A mask file does not fit its scan.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "{0}; `masks.resample = true` resamples it, and `masks.off_grid` says how far off it may lie"
    )]
    GridMismatch(Box<GridMismatch>),
    #[error("no part of the mask lies in its image: {0}")]
    Outside(Box<GridMismatch>),
    #[error(
        "the mask does not place its voxels, and has {found}, expected those of its image, {expected}: it belongs to \
         another image, or was resampled"
    )]
    Unplaced { found: String, expected: String },
    #[error(
        "mark {id} has {:.n$}% of its voxels outside the image, expected at most {:.n$}% (`masks.most_lost`): the mask \
         belongs to another scan, or its grid is wrong", 100.0 * lost, 100.0 * most,
        n = decimals_over(100.0 * lost, 100.0 * most, 1)
    )]
    Lost { id: String, lost: f64, most: f64 },
    #[error(transparent)]
    Segments(#[from] segments::Error),
    #[error("region `{roi}` does not fit its image")]
    ContourOffImage {
        roi: String,
        #[source]
        source: ContourOffImage,
    },
    #[error(
        "region {roi} cannot be used: {defect}; leave it out by `masks.rois`, or correct the file"
    )]
    RoiDefect { roi: String, defect: String },
    #[error(
        "region `{roi}` has a contour of type {found}, expected CLOSED_PLANAR or CLOSEDPLANAR_XOR; `masks.rois` can \
         leave the region out"
    )]
    ContourType { roi: String, found: String },
    #[error("the mask was drawn on series {found}, expected its image's series {expected}")]
    OtherSeries { found: String, expected: String },
    #[error("the mask has frame of reference {found}, expected its image's {expected}")]
    OtherFrame { found: String, expected: String },
}

/// A nodule in a mask file.
pub(super) struct LabelledNodule {
    /// Key that is unique in the file.
    pub(super) key: String,
    /// The reader's own id; not always unique.
    pub(super) id: String,
    /// Voxels in the scan; `None` where there are none.
    pub(super) placed: Option<PlacedMask>,
    /// What was put right.
    pub(super) irregularities: BTreeSet<&'static str>,
}

impl LabelledNodule {
    fn new(key: String, id: String, placed: Option<PlacedMask>, repairs: &Repairs) -> Self {
        let irregularities = repairs.iter().map(|(repair, _)| repair.name()).collect();
        Self { key, id, placed, irregularities }
    }

    /// The nodule after it was resampled.
    ///
    /// # Errors
    ///
    /// Fails if a greater share of it than the rules allow lies outside the image.
    fn resampled(mut self, lost: f64, rules: &MaskRules) -> Result<Self, Error> {
        if lost > rules.most_lost {
            return Err(Error::Lost { id: self.id, lost, most: rules.most_lost });
        }
        self.irregularities.insert(Irregularity::Resampled.name());
        if lost > 0.0 {
            self.irregularities.insert(Irregularity::PartLost.name());
        }
        Ok(self)
    }
}

/// A mask's own nodule: its key, its id and its voxels on the mask's grid, if it has any.
type OwnNodule = (String, String, Option<PlacedMask>);

/// Where the voxels of a mask are in its image.
pub(super) enum GridPlace {
    /// They are the image's, by option.
    Image,
    Aligned(GridAlignment),
    Resampled,
}

/// The nodules of labels.
///
/// METHOD: a mask with a single value is binary, and its nodules are its 26-connected components. Several values are
/// nodules themselves. Segments that a `.seg.nrrd` lists are treated as those of a DICOM SEG.
pub(super) fn of_labels(
    mask: &LabelMask,
    image: &Geometry,
    rules: &MaskRules,
) -> Result<Vec<LabelledNodule>, Error> {
    let Some(grid) = mask.grid() else { return Ok(Vec::new()) };
    let place = place_labels(&grid, image, rules)?;
    let grid = &grid.geometry;
    let own = if mask.segments.is_empty() { of_values(mask) } else { of_slicer(mask, rules) };
    let mut nodules = Vec::with_capacity(own.len());
    for (key, id, own) in own {
        let own = own.as_ref();
        let placed = match &place {
            GridPlace::Image => own.cloned(),
            GridPlace::Aligned(on) => own.and_then(|own| on.map_mask(own)),
            GridPlace::Resampled => own.and_then(|own| regrid::resample(own, grid, image)),
        };
        let mut nodule = LabelledNodule::new(key, id, placed, &mask.repairs);
        match &place {
            GridPlace::Aligned(on) if !on.is_exact() => {
                nodule.irregularities.insert(Irregularity::OffGrid.name());
            }
            GridPlace::Resampled => {
                let lost = own.map_or(0.0, |own| regrid::share_outside(own, grid, image));
                nodule = nodule.resampled(lost, rules)?;
            }
            GridPlace::Image | GridPlace::Aligned(_) => {}
        }
        nodules.push(nodule);
    }
    Ok(nodules)
}

/// Finds where the voxels of labels are in their image.
///
/// # Errors
///
/// Fails if they are not its voxels and may not be resampled, or if none of them can lie in it.
pub(super) fn place_labels(
    mask: &LabelGrid,
    image: &Geometry,
    rules: &MaskRules,
) -> Result<GridPlace, Error> {
    let grid = &mask.geometry;
    if !mask.is_placed {
        check_size(grid, image)?;
        return Ok(GridPlace::Image);
    }
    // Slicer stores no more of its grid than the segments take up.
    let extent = if mask.has_segments { MaskExtent::Part } else { MaskExtent::Volume };
    match regrid::align(grid, image, extent, rules.off_grid) {
        Ok(on) => Ok(GridPlace::Aligned(on)),
        Err(grids) if regrid::is_beside(grid, image) => Err(Error::Outside(grids)),
        Err(grids) if !rules.resample => Err(Error::GridMismatch(grids)),
        Err(_) => Ok(GridPlace::Resampled),
    }
}

/// Refuses a mask without a place whose voxels cannot be those of its image.
fn check_size(mask: &Geometry, image: &Geometry) -> Result<(), Error> {
    let (found, expected) = (mask.spacing().ijk(), image.spacing().ijk());
    let is_same = |a: usize| (found[a] - expected[a]).abs() <= SAME_SPACING * expected[a];
    if mask.size() == image.size() && (0..3).all(is_same) {
        return Ok(());
    }
    let text = |grid: &Geometry| {
        let spacing = grid.spacing().ijk().map(|mm| (mm * 1e4).round() / 1e4);
        format!("{:?} voxels of {spacing:?} mm", grid.size())
    };
    Err(Error::Unplaced { found: text(mask), expected: text(image) })
}

/// One nodule for each value; the components of a single one.
fn of_values(mask: &LabelMask) -> Vec<OwnNodule> {
    let Some(labels) = mask.layers.first() else { return Vec::new() };
    let masks = value_masks(labels);
    let nodule =
        |(value, mask): (u16, PlacedMask)| (value.to_string(), value.to_string(), Some(mask));
    match &masks[..] {
        [(_, whole)] => (1..).zip(components::split(whole)).map(nodule).collect(),
        _ => masks.into_iter().map(nodule).collect(),
    }
}

/// The segments that are nodules by their names, or that are not, each with its number from 1.
fn segments_of<'a>(
    mask: &'a LabelMask,
    rules: &MaskRules,
    chosen: bool,
) -> Vec<(usize, &'a LabelSegment)> {
    let is_chosen = |segment: &LabelSegment| {
        (rules.rois.is_empty() || has_name(&segment.name, rules)) == chosen
    };
    (1..).zip(&mask.segments).filter(|(_, segment)| is_chosen(segment)).collect()
}

/// Why segments that are no nodules by their names are left out.
pub(super) fn left_segments(mask: &LabelMask, rules: &MaskRules) -> Vec<String> {
    let reason = |(number, segment): (usize, &LabelSegment)| {
        format!("segment {number} `{}` is no nodule by `masks.rois`", segment.name)
    };
    segments_of(mask, rules, false).into_iter().map(reason).collect()
}

/// One nodule for each segment that is one by its name; the components of a single one.
fn of_slicer(mask: &LabelMask, rules: &MaskRules) -> Vec<OwnNodule> {
    let layers: Vec<BTreeMap<u16, PlacedMask>> =
        mask.layers.iter().map(|layer| value_masks(layer).into_iter().collect()).collect();
    let chosen = segments_of(mask, rules, true);
    let is_single = chosen.len() == 1;
    let mut nodules = Vec::new();
    for (number, segment) in chosen {
        let mut add = |key: String, own: Option<PlacedMask>| {
            let id = format!("{key} {}", segment.name).trim_end().to_owned();
            nodules.push((key, id, own));
        };
        match layers.get(segment.layer).and_then(|layer| layer.get(&segment.value)) {
            Some(whole) if is_single => {
                for (part, own) in (1..).zip(components::split(whole)) {
                    add(format!("{number}.{part}"), Some(own));
                }
            }
            whole => add(number.to_string(), whole.cloned()),
        }
    }
    nodules
}

/// The voxels of each value, in the smallest box.
fn value_masks(labels: &Volume<u16>) -> Vec<(u16, PlacedMask)> {
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
    let cut = |(label, (low, high)): (u16, ([usize; 3], [usize; 3]))| {
        let size = std::array::from_fn(|a| high[a] - low[a]);
        let inside = |i, j, k| labels.voxels()[[k + low[2], j + low[1], i + low[0]]] == label;
        (label, PlacedMask { start: low, mask: Mask::from_fn(size, inside) })
    };
    boxes.into_iter().map(cut).collect()
}

/// The nodules of a DICOM segmentation.
pub(super) fn of_segments(
    segmentation: &Segmentation,
    frame: &Frame,
    image: &Geometry,
    rules: &MaskRules,
) -> Result<Vec<LabelledNodule>, Error> {
    check_series(frame, &segmentation.referenced)?;
    check_frame(frame, &segmentation.referenced.frames_of_reference)?;
    let lie = segments::locate(segmentation, image, rules.resample, rules.off_grid)?;
    let is_resampled = matches!(lie, segments::SegmentationPlacement::OwnGrid(..));
    let is_single = segmentation.segments.len() == 1;
    let mut nodules = Vec::new();
    for segment in &segmentation.segments {
        let number = segment.number.to_string();
        let mut add = |key: String, placed, lost| {
            let id = format!("{key} {}", segment.label).trim_end().to_owned();
            let nodule = LabelledNodule::new(key, id, placed, &segmentation.repairs);
            nodules.push(if is_resampled { nodule.resampled(lost, rules)? } else { nodule });
            Ok::<_, Error>(())
        };
        let parts = lie.segment_masks(segment, image, is_single);
        if parts.is_empty() {
            add(number.clone(), None, 0.0)?;
        }
        for (part, segments::SegmentPart { placed, lost }) in (1..).zip(parts) {
            let key = if is_single { format!("{number}.{part}") } else { number.clone() };
            add(key, placed, lost)?;
        }
    }
    Ok(nodules)
}

/// The regions of a structure set that are nodules, and the others, each with the reason.
///
/// METHOD: without names, a region of points only is no nodule, whatever its type: it marks a place and encloses nothing.
pub(super) fn choose<'a>(
    structures: &'a StructureSet,
    rules: &MaskRules,
) -> (Vec<&'a Roi>, Vec<(&'a Roi, String)>) {
    let (mut chosen, mut left) = (Vec::new(), Vec::new());
    for roi in &structures.rois {
        let is_named = if rules.rois.is_empty() {
            NODULE_TYPES.contains(&roi.interpreted_type.as_str())
        } else {
            has_name(&roi.name, rules)
        };
        let is_points = !roi.contours.is_empty()
            && roi.contours.iter().all(|contour| contour.geometric_type == POINT);
        if is_named && is_points {
            left.push((roi, "has points only, which enclose nothing".to_owned()));
        } else if is_named {
            chosen.push(roi);
        } else {
            let defect = roi.defect.as_ref().map(|defect| format!(" ({defect})"));
            let by = if rules.rois.is_empty() { "its type" } else { "`masks.rois`" };
            let reason = format!("is no nodule by {by}{}", defect.unwrap_or_default());
            left.push((roi, reason));
        }
    }
    (chosen, left)
}

/// Whether a name matches one of the settings' patterns.
fn has_name(name: &str, rules: &MaskRules) -> bool {
    // The patterns were checked when the pipeline file was read.
    let mut patterns = rules.rois.iter().filter_map(|pattern| glob::Pattern::new(pattern).ok());
    patterns.any(|pattern| pattern.matches(name))
}

/// The nodules of regions.
///
/// METHOD: where the file names the scan's own series, another frame of reference is a writer's fault and is noted: the
/// points are checked to lie on the scan's slices. Otherwise the frame of reference is all that ties them to the scan.
pub(super) fn of_rois(
    structures: &StructureSet,
    chosen: &[&Roi],
    frame: &Frame,
    image: &Geometry,
    rules: &MaskRules,
) -> Result<Vec<LabelledNodule>, Error> {
    check_series(frame, &structures.referenced)?;
    let names_series =
        frame.series_instance_uid().is_some_and(|uid| structures.referenced.series.contains(uid));
    let contour_rules = ContourRules { off_plane: rules.off_plane, edge: rules.edge };
    let nodule = |roi: &&Roi| {
        if let Some(defect) = &roi.defect {
            return Err(Error::RoiDefect { roi: roi.label(), defect: defect.clone() });
        }
        let own = roi.frame_of_reference_uid.clone().map(|uid| BTreeSet::from([uid]));
        let whole = &structures.referenced.frames_of_reference;
        let same_frame = check_frame(frame, own.as_ref().unwrap_or(whole));
        let mut irregularities = BTreeSet::new();
        match same_frame {
            Err(_) if names_series => {
                irregularities.insert(Irregularity::OtherFrame);
            }
            same_frame => same_frame?,
        }
        let mut lines = Vec::with_capacity(roi.contours.len());
        for contour in &roi.contours {
            match contour.geometric_type.as_str() {
                closed if CLOSED.contains(&closed) => lines.push(contour.points_mm.clone()),
                POINT => {
                    irregularities.insert(Irregularity::PointContour);
                }
                other => {
                    let found = other.to_owned();
                    return Err(Error::ContourType { roi: roi.name.clone(), found });
                }
            }
        }
        let enclosed = planar_contours::mask(&lines, image, &contour_rules)
            .map_err(|source| Error::ContourOffImage { roi: roi.name.clone(), source })?;
        irregularities.extend(enclosed.irregularities);
        let key = roi.number.map(|number| number.to_string()).unwrap_or_default();
        let id = if roi.name.is_empty() { key.clone() } else { roi.name.clone() };
        let irregularities = irregularities.into_iter().map(Irregularity::name).collect();
        Ok(LabelledNodule { key, id, placed: enclosed.mask, irregularities })
    };
    chosen.iter().map(nodule).collect()
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

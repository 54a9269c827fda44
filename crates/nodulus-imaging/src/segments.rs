//! Frames of a DICOM segmentation on the slices of its image.

use super::components;
use super::regrid::{self, GridAlignment, GridMismatch, MaskExtent, SLICE_TOLERANCE};
use nodulus_formats::dicom::{Plane, Segment, Segmentation};
use nodulus_formats::volume::{Geometry, InvalidGeometry, PlacedMask};
use std::collections::BTreeMap;

/// Largest number of frames in a grid.
const MOST_FRAMES: f64 = 65_536.0;

/// Largest number of voxels of a grid that several segmentations share: 2 GiB of bits.
const MOST_VOXELS: usize = 1 << 34;

/// Distance up to which frames have the same position along their normal.
const SAME_PLANE_MM: f64 = 1e-3;

/// A segmentation does not fit its image.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A frame lies on none of the image's slices.
    #[error("frame {frame} is on no slice of its image")]
    OffSlices {
        /// The frame, from 1.
        frame: usize,
        /// The frame's grid and the image's.
        #[source]
        grid: Box<GridMismatch>,
    },
    /// Two frames show one segment at the same position.
    #[error("frames {0} and {1} show segment {2} at one position")]
    Repeated(usize, usize, u16),
    /// The frames form no grid.
    #[error("frames make up no grid: {0}")]
    NoGrid(String),
    /// A frame has no valid geometry.
    #[error(transparent)]
    Geometry(#[from] InvalidGeometry),
}

/// Placement of a segmentation on its image.
#[derive(Clone, Debug, PartialEq)]
pub enum SegmentationPlacement {
    /// Each frame is a slice of the image.
    Slices(Vec<GridAlignment>),
    /// Frames are slices of their own grid: the slice of each frame, and the grid.
    OwnGrid(Vec<usize>, Geometry),
}

/// Finds the placement of a segmentation on an image: each frame lies on a slice, within `off_grid` of a voxel along
/// each axis; `resample` allows another grid.
///
/// A segment lists some slices; it is empty on the others.
///
/// # Errors
///
/// Fails if a frame lies on no slice and another grid is not allowed, or if the frames form no
/// grid.
pub fn locate(
    segmentation: &Segmentation,
    image: &Geometry,
    resample: bool,
    off_grid: f64,
) -> Result<SegmentationPlacement, Error> {
    let mut on = Vec::with_capacity(segmentation.planes.len());
    for (n, plane) in segmentation.planes.iter().enumerate() {
        // A single slice: the distance between slices does not matter.
        match regrid::align(&plane.geometry(1.0, 1)?, image, MaskExtent::Slice, off_grid) {
            Ok(slice) => on.push(slice),
            Err(_) if resample => return own_grid(segmentation),
            Err(grid) => return Err(Error::OffSlices { frame: n + 1, grid }),
        }
    }
    for segment in &segmentation.segments {
        let positions = segment.frames.iter().map(|(frame, _)| on[*frame].voxel([0; 3]));
        once(segment, positions)?;
    }
    Ok(SegmentationPlacement::Slices(on))
}

/// A segment, or a component of it, on the image.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentPart {
    /// Its voxels; `None` where resampling leaves it without any.
    pub placed: Option<PlacedMask>,
    /// Share of its own voxels that lie outside the image.
    pub lost: f64,
}

impl SegmentationPlacement {
    /// A segment's voxels in the image; its 26-connected components if `split`. No parts where the segment has no voxel.
    pub fn segment_masks(
        &self,
        segment: &Segment,
        image: &Geometry,
        split: bool,
    ) -> Vec<SegmentPart> {
        let parts = |whole: Option<PlacedMask>| match whole {
            Some(whole) if split => components::split(&whole),
            whole => whole.into_iter().collect(),
        };
        let frames = segment.frames.iter();
        match self {
            Self::Slices(on) => {
                let whole = PlacedMask::of_voxels(
                    frames.flat_map(|(n, mask)| mask.voxels().map(|voxel| on[*n].voxel(voxel))),
                );
                let whole_part = |part| SegmentPart { placed: Some(part), lost: 0.0 };
                parts(whole).into_iter().map(whole_part).collect()
            }
            Self::OwnGrid(slice, grid) => {
                let whole = PlacedMask::of_voxels(
                    frames.flat_map(|(n, mask)| mask.voxels().map(|[i, j, _]| [i, j, slice[*n]])),
                );
                let resampled = |part: &PlacedMask| SegmentPart {
                    placed: regrid::resample(part, grid, image),
                    lost: regrid::share_outside(part, grid, image),
                };
                parts(whole).iter().map(resampled).collect()
            }
        }
    }
}

/// Refuses a segment that is shown twice at one position.
fn once<P: Ord>(segment: &Segment, positions: impl Iterator<Item = P>) -> Result<(), Error> {
    let mut seen = BTreeMap::new();
    for ((frame, _), position) in segment.frames.iter().zip(positions) {
        if let Some(before) = seen.insert(position, frame + 1) {
            return Err(Error::Repeated(before, frame + 1, segment.number));
        }
    }
    Ok(())
}

/// The grid that the frames form, with each frame a slice of it.
fn own_grid(segmentation: &Segmentation) -> Result<SegmentationPlacement, Error> {
    let (slices, grid) = grid(&segmentation.planes, segmentation.spacing_between_slices_mm, 1)?;
    for segment in &segmentation.segments {
        once(segment, segment.frames.iter().map(|(frame, _)| slices[*frame]))?;
    }
    Ok(SegmentationPlacement::OwnGrid(slices, grid))
}

/// The common grid of several segmentations' frames, with at least `n_slices`.
///
/// # Errors
///
/// Fails if there is no such grid, if it is too large, or if they have different distances between
/// slices.
pub fn common_grid(segmentations: &[&Segmentation], n_slices: usize) -> Result<Geometry, Error> {
    let planes: Vec<Plane> = segmentations.iter().flat_map(|s| s.planes.iter().copied()).collect();
    let mut steps = segmentations.iter().filter_map(|s| s.spacing_between_slices_mm);
    let step = steps.next();
    if let Some((a, b)) =
        step.zip(steps.find(|other| step.is_some_and(|s| (s - other).abs() > SAME_PLANE_MM)))
    {
        return Err(Error::NoGrid(format!("SpacingBetweenSlices is {a} mm and {b} mm")));
    }
    let (_, grid) = grid(&planes, step, n_slices)?;
    if grid.n_voxels() > MOST_VOXELS {
        let why = format!("{:?} voxels are more than {MOST_VOXELS}", grid.size());
        return Err(Error::NoGrid(why));
    }
    Ok(grid)
}

/// The grid that planes form, with at least `n_slices`, and the slice of each plane.
///
/// METHOD: slices are `SpacingBetweenSlices` apart, or if that is missing, as far as the nearest
/// two frames; each frame must lie at a whole number of such steps from the first.
fn grid(
    planes: &[Plane],
    spacing_between_slices_mm: Option<f64>,
    n_slices: usize,
) -> Result<(Vec<usize>, Geometry), Error> {
    let no_grid = |why: String| Error::NoGrid(why);
    let first = planes.first().ok_or_else(|| no_grid("there are none".to_owned()))?;
    let normal = first.geometry(1.0, 1)?.axis(2);
    let mut along = Vec::with_capacity(planes.len());
    for (n, plane) in planes.iter().enumerate() {
        let apart: [f64; 3] = std::array::from_fn(|a| plane.position_mm[a] - first.position_mm[a]);
        let height: f64 = apart.iter().zip(normal).map(|(a, b)| a * b).sum();
        let sideways = (0..3).map(|a| (apart[a] - height * normal[a]).powi(2)).sum::<f64>().sqrt();
        let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        let is_parallel = same(&plane.orientation, &first.orientation)
            && same(&plane.spacing_mm, &first.spacing_mm);
        let pixel = plane.spacing_mm[0].min(plane.spacing_mm[1]);
        if !is_parallel || sideways > SLICE_TOLERANCE * pixel {
            let why = format!(
                "frame {} has other axes or another spacing than frame 1, or lies {sideways:.4} mm beside it",
                n + 1
            );
            return Err(no_grid(why));
        }
        along.push(height);
    }
    let mut sorted = along.clone();
    sorted.sort_by(f64::total_cmp);
    let gaps = sorted.windows(2).map(|pair| pair[1] - pair[0]);
    let nearest = gaps.filter(|gap| *gap > SAME_PLANE_MM).min_by(f64::total_cmp);
    let step = spacing_between_slices_mm.or(nearest);
    let step = step
        .filter(|step| *step > 0.0)
        .ok_or_else(|| no_grid("there is one frame, and no SpacingBetweenSlices".to_owned()))?;
    let lowest = sorted[0];
    let mut slices = Vec::with_capacity(planes.len());
    for (n, height) in along.iter().enumerate() {
        let steps = ((height - lowest) / step).round();
        let off = (height - lowest - steps * step).abs();
        if off > SLICE_TOLERANCE * step || steps >= MOST_FRAMES {
            let why = format!(
                "frame {} lies {:.4} mm above the lowest, which is no whole number of steps of {step} mm",
                n + 1,
                height - lowest
            );
            return Err(no_grid(why));
        }
        slices.push(steps as usize);
    }
    let mut bottom = *first;
    bottom.position_mm = std::array::from_fn(|a| first.position_mm[a] + lowest * normal[a]);
    let n_slices = slices.iter().max().map_or(0, |last| last + 1).max(n_slices);
    let grid = bottom.geometry(step, n_slices)?;
    Ok((slices, grid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_formats::dicom::{Plane, ReferencedUids};
    use nodulus_formats::repair::Repairs;
    use nodulus_formats::volume::Mask;
    use std::collections::BTreeSet;

    fn image() -> Geometry {
        Geometry::new([4, 3, 5], [0.5, 0.75, 2.0], [1.0, 2.0, 3.0], Geometry::AXIAL).unwrap()
    }

    /// Frames at heights above the image's first slice, each with the pixel (frame, 1) set.
    fn frames(heights_mm: &[f64]) -> Segmentation {
        let plane = |height: &f64| Plane {
            size: [4, 3],
            spacing_mm: [0.5, 0.75],
            position_mm: [1.0, 2.0, 3.0 + height],
            orientation: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        };
        let pixel =
            |n| PlacedMask { start: [n, 1, 0], mask: Mask::from_fn([1; 3], |_, _, _| true) };
        let frames = (0..heights_mm.len()).map(|n| (n, pixel(n))).collect();
        Segmentation {
            referenced: ReferencedUids::default(),
            planes: heights_mm.iter().map(plane).collect(),
            segments: vec![Segment { number: 1, label: String::new(), frames }],
            spacing_between_slices_mm: None,
            repairs: Repairs::default(),
        }
    }

    fn voxels(
        segmentation: &Segmentation,
        image: &Geometry,
        resample: bool,
    ) -> BTreeSet<[usize; 3]> {
        let placement = locate(segmentation, image, resample, SLICE_TOLERANCE).unwrap();
        let placed = placement.segment_masks(&segmentation.segments[0], image, false);
        placed.iter().filter_map(|part| part.placed.as_ref()).flat_map(PlacedMask::voxels).collect()
    }

    #[test]
    fn frames_go_to_their_slices_in_any_order() {
        let found = voxels(&frames(&[8.0, 0.0, 4.05]), &image(), false);
        assert_eq!(found, BTreeSet::from([[0, 1, 4], [1, 1, 0], [2, 1, 2]]));
        assert_eq!(voxels(&frames(&[]), &image(), false), BTreeSet::new());
    }

    #[test]
    fn frames_across_the_slices_are_voxels_too() {
        // Columns along k, rows along j: frames at i.
        let mut across = frames(&[0.0, 0.0]);
        for (i, plane) in across.planes.iter_mut().enumerate() {
            plane.size = [5, 3];
            plane.spacing_mm = [2.0, 0.75];
            plane.position_mm = [1.0 + 0.5 * (3 - i) as f64, 2.0, 3.0];
            plane.orientation = [0.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        }
        assert_eq!(voxels(&across, &image(), false), BTreeSet::from([[3, 1, 0], [2, 1, 1]]));
    }

    #[test]
    fn a_frame_off_the_slices_is_refused_or_resampled() {
        let between = frames(&[0.9, 2.9]);
        let error = locate(&between, &image(), false, SLICE_TOLERANCE).unwrap_err();
        assert!(matches!(error, Error::OffSlices { frame: 1, .. }), "{error:?}");
        // 3.9 and 5.9 mm: the slices at 3 and 5 mm lie within them.
        assert_eq!(voxels(&between, &image(), true), BTreeSet::from([[0, 1, 0], [1, 1, 1]]));
        let uneven = locate(&frames(&[0.9, 2.9, 3.9, 5.4]), &image(), true, SLICE_TOLERANCE)
            .unwrap_err()
            .to_string();
        assert!(uneven.contains("frame 4 lies 4.5000 mm"), "{uneven}");
        let mut turned = between.clone();
        turned.planes[1].orientation = [0.0, 1.0, 0.0, 1.0, 0.0, 0.0];
        assert!(matches!(locate(&turned, &image(), true, SLICE_TOLERANCE), Err(Error::NoGrid(_))));
        assert!(matches!(
            locate(&frames(&[0.9]), &image(), true, SLICE_TOLERANCE),
            Err(Error::NoGrid(_))
        ));
        let far = locate(&frames(&[0.9, 2.9, 1e9]), &image(), true, SLICE_TOLERANCE);
        assert!(matches!(far, Err(Error::NoGrid(_))));
    }

    #[test]
    fn several_share_one_grid() {
        let [low, high] = [frames(&[2.0, 4.0]), frames(&[8.0])];
        let grid = common_grid(&[&low, &high], 2).unwrap();
        assert_eq!((grid.size(), grid.spacing().ijk()), ([4, 3, 4], [0.5, 0.75, 2.0]));
        assert_eq!(voxels(&high, &grid, false), BTreeSet::from([[0, 1, 3]]));
        let of = |step| Segmentation { spacing_between_slices_mm: Some(step), ..high.clone() };
        assert_eq!(common_grid(&[&of(2.0), &of(2.0)], 2).unwrap().size(), [4, 3, 2]);
        let error = common_grid(&[&of(2.0), &of(1.0)], 2).unwrap_err().to_string();
        assert_eq!(error, "frames make up no grid: SpacingBetweenSlices is 2 mm and 1 mm");
        assert!(matches!(common_grid(&[&high, &high], 2), Err(Error::NoGrid(_))));
        let mut far = frames(&[0.0, 1.0, 60_000.0]);
        far.planes.iter_mut().for_each(|plane| plane.size = [1024, 1024]);
        let error = common_grid(&[&far], 2).unwrap_err().to_string();
        assert!(error.contains("[1024, 1024, 60001] voxels are more than"), "{error}");
    }

    #[test]
    fn a_position_is_shown_once() {
        let error =
            locate(&frames(&[0.0, 0.0]), &image(), false, SLICE_TOLERANCE).unwrap_err().to_string();
        assert_eq!(error, "frames 1 and 2 show segment 1 at one position");
        assert!(matches!(
            locate(&frames(&[0.9, 0.9, 2.9]), &image(), true, SLICE_TOLERANCE),
            Err(Error::Repeated(1, 2, 1))
        ));
    }
}

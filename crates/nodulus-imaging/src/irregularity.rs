//! What is unusual about a reader's mark, each with the rule that settles it.

/// Something unusual about a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Irregularity {
    /// A line is not closed: its ends are joined by a straight line.
    OpenContour,
    /// A line has steps of more than one pixel: they are joined by straight lines.
    ContourGap,
    /// A contour of an outlined nodule has one or two points: it surrounds nothing.
    PointContour,
    /// A line surrounds no pixel: it adds nothing to the mask.
    NoInterior,
    /// A slice has several inclusions: they are united.
    SeveralInclusions,
    /// A line or point is at the height of no slice: a line is left out of the mask, a point has no
    /// slice.
    OffSlice,
    /// A line or point leaves the image: a line is left out of the mask.
    OffImage,
    /// The slices do not lie along the patient's z, so that heights tell no slice.
    NotAxial,
    /// The outline has no voxel in the scan: the mark has no mask and is not merged.
    NoVoxels,
    /// An outlined nodule has no ratings.
    Unrated,
    /// The session has another mark of the same id: both are kept.
    DuplicateId,
    /// The mask was drawn on another grid and resampled onto the scan's, as was asked for.
    Resampled,
}

impl Irregularity {
    /// Name in `marks`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenContour => "open_contour",
            Self::ContourGap => "contour_gap",
            Self::PointContour => "point_contour",
            Self::NoInterior => "no_interior",
            Self::SeveralInclusions => "several_inclusions",
            Self::OffSlice => "off_slice",
            Self::OffImage => "off_image",
            Self::NotAxial => "not_axial",
            Self::NoVoxels => "no_voxels",
            Self::Unrated => "unrated",
            Self::DuplicateId => "duplicate_id",
            Self::Resampled => "resampled",
        }
    }
}

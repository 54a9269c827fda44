//! Irregularities of readers' marks, each with the rule that resolves it.

/// An irregularity of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Irregularity {
    /// A line is not closed: its ends are joined by a straight line.
    OpenContour,
    /// A line has steps of more than one pixel: they are joined by straight lines.
    ContourGap,
    /// A contour of an outlined nodule has one or two points: it encloses nothing.
    PointContour,
    /// A contour encloses no pixel: it adds nothing to the mask.
    NoInterior,
    /// A slice has several inclusions: they are united.
    SeveralInclusions,
    /// A contour or point is at the height of no slice: a contour is excluded from the mask, a
    /// point has no slice.
    OffSlice,
    /// A contour or point leaves the image: a contour is excluded from the mask.
    OffImage,
    /// No height of the mark's session is that of a slice: the reader read another scan.
    OtherScan,
    /// The slices are not perpendicular to the patient's z, so heights identify no slice.
    NotAxial,
    /// The contours enclose no voxel of the scan: the mark has no mask and is not merged.
    NoVoxels,
    /// An outlined nodule has no ratings.
    Unrated,
    /// A rating is off LIDC's scale: it is kept as read and counts nowhere.
    RatingOffScale,
    /// The session has another mark of the same id: both are kept.
    DuplicateId,
    /// The mask was drawn on another grid and resampled onto the scan's, as requested.
    Resampled,
    /// Some voxels of a resampled mask lie outside the scan, no more than requested: they are lost.
    PartLost,
    /// The mask's voxels are the scan's, but lie more than 0.001 mm off them: within the tolerance.
    OffGrid,
    /// A contour is there twice: one of them counts.
    DuplicateContour,
    /// A contour lies further off its slice's plane than a tenth of the gap between slices: within the tolerance.
    OffPlane,
    /// Contours were drawn on two planes near one slice: those of the nearer plane count.
    OtherPlane,
    /// The mask names the scan's series, and a frame of reference that is not the scan's: the series counts.
    OtherFrame,
}

impl Irregularity {
    /// Name in the `marks` table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenContour => "open_contour",
            Self::ContourGap => "contour_gap",
            Self::PointContour => "point_contour",
            Self::NoInterior => "no_interior",
            Self::SeveralInclusions => "several_inclusions",
            Self::OffSlice => "off_slice",
            Self::OffImage => "off_image",
            Self::OtherScan => "other_scan",
            Self::NotAxial => "not_axial",
            Self::NoVoxels => "no_voxels",
            Self::Unrated => "unrated",
            Self::RatingOffScale => "rating_off_scale",
            Self::DuplicateId => "duplicate_id",
            Self::Resampled => "resampled",
            Self::PartLost => "part_lost",
            Self::OffGrid => "off_grid",
            Self::DuplicateContour => "duplicate_contour",
            Self::OffPlane => "off_plane",
            Self::OtherPlane => "other_plane",
            Self::OtherFrame => "other_frame",
        }
    }
}

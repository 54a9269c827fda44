//! What the readers of one series marked.

/// The reads of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotations {
    /// The series that was read.
    pub series_instance_uid: String,
    /// The study, if the file names it.
    pub study_instance_uid: Option<String>,
    /// When the reads were delivered, as `YYYY-MM-DD HH:MM:SS`, if the file says so. A file of the same series
    /// delivered later corrects this one.
    pub delivered: Option<String>,
    /// The readers' sessions, in the file's order: not always four, and never of a named person.
    pub sessions: Vec<Session>,
}

/// What one reader marked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// Nodules, in the file's order.
    pub nodules: Vec<ReadNodule>,
    /// Marks that are not nodules, in the file's order.
    pub non_nodules: Vec<NonNodule>,
}

/// A nodule as one reader marked it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadNodule {
    /// The reader's id of the nodule; not always unique in a session.
    pub reader_nodule_id: String,
    /// The ratings; `None` if the file has none, or only zeros.
    pub ratings: Option<Ratings>,
    /// The contours, in the file's order; some are single points.
    pub contours: Vec<Contour>,
}

/// LIDC's kinds of nodule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoduleKind {
    /// A nodule of 3 mm or more.
    Nodule,
    /// A nodule under 3 mm, marked by one point.
    SmallNodule,
}

impl ReadNodule {
    /// Which of LIDC's two kinds of nodule this is.
    ///
    /// METHOD: LIDC outlines and rates nodules of 3 mm or more, and marks smaller ones by one point without ratings
    /// (Armato et al. 2011). One unrated point is therefore a small nodule, and everything else is not: neither the
    /// two unrated outlines among the 20,362 nodules of all reads, nor outlines that have one or two points on some
    /// of their slices.
    pub fn kind(&self) -> NoduleKind {
        match self.contours.as_slice() {
            [only] if self.ratings.is_none() && only.points.len() == 1 => NoduleKind::SmallNodule,
            _ => NoduleKind::Nodule,
        }
    }
}

/// A reader's ratings of a nodule, on LIDC's scales (1 to 4, 5 or 6); `None` where not rated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ratings {
    /// How hard the nodule is to see: 1 = extremely subtle, 5 = obvious.
    pub subtlety: Option<i64>,
    /// Composition: 1 = soft tissue, 2 = fluid, 3 = fat, 4 = air.
    pub internal_structure: Option<i64>,
    /// Pattern of calcification: 1 = popcorn to 5 = central, 6 = absent.
    pub calcification: Option<i64>,
    /// Shape: 1 = linear, 5 = round.
    pub sphericity: Option<i64>,
    /// Border: 1 = poorly defined, 5 = sharp.
    pub margin: Option<i64>,
    /// Lobulation: 1 = none, 5 = marked (some sites used the scale reversed).
    pub lobulation: Option<i64>,
    /// Spiculation: 1 = none, 5 = marked (some sites used the scale reversed).
    pub spiculation: Option<i64>,
    /// Density: 1 = non-solid, 3 = part-solid, 5 = solid.
    pub texture: Option<i64>,
    /// Likelihood of cancer: 1 = highly unlikely, 5 = highly suspicious.
    pub malignancy: Option<i64>,
}

impl Ratings {
    /// Names of the elements, in the file's order.
    pub(super) const NAMES: [&str; 9] = [
        "subtlety",
        "internalStructure",
        "calcification",
        "sphericity",
        "margin",
        "lobulation",
        "spiculation",
        "texture",
        "malignancy",
    ];

    /// The values, in the order of the names.
    pub(super) fn values(&self) -> [Option<i64>; 9] {
        [
            self.subtlety,
            self.internal_structure,
            self.calcification,
            self.sphericity,
            self.margin,
            self.lobulation,
            self.spiculation,
            self.texture,
            self.malignancy,
        ]
    }

    pub(super) fn from_values(values: [Option<i64>; 9]) -> Self {
        let [
            subtlety,
            internal_structure,
            calcification,
            sphericity,
            margin,
            lobulation,
            spiculation,
            texture,
            malignancy,
        ] = values;
        Self {
            subtlety,
            internal_structure,
            calcification,
            sphericity,
            margin,
            lobulation,
            spiculation,
            texture,
            malignancy,
        }
    }
}

/// A contour that a reader drew on one slice, or a single point.
#[derive(Clone, Debug, PartialEq)]
pub struct Contour {
    /// z of the slice's `ImagePositionPatient`, in millimetres.
    pub z_mm: f64,
    /// Whether the contour surrounds nodule, rather than a hole in it.
    pub inclusion: bool,
    /// The pixels (i, j) of the contour, in order; at least one.
    pub points: Vec<[i64; 2]>,
    /// `SOPInstanceUID` of the slice.
    pub sop_instance_uid: String,
}

/// A mark of 3 mm or more that is not a nodule.
#[derive(Clone, Debug, PartialEq)]
pub struct NonNodule {
    /// The reader's id of the mark.
    pub id: String,
    /// z of the slice's `ImagePositionPatient`, in millimetres.
    pub z_mm: f64,
    /// Pixel (i, j).
    pub point: [i64; 2],
    /// `SOPInstanceUID` of the slice.
    pub sop_instance_uid: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodule(ratings: Option<Ratings>, sizes: &[usize]) -> ReadNodule {
        let contour = |n: &usize| Contour {
            z_mm: -1.5,
            inclusion: true,
            points: vec![[3, 4]; *n],
            sop_instance_uid: "1.2".to_owned(),
        };
        ReadNodule {
            reader_nodule_id: "1".to_owned(),
            ratings,
            contours: sizes.iter().map(contour).collect(),
        }
    }

    #[test]
    fn only_one_unrated_point_is_a_small_nodule() {
        let rated = Some(Ratings { subtlety: Some(1), ..Ratings::default() });
        assert_eq!(nodule(None, &[1]).kind(), NoduleKind::SmallNodule);
        assert_eq!(nodule(rated, &[1]).kind(), NoduleKind::Nodule);
        assert_eq!(nodule(None, &[1, 1]).kind(), NoduleKind::Nodule);
        assert_eq!(nodule(None, &[28]).kind(), NoduleKind::Nodule);
        assert_eq!(nodule(None, &[]).kind(), NoduleKind::Nodule);
    }
}

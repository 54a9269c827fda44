//! Reads the points that a detector or a radiologist marked on a CT, from structure sets and structured reports.

use super::point::{Examined, PointSet};
use super::region_points::add_region;
use super::{report, structure_set};
use crate::dicom::element::data_set::{DicomFile, required};
use crate::dicom::element::{elements, values};
use crate::dicom::error::{Error, Problem, attribute_name};
use dicom_dictionary_std::{tags, uids};
use nodulus_faults::FaultClass;
use std::path::Path;

/// SOP classes of structure sets, and of the reports whose points are read.
const CLASSES: [&str; 6] = [
    uids::RT_STRUCTURE_SET_STORAGE,
    uids::ENHANCED_SR_STORAGE,
    uids::COMPREHENSIVE_SR_STORAGE,
    uids::COMPREHENSIVE3_DSR_STORAGE,
    uids::EXTENSIBLE_SR_STORAGE,
    uids::CHEST_CADSR_STORAGE,
];

/// Reads the points of a structure set or of a structured report.
///
/// METHOD: in a structure set, each contour of type POINT is a point, and each region with closed contours is one:
/// the mean of their centroids, weighted by area. In a report, each POINT of SCOORD3D or SCOORD is a point if it is
/// an item of a container or a finding, but not if a measurement was inferred from it. Other marks are listed as
/// skipped.
///
/// # Errors
///
/// Fails if the file cannot be read, is neither a structure set nor a report in a supported transfer syntax, is
/// truncated or malformed, or lacks an attribute that a point needs, the list of regions, or the content of the report.
pub fn read_points(file: &Path) -> Result<PointSet, Error> {
    let whole = DicomFile::read(file)?;
    parse(&whole).map_err(|problem| Error::file(file, problem))
}

/// Whether [`read_points`] reads a file, by its SOP class; false if it is damaged.
///
/// # Errors
///
/// Fails if the machine is at fault that the file cannot be read.
pub fn may_hold_points(file: &Path) -> Result<bool, Error> {
    let elements = match elements::read(file, &[tags::SOP_CLASS_UID]) {
        Err(error) if FaultClass::of(&error) == FaultClass::Machine => return Err(error),
        read => read.ok().flatten(),
    };
    let class = elements.and_then(|e| values::text(&e.values, tags::SOP_CLASS_UID).ok().flatten());
    Ok(class.is_some_and(|class| CLASSES.contains(&class.as_str())))
}

pub(crate) fn parse(whole: &DicomFile) -> Result<PointSet, Problem> {
    let wanted = [tags::SOP_CLASS_UID];
    let data = whole.data_set(&wanted)?;
    match required(data.ascii(tags::SOP_CLASS_UID)?, tags::SOP_CLASS_UID)? {
        uids::RT_STRUCTURE_SET_STORAGE => {
            let set = structure_set::parse(whole)?;
            // An empty list says that there are no regions; one that is lost says nothing.
            if set.has_lost_list {
                return Err(Problem::Missing(attribute_name(tags::STRUCTURE_SET_ROI_SEQUENCE)));
            }
            let examined = Examined::one_of(&set.referenced.series);
            let referenced = set.referenced;
            let mut found = PointSet { referenced, examined, ..PointSet::default() };
            for roi in &set.rois {
                add_region(&mut found, roi);
            }
            Ok(found)
        }
        class if CLASSES.contains(&class) => report::parse(whole),
        other => {
            let expected = "RT Structure Set, Enhanced, Comprehensive, Comprehensive 3D or Extensible SR, \
                            or Chest CAD SR Storage";
            Err(Problem::value(tags::SOP_CLASS_UID, other, expected))
        }
    }
}

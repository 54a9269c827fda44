//! CT series in DICOM files, and the segmentations, structure sets and reports that refer to them.
//!
//! nodulus reads CT Image Storage and Enhanced CT with several frames in a file; `docs/dicom.md` lists the transfer
//! syntaxes. `docs/clinical.md` describes the segmentations and structure sets that are read, `docs/outputs.md` those
//! that are written.
//!
//! A header is read up to its pixel data and no further, and only the attributes that are used. Every length is checked
//! against the file before anything is allocated.
//!
//! Folders build on each other in this order: `element` (bytes to elements), `series` (elements to a CT), `annotation`
//! (objects that refer to a CT), `write`.

mod date;
mod irregularities;
mod passed_over;
mod series_info;
mod found_value;
mod problem;
mod error;
mod error_text;
mod cause;
mod element;
mod series;
mod annotation;
mod write;

pub use annotation::object::{AnnotationObject, read_annotation_object};
pub use annotation::point::{Examined, Point, PointPosition, PointSet};
pub use annotation::read_points::{may_hold_points, read_points};
pub use annotation::referenced::ReferencedUids;
pub use annotation::segmentation::{Plane, Segment, Segmentation};
pub use annotation::structure_set::{PatientContour, Roi, StructureSet};
pub use date::{Date, shifted_date};
pub use error::{Error, Problem};
pub use found_value::FoundValue;
pub use irregularities::{Irregularities, Irregularity};
pub use passed_over::{PassedOver, PassedOverRule};
pub use series::announced::announced_instances;
pub use series::estimate::{estimate_bytes, object_bytes};
pub use series::find::{
    FileContent, SeriesFiles, SeriesListing, contents_of_each, files_of_series, find_series,
    list_series, series_uids,
};
pub use series::lost_slices::{UnreadableFile, lost_slices};
pub use series::open::OpenSeries;
pub use series::outline::{SeriesOutline, UnreadableSeries};
pub use series::read::{CtFacts, CtSeries, read_facts, read_series, read_slices};
pub use series::source_series::{SourceSeries, undecoded_attributes};
pub use series::tilt::Tilt;
pub use series::tolerances::Tolerances;
pub use series_info::{RefusedSeries, SeriesInfo, SeriesLabels, SliceLabels};
pub use write::deidentify::Pseudonyms;
pub use write::derived_object::{Author, Creation};
pub use write::new_object::NewObject;
pub use write::references::ObjectReference;
pub use write::rejection_note::rejection_note;
pub use write::report::{NewMeasurements, report};
pub use write::secondary_capture::{NewPicture, secondary_capture};
pub use write::segmentation::{NewSegment, SegmentMaker, segmentation};
pub use write::series::{NewSeries, Numbering, write_series};
pub use write::structure_set::{NewContour, NewRoi, structure_set};

#[cfg(test)]
mod tests;

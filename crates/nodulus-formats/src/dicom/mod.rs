//! CT series in DICOM files: CT Image Storage, and Enhanced CT of several frames a file;
//! `docs/dicom.md` lists the transfer syntaxes. Segmentations and structure sets drawn on them:
//! `docs/clinical.md`; those that are written, and points that are read: `docs/outputs.md`.
//!
//! A header is read up to its pixel data and no further, and only the attributes that are used;
//! lengths are checked against the file before anything is allocated.

mod announced;
mod confidentiality;
mod date;
mod deflated;
mod derived_object;
mod drawn;
mod elements;
mod encapsulated;
mod error;
mod find;
mod frame;
mod functional_groups;
mod header;
mod memory;
mod multi_frame;
mod nested;
mod open;
mod new_object;
mod pixels;
mod points;
mod read;
mod report;
mod segmentation;
mod segmentation_groups;
mod segmentation_writer;
mod sop_class;
mod source_series;
mod stack;
mod structure_set;
mod structure_set_writer;
mod syntax;
mod write;

pub use announced::announced_instances;
pub use confidentiality::Pseudonyms;
pub use date::Date;
pub use date::shifted_date;
pub use derived_object::Creation;
pub use drawn::{Drawn, Referenced, read_drawn};
pub(super) use error::moved_io;
pub use error::{Error, Problem};
pub use find::{SeriesFiles, files_of_series, find_series, kinds, series_of_each, series_uids};
pub use memory::memory_bytes;
pub use new_object::NewObject;
pub use open::OpenSeries;
pub use points::{Place, Point, Points, may_hold_points, read_points};
pub use read::{CtSeries, RefusedSeries, SeriesInfo, read_series, read_slices};
pub use segmentation::{Plane, Segment, Segmentation};
pub use segmentation_writer::{NewSegment, segmentation};
pub use source_series::SourceSeries;
pub use stack::Tolerances;
pub use structure_set::{PatientContour, Roi, StructureSet};
pub use structure_set_writer::{NewContour, NewRoi, structure_set};
pub use write::{NewSeries, Numbering, write_series};

#[cfg(test)]
mod compressed_tests;
#[cfg(test)]
mod drawn_tests;
#[cfg(test)]
mod multi_frame_tests;
#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod writer_tests;

//! CT series in DICOM files: CT Image Storage, and Enhanced CT of several frames a file;
//! `docs/dicom.md` lists the transfer syntaxes.
//!
//! A header is read up to its pixel data and no further, and only the attributes that are used;
//! lengths are checked against the file before anything is allocated.

mod codec;
mod deflated;
mod elements;
mod encapsulated;
mod error;
mod find;
mod frame;
mod functional_groups;
mod header;
mod multi_frame;
mod pixels;
mod read;
mod sop_class;
mod stack;
mod syntax;
mod write;

pub(super) use error::moved_io;
pub use error::{Error, Problem};
pub use find::{SeriesFiles, files_of_series, find_series, kinds, series_uids};
pub use read::{CtSeries, RefusedSeries, SeriesInfo, read_series};
pub use stack::Tolerances;
pub use write::{NewSeries, Numbering, write_series};

#[cfg(test)]
mod compressed_tests;
#[cfg(test)]
mod multi_frame_tests;
#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod samples;

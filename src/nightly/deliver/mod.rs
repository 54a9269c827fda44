//! The files of a scored scan: DICOM SEG, RTSTRUCT, NIfTI, PNG and JSON; `docs/outputs.md`.

mod error;
mod output;
mod delivery;
mod objects;
mod labels;
mod overlay;
mod document;
mod write;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use output::{DeliveredFile, OutputKind, is_dicom_file};
pub use overlay::slices_needed;
pub use write::deliver;

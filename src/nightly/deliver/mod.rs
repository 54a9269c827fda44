//! The files of a scored scan: DICOM SEG, RTSTRUCT, SR, Secondary Capture and KO, NIfTI, PNG and JSON;
//! `docs/outputs.md`.

mod error;
mod output;
mod delivery;
mod earlier;
mod labels;
mod overlay;
mod objects;
mod document;
mod write;

#[cfg(test)]
mod tests;

pub use earlier::{EarlierObjects, ResultObjects};
pub use error::Error;
pub use output::{DeliveredFile, OutputKind, is_dicom_file};
pub use overlay::slices_needed;
pub use write::deliver;

//! Elements of a DICOM file: their headers, values and sequences, and where the pixel data is.

pub(super) mod syntax;
pub(super) mod deflated;
pub(super) mod header;
pub(super) mod scanner;
pub(super) mod values;
mod distinct;
pub(super) mod text;
pub(super) mod fragments;
pub(super) mod functional_groups;
pub(super) mod elements;
pub(super) mod data_set;

//! LIDC's XML (`LidcReadMessage`): what each reader of a CT series marked.
//!
//! Source: Armato et al. 2011, and the `LidcReadMessage.xsd` that the files name. Pixel positions are (x, y) = (i,
//! j), counted from 0 at the centre of the first pixel. Heights are the z of `ImagePositionPatient`, in millimetres.

mod reads;
mod error;
mod encoding;
mod bounds;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use read::{read, read_as};
pub use reads::{Annotations, Contour, NoduleKind, NonNodule, Ratings, ReadNodule, Session};
pub use write::write;

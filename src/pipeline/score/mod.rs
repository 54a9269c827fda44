//! New scans in, results out.

pub mod deliver;
pub mod identity;
mod keyed_hash;
pub mod scored;

pub use deliver::{Delivered, Output, deliver};
pub use identity::Identity;

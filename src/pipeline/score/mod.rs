//! New scans in, results out: what a nightly job does with a folder that scans arrive in.

pub mod deliver;
pub mod identity;
mod keyed_hash;
pub mod scored;
pub mod settings;
pub mod night;
pub mod event;
pub mod summary;
pub mod status;
pub mod candidates;
pub mod model;
pub mod view;
mod budget;
mod discover;
mod ledger;
mod nodules;
mod places;
mod read;
mod rows;
mod scan;
mod segment;
mod stamp;
mod told;
mod triage;
mod write;

pub use settings::Settings;
pub use summary::Summary;
pub mod warnings;
pub mod visit;
pub mod growth;
pub mod drift;
mod drift_charts;
pub mod page;

pub use deliver::{Delivered, Output, deliver};
pub use identity::Identity;

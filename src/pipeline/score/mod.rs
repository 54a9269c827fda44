//! New scans in, results out: what a nightly job does with a folder that scans arrive in.

pub mod settings;
pub mod identity;
mod keyed_hash;
mod told;
mod stamp;
mod places;
mod discover;
pub mod candidates;
mod scan;
mod budget;
pub mod model;
mod segment;
pub mod scored;
mod nodules;
pub mod warnings;
pub mod deliver;
pub mod visit;
pub mod growth;
mod rows;
mod ledger;
pub mod drift;
pub mod view;
mod drift_charts;
pub mod page;
mod drift_page;
pub mod event;
pub mod summary;
mod read;
mod triage;
mod write;
pub mod night;
pub mod status;

pub use deliver::{Delivered, Output, deliver};
pub use identity::Identity;
pub use settings::Settings;
pub use summary::Summary;

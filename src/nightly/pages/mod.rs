//! The page of drift in the store.

mod charts;
mod drift_page;
pub(super) mod drift_content;

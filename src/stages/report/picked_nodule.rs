//! Which nodules a report shows.

/// A nodule to show, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickedNodule {
    pub(super) rank: &'static str,
    pub(super) model_id: String,
    pub(super) nodule_id: String,
}

//! Suggestions for a mistyped name.

pub(crate) use nodulus_settings::did_you_mean;

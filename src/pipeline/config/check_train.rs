//! The settings of `[train]`.

use super::error::{Error, range};
use crate::stages::train;

/// Fails if no network can be trained by them on regions of a size.
pub(super) fn check(train: &train::Config, crop_size: usize) -> Result<(), Error> {
    let model_size = train.model.image_size;
    range(
        model_size == crop_size,
        "train.model.image_size",
        "the same as `crop.size`",
        format!("{model_size}, while `crop.size` is {crop_size}"),
    )?;
    range(!train.phases.is_empty(), "train.phases", "at least one phase", "none".to_owned())?;
    let minutes = train.save_minutes;
    let fits = (0.0..=1e6).contains(&minutes);
    range(fits, "train.save_minutes", "from 0 to 1000000", minutes.to_string())?;
    train.model.check()?;
    for (n, phase) in train.phases.iter().enumerate() {
        let mut before = train.phases[..n].iter();
        range(
            before.all(|other| other.name != phase.name),
            "train.phases.name",
            "another for each phase",
            format!("`{}` twice", phase.name),
        )?;
        range(phase.patience != Some(0), "train.phases.patience", "at least 1", "0".to_owned())?;
        phase.schedule.check(&train.model)?;
    }
    Ok(())
}

//! Whether the settings of `[train]` fit each other and the regions.

use crate::stages::train;
use nodulus_settings::Fault;

/// Most bytes that one unit of the network may need for a batch: more is a slip of the keyboard.
const BATCH_BYTES: u64 = 64 << 30;

/// Fails if no network can be trained by them on regions of a size.
pub(super) fn check(train: &train::Config, crop_size: usize) -> Result<(), Fault> {
    train.model.check_at("train.model")?;
    let model_size = train.model.image_size;
    if model_size != crop_size {
        let key = "train.model.image_size";
        let message = format!(
            "`{key}` is {model_size}, expected {crop_size}, the same as `crop.size`; change one of them"
        );
        return Err(Fault::new(key, message).or("crop.size").or("train.model"));
    }
    for (n, phase) in train.phases.iter().enumerate() {
        let section = format!("train.phases.{n}");
        let same = train.phases[..n].iter().position(|other| other.name == phase.name);
        if let Some(same) = same {
            let key = format!("{section}.name");
            let message = format!(
                "`{key}` is {:?}, which `train.phases.{same}.name` is too; give each phase a name of its own",
                phase.name
            );
            return Err(Fault::new(key, message).or(format!("train.phases.{same}.name")));
        }
        let bytes = train.model.image_bytes().saturating_mul(phase.schedule.batch as u64);
        if bytes > BATCH_BYTES {
            let key = format!("{section}.schedule.batch");
            let message = format!(
                "`{key}` is {}, for which a unit of this network needs {} GiB, expected at most {} GiB; lower `batch`, \
                 `train.model.width` or `crop.size`",
                phase.schedule.batch,
                bytes >> 30,
                BATCH_BYTES >> 30
            );
            return Err(Fault::new(key, message).or("train.model"));
        }
        phase.schedule.check_at(&format!("{section}.schedule"), &train.model)?;
    }
    Ok(())
}

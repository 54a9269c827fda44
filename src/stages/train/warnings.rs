//! Warnings about the course of a training.

/// An epoch's loss and Dice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochValues {
    /// Epoch within the phase, from 1.
    pub epoch: u64,
    /// Mean loss.
    pub loss: f64,
    /// Mean Dice over the training slices with nodule; none without such a slice.
    pub dice: Option<f64>,
    /// Mean Dice over the validation slices with nodule; none without such a slice.
    pub validation_dice: Option<f64>,
}

/// What may avoid a collapse.
pub(super) const REMEDY: &str =
    "`warm_up_epochs`, a lower learning rate or `train.start = \"prior\"` may avoid it";

/// METHOD: a network that outlines nothing has a Dice of nearly 0; the rest are single pixels.
const ZERO_DICE: f64 = 0.01;

/// METHOD: a loss falls still if the mean of the last fifth of the epochs is lower by this share than the mean of the fifth
/// before.
const FALLING: f64 = 0.02;

/// Whether a Dice is 0 but for single pixels.
pub(super) fn is_zero(dice: f64) -> bool {
    dice < ZERO_DICE
}

/// What the epochs of a phase, in order, warn of: a loss that is not a number, a Dice that fell to 0 or never rose, a loss that
/// still falls at the end. Empty without epochs.
pub fn warnings(epochs: &[EpochValues]) -> Vec<String> {
    let mut warnings = Vec::new();
    let at = |is_met: &dyn Fn(&EpochValues) -> bool| -> Vec<u64> {
        epochs.iter().filter(|values| is_met(values)).map(|values| values.epoch).collect()
    };
    let not_numbers = at(&|values| !values.loss.is_finite());
    if !not_numbers.is_empty() {
        warnings.push(format!("the loss is not a number in {}", named(&not_numbers)));
    }
    warnings.extend(fallen_to_zero(epochs, "Dice", |values| values.dice));
    let of_validation = |values: &EpochValues| values.validation_dice;
    warnings.extend(fallen_to_zero(epochs, "validation Dice", of_validation));
    if let Some(share) = fall_at_the_end(epochs) {
        warnings.push(format!(
            "the loss still falls at the end, by {:.0}% in the last fifth of the epochs: more epochs may help",
            100.0 * share
        ));
    }
    warnings
}

/// A warning of a Dice, called `name`, that fell to 0 after it had risen, or that never rose.
fn fallen_to_zero(
    epochs: &[EpochValues],
    name: &str,
    dice: impl Fn(&EpochValues) -> Option<f64>,
) -> Option<String> {
    let of_epoch = |values: &EpochValues| Some((values.epoch, is_zero(dice(values)?)));
    let zeros: Vec<(u64, bool)> = epochs.iter().filter_map(of_epoch).collect();
    let Some(first) = zeros.iter().position(|(_, is_zero)| !is_zero) else {
        let never = format!("the {name} is 0 in every epoch: the network outlines nothing");
        return (!zeros.is_empty()).then_some(never);
    };
    let fallen = zeros[first..].iter().filter(|(_, is_zero)| *is_zero);
    let fallen: Vec<u64> = fallen.map(|(epoch, _)| *epoch).collect();
    (!fallen.is_empty())
        .then(|| format!("the {name} fell to 0 in {} (collapse): {REMEDY}", named(&fallen)))
}

/// By how much of itself the loss fell at the end, if it falls still; `None` under two epochs.
fn fall_at_the_end(epochs: &[EpochValues]) -> Option<f64> {
    let width = (epochs.len() / 5).max(1);
    let last = epochs.len().checked_sub(width)?;
    let before = last.checked_sub(width)?;
    let mean = |part: &[EpochValues]| {
        part.iter().map(|values| values.loss).sum::<f64>() / part.len() as f64
    };
    let (before, last) = (mean(&epochs[before..last]), mean(&epochs[last..]));
    let share = (before - last) / before;
    (share > FALLING).then_some(share)
}

/// Epochs as text: "epoch 3", "epochs 3 and 4", "epochs 3, 4 and 6", "12 epochs, the first is 3".
fn named(epochs: &[u64]) -> String {
    const MOST: usize = 6;
    match epochs {
        [epoch] => format!("epoch {epoch}"),
        [first, .., _] if epochs.len() > MOST => {
            format!("{} epochs, the first is {first}", epochs.len())
        }
        [others @ .., last] => {
            let others: Vec<String> = others.iter().map(u64::to_string).collect();
            format!("epochs {} and {last}", others.join(", "))
        }
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(values: &[(f64, f64)]) -> Vec<EpochValues> {
        let epoch = |(n, &(loss, dice)): (usize, &(f64, f64))| EpochValues {
            epoch: n as u64 + 1,
            loss,
            dice: dice.is_finite().then_some(dice),
            validation_dice: None,
        };
        values.iter().enumerate().map(epoch).collect()
    }

    #[test]
    fn a_steady_course_warns_of_nothing() {
        assert_eq!(warnings(&[]), [""; 0]);
        assert_eq!(warnings(&epochs(&[(1.0, 0.4)])), [""; 0]);
        let flat: Vec<(f64, f64)> = (0..10).map(|n| (0.5 - 0.001 * f64::from(n), 0.7)).collect();
        assert_eq!(warnings(&epochs(&flat)), [""; 0]);
        // Zeros before the first rise are no collapse, and slices without nodule have no Dice.
        let late = [(1.0, 0.0), (1.0, 0.0), (1.0, 0.3), (1.0, f64::NAN), (1.0, 0.3)];
        assert_eq!(warnings(&epochs(&late)), [""; 0]);
    }

    #[test]
    fn a_collapse_names_its_epochs() {
        let course = [(1.0, 0.2), (1.0, 0.4), (1.0, 0.0), (1.0, 0.004), (1.0, 0.3)];
        let found = warnings(&epochs(&course));
        assert_eq!(
            found,
            [
                "the Dice fell to 0 in epochs 3 and 4 (collapse): `warm_up_epochs`, a lower learning rate or `train.start = \"prior\"` \
              may avoid it"
            ]
        );
        let validated: Vec<EpochValues> = epochs(&[(1.0, 0.4); 3])
            .into_iter()
            .zip([0.3, 0.0, 0.5])
            .map(|(values, dice)| EpochValues { validation_dice: Some(dice), ..values })
            .collect();
        let found = warnings(&validated);
        assert!(
            found.len() == 1 && found[0].starts_with("the validation Dice fell to 0 in epoch 2")
        );
        let found = warnings(&epochs(&[(1.0, 0.0), (1.0, 0.0)]));
        assert_eq!(found, ["the Dice is 0 in every epoch: the network outlines nothing"]);
    }

    #[test]
    fn a_loss_that_falls_at_the_end_is_named() {
        // Fifths of ten epochs: means of 0.40 and 0.30.
        let mut course = vec![(0.5, 0.5); 6];
        course.extend([(0.41, 0.5), (0.39, 0.5), (0.31, 0.5), (0.29, 0.5)]);
        let found = warnings(&epochs(&course));
        assert_eq!(
            found,
            [
                "the loss still falls at the end, by 25% in the last fifth of the epochs: more epochs may help"
            ]
        );
    }

    #[test]
    fn a_loss_that_is_no_number_is_named() {
        let found = warnings(&epochs(&[(1.0, 0.5), (f64::NAN, 0.5), (f64::INFINITY, 0.5)]));
        assert_eq!(found, ["the loss is not a number in epochs 2 and 3"]);
        assert_eq!(named(&[3, 4, 5, 6, 7, 8, 9]), "7 epochs, the first is 3");
        assert_eq!(named(&[3]), "epoch 3");
    }
}

//! The progress of a training, and when a phase ends.

use super::config::Phase;
use super::warnings::is_zero;
use crate::tables::TrainingLog;
use nodulus_nets::{Calibration, Epoch, Validation};
use serde_json::{Value, json};

/// The progress of a training.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Finished epochs of all phases.
    pub(super) log: Vec<TrainingLog>,
    /// The unfinished epoch, where training was stopped within one.
    pub(super) epoch: Option<Epoch>,
}

impl Course {
    /// The finished epochs of a phase.
    pub(super) fn rows_of(&self, phase: &Phase) -> &[TrainingLog] {
        let of_phase = |row: &TrainingLog| row.phase == phase.name;
        let first = self.log.iter().position(of_phase).unwrap_or(self.log.len());
        let rows = &self.log[first..];
        &rows[..rows.iter().position(|row| !of_phase(row)).unwrap_or(rows.len())]
    }
}

/// Whether a phase has ended, by the log of its epochs.
///
/// METHOD: early stopping uses the mean validation Dice, and ends a phase after `patience` epochs in a row without an
/// improvement on the best epoch.
pub(super) fn is_over(phase: &Phase, rows: &[TrainingLog]) -> bool {
    let since_best = best(rows).map_or(rows.len(), |best| rows.len() - best.epoch as usize);
    rows.len() >= phase.schedule.epochs
        || phase.patience.is_some_and(|patience| since_best >= patience)
}

/// The epoch with the highest validation Dice, the first of equals; `None` where no epoch has one.
pub(super) fn best(rows: &[TrainingLog]) -> Option<&TrainingLog> {
    let mut best: Option<&TrainingLog> = None;
    for row in rows.iter().filter(|row| row.validation_dice.is_some()) {
        if best.is_none_or(|best| row.validation_dice > best.validation_dice) {
            best = Some(row);
        }
    }
    best
}

/// Whether the Dice of an epoch is 0 although that of an epoch before it in the phase, `rows`, was not.
///
/// METHOD: the Dice of the validation slices decides where there is one, because it is that of the weights after the epoch;
/// otherwise that of the training slices.
pub(super) fn is_collapsed(rows: &[TrainingLog], row: &TrainingLog) -> bool {
    let dice = |row: &TrainingLog| row.validation_dice.or(row.dice);
    let had_learnt = rows.iter().filter_map(dice).any(|dice| !is_zero(dice));
    had_learnt && dice(row).is_some_and(is_zero)
}

/// The calibration of the weights of an epoch; `None` where the validation slices gave none.
///
/// # Errors
///
/// Fails if the row holds none that a training writes.
pub(super) fn calibration(
    row: Option<&TrainingLog>,
) -> Result<Option<Calibration>, nodulus_nets::Error> {
    let Some(row) = row else { return Ok(None) };
    let found = Validation {
        dice: None,
        pixel_calibration: row.pixel_calibration.clone(),
        image_temperature: row.slice_temperature,
    };
    found.calibration()
}

/// A checkpoint's description, with the epoch of its weights.
pub(super) fn described(about: &Value, row: Option<&TrainingLog>) -> Value {
    let mut about = about.clone();
    if let (Some(about), Some(row)) = (about.as_object_mut(), row) {
        about.insert("phase".to_owned(), json!(row.phase));
        about.insert("epoch".to_owned(), json!(row.epoch));
        about.insert("training_dice".to_owned(), json!(row.dice));
        about.insert("validation_dice".to_owned(), json!(row.validation_dice));
    }
    about
}

pub(super) fn decimals(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::train::transform;
    use nodulus_nets as model;

    fn phase(name: &str, epochs: usize, patience: Option<usize>) -> Phase {
        let schedule = model::Phase { epochs, ..model::Phase::default() };
        Phase { name: name.to_owned(), cohorts: Vec::new(), patience, schedule }
    }

    /// The epochs of a phase with these validation Dice values.
    fn rows(phase: &Phase, dice: &[Option<f64>]) -> Vec<TrainingLog> {
        let row = |(n, dice): (usize, &Option<f64>)| {
            let validation = Validation { dice: *dice, ..Validation::default() };
            transform("run", None, &Epoch::new(n + 1).log(1e-3), phase, n + 1, validation)
        };
        dice.iter().enumerate().map(row).collect()
    }

    #[test]
    fn a_phase_ends_with_its_epochs_or_its_patience() {
        let over = |patience, dice: &[f64]| {
            let phase = phase("a", 6, patience);
            let dice: Vec<Option<f64>> = dice.iter().copied().map(Some).collect();
            is_over(&phase, &rows(&phase, &dice))
        };
        assert!(!over(None, &[0.5; 5]) && over(None, &[0.5; 6]));
        assert!(!over(Some(2), &[]) && !over(Some(2), &[0.5, 0.4]));
        // As good as the best is not better.
        assert!(over(Some(2), &[0.5, 0.4, 0.5]));
        assert!(!over(Some(2), &[0.5, 0.4, 0.6]) && !over(Some(2), &[0.5, 0.4, 0.6, 0.5]));
        assert!(over(Some(2), &[0.5, 0.4, 0.6, 0.5, 0.6]));
    }

    #[test]
    fn a_collapse_is_a_fall_to_zero_after_a_rise() {
        let phase = phase("a", 9, None);
        let collapsed = |dice: &[Option<f64>]| {
            let mut rows = rows(&phase, dice);
            let last = rows.pop().unwrap();
            is_collapsed(&rows, &last)
        };
        assert!(collapsed(&[Some(0.4), Some(0.0)]) && collapsed(&[Some(0.4), None, Some(0.009)]));
        assert!(!collapsed(&[Some(0.0), Some(0.0)]) && !collapsed(&[Some(0.4), Some(0.02)]));
        assert!(!collapsed(&[Some(0.0)]) && !collapsed(&[Some(0.4), None]));
        let training =
            |dice: f64| TrainingLog { dice: Some(dice), ..rows(&phase, &[None]).remove(0) };
        assert!(is_collapsed(&[training(0.3)], &training(0.0)));
        assert!(!is_collapsed(
            &[training(0.3)],
            &TrainingLog { validation_dice: Some(0.2), ..training(0.0) }
        ));
    }

    #[test]
    fn the_best_epoch_is_the_first_of_the_highest() {
        let phase = phase("a", 9, None);
        let best_of = |dice: &[Option<f64>]| best(&rows(&phase, dice)).map(|row| row.epoch);
        assert_eq!(best_of(&[]), None);
        assert_eq!(best_of(&[None, None]), None);
        assert_eq!(best_of(&[None, Some(0.5), Some(0.7), Some(0.7), None, Some(0.1)]), Some(3));
    }

    #[test]
    fn rows_are_told_apart_by_their_phase() {
        let [a, b, c] = ["a", "b", "c"].map(|name| phase(name, 2, None));
        let log = [rows(&a, &[None; 2]), rows(&b, &[None; 1])].concat();
        let course = Course { log, epoch: None };
        assert_eq!([&a, &b, &c].map(|phase| course.rows_of(phase).len()), [2, 1, 0]);
        assert_eq!(course.rows_of(&b)[0].phase, "b");
    }
}

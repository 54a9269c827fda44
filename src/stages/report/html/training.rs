//! The course of training.

use super::{ReportPage, cell};
use crate::stages::report::charts;
use crate::stages::report::content::Epoch;
use crate::stages::train::{EpochValues, warnings};
use maud::{Markup, html};
use nodulus_pages::text::{NONE, decimal, integer};
use nodulus_pages::{Chart, Group, charts_stacked, message};

impl ReportPage<'_> {
    pub(super) fn training(&mut self) {
        let epochs = &self.content.training;
        if epochs.is_empty() {
            self.page.add(html! { p { "Epochs of training in this run: none." } });
            return;
        }
        let mut models: Vec<(String, Vec<&Epoch>)> = Vec::new();
        for epoch in epochs {
            let name = self.trained(epoch);
            match models.iter_mut().find(|model| model.0 == name) {
                Some((_, of_model)) => of_model.push(epoch),
                None => models.push((name, vec![epoch])),
            }
        }
        let chart = |(n, (name, epochs)): (usize, &(String, Vec<&Epoch>))| {
            let of_epoch = |epoch: &&Epoch| self.position(epoch.model_id.as_deref()?);
            let model = epochs.first().and_then(of_epoch);
            let position = model.unwrap_or(self.content.models.len() + n);
            Chart {
                picture: charts::training(name, position, epochs),
                description: format!("Loss and Dice by epoch: {name}"),
            }
        };
        let charts: Vec<Chart> = models.iter().enumerate().map(chart).collect();
        self.page.figure(
            charts_stacked(&charts),
            "Mean loss (left) and mean Dice over slices with nodule (right) by epoch: faint on the training \
             slices, full on the validation slices. Phases follow each other; each fold has a line.",
        );
        let warnings: Vec<String> =
            models.iter().flat_map(|(name, epochs)| warned(name, epochs)).collect();
        if !warnings.is_empty() {
            self.page.add(
                html! { p { b { "Warnings." } } ul { @for text in &warnings { li { (message(text)) } } } },
            );
        }
        let groups = models
            .iter()
            .map(|(name, epochs)| Group { name: Some(cell(name)), rows: last_epochs(epochs) });
        let groups = groups.collect();
        self.page.table(
            "Values after the last epoch of each phase.",
            &[
                "Phase",
                "Fold held out",
                "Epochs",
                "Learning rate",
                "Loss",
                "Dice, training",
                "Dice, validation",
            ],
            groups,
        );
    }

    /// The model that a run trained, or the run where its weights did not predict themselves.
    fn trained(&self, epoch: &Epoch) -> String {
        let of_run = |id: &String| self.content.models.iter().find(|model| model.model_id == *id);
        match (&epoch.model_id, epoch.model_id.as_ref().and_then(of_run)) {
            (_, Some(model)) => model.label.clone(),
            (Some(id), None) => id.clone(),
            (None, None) => format!("run {}, whose weights did not predict", epoch.run_id),
        }
    }
}

/// What the course of each phase of a model's runs warns of.
fn warned(name: &str, epochs: &[&Epoch]) -> Vec<String> {
    let courses =
        epochs.chunk_by(|a, b| (&a.run_id, &a.phase, a.fold) == (&b.run_id, &b.phase, b.fold));
    let of_course = |course: &[&Epoch]| -> Vec<String> {
        let values = course.iter().map(|epoch| EpochValues {
            epoch: epoch.epoch,
            loss: epoch.loss,
            dice: epoch.dice,
            validation_dice: epoch.validation_dice,
        });
        let Some(first) = course.first() else { return Vec::new() };
        let fold = first.fold.map_or(String::new(), |fold| format!(", fold {fold} held out"));
        let warnings = warnings(&values.collect::<Vec<_>>()).into_iter();
        warnings.map(|text| format!("{name}, phase {}{fold}: {text}.", first.phase)).collect()
    };
    courses.flat_map(of_course).collect()
}

/// A row for the last epoch of each phase, run and fold.
fn last_epochs(epochs: &[&Epoch]) -> Vec<Vec<Markup>> {
    let mut last: Vec<&Epoch> = Vec::new();
    for epoch in epochs {
        let same = |other: &&Epoch| {
            (&other.run_id, &other.phase, other.fold) == (&epoch.run_id, &epoch.phase, epoch.fold)
        };
        match last.iter().position(same) {
            Some(at) => last[at] = epoch,
            None => last.push(epoch),
        }
    }
    let row = |epoch: &Epoch| {
        let cells = [
            epoch.phase.clone(),
            epoch.fold.map_or(NONE.to_owned(), integer),
            integer(epoch.epoch),
            format!("{:.2e}", epoch.learning_rate),
            decimal(Some(epoch.loss), 4),
            decimal(epoch.dice, 3),
            decimal(epoch.validation_dice, 3),
        ];
        cells.map(cell).into()
    };
    last.into_iter().map(row).collect()
}

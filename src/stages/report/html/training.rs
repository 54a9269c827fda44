//! How training went.

use super::Page;
use super::table::Group;
use crate::stages::report::charts;
use crate::stages::report::content::Epoch;
use crate::stages::report::text::{NONE, decimal, escape, integer};

impl Page<'_> {
    pub(super) fn training(&mut self) {
        let epochs = &self.content.training;
        if epochs.is_empty() {
            self.html.push_str("<p>Epochs trained in this run: none.</p>\n");
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
        let charts: Vec<(String, String)> = models
            .iter()
            .enumerate()
            .map(|(n, (name, epochs))| {
                let model = epochs.first().and_then(|epoch| self.place(epoch.model_id.as_deref()?));
                let place = model.unwrap_or(self.content.models.len() + n);
                (charts::training(name, place, epochs), format!("Loss and Dice by epoch: {name}"))
            })
            .collect();
        self.wide(
            &charts,
            "Mean loss (left), and mean Dice over slices with nodule (right) by epoch: faint on the \
             training slices, full on the validation slices. Phases follow each other; a line for \
             each fold.",
        );
        let groups = models
            .iter()
            .map(|(name, epochs)| Group { name: Some(escape(name)), rows: last_epochs(epochs) });
        let groups = groups.collect();
        self.table(
            "State after the last epoch of each phase.",
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

    /// The model that a run trained, or the run where its weights predicted nothing themselves.
    fn trained(&self, epoch: &Epoch) -> String {
        let of_run = |id: &String| self.content.models.iter().find(|model| model.model_id == *id);
        match (&epoch.model_id, epoch.model_id.as_ref().and_then(of_run)) {
            (_, Some(model)) => model.label.clone(),
            (Some(id), None) => id.clone(),
            (None, None) => format!("run {}, which predicted nothing itself", epoch.run_id),
        }
    }
}

/// A row for the last epoch of each phase, run and fold.
fn last_epochs(epochs: &[&Epoch]) -> Vec<Vec<String>> {
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
        vec![
            escape(&epoch.phase),
            epoch.fold.map_or(NONE.to_owned(), integer),
            integer(epoch.epoch),
            format!("{:.2e}", epoch.learning_rate),
            decimal(Some(epoch.loss), 4),
            decimal(epoch.dice, 3),
            decimal(epoch.validation_dice, 3),
        ]
    };
    last.into_iter().map(row).collect()
}

//! The weights of each model.

use super::{ReportPage, cell};
use crate::stages::report::content::ModelWeights;
use maud::{Markup, html};
use nodulus_pages::Group;
use nodulus_pages::text::{NONE, counted, integer};
use std::collections::BTreeMap;

impl ReportPage<'_> {
    /// Which weights predicted, and what they were trained on; nothing where no weights did.
    pub(super) fn weights(&mut self) {
        if self.content.weights.is_empty() {
            return;
        }
        let row = |weights: &ModelWeights| -> Vec<Markup> {
            let count = |n: Option<u64>| cell(n.map_or(NONE.to_owned(), integer));
            vec![
                cell(self.label(&weights.model_id)),
                html! {
                    code { (weights.key) }
                    @if weights.is_outside { br; small { "from outside the store" } }
                },
                trained_on(weights),
                count(weights.n_training_patients),
                count(weights.n_validation_patients),
            ]
        };
        let rows = self.content.weights.iter().map(row).collect();
        self.page.table(
            "The weights of each model and what they were trained on, with the weights that they started from; the numbers of \
             patients that they learnt from, and that epochs were chosen on, are those of their own training. None of them is evaluated here unless a warning above says so.",
            &["Model", "Weights", "Trained on", "Trained", "Validated"],
            vec![Group { name: None, rows }],
        );
    }
}

/// Phases with their cohorts and epochs, else scans by cohort; then the weights that the training started from.
fn trained_on(weights: &ModelWeights) -> Markup {
    html! {
        @if weights.phases.is_empty() { (scans(&weights.n_cases)) }
        @for (n, phase) in weights.phases.iter().enumerate() {
            @if n > 0 { br; }
            (phase.name) ": " (phase.cohorts.join(", ")) ", "
            (counted(phase.epochs, "epoch", "epochs"))
        }
        @for initial in &weights.initial {
            br; "started from " code { (initial.key) } ": " (scans(&initial.n_cases))
        }
    }
}

/// The scans that weights learnt from, by cohort.
fn scans(n_cases: &BTreeMap<String, BTreeMap<String, usize>>) -> String {
    let cohorts = n_cases.get("train").into_iter().flatten();
    let cohorts: Vec<String> = cohorts
        .map(|(name, n)| format!("{} of {name}", counted(*n as u64, "scan", "scans")))
        .collect();
    if cohorts.is_empty() { "unknown".to_owned() } else { cohorts.join(", ") }
}

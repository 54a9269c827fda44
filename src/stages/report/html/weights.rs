//! The weights of each model.

use super::{ReportPage, cell};
use crate::stages::report::content::ModelWeights;
use maud::{Markup, html};
use nodulus_pages::Group;
use nodulus_pages::text::{NONE, integer};

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
            "The weights of each model and what they were trained on: patients that they learnt from, and \
             patients that epochs were chosen on. None of them is evaluated here unless a warning above says so.",
            &["Model", "Weights", "Trained on", "Trained", "Validated"],
            vec![Group { name: None, rows }],
        );
    }
}

/// Phases with their cohorts and epochs, else scans by cohort.
fn trained_on(weights: &ModelWeights) -> Markup {
    if weights.phases.is_empty() {
        let cohorts = weights.n_cases.get("train").into_iter().flatten();
        let cohorts: Vec<String> =
            cohorts.map(|(name, n)| format!("{n} scans of {name}")).collect();
        let text = if cohorts.is_empty() { "unknown".to_owned() } else { cohorts.join(", ") };
        return cell(text);
    }
    html! {
        @for (n, phase) in weights.phases.iter().enumerate() {
            @if n > 0 { br; }
            (phase.name) ": " (phase.cohorts.join(", ")) ", " (integer(phase.epochs)) " epochs"
        }
    }
}

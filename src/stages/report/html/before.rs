//! Models before and after, on the same nodules.

use super::{ReportPage, bold, cell};
use crate::stages::report::content::BeforeAfter;
use maud::{Markup, html};
use nodulus_pages::Group;
use nodulus_pages::text::{decimal, integer, interval_or, p_value, signed};

impl ReportPage<'_> {
    /// Nothing where no earlier version is named.
    pub(super) fn before(&mut self) {
        let Some(before) = &self.content.before else { return };
        let row = |row: &BeforeAfter| -> Vec<Markup> {
            vec![
                cell(self.label(&row.model_id)),
                cell(integer(row.n_nodules)),
                cell(integer(row.n_patients)),
                cell(decimal(Some(row.dice_before), 3)),
                cell(decimal(Some(row.dice_after), 3)),
                bold(signed(Some(row.dice_after - row.dice_before), 3)),
                cell(interval_or(row.ci_low, row.ci_high, 3, row.ci_missing_reason.as_deref())),
                cell(row.p_missing_reason.clone().unwrap_or_else(|| p_value(row.p))),
            ]
        };
        let rows = before.models.iter().map(row).collect();
        let caption = html! {
            "Mean Dice before and after, on the nodules of both: before is version "
            code { (before.key) } " of " code { "nodule_metrics" }
            ". 95% interval (resampled patients) and p (two-sided test of the mean difference, which flips the signs of whole \
             patients). The two are computed apart, and near 0.05 they may disagree: p is the test."
            @if !before.without_pair.is_empty() {
                " Without a nodule in both: " (before.without_pair.join(", ")) "."
            }
        };
        self.page.table(
            caption,
            &["Model", "Nodules", "Patients", "Before", "After", "Difference", "95% interval", "p"],
            vec![Group { name: None, rows }],
        );
    }
}

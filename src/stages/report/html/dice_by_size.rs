//! Dice of each model by the size of the nodule.

use super::{ReportPage, bold, cell, interval_of};
use crate::stages::evaluate::READER;
use crate::stages::report::content::ALL;
use crate::stages::report::names::{decimals, subgroup_order, subgroup_value};
use crate::tables::Summary;
use maud::{Markup, html};
use nodulus_metrics::Metric;
use nodulus_pages::Group;
use nodulus_pages::text::{NONE, decimal};
use std::collections::BTreeSet;

/// Subgroups by diameter start with this.
const DIAMETER: &str = "diameter_mm=";

impl ReportPage<'_> {
    /// Dice over all nodules, and over those of each band of the diameter.
    pub(super) fn dice_by_size(&mut self) {
        let dice = Metric::Dice.name();
        let rows: Vec<&Summary> =
            self.content.summary.iter().filter(|row| row.metric == dice).collect();
        let bands: BTreeSet<&str> = rows
            .iter()
            .map(|row| row.subgroup.as_str())
            .filter(|name| name.starts_with(DIAMETER))
            .collect();
        let mut bands: Vec<&str> = bands.into_iter().collect();
        bands.sort_by_key(|band| subgroup_order(band));
        let find = |model_id: &str, subgroup: &str| {
            rows.iter().find(|row| row.model_id == model_id && row.subgroup == subgroup)
        };
        let with_interval = |mean: Markup, row: &Summary| {
            let decimals = decimals(dice);
            html! { (mean) br; small { (interval_of(row, decimals)) } }
        };
        let row = |model_id: &str, label: &str| {
            let all = find(model_id, ALL)?;
            let mut cells =
                vec![cell(label), with_interval(bold(decimal(all.mean, decimals(dice))), all)];
            cells.extend(bands.iter().map(|band| match find(model_id, band) {
                None => cell(NONE),
                Some(row) => html! {
                    (with_interval(cell(decimal(row.mean, decimals(dice))), row))
                    br; small { (row.n_missed) " of " (row.n_total) " missed" }
                },
            }));
            Some(cells)
        };
        let models = self.content.models.iter();
        let mut rows: Vec<Vec<Markup>> =
            models.filter_map(|model| row(&model.model_id, &model.label)).collect();
        rows.extend(row(READER, "Each reader against the others"));
        let titles: Vec<String> =
            bands.iter().map(|band| format!("{} mm", subgroup_value(band))).collect();
        let mut heads = vec!["Model", "All nodules"];
        heads.extend(titles.iter().map(String::as_str));
        self.page.table(
            "Mean Dice over all nodules and by the nodule’s diameter, with 95% intervals.",
            &heads,
            vec![Group { name: None, rows }],
        );
    }
}

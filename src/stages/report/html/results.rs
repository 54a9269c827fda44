//! What the models are worth.

use super::Page;
use super::table::Group;
use crate::stages::evaluate::READER;
use crate::stages::report::charts;
use crate::stages::report::content::{ALL, Model, NoduleScore};
use crate::stages::report::text::{
    SLICE_PREFIX, decimal, decimals, escape, integer, interval, known, metric_title,
};
use crate::tables::Summary;
use nodulus_metrics::{Metric, bootstrap};

impl Page<'_> {
    pub(super) fn results(&mut self) {
        let caption = format!(
            "Scores over nodules, in three dimensions. Mean with its 95% interval (bootstrap, {} \
             resamples of patients; drawn from 0 to 1, or to the largest distance); n: nodules for \
             which the metric is defined, of all; missed: nodules without any predicted voxel; \
             worst-case mean: a missed nodule counts with the diagonal of its region, or with no \
             overlap.",
            integer(bootstrap::RESAMPLES as u64)
        );
        self.scores(&caption, "");
        let note = self.ceiling_note();
        self.html.push_str(&note);
        let over_slices = |row: &Summary| row.metric.starts_with(SLICE_PREFIX);
        if self.content.summary.iter().any(over_slices) {
            self.scores(
                "Scores over slices, in their plane: slices with nodule or with prediction. \
                 Columns as before, for slices in place of nodules.",
                SLICE_PREFIX,
            );
        }
    }

    /// A table of the metrics whose names start with a prefix.
    fn scores(&mut self, caption: &str, prefix: &str) {
        let mut groups = Vec::new();
        let readers = Model {
            model_id: READER.to_owned(),
            label: "Each reader against the others".to_owned(),
            ..Model::default()
        };
        for metric in Metric::ALL {
            let name = format!("{prefix}{}", metric.name());
            let mut rows = Vec::new();
            for model in self.content.models.iter().chain([&readers]) {
                let Some(row) = self.content.of_all(&model.model_id, &name) else { continue };
                let decimals = decimals(&name);
                rows.push(vec![
                    escape(&model.label),
                    format!("<b>{}</b>", decimal(row.mean, decimals)),
                    interval(row.ci_low, row.ci_high, decimals)
                        + &self.bar(&name, row.mean, [row.ci_low, row.ci_high]),
                    decimal(row.sd, decimals),
                    decimal(row.median, decimals),
                    format!("{} / {}", row.n_valid, row.n_total),
                    row.n_missed.to_string(),
                    decimal(row.worst_case_mean, decimals),
                ]);
            }
            rows.extend(self.ceiling_row(&name));
            groups.push(Group { name: Some(metric_title(&name)), rows });
        }
        let heads =
            ["Model", "Mean", "95% interval", "SD", "Median", "n", "Missed", "Worst-case mean"];
        self.table(caption, &heads, groups);
    }

    pub(super) fn distributions(&mut self) {
        let models: Vec<(&Model, Vec<&NoduleScore>)> = self
            .content
            .models
            .iter()
            .map(|model| (model, self.scores_of(&model.model_id)))
            .collect();
        if models.iter().all(|(_, scores)| scores.is_empty()) {
            self.html.push_str("<p>Nodules scored: none.</p>\n");
            return;
        }
        let of_metric = |metric: Metric| {
            let values = |scores: &[&NoduleScore]| {
                scores.iter().filter_map(|score| score.row.value(metric)).collect()
            };
            let rows: Vec<(&Model, Vec<f64>)> =
                models.iter().map(|(model, scores)| (*model, values(scores))).collect();
            let readers = self.content.of_all(READER, metric.name()).and_then(|row| row.mean);
            let title = metric_title(metric.name());
            (charts::distribution(metric, &title, &rows, readers), format!("{title} by model"))
        };
        let charts = Metric::ALL.map(of_metric);
        let largest = self.content.nodules.iter().map(|score| score.diameter_mm);
        let largest = largest.filter(|mm| mm.is_finite()).fold(0.0, f64::max);
        let of_model = |(place, (model, scores)): (usize, &(&Model, Vec<&NoduleScore>))| {
            let chart = charts::by_diameter(&model.label, place, scores, largest);
            (chart, format!("Dice by diameter: {}", model.label))
        };
        let by_diameter: Vec<_> = models.iter().enumerate().map(of_model).collect();
        let caption = format!(
            "Each metric by model, over the nodules for which it is defined: box from the first to the \
             third quartile, line at the median, whiskers to the last nodule within 1.5 lengths of the \
             box. Each nodule is a point; of more than {} only those past the whiskers are. Dashed: \
             mean of each reader against the others, where readers were compared.",
            charts::MOST_POINTS
        );
        self.panels(&charts, &caption);
        self.panels(
            &by_diameter,
            "Dice of each nodule by its diameter, a chart for each model. Crosses: nodules that were \
             missed.",
        );
    }

    /// The scores of a model.
    pub(super) fn scores_of(&self, model_id: &str) -> Vec<&NoduleScore> {
        self.content.nodules.iter().filter(|score| score.row.model_id == model_id).collect()
    }

    /// A mean and its interval on a line from 0 to 1, or to the largest distance of the metric.
    pub(super) fn bar(&self, metric: &str, mean: Option<f64>, ends: [Option<f64>; 2]) -> String {
        /// Units from end to end.
        const LENGTH: f64 = 110.0;
        let end = if known(metric).is_some_and(Metric::is_distance) {
            let rows = self.content.summary.iter();
            let models = rows.filter(|r| r.subgroup == ALL && r.metric == metric);
            let readers = self.content.ceiling.pairwise.iter().filter(|r| r.metric == metric);
            let models = models.flat_map(|r| [r.mean, r.ci_high]);
            let values = models.chain(readers.flat_map(|r| [r.mean, r.ci_high]));
            values.flatten().fold(0.0, f64::max)
        } else {
            1.0
        };
        let at = |value: f64| 5.0 + LENGTH * (value / end).clamp(0.0, 1.0);
        let Some(mean) = mean.filter(|mean| mean.is_finite() && end > 0.0) else {
            return String::new();
        };
        let (low, high) = (ends[0].unwrap_or(mean), ends[1].unwrap_or(mean));
        format!(
            "<svg class=\"interval\" aria-hidden=\"true\" viewBox=\"0 0 120 12\" width=\"120\" \
             height=\"12\"><path class=\"scale\" d=\"M5 6H115M5 3V9M115 3V9\"/>\
             <path d=\"M{:.1} 6H{:.1}\"/><circle cx=\"{:.1}\" cy=\"6\" r=\"3\"/></svg>",
            at(low),
            at(high),
            at(mean)
        )
    }
}

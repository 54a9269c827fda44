//! The report as one page that needs nothing else: no script, no font, no picture from elsewhere.

mod cohorts;
mod readers;
mod results;
mod table;
#[cfg(test)]
mod tests;

use super::content::{Content, Epoch, Example, Model, Pairwise};
use super::text::{NONE, counted, decimal, escape, integer, interval, p_value, signed, words};
use super::{charts, overlay};
use crate::metrics::Metric;
use crate::tables::{Comparison, Summary};
use std::fmt::Write as _;
use table::{Group, Table};

/// The subgroup that holds every nodule.
const ALL: &str = "all";
/// Renders a report; the same content gives the same bytes.
pub fn render(content: &Content) -> String {
    let mut page = Page { content, html: String::new(), tables: 0, figures: 0 };
    page.head();
    page.abstract_();
    page.cohorts();
    page.histograms();
    page.readers();
    page.failures();
    page.training();
    page.results();
    page.comparisons();
    page.subgroups();
    page.examples();
    page.methods();
    page.sources();
    page.html.push_str("</main>\n</body>\n</html>\n");
    page.html
}

/// Sections with their anchors, in order.
const SECTIONS: [(&str, &str); 10] = [
    ("cohorts", "Cohorts"),
    ("readers", "Readers"),
    ("failures", "Failed cases"),
    ("training", "Training"),
    ("results", "Results"),
    ("comparisons", "Comparisons"),
    ("subgroups", "Subgroups"),
    ("examples", "Examples"),
    ("methods", "Definitions"),
    ("sources", "Sources"),
];

struct Page<'a> {
    content: &'a Content,
    html: String,
    tables: usize,
    figures: usize,
}

impl Page<'_> {
    fn head(&mut self) {
        let Content { title, run_id, tool_version, metric_definition, .. } = self.content;
        let _ = write!(
            self.html,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n<header>\n\
             <h1>{title}</h1>\n<p class=\"from\">Run <code>{run}</code> · nodulus {version} · \
             metrics <code>{definition}</code></p>\n</header>\n",
            title = escape(title),
            style = include_str!("style.css"),
            run = escape(run_id),
            version = escape(tool_version),
            definition = escape(metric_definition),
        );
    }

    /// The main figures in words, and the way to the rest.
    fn abstract_(&mut self) {
        let evaluation = &self.content.evaluation;
        let mut text = format!(
            "<p>Evaluated on {} of {} ({} split).</p>\n<ul>\n",
            counted(evaluation.n_nodules, "nodule", "nodules"),
            counted(evaluation.n_patients, "patient", "patients"),
            escape(&evaluation.split),
        );
        for model in &self.content.models {
            let Some(dice) = self.row(model, Metric::Dice.name(), ALL) else { continue };
            let _ = writeln!(
                text,
                "<li>{}: mean Dice <b>{}</b>, 95% interval {}, n\u{a0}=\u{a0}{}, {} missed</li>",
                escape(&model.label),
                decimal(dice.mean, 3),
                interval(dice.ci_low, dice.ci_high, 3),
                dice.n_valid,
                dice.n_missed,
            );
        }
        let of_dice = |row: &&Pairwise| row.metric == Metric::Dice.name();
        if let Some(dice) = self.content.ceiling.pairwise.iter().find(of_dice) {
            let _ = writeln!(
                text,
                "<li>Readers with each other, in pairs: mean Dice <b>{}</b>, 95% interval {}, \
                 n\u{a0}=\u{a0}{} of {}</li>",
                decimal(dice.mean, 3),
                interval(dice.ci_low, dice.ci_high, 3),
                dice.n_nodules,
                self.content.ceiling.n_nodules,
            );
        }
        let of_dice = |c: &&Comparison| c.metric == Metric::Dice.name();
        for comparison in self.content.comparisons.iter().filter(of_dice) {
            let p = p_value(comparison.p_holm);
            let _ = writeln!(
                text,
                "<li>{} against {}: Dice <b>{}</b> in the mean of {}, {} after Holm’s correction</li>",
                self.label(&comparison.model_id),
                self.label(&comparison.baseline_id),
                signed(comparison.mean_difference, 3),
                counted(comparison.n_pairs as u64, "pair", "pairs"),
                if p.starts_with('&') { format!("p {p}") } else { format!("p = {p}") },
            );
        }
        let _ = write!(
            self.html,
            "<div class=\"abstract\">{text}</ul></div>\n<nav aria-label=\"Sections\"><ol>\n"
        );
        for (anchor, title) in SECTIONS {
            let _ = writeln!(self.html, "<li><a href=\"#{anchor}\">{title}</a></li>");
        }
        self.html.push_str("</ol></nav>\n");
    }

    fn training(&mut self) {
        self.section("training");
        let epochs = &self.content.training;
        if epochs.is_empty() {
            self.html.push_str("<p>Epochs trained in this run: none.</p>\n");
            return;
        }
        let chart = charts::training(epochs);
        self.figure(
            &chart,
            "Loss and Dice by epoch",
            "Mean loss (left), and mean Dice over slices with nodule (right) by epoch: faint on the \
             training slices, full on the validation slices. Phases follow each other.",
        );
        // The last epoch of each phase, run and fold.
        let mut last: Vec<&Epoch> = Vec::new();
        for epoch in epochs {
            let same = |other: &&Epoch| {
                (&other.run_id, &other.phase, other.fold)
                    == (&epoch.run_id, &epoch.phase, epoch.fold)
            };
            match last.iter().position(same) {
                Some(at) => last[at] = epoch,
                None => last.push(epoch),
            }
        }
        let rows = last.into_iter().map(|epoch| {
            vec![
                escape(&epoch.phase),
                epoch.fold.map_or(NONE.to_owned(), integer),
                integer(epoch.epoch),
                format!("{:.2e}", epoch.learning_rate),
                decimal(Some(epoch.loss), 4),
                decimal(epoch.dice, 3),
                decimal(epoch.validation_dice, 3),
            ]
        });
        let groups = vec![Group { name: None, rows: rows.collect() }];
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

    fn examples(&mut self) {
        self.section("examples");
        if self.content.examples.is_empty() {
            self.html.push_str("<p>Nodules predicted: none.</p>\n");
            return;
        }
        self.html.push_str(
            "<ul class=\"legend\"><li><span class=\"swatch reference\"></span>readers’ consensus</li>\
             <li><span class=\"swatch prediction\"></span>prediction</li></ul>\n",
        );
        for (n, example) in self.content.examples.iter().enumerate() {
            let Example { rank, nodule_id, model_id, slice, .. } = example;
            let description =
                format!("Slice of nodule {nodule_id} with the outlines of both masks");
            let picture = overlay::figure(slice, &format!("slice-{n}"), &description);
            let caption = format!(
                "{}: nodule <code>{}</code>, {} mm in diameter, by {}. Dice {}, 95% Hausdorff distance {} mm \
                 over its region. Axial slice at z = {} mm; black to white: {} to {} HU. Right: the \
                 square enlarged.",
                words(rank),
                escape(nodule_id),
                decimal(Some(example.diameter_mm), 1),
                self.label(model_id),
                decimal(example.dice, 3),
                decimal(example.hausdorff_95_mm, 2),
                decimal(Some(example.z_mm), 2),
                decimal(Some(slice.window_hu[0]), 0),
                decimal(Some(slice.window_hu[1]), 0),
            );
            self.figures += 1;
            let _ = writeln!(
                self.html,
                "<figure>{picture}<figcaption><b>Figure {}.</b> {caption}</figcaption></figure>",
                self.figures
            );
        }
    }

    fn methods(&mut self) {
        self.section("methods");
        self.html.push_str(include_str!("definitions.html"));
    }

    fn sources(&mut self) {
        self.section("sources");
        let rows = self.content.sources.iter().map(|source| {
            vec![
                format!("<code>{}</code>", escape(&source.table)),
                format!("<code>{}</code>", escape(&source.key)),
                integer(source.n_rows),
                format!("<code>{}</code>", escape(&source.path)),
            ]
        });
        let groups = vec![Group { name: None, rows: rows.collect() }];
        self.table(
            "Tables that this report was made from; folders are relative to the store.",
            &["Table", "Key", "Rows", "Folder"],
            groups,
        );
    }

    fn section(&mut self, anchor: &str) {
        let found = SECTIONS.iter().enumerate().find(|(_, section)| section.0 == anchor);
        if let Some((n, (_, title))) = found {
            let _ = writeln!(self.html, "<h2 id=\"{anchor}\">{}. {title}</h2>", n + 1);
        }
    }

    fn table(&mut self, caption: &str, heads: &[&str], groups: Vec<Group>) {
        self.tables += 1;
        let table = Table { number: self.tables, caption: caption.to_owned(), heads, groups };
        table.write(&mut self.html);
    }

    fn figure(&mut self, picture: &str, description: &str, caption: &str) {
        self.figures += 1;
        let _ = writeln!(
            self.html,
            "<figure><div class=\"chart\" role=\"img\" aria-label=\"{description}\">\n{picture}</div>\
             <figcaption><b>Figure {}.</b> {caption}</figcaption></figure>",
            self.figures
        );
    }

    fn row(&self, model: &Model, metric: &str, subgroup: &str) -> Option<&Summary> {
        self.content.summary.iter().find(|row| {
            row.model_id == model.model_id && row.metric == metric && row.subgroup == subgroup
        })
    }

    /// A model's label, or its id where it has none, escaped.
    fn label(&self, model_id: &str) -> String {
        let found = self.content.models.iter().find(|model| model.model_id == model_id);
        escape(found.map_or(model_id, |model| &model.label))
    }
}

/// The values without repetition, in order of appearance.
fn distinct<'a>(values: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

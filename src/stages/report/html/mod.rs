//! The report as one page that needs nothing else: no script, no font, no picture from elsewhere.

mod calibration;
mod cases;
mod cohorts;
mod comparisons;
pub(crate) mod figure;
mod provenance;
mod readers;
mod results;
pub(crate) mod table;
mod training;
mod volumes;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use super::content::{Content, Pairwise};
use super::text::{counted, decimal, escape, interval, p_value, signed};
use crate::stages::evaluate::READER;
use crate::tables::Comparison;
use figure::Figure;
use nodulus_metrics::Metric;
use std::fmt::Write as _;
use table::{Group, Table};

/// How pages look: light and dark, on screen and on paper.
pub(crate) const STYLE: &str = include_str!("style.css");

/// Renders a report; the same content gives the same bytes.
pub fn render(content: &Content) -> String {
    let mut page = Page { content, html: String::new(), tables: 0, figures: 0 };
    page.head();
    page.abstract_();
    for (n, (anchor, title, write)) in SECTIONS.into_iter().enumerate() {
        let n = n + 1;
        let _ = writeln!(page.html, "<section id=\"{anchor}\">\n<h2>{n}. {title}</h2>");
        write(&mut page);
        page.html.push_str("</section>\n");
    }
    page.html.push_str("</main>\n</body>\n</html>\n");
    page.html
}

/// Writes a section below its heading.
type Write = fn(&mut Page<'_>);

/// Sections with their anchors, in order.
const SECTIONS: [(&str, &str, Write); 13] = [
    ("cohorts", "Cohorts", |page| {
        page.cohorts();
        page.histograms();
    }),
    ("readers", "Readers", |page| page.readers()),
    ("failures", "Failed cases", |page| page.failures()),
    ("training", "Training", |page| page.training()),
    ("results", "Results", |page| page.results()),
    ("distributions", "Distributions", |page| page.distributions()),
    ("volumes", "Volumes", |page| page.volumes()),
    ("calibration", "Classifier", |page| page.calibration()),
    ("comparisons", "Comparisons", |page| page.comparisons()),
    ("subgroups", "Subgroups", |page| page.subgroups()),
    ("cases", "Cases", |page| page.cases()),
    ("definitions", "Definitions", |page| page.definitions()),
    ("provenance", "Provenance", |page| page.provenance()),
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
            style = STYLE,
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
            let Some(dice) = self.content.of_all(&model.model_id, Metric::Dice.name()) else {
                continue;
            };
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
        if let Some(dice) = self.content.of_all(READER, Metric::Dice.name()) {
            let _ = writeln!(
                text,
                "<li>Each reader against the others: mean Dice <b>{}</b>, 95% interval {}, \
                 n\u{a0}=\u{a0}{}</li>",
                decimal(dice.mean, 3),
                interval(dice.ci_low, dice.ci_high, 3),
                dice.n_valid,
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
        let leader = self.content.ranking().first().copied();
        let with_leader = |c: &&Comparison| {
            c.metric == Metric::Dice.name()
                && leader.is_none_or(|id| c.model_id == id || c.baseline_id == id)
        };
        for comparison in self.content.comparisons.iter().filter(with_leader) {
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
            "<section id=\"summary\" class=\"abstract\">{text}</ul></section>\n<nav aria-label=\"Sections\"><ol>\n"
        );
        for (anchor, title, _) in SECTIONS {
            let _ = writeln!(self.html, "<li><a href=\"#{anchor}\">{title}</a></li>");
        }
        self.html.push_str("</ol></nav>\n");
    }

    fn definitions(&mut self) {
        self.html.push_str(include_str!("definitions.html"));
    }

    fn table(&mut self, caption: &str, heads: &[&str], groups: Vec<Group>) {
        self.tables += 1;
        let table = Table { number: self.tables, caption: caption.to_owned(), heads, groups };
        table.write(&mut self.html);
    }

    /// A figure of charts, each with what it shows, one below the other.
    fn wide(&mut self, charts: &[(String, String)], caption: &str) {
        self.charts("wide", charts, caption);
    }

    /// The same, beside each other where there is room.
    fn panels(&mut self, charts: &[(String, String)], caption: &str) {
        self.charts("panels", charts, caption);
    }

    fn charts(&mut self, class: &str, charts: &[(String, String)], caption: &str) {
        self.figures += 1;
        Figure { number: self.figures, class, charts, caption }.write(&mut self.html);
    }

    /// A model's place among all.
    fn place(&self, model_id: &str) -> Option<usize> {
        self.content.models.iter().position(|model| model.model_id == model_id)
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

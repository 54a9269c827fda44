//! The report as one page that needs nothing else: no script, no font, no picture from elsewhere.

mod before;
mod calibration;
mod cases;
mod cohorts;
mod comparisons;
mod dice_by_size;
mod provenance;
mod readers;
mod results;
mod training;
mod volumes;
mod weights;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use super::content::{Pairwise, ReportContent};
use crate::stages::evaluate::READER;
use crate::tables::{Comparison, Summary};
use maud::{Markup, PreEscaped, html};
use nodulus_metrics::Metric;
use nodulus_pages::text::{counted, decimal, interval_or, p_value, signed};
use nodulus_pages::{Page, message};

/// What the terms mean.
const DEFINITIONS: PreEscaped<&str> = PreEscaped(include_str!("definitions.html"));

/// Renders a report; the same content gives the same bytes.
pub fn render(content: &ReportContent) -> String {
    let page = Page::new(&content.title, byline(content));
    let mut report = ReportPage { content, page };
    report.page.contents();
    let summary = report.summary();
    report.page.summary(summary);
    for (anchor, title, write) in SECTIONS {
        report.page.section(anchor, title);
        write(&mut report);
    }
    report.page.render()
}

/// Writes a section below its heading.
type Write = fn(&mut ReportPage<'_>);

/// Sections with their anchors, in order.
const SECTIONS: [(&str, &str, Write); 13] = [
    ("results", "Results", |page| {
        page.dice_by_size();
        page.weights();
        page.before();
        page.results();
    }),
    ("comparisons", "Comparisons", |page| page.comparisons()),
    ("subgroups", "Subgroups", |page| page.subgroups()),
    ("distributions", "Distributions", |page| page.distributions()),
    ("volumes", "Volumes", |page| page.volumes()),
    ("cases", "Cases", |page| page.cases()),
    ("calibration", "Calibration", |page| page.calibration()),
    ("training", "Training", |page| page.training()),
    ("cohorts", "Cohorts", |page| {
        page.cohorts();
        page.histograms();
    }),
    ("readers", "Readers", |page| page.readers()),
    ("failures", "Failed cases", |page| page.failures()),
    ("definitions", "Definitions", |page| page.page.add(DEFINITIONS)),
    ("provenance", "Provenance", |page| page.provenance()),
];

/// The page under way.
struct ReportPage<'a> {
    content: &'a ReportContent,
    page: Page,
}

fn byline(content: &ReportContent) -> Markup {
    html! {
        "Run " code { (content.run_id) } " · nodulus " (content.tool_version)
        " · metrics " code { (content.metric_definition) }
    }
}

impl ReportPage<'_> {
    /// The main results in words.
    fn summary(&self) -> Markup {
        let Self { content, .. } = self;
        let evaluation = &content.evaluation;
        let dice_of = |model_id: &str| content.of_all(model_id, Metric::Dice.name());
        let is_dice = |row: &&Pairwise| row.metric == Metric::Dice.name();
        // A single seed is compared with nothing: its row's mean is.
        let is_compared = |id: &&str| {
            content.comparisons.iter().any(|c| c.model_id == **id || c.baseline_id == **id)
        };
        let leader = content.ranking().into_iter().find(is_compared);
        let with_leader = |c: &&Comparison| {
            c.metric == Metric::Dice.name()
                && leader.is_none_or(|id| c.model_id == id || c.baseline_id == id)
        };
        html! {
            p {
                "Evaluated on " (counted(evaluation.n_nodules, "nodule", "nodules")) " of "
                (counted(evaluation.n_patients, "patient", "patients")) " (" (evaluation.split)
                " split)."
            }
            @for warning in &content.warnings {
                "\n" p class="warning" { b { "Warning: " } (message(warning)) "." }
            }
            "\n" ul {
                @for model in &content.models {
                    @if let Some(dice) = dice_of(&model.model_id) {
                        "\n" li {
                            (model.label) ": " (mean_dice(dice.mean, &interval_of(dice, 3)))
                            (dice.n_valid) ", " (dice.n_missed) " missed"
                        }
                    }
                }
                @if let Some(dice) = dice_of(READER) {
                    "\n" li {
                        "Each reader against the others: "
                        (mean_dice(dice.mean, &interval_of(dice, 3))) (dice.n_valid)
                    }
                }
                @if let Some(dice) = content.ceiling.pairwise.iter().find(is_dice) {
                    "\n" li {
                        "Readers with each other, in pairs: "
                        (mean_dice(
                            dice.mean,
                            &interval_or(
                                dice.ci_low,
                                dice.ci_high,
                                3,
                                dice.ci_missing_reason.as_deref(),
                            ),
                        )) (dice.n_nodules)
                        " of " (content.ceiling.n_nodules)
                    }
                }
                @for comparison in content.comparisons.iter().filter(with_leader) {
                    "\n" li {
                        (self.label(&comparison.model_id)) " against "
                        (self.label(&comparison.baseline_id)) ": Dice "
                        b { (signed(comparison.mean_difference, 3)) } " in the mean of "
                        (counted(comparison.n_nodules.unsigned_abs(), "nodule", "nodules"))
                        " of "
                        (counted(comparison.n_patients.unsigned_abs(), "patient", "patients"))
                        @if let Some(reason) = &comparison.p_missing_reason {
                            ", no test: " (reason)
                        } @else {
                            ", p " (with_equals(p_value(comparison.p_holm)))
                            " after Holm’s correction"
                        }
                    }
                }
                "\n"
            }
        }
    }

    /// A model's position among all.
    fn position(&self, model_id: &str) -> Option<usize> {
        self.content.models.iter().position(|model| model.model_id == model_id)
    }

    /// A model's label, or its id where it has none; of the readers, how they are measured.
    fn label<'b>(&'b self, model_id: &'b str) -> &'b str {
        if model_id == READER {
            return "each reader against the others";
        }
        let model = self.content.models.iter().find(|model| model.model_id == model_id);
        model.map_or(model_id, |model| &model.label)
    }
}

/// The interval of a row of `summary`, or why there is none.
fn interval_of(row: &Summary, decimals: usize) -> String {
    interval_or(row.ci_low, row.ci_high, decimals, row.ci_missing_reason.as_deref())
}

/// Ends where the number follows.
fn mean_dice(mean: Option<f64>, interval: &str) -> Markup {
    html! {
        "mean Dice " b { (decimal(mean, 3)) } ", 95% interval: " (interval)
        ", n\u{a0}=\u{a0}"
    }
}

/// A p-value behind "p".
fn with_equals(p: String) -> String {
    if p.starts_with('<') { p } else { format!("= {p}") }
}

/// Text as the content of a cell.
fn cell(text: impl maud::Render) -> Markup {
    html! { (text) }
}

/// The main number of a row.
fn bold(text: impl maud::Render) -> Markup {
    html! { b { (text) } }
}

/// The values without repetition, in order of appearance.
fn distinct<'a>(values: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}

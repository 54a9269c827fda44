//! Drift over nights as one page that needs nothing else: no script, no font, no picture from elsewhere.

use super::drift::Quantity;
use super::drift_charts::{SHIFTS, psi_by_night, shares, title};
use crate::stages::report::html::STYLE;
use crate::stages::report::html::figure::Figure;
use crate::stages::report::html::table::{Group, Table};
use crate::stages::report::text::{counted, decimal, escape, integer};
use crate::tables::Drift;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A warning that scans of a night were given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warned {
    /// Day scored on, YYYY-MM-DD.
    pub night: String,
    /// The sentence.
    pub warning: String,
    /// Scans of the night that it was given to.
    pub n_scans: u64,
}

/// What the page shows.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// Rows of single nights.
    pub nights: &'a [Drift],
    /// Rows over all of them.
    pub all: &'a [Drift],
    /// Warnings, in the order in which they are shown.
    pub warnings: &'a [Warned],
    /// Models without a profile.
    pub without_profile: &'a [String],
}

/// Renders the page; the same content gives the same bytes.
pub fn render(content: &Content<'_>) -> String {
    let mut page = Page { content, html: String::new(), tables: 0, figures: 0 };
    page.head();
    page.stability();
    page.distributions();
    page.nights();
    page.warnings();
    page.definitions();
    page.html.push_str("</main>\n</body>\n</html>\n");
    page.html
}

struct Page<'a> {
    content: &'a Content<'a>,
    html: String,
    tables: usize,
    figures: usize,
}

impl Page<'_> {
    fn head(&mut self) {
        let nights = days(self.content);
        let when = match (nights.first(), nights.last()) {
            (Some(first), Some(last)) if first == last => escape(first),
            (Some(first), Some(last)) => format!("{} to {}", escape(first), escape(last)),
            _ => "no night yet".to_owned(),
        };
        let _ = write!(
            self.html,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>Drift</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>Drift</h1>\n\
             <p class=\"from\">{when} · nodulus {}</p>\n</header>\n\
             <section id=\"summary\" class=\"abstract\"><ul>\n",
            env!("CARGO_PKG_VERSION"),
        );
        for model in models(self.content) {
            let of_model = || self.content.nights.iter().filter(|row| row.model_id == model);
            let with_index = || of_model().filter(|row| row.psi.is_some());
            let nodules = of_model().filter(|row| row.quantity == Quantity::Probability.name());
            let n_nodules: i64 = nodules.map(|row| row.n_nodules).sum();
            let text = format!(
                "<li><code>{}</code>: {}; the index is above its limit in {} of {}</li>\n",
                escape(model),
                counted(n_nodules as u64, "nodule", "nodules"),
                with_index().filter(|row| is_over(row)).count(),
                counted(with_index().count() as u64, "night × quantity", "nights × quantities"),
            );
            self.html.push_str(&text);
        }
        for model in self.content.without_profile {
            let _ = writeln!(
                self.html,
                "<li><code>{}</code> has no profile of its training cohort: nothing is compared</li>",
                escape(model)
            );
        }
        self.html.push_str("</ul></section>\n");
    }

    fn stability(&mut self) {
        self.section("stability", "Stability");
        let days = days(self.content);
        let chart = |model: &str| {
            let rows: Vec<&Drift> =
                self.content.nights.iter().filter(|row| row.model_id == model).collect();
            let picture = psi_by_night(model, &days, &rows);
            (picture, format!("Population stability index by night of {model}"))
        };
        let charts: Vec<_> = models(self.content).into_iter().map(chart).collect();
        let [some, large] = SHIFTS;
        let caption = format!(
            "Population stability index against the training, by night; a night of under {} nodules has \
             none. Dashed: {some} and {large}.",
            nodulus_metrics::distribution::LEAST_VALUES
        );
        self.charts("wide", &charts, &caption);
        self.html.push_str("</section>\n");
    }

    fn distributions(&mut self) {
        self.section("distributions", "Distributions");
        for model in models(self.content) {
            let rows = self.content.all.iter().filter(|row| row.model_id == model);
            let chart = |(place, row): (usize, &Drift)| {
                (shares(row, place), format!("{} of all nights beside the training", row.quantity))
            };
            let charts: Vec<_> = rows.enumerate().map(chart).collect();
            let caption = format!(
                "<code>{}</code>: nodules of all nights (bars) and of the training (line), as shares of the \
                 bins; the outer bins have no end.",
                escape(model)
            );
            self.charts("panels", &charts, &caption);
        }
        self.html.push_str("</section>\n");
    }

    fn nights(&mut self) {
        self.section("nights", "Nights");
        let group = |model: &str| {
            let rows = self.content.nights.iter().filter(|row| row.model_id == model);
            Group {
                name: Some(format!("<code>{}</code>", escape(model))),
                rows: rows.map(cells).collect(),
            }
        };
        let groups = models(self.content).into_iter().map(group).collect();
        let heads =
            ["Night", "Quantity", "n", "Mean", "Training", "Median", "Training", "PSI", "Limit"];
        self.table(
            "Nodules by night, beside what the model’s weights predict of its training cohort. Bold: the index \
             is above its limit.",
            &heads,
            groups,
        );
        self.html.push_str("</section>\n");
    }

    fn warnings(&mut self) {
        self.section("warnings", "Warnings");
        let row = |warned: &Warned| {
            vec![
                escape(&warned.night),
                integer(warned.n_scans),
                format!("<span style=\"white-space: normal\">{}</span>", escape(&warned.warning)),
            ]
        };
        let rows = self.content.warnings.iter().map(row).collect();
        self.table(
            "Scans outside what their model was trained on.",
            &["Night", "Scans", "Warning"],
            vec![Group { name: None, rows }],
        );
        self.html.push_str("</section>\n");
    }

    fn definitions(&mut self) {
        self.section("definitions", "Definitions");
        self.html.push_str(include_str!("drift_definitions.html"));
        self.html.push_str("</section>\n");
    }

    fn section(&mut self, anchor: &str, title: &str) {
        let _ = writeln!(self.html, "<section id=\"{anchor}\">\n<h2>{title}</h2>");
    }

    fn charts(&mut self, class: &str, charts: &[(String, String)], caption: &str) {
        if charts.is_empty() {
            return;
        }
        self.figures += 1;
        Figure { number: self.figures, class, charts, caption }.write(&mut self.html);
    }

    fn table(&mut self, caption: &str, heads: &[&str], groups: Vec<Group>) {
        self.tables += 1;
        let table = Table { number: self.tables, caption: caption.to_owned(), heads, groups };
        table.write(&mut self.html);
    }
}

/// The nights, in order.
fn days<'a>(content: &Content<'a>) -> Vec<&'a str> {
    let days: BTreeSet<&str> = content.nights.iter().map(|row| row.first_night.as_str()).collect();
    days.into_iter().collect()
}

/// The models, in order.
fn models<'a>(content: &Content<'a>) -> Vec<&'a str> {
    let models: BTreeSet<&str> = content.nights.iter().map(|row| row.model_id.as_str()).collect();
    models.into_iter().collect()
}

/// Whether the index is above what chance alone keeps it under.
fn is_over(row: &Drift) -> bool {
    row.psi.zip(row.psi_limit).is_some_and(|(psi, limit)| psi > limit)
}

/// A row of the table of nights.
fn cells(row: &Drift) -> Vec<String> {
    let quantity = Quantity::from_name(&row.quantity);
    let decimals = if quantity == Some(Quantity::Probability) { 2 } else { 0 };
    let value = |value: Option<f64>| decimal(value, decimals);
    let psi = decimal(row.psi, 3);
    vec![
        escape(&row.first_night),
        quantity.map_or_else(|| escape(&row.quantity), |quantity| title(quantity).to_owned()),
        integer(row.n.max(0) as u64),
        value(row.mean),
        value(row.training_mean),
        value(row.median),
        value(row.training_median),
        if is_over(row) { format!("<b>{psi}</b>") } else { psi },
        decimal(row.psi_limit, 3),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nightly::drift::tests::{night, profiles};
    use crate::nightly::drift::{by_night, over_nights};

    #[test]
    fn a_page_shows_nights_models_and_warnings_and_nothing_of_them_is_markup() {
        let mut nodules = night("2026-11-22", "<m>", 50);
        nodules.extend(night("2026-11-23", "<m>", 40));
        for nodule in &mut nodules[50..] {
            nodule.mean_hu = Some(900.0);
        }
        nodules.extend(night("2026-11-23", "other", 3));
        let profiles = profiles("<m>");
        let (nights, all) = (by_night(&nodules, &profiles), over_nights(&nodules, &profiles));
        let warnings = [Warned {
            night: "2026-11-23".to_owned(),
            warning: "slice thickness 5 mm is outside <b>".to_owned(),
            n_scans: 1200,
        }];
        let without_profile = ["other".to_owned()];
        let content = Content {
            nights: &nights,
            all: &all,
            warnings: &warnings,
            without_profile: &without_profile,
        };
        let page = render(&content);
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
        assert!(
            !page.contains("<m>") && !page.contains("outside <b>") && !page.contains("<script")
        );
        assert!(!page.contains("NaN") && !page.contains("http://www.w3.org/1999/xhtml"));
        for expected in [
            "2026-11-22 to 2026-11-23",
            "<code>&lt;m&gt;</code>: 90 nodules; the index is above its limit in 1 of 6 nights × quantities",
            "<code>other</code> has no profile",
            "slice thickness 5 mm is outside &lt;b&gt;",
            "1,200",
            "Mean intensity (HU)",
        ] {
            assert!(page.contains(expected), "{expected}");
        }
        assert_eq!(page.matches("<figure>").count(), 3);
        assert_eq!(page.matches("<div class=\"chart\"").count(), 2 + 6);
        assert_eq!(page, render(&content));
    }

    #[test]
    fn a_page_of_nothing_says_so() {
        let nothing = Content { nights: &[], all: &[], warnings: &[], without_profile: &[] };
        let page = render(&nothing);
        assert!(page.contains("no night yet") && page.contains(">none</td>"), "{page}");
        assert!(!page.contains("<figure>"));
    }
}

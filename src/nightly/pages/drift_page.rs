//! The page of drift: how the nodules of each night differ from the training cohort.

use super::charts::{SHIFTS, psi_by_night, shares, title};
use crate::nightly::follow_up::drift::DriftQuantity;
use crate::tables::Drift;
use maud::{Markup, PreEscaped, html};
use nodulus_pages::text::{counted, decimal, integer};
use nodulus_pages::{Chart, Group, Page, charts_side_by_side, charts_stacked, message};
use std::collections::BTreeSet;

/// What the terms mean.
const DEFINITIONS: PreEscaped<&str> = PreEscaped(include_str!("definitions.html"));

/// How many scans of a night have a warning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WarningCount {
    /// Day of scoring, YYYY-MM-DD.
    pub(super) night: String,
    pub(super) warning: String,
    pub(super) n_scans: u64,
}

/// What the page shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct DriftContent<'a> {
    /// Rows of single nights.
    pub(super) nights: &'a [Drift],
    /// Rows over all nights.
    pub(super) all: &'a [Drift],
    /// Warnings, in the order in which they are shown.
    pub(super) warnings: &'a [WarningCount],
    /// Models without a profile of their training cohort.
    pub(super) without_profile: &'a [String],
}

/// Renders the page; the same content gives the same bytes.
pub(super) fn render(content: &DriftContent<'_>) -> String {
    let mut page = Page::new("Drift", byline(content));
    page.summary(summary(content));
    page.section("stability", "Stability");
    stability(&mut page, content);
    page.section("distributions", "Distributions");
    distributions(&mut page, content);
    page.section("nights", "Nights");
    nights(&mut page, content);
    page.section("warnings", "Warnings");
    warnings(&mut page, content);
    page.section("definitions", "Definitions");
    page.add(DEFINITIONS);
    page.render()
}

fn byline(content: &DriftContent<'_>) -> Markup {
    let nights = days(content);
    html! {
        @match (nights.first(), nights.last()) {
            (Some(first), Some(last)) if first == last => { (first) }
            (Some(first), Some(last)) => { (first) " to " (last) }
            _ => "no night yet",
        }
        " · nodulus " (env!("CARGO_PKG_VERSION"))
    }
}

fn summary(content: &DriftContent<'_>) -> Markup {
    html! {
        ul {
            @for model in models(content) { li { (model_summary(content, model)) } "\n" }
            @for model in content.without_profile {
                li {
                    code { (model) }
                    " has no profile of its training cohort, so that its nodules are not compared"
                }
                "\n"
            }
        }
    }
}

fn model_summary(content: &DriftContent<'_>, model: &str) -> Markup {
    let of_model = || content.nights.iter().filter(|row| row.model_id == model);
    let with_index = || of_model().filter(|row| row.psi.is_some());
    let nodules = of_model().filter(|row| row.quantity == DriftQuantity::Probability.name());
    let n_nodules: i64 = nodules.map(|row| row.n_nodules).sum();
    html! {
        code { (model) } ": " (counted(n_nodules as u64, "nodule", "nodules"))
        "; the index is above its limit in " (with_index().filter(|row| is_over(row)).count()) " of "
        (counted(with_index().count() as u64, "night × quantity", "nights × quantities"))
    }
}

fn stability(page: &mut Page, content: &DriftContent<'_>) {
    let days = days(content);
    let chart = |model: &str| {
        let rows: Vec<&Drift> = content.nights.iter().filter(|row| row.model_id == model).collect();
        Chart {
            picture: psi_by_night(model, &days, &rows),
            description: format!("Population stability index by night of {model}"),
        }
    };
    let charts: Vec<Chart> = models(content).into_iter().map(chart).collect();
    if charts.is_empty() {
        return;
    }
    let [some, large] = SHIFTS;
    let caption = format!(
        "Population stability index against the training cohort, by night. A night with fewer than {} \
         nodules has no index. Dashed: {some} and {large}.",
        nodulus_metrics::distribution::MIN_VALUES
    );
    page.figure(charts_stacked(&charts), caption);
}

fn distributions(page: &mut Page, content: &DriftContent<'_>) {
    for model in models(content) {
        let rows = content.all.iter().filter(|row| row.model_id == model);
        let chart = |(n, row): (usize, &Drift)| Chart {
            picture: shares(row, n),
            description: format!("{} of all nights and of the training cohort", row.quantity),
        };
        let charts: Vec<Chart> = rows.enumerate().map(chart).collect();
        if charts.is_empty() {
            continue;
        }
        let caption = html! {
            code { (model) }
            ": nodules of all nights (bars) and of the training cohort (line), as the share in each bin. The \
             outer bins are open."
        };
        page.figure(charts_side_by_side(&charts), caption);
    }
}

fn nights(page: &mut Page, content: &DriftContent<'_>) {
    let group = |model: &str| {
        let rows = content.nights.iter().filter(|row| row.model_id == model);
        Group { name: Some(html! { code { (model) } }), rows: rows.map(cells).collect() }
    };
    let groups = models(content).into_iter().map(group).collect();
    let heads =
        ["Night", "Quantity", "n", "Mean", "Training", "Median", "Training", "PSI", "Limit"];
    page.table(
        "Nodules by night, beside the model’s predictions for its training cohort. Bold: the index is above \
         its limit.",
        &heads,
        groups,
    );
}

fn warnings(page: &mut Page, content: &DriftContent<'_>) {
    let row = |count: &WarningCount| {
        vec![
            html! { (count.night) },
            html! { (integer(count.n_scans)) },
            html! { span style="white-space: normal" { (message(&count.warning)) } },
        ]
    };
    let rows = content.warnings.iter().map(row).collect();
    page.table(
        "Scans outside the range of the model’s training cohort.",
        &["Night", "Scans", "Warning"],
        vec![Group { name: None, rows }],
    );
}

/// The nights, in order.
fn days<'a>(content: &DriftContent<'a>) -> Vec<&'a str> {
    let days: BTreeSet<&str> = content.nights.iter().map(|row| row.first_night.as_str()).collect();
    days.into_iter().collect()
}

/// The models, in order.
fn models<'a>(content: &DriftContent<'a>) -> Vec<&'a str> {
    let models: BTreeSet<&str> = content.nights.iter().map(|row| row.model_id.as_str()).collect();
    models.into_iter().collect()
}

/// Whether the index is above its limit.
fn is_over(row: &Drift) -> bool {
    row.psi.zip(row.psi_limit).is_some_and(|(psi, limit)| psi > limit)
}

/// A row of the table of nights.
fn cells(row: &Drift) -> Vec<Markup> {
    let quantity = DriftQuantity::from_name(&row.quantity);
    let decimals = if quantity == Some(DriftQuantity::Probability) { 2 } else { 0 };
    let value = |value: Option<f64>| html! { (decimal(value, decimals)) };
    let psi = decimal(row.psi, 3);
    vec![
        html! { (row.first_night) },
        html! { @if let Some(quantity) = quantity { (title(quantity)) } @else { (row.quantity) } },
        html! { (integer(row.n.max(0) as u64)) },
        value(row.mean),
        value(row.training_mean),
        value(row.median),
        value(row.training_median),
        html! { @if is_over(row) { b { (psi) } } @else { (psi) } },
        html! { (decimal(row.psi_limit, 3)) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nightly::follow_up::drift::tests::{night, profiles};
    use crate::nightly::follow_up::drift::{by_night, over_nights};

    #[test]
    fn a_page_shows_nights_models_and_warnings_as_text() {
        let mut nodules = night("2026-11-22", "<m>", 50);
        nodules.extend(night("2026-11-23", "<m>", 40));
        for nodule in &mut nodules[50..] {
            nodule.mean_hu = Some(900.0);
        }
        nodules.extend(night("2026-11-23", "other", 3));
        let profiles = profiles("<m>");
        let (nights, all) = (by_night(&nodules, &profiles), over_nights(&nodules, &profiles));
        let warnings = [WarningCount {
            night: "2026-11-23".to_owned(),
            warning: "slice thickness 5 mm is outside <b>".to_owned(),
            n_scans: 1200,
        }];
        let without_profile = ["other".to_owned()];
        let content = DriftContent {
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
    fn an_empty_page_says_so() {
        let nothing = DriftContent { nights: &[], all: &[], warnings: &[], without_profile: &[] };
        let page = render(&nothing);
        assert!(page.contains("no night yet") && page.contains(">none</td>"), "{page}");
        assert!(!page.contains("<figure>"));
    }
}

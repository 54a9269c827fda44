//! Cohorts: what was read, used and left out.

use super::{ReportPage, cell, distinct};
use crate::stages::report::charts;
use crate::stages::report::content::{CohortSummary, Count, Histogram, HistogramQuantity};
use maud::{Markup, html};
use nodulus_pages::text::{NONE, counted, decimal, integer, words};
use nodulus_pages::{Chart, Group, Step, charts_stacked, flow};

impl ReportPage<'_> {
    pub(super) fn cohorts(&mut self) {
        let cohorts = &self.content.cohorts;
        for cohort in cohorts {
            self.page.add(html! { h3 { (cohort.name) } (flow(&steps(cohort))) });
        }
        let names = cohorts.iter().map(|cohort| cohort.name.as_str());
        let heads: Vec<&str> = std::iter::once("Cohort").chain(names).collect();
        let row = |name: &str, value: &dyn Fn(&CohortSummary) -> String| -> Vec<Markup> {
            let values = cohorts.iter().map(|cohort| cell(value(cohort)));
            std::iter::once(cell(name)).chain(values).collect()
        };
        let mut scans: Vec<Vec<Markup>> = Vec::new();
        if !cohorts.is_empty() {
            scans.push(row("Layout of the files", &|c| c.layout.clone()));
            scans.push(row("Patients", &|c| integer(c.n_patients)));
            scans.push(row("Scans read", &|c| integer(c.n_scans)));
            scans.push(row("Scans excluded", &|c| integer(c.n_excluded)));
        }
        let mut annotations: Vec<Vec<Markup>> = Vec::new();
        for kind in distinct(cohorts.iter().flat_map(|c| c.marks.iter().map(|m| &m.name))) {
            let of_kind = |c: &CohortSummary| of(&c.marks, kind).map_or(NONE.to_owned(), integer);
            annotations.push(row(&format!("Marks: {}", words(kind)), &of_kind));
        }
        if !cohorts.is_empty() {
            let several = |c: &CohortSummary| integer(c.n_more_marks_than_readers);
            let resampled = |c: &CohortSummary| integer(c.n_resampled);
            let shared = |c: &CohortSummary| integer(c.n_shared_slices);
            annotations.extend([
                row("Nodules", &|c| integer(c.n_nodules)),
                row("Nodules with more marks than readers", &several),
                row("Nodules resampled to fit into their region", &resampled),
                row("Nodules cut off at the border of their region", &|c| integer(c.n_cropped)),
                row("Slices of their regions", &|c| integer(c.n_roi_slices)),
                row("Slices that show another nodule", &shared),
            ]);
        }
        let mut samples: Vec<Vec<Markup>> = Vec::new();
        if cohorts.iter().any(|c| !c.split_by.is_empty()) {
            samples.push(row("Split by", &|c| c.split_by.join(", ")));
        }
        for split in distinct(cohorts.iter().flat_map(|c| c.samples.iter().map(|s| &s.split))) {
            let of_split = |c: &CohortSummary| {
                let of_split = c.samples.iter().find(|s| s.split == *split);
                of_split.map_or(NONE.to_owned(), |s| {
                    [s.n_patients, s.n_nodules, s.n_slices, s.n_empty_slices]
                        .map(integer)
                        .join(" / ")
                })
            };
            samples.push(row(&words(split), &of_split));
        }
        let group = |name: &str, rows| Group { name: Some(cell(name)), rows };
        self.page.table(
            "Scans, annotations and samples of each cohort.",
            &heads,
            vec![
                group("Scans", scans),
                group("Annotations", annotations),
                group(
                    "Samples: patients / nodules / slices / slices without nodule among them",
                    samples,
                ),
            ],
        );
        let of_cohorts = |rows: fn(&CohortSummary) -> Vec<Vec<Markup>>| {
            let group = |cohort: &CohortSummary| Group {
                name: Some(cell(&cohort.name)),
                rows: rows(cohort),
            };
            cohorts.iter().map(group).collect::<Vec<_>>()
        };
        self.page.table(
            "Excluded scans, by reason. A scan may have several reasons.",
            &["Reason", "Scans"],
            of_cohorts(|cohort| cohort.exclusions.iter().map(count).collect()),
        );
        self.page.table(
            html! {
                "Excluded files and marks, by rule. Each is a row of " code { "exclusions" } "."
            },
            &["Rule", "Excluded"],
            of_cohorts(|cohort| cohort.left_out.iter().map(rule).collect()),
        );
    }

    /// Distribution of spacings, thickness and diameters in each cohort.
    pub(super) fn histograms(&mut self) {
        let cohorts = &self.content.cohorts;
        for (of_scans, name, what) in [
            (true, "Spacing and thickness of the slices", "scans that later stages use"),
            (false, "Diameters of the nodules", "nodules, each the mean of its marks’ diameters"),
        ] {
            let rows: Vec<_> =
                cohorts.iter().map(|c| (c.name.as_str(), drawn(c, of_scans))).collect();
            if rows.iter().all(|(_, charts)| charts.iter().all(|chart| chart.n == 0)) {
                continue;
            }
            let chart = Chart { picture: charts::histograms(&rows), description: name.to_owned() };
            let caption = format!(
                "{name}, a row for each cohort: number of {what}, by value. Above the bars: number, \
                 median (minimum to maximum)."
            );
            self.page.figure(charts_stacked(&[chart]), caption);
        }
        let mut groups: Vec<Group> = Vec::new();
        let mut quantities: Vec<HistogramQuantity> = Vec::new();
        for quantity in cohorts.iter().flat_map(|c| &c.histograms).map(|h| h.quantity) {
            if quantities.contains(&quantity) {
                continue;
            }
            quantities.push(quantity);
            let row = |cohort: &CohortSummary| {
                let h = cohort.histograms.iter().find(|h| h.quantity == quantity)?;
                let value = |value| decimal(value, charts::decimals(quantity));
                let range = match (h.min, h.max) {
                    (Some(_), Some(_)) => format!("{} to {}", value(h.min), value(h.max)),
                    _ => NONE.to_owned(),
                };
                let numbers = [integer(h.n), integer(h.n_unknown), value(h.median), range];
                Some(std::iter::once(cell(&cohort.name)).chain(numbers.map(cell)).collect())
            };
            let rows = cohorts.iter().filter_map(row).collect();
            groups.push(Group { name: Some(cell(charts::title(quantity))), rows });
        }
        self.page.table(
            "The distributions in numbers. Slice thickness is that of the DICOM header; other formats have \
             none.",
            &["Cohort", "n", "Unknown", "Median", "Range"],
            groups,
        );
    }

    pub(super) fn failures(&mut self) {
        let groups = self.content.failures.iter().map(|stage| Group {
            name: Some(html! { (stage.stage) ": " (counted(stage.n, "case", "cases")) }),
            rows: stage.causes.iter().map(count).collect(),
        });
        self.page.table(
            html! {
                "Cases that failed in a stage. Each is a row of " code { "failures" }
                "; the run continued without them."
            },
            &["Cause", "Cases"],
            groups.collect(),
        );
    }
}

/// The steps from a cohort's files to its samples: how many there are at each step, and what was excluded
/// before the next.
fn steps(cohort: &CohortSummary) -> Vec<Step> {
    let reasons = |counts: &[Count], title: fn(&str) -> String| {
        let each = counts.iter().map(|c| format!("{}: {}", title(&c.name), integer(c.n)));
        each.collect::<Vec<String>>()
    };
    let mut out = reasons(&cohort.exclusions, str::to_owned);
    if cohort.n_excluded > 0 {
        out.insert(0, format!("excluded: {}", integer(cohort.n_excluded)));
    }
    let n_marks = cohort.marks.iter().map(|count| count.n).sum();
    let samples = cohort.samples.iter();
    let chosen = samples.clone().map(|s| s.n_slices).sum();
    let splits = samples.map(|s| {
        let nodules = counted(s.n_nodules, "nodule", "nodules");
        format!("{}: {} of {nodules}", words(&s.split), integer(s.n_slices))
    });
    let patients = format!("of {}", counted(cohort.n_patients, "patient", "patients"));
    let step = |n, label: &str, notes| Step { n, label: label.to_owned(), notes };
    vec![
        step(cohort.n_scans, "scans read", vec![patients]),
        step(cohort.n_scans - cohort.n_excluded.min(cohort.n_scans), "scans used", out),
        step(n_marks, "marks", reasons(&cohort.marks, words)),
        step(cohort.n_nodules, "nodules", Vec::new()),
        step(cohort.n_roi_slices, "slices of their regions", Vec::new()),
        step(chosen, "slices sampled for training and evaluation", splits.collect()),
    ]
}

/// The histograms of a cohort's scans, or of its nodules.
fn drawn(cohort: &CohortSummary, of_scans: bool) -> Vec<&Histogram> {
    let histograms = cohort.histograms.iter();
    histograms.filter(|h| (h.quantity != HistogramQuantity::Diameter) == of_scans).collect()
}

fn of(counts: &[Count], name: &str) -> Option<u64> {
    counts.iter().find(|count| count.name == name).map(|count| count.n)
}

fn count(count: &Count) -> Vec<Markup> {
    vec![cell(&count.name), cell(integer(count.n))]
}

fn rule(count: &Count) -> Vec<Markup> {
    vec![cell(words(&count.name)), cell(integer(count.n))]
}

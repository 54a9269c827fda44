//! What came in, and what was lost on the way.

use super::table::Group;
use super::{Page, distinct};
use crate::stages::report::charts;
use crate::stages::report::content::{Cohort, Count, Histogram, Quantity};
use crate::stages::report::text::{NONE, counted, decimal, escape, integer, words};
use std::fmt::Write as _;

impl Page<'_> {
    pub(super) fn cohorts(&mut self) {
        let cohorts = &self.content.cohorts;
        for cohort in cohorts {
            self.html.push_str(&flow(cohort));
        }
        let names: Vec<String> = cohorts.iter().map(|cohort| escape(&cohort.name)).collect();
        let heads: Vec<&str> =
            std::iter::once("Cohort").chain(names.iter().map(String::as_str)).collect();
        let row = |name: &str, value: &dyn Fn(&Cohort) -> String| {
            std::iter::once(name.to_owned()).chain(cohorts.iter().map(value)).collect()
        };
        let mut source: Vec<Vec<String>> = Vec::new();
        if !cohorts.is_empty() {
            source.push(row("Layout of the files", &|c| escape(&c.layout)));
            source.push(row("Patients", &|c| integer(c.n_patients)));
            source.push(row("Scans read", &|c| integer(c.n_scans)));
            source.push(row("Scans left out", &|c| integer(c.n_excluded)));
        }
        let mut found: Vec<Vec<String>> = Vec::new();
        for kind in distinct(cohorts.iter().flat_map(|c| c.marks.iter().map(|m| &m.name))) {
            let of_kind = |c: &Cohort| of(&c.marks, kind).map_or(NONE.to_owned(), integer);
            found.push(row(&format!("Marks: {}", words(kind)), &of_kind));
        }
        if !cohorts.is_empty() {
            found.push(row("Nodules", &|c| integer(c.n_nodules)));
            let several = |c: &Cohort| integer(c.n_more_marks_than_readers);
            found.push(row("Nodules with more marks than readers", &several));
            found.push(row("Nodules resampled to fit their region", &|c| integer(c.n_resampled)));
            found.push(row("Nodules cut at their region's border", &|c| integer(c.n_cropped)));
            found.push(row("Slices of their regions", &|c| integer(c.n_roi_slices)));
            let shared = |c: &Cohort| integer(c.n_shared_slices);
            found.push(row("Slices that show another nodule", &shared));
        }
        let mut chosen: Vec<Vec<String>> = Vec::new();
        if cohorts.iter().any(|c| !c.split_by.is_empty()) {
            chosen.push(row("Split by", &|c| escape(&c.split_by.join(", "))));
        }
        for split in distinct(cohorts.iter().flat_map(|c| c.samples.iter().map(|s| &s.split))) {
            let of_split = |c: &Cohort| {
                let found = c.samples.iter().find(|s| s.split == *split);
                found.map_or(NONE.to_owned(), |s| {
                    [s.n_patients, s.n_nodules, s.n_slices, s.n_empty_slices]
                        .map(integer)
                        .join(" / ")
                })
            };
            chosen.push(row(&words(split), &of_split));
        }
        let group = |name: &str, rows| Group { name: Some(name.to_owned()), rows };
        self.table(
            "What was read, and what was made of it.",
            &heads,
            vec![
                group("Scans", source),
                group("Annotations", found),
                group(
                    "Chosen for learning: patients / nodules / slices / of these without nodule",
                    chosen,
                ),
            ],
        );
        let excluded = cohorts.iter().map(|cohort| Group {
            name: Some(escape(&cohort.name)),
            rows: cohort.exclusions.iter().map(count).collect(),
        });
        let excluded = excluded.collect();
        self.table(
            "Scans left out, by reason; a scan may have several.",
            &["Reason", "Scans"],
            excluded,
        );
        let left_out = cohorts.iter().map(|cohort| Group {
            name: Some(escape(&cohort.name)),
            rows: cohort.left_out.iter().map(|c| vec![words(&c.name), integer(c.n)]).collect(),
        });
        let left_out = left_out.collect();
        self.table(
            "Files and marks left out, by rule. Each is a row of <code>exclusions</code>.",
            &["Rule", "Left out"],
            left_out,
        );
    }

    /// How spacings, thickness and diameters are spread over each cohort.
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
            let chart = charts::histograms(&rows);
            let caption = format!(
                "{name}, a row for each cohort: number of {what}, by value. Above the bars: number, \
                 median (least to greatest)."
            );
            self.wide(&[(chart, name.to_owned())], &caption);
        }
        let mut groups: Vec<Group> = Vec::new();
        for quantity in cohorts.iter().flat_map(|c| &c.histograms).map(|h| h.quantity) {
            let title = charts::title(quantity);
            if groups.iter().any(|group| group.name.as_deref() == Some(title)) {
                continue;
            }
            let row = |cohort: &Cohort| {
                let h = cohort.histograms.iter().find(|h| h.quantity == quantity)?;
                let value = |value| decimal(value, charts::decimals(quantity));
                let range = match (h.min, h.max) {
                    (Some(_), Some(_)) => format!("{} to {}", value(h.min), value(h.max)),
                    _ => NONE.to_owned(),
                };
                let numbers = [integer(h.n), integer(h.n_unknown), value(h.median), range];
                Some(std::iter::once(escape(&cohort.name)).chain(numbers).collect())
            };
            let rows = cohorts.iter().filter_map(row).collect();
            groups.push(Group { name: Some(title.to_owned()), rows });
        }
        self.table(
            "The same in numbers. Slice thickness is what the scanner says, which other formats than \
             DICOM do not.",
            &["Cohort", "n", "Unknown", "Median", "Range"],
            groups,
        );
    }

    pub(super) fn failures(&mut self) {
        let groups = self.content.failures.iter().map(|stage| Group {
            name: Some(format!("{}: {}", escape(&stage.stage), counted(stage.n, "case", "cases"))),
            rows: stage.causes.iter().map(count).collect(),
        });
        let groups = groups.collect();
        self.table(
            "Cases that a stage could not do. Each is a row of <code>failures</code>; the run went \
             on without them.",
            &["Cause", "Cases"],
            groups,
        );
    }
}

/// A cohort's way from its files to the slices that are learnt from: at each step how many there are,
/// and what was left out before the next.
fn flow(cohort: &Cohort) -> String {
    let reasons = |counts: &[Count], title: fn(&str) -> String| {
        let each = counts.iter().map(|c| format!("{}: {}", title(&c.name), integer(c.n)));
        each.collect::<Vec<String>>()
    };
    let mut out = reasons(&cohort.exclusions, escape);
    if cohort.n_excluded > 0 {
        out.insert(0, format!("left out: {}", integer(cohort.n_excluded)));
    }
    let n_marks = cohort.marks.iter().map(|count| count.n).sum();
    let mut steps = vec![
        (
            cohort.n_scans,
            "scans read",
            vec![format!("of {}", counted(cohort.n_patients, "patient", "patients"))],
        ),
        (cohort.n_scans - cohort.n_excluded.min(cohort.n_scans), "scans used", out),
        (n_marks, "marks", reasons(&cohort.marks, words)),
        (cohort.n_nodules, "nodules", Vec::new()),
        (cohort.n_roi_slices, "slices of their regions", Vec::new()),
    ];
    let samples = cohort.samples.iter();
    let chosen = samples.clone().map(|s| s.n_slices).sum();
    let splits = samples.map(|s| {
        let nodules = counted(s.n_nodules, "nodule", "nodules");
        format!("{}: {} of {nodules}", words(&s.split), integer(s.n_slices))
    });
    steps.push((chosen, "slices chosen for learning and scoring", splits.collect()));
    let mut html = format!("<h3>{}</h3>\n<ol class=\"flow\">", escape(&cohort.name));
    for (n, what, notes) in steps {
        let _ = write!(html, "<li><b>{}</b> {what}", integer(n));
        for note in notes {
            let _ = write!(html, "<br/><small>{note}</small>");
        }
        html.push_str("</li>");
    }
    html + "</ol>\n"
}

/// The histograms of a cohort's scans, or of its nodules.
fn drawn(cohort: &Cohort, of_scans: bool) -> Vec<&Histogram> {
    let histograms = cohort.histograms.iter();
    histograms.filter(|h| (h.quantity != Quantity::Diameter) == of_scans).collect()
}

fn of(counts: &[Count], name: &str) -> Option<u64> {
    counts.iter().find(|count| count.name == name).map(|count| count.n)
}

fn count(count: &Count) -> Vec<String> {
    vec![escape(&count.name), integer(count.n)]
}

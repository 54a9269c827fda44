//! How far readers agree with each other.

use super::Page;
use super::table::Group;
use crate::stages::report::content::{Pairwise, Readers};
use crate::stages::report::text::{
    NONE, counted, decimal, decimals, escape, integer, interval, metric_title, words,
};
use nodulus_metrics::bootstrap;

/// The readers' row among the models.
const CEILING: &str = "Readers with each other <small>ceiling, in pairs</small>";

impl Page<'_> {
    pub(super) fn readers(&mut self) {
        let groups = self.content.readers.iter().map(|readers| Group {
            name: Some(compared(readers)),
            rows: readers.pairwise.iter().map(pairwise).collect(),
        });
        let groups = groups.collect();
        let caption = format!(
            "Agreement between readers, over the nodules that two or more of them marked. Each \
             nodule counts once, with the mean over its pairs of readers. Mean with its 95% interval \
             (bootstrap, {} resamples of patients).",
            integer(bootstrap::RESAMPLES as u64)
        );
        self.table(
            &caption,
            &["Between readers", "Mean", "95% interval", "SD", "Median", "Nodules"],
            groups,
        );
        let groups = self.content.readers.iter().map(|readers| Group {
            name: Some(escape(&readers.cohort)),
            rows: readers
                .ratings
                .iter()
                .map(|row| {
                    vec![
                        words(&row.rating),
                        format!("<b>{}</b>", decimal(row.fleiss_kappa, 3)),
                        interval(row.ci_low, row.ci_high, 3),
                        decimal(row.observed_agreement, 3),
                        decimal(row.expected_agreement, 3),
                        integer(row.n_nodules.unsigned_abs()),
                        integer(row.n_ratings.unsigned_abs()),
                    ]
                })
                .collect(),
        });
        let groups = groups.collect();
        self.table(
            "Agreement between readers’ ratings, over the nodules that two or more of them rated. \
             Observed: share of pairs of readers who gave the same rating; by chance: the same, had \
             each rating been drawn from all; Fleiss’ kappa: how far the first lies above the second, \
             1 where all agree. No kappa where every rating is the same; no interval where one \
             resample in 40 or more has no kappa.",
            &[
                "Rating",
                "Fleiss’ kappa",
                "95% interval",
                "Observed",
                "By chance",
                "Nodules",
                "Ratings",
            ],
            groups,
        );
    }

    /// The readers' row of a metric in the table of the models, where any nodule has one.
    pub(super) fn ceiling_row(&self, metric: &str) -> Option<Vec<String>> {
        let ceiling = &self.content.ceiling;
        let row = ceiling.pairwise.iter().find(|row| row.metric == metric)?;
        let decimals = decimals(metric);
        Some(vec![
            CEILING.to_owned(),
            format!("<b>{}</b>", decimal(row.mean, decimals)),
            interval(row.ci_low, row.ci_high, decimals)
                + &self.bar(metric, row.mean, [row.ci_low, row.ci_high]),
            decimal(row.sd, decimals),
            decimal(row.median, decimals),
            format!("{} / {}", row.n_nodules, ceiling.n_nodules),
            NONE.to_owned(),
            NONE.to_owned(),
        ])
    }

    /// What the readers' rows are, or why there are none; nothing where nothing was scored.
    pub(super) fn ceiling_note(&self) -> String {
        let ceiling = &self.content.ceiling;
        let scored = counted(ceiling.n_nodules, "scored nodule", "scored nodules");
        let text = match ceiling.pairwise.first() {
            _ if ceiling.n_nodules == 0 => return String::new(),
            Some(row) => format!(
                "Readers with each other: a ceiling for the models, from the {} of {scored} on which \
                 two or more readers were compared in pairs. The models are scored against the \
                 readers’ consensus, and on all of the nodules.",
                integer(row.n_nodules)
            ),
            None if ceiling.n_several_readers == 0 => {
                "The scored nodules have one reader each, so that no ceiling between readers is known."
                    .to_owned()
            }
            None => format!(
                "Of {scored}, {} have two or more readers, who could not be compared (see the failed \
                 cases), so that no ceiling between readers is known.",
                integer(ceiling.n_several_readers)
            ),
        };
        format!("<p>{text}</p>\n")
    }
}

/// A cohort with the number of its nodules that have pairs of readers; escaped.
fn compared(readers: &Readers) -> String {
    format!(
        "{}: {} of {} with two or more readers",
        escape(&readers.cohort),
        integer(readers.n_compared),
        counted(readers.n_nodules, "nodule", "nodules")
    )
}

fn pairwise(row: &Pairwise) -> Vec<String> {
    let decimals = decimals(&row.metric);
    vec![
        metric_title(&row.metric),
        format!("<b>{}</b>", decimal(row.mean, decimals)),
        interval(row.ci_low, row.ci_high, decimals),
        decimal(row.sd, decimals),
        decimal(row.median, decimals),
        integer(row.n_nodules),
    ]
}

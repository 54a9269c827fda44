//! Agreement between readers.

use super::{ReportPage, bold, cell};
use crate::stages::report::content::{CohortReaders, Pairwise};
use crate::stages::report::names::{decimals, metric_title};
use crate::tables::RatingAgreement;
use maud::{Markup, html};
use nodulus_metrics::bootstrap;
use nodulus_pages::Group;
use nodulus_pages::text::{NONE, counted, decimal, integer, interval_or, words};

impl ReportPage<'_> {
    pub(super) fn readers(&mut self) {
        let groups = self.content.readers.iter().map(|readers| Group {
            name: Some(cell(compared(readers))),
            rows: readers.pairwise.iter().map(pairwise).collect(),
        });
        let groups = groups.collect();
        let caption = format!(
            "Agreement between readers, over the nodules that two or more readers marked. Each nodule counts \
             once, with the mean over its pairs of readers. 95% interval of the mean by studentised \
             bootstrap ({} resamples of patients).",
            integer(bootstrap::RESAMPLES as u64)
        );
        self.page.table(
            caption,
            &["Between readers", "Mean", "95% interval", "SD", "Median", "Nodules"],
            groups,
        );
        let groups = self.content.readers.iter().map(|readers| Group {
            name: Some(cell(&readers.cohort)),
            rows: readers.ratings.iter().map(rating).collect(),
        });
        let groups = groups.collect();
        self.page.table(
            "Agreement between readers’ ratings, over the nodules that two or more readers rated. Observed: \
             share of pairs of readers with the same rating; by chance: the expected share if each rating were \
             drawn from all; Fleiss’ kappa: agreement beyond chance, 1 where all readers agree; Krippendorff’s \
             alpha: the same for ordered ratings, of which near ones disagree less than far ones. There is neither \
             where all ratings are the same, and no alpha of categories without an order. Beside them, 95% intervals \
             by patient.",
            &[
                "Rating",
                "Fleiss’ kappa",
                "Krippendorff’s alpha",
                "Observed",
                "By chance",
                "Nodules",
                "Ratings",
            ],
            groups,
        );
    }

    /// The readers' row of a metric in the table of the models, where any nodule has one.
    pub(super) fn ceiling_row(&self, metric: &str) -> Option<Vec<Markup>> {
        let ceiling = &self.content.ceiling;
        let row = ceiling.pairwise.iter().find(|row| row.metric == metric)?;
        let decimals = decimals(metric);
        Some(vec![
            html! { "Readers with each other " small { "ceiling, in pairs" } },
            bold(decimal(row.mean, decimals)),
            html! {
                (interval_or(row.ci_low, row.ci_high, decimals, row.ci_missing_reason.as_deref()))
                (self.bar(metric, row.mean, [row.ci_low, row.ci_high]))
            },
            cell(decimal(row.sd, decimals)),
            cell(decimal(row.median, decimals)),
            html! { (row.n_nodules) " / " (ceiling.n_nodules) },
            cell(NONE),
            cell(NONE),
        ])
    }

    /// Explains the readers' rows, or why there are none; empty where no nodule was evaluated.
    pub(super) fn ceiling_note(&self) -> Markup {
        let ceiling = &self.content.ceiling;
        let evaluated = counted(ceiling.n_nodules, "evaluated nodule", "evaluated nodules");
        let text = match ceiling.pairwise.first() {
            _ if ceiling.n_nodules == 0 => return Markup::default(),
            Some(row) => format!(
                "Readers with each other: a ceiling for the models, from the {} of {evaluated} on which \
                 two or more readers were compared in pairs. The models are evaluated against the readers’ \
                 consensus, and on all of the nodules.",
                integer(row.n_nodules)
            ),
            None if ceiling.n_several_readers == 0 => {
                "The evaluated nodules have one reader each, so that there is no ceiling between readers."
                    .to_owned()
            }
            None => format!(
                "Of {evaluated}, {} have two or more readers, who could not be compared (see the failed \
                 cases), so that there is no ceiling between readers.",
                integer(ceiling.n_several_readers)
            ),
        };
        html! { p { (text) } }
    }
}

/// A cohort with the number of its nodules with several readers.
fn compared(readers: &CohortReaders) -> String {
    format!(
        "{}: {} of {} with two or more readers",
        readers.cohort,
        integer(readers.n_compared),
        counted(readers.n_nodules, "nodule", "nodules")
    )
}

fn pairwise(row: &Pairwise) -> Vec<Markup> {
    let decimals = decimals(&row.metric);
    vec![
        cell(metric_title(&row.metric)),
        bold(decimal(row.mean, decimals)),
        cell(interval_or(row.ci_low, row.ci_high, decimals, row.ci_missing_reason.as_deref())),
        cell(decimal(row.sd, decimals)),
        cell(decimal(row.median, decimals)),
        cell(integer(row.n_nodules)),
    ]
}

/// An agreement with its interval; a dash where there is none.
fn agreement(
    value: Option<f64>,
    [low, high]: [Option<f64>; 2],
    missing_reason: Option<&str>,
) -> Markup {
    html! {
        b { (decimal(value, 3)) }
        @if value.is_some() {
            " " small { (interval_or(low, high, 3, missing_reason)) }
        }
    }
}

fn rating(row: &RatingAgreement) -> Vec<Markup> {
    vec![
        cell(words(&row.rating)),
        agreement(
            row.fleiss_kappa,
            [row.kappa_ci_low, row.kappa_ci_high],
            row.kappa_ci_missing_reason.as_deref(),
        ),
        agreement(
            row.krippendorff_alpha,
            [row.alpha_ci_low, row.alpha_ci_high],
            row.alpha_ci_missing_reason.as_deref(),
        ),
        cell(decimal(row.observed_agreement, 3)),
        cell(decimal(row.expected_agreement, 3)),
        cell(integer(row.n_nodules.unsigned_abs())),
        cell(integer(row.n_ratings.unsigned_abs())),
    ]
}

//! Why a series is not scored, by a rule: the rules and words of `ingest`.

use crate::nightly::input::contents::NoScan;
use crate::nightly::redaction;
use crate::nightly::settings::ScoreSettings;
use crate::stages::ingest::JudgedScan;
use nodulus_formats::dicom::{self, SeriesOutline, UnreadableSeries};
use serde::{Deserialize, Serialize};

/// Why a series is not scored, by a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeriesExclusion {
    pub(crate) rule: String,
    pub(crate) reason: String,
    /// Number of candidates that name it.
    pub(crate) n_candidates: usize,
}

/// Why a series that cannot be read is excluded: it is no scan, or the rules exclude it. `None` where it is a scan with a
/// fault.
pub(super) fn of_error(settings: &ScoreSettings, error: &dicom::Error) -> Option<NoScan> {
    let Some(rule) = error.no_scan() else {
        let dicom::Error::Refused { series, .. } = error else { return None };
        return by_rules(settings, &JudgedScan::of_series(&series.info, series.spacing_k_mm));
    };
    let reason = match error {
        dicom::Error::Refused { reason, .. } => {
            redaction::cause(settings.private_input(), &**reason)
        }
        dicom::Error::NoSlices { aside, .. } => {
            aside.first().map(|image| image.what.clone()).unwrap_or_default()
        }
        other => redaction::cause(settings.private_input(), other),
    };
    Some(NoScan { rule: rule.to_owned(), reason })
}

/// Why a series is excluded that cannot be read, by what its headers say that it is: no scan, or images that the rules
/// exclude. A fault of such a series is nobody's concern.
pub(super) fn of_unreadable(settings: &ScoreSettings, series: &UnreadableSeries) -> Option<NoScan> {
    if let Some(error) = &series.no_scan {
        return of_error(settings, error);
    }
    let judged =
        |outline: &SeriesOutline| by_rules(settings, &JudgedScan::of_series(&outline.info, None));
    let excluded: Option<Vec<NoScan>> = series.outlines.iter().map(judged).collect();
    excluded?.into_iter().next()
}

/// Why the rules of the settings exclude a scan, without text of its files.
pub(super) fn by_rules(settings: &ScoreSettings, scan: &JudgedScan<'_>) -> Option<NoScan> {
    let reasons = redaction::words(settings.private_input(), || {
        settings.inclusion.reasons("score.inclusion", scan)
    });
    let is_included = reasons.is_empty();
    (!is_included).then(|| NoScan { rule: "inclusion".to_owned(), reason: reasons.join("; ") })
}

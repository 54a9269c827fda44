//! Chooses among a scan's XML files: repeated reads count once, and corrected reads are replaced.

use super::annotation::Annotation;
use crate::tables::Scan;
use crate::tables::exclusions::{Exclusion, ExclusionRule};
use nodulus_formats::lidc_xml::Annotations;
use nodulus_store::FailedCase;

/// The annotations that are used, and why others are not.
#[derive(Debug, Default)]
pub(super) struct ChosenReads<'a> {
    pub(super) used: Vec<&'a (String, Annotation)>,
    pub(super) exclusions: Vec<Exclusion>,
    pub(super) failures: Vec<FailedCase>,
}

/// Two files hold different reads of a series, and neither is the later one.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{a}` and `{b}` hold different reads of series {series}, delivered {a_delivered} and {b_delivered}: neither corrects the other"
)]
struct Ambiguous {
    series: String,
    a: String,
    b: String,
    a_delivered: String,
    b_delivered: String,
}

/// Chooses among the files of one scan, in their order. Files of a scan that is not included make no marks, and each
/// becomes an exclusion.
///
/// METHOD: LIDC-IDRI delivers six series in 2 to 6 files with the same reads, which count once. A file with other reads of
/// the same series replaces those delivered before it (`DateService` and `TimeService`). Where the order of delivery is
/// unknown, none of the files is used, because nothing says which one is right.
pub(super) fn choose<'a>(scan: &Scan, annotations: &'a [(String, Annotation)]) -> ChosenReads<'a> {
    let mut chosen = ChosenReads::default();
    let exclude = |rule: ExclusionRule, path: &str, reason: String| {
        let series = Some(scan.series_instance_uid.as_str());
        Exclusion::new(rule, Some(&scan.cohort), series, path, reason).of_file(path)
    };
    let mut distinct: Vec<(&'a (String, Annotation), &Annotations)> = Vec::new();
    for entry in annotations {
        let (path, annotation) = entry;
        let Annotation::Lidc(reads) = annotation else {
            chosen.used.push(entry);
            continue;
        };
        match distinct.iter().find(|(_, other)| other.sessions == reads.sessions) {
            Some(((first, _), _)) => {
                let reason = format!("repeats the reads of `{first}`; its marks are counted once");
                chosen.exclusions.push(exclude(ExclusionRule::RepeatedReads, path, reason));
            }
            None => distinct.push((entry, reads)),
        }
    }
    // The latest is last; files without a time come first.
    distinct.sort_by(|a, b| a.1.delivered.cmp(&b.1.delivered));
    if let Some((latest, earlier)) = distinct.split_last() {
        let delivered =
            |reads: &Annotations| reads.delivered.clone().unwrap_or("at no known time".into());
        let unclear = earlier
            .iter()
            .find(|(_, reads)| reads.delivered.is_none() || reads.delivered == latest.1.delivered);
        if let Some(other) = unclear {
            let error = Ambiguous {
                series: scan.series_instance_uid.clone(),
                a: other.0.0.clone(),
                b: latest.0.0.clone(),
                a_delivered: delivered(other.1),
                b_delivered: delivered(latest.1),
            };
            for (entry, _) in &distinct {
                let path = Some(entry.0.clone());
                chosen.failures.push(FailedCase::new(
                    "ingest",
                    &scan.series_instance_uid,
                    &error,
                    path,
                ));
            }
            return chosen;
        }
        for ((path, _), reads) in earlier {
            let reason = format!(
                "delivered {}, corrected by `{}` of {}",
                delivered(reads),
                latest.0.0,
                delivered(latest.1)
            );
            chosen.exclusions.push(exclude(ExclusionRule::SupersededReads, path, reason));
        }
        chosen.used.push(latest.0);
    }
    if !scan.included {
        let reason = format!("its scan is not included: {}", scan.exclusion_reasons.join("; "));
        for (path, _) in &chosen.used {
            chosen.exclusions.push(exclude(ExclusionRule::ScanNotIncluded, path, reason.clone()));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::super::tests::scan;
    use super::*;
    use nodulus_formats::lidc_xml::Session;

    fn file(path: &str, n_sessions: usize, delivered: Option<&str>) -> (String, Annotation) {
        let reads = Annotations {
            series_instance_uid: "1.2".to_owned(),
            study_instance_uid: None,
            delivered: delivered.map(str::to_owned),
            sessions: vec![Session::default(); n_sessions],
        };
        (path.to_owned(), Annotation::Lidc(reads))
    }

    fn used<'a>(chosen: &ChosenReads<'a>) -> Vec<&'a str> {
        chosen.used.iter().map(|(path, _)| path.as_str()).collect()
    }

    fn rules(chosen: &ChosenReads<'_>) -> Vec<(String, Option<String>)> {
        chosen.exclusions.iter().map(|e| (e.rule.clone(), e.path.clone())).collect()
    }

    #[test]
    fn repeated_reads_count_once() {
        let files = [file("a", 4, None), file("b", 4, None), file("c", 4, Some("2006"))];
        let chosen = choose(&scan(), &files);
        assert_eq!(used(&chosen), ["a"]);
        let rule = |path: &str| ("repeated_reads".to_owned(), Some(path.to_owned()));
        assert_eq!(rules(&chosen), [rule("b"), rule("c")]);
        assert!(chosen.exclusions[0].reason.contains("repeats the reads of `a`"));
    }

    #[test]
    fn a_later_file_corrects_an_earlier_one_whatever_their_names() {
        let (new, old) = ("2006-06-06 00:00:00", "2006-06-05 23:59:59");
        for files in [
            [file("a", 3, Some(new)), file("b", 4, Some(old))],
            [file("b", 4, Some(old)), file("a", 3, Some(new))],
        ] {
            let chosen = choose(&scan(), &files);
            assert_eq!(used(&chosen), ["a"]);
            assert_eq!(rules(&chosen), [("superseded_reads".to_owned(), Some("b".to_owned()))]);
            assert!(
                chosen.exclusions[0].reason.ends_with("corrected by `a` of 2006-06-06 00:00:00")
            );
        }
    }

    #[test]
    fn files_that_differ_without_an_order_are_a_failure_of_each() {
        let at = Some("2006-06-05 00:00:00");
        for files in [
            [file("a", 3, at), file("b", 4, at)],
            [file("a", 3, None), file("b", 4, at)],
            [file("a", 3, None), file("b", 4, None)],
        ] {
            let chosen = choose(&scan(), &files);
            assert_eq!(used(&chosen), [] as [&str; 0]);
            let mut paths: Vec<_> =
                chosen.failures.iter().map(|f| f.path.clone().unwrap()).collect();
            paths.sort();
            assert_eq!(paths, ["a", "b"]);
            assert!(chosen.failures[0].cause.contains("neither corrects the other"));
        }
    }

    #[test]
    fn a_file_of_an_excluded_scan_is_an_exclusion() {
        let mut scan = scan();
        scan.included = false;
        scan.exclusion_reasons = vec!["too thick".to_owned()];
        let files = [file("a", 4, None)];
        let chosen = choose(&scan, &files);
        assert_eq!(rules(&chosen), [("scan_not_included".to_owned(), Some("a".to_owned()))]);
        assert_eq!(chosen.exclusions[0].reason, "its scan is not included: too thick");
    }
}

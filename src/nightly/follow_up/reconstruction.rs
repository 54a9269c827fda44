//! Chooses, for two visits of a patient, the series that are most alike.

use super::scan::{FollowUpScan, is_same};
use nodulus_formats::dicom::Date;
use std::collections::BTreeMap;

/// Two slice thicknesses that differ by at most this share of the larger one are alike.
///
/// METHOD: chosen; headers round thicknesses (0.6 and 0.625 mm), and the next thinner reconstruction that scanners offer
/// is a fifth or more thinner (1 and 1.25 mm). The measured volume depends on the thickness and the kernel (Gavrielides
/// et al. 2009).
const THICKNESS_SHARE: f64 = 0.1;

/// What decides with which series of another visit a series is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedSeries {
    /// The visit: DICOM `StudyInstanceUID`; the series' own UID where it is unknown.
    pub visit: String,
    /// Day of the scan.
    pub acquired_on: Option<Date>,
    /// Model that scored it.
    pub model_id: String,
    /// Settings that scored it, as [`FollowUpScan::settings`].
    pub settings: Option<String>,
    /// DICOM `SliceThickness`.
    pub slice_thickness_mm: Option<f64>,
    /// DICOM `ConvolutionKernel`.
    pub kernel: Option<String>,
    /// Whether its lungs are seen, by which it is aligned with a scan of another grid.
    pub has_lungs: bool,
    /// Its grid, as [`FollowUpScan::grid`].
    pub grid: Option<String>,
    /// Its image, as [`FollowUpScan::image`].
    pub image: Option<String>,
}

impl ComparedSeries {
    /// Of a scan.
    pub fn of(scan: &FollowUpScan) -> Self {
        let study = scan.study_instance_uid.clone().filter(|uid| !uid.is_empty());
        Self {
            visit: study.unwrap_or_else(|| scan.series_instance_uid.clone()),
            acquired_on: scan.acquired_on,
            model_id: scan.model_id.clone(),
            settings: scan.settings.clone(),
            slice_thickness_mm: scan.slice_thickness_mm,
            kernel: scan.kernel.clone(),
            has_lungs: scan.lungs.is_some(),
            grid: scan.grid.clone(),
            image: scan.image.clone(),
        }
    }

    /// By what the reconstruction or the model of a later series differs from that of an earlier one, in sentences;
    /// none where the two are alike.
    pub fn differences(earlier: &Self, later: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        if earlier.model_id != later.model_id {
            let models = format!("{} and {}", earlier.model_id, later.model_id);
            differences.push(format!("models {models} scored the scans"));
        }
        match (&earlier.settings, &later.settings) {
            (Some(a), Some(b)) if a != b => {
                differences.push("other settings made the masks of the earlier scan".to_owned());
            }
            // Two results of an earlier version kept no settings.
            (Some(_), Some(_)) | (None, None) => {}
            _ => {
                differences
                    .push("the settings that scored one of the scans are unknown".to_owned());
            }
        }
        match (earlier.slice_thickness_mm, later.slice_thickness_mm) {
            (Some(a), Some(b)) if thickness_difference(a, b) > THICKNESS_SHARE => {
                differences.push(format!("slices are {a} and {b} mm thick"));
            }
            (Some(_), Some(_)) => {}
            (a, b) => differences.push(unknown("slice thickness", [a.is_some(), b.is_some()])),
        }
        match (normal(earlier.kernel.as_ref()), normal(later.kernel.as_ref())) {
            (Some(a), Some(b)) if a != b => {
                let [a, b] = [earlier, later].map(|of| of.kernel.as_deref().unwrap_or_default());
                differences.push(format!("kernels are {} and {}", a.trim(), b.trim()));
            }
            (Some(_), Some(_)) => {}
            (a, b) => differences.push(unknown("kernel", [a.is_some(), b.is_some()])),
        }
        differences
    }

    /// How unlike two series are, the most important first; less is better.
    fn unlikeness(&self, other: &Self) -> (bool, bool, bool, bool, f64, f64) {
        let thickness = match (self.slice_thickness_mm, other.slice_thickness_mm) {
            (Some(a), Some(b)) => thickness_difference(a, b),
            _ => f64::INFINITY,
        };
        let thick = |series: &Self| series.slice_thickness_mm.unwrap_or(f64::INFINITY);
        let kernel = normal(self.kernel.as_ref()).zip(normal(other.kernel.as_ref()));
        let is_placed = self.has_lungs && other.has_lungs
            || is_same(self.grid.as_ref(), other.grid.as_ref())
            || is_same(self.image.as_ref(), other.image.as_ref());
        (
            !is_placed,
            (&self.model_id, &self.settings) != (&other.model_id, &other.settings),
            thickness > THICKNESS_SHARE,
            kernel.is_none_or(|(a, b)| a != b),
            thickness,
            thick(self).max(thick(other)),
        )
    }
}

fn thickness_difference(a: f64, b: f64) -> f64 {
    let larger = a.abs().max(b.abs());
    if larger > 0.0 { (a - b).abs() / larger } else { 0.0 }
}

/// A kernel's name without its case and the spaces around it; `None` where it is empty.
fn normal(kernel: Option<&String>) -> Option<String> {
    kernel.map(|kernel| kernel.trim().to_uppercase()).filter(|kernel| !kernel.is_empty())
}

/// Says in which of two scans, the earlier one first, something is unknown.
fn unknown(what: &str, is_known: [bool; 2]) -> String {
    let of = match is_known {
        [false, false] => "both scans",
        [false, true] => "the earlier scan",
        _ => "the later scan",
    };
    format!("the {what} of {of} is unknown")
}

/// Two visits of a patient: the series that are compared, and the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitPair<'a> {
    /// The series of the visits that are compared, the earlier one first.
    pub compared: [&'a str; 2],
    /// The other series of both visits, by UID.
    pub others: Vec<&'a str>,
}

/// Each two visits of a patient once, whose series come with their ids in the order in which they were scored.
///
/// METHOD: of all pairs of a series of one visit and one of the other, the most alike is compared: first pairs with
/// lungs or with one grid, of one model, of one thickness, of one kernel; then the least difference in thickness, then the thinnest, then
/// the first one scored. The earlier one of the two is that of the earlier day; without days, or on one day, that which
/// was scored first.
pub fn visit_pairs<'a>(series: &[(&'a str, &'a ComparedSeries)]) -> Vec<VisitPair<'a>> {
    // By visit, in the order of their first series.
    let mut order: BTreeMap<&str, usize> = BTreeMap::new();
    let mut visits: Vec<Vec<usize>> = Vec::new();
    for (n, (_, of)) in series.iter().enumerate() {
        let visit = *order.entry(&of.visit).or_insert_with(|| {
            visits.push(Vec::new());
            visits.len() - 1
        });
        visits[visit].push(n);
    }
    let mut pairs = Vec::new();
    for (n, first) in visits.iter().enumerate() {
        for second in &visits[n + 1..] {
            pairs.extend(best_pair(series, first, second));
        }
    }
    pairs
}

fn best_pair<'a>(
    series: &[(&'a str, &'a ComparedSeries)],
    first: &[usize],
    second: &[usize],
) -> Option<VisitPair<'a>> {
    let all = first.iter().flat_map(|a| second.iter().map(move |b| [*a, *b]));
    let [a, b] = all.reduce(|best, pair| {
        let unlikeness = |[a, b]: [usize; 2]| series[a].1.unlikeness(series[b].1);
        if unlikeness(pair) < unlikeness(best) { pair } else { best }
    })?;
    let days = [a, b].map(|n| series[n].1.acquired_on);
    let is_reversed = match days {
        [Some(first), Some(second)] if first != second => first > second,
        _ => a > b,
    };
    let [earlier, later] = if is_reversed { [b, a] } else { [a, b] };
    let others = first.iter().chain(second).filter(|n| **n != a && **n != b);
    let mut others: Vec<&str> = others.map(|n| series[*n].0).collect();
    others.sort_unstable();
    Some(VisitPair { compared: [series[earlier].0, series[later].0], others })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(visit: &str, day: &str, thickness_mm: f64, kernel: &str) -> ComparedSeries {
        ComparedSeries {
            visit: visit.to_owned(),
            acquired_on: Date::from_iso(day),
            model_id: "m".to_owned(),
            settings: None,
            slice_thickness_mm: Some(thickness_mm),
            kernel: Some(kernel.to_owned()),
            has_lungs: true,
            grid: None,
            image: None,
        }
    }

    fn compared(all: &[(&str, ComparedSeries)]) -> Vec<(String, String, String)> {
        let all: Vec<(&str, &ComparedSeries)> = all.iter().map(|(id, of)| (*id, of)).collect();
        let pairs = visit_pairs(&all);
        let shown = |pair: &VisitPair<'_>| {
            let [a, b] = pair.compared.map(str::to_owned);
            (a, b, pair.others.join(" "))
        };
        pairs.iter().map(shown).collect()
    }

    fn of(rows: &[[&str; 3]]) -> Vec<(String, String, String)> {
        rows.iter().map(|[a, b, c]| ((*a).into(), (*b).into(), (*c).into())).collect()
    }

    #[test]
    fn the_most_alike_series_of_two_visits_are_compared() {
        let day = ["2025-01-01", "2025-06-01", "2026-01-01"];
        let all = [
            ("thick", series("A", day[0], 5.0, "B30f")),
            ("thin", series("A", day[0], 1.0, "B30f")),
            ("sharp", series("A", day[0], 1.0, "B70f")),
            ("later thick", series("B", day[1], 5.0, "B30f")),
            ("later sharp", series("B", day[1], 1.0, " b70F ")),
        ];
        // Both pairs are alike; the thinner one is compared.
        let expected = [["sharp", "later sharp", "later thick thick thin"]];
        assert_eq!(compared(&all), of(&expected));
        // The visit scored last is the earliest one.
        let mut more = all.to_vec();
        more.push(("first", series("C", "2024-01-01", 5.2, "B30f")));
        let expected = [
            ["sharp", "later sharp", "later thick thick thin"],
            ["first", "thick", "sharp thin"],
            ["first", "later thick", "later sharp"],
        ];
        assert_eq!(compared(&more), of(&expected));
        assert_eq!(compared(&all[..3]), []);
        assert_eq!(compared(&[]), []);
    }

    #[test]
    fn lungs_and_the_model_count_before_the_reconstruction() {
        let blind = ComparedSeries { has_lungs: false, ..series("A", "", 1.0, "B30f") };
        let other = ComparedSeries { model_id: "n".to_owned(), ..series("A", "", 1.0, "B30f") };
        let all = [
            ("blind", blind),
            ("other model", other),
            ("thick", series("A", "", 5.0, "B70f")),
            ("later", series("B", "", 1.0, "B30f")),
        ];
        assert_eq!(compared(&all), of(&[["thick", "later", "blind other model"]]));
    }

    #[test]
    fn differences_are_named() {
        let a = series("A", "", 0.6, "B30f");
        let differences = |b: &ComparedSeries| ComparedSeries::differences(&a, b);
        assert!(differences(&series("B", "", 0.625, "b30f")).is_empty());
        let unlike = ComparedSeries { model_id: "n".to_owned(), ..series("B", "", 1.0, "LUNG") };
        let expected = [
            "models m and n scored the scans",
            "slices are 0.6 and 1 mm thick",
            "kernels are B30f and LUNG",
        ];
        assert_eq!(differences(&unlike), expected);
        let set = |settings: Option<&str>| ComparedSeries {
            settings: settings.map(str::to_owned),
            ..series("B", "", 0.6, "B30f")
        };
        let between = |a, b| ComparedSeries::differences(&set(a), &set(b));
        assert!(between(Some("s"), Some("s")).is_empty() && between(None, None).is_empty());
        assert_eq!(
            between(Some("s"), Some("t")),
            ["other settings made the masks of the earlier scan"]
        );
        assert_eq!(
            between(None, Some("t")),
            ["the settings that scored one of the scans are unknown"]
        );
        let unknown = ComparedSeries {
            slice_thickness_mm: None,
            kernel: Some(String::new()),
            ..series("B", "", 0.0, "")
        };
        let expected = [
            "the slice thickness of the later scan is unknown",
            "the kernel of the later scan is unknown",
        ];
        assert_eq!(differences(&unknown), expected);
        assert_eq!(
            ComparedSeries::differences(&unknown, &unknown)[0],
            "the slice thickness of both scans is unknown"
        );
    }
}

//! Turns a store's rows into those of LUNA16's files.

use super::published::{PublishedMarks, PublishedRows};
use crate::pipeline::export::Error;
use crate::tables::MarkKind;
use nodulus_formats::luna_csv::{Annotation, Candidate, Finding};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `scans` that are read.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ScanColumns {
    pub(super) cohort: String,
    pub(super) series_instance_uid: String,
    pub(super) n_columns: Option<i64>,
    pub(super) n_rows: Option<i64>,
    pub(super) spacing_i_mm: f64,
    pub(super) spacing_j_mm: f64,
    pub(super) spacing_k_mm: Option<f64>,
    pub(super) origin_x_mm: Option<f64>,
    pub(super) origin_y_mm: Option<f64>,
    pub(super) origin_z_mm: Option<f64>,
    pub(super) direction: Option<Vec<f64>>,
    pub(super) included: bool,
}

/// The columns of `nodules` that are read.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct NoduleColumns {
    nodule_id: String,
    cohort: String,
    series_instance_uid: String,
    n_marks: i64,
    centroid_x_mm: Option<f64>,
    centroid_y_mm: Option<f64>,
    centroid_z_mm: Option<f64>,
    diameter_mm: f64,
    mark_ids: Vec<String>,
}

/// The columns of `marks` that are read.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct MarkColumns {
    mark_id: String,
    cohort: String,
    series_instance_uid: String,
    kind: String,
    centroid_x_mm: Option<f64>,
    centroid_y_mm: Option<f64>,
    centroid_z_mm: Option<f64>,
    diameter_mm: Option<f64>,
}

pub(super) const SCAN_COLUMNS: [&str; 12] = [
    "cohort",
    "series_instance_uid",
    "n_columns",
    "n_rows",
    "spacing_i_mm",
    "spacing_j_mm",
    "spacing_k_mm",
    "origin_x_mm",
    "origin_y_mm",
    "origin_z_mm",
    "direction",
    "included",
];
pub(super) const NODULE_COLUMNS: [&str; 9] = [
    "nodule_id",
    "cohort",
    "series_instance_uid",
    "n_marks",
    "centroid_x_mm",
    "centroid_y_mm",
    "centroid_z_mm",
    "diameter_mm",
    "mark_ids",
];
pub(super) const MARK_COLUMNS: [&str; 8] = [
    "mark_id",
    "cohort",
    "series_instance_uid",
    "kind",
    "centroid_x_mm",
    "centroid_y_mm",
    "centroid_z_mm",
    "diameter_mm",
];

/// The cohorts that have scans.
pub(super) fn cohorts(scans: &[ScanColumns]) -> BTreeSet<String> {
    scans.iter().map(|scan| scan.cohort.clone()).collect()
}

/// The rows of the files.
pub(super) struct Luna16Rows {
    cohort: String,
    min_marks: i64,
    pub(super) series: BTreeSet<String>,
    pub(super) annotations: Vec<Annotation>,
    pub(super) findings: Vec<Finding>,
    /// Marks of the nodules in `annotations`.
    joined: BTreeSet<String>,
    pub(super) n_unplaced: usize,
}

impl Luna16Rows {
    pub(super) fn new(
        cohort: String,
        min_marks: i64,
        scans: &[ScanColumns],
    ) -> Result<Self, Error> {
        let included: Vec<&ScanColumns> =
            scans.iter().filter(|scan| scan.included && scan.cohort == cohort).collect();
        let mut without = included.iter().filter(|scan| scan.origin_x_mm.is_none());
        if let Some(first) = without.next() {
            return Err(Error::NoImages {
                n: 1 + without.count(),
                total: included.len(),
                cohort,
                series: first.series_instance_uid.clone(),
            });
        }
        Ok(Self {
            cohort,
            min_marks,
            series: included.iter().map(|scan| scan.series_instance_uid.clone()).collect(),
            annotations: Vec::new(),
            findings: Vec::new(),
            joined: BTreeSet::new(),
            n_unplaced: 0,
        })
    }

    pub(super) fn add_nodule(&mut self, nodule: NoduleColumns) -> Result<(), Error> {
        let here =
            nodule.cohort == self.cohort && self.series.contains(&nodule.series_instance_uid);
        if !here || nodule.n_marks < self.min_marks {
            return Ok(());
        }
        let place = [nodule.centroid_x_mm, nodule.centroid_y_mm, nodule.centroid_z_mm];
        let [Some(x_mm), Some(y_mm), Some(z_mm)] = place else {
            let (nodule_id, series) = (nodule.nodule_id, nodule.series_instance_uid);
            return Err(Error::NoPlace { nodule_id, series });
        };
        self.joined.extend(nodule.mark_ids);
        let (series_instance_uid, diameter_mm) = (nodule.series_instance_uid, nodule.diameter_mm);
        self.annotations.push(Annotation { series_instance_uid, x_mm, y_mm, z_mm, diameter_mm });
        Ok(())
    }

    /// Adds a mark; all nodules must have been added before.
    pub(super) fn add_mark(&mut self, mark: MarkColumns) {
        let here = mark.cohort == self.cohort && self.series.contains(&mark.series_instance_uid);
        if !here || self.joined.contains(&mark.mark_id) {
            return;
        }
        let place = [mark.centroid_x_mm, mark.centroid_y_mm, mark.centroid_z_mm];
        let [Some(x_mm), Some(y_mm), Some(z_mm)] = place else {
            self.n_unplaced += 1;
            return;
        };
        let diameter_mm = mark.diameter_mm.filter(|_| mark.kind == MarkKind::Nodule.name());
        let series_instance_uid = mark.series_instance_uid;
        self.findings.push(Finding { series_instance_uid, x_mm, y_mm, z_mm, diameter_mm });
    }

    pub(super) fn sort(&mut self) {
        self.annotations.sort_by(|a, b| a.series_instance_uid.cmp(&b.series_instance_uid));
        self.findings.sort_by(|a, b| a.series_instance_uid.cmp(&b.series_instance_uid));
    }

    /// Takes the rows of both files as LUNA16 made them.
    pub(super) fn set_published(&mut self, published: PublishedMarks) {
        self.n_unplaced = published.n_unplaced;
        let PublishedRows { annotations, findings } = published.rows(self.min_marks);
        self.annotations = annotations.into_iter().filter_map(as_annotation).collect();
        self.findings = findings;
    }

    /// The candidates of these scans, with the classes that follow from the annotations.
    ///
    /// METHOD: a candidate hits a nodule when its distance from the centre is less than the radius (Setio et al. 2017).
    pub(super) fn classed(&self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        let mut nodules: BTreeMap<&str, Vec<&Annotation>> = BTreeMap::new();
        for nodule in &self.annotations {
            nodules.entry(&nodule.series_instance_uid).or_default().push(nodule);
        }
        candidates.retain(|candidate| self.series.contains(&candidate.series_instance_uid));
        for candidate in &mut candidates {
            let own = nodules.get(candidate.series_instance_uid.as_str());
            let hit = own.is_some_and(|own| own.iter().any(|nodule| hits(candidate, nodule)));
            candidate.class = u8::from(hit);
        }
        candidates.sort_by(|a, b| a.series_instance_uid.cmp(&b.series_instance_uid));
        candidates
    }
}

fn as_annotation(row: Finding) -> Option<Annotation> {
    let Finding { series_instance_uid, x_mm, y_mm, z_mm, diameter_mm } = row;
    Some(Annotation { series_instance_uid, x_mm, y_mm, z_mm, diameter_mm: diameter_mm? })
}

fn hits(candidate: &Candidate, nodule: &Annotation) -> bool {
    let square = (candidate.x_mm - nodule.x_mm).powi(2)
        + (candidate.y_mm - nodule.y_mm).powi(2)
        + (candidate.z_mm - nodule.z_mm).powi(2);
    square.sqrt() < nodule.diameter_mm / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(cohort: &str, series: &str) -> ScanColumns {
        ScanColumns {
            cohort: cohort.to_owned(),
            series_instance_uid: series.to_owned(),
            n_columns: None,
            n_rows: None,
            spacing_i_mm: 0.5,
            spacing_j_mm: 0.5,
            spacing_k_mm: Some(2.0),
            origin_x_mm: Some(-1.0),
            origin_y_mm: Some(-2.0),
            origin_z_mm: Some(-3.0),
            direction: None,
            included: true,
        }
    }

    fn nodule(series: &str, n_marks: i64, mark_ids: &[&str]) -> NoduleColumns {
        NoduleColumns {
            nodule_id: "n".to_owned(),
            cohort: "c".to_owned(),
            series_instance_uid: series.to_owned(),
            n_marks,
            centroid_x_mm: Some(1.0),
            centroid_y_mm: Some(2.0),
            centroid_z_mm: Some(3.0),
            diameter_mm: 6.0,
            mark_ids: mark_ids.iter().map(ToString::to_string).collect(),
        }
    }

    fn mark(series: &str, mark_id: &str, kind: MarkKind) -> MarkColumns {
        MarkColumns {
            mark_id: mark_id.to_owned(),
            cohort: "c".to_owned(),
            series_instance_uid: series.to_owned(),
            kind: kind.name().to_owned(),
            centroid_x_mm: Some(4.0),
            centroid_y_mm: Some(5.0),
            centroid_z_mm: Some(6.0),
            diameter_mm: (kind == MarkKind::Nodule).then_some(5.0),
        }
    }

    fn rows() -> Luna16Rows {
        let excluded = ScanColumns { included: false, ..scan("c", "1.4") };
        let scans = [scan("c", "1.3"), scan("c", "1.2"), excluded, scan("d", "1.5")];
        Luna16Rows::new("c".to_owned(), 3, &scans).unwrap()
    }

    #[test]
    fn each_mark_of_an_included_scan_is_in_one_file() {
        let mut rows = rows();
        rows.add_nodule(nodule("1.3", 3, &["a", "b", "c"])).unwrap();
        rows.add_nodule(nodule("1.2", 2, &["d", "e"])).unwrap();
        rows.add_nodule(nodule("1.4", 4, &["f"])).unwrap();
        rows.add_nodule(NoduleColumns { cohort: "d".to_owned(), ..nodule("1.2", 4, &["g"]) })
            .unwrap();
        assert_eq!(rows.annotations.len(), 1);
        for (series, id, kind) in [
            ("1.3", "a", MarkKind::Nodule),
            ("1.3", "h", MarkKind::NonNodule),
            ("1.3", "i", MarkKind::SmallNodule),
            ("1.2", "d", MarkKind::Nodule),
            ("1.2", "e", MarkKind::Nodule),
            ("1.2", "in no nodule", MarkKind::Nodule),
            ("1.4", "f", MarkKind::Nodule),
        ] {
            rows.add_mark(mark(series, id, kind));
        }
        rows.add_mark(MarkColumns { centroid_x_mm: None, ..mark("1.2", "j", MarkKind::NonNodule) });
        rows.sort();
        let found: Vec<_> = rows
            .findings
            .iter()
            .map(|finding| (finding.series_instance_uid.as_str(), finding.diameter_mm))
            .collect();
        let (d, point) = (Some(5.0), None);
        assert_eq!(found, [("1.2", d), ("1.2", d), ("1.2", d), ("1.3", point), ("1.3", point)]);
        assert_eq!(rows.n_unplaced, 1);
    }

    #[test]
    fn a_candidate_hits_within_the_radius() {
        let mut rows = rows();
        rows.add_nodule(nodule("1.3", 3, &[])).unwrap();
        let candidate = |series: &str, z_mm: f64, class| Candidate {
            series_instance_uid: series.to_owned(),
            x_mm: 1.0,
            y_mm: 2.0,
            z_mm,
            class,
        };
        // The nodule is at z 3 with radius 3; 1.4 is not included, 1.2 has no nodule.
        let classed = rows.classed(vec![
            candidate("1.3", 5.999, 0),
            candidate("1.3", 6.0, 1),
            candidate("1.4", 3.0, 1),
            candidate("1.2", 3.0, 1),
        ]);
        assert_eq!(
            classed,
            [candidate("1.2", 3.0, 0), candidate("1.3", 5.999, 1), candidate("1.3", 6.0, 0)]
        );
    }

    #[test]
    fn unknown_coordinates_are_an_error_that_says_what_to_do() {
        let without = ScanColumns { origin_x_mm: None, ..scan("c", "1.2") };
        let scans = [scan("c", "1.1"), without.clone(), ScanColumns { included: false, ..without }];
        let error = Luna16Rows::new("c".to_owned(), 3, &scans).err().unwrap().to_string();
        assert!(
            error.contains("1 of the 2 scans of cohort `c` have no images")
                && error.contains("(first 1.2)"),
            "{error}"
        );
        let lost = NoduleColumns { centroid_y_mm: None, ..nodule("1.3", 3, &[]) };
        let error = rows().add_nodule(lost).unwrap_err().to_string();
        assert!(
            error.starts_with("nodule `n` of series 1.3 has no patient coordinates"),
            "{error}"
        );
    }
}

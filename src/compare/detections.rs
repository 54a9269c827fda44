//! Measures a detector's submission to LUNA16 against the reference standard: files to a FROC curve.

use nodulus_formats::luna_csv::{
    self, read_annotations, read_detections, read_findings, read_series_uids,
};
use nodulus_metrics::froc::{Detection, FrocCurve, ReferenceMark, froc};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A FROC curve cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error(transparent)]
    Csv(#[from] luna_csv::Error),
    /// A scan is listed twice.
    #[error("`{path}` lists series `{series}` twice")]
    DuplicateSeries {
        /// The list.
        path: PathBuf,
        /// The series.
        series: String,
    },
    /// The listed scans have no nodule.
    #[error("`{annotations}` has no nodule in the series of `{series}`")]
    NoNodule {
        /// The nodules.
        annotations: PathBuf,
        /// The list of series.
        series: PathBuf,
    },
}

/// The files of an evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// `annotations.csv`.
    pub annotations: &'a Path,
    /// `annotations_excluded.csv`; without it, no detection is ignored.
    pub excluded: Option<&'a Path>,
    /// `seriesuids.csv`.
    pub series: &'a Path,
    /// The submission: `seriesuid, coordX, coordY, coordZ, probability`.
    pub detections: &'a Path,
}

/// Reads the files and computes the curve; rows of series that are not listed are ignored, as LUNA16 does.
///
/// # Errors
///
/// Fails if a file cannot be read, a series is listed twice, or no listed series has a nodule.
pub fn evaluate(files: &Files<'_>, seed: u64) -> Result<FrocCurve, Error> {
    let series = read_series_uids(files.series)?;
    let mut scans: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, uid) in series.iter().enumerate() {
        if scans.insert(uid, n).is_some() {
            return Err(Error::DuplicateSeries {
                path: files.series.to_owned(),
                series: uid.clone(),
            });
        }
    }
    let scan = |uid: &str| scans.get(uid).copied();
    let mut findings: Vec<ReferenceMark> = Vec::new();
    findings.extend(read_annotations(files.annotations)?.iter().filter_map(|row| {
        let centre_mm = [row.x_mm, row.y_mm, row.z_mm];
        let (scan, diameter_mm) = (scan(&row.series_instance_uid)?, Some(row.diameter_mm));
        Some(ReferenceMark { scan, centre_mm, diameter_mm, included: true })
    }));
    let excluded = files.excluded.map(read_findings).transpose()?.unwrap_or_default();
    findings.extend(excluded.iter().filter_map(|row| {
        let (scan, diameter_mm) = (scan(&row.series_instance_uid)?, row.diameter_mm);
        let centre_mm = [row.x_mm, row.y_mm, row.z_mm];
        Some(ReferenceMark { scan, centre_mm, diameter_mm, included: false })
    }));
    let detections: Vec<Detection> = read_detections(files.detections)?
        .iter()
        .filter_map(|row| {
            let position_mm = [row.x_mm, row.y_mm, row.z_mm];
            Some(Detection {
                scan: scan(&row.series_instance_uid)?,
                position_mm,
                confidence: row.confidence,
            })
        })
        .collect();
    froc(series.len(), &findings, &detections, seed).ok_or_else(|| Error::NoNodule {
        annotations: files.annotations.to_owned(),
        series: files.series.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;

    const HEAD: &str = "seriesuid,coordX,coordY,coordZ,diameter_mm\n";

    #[test]
    fn the_reference_against_itself_is_all_detected() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let rows = [("1.2", 10.0), ("1.2", -40.0), ("1.3", 5.0)];
        let lines = |end: &str| -> String {
            let line = |(uid, x): &(&str, f64)| format!("{uid},{x},2.0,-300.5,{end}\n");
            rows.iter().map(line).collect::<Vec<_>>().concat()
        };
        let annotations = place("annotations.csv", &(HEAD.to_owned() + &lines("6.5")));
        let excluded = place("annotations_excluded.csv", &(HEAD.to_owned() + "1.3,80,2,-300,-1\n"));
        let series = place("seriesuids.csv", "1.2\n1.3\n1.4\n");
        let submission = HEAD.replace("diameter_mm", "probability") + &lines("0.7");
        let detections =
            place("submission.csv", &(submission + "1.3,82,2,-300,0.9\n9.9,0,0,0,1\n"));
        let files = Files {
            annotations: &annotations,
            excluded: Some(&excluded),
            series: &series,
            detections: &detections,
        };
        let found = evaluate(&files, 1).unwrap();
        assert!((found.mean_sensitivity - 1.0).abs() < 1e-12);
        let counts = (found.n_scans, found.n_nodules, found.n_detections, found.n_ignored);
        assert_eq!(counts, (3, 3, 4, 1));
        place("seriesuids.csv", "1.2\n1.2\n");
        let error = evaluate(&files, 1).unwrap_err().to_string();
        assert!(error.ends_with("lists series `1.2` twice"), "{error}");
        place("seriesuids.csv", "1.4\n");
        assert!(matches!(evaluate(&files, 1), Err(Error::NoNodule { .. })));
    }
}

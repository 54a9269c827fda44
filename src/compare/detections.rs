//! Measures a detector's submission to LUNA16 against the reference standard: files to a FROC curve.

use nodulus_formats::luna_csv::{
    self, read_annotations, read_detections, read_findings, read_series_uids,
};
use nodulus_metrics::froc::{Detection, FrocCurve, ReferenceMark, froc};
use std::collections::{BTreeMap, BTreeSet};
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

/// Detections of a series that is not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// The series, as it is written.
    pub series: String,
    /// Detections of it.
    pub n_detections: usize,
    /// The listed series from which it differs by spaces only.
    pub listed: Option<String>,
}

/// A detector's curve, and what became of every row.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The curve.
    pub curve: FrocCurve,
    /// Rows of the submission: those of listed series, and those of others.
    pub n_rows: usize,
    /// Series that are not listed, in the order of the file; their detections do not count.
    pub unlisted: Vec<Unlisted>,
    /// Rows at a position that an earlier row of the same series has; each counts like any other.
    pub n_repeated_positions: usize,
    /// Nodules and excluded findings of series that are not listed; they do not count.
    pub n_unlisted_findings: [usize; 2],
}

impl Evaluation {
    /// Detections of series that are not listed.
    pub fn n_unlisted(&self) -> usize {
        self.unlisted.iter().map(|unlisted| unlisted.n_detections).sum()
    }
}

/// Reads the files and computes the curve. Rows of series that are not listed do not count, as in LUNA16; they are counted.
///
/// # Errors
///
/// Fails if a file cannot be read, a series is listed twice, or no listed series has a nodule.
pub fn evaluate(files: &Files<'_>, seed: u64) -> Result<Evaluation, Error> {
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
    let annotations = read_annotations(files.annotations)?;
    findings.extend(annotations.iter().filter_map(|row| {
        let centre_mm = [row.x_mm, row.y_mm, row.z_mm];
        let (scan, diameter_mm) = (scan(&row.series_instance_uid)?, Some(row.diameter_mm));
        Some(ReferenceMark { scan, centre_mm, diameter_mm, included: true })
    }));
    let n_nodules = findings.len();
    let excluded = files.excluded.map(read_findings).transpose()?.unwrap_or_default();
    findings.extend(excluded.iter().filter_map(|row| {
        let (scan, diameter_mm) = (scan(&row.series_instance_uid)?, row.diameter_mm);
        let centre_mm = [row.x_mm, row.y_mm, row.z_mm];
        Some(ReferenceMark { scan, centre_mm, diameter_mm, included: false })
    }));
    let n_excluded = findings.len() - n_nodules;
    let rows = read_detections(files.detections)?;
    let mut detections = Vec::with_capacity(rows.len());
    let mut unlisted: Vec<Unlisted> = Vec::new();
    let mut positions = BTreeSet::new();
    let mut n_repeated_positions = 0;
    for row in &rows {
        let series = &row.series_instance_uid;
        let position_mm = [row.x_mm, row.y_mm, row.z_mm];
        // 0 and -0 are one position.
        let is_new = positions.insert((series, position_mm.map(|x| (x + 0.0).to_bits())));
        n_repeated_positions += usize::from(!is_new);
        match scan(series) {
            Some(scan) => {
                detections.push(Detection { scan, position_mm, confidence: row.confidence });
            }
            None => match unlisted.iter_mut().find(|known| known.series == *series) {
                Some(known) => known.n_detections += 1,
                None => unlisted.push(Unlisted {
                    series: series.clone(),
                    n_detections: 1,
                    listed: scan(series.trim()).map(|_| series.trim().to_owned()),
                }),
            },
        }
    }
    let curve = froc(series.len(), &findings, &detections, seed);
    let curve = curve.ok_or_else(|| Error::NoNodule {
        annotations: files.annotations.to_owned(),
        series: files.series.to_owned(),
    })?;
    Ok(Evaluation {
        curve,
        n_rows: rows.len(),
        unlisted,
        n_repeated_positions,
        n_unlisted_findings: [annotations.len() - n_nodules, excluded.len() - n_excluded],
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
        let detections = place(
            "submission.csv",
            &(submission + "1.3,82,2,-300,0.9\n1.3 ,82,2,-300,0.9\n9.9,0,0,0,1\n9.9,0,0,-0.0,1\n"),
        );
        let files = Files {
            annotations: &annotations,
            excluded: Some(&excluded),
            series: &series,
            detections: &detections,
        };
        let found = evaluate(&files, 1).unwrap();
        assert!((found.curve.mean_sensitivity - 1.0).abs() < 1e-12);
        let counts = found.curve.detections;
        assert_eq!((found.curve.n_scans, found.curve.n_nodules), (3, 3));
        assert_eq!((counts.n_all, counts.n_hits, counts.n_ignored), (4, 3, 1));
        let unlisted = |series: &str, n_detections, listed: Option<&str>| Unlisted {
            series: series.to_owned(),
            n_detections,
            listed: listed.map(str::to_owned),
        };
        assert_eq!(found.unlisted, [unlisted("1.3 ", 1, Some("1.3")), unlisted("9.9", 2, None)]);
        assert_eq!((found.n_rows, found.n_unlisted(), found.n_repeated_positions), (7, 3, 1));
        assert_eq!(found.n_unlisted_findings, [0, 0]);
        place("seriesuids.csv", "1.2\n");
        let found = evaluate(&files, 1).unwrap();
        assert_eq!((found.n_unlisted(), found.n_unlisted_findings), (5, [1, 1]));
        place("seriesuids.csv", "1.2\n1.2\n");
        let error = evaluate(&files, 1).unwrap_err().to_string();
        assert!(error.ends_with("lists series `1.2` twice"), "{error}");
        place("seriesuids.csv", "1.4\n");
        assert!(matches!(evaluate(&files, 1), Err(Error::NoNodule { .. })));
    }
}

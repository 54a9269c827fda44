//! The candidates of the scans, joined from all tables, structure sets and reports.

use super::candidate_file::{CandidateFile, Error, FileRow, FoundCandidate, RowPlace};
use super::reconciliation::{
    CandidateCounts, FileCounts, Reconciliation, RowOutcome, UnplacedRows, UnreadableFile,
};
use super::series::{DiscoveredSeries, SeriesSource};
use super::series_names::{SeriesNames, UnknownName};
use crate::nightly::identity::FileKey;
use crate::nightly::redaction::{self, PrivateFolder};
use nodulus_formats::cohort::files_below;
use nodulus_formats::dicom::{Point, PointPosition};
use nodulus_formats::uid;
use nodulus_store::hash;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A position in a scan where a nodule may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoduleCandidate {
    /// The position, LPS.
    pub position_mm: [f64; 3],
    /// The detector's confidence, where it gives one.
    pub confidence: Option<f64>,
}

/// The candidates of one scan, each once, in an order that does not depend on that of the files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanCandidates {
    /// Candidates with a position in the patient.
    pub candidates: Vec<NoduleCandidate>,
    /// Points of DICOM files. Their positions follow from the headers of the scan.
    pub points: Vec<Point>,
    /// What is wrong with rows of the scan, sorted.
    pub malformed: Vec<String>,
    /// Whether a detector states that it looked at the scan, so that no candidates means that it has none.
    pub is_stated: bool,
    /// Whether a list of scans alone states so: its detector's candidates are in other files.
    pub is_listed: bool,
    /// The redacted names of the files with candidates of the scan.
    pub files: BTreeSet<String>,
    /// The redacted name of a file that had candidates of the current result and is gone, where a list alone states that there are
    /// none now.
    pub lost_file: Option<String>,
    /// Whether rows may be missing: a file cannot be read, and the rows of the others differ from those of the current
    /// result.
    pub may_lack_rows: bool,
}

/// Candidates by series, or by the name of an image file.
#[derive(Debug, Default)]
pub struct CandidateIndex {
    by_scan: BTreeMap<String, IndexedScan>,
    /// Points and findings without one that count as malformed.
    malformed_points: BTreeSet<PointRow>,
    /// The files, by their redacted names, with what they hold.
    files: Vec<FileCounts>,
    /// Files that cannot be read, and why. Their scans wait.
    pub unreadable: Vec<UnreadableFile>,
    /// Rows of files, of which it cannot be told whose they are.
    pub unplaced: Vec<UnplacedRows>,
    /// Series of the input that rows of an unknown series may be of, as their UID is cut or has lost a dot.
    near: BTreeSet<String>,
    /// Names of files that are lists of scans.
    lists: BTreeSet<String>,
    /// Warnings: structure sets and reports of the input that reference no series or have no points, those that do not tell where
    /// nothing was found, lists without any candidates, and rows of `near`.
    pub warnings: Vec<String>,
}

/// A point by the index of its file and its number in it: the same for each series that the file references.
type PointRow = (usize, usize);

/// What all files hold of a scan, each with the index of its file.
#[derive(Debug, Default)]
struct IndexedScan {
    candidates: Vec<(usize, NoduleCandidate)>,
    points: Vec<(PointRow, Point)>,
    /// Each with the index of its file.
    malformed: Vec<(usize, String)>,
    is_stated: bool,
    is_listed: bool,
    /// That the first row of each file names the scan by a text that is no UID.
    name_is_no_uid: BTreeMap<usize, String>,
}

impl CandidateIndex {
    /// Reads files and folders of files. A file of a folder that cannot be read goes to `unreadable`. A table without rows
    /// that changed after `settled` does not state anything yet.
    ///
    /// # Errors
    ///
    /// Fails if a path does not exist, or a file that is named itself cannot be read.
    pub fn read(
        paths: &[PathBuf],
        settled: SystemTime,
        key: Option<&FileKey>,
    ) -> Result<Self, Error> {
        let mut index = Self::default();
        for path in paths {
            if !path.exists() {
                return Err(Error::Missing(path.clone()));
            }
            if !path.is_dir() {
                let folder = path.parent().unwrap_or(Path::new(""));
                index.add(
                    PrivateFolder { path: folder, key },
                    path,
                    CandidateFile::read(path, settled)?,
                );
                continue;
            }
            let folder = PrivateFolder { path, key };
            for file in files_below(path)?.iter().filter(|file| CandidateFile::may_be(file)) {
                match CandidateFile::read(file, settled) {
                    Ok(found) => index.add(folder, file, found),
                    Err(error) => index.add_unreadable(folder, file, &error),
                }
            }
        }
        if !index.lists.is_empty() && index.is_without_candidates() {
            index.warnings.push(
                "`score.candidates` has a list of series and no table, structure set or report: the list alone does not say that \
                 nothing was found, as the candidates may be missing"
                    .to_owned(),
            );
        }
        Ok(index)
    }

    /// Whether no file was found but lists of scans.
    pub fn is_without_candidates(&self) -> bool {
        self.files.len() == self.lists.len() && self.unreadable.is_empty()
    }

    /// Whether there is a file of this redacted name.
    pub fn has_file(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.file == name)
            || self.unreadable.iter().any(|file| file.file == name)
    }

    /// Whether rows of any series may be missing.
    pub fn may_lack_rows(&self) -> bool {
        !self.unreadable.is_empty() || !self.unplaced.is_empty()
    }

    /// Whether rows of a scan may be missing, as their UID is cut or has lost a dot.
    pub fn may_lack_rows_of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        names.into_iter().any(|name| self.near.contains(name))
    }

    /// The first of a scan's names for which files hold anything.
    pub fn name_of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        names.into_iter().find(|name| self.by_scan.contains_key(*name))
    }

    /// The candidates of a scan, by the first of its names for which files hold anything.
    pub fn of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> ScanCandidates {
        let Some(scan) = self.name_of(names).and_then(|name| self.by_scan.get(name)) else {
            return ScanCandidates::default();
        };
        let mut found = scan.candidates();
        let of_points = scan.points.iter().map(|((file, _), _)| *file);
        let files = scan.candidates.iter().map(|(file, _)| *file).chain(of_points);
        let files = files.filter_map(|file| self.files.get(file));
        found.files = files.map(|counts| counts.file.clone()).collect();
        // METHOD: a list says which scans were processed, and candidates of the same detector which of them have some. Without any file of
        // candidates, they may not have arrived.
        found.is_listed &= !self.is_without_candidates();
        found
    }

    /// Adds the points of a structure set or report of the input to each series that it references. A
    /// file that cannot be read goes to `unreadable`.
    pub(in crate::nightly) fn add_points(&mut self, input: PrivateFolder<'_>, path: &Path) {
        match CandidateFile::read_points(path).and_then(CandidateFile::without_points) {
            // A report of the input that has no points was not written to say so.
            Ok(found) => {
                let found = CandidateFile { stated: Vec::new(), doubt: None, ..found };
                self.add(input, path, found);
            }
            // Such as a report of doses, or of measurements without points, which is no candidate's.
            Err(error @ (Error::NoSeries(_) | Error::WithoutPoint { .. })) => {
                self.warnings.push(redaction::cause(input, &error));
            }
            Err(error) => self.add_unreadable(input, path, &error),
        }
    }

    fn add_unreadable(&mut self, folder: PrivateFolder<'_>, path: &Path, error: &Error) {
        let (file, cause) = (folder.name(path), redaction::cause(folder, error));
        self.unreadable.push(UnreadableFile { file, cause });
    }

    fn add(&mut self, folder: PrivateFolder<'_>, path: &Path, file_found: CandidateFile) {
        let file = self.files.len();
        let rows = file_found.n_rows();
        let mut counts = CandidateCounts { rows, ..CandidateCounts::default() };
        for FileRow { place, scan, found } in file_found.rows {
            let is_uid = uid::is_uid(&scan);
            let indexed = self.by_scan.entry(scan.clone()).or_default();
            if !is_uid {
                let error = || Error::SeriesUid { path: path.to_owned(), place, found: scan };
                let cause = || redaction::cause(folder, &error());
                indexed.name_is_no_uid.entry(file).or_insert_with(cause);
            }
            match found {
                Ok(FoundCandidate::Position(candidate)) => {
                    indexed.candidates.push((file, candidate));
                }
                Ok(FoundCandidate::Point(point)) => {
                    let RowPlace::Point(n) = place else { continue };
                    indexed.points.push(((file, n), point));
                }
                Err(error) => {
                    let is_new = match place {
                        RowPlace::Point(n) => self.malformed_points.insert((file, n)),
                        RowPlace::Line(_) | RowPlace::Row(_) => true,
                    };
                    counts.malformed += usize::from(is_new);
                    indexed.malformed.push((file, redaction::cause(folder, &error)));
                }
            }
        }
        for scan in file_found.stated {
            let of_scan = self.by_scan.entry(scan).or_default();
            if file_found.is_list {
                of_scan.is_listed = true;
            } else {
                of_scan.is_stated = true;
            }
        }
        self.warnings.extend(file_found.doubt.map(|error| redaction::cause(folder, &error)));
        if file_found.is_list {
            self.lists.insert(folder.name(path));
        }
        self.files.push(FileCounts { file: folder.name(path), counts });
    }

    /// Finds rows that name their series by a text that is no name of a series, and places them. They count as malformed: rows
    /// of each series of the input that the text may have been, else of none. Finds rows of unknown series with nearly a UID of the
    /// input, too.
    ///
    /// METHOD: a damaged UID has its own digits and dots, and anything where it has other characters.
    pub(in crate::nightly) fn place(&mut self, series: &[DiscoveredSeries]) {
        let is_image = |of: &DiscoveredSeries| {
            matches!(of.source, SeriesSource::Image(_)) || redaction::is_path_name(&of.id)
        };
        let known = SeriesNames {
            names: series.iter().flat_map(DiscoveredSeries::candidate_names).collect(),
            has_images: series.iter().any(is_image),
        };
        let is_malformed = |(name, scan): &(&String, &IndexedScan)| {
            !scan.name_is_no_uid.is_empty()
                && !known.names.contains(*name)
                && known.unknown(name) == UnknownName::Malformed
        };
        let malformed = self.by_scan.iter().filter(is_malformed);
        let malformed: Vec<String> = malformed.map(|(name, _)| name.clone()).collect();
        let mut unplaced: BTreeMap<usize, UnplacedRows> = BTreeMap::new();
        for name in malformed {
            let Some(scan) = self.by_scan.remove(&name) else { continue };
            let fitting: Vec<&str> = known.fitting(&name).collect();
            for (file, cause) in &scan.name_is_no_uid {
                let Some(FileCounts { file: file_name, counts }) = self.files.get_mut(*file) else {
                    continue;
                };
                // Those that are malformed in another way too are counted.
                let of_points = scan.points.iter().map(|(row, _)| *row);
                let of_points = of_points.filter(|row| row.0 == *file);
                let n_points = of_points.filter(|row| self.malformed_points.insert(*row)).count();
                let n_readable =
                    n_points + scan.candidates.iter().filter(|(of, _)| of == file).count();
                counts.malformed += n_readable;
                if fitting.is_empty() {
                    let rows = unplaced.entry(*file).or_insert_with(|| UnplacedRows {
                        file: file_name.clone(),
                        n_rows: 0,
                        cause: cause.clone(),
                    });
                    let n_malformed = scan.malformed.iter().filter(|(of, _)| of == file).count();
                    rows.n_rows += n_readable + n_malformed;
                }
                for series in &fitting {
                    let text = format!("{cause}; by its digits, the row may be of this series");
                    let of_series = self.by_scan.entry((*series).to_owned()).or_default();
                    of_series.malformed.push((*file, text));
                }
            }
        }
        self.unplaced = unplaced.into_values().collect();
        self.refuse_shared_names(series);
        let unknown = self.by_scan.iter().filter(|(name, scan)| {
            let is_empty = scan.candidates.is_empty() && scan.malformed.is_empty();
            !is_empty && !known.names.contains(*name)
        });
        let mut n_rows = 0;
        for (name, scan) in unknown {
            let near = known.near(name);
            if !near.is_empty() {
                n_rows += scan.candidates.len() + scan.malformed.len();
                self.near.extend(near.into_iter().map(str::to_owned));
            }
        }
        if n_rows > 0 {
            let n_series = self.near.len();
            self.warnings.push(format!(
                "{n_rows} rows of candidates name unknown series whose UIDs are those of {n_series} series of the input with an end or \
                 a dot too many or too few: check that they are of other series"
            ));
        }
    }

    /// Rows that name several image files count as malformed rows of each.
    fn refuse_shared_names(&mut self, series: &[DiscoveredSeries]) {
        let mut by_name: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for of in series {
            for name in of.candidate_names() {
                by_name.entry(name).or_default().insert(&of.id);
            }
        }
        by_name.retain(|_, of| of.len() > 1);
        for (name, of) in by_name {
            let Some(scan) = self.by_scan.remove(&name) else { continue };
            for (file, _) in &scan.candidates {
                if let Some(FileCounts { counts, .. }) = self.files.get_mut(*file) {
                    counts.malformed += 1;
                }
            }
            let file = scan.name_is_no_uid.first_key_value().map_or(0, |(file, _)| *file);
            let n = of.len();
            let text = format!(
                "candidates name the scan by the name of {n} image files of the input, expected that of one; rename the files, or \
                 write their series_instance_uid"
            );
            for series in of {
                let of_series = self.by_scan.entry(series.to_owned()).or_default();
                of_series.malformed.push((file, text.clone()));
            }
        }
    }

    /// Counts what became of each row. `series` are the names of the input's scans for which files hold anything; `outside`
    /// returns the keys of a scan's candidates that lie outside it.
    pub fn reconcile(
        &self,
        series: &BTreeSet<&str>,
        outside: &dyn Fn(&str) -> BTreeSet<String>,
    ) -> Reconciliation {
        let mut files = self.files.clone();
        // METHOD: a point of a file that references several series counts once, by the best that became of it.
        let mut points: BTreeMap<PointRow, RowOutcome> = BTreeMap::new();
        for (name, scan) in &self.by_scan {
            let is_known = series.contains(name.as_str());
            let outside = if is_known { outside(name) } else { BTreeSet::new() };
            let mut seen = BTreeSet::new();
            for (file, point, key) in scan.keys() {
                let outcome = if !is_known {
                    RowOutcome::UnknownSeries
                } else if seen.contains(&key) {
                    RowOutcome::Duplicate
                } else if outside.contains(&key) {
                    RowOutcome::Outside
                } else {
                    RowOutcome::Matched
                };
                seen.insert(key);
                match (point, files.get_mut(file)) {
                    (None, Some(of_file)) => of_file.counts.add(outcome),
                    (Some(row), _) if !self.malformed_points.contains(&row) => {
                        let best = points.entry(row).or_insert(outcome);
                        *best = outcome.max(*best);
                    }
                    _ => {}
                }
            }
        }
        for ((file, _), outcome) in points {
            if let Some(of_file) = files.get_mut(file) {
                of_file.counts.add(outcome);
            }
        }
        Reconciliation::of(files, self.unreadable.clone(), self.unplaced.clone())
    }
}

impl IndexedScan {
    fn candidates(&self) -> ScanCandidates {
        let mut points: Vec<Point> = self.points.iter().map(|(_, point)| point.clone()).collect();
        points.sort_by(|a, b| {
            let key = |point: &Point| point_text(&point.position);
            by_confidence(a.confidence, b.confidence).then_with(|| key(a).cmp(&key(b)))
        });
        let mut seen = BTreeSet::new();
        points.retain(|point| seen.insert(point_text(&point.position)));
        let mut malformed: Vec<String> =
            self.malformed.iter().map(|(_, text)| text.clone()).collect();
        malformed.sort();
        malformed.dedup();
        ScanCandidates {
            candidates: distinct(self.candidates.iter().map(|(_, candidate)| *candidate).collect()),
            points,
            malformed,
            is_stated: self.is_stated,
            is_listed: self.is_listed,
            files: BTreeSet::new(),
            lost_file: None,
            may_lack_rows: false,
        }
    }

    /// The key of each candidate with the index of its file, and with its row if it is a point.
    fn keys(&self) -> impl Iterator<Item = (usize, Option<PointRow>, String)> {
        let candidates = self.candidates.iter();
        let candidates = candidates.map(|(file, of)| (*file, None, position_key(of.position_mm)));
        let points = self.points.iter();
        candidates.chain(points.map(|(row, point)| (row.0, Some(*row), point_key(&point.position))))
    }
}

/// Candidates in the order of their confidence, the highest first, then of their positions; each position once.
///
/// METHOD: the order of rows means nothing. Of candidates at one position, the one with the highest confidence counts.
pub(crate) fn distinct(mut candidates: Vec<NoduleCandidate>) -> Vec<NoduleCandidate> {
    for candidate in &mut candidates {
        // -0 is 0.
        candidate.position_mm = candidate.position_mm.map(|mm| mm + 0.0);
    }
    candidates.sort_by(|a, b| {
        let positions = a.position_mm.iter().zip(&b.position_mm);
        positions.fold(by_confidence(a.confidence, b.confidence), |order, (a, b)| {
            order.then_with(|| a.total_cmp(b))
        })
    });
    let mut seen = BTreeSet::new();
    candidates.retain(|candidate| seen.insert(candidate.position_mm.map(f64::to_bits)));
    candidates
}

/// The highest confidence first, those without any last.
fn by_confidence(a: Option<f64>, b: Option<f64>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// Names a candidate by its position. Records hold it, so it must not change.
pub(crate) fn position_key(position_mm: [f64; 3]) -> String {
    hash::id("", [format!("{:?}", position_mm.map(|mm| mm + 0.0)).as_str()])
}

/// Names a point by its position. Records hold it, so it must not change.
pub(crate) fn point_key(position: &PointPosition) -> String {
    hash::id("", [point_text(position).as_str()])
}

impl ScanCandidates {
    /// Number of candidates and points.
    pub fn n_places(&self) -> usize {
        self.candidates.len() + self.points.len()
    }

    /// Whether no file says anything about the scan.
    pub fn says_nothing(&self) -> bool {
        self.n_places() == 0 && self.malformed.is_empty() && !self.is_stated && !self.is_listed
    }

    /// SHA-256 of the candidates, whatever the order of their rows. Records hold it, so its text must not change.
    pub fn sha256(&self) -> String {
        let candidate = |c: &NoduleCandidate| format!("{:?} {:?}", c.position_mm, c.confidence);
        let point =
            |point: &Point| format!("{} {:?}", point_text(&point.position), point.confidence);
        let candidates = self.candidates.iter().map(candidate);
        let malformed = self.malformed.iter().map(|text| format!("malformed {text}"));
        let lacking = self.may_lack_rows.then(|| "may lack rows".to_owned());
        let lost = self.lost_file.as_ref().map(|file| format!("lost {file}"));
        let texts: Vec<String> = candidates
            .chain(self.points.iter().map(point))
            .chain(malformed)
            .chain(lacking)
            .chain(lost)
            .collect();
        hash::sha256_parts(texts.iter().map(String::as_str))
    }
}

fn point_text(position: &PointPosition) -> String {
    match position {
        PointPosition::Patient { point_mm, frame_of_reference_uid } => format!(
            "Patient {{ point_mm: {point_mm:?}, frame_of_reference_uid: {frame_of_reference_uid:?} }}"
        ),
        PointPosition::Image { sop_instance_uid, frame, ij } => format!(
            "Image {{ sop_instance_uid: {sop_instance_uid:?}, frame: {frame:?}, ij: {ij:?} }}"
        ),
    }
}

#[cfg(test)]
#[path = "candidates_tests.rs"]
mod tests;

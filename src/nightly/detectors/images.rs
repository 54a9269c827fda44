//! Which series of the input an image of a detector is.

use super::detection::ImageName;
use crate::nightly::input::series::{DiscoveredSeries, SeriesSource};
use nodulus_faults::fs;
use nodulus_formats::cohort::relative;
use nodulus_formats::{image_file, uid};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What nnU-Net's layout appends to the name of a case for its first channel.
const CHANNEL: &str = "_0000";

/// Where an image is in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageSeries {
    /// The series at this position of the list.
    Found(usize),
    /// None.
    Unknown,
    /// Several may be meant.
    Ambiguous,
}

/// The names by which detectors may name the series of the input.
#[derive(Debug, Default)]
pub(super) struct ImageIndex {
    uids: BTreeMap<String, usize>,
    /// By the last part of the path below the input: all parts, and the series.
    paths: BTreeMap<String, Vec<(Vec<String>, usize)>>,
    /// By the name of a DICOM file: the parts of its folder's path, and the series.
    files: BTreeMap<String, Vec<(Vec<String>, usize)>>,
    /// By the name of an image file without its extension.
    stems: BTreeMap<String, Vec<usize>>,
}

impl ImageIndex {
    /// Indexes the scans among the series of the input.
    ///
    /// # Errors
    ///
    /// Fails if a folder cannot be read.
    pub(super) fn of(input: &Path, series: &[DiscoveredSeries]) -> io::Result<Self> {
        let mut index = Self::default();
        // A folder that is the input itself is named by its own name.
        let whole = fs::canonicalize(input)?;
        let own_name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parts_of = |path: &Path| match relative(input, path) {
            below if below == "." => vec![own_name.clone()],
            below => parts(&below),
        };
        let scans = series.iter().enumerate().filter(|(_, series)| series.no_scan.is_none());
        for (n, series) in scans {
            if uid::is_uid(&series.id) {
                index.uids.insert(series.id.clone(), n);
            }
            match &series.source {
                SeriesSource::Folders(folders) => {
                    for folder in folders {
                        let parts = parts_of(folder.path());
                        for file in folder.files()? {
                            let name = file.file_name().unwrap_or_default().to_string_lossy();
                            let named = index.files.entry(name.into_owned()).or_default();
                            named.push((parts.clone(), n));
                        }
                        index.add_path(parts, n);
                    }
                }
                SeriesSource::Image(path) => {
                    index.stems.entry(image_file::stem(path)).or_default().push(n);
                    index.add_path(parts_of(path), n);
                }
                // The detector read other files.
                SeriesSource::Archive(_) => {}
            }
        }
        Ok(index)
    }

    fn add_path(&mut self, parts: Vec<String>, series: usize) {
        if let Some(last) = parts.last() {
            self.paths.entry(last.clone()).or_default().push((parts, series));
        }
    }

    /// The series that an image is.
    ///
    /// METHOD: a file or folder whose name is the UID of a series is that series. Otherwise the path of the image ends with the whole path
    /// of the series below the input, or that of one of its files: a name alone, such as `ct.nii.gz`, may be of any patient.
    pub(super) fn find(&self, image: &ImageName) -> ImageSeries {
        match image {
            ImageName::Path(path) => self.of_path(path),
            ImageName::Case(case) => self.of_case(case),
        }
    }

    fn of_path(&self, path: &str) -> ImageSeries {
        let image = parts(path);
        let Some((last, folder)) = image.split_last() else { return ImageSeries::Unknown };
        for name in [last.clone(), image_file::stem(Path::new(last))] {
            if let Some(series) = self.uids.get(&name) {
                return ImageSeries::Found(*series);
            }
        }
        let found = longest(self.paths.get(last), &image);
        if found == ImageSeries::Unknown { longest(self.files.get(last), folder) } else { found }
    }

    /// METHOD: names of cases have no dots where they are UIDs, as in nnDetection's own LUNA16.
    fn of_case(&self, case: &str) -> ImageSeries {
        if let Some(series) = self.uids.get(case).or(self.uids.get(&case.replace('_', "."))) {
            return ImageSeries::Found(*series);
        }
        let names = [case.to_owned(), format!("{case}{CHANNEL}")];
        only(names.iter().filter_map(|name| self.stems.get(name)).flatten().copied())
    }
}

/// The parts of a path, whichever system wrote it.
fn parts(path: &str) -> Vec<String> {
    let parts = path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".");
    parts.map(str::to_owned).collect()
}

/// The series with the most parts at the end of a path.
fn longest(candidates: Option<&Vec<(Vec<String>, usize)>>, path: &[String]) -> ImageSeries {
    let fitting = || candidates.into_iter().flatten().filter(|(parts, _)| path.ends_with(parts));
    let most = fitting().map(|(parts, _)| parts.len()).max();
    only(fitting().filter(|(parts, _)| Some(parts.len()) == most).map(|(_, series)| *series))
}

/// The series that all of these are.
fn only(mut series: impl Iterator<Item = usize>) -> ImageSeries {
    let Some(first) = series.next() else { return ImageSeries::Unknown };
    if series.all(|other| other == first) {
        ImageSeries::Found(first)
    } else {
        ImageSeries::Ambiguous
    }
}

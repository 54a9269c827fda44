//! A series of the input, and where its files are.

use super::contents::NoScan;
use super::folder::{FolderEntries, stamps};
use super::stamp::Stamp;
use crate::nightly::problem::Problem;
use nodulus_formats::cohort::relative;
use nodulus_formats::image_file;
use std::io;
use std::path::{Path, PathBuf};

/// A series of the input, or a source that cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiscoveredSeries {
    /// UID of the series; the redacted name of the source where it has no series.
    pub(crate) id: String,
    /// The id as results and logs write it.
    pub(crate) name: String,
    pub(crate) source: SeriesSource,
    /// Stamp of all its files.
    pub(crate) stamp: Stamp,
    pub(crate) n_files: usize,
    /// Number of instances that a header announces.
    pub(crate) announced: Option<usize>,
    /// Why it cannot be read.
    pub(crate) problem: Option<String>,
    /// The fault of the machine by which it cannot be read now.
    pub(crate) fault: Option<Problem>,
    /// Why it is no scan, where none of its files is a slice.
    pub(crate) no_scan: Option<NoScan>,
    /// Reasons to doubt it.
    pub(crate) warnings: Vec<String>,
}

/// Where the files of a series are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SeriesSource {
    /// DICOM files in folders.
    Folders(Vec<SeriesFolder>),
    /// DICOM files in an archive.
    Archive(PathBuf),
    /// An image file.
    Image(PathBuf),
}

/// DICOM files of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeriesFolder {
    pub(super) path: PathBuf,
    /// The files; empty where every file may belong to the series.
    pub(super) files: Vec<PathBuf>,
}

impl DiscoveredSeries {
    /// The names by which candidates may name it: its UID, and for an image file the file's name.
    pub(crate) fn candidate_names(&self) -> Vec<String> {
        let stem = match &self.source {
            SeriesSource::Image(path) => image_file::stem(path),
            SeriesSource::Folders(_) | SeriesSource::Archive(_) => String::new(),
        };
        [self.id.clone(), stem].into_iter().filter(|name| !name.is_empty()).collect()
    }

    /// Whether nothing that is known keeps it from being read.
    pub(crate) fn is_readable(&self) -> bool {
        self.problem.is_none() && self.fault.is_none()
    }
}

impl SeriesFolder {
    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its files, sorted.
    pub(crate) fn files(&self) -> io::Result<Vec<PathBuf>> {
        if self.files.is_empty() {
            Ok(FolderEntries::read(&self.path)?.dicom)
        } else {
            Ok(self.files.clone())
        }
    }
}

impl SeriesSource {
    /// Reads the stamp of its files as they are now. It differs where a file was added or removed.
    pub(crate) fn stamp(&self, input: &Path) -> io::Result<Stamp> {
        let of_files = |path: &Path, files: &[PathBuf]| {
            Ok((relative(input, path), Stamp::of(&stamps(files)?)))
        };
        let stamps = match self {
            Self::Folders(folders) => {
                let stamp = |folder: &SeriesFolder| of_files(&folder.path, &folder.files()?);
                folders.iter().map(stamp).collect::<io::Result<Vec<_>>>()?
            }
            Self::Archive(path) => vec![of_files(path, std::slice::from_ref(path))?],
            Self::Image(path) => vec![of_files(path, &image_file::files(path))?],
        };
        Ok(Stamp::joined(&stamps))
    }

    /// The first folder, or the file.
    pub(super) fn first(&self) -> &Path {
        match self {
            Self::Folders(folders) => folders.first().map_or(Path::new(""), |f| &f.path),
            Self::Archive(path) | Self::Image(path) => path,
        }
    }
}

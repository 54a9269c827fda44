//! The files of a scan: their content, their headers, and the slices that its candidates need.

use crate::nightly::input::series::{SeriesFolder, SeriesSource};
use crate::stages::ingest::JudgedScan;
use nodulus_faults::quoted;
use nodulus_formats::cohort::CaseFiles;
use nodulus_formats::dicom::{
    self, OpenSeries, SeriesInfo, SourceSeries, Tolerances, UnreadableSeries,
};
use nodulus_formats::image_file::ImageRules;
use nodulus_formats::volume::{Geometry, LoadedSlices, SliceRanges};
use nodulus_formats::{cohort, image_file};
use nodulus_store::hash;
use rayon::prelude::*;
use std::io;
use std::path::PathBuf;

/// A scan could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    #[error(transparent)]
    Cohort(#[from] cohort::Error),
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    #[error(transparent)]
    Unreadable(#[from] Box<UnreadableSeries>),
    #[error(transparent)]
    ImageFile(#[from] image_file::Error),
    #[error("the files of the series are gone")]
    Gone,
}

/// The files of a scan. Those of an archive are in a temporary folder, which is removed on drop.
#[derive(Debug)]
pub(super) enum ScanFiles {
    /// DICOM slices.
    Dicom(Vec<PathBuf>, Option<Box<CaseFiles>>),
    /// An image file.
    Image(PathBuf),
}

impl ScanFiles {
    pub(super) fn of(source: &SeriesSource, series_instance_uid: &str) -> Result<Self, Error> {
        let (files, unpacked) = match source {
            SeriesSource::Image(path) => return Ok(Self::Image(path.clone())),
            SeriesSource::Archive(path) => {
                let unpacked = CaseFiles::at(path)?;
                (unpacked.dicom.clone(), Some(Box::new(unpacked)))
            }
            SeriesSource::Folders(folders) => {
                let files = folders.iter().map(SeriesFolder::files);
                let files: Vec<Vec<PathBuf>> = files.collect::<io::Result<_>>()?;
                (files.concat(), None)
            }
        };
        let own = dicom::files_of_series(&files, series_instance_uid)?;
        if own.is_empty() { Err(Error::Gone) } else { Ok(Self::Dicom(own, unpacked)) }
    }

    /// SHA-256 of the files' content, independent of their names and folders. A copy of a file adds nothing.
    pub(super) fn content_sha256(&self) -> io::Result<String> {
        let files = match self {
            Self::Dicom(files, _) => files.clone(),
            Self::Image(path) => image_file::files(path),
        };
        let read = |file: &PathBuf| hash::sha256_file(file);
        let mut hashes: Vec<String> = files.par_iter().map(read).collect::<Result<_, _>>()?;
        if matches!(self, Self::Dicom(..)) {
            hashes.sort();
            hashes.dedup();
        }
        Ok(hash::sha256_parts(hashes.iter().map(String::as_str)))
    }

    /// Reads the headers.
    pub(super) fn open(self, tolerances: &Tolerances) -> Result<OpenScan, Error> {
        match self {
            Self::Image(path) => {
                // Without slices, the header alone is read.
                let none = image_file::read_slices(
                    &path,
                    &SliceRanges::default(),
                    &tolerances.image_files,
                )?;
                let (geometry, rules) = (*none.geometry(), tolerances.image_files);
                Ok(OpenScan::Image { geometry, path, rules })
            }
            Self::Dicom(files, unpacked) => match OpenSeries::open(&files, tolerances) {
                Ok(series) => Ok(OpenScan::Dicom { series: Box::new(series), unpacked }),
                Err(error) => {
                    let named = |error| named(error, unpacked.as_deref());
                    Err(Box::new(UnreadableSeries::new(error, &files, named)).into())
                }
            },
        }
    }
}

/// The geometry of a series by its headers, or why it has none, with causes.
pub(crate) fn geometry(
    source: &SeriesSource,
    series_instance_uid: &str,
    tolerances: &Tolerances,
) -> Result<Geometry, String> {
    let opened =
        ScanFiles::of(source, series_instance_uid).and_then(|files| files.open(tolerances));
    opened.map(|scan| *scan.geometry()).map_err(|error| nodulus_faults::in_words(&error))
}

/// An error that names files of an archive by their names there.
fn named(error: dicom::Error, unpacked: Option<&CaseFiles>) -> dicom::Error {
    match unpacked {
        Some(unpacked) => unpacked.named(error),
        None => error,
    }
}

/// A scan whose headers are read.
#[derive(Debug)]
pub(crate) enum OpenScan {
    /// DICOM slices.
    Dicom { series: Box<OpenSeries>, unpacked: Option<Box<CaseFiles>> },
    /// An image file.
    Image { geometry: Geometry, path: PathBuf, rules: ImageRules },
}

impl OpenScan {
    pub(crate) fn geometry(&self) -> &Geometry {
        match self {
            Self::Dicom { series, .. } => &series.geometry,
            Self::Image { geometry, .. } => geometry,
        }
    }

    pub(crate) fn info(&self) -> Option<&SeriesInfo> {
        match self {
            Self::Dicom { series, .. } => Some(&series.info),
            Self::Image { .. } => None,
        }
    }

    /// What the rules of inclusion look at.
    pub(super) fn judged(&self) -> JudgedScan<'_> {
        let spacing = Some(self.geometry().spacing().ijk()[2]);
        self.info().map_or_else(JudgedScan::default, |info| JudgedScan::of_series(info, spacing))
    }

    /// Its DICOM files and their `SOPInstanceUID`, in the order of k; empty for an image file.
    pub(crate) fn instances(&self) -> (Vec<PathBuf>, Vec<String>) {
        match self {
            Self::Dicom { series, .. } => (series.files.clone(), series.sop_instance_uids.clone()),
            Self::Image { .. } => (Vec::new(), Vec::new()),
        }
    }

    /// The series as annotation objects reference it; `None` for an image file.
    pub(super) fn source_series(&self) -> Result<Option<SourceSeries>, Error> {
        let Self::Dicom { series, unpacked } = self else { return Ok(None) };
        let OpenSeries { files, sop_instance_uids, geometry, .. } = &**series;
        let source = SourceSeries::read(files, sop_instance_uids, geometry);
        Ok(Some(source.map_err(|error| named(error, unpacked.as_deref()))?))
    }

    /// Bytes of some slices in memory.
    pub(super) fn memory_bytes(&self, wanted: &SliceRanges) -> u64 {
        let [ni, nj, nk] = self.geometry().size();
        2 * (ni * nj * wanted.within(&(0..nk)).n_slices()) as u64
    }

    /// Reads some of the slices.
    pub(super) fn read_slices(&self, wanted: &SliceRanges) -> Result<LoadedSlices<i16>, Error> {
        match self {
            Self::Dicom { series, unpacked } => {
                let named = |error| named(error, unpacked.as_deref());
                Ok(series.read_slices(wanted).map_err(named)?)
            }
            Self::Image { path, rules, .. } => Ok(image_file::read_slices(path, wanted, rules)?),
        }
    }
}

//! An annotation of a case: which scan it belongs to, and how it is read.

use super::case_error::CaseError;
use super::cohort_settings::Cohort;
use super::mask_readings::Reading;
use crate::tables::Scan;
use nodulus_formats::cohort::{CaseFiles, Layout};
use nodulus_formats::dicom::ReferencedUids;
use nodulus_formats::mask_file::MaskFile;
use nodulus_formats::{lidc_xml, mask_file};
use std::path::Path;

/// An annotation of a scan.
#[derive(Debug)]
pub enum Annotation {
    /// Reading sessions from LIDC's XML.
    Lidc(lidc_xml::Annotations),
    /// A file with a reader's masks or outlines.
    Mask(Reading),
}

impl Annotation {
    /// The study, where the file names it.
    pub(super) fn study_instance_uid(&self) -> Option<String> {
        match self {
            Self::Lidc(reads) => reads.study_instance_uid.clone(),
            Self::Mask(_) => None,
        }
    }

    /// Whether the annotation belongs to this scan of the case.
    pub(super) fn belongs(&self, scan: &Scan, alone: Alone) -> bool {
        match self {
            Self::Lidc(reads) => reads.series_instance_uid == scan.series_instance_uid,
            Self::Mask(reading) => {
                let referenced = reading.mask.as_ref().ok().and_then(MaskFile::referenced);
                mask_belongs(referenced, scan, alone)
            }
        }
    }
}

/// Whether a mask that names these series belongs to a scan of its case. In a case with one scan every mask belongs to it,
/// even one that names another series, which is refused later.
///
/// METHOD: a mask that names no series belongs to the only scan of its case that is included; it must lie on it.
pub(super) fn mask_belongs(referenced: Option<&ReferencedUids>, scan: &Scan, alone: Alone) -> bool {
    match (alone, referenced) {
        (Alone::InCase, _) => true,
        (_, Some(named)) => named.series.contains(&scan.series_instance_uid),
        (Alone::Included, None) => scan.included,
        (Alone::No, None) => false,
    }
}

/// Whether a case has one scan that masks can be of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Alone {
    /// There is one scan.
    InCase,
    /// One of several scans is included, and all can be read.
    Included,
    No,
}

impl Alone {
    /// Of the number of scans, that of the included ones, and whether there are files that cannot be read.
    pub(super) fn of(n_scans: usize, n_included: usize, has_failed: bool) -> Self {
        match (n_scans, n_included) {
            (1, _) => Self::InCase,
            (_, 1) if !has_failed => Self::Included,
            _ => Self::No,
        }
    }
}

/// Reads an annotation by its cohort's layout.
pub(super) fn read_annotation(
    cohort: &Cohort,
    reader: Option<&usize>,
    path: &Path,
) -> Result<Annotation, CaseError> {
    Ok(match cohort.source {
        Layout::Lidc | Layout::Luna16 | Layout::LidcAnnotations => {
            Annotation::Lidc(lidc_xml::read(path)?)
        }
        Layout::Volumes => {
            let session = reader.copied().unwrap_or_default();
            let reader = cohort.reader(session).map(str::to_owned);
            Annotation::Mask(Reading {
                session,
                reader,
                mask: mask_file::read(path, &cohort.masks),
            })
        }
    })
}

/// Reads XML from an archive.
pub(super) fn read_packed(
    files: &CaseFiles,
    path: &Path,
    displayed: &Path,
) -> Result<Annotation, CaseError> {
    let reads = lidc_xml::read_as(path, displayed).map_err(|error| match error {
        lidc_xml::Error::Io(error) => lidc_xml::Error::Io(files.named_io(error)),
        other => other,
    })?;
    Ok(Annotation::Lidc(reads))
}

//! The files of a case's scan: those of a folder or an archive, or one image file.

use super::case::Case;
use super::error::Error;
use crate::dicom::PassedOver;
use crate::folder::{Entries, entries_below, has_extension, relative};
use crate::{archive, dicom};
use nodulus_faults::{FileError, fs};
use std::io;
use std::path::{Path, PathBuf};

/// The files of a scan. Those of an archive are in a temporary folder, which is removed when this is dropped.
#[derive(Debug)]
pub struct CaseFiles {
    /// The folder, archive or image file.
    pub path: PathBuf,
    /// Files that may be DICOM; empty for an image file.
    pub dicom: Vec<PathBuf>,
    /// What lies beside these files and cannot be opened, such as links that lead nowhere.
    pub beside: Vec<PassedOver>,
    /// The readers' XML inside an archive.
    pub annotations: Vec<PathBuf>,
    unpacked: Option<archive::UnpackedArchive>,
    is_folder: bool,
}

impl CaseFiles {
    /// The files at a scan's path.
    ///
    /// # Errors
    ///
    /// Fails if a folder cannot be read or an archive cannot be unpacked.
    pub fn at(path: &Path) -> Result<Self, Error> {
        let mut files = Self {
            path: path.to_owned(),
            dicom: Vec::new(),
            beside: Vec::new(),
            annotations: Vec::new(),
            unpacked: None,
            is_folder: fs::is_dir(path),
        };
        if files.is_folder {
            let Entries { files: below, passed_over, .. } = entries_below(path)?;
            (files.dicom, files.beside) = (below, passed_over);
        } else if archive::is_archive(path) {
            let unpacked = archive::unpack(path)?;
            let (annotations, others) =
                unpacked.files.iter().cloned().partition(|file| has_extension(file, "xml"));
            (files.annotations, files.dicom) = (annotations, others);
            files.unpacked = Some(unpacked);
        }
        files.dicom.retain(|file| may_be_dicom(file));
        Ok(files)
    }

    /// The files of a case; for a folder, those that the case lists.
    ///
    /// # Errors
    ///
    /// Fails as [`CaseFiles::at`] does.
    pub fn of_case(root: &Path, case: &Case) -> Result<Self, Error> {
        let path = root.join(&case.case_id);
        // A name that is not Unicode is not in the id.
        match case.images.first() {
            Some(file) if relative(root, file) == case.case_id => Self::at(file),
            None => Self::at(&path),
            Some(_) => {
                let (dicom, beside) = (case.images.clone(), case.passed_over.clone());
                let (annotations, unpacked) = (Vec::new(), None);
                Ok(Self { path, dicom, beside, annotations, unpacked, is_folder: true })
            }
        }
    }

    /// Whether the scan is one image file.
    pub fn is_image_file(&self) -> bool {
        self.unpacked.is_none() && !self.is_folder
    }

    /// The path of a file for people: inside its archive, not where it was unpacked.
    pub fn name(&self, file: &Path) -> PathBuf {
        let folder = self.unpacked.as_ref().map(archive::UnpackedArchive::folder);
        match folder.and_then(|folder| file.strip_prefix(folder).ok()) {
            Some(below) => self.path.join(below),
            None => file.to_owned(),
        }
    }

    /// An error with paths for people, as [`CaseFiles::name`] gives them.
    pub fn named(&self, error: dicom::Error) -> dicom::Error {
        match &self.unpacked {
            Some(unpacked) => error.moved(unpacked.folder(), &self.path),
            None => error,
        }
    }

    /// An error of the file system with paths for people, as [`CaseFiles::name`] gives them.
    pub fn named_io(&self, error: io::Error) -> io::Error {
        match &self.unpacked {
            Some(unpacked) => FileError::moved(&error, unpacked.folder(), &self.path),
            None => error,
        }
    }
}

/// Whether a file may be DICOM by its name: LIDC's `.dcm`, or any name that is not that of another kind of file.
pub fn may_be_dicom(path: &Path) -> bool {
    let other = ["xml", "txt", "csv", "json", "md", "pdf", "html", "toml"];
    !other.iter().any(|extension| has_extension(path, extension))
        && !archive::is_archive(path)
        && path.file_name().is_none_or(|name| !name.eq_ignore_ascii_case("DICOMDIR"))
        && path.file_name().is_none_or(|name| !name.eq_ignore_ascii_case("LICENSE"))
}

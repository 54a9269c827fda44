//! The files of a case's scan: those of a folder or an archive, or one image file.

use super::case::Case;
use super::error::Error;
use crate::dicom::PassedOver;
use crate::folder::{Entries, entries_below, has_extension, relative};
use crate::{archive, dicom};
use nodulus_faults::{FileError, fs};
use std::io::{self, Read as _};
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

/// Whether a file may be DICOM: by its name, LIDC's `.dcm` or any that is not that of another kind of file, or by its first
/// bytes.
pub fn may_be_dicom(path: &Path) -> bool {
    let other = ["xml", "txt", "csv", "json", "md", "pdf", "html", "toml"];
    let has_name =
        |text: &str| path.file_name().is_some_and(|name| name.eq_ignore_ascii_case(text));
    let is_other =
        other.iter().any(|extension| has_extension(path, extension)) || has_name("LICENSE");
    !archive::is_archive(path) && !has_name("DICOMDIR") && (!is_other || begins_as_dicom(path))
}

/// Whether a file has the preamble of PS3.10, 7.1.
fn begins_as_dicom(path: &Path) -> bool {
    // A pipe would wait for a writer.
    if !fs_err::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    let mut start = [0; 132];
    // Not through `nodulus_faults`: a text that nobody may read is no fault of the machine.
    let read = fs_err::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start.ends_with(b"DICM")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_kind_may_be_dicom_by_its_first_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs_err::write(&path, bytes).unwrap();
            may_be_dicom(&path)
        };
        let dicom = [&[0; 128][..], b"DICM", &[0; 8]].concat();
        for name in ["a.txt", "11.xml", "0.PDF", "LICENSE", "a.json"] {
            assert!(file(name, &dicom) && !file(name, b"<a/>") && !file(name, b""), "{name}");
        }
        assert!(!file("DICOMDIR", &dicom) && !file("a.zip", &dicom) && file("a.dcm", b""));
        assert!(!may_be_dicom(&folder.path().join("missing.txt")));
    }
}

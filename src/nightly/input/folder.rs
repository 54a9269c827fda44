//! The entries of one folder, by kind.

use super::stamp::FileStamp;
use nodulus_faults::{FaultClass, fs};
use nodulus_formats::cohort::may_be_dicom;
use nodulus_formats::{archive, image_file};
use std::io;
use std::path::{Path, PathBuf};

/// The entries of a folder, each kind sorted.
#[derive(Default)]
pub(super) struct FolderEntries {
    pub(super) folders: Vec<PathBuf>,
    pub(super) dicom: Vec<PathBuf>,
    pub(super) archives: Vec<PathBuf>,
    pub(super) images: Vec<PathBuf>,
}

impl FolderEntries {
    /// Lists a folder. Hidden entries, links to folders and files of other kinds are skipped.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let mut entries = Self::default();
        for entry in fs::read_dir(folder)? {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if entry.file_type()?.is_dir() {
                entries.folders.push(path);
            } else if !is_file(&path)? || image_file::is_voxel_data(&path) {
                // Links to folders or to nothing, pipes, and voxels beside their header.
            } else if image_file::is_image(&path) {
                entries.images.push(path);
            } else if archive::is_archive(&path) {
                entries.archives.push(path);
            } else if may_be_dicom(&path) {
                entries.dicom.push(path);
            }
        }
        let Self { folders, dicom, archives, images } = &mut entries;
        for paths in [folders, dicom, archives, images] {
            paths.sort();
        }
        Ok(entries)
    }
}

/// Whether a path leads to a regular file.
///
/// # Errors
///
/// Fails if the machine is at fault that this cannot be told.
fn is_file(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.is_file()),
        Err(error) if FaultClass::of(&error) == FaultClass::Machine => Err(error),
        Err(_) => Ok(false),
    }
}

/// The stamp of each file.
pub(super) fn stamps(files: &[PathBuf]) -> io::Result<Vec<FileStamp>> {
    files.iter().map(|file| FileStamp::of(file)).collect()
}

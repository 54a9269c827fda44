//! The entries of one folder, by kind.

use super::stamp::FileStamp;
use nodulus_faults::{FaultClass, fs};
use nodulus_formats::cohort::may_be_dicom;
use nodulus_formats::dicom::PassedOver;
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
    /// Pipes, and links that lead nowhere, which may be slices.
    pub(super) beside: Vec<PassedOver>,
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
                continue;
            }
            match kind_of(&path)? {
                EntryKind::NoFile if may_be_dicom(&path) => {
                    entries.beside.push(PassedOver::no_file(&path));
                    continue;
                }
                EntryKind::Folder | EntryKind::NoFile => continue,
                EntryKind::File => {}
            }
            if image_file::is_voxel_data(&path) {
                // It is read with its header.
            } else if image_file::is_image(&path) {
                entries.images.push(path);
            } else if archive::is_archive(&path) {
                entries.archives.push(path);
            } else if may_be_dicom(&path) {
                entries.dicom.push(path);
            }
        }
        let Self { folders, dicom, archives, images, beside } = &mut entries;
        for paths in [folders, dicom, archives, images] {
            paths.sort();
        }
        beside.sort();
        Ok(entries)
    }
}

/// What an entry is that is no folder itself.
enum EntryKind {
    File,
    /// A link to a folder.
    Folder,
    /// A pipe, a socket, a device, or a link that leads nowhere.
    NoFile,
}

/// What a path leads to.
///
/// # Errors
///
/// Fails if the machine is at fault that this cannot be told.
fn kind_of(path: &Path) -> io::Result<EntryKind> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(EntryKind::File),
        Ok(found) if found.is_dir() => Ok(EntryKind::Folder),
        Err(error) if FaultClass::of(&error) == FaultClass::Machine => Err(error),
        Ok(_) | Err(_) => Ok(EntryKind::NoFile),
    }
}

/// The stamp of each file.
pub(super) fn stamps(files: &[PathBuf]) -> io::Result<Vec<FileStamp>> {
    files.iter().map(|file| FileStamp::of(file)).collect()
}

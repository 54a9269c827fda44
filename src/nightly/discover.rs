//! Which series lie in the input.

use super::places::{Place, file_name};
use super::stamp::{FileStamp, Stamp};
use super::told;
use fs_err as fs;
use nodulus_formats::cohort::may_be_dicom;
use nodulus_formats::cohort::relative;
use nodulus_formats::{archive, image_file};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What places held when they were last read, by what they are called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    places: BTreeMap<String, Place>,
}

/// A series of the input, or a place of which nothing can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The series; what the place is called where there is none.
    pub(super) id: String,
    /// The same as results and logs name it.
    pub(super) name: String,
    pub(super) source: Source,
    /// Of all its files.
    pub(super) stamp: Stamp,
    pub(super) n_files: usize,
    /// Instances that it is to have, where that is announced.
    pub(super) announced: Option<usize>,
    /// Why it cannot be read.
    pub(super) problem: Option<String>,
    /// What makes it doubtful.
    pub(super) warnings: Vec<String>,
}

/// Where a series' files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// DICOM files in folders.
    Folders(Vec<Folder>),
    /// DICOM files in an archive.
    Archive(PathBuf),
    /// An image file.
    Image(PathBuf),
}

/// DICOM files of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// The files; none where every file may be one of the series.
    files: Vec<PathBuf>,
}

impl Folder {
    /// Its files, sorted.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        if self.files.is_empty() { Ok(entries(&self.path)?.dicom) } else { Ok(self.files.clone()) }
    }
}

impl Source {
    /// Stamp of its files as they are now; of another file where one has come or gone.
    pub(super) fn stamp(&self, input: &Path) -> io::Result<Stamp> {
        match self {
            Self::Folders(folders) => {
                let stamp = |folder: &Folder| {
                    let files = stamps(&folder.files()?)?;
                    Ok((relative(input, &folder.path), Stamp::of(&files)))
                };
                let stamps = folders.iter().map(stamp).collect::<io::Result<Vec<_>>>()?;
                Ok(Stamp::joined(&stamps))
            }
            Self::Archive(path) => place_stamp(input, path, std::slice::from_ref(path)),
            Self::Image(path) => place_stamp(input, path, &image_file::files(path)),
        }
    }

    fn first(&self) -> &Path {
        match self {
            Self::Folders(folders) => folders.first().map_or(Path::new(""), |f| &f.path),
            Self::Archive(path) | Self::Image(path) => path,
        }
    }
}

/// Lists the series below the input, by id. `known` is what was read before, and is brought up to date.
///
/// Hidden files and folders are passed over, and links to folders are not followed. A place that cannot
/// be read is listed with its problem. Files that may hold points are listed besides. `name` makes of an id what results call it.
///
/// # Errors
///
/// Fails if the input is no folder that can be read.
pub(super) fn discover(
    input: &Path,
    known: &mut Known,
    name: &dyn Fn(&str) -> String,
) -> io::Result<(Vec<Found>, Vec<PathBuf>)> {
    let mut places = BTreeMap::new();
    let (mut parts, mut points): (Vec<Found>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    let mut left = vec![input.to_owned()];
    let mut is_input = true;
    while !left.is_empty() {
        let read: Vec<_> = left.par_iter().map(|folder| look(input, folder, known)).collect();
        let folders = std::mem::take(&mut left);
        for (folder, looked) in folders.into_iter().zip(read) {
            match looked {
                Ok(looked) => {
                    left.extend(looked.folders);
                    places.extend(looked.places);
                    parts.extend(looked.found);
                    points.extend(looked.points);
                }
                Err(error) if is_input => return Err(error),
                Err(error) => parts.push(unreadable(input, &folder, &told::cause(input, &error))),
            }
        }
        is_input = false;
    }
    known.places = places;
    points.sort();
    Ok((join(input, parts, name), points))
}

/// Parts of a series in several places become one.
fn join(input: &Path, parts: Vec<Found>, name: &dyn Fn(&str) -> String) -> Vec<Found> {
    let mut by_id: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for part in parts {
        by_id.entry(part.id.clone()).or_default().push(part);
    }
    let mut found = Vec::with_capacity(by_id.len());
    for mut parts in by_id.into_values() {
        parts.sort_by(|a, b| a.source.first().cmp(b.source.first()));
        let mut parts = parts.into_iter();
        let Some(mut whole) = parts.next() else { continue };
        whole.name = name(&whole.id);
        let mut stamps = vec![(relative(input, whole.source.first()), whole.stamp.clone())];
        for part in parts {
            stamps.push((relative(input, part.source.first()), part.stamp));
            whole.n_files += part.n_files;
            whole.announced = whole.announced.max(part.announced);
            whole.problem = whole.problem.or(part.problem);
            whole.warnings.extend(part.warnings);
            match (&mut whole.source, part.source) {
                (Source::Folders(folders), Source::Folders(more)) => folders.extend(more),
                (source, other) => {
                    // Which of them counts is not for this program to guess.
                    let [a, b] = [source.first(), other.first()].map(|p| told::name(input, p));
                    let problem = format!("the series is there twice, in {a} and in {b}");
                    whole.problem.get_or_insert(problem);
                }
            }
        }
        whole.stamp = Stamp::joined(&stamps);
        found.push(whole);
    }
    found
}

/// What a folder itself holds.
#[derive(Default)]
struct Looked {
    folders: Vec<PathBuf>,
    places: Vec<(String, Place)>,
    found: Vec<Found>,
    points: Vec<PathBuf>,
}

fn look(input: &Path, folder: &Path, known: &Known) -> io::Result<Looked> {
    let entries = entries(folder)?;
    let mut looked = Looked { folders: entries.folders, ..Looked::default() };
    let before = |id: &str, stamp: &Stamp| {
        known.places.get(id).filter(|place| place.stamp == stamp.text).cloned()
    };
    if !entries.dicom.is_empty() {
        let (id, files) = (told::name(input, folder), stamps(&entries.dicom)?);
        let stamp = Stamp::of(&files);
        let place = before(&id, &stamp)
            .unwrap_or_else(|| Place::folder(input, &entries.dicom, stamp.text.clone()));
        looked.found.extend(of_folder(input, folder, &place, &entries.dicom, &files));
        looked.points.extend(place.points.iter().filter_map(|n| entries.dicom.get(*n)).cloned());
        looked.places.push((id, place));
    }
    for path in entries.archives.iter().chain(&entries.images) {
        let is_image = image_file::is_image(path);
        let files = if is_image { image_file::files(path) } else { vec![path.clone()] };
        let (id, stamp) = (told::name(input, path), Stamp::of(&stamps(&files)?));
        let place = before(&id, &stamp).unwrap_or_else(|| {
            let read = if is_image { Place::image } else { Place::archive };
            read(input, path, stamp.text.clone())
        });
        let source = if is_image { Source::Image } else { Source::Archive };
        for held in &place.series {
            looked.found.push(Found {
                id: held.series_instance_uid.clone(),
                name: String::new(),
                source: source(path.clone()),
                stamp: stamp.clone(),
                n_files: held.n_files,
                announced: held.announced,
                problem: place.unreadable.first().cloned(),
                warnings: Vec::new(),
            });
        }
        if place.series.is_empty() {
            let causes = place.unreadable.iter();
            looked.found.extend(
                causes
                    .map(|cause| Found { stamp: stamp.clone(), ..unreadable(input, path, cause) }),
            );
        }
        looked.places.push((id, place));
    }
    Ok(looked)
}

/// The series of a folder; itself, where it has none and something cannot be read.
///
/// METHOD: a file that cannot be read is a slice of the only series of its folder, which then fails. Of
/// one of several series it may be a slice of any: they are scored with a warning, as a gap between slices
/// is refused and the announced number of them is waited for.
fn of_folder(
    input: &Path,
    folder: &Path,
    place: &Place,
    files: &[PathBuf],
    stamps: &[FileStamp],
) -> Vec<Found> {
    let mut found = Vec::new();
    for held in &place.series {
        let cause = place.unreadable.first().cloned();
        let (problem, doubt) = if place.series.len() == 1 { (cause, None) } else { (None, cause) };
        let is_alone = held.files.is_empty();
        let own = if is_alone { Vec::new() } else { held.own(files) };
        let source = Folder { path: folder.to_owned(), files: own.into_iter().cloned().collect() };
        let doubt = doubt.map(|cause| format!("a file of its folder cannot be read: {cause}"));
        found.push(Found {
            id: held.series_instance_uid.clone(),
            name: String::new(),
            source: Source::Folders(vec![source]),
            stamp: Stamp::of(held.own(stamps)),
            n_files: held.n_files,
            announced: held.announced,
            problem,
            warnings: doubt.into_iter().collect(),
        });
    }
    if place.series.len() != 1
        && let Some(cause) = place.unreadable.first()
    {
        found.push(Found { stamp: Stamp::of(stamps), ..unreadable(input, folder, cause) });
    }
    found
}

fn unreadable(input: &Path, path: &Path, cause: &str) -> Found {
    Found {
        id: told::name(input, path),
        name: String::new(),
        source: Source::Folders(Vec::new()),
        stamp: Stamp { text: String::new(), newest: SystemTime::UNIX_EPOCH },
        n_files: 0,
        announced: None,
        problem: Some(cause.to_owned()),
        warnings: Vec::new(),
    }
}

/// The entries of a folder, each kind sorted.
#[derive(Default)]
struct Entries {
    folders: Vec<PathBuf>,
    dicom: Vec<PathBuf>,
    archives: Vec<PathBuf>,
    images: Vec<PathBuf>,
}

fn entries(folder: &Path) -> io::Result<Entries> {
    let mut found = Entries::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if file_name(&path).starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            found.folders.push(path);
        } else if !path.is_file() || image_file::is_voxel_data(&path) {
            // Links to folders, pipes, and voxels beside their header.
        } else if image_file::is_image(&path) {
            found.images.push(path);
        } else if archive::is_archive(&path) {
            found.archives.push(path);
        } else if may_be_dicom(&path) {
            found.dicom.push(path);
        }
    }
    let Entries { folders, dicom, archives, images } = &mut found;
    for paths in [folders, dicom, archives, images] {
        paths.sort();
    }
    Ok(found)
}

fn stamps(files: &[PathBuf]) -> io::Result<Vec<FileStamp>> {
    files.iter().map(|file| FileStamp::of(file)).collect()
}

fn place_stamp(input: &Path, path: &Path, files: &[PathBuf]) -> io::Result<Stamp> {
    let stamp = Stamp::of(&stamps(files)?);
    Ok(Stamp::joined(&[(relative(input, path), stamp)]))
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;

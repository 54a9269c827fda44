//! Which series the input holds.

use super::contents::{ContainedSeries, SourceContents};
use super::folder::{FolderEntries, stamps};
use super::series::{DiscoveredSeries, SeriesFolder, SeriesSource};
use super::stamp::{FileStamp, Stamp};
use crate::nightly::problem::Problem;
use crate::nightly::redaction::PrivateFolder;
use nodulus_formats::cohort::relative;
use nodulus_formats::image_file;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Raised whenever the same files are read as other contents than before.
const CONTENTS_VERSION: u32 = 2;

/// What each source held when it was last read, by the source's redacted name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContentsCache {
    /// The [`CONTENTS_VERSION`] of what read them.
    #[serde(default)]
    version: u32,
    sources: BTreeMap<String, SourceContents>,
}

/// Lists the series below the input, by id, and the files that may hold points.
///
/// Hidden files and folders are skipped, and links to folders are not followed. A source that cannot be
/// read is listed with its problem. `cache` is what was read before; it is brought up to date. `name`
/// returns an id as results write it.
///
/// # Errors
///
/// Fails if the input is not a folder that can be read.
pub(crate) fn discover(
    input: PrivateFolder<'_>,
    cache: &mut ContentsCache,
    name: &dyn Fn(&str) -> String,
) -> io::Result<(Vec<DiscoveredSeries>, Vec<PathBuf>)> {
    if cache.version != CONTENTS_VERSION {
        *cache = ContentsCache { version: CONTENTS_VERSION, sources: BTreeMap::new() };
    }
    let mut sources = BTreeMap::new();
    let (mut parts, mut points) = (Vec::new(), Vec::new());
    let mut pending = vec![input.path.to_owned()];
    let mut is_input = true;
    while !pending.is_empty() {
        let listings: Vec<_> =
            pending.par_iter().map(|folder| list_folder(input, folder, cache)).collect();
        let folders = std::mem::take(&mut pending);
        for (folder, listing) in folders.into_iter().zip(listings) {
            match listing {
                Ok(listing) => {
                    pending.extend(listing.folders);
                    sources.extend(listing.sources);
                    parts.extend(listing.series);
                    points.extend(listing.points);
                }
                Err(error) if is_input => return Err(error),
                Err(error) => {
                    parts.push(unreadable(input, &folder, &Problem::of(input, &error)));
                }
            }
        }
        is_input = false;
    }
    // What a fault of the machine hid is read again.
    sources.retain(|_, contents: &mut SourceContents| contents.fault.is_none());
    *cache = ContentsCache { version: CONTENTS_VERSION, sources };
    points.sort();
    Ok((join(input, parts, name), points))
}

/// Joins the parts of each series that lies in several sources.
fn join(
    input: PrivateFolder<'_>,
    parts: Vec<DiscoveredSeries>,
    name: &dyn Fn(&str) -> String,
) -> Vec<DiscoveredSeries> {
    let mut by_id: BTreeMap<String, Vec<DiscoveredSeries>> = BTreeMap::new();
    for part in parts {
        by_id.entry(part.id.clone()).or_default().push(part);
    }
    let mut joined = Vec::with_capacity(by_id.len());
    for mut parts in by_id.into_values() {
        // A folder that was not read as a whole may hold slices of the series.
        let fault = parts.iter().find_map(|part| part.fault.clone());
        // Localizers of a series in a folder of their own do not matter to its slices.
        if parts.iter().any(|part| part.no_scan.is_none()) {
            parts.retain(|part| part.no_scan.is_none());
        }
        parts.sort_by(|a, b| a.source.first().cmp(b.source.first()));
        let mut parts = parts.into_iter();
        let Some(mut whole) = parts.next() else { continue };
        whole.name = name(&whole.id);
        whole.fault = fault;
        let mut stamps = vec![(relative(input.path, whole.source.first()), whole.stamp.clone())];
        for part in parts {
            stamps.push((relative(input.path, part.source.first()), part.stamp));
            whole.n_files += part.n_files;
            whole.announced = whole.announced.max(part.announced);
            whole.problem = whole.problem.or(part.problem);
            whole.warnings.extend(part.warnings);
            match (&mut whole.source, part.source) {
                (SeriesSource::Folders(folders), SeriesSource::Folders(more)) => {
                    folders.extend(more);
                }
                (source, other) => {
                    // Which of them counts cannot be known.
                    let [a, b] = [source.first(), other.first()].map(|p| input.name(p));
                    let problem = format!("the series exists twice, in {a} and in {b}");
                    whole.problem.get_or_insert(problem);
                }
            }
        }
        whole.stamp = Stamp::joined(&stamps);
        joined.push(whole);
    }
    joined
}

/// What one folder holds itself.
#[derive(Default)]
struct FolderListing {
    folders: Vec<PathBuf>,
    sources: Vec<(String, SourceContents)>,
    series: Vec<DiscoveredSeries>,
    points: Vec<PathBuf>,
}

fn list_folder(
    input: PrivateFolder<'_>,
    folder: &Path,
    cache: &ContentsCache,
) -> io::Result<FolderListing> {
    let entries = FolderEntries::read(folder)?;
    let mut listing = FolderListing { folders: entries.folders, ..FolderListing::default() };
    let cached = |id: &str, stamp: &Stamp| {
        cache.sources.get(id).filter(|contents| contents.stamp == stamp.text).cloned()
    };
    if !entries.dicom.is_empty() {
        let (id, files) = (input.name(folder), stamps(&entries.dicom)?);
        let beside = entries.beside.iter().map(|beside| beside.path.as_path());
        let stamp = Stamp::of(&files).with_names(beside);
        let contents = cached(&id, &stamp).unwrap_or_else(|| {
            SourceContents::folder(input, &entries.dicom, &entries.beside, stamp.text.clone())
        });
        listing.series.extend(of_folder(input, folder, &contents, &entries.dicom, &files));
        let points = contents.points.iter().filter_map(|n| entries.dicom.get(*n));
        listing.points.extend(points.cloned());
        listing.sources.push((id, contents));
    }
    for path in entries.archives.iter().chain(&entries.images) {
        let is_image = image_file::is_image(path);
        let files = if is_image { image_file::files(path) } else { vec![path.clone()] };
        let (id, stamp) = (input.name(path), Stamp::of(&stamps(&files)?));
        let contents = cached(&id, &stamp).unwrap_or_else(|| {
            let read = if is_image { SourceContents::image } else { SourceContents::archive };
            read(input, path, stamp.text.clone())
        });
        let source = if is_image { SeriesSource::Image } else { SeriesSource::Archive };
        let of_series = |_: &ContainedSeries| (source(path.clone()), stamp.clone());
        listing.series.extend(of_contents(input, path, &contents, &stamp, &of_series));
        listing.sources.push((id, contents));
    }
    Ok(listing)
}

/// The series of a folder.
fn of_folder(
    input: PrivateFolder<'_>,
    folder: &Path,
    contents: &SourceContents,
    files: &[PathBuf],
    stamps: &[FileStamp],
) -> Vec<DiscoveredSeries> {
    let of_series = |series: &ContainedSeries| {
        let own = if series.files.is_empty() { Vec::new() } else { series.own(files) };
        let source =
            SeriesFolder { path: folder.to_owned(), files: own.into_iter().cloned().collect() };
        (SeriesSource::Folders(vec![source]), Stamp::of(series.own(stamps)))
    };
    of_contents(input, folder, contents, &Stamp::of(stamps), &of_series)
}

/// The series of a source; the source itself where it has no series, or several, and a file cannot be read.
/// `of_series` gives the files of a series, and their stamp.
///
/// METHOD: a file that cannot be read counts as a slice of the only series of its source, and of any series whose slices
/// are named like it, which then fails. The others are scored with a warning, since a gap between slices is refused and
/// the announced number of instances is waited for. The same goes for a file that denies its reader. After any other fault
/// of the machine, all series of the source wait for the next run. A series without slices is excluded by the files that it
/// has, and waits only after such a fault.
fn of_contents(
    input: PrivateFolder<'_>,
    path: &Path,
    contents: &SourceContents,
    stamp: &Stamp,
    of_series: &dyn Fn(&ContainedSeries) -> (SeriesSource, Stamp),
) -> Vec<DiscoveredSeries> {
    let mut discovered = Vec::new();
    let is_alone = contents.series.iter().filter(|series| series.no_scan.is_none()).count() == 1;
    for series in &contents.series {
        let cause = contents.unreadable.first().filter(|_| series.no_scan.is_none()).cloned();
        let (of_source, doubt) = if is_alone { (cause, None) } else { (None, cause) };
        let problem = series.incomplete.clone().or(of_source);
        let doubt = doubt.filter(|_| problem.is_none());
        let (fault, denied) = match &contents.fault {
            Some(fault) if fault.is_denied && series.no_scan.is_some() => (None, None),
            Some(fault) if fault.is_denied && !is_alone => (None, Some(fault.cause.clone())),
            fault => (fault.clone(), None),
        };
        let doubt_causes = [doubt, denied].into_iter().flatten();
        let doubt = |cause| format!("a file of its folder cannot be read: {cause}");
        let (source, stamp) = of_series(series);
        discovered.push(DiscoveredSeries {
            id: series.series_instance_uid.clone(),
            name: String::new(),
            source,
            stamp,
            n_files: series.n_files,
            announced: series.announced,
            problem,
            fault,
            no_scan: series.no_scan.clone(),
            warnings: doubt_causes.map(doubt).collect(),
        });
    }
    let of_content = contents.unreadable.first().cloned().map(Problem::of_content);
    if !is_alone && let Some(problem) = contents.fault.clone().or(of_content) {
        let stamp = stamp.clone();
        discovered.push(DiscoveredSeries { stamp, ..unreadable(input, path, &problem) });
    }
    discovered
}

fn unreadable(input: PrivateFolder<'_>, path: &Path, problem: &Problem) -> DiscoveredSeries {
    let is_passing = problem.class.is_passing();
    DiscoveredSeries {
        id: input.name(path),
        name: String::new(),
        source: SeriesSource::Folders(Vec::new()),
        stamp: Stamp { text: String::new(), newest: SystemTime::UNIX_EPOCH },
        n_files: 0,
        announced: None,
        problem: (!is_passing).then(|| problem.cause.clone()),
        fault: is_passing.then(|| problem.clone()),
        no_scan: None,
        warnings: Vec::new(),
    }
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;

//! Tells of which series an unreadable file may be a slice.

use super::announced::announced_instances;
use super::file_name::{NamePart, extension, kind, order};
use super::find::{FileContent, SeriesFiles, WITHOUT_MODALITY};
use super::sop_class::{self, SopClass};
use crate::dicom::element::{elements, values};
use crate::dicom::error::Error;
use crate::dicom::passed_over::{PassedOver, PassedOverRule};
use crate::folder::LINK_TO_FOLDER;
use dicom_dictionary_std::tags;
use nodulus_faults::quoted::{self, SavedWords};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A file that cannot be read as far as its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableFile {
    /// The file.
    pub path: PathBuf,
    /// Why it cannot be read.
    pub found: SavedWords,
    /// Its series, if it says so: then it is no slice of another one.
    pub series_instance_uid: Option<String>,
}

impl UnreadableFile {
    /// The file, if this content of it does not tell what it is.
    pub fn of(path: &Path, content: &Result<FileContent, Error>) -> Option<Self> {
        let found = match content {
            Ok(FileContent::Slice(_)) => return None,
            Ok(FileContent::Other(other)) => {
                let is_unknown = match other.rule {
                    PassedOverRule::Empty
                    | PassedOverRule::NotDicom
                    | PassedOverRule::NotReadable => true,
                    // A data set that ends before its modality and its series, or a file of a series that says that it
                    // is no CT.
                    PassedOverRule::OtherModality => {
                        other.what == WITHOUT_MODALITY || other.series_instance_uid.is_some()
                    }
                    _ => false,
                };
                if !is_unknown {
                    return None;
                }
                let found = match other.rule {
                    PassedOverRule::NotReadable => SavedWords::of(quoted::foreign(&other.what)),
                    PassedOverRule::OtherModality if other.what != WITHOUT_MODALITY => {
                        SavedWords::of(format_args!("modality {}", quoted::text(&other.what)))
                    }
                    _ => SavedWords::of(&other.what),
                };
                let series_instance_uid = other.series_instance_uid.clone();
                return Some(Self { path: path.to_owned(), found, series_instance_uid });
            }
            Err(Error::File { problem, .. }) => SavedWords::of(problem),
            Err(_) => SavedWords::of("it cannot be opened"),
        };
        Some(Self { path: path.to_owned(), found, series_instance_uid: None })
    }

    /// What lies beside files and cannot be opened: a pipe, or a link that leads nowhere. A link to a folder is no slice.
    pub fn of_no_file(beside: &PassedOver) -> Option<Self> {
        let is_file = beside.rule == PassedOverRule::NoFile && beside.what != LINK_TO_FOLDER;
        let found = || SavedWords::of(&beside.what);
        let path = || beside.path.clone();
        is_file.then(|| Self { path: path(), found: found(), series_instance_uid: None })
    }
}

/// Fewest files whose names tell whether a series names its slices in one way.
const LEAST_NAMES: usize = 3;

/// The series, by UID, of which an unreadable file may be a slice, each with the error that names the file.
///
/// METHOD: slices lost within a series leave a gap, which is refused; one lost at an end leaves none. A file may be a
/// slice of the series that it says it is of. Without one, it may be of a series that has files in its folder, and names
/// them alike; or has no way of naming them, and uses the same extension. It is none of a series that has as many files as
/// it announces; that is no neighbour of the file, where each series of the folder has names that follow each other; or
/// whose instances are numbered one by one in the order of their names, with no number left for the file.
pub fn lost_slices(
    series: &[SeriesFiles],
    unreadable: &[UnreadableFile],
) -> BTreeMap<String, Error> {
    let mut lost = BTreeMap::new();
    if unreadable.is_empty() {
        return lost;
    }
    let by_uid: BTreeMap<&str, &SeriesFiles> =
        series.iter().map(|own| (own.series_instance_uid.as_str(), own)).collect();
    let folders = slices_by_folder(series);
    let mut numbers: BTreeMap<(usize, Option<&Path>), Option<Vec<i64>>> = BTreeMap::new();
    for file in unreadable {
        if let Some(uid) = &file.series_instance_uid {
            let own = by_uid.get(uid.as_str()).filter(|own| !is_complete(own));
            if own.is_some() && !lost.contains_key(uid) && may_be_ct(&file.path) {
                lost.insert(uid.clone(), lost_slice(uid, file, None));
            }
            continue;
        }
        let folder = file.path.parent();
        let Some(slices) = folders.get(&folder) else { continue };
        for (n, like) in candidates(slices, &file.path) {
            let Some(own) = series.get(n) else { continue };
            if lost.contains_key(&own.series_instance_uid) {
                continue;
            }
            let of_series: Vec<&NamedSlice<'_>> = slices.iter().filter(|s| s.series == n).collect();
            let is_shared = of_series.len() < slices.len();
            let numbers =
                numbers.entry((n, folder)).or_insert_with(|| instance_numbers(&of_series));
            if !has_number_left(&order(&file.path), &of_series, numbers.as_deref(), is_shared)
                || is_complete(own)
            {
                continue;
            }
            let uid = &own.series_instance_uid;
            lost.insert(uid.clone(), lost_slice(uid, file, Some(like)));
        }
    }
    lost
}

/// The error of a series of which a file may be a slice, for its name or because it says so.
fn lost_slice(series_instance_uid: &str, file: &UnreadableFile, like: Option<&Path>) -> Error {
    Error::LostSlice {
        series_instance_uid: series_instance_uid.to_owned(),
        file: file.path.clone(),
        found: file.found.clone(),
        like: like.map(Path::to_owned),
    }
}

/// Whether a file is CT by its SOP class, or has none, whatever its modality.
fn may_be_ct(file: &Path) -> bool {
    let found = elements::read(file, &[tags::SOP_CLASS_UID]).ok().flatten();
    let class = found.and_then(|found| values::text(&found.values, tags::SOP_CLASS_UID).ok()?);
    class.is_none_or(|class| matches!(sop_class::of(&class), SopClass::Ct | SopClass::MultiFrameCt))
}

/// A slice, and its name.
struct NamedSlice<'a> {
    path: &'a Path,
    kind: String,
    order: Vec<NamePart>,
    /// Which of the series it is of.
    series: usize,
}

/// The slices of each folder in the order of their names.
fn slices_by_folder(series: &[SeriesFiles]) -> BTreeMap<Option<&Path>, Vec<NamedSlice<'_>>> {
    let mut folders: BTreeMap<Option<&Path>, Vec<NamedSlice<'_>>> = BTreeMap::new();
    for (series, own) in series.iter().enumerate() {
        for path in &own.files {
            let (kind, order) = (kind(path), order(path));
            folders.entry(path.parent()).or_default().push(NamedSlice {
                path,
                kind,
                order,
                series,
            });
        }
    }
    for slices in folders.values_mut() {
        slices.sort_by(|a, b| a.order.cmp(&b.order));
    }
    folders
}

/// The series of a folder that a file may belong to by its name, each with a slice whose name is like it.
fn candidates<'a>(slices: &[NamedSlice<'a>], file: &Path) -> BTreeMap<usize, &'a Path> {
    let (kind, order) = (kind(file), order(file));
    let alike: Vec<&NamedSlice<'a>> = slices.iter().filter(|slice| slice.kind == kind).collect();
    let mut candidates: BTreeMap<usize, &Path> = BTreeMap::new();
    for slice in &alike {
        candidates.entry(slice.series).or_insert(slice.path);
    }
    let n_changes = alike.windows(2).filter(|pair| pair[0].series != pair[1].series).count();
    // Names of each series follow each other: the file is one of a neighbour.
    if n_changes + 1 == candidates.len() {
        let after = alike.partition_point(|slice| slice.order < order);
        let before = after.checked_sub(1).and_then(|at| alike.get(at));
        let neighbours = [before, alike.get(after)].into_iter().flatten();
        let neighbours: BTreeSet<usize> = neighbours.map(|slice| slice.series).collect();
        candidates.retain(|series, _| neighbours.contains(series));
    }
    let mut kinds: BTreeMap<usize, (BTreeSet<&str>, Vec<&NamedSlice<'a>>)> = BTreeMap::new();
    for slice in slices {
        let (kinds, of_series) = kinds.entry(slice.series).or_default();
        kinds.insert(&slice.kind);
        of_series.push(slice);
    }
    for (series, (kinds, of_series)) in kinds {
        let is_any_name = of_series.len() >= LEAST_NAMES && 2 * kinds.len() > of_series.len();
        let like = of_series.iter().find(|slice| extension(slice.path) == extension(file));
        if let Some(like) = like.filter(|_| is_any_name && !kinds.contains(kind.as_str())) {
            candidates.insert(series, like.path);
        }
    }
    candidates
}

/// Whether a series has as many files as it announces.
fn is_complete(own: &SeriesFiles) -> bool {
    own.files.first().and_then(|first| announced_instances(first).ok().flatten())
        == Some(own.files.len())
}

/// Whether the numbers of a series' instances, in the order of their names, leave one for a file. `is_shared` says that
/// other series are in the folder, in which case instances begin with 1.
fn has_number_left(
    file: &[NamePart],
    slices: &[&NamedSlice<'_>],
    numbers: Option<&[i64]>,
    is_shared: bool,
) -> bool {
    let (Some(numbers), Some(first), Some(last)) = (numbers, slices.first(), slices.last()) else {
        return true;
    };
    let steps_by = |step: i64| numbers.windows(2).all(|pair| pair[1] - pair[0] == step);
    let (ascends, descends) = (steps_by(1), steps_by(-1));
    if !ascends && !descends {
        return true;
    }
    let comes_before = *file < *first.order;
    if !comes_before && *file < *last.order {
        return false;
    }
    let is_first = |number: Option<&i64>| is_shared && number == Some(&1);
    !(comes_before && ascends && is_first(numbers.first())
        || !comes_before && descends && is_first(numbers.last()))
}

/// The numbers of instances; `None` if one has none.
fn instance_numbers(slices: &[&NamedSlice<'_>]) -> Option<Vec<i64>> {
    slices.par_iter().map(|slice| instance_number(slice.path)).collect()
}

fn instance_number(file: &Path) -> Option<i64> {
    let found = elements::read(file, &[tags::INSTANCE_NUMBER]).ok()??;
    values::whole(&found.values, tags::INSTANCE_NUMBER).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::list_series;
    use crate::dicom::tests::samples;
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use fs_err as fs;

    /// Writes a series with these names, numbered from the first one on.
    fn write(folder: &Path, uid: &str, names: &[&str], first: i32) -> Vec<PathBuf> {
        let written = tempfile::tempdir().unwrap();
        let slices = samples::write(written.path(), &samples::volume());
        assert!(names.len() <= slices.len());
        let mut files = Vec::new();
        for (n, (slice, name)) in slices.iter().zip(names).enumerate() {
            samples::edit(slice, |object| {
                let number = (first + n as i32).to_string();
                for (tag, vr, value) in [
                    (tags::SERIES_INSTANCE_UID, VR::UI, uid.to_owned()),
                    (tags::INSTANCE_NUMBER, VR::IS, number),
                ] {
                    object.put_element(DataElement::new(tag, vr, PrimitiveValue::from(value)));
                }
            });
            files.push(folder.join(name));
            fs::copy(slice, folder.join(name)).unwrap();
        }
        files
    }

    fn incomplete(files: &[PathBuf], unreadable: &Path) -> Vec<(String, String)> {
        let mut all = files.to_vec();
        all.push(unreadable.to_owned());
        let lost = list_series(&all, &[]).incomplete;
        lost.into_iter().map(|(uid, error)| (uid, error.to_string())).collect()
    }

    #[test]
    fn an_unreadable_file_named_like_the_slices_may_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let files = write(folder.path(), "1.2", &["0001.dcm", "0002.dcm", "0003.dcm"], 1);
        let slice = fs::read(&files[0]).unwrap();
        let contents: [(&[u8], &str); 6] = [
            (b"", "an empty file"),
            (&[0; 100], "a file of zeros alone"),
            (&[0; 5000], "a file of zeros alone"),
            (b"<html></html>", "no DICOM file"),
            (&slice[..200], "cut off at byte 200"),
            (&slice[..131], "no DICOM file"),
        ];
        for (content, found) in contents {
            for name in ["0004.dcm", "0000.dcm"] {
                fs::write(at(name), content).unwrap();
                let lost = incomplete(&files, &at(name));
                let [(uid, error)] = &lost[..] else { panic!("{name} {found}: {lost:?}") };
                assert_eq!(uid, "1.2");
                assert!(error.contains(found) && error.contains(&format!("{name}`")), "{error}");
                fs::remove_file(at(name)).unwrap();
            }
            // Between slices whose numbers follow each other nothing is lost; other names are no slice's.
            for name in ["0002a.dcm", "page.dcm", "README", "0004"] {
                fs::write(at(name), content).unwrap();
                assert_eq!(incomplete(&files, &at(name)), [], "{name} {found}");
                fs::remove_file(at(name)).unwrap();
            }
        }
    }

    #[test]
    fn a_file_between_slices_is_lost_only_if_a_number_is() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["1.dcm", "2.dcm", "4.dcm", "5.dcm"];
        let files = write(folder.path(), "1.2", &names, 1);
        let middle = folder.path().join("3.dcm");
        fs::write(&middle, "").unwrap();
        assert_eq!(incomplete(&files, &middle), []);
        // Without the file in the middle the numbers have a gap.
        assert_eq!(incomplete(&[&files[..1], &files[2..]].concat(), &middle).len(), 1);
    }

    #[test]
    fn of_several_series_the_neighbours_of_the_file_may_lack_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let a = write(folder.path(), "1.2", &["IM1", "IM2", "IM3"], 1);
        let b = write(folder.path(), "1.3", &["IM5", "IM6", "IM7"], 1);
        let c = write(folder.path(), "1.4", &["IM9", "IM10", "IM11"], 5);
        let all = [a, b, c].concat();
        let uids = |name: &str| {
            fs::write(at(name), "").unwrap();
            let lost = incomplete(&all, &at(name));
            fs::remove_file(at(name)).unwrap();
            lost.into_iter().map(|(uid, _)| uid).collect::<Vec<_>>()
        };
        // The next series begins with number 1.
        assert_eq!(uids("IM4"), ["1.2"]);
        // The next one begins with 5.
        assert_eq!(uids("IM8"), ["1.3", "1.4"]);
        assert_eq!(uids("IM12"), ["1.4"]);
        // Names of two series that do not follow each other.
        let other = tempfile::tempdir().unwrap();
        let mixed = [
            write(other.path(), "1.2", &["IM1", "IM4", "IM6"], 1),
            write(other.path(), "1.3", &["IM2", "IM3", "IM5"], 1),
        ];
        let lost = other.path().join("IM7");
        fs::write(&lost, "").unwrap();
        assert_eq!(incomplete(&mixed.concat(), &lost).len(), 2);
    }

    #[test]
    fn a_series_with_as_many_files_as_it_announces_lacks_none() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), "1.2", &["1.dcm", "2.dcm", "3.dcm"], 1);
        let lost = folder.path().join("4.dcm");
        fs::write(&lost, "").unwrap();
        for (n, n_lost) in [("3", 0), ("4", 1)] {
            samples::edit(&files[0], |object| {
                let tag = tags::NUMBER_OF_SERIES_RELATED_INSTANCES;
                let value = PrimitiveValue::from(n);
                object.put_element(DataElement::new(tag, VR::IS, value));
            });
            assert_eq!(incomplete(&files, &lost).len(), n_lost, "{n}");
        }
    }

    #[test]
    fn any_name_may_be_a_slice_where_the_names_have_no_system() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), "1.2", &["zz.dcm", "axq.dcm", "top.dcm"], 1);
        for (name, n_lost) in [("rest.dcm", 1), ("rest", 0)] {
            let lost = folder.path().join(name);
            fs::write(&lost, "").unwrap();
            assert_eq!(incomplete(&files, &lost).len(), n_lost, "{name}");
        }
    }

    #[test]
    fn a_file_that_says_that_it_is_of_a_series_is_a_slice_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), "1.2", &["1.dcm", "2.dcm", "3.dcm", "other"], 1);
        let (slices, other) = (&files[..3], &files[3]);
        let set = |tag, vr, text: &str| {
            let value = PrimitiveValue::from(text);
            samples::edit(other, |object| _ = object.put_element(DataElement::new(tag, vr, value)));
        };
        // Another modality, of the class of CT and of another one.
        set(tags::MODALITY, VR::CS, "OT");
        let lost = incomplete(slices, other);
        assert!(lost.len() == 1 && lost[0].1.contains("by its SeriesInstanceUID"), "{lost:?}");
        set(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.7");
        assert_eq!(incomplete(slices, other), []);
        // Neither a modality nor a class.
        samples::edit(other, |object| {
            object.remove_element(tags::MODALITY);
            object.remove_element(tags::SOP_CLASS_UID);
        });
        assert_eq!(incomplete(slices, other).len(), 1);
        set(tags::SERIES_INSTANCE_UID, VR::UI, "1.3");
        assert_eq!(incomplete(slices, other), []);
    }
}

//! Tells of which series an unreadable file may be a slice.

use super::announced::announced_instances;
use super::file_name::{extension, kind, order};
use super::find::{FileContent, SeriesFiles, WITHOUT_MODALITY};
use crate::dicom::element::{elements, values};
use crate::dicom::error::Error;
use crate::dicom::passed_over::PassedOverRule;
use dicom_dictionary_std::tags;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A file that cannot be read as far as its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableFile {
    /// The file.
    pub path: PathBuf,
    /// Why it cannot be read.
    pub found: String,
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
                    // A data set that ends before its modality and its series.
                    PassedOverRule::OtherModality => {
                        other.what == WITHOUT_MODALITY && other.series_instance_uid.is_none()
                    }
                    _ => false,
                };
                if !is_unknown {
                    return None;
                }
                other.what.clone()
            }
            Err(Error::File { problem, .. }) => problem.to_string(),
            Err(_) => "it cannot be opened".to_owned(),
        };
        Some(Self { path: path.to_owned(), found })
    }
}

/// Fewest files whose names tell whether a series names its slices in one way.
const LEAST_NAMES: usize = 3;

/// The series, by UID, of which an unreadable file may be a slice, each with the error that names the file.
///
/// METHOD: slices lost within a series leave a gap, which is refused; one lost at an end leaves none. A file may be a
/// slice of a series that has files in its folder, and names them alike; or has no way of naming them, and uses the
/// same extension. It is none of a series that has as many files as it announces; that is no neighbour of the file, where
/// each series of the folder has names that follow each other; or whose instances are numbered one by one in the order
/// of their names, with no number left for the file.
pub fn lost_slices(
    series: &[SeriesFiles],
    unreadable: &[UnreadableFile],
) -> BTreeMap<String, Error> {
    if unreadable.is_empty() {
        return BTreeMap::new();
    }
    let of_series = |own: &SeriesFiles| {
        let lost = lost_slice(own, series, unreadable)?;
        Some((own.series_instance_uid.clone(), lost))
    };
    series.iter().filter_map(of_series).collect()
}

fn lost_slice(
    own: &SeriesFiles,
    series: &[SeriesFiles],
    unreadable: &[UnreadableFile],
) -> Option<Error> {
    let (file, like) = unreadable.iter().find_map(|file| {
        let (like, slices) = slices_like(own, &file.path)?;
        let may_be = is_neighbour(own, series, &file.path)
            && has_number_left(&file.path, &slices, series.len() > 1);
        may_be.then_some((file, like))
    })?;
    let first = own.files.first()?;
    if announced_instances(first) == Some(own.files.len()) {
        return None;
    }
    Some(Error::LostSlice {
        series_instance_uid: own.series_instance_uid.clone(),
        file: file.path.clone(),
        found: file.found.clone(),
        like: like.to_owned(),
    })
}

/// The slices of a series in the folder of a file, if they are named like it, and one of those that are.
fn slices_like<'a>(own: &'a SeriesFiles, file: &Path) -> Option<(&'a Path, Vec<&'a Path>)> {
    let is_beside = |slice: &&Path| slice.parent() == file.parent();
    let slices: Vec<&Path> = own.files.iter().map(PathBuf::as_path).filter(is_beside).collect();
    let of_file = kind(file);
    if let Some(like) = slices.iter().find(|slice| kind(slice) == of_file) {
        return Some((like, slices));
    }
    let kinds: BTreeSet<String> = slices.iter().map(|slice| kind(slice)).collect();
    let is_any_name = slices.len() >= LEAST_NAMES && 2 * kinds.len() > slices.len();
    let like = slices.iter().find(|slice| is_any_name && extension(slice) == extension(file))?;
    Some((like, slices))
}

/// Whether the file before or after a file is one of a series, or the names of different series do not follow each other.
fn is_neighbour(own: &SeriesFiles, series: &[SeriesFiles], file: &Path) -> bool {
    let of_file = kind(file);
    let mut named = Vec::new();
    for (n, other) in series.iter().enumerate() {
        let like = |slice: &&PathBuf| slice.parent() == file.parent() && kind(slice) == of_file;
        named.extend(other.files.iter().filter(like).map(|slice| (order(slice), n)));
    }
    named.sort();
    let owners: BTreeSet<usize> = named.iter().map(|(_, n)| *n).collect();
    let n_changes = named.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    if n_changes + 1 != owners.len() {
        return true;
    }
    let own_number = series.iter().position(|other| std::ptr::eq(other, own));
    let name = order(file);
    let after = named.partition_point(|(other, _)| *other < name);
    let before = after.checked_sub(1).and_then(|at| named.get(at));
    [before, named.get(after)].into_iter().flatten().any(|(_, n)| Some(*n) == own_number)
}

/// Whether the numbers of a series' instances leave one for a file. `is_shared` says that other series are beside it, in
/// which case instances begin with 1.
fn has_number_left(file: &Path, slices: &[&Path], is_shared: bool) -> bool {
    let mut slices = slices.to_vec();
    slices.sort_by_key(|slice| order(slice));
    let numbers: Option<Vec<i64>> = slices.par_iter().map(|slice| instance_number(slice)).collect();
    let Some(numbers) = numbers else { return true };
    let steps_by = |step: i64| numbers.windows(2).all(|pair| pair[1] - pair[0] == step);
    let (ascends, descends) = (steps_by(1), steps_by(-1));
    let (Some(first), Some(last)) = (slices.first(), slices.last()) else { return true };
    if !ascends && !descends {
        return true;
    }
    let name = order(file);
    if order(first) < name && name < order(last) {
        return false;
    }
    let is_first = |number: Option<&i64>| is_shared && number == Some(&1);
    let comes_before = name < order(first);
    !(comes_before && ascends && is_first(numbers.first())
        || !comes_before && descends && is_first(numbers.last()))
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
        let lost = list_series(&all).incomplete;
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
}

//! Cases of a tree of DICOM folders and archives; folders that share a series are one case.

use super::case::Case;
use super::case_files::may_be_dicom;
use super::error::Error;
use crate::archive;
use crate::dicom::PassedOver;
use crate::folder::{entries_below, has_extension, relative};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Folders whose files are read together.
#[derive(Clone, Debug)]
struct FolderGroup {
    /// The folder, or the deepest one that contains all of them.
    folder: PathBuf,
    n_folders: usize,
    images: Vec<PathBuf>,
    annotations: Vec<PathBuf>,
    series: BTreeSet<String>,
    passed_over: Vec<PassedOver>,
}

/// Lists the cases below a root, in no particular order.
///
/// A folder with DICOM files is a case, with the XML in it. Folders that share a series are one case, whose path is
/// that of the deepest folder that contains them, with the XML in and below that folder. An archive is a case; the
/// XML beside it belongs to it where the folder holds nothing else that it could belong to. Other XML is a case
/// without a scan. `series_of` finds the series of a folder, given its path relative to the root and its files.
pub(super) fn cases(
    root: &Path,
    series_of: &dyn Fn(&str, &[PathBuf]) -> BTreeSet<String>,
) -> Result<Vec<Case>, Error> {
    let mut folders: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let entries = entries_below(root)?;
    for file in entries.files {
        if let Some(folder) = file.parent() {
            folders.entry(folder.to_owned()).or_default().push(file);
        }
    }
    let (mut groups, mut archives, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for (folder, files) in folders {
        let (annotations, others): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| has_extension(file, "xml"));
        let (packed, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|file| archive::is_archive(file));
        let images: Vec<_> = others.into_iter().filter(|file| may_be_dicom(file)).collect();
        if images.is_empty() {
            if packed.len() == 1 {
                archives.extend(packed.into_iter().map(|file| (file, annotations.clone())));
            } else {
                archives.extend(packed.into_iter().map(|file| (file, Vec::new())));
                alone.extend(annotations);
            }
        } else {
            archives.extend(packed.into_iter().map(|file| (file, Vec::new())));
            let series = series_of(&relative(root, &folder), &images);
            let passed_over = Vec::new();
            let n_folders = 1;
            groups.push(FolderGroup {
                folder,
                n_folders,
                images,
                annotations,
                series,
                passed_over,
            });
        }
    }
    let mut groups = joined(groups);
    alone.retain(|file| {
        let folder = file.parent().unwrap_or(root);
        let of = groups.iter_mut().filter(|g| g.n_folders > 1 && folder.starts_with(&g.folder));
        let nearest = of.max_by_key(|group| group.folder.components().count());
        nearest.map(|group| group.annotations.push(file.clone())).is_none()
    });
    let mut odd: Vec<PassedOver> = Vec::new();
    for entry in entries.passed_over {
        let of = groups.iter_mut().filter(|group| entry.path.starts_with(&group.folder));
        match of.max_by_key(|group| group.folder.components().count()) {
            Some(group) => group.passed_over.push(entry),
            None => odd.push(entry),
        }
    }
    let case = |path: &Path, images, annotations| Case {
        case_id: relative(root, path),
        has_scan: true,
        images,
        annotations,
        ..Case::default()
    };
    let mut cases: Vec<_> = alone.into_iter().map(|file| Case::without_scan(root, file)).collect();
    cases.extend(archives.into_iter().map(|(file, xml)| case(&file, vec![file.clone()], xml)));
    cases.extend(groups.into_iter().map(|mut group| {
        group.images.sort();
        group.annotations.sort();
        let series = group.series.first().cloned();
        let passed_over = group.passed_over;
        Case { series, passed_over, ..case(&group.folder, group.images, group.annotations) }
    }));
    cases.extend(odd.into_iter().map(|entry| Case::passed_over(root, entry)));
    refuse_equal_names(root, &mut cases);
    Ok(cases)
}

/// Refuses cases whose names are not UTF-8 and look alike in a table, so that its paths lead to several of them.
fn refuse_equal_names(root: &Path, cases: &mut [Case]) {
    let mut n_of_id: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases.iter() {
        *n_of_id.entry(case.case_id.clone()).or_default() += 1;
    }
    for case in cases.iter_mut().filter(|case| n_of_id.get(&case.case_id).is_some_and(|n| *n > 1)) {
        let path = case.images.first().or_else(|| case.annotations.first());
        let odd = path.filter(|path| path.to_str().is_none());
        if let Some(own) = odd.and_then(|path| path.strip_prefix(root).ok()) {
            let bytes = format!("\"{}\"", own.as_os_str().as_encoded_bytes().escape_ascii());
            *case = Case::unnameable(case.case_id.clone(), &[bytes]);
        }
    }
}

/// Joins groups until no two of them share a series or a folder.
fn joined(mut groups: Vec<FolderGroup>) -> Vec<FolderGroup> {
    loop {
        let n_groups = groups.len();
        let mut indices: BTreeMap<(bool, OsString), usize> = BTreeMap::new();
        let mut joined: Vec<FolderGroup> = Vec::new();
        for group in groups {
            let folder = (true, group.folder.clone().into_os_string());
            let series = group.series.iter().map(|series| (false, series.into()));
            let keys: Vec<_> = series.chain([folder]).collect();
            let index = keys.iter().find_map(|key| indices.get(key).copied());
            // Further groups that it shares something with are joined in the next round.
            indices.extend(keys.into_iter().map(|key| (key, index.unwrap_or(joined.len()))));
            match index.and_then(|index| joined.get_mut(index)) {
                Some(other) => other.join(group),
                None => joined.push(group),
            }
        }
        groups = joined;
        if groups.len() == n_groups {
            return groups;
        }
    }
}

impl FolderGroup {
    fn join(&mut self, other: Self) {
        let in_common = self.folder.components().zip(other.folder.components());
        self.folder = in_common.take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
        self.n_folders += other.n_folders;
        self.images.extend(other.images);
        self.annotations.extend(other.annotations);
        self.series.extend(other.series);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cases of a tree in which the content of a file is its series.
    fn listed(files: &[(&str, &str)]) -> Vec<Case> {
        let root = tempfile::tempdir().unwrap();
        for (name, series) in files {
            let path = root.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, series).unwrap();
        }
        let series_of = |_: &str, files: &[PathBuf]| {
            files.iter().map(|file| fs_err::read_to_string(file).unwrap()).collect()
        };
        let mut cases = cases(root.path(), &series_of).unwrap();
        cases.sort_by(|a, b| a.case_id.cmp(&b.case_id));
        for path in
            cases.iter_mut().flat_map(|case| case.images.iter_mut().chain(&mut case.annotations))
        {
            *path = path.strip_prefix(root.path()).unwrap().to_owned();
        }
        cases
    }

    fn ids(cases: &[Case]) -> Vec<(&str, usize, usize)> {
        let counts = |case: &'_ Case| (case.images.len(), case.annotations.len());
        let all = cases.iter().map(|case| (case.case_id.as_str(), counts(case)));
        all.map(|(id, (images, annotations))| (id, images, annotations)).collect()
    }

    #[test]
    fn folders_that_share_a_series_are_one_case() {
        let cases = listed(&[
            ("p/1/a", "A"),
            ("p/1/r.xml", ""),
            ("p/2/b", "A"),
            ("p/2/c", "B"),
            ("p/3/x/d", "B"),
            ("p/all.xml", ""),
            ("q/e", "C"),
            ("q/1/f", "D"),
            ("r.xml", ""),
        ]);
        let expected = [("p", 4, 2), ("q", 1, 0), ("q/1", 1, 0), ("r.xml", 0, 1)];
        assert_eq!(ids(&cases), expected);
        assert!(!cases[3].has_scan);
    }

    #[test]
    fn a_case_has_a_path_of_its_own() {
        // The folder that contains both is itself one with another series.
        let cases = listed(&[("p/a", "A"), ("p/1/b", "B"), ("p/2/c", "B"), ("p/3/d", "D")]);
        assert_eq!(ids(&cases), [("p", 3, 0), ("p/3", 1, 0)]);
        // A chain of shared series that the last folder closes.
        let cases = listed(&[("1/a", "A"), ("2/b", "B"), ("3/a", "A"), ("3/b", "B"), ("4/c", "C")]);
        assert_eq!(ids(&cases), [(".", 4, 0), ("4", 1, 0)]);
    }

    #[test]
    fn an_archive_is_a_case_with_the_xml_beside_it_where_that_is_unambiguous() {
        let cases = listed(&[
            ("a/s.zip", ""),
            ("a/r.xml", ""),
            ("b/s.zip", ""),
            ("b/t.tar.gz", ""),
            ("b/r.xml", ""),
            ("c/s.tgz", ""),
            ("c/1.dcm", "C"),
            ("c/r.xml", ""),
            ("d/s.nii.gz", "x"),
        ]);
        let expected = [
            ("a/s.zip", 1, 1),
            ("b/r.xml", 0, 1),
            ("b/s.zip", 1, 0),
            ("b/t.tar.gz", 1, 0),
            ("c", 1, 1),
            ("c/s.tgz", 1, 0),
            ("d", 1, 0),
        ];
        assert_eq!(ids(&cases), expected);
    }
}

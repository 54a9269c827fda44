//! Cases of the layout `volumes`: one image, with the masks of its readers.

use super::case::Case;
use super::case_files::may_be_dicom;
use super::error::Error;
use super::pairing::{self, PairedFiles, PathPattern, PatientKey};
use crate::folder::{Entries, entries_below, files_below, relative};
use crate::{archive, image_file};
use nodulus_faults::fs;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Parses the patterns of the image and of each reader's masks.
///
/// # Errors
///
/// Fails if a pattern is invalid, or only some of them have `{scan}`.
pub fn patterns(
    image: &str,
    masks: &[&str],
) -> Result<(PathPattern, Vec<PathPattern>), pairing::Error> {
    let image = PathPattern::parse(image)?;
    let masks: Vec<PathPattern> =
        masks.iter().map(|mask| PathPattern::parse(mask)).collect::<Result<_, _>>()?;
    match masks.iter().find(|mask| mask.has_scan() != image.has_scan()) {
        Some(mask) => Err(pairing::Error::Scan(image.text().to_owned(), mask.text().to_owned())),
        None => Ok((image, masks)),
    }
}

/// Lists the cases below a root: images with their masks. Files that do not pair up are a case with a problem.
pub(super) fn cases(root: &Path, image: &str, masks: &[&str]) -> Result<Vec<Case>, Error> {
    let (image, masks) = patterns(image, masks)?;
    let Entries { files, folders, passed_over } = entries_below(root)?;
    let below = |paths: &[PathBuf]| -> Vec<String> {
        paths.iter().map(|path| relative(root, path)).collect()
    };
    let files: Vec<_> = files.into_iter().filter(|file| !image_file::is_voxel_data(file)).collect();
    let pairs = pairing::pair(&below(&files), &below(&folders), &image, &masks);
    let mut odd: OddNames = BTreeMap::new();
    for path in files.iter().chain(&folders) {
        if let Ok(own) = path.strip_prefix(root)
            && own.to_str().is_none()
        {
            odd.entry(relative(root, path))
                .or_default()
                .push(format!("\"{}\"", own.as_os_str().as_encoded_bytes().escape_ascii()));
        }
    }
    let mut cases = Vec::new();
    for (key, files) in pairs.paired {
        cases.extend(match unnameable(root, &files, &odd) {
            Some((path, bytes)) => vec![Case::unnameable(path, &bytes)],
            None => paired(root, &image, key, &files)?,
        });
    }
    for (path, problem) in pairs.ambiguous {
        let images = vec![root.join(&path)];
        let problem = Some(format!("`{path}` {problem}"));
        cases.push(Case { case_id: path, has_scan: false, images, problem, ..Case::default() });
    }
    for entry in passed_over {
        let own = |case: &&mut Case| entry.path.starts_with(root.join(&case.case_id));
        match cases.iter_mut().find(own) {
            Some(case) => case.passed_over.push(entry),
            None => cases.push(Case::passed_over(root, entry)),
        }
    }
    Ok(cases)
}

/// Paths that are no text: as text with a sign in place of each odd byte, and with these bytes.
type OddNames = BTreeMap<String, Vec<String>>;

/// The first of an image and its masks whose path is no text, so that no table can lead to it. The slices in a folder may
/// have any names.
fn unnameable(root: &Path, files: &PairedFiles, odd: &OddNames) -> Option<(String, Vec<String>)> {
    if odd.is_empty() {
        return None;
    }
    let masks = files.masks.iter().flatten().cloned();
    let mut paths = images(root, &files.images).into_iter().chain(masks);
    paths.find_map(|path| odd.get(&path).map(|bytes| (path.clone(), bytes.clone())))
}

/// The case of one patient, or of one of their scans; without an image, one case for each mask.
///
/// METHOD: two images of one patient may be two scans or two copies, and a mask may belong to either. Neither is used
/// unless `{scan}` tells them apart.
fn paired(
    root: &Path,
    pattern: &PathPattern,
    key: PatientKey,
    files: &PairedFiles,
) -> Result<Vec<Case>, Error> {
    let images: Vec<String> = images(root, &files.images).into_iter().collect();
    let mut case = Case { patient: Some(key.patient.clone()), ..Case::default() };
    for (reader, masks) in files.masks.iter().enumerate() {
        for mask in masks {
            let mask = root.join(mask);
            case.annotation_data.extend(image_file::files(&mask).into_iter().skip(1));
            case.annotations.push(mask);
            case.readers.push(reader);
        }
    }
    match &images[..] {
        [] => {
            let masks = case.annotations.iter().map(|mask| Case {
                case_id: relative(root, mask),
                patient: case.patient.clone(),
                images: image_file::files(mask),
                problem: Some(format!(
                    "`{}` is a mask of patient `{}`, who has no image: nothing fits `{}`",
                    relative(root, mask),
                    key.patient,
                    pattern.text()
                )),
                ..Case::default()
            });
            Ok(masks.collect())
        }
        [image] => {
            case.has_scan = true;
            case.images = image_files(&root.join(image))?;
            case.case_id.clone_from(image);
            Ok(vec![case])
        }
        _ => {
            for image in &images {
                case.images.extend(image_files(&root.join(image))?);
            }
            let shown: Vec<String> = images.iter().map(|image| format!("`{image}`")).collect();
            let names = if pattern.has_scan() { "scan" } else { "patient" };
            let advice = if pattern.has_scan() {
                ""
            } else {
                ", or name the scan with {scan} in each pattern"
            };
            case.problem = Some(format!(
                "{names} `{}` has {} images: {}; expected one: narrow `{}`{advice}",
                key.scan.as_ref().unwrap_or(&key.patient),
                images.len(),
                shown.join(", "),
                pattern.text()
            ));
            case.case_id =
                key.scan.map_or(key.patient.clone(), |scan| format!("{} {scan}", key.patient));
            Ok(vec![case])
        }
    }
}

/// The images among the paths that match the pattern of the image: image files, archives, folders with files that may
/// be DICOM, and the folders of such files. Where there is none, the folders that match, so that they are reported.
fn images(root: &Path, paths: &BTreeSet<String>) -> BTreeSet<String> {
    let (mut found, mut empty) = (BTreeSet::new(), BTreeSet::new());
    for path in paths {
        let full = root.join(path);
        if fs::is_dir(&full) {
            let entries = fs::read_dir(&full).unwrap_or_default();
            let mut files = entries.iter().map(fs_err::DirEntry::path);
            let holds_slices = files.any(|file| is_slice(&file) && fs::is_file(&file));
            if holds_slices { &mut found } else { &mut empty }.insert(path.clone());
        } else if image_file::is_image(&full) || archive::is_archive(&full) {
            found.insert(path.clone());
        } else if is_slice(&full) {
            found.insert(relative(root, full.parent().unwrap_or(root)));
        }
    }
    if found.is_empty() { empty } else { found }
}

fn is_slice(file: &Path) -> bool {
    let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden && may_be_dicom(file) && !image_file::is_image(file) && !image_file::is_voxel_data(file)
}

fn image_files(image: &Path) -> Result<Vec<PathBuf>, Error> {
    if !fs::is_dir(image) {
        return Ok(image_file::files(image));
    }
    let files = files_below(image)?;
    Ok(files.into_iter().filter(|file| may_be_dicom(file)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in names {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if name.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::write(path, "x").unwrap();
            }
        }
        root
    }

    fn listed(names: &[&str], image: &str, masks: &[&str]) -> Vec<Case> {
        let root = folder(names);
        let mut cases = cases(root.path(), image, masks).unwrap();
        cases.sort_by(|a, b| a.case_id.cmp(&b.case_id));
        for case in &mut cases {
            for path in case.images.iter_mut().chain(&mut case.annotations) {
                *path = path.strip_prefix(root.path()).unwrap().to_owned();
            }
        }
        cases
    }

    fn problem(case: &Case) -> &str {
        case.problem.as_deref().unwrap()
    }

    #[test]
    fn folders_files_and_slices_are_images() {
        let cases = listed(
            &[
                "a/s/CT1/1.dcm",
                "a/s/CT1/2.dcm",
                "b/CT.nii.gz",
                "c/x/y/CT.1",
                "c/x/y/CT.2",
                "d/CTs/",
            ],
            "{patient}/**/CT*",
            &["{patient}/m.nii"],
        );
        let ids: Vec<_> = cases.iter().map(|case| case.case_id.as_str()).collect();
        assert_eq!(ids, ["a/s/CT1", "b/CT.nii.gz", "c/x/y", "d/CTs"]);
        assert_eq!(cases.iter().map(|case| case.images.len()).collect::<Vec<_>>(), [2, 1, 2, 0]);
        assert!(cases.iter().all(|case| case.has_scan && case.problem.is_none()));
    }

    #[test]
    fn masks_go_to_their_readers() {
        let cases = listed(
            &["p1/ct.nii", "p1/a1.nii", "p1/a2.nii", "p1/b.mhd", "p1/b.raw", "p2/ct.nii"],
            "{patient}/ct.*",
            &["{patient}/a*.nii", "{patient}/b.*"],
        );
        assert_eq!(cases[0].annotations, ["p1/a1.nii", "p1/a2.nii", "p1/b.mhd"].map(PathBuf::from));
        assert_eq!(cases[0].readers, [0, 0, 1]);
        assert_eq!((cases[1].case_id.as_str(), cases[1].annotations.len()), ("p2/ct.nii", 0));
    }

    #[test]
    fn two_images_of_a_patient_are_refused_unless_the_scan_is_named() {
        let names = ["p1/1/ct.nii", "p1/2/ct.nii", "p1/1/m.nii", "p1/2/m.nii"];
        let cases = listed(&names, "{patient}/*/ct.nii", &["{patient}/*/m.nii"]);
        assert_eq!(
            (cases.len(), problem(&cases[0])),
            (
                1,
                "patient `p1` has 2 images: `p1/1/ct.nii`, `p1/2/ct.nii`; expected one: narrow \
                 `{patient}/*/ct.nii`, or name the scan with {scan} in each pattern"
            )
        );
        let cases = listed(&names, "{patient}/{scan}/ct.nii", &["{patient}/{scan}/m.nii"]);
        let masks: Vec<_> = cases.iter().map(|case| case.annotations.clone()).collect();
        assert_eq!(masks, [[PathBuf::from("p1/1/m.nii")], [PathBuf::from("p1/2/m.nii")]]);
        assert!(cases.iter().all(|case| case.problem.is_none()));
        let root = folder(&names);
        let error =
            super::cases(root.path(), "{patient}/{scan}/ct.nii", &["{patient}/m"]).unwrap_err();
        assert!(matches!(error, Error::Pattern(pairing::Error::Scan(..))), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_are_told_and_cost_no_other_patient() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let root = folder(&["p1/ct/1.dcm", "p1/m.nii", "p2/ct/1.dcm", "p3/ct/1.dcm", "p3/m.nii"]);
        let odd = |name: &[u8]| root.path().join(OsStr::from_bytes(name));
        // A slice may have any name; a patient and a mask are named in the tables.
        fs::write(odd(b"p1/ct/sl\xe9.dcm"), "x").unwrap();
        fs::write(odd(b"p2/m\xe9.nii"), "x").unwrap();
        fs::create_dir_all(odd(b"p\xe94/ct")).unwrap();
        fs::write(odd(b"p\xe94/ct/1.dcm"), "x").unwrap();
        let cases = super::cases(root.path(), "{patient}/ct", &["{patient}/m*.nii"]).unwrap();
        let problems = cases.iter().filter(|case| case.problem.is_some());
        let told: Vec<_> = problems.map(|case| (case.case_id.as_str(), problem(case))).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        for (name, problem) in told {
            assert!(["p2/m\u{fffd}.nii", "p\u{fffd}4"].contains(&name), "{name}");
            assert!(
                problem.contains("is not UTF-8") && problem.ends_with("rename it"),
                "{problem}"
            );
            let bytes = if name.starts_with("p2") { "p2/m\\xe9.nii" } else { "p\\xe94" };
            assert!(problem.contains(bytes), "{problem}");
        }
        let read = cases.iter().filter(|case| case.problem.is_none());
        assert_eq!(read.map(|case| case.images.len()).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn files_that_do_not_pair_up_are_reported() {
        let names = ["p1/ct/1.dcm", "p2/m.nii", "p10.nii"];
        let cases = listed(&names, "{patient}/ct", &["{patient}/m.nii", "{patient}*.nii"]);
        assert_eq!(cases.len(), 3);
        assert!(cases[0].has_scan && cases[0].annotations.is_empty());
        assert!(problem(&cases[1]).starts_with("`p10.nii` fits in 3 ways"), "{:?}", cases[1]);
        assert_eq!(
            problem(&cases[2]),
            "`p2/m.nii` is a mask of patient `p2`, who has no image: nothing fits `{patient}/ct`"
        );
    }
}

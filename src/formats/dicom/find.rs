//! Which series a folder holds.

use super::{Error, Problem, elements, error, header};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use fs_err as fs;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The files of a CT series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesFiles {
    /// The series.
    pub series_instance_uid: String,
    /// Its files, sorted by name.
    pub files: Vec<PathBuf>,
}

/// In the order of their tags, as reading ends after the last one.
const WANTED: [Tag; 3] = [tags::IMAGE_TYPE, tags::MODALITY, tags::SERIES_INSTANCE_UID];

/// Lists the CT series among the files directly in a folder, sorted by UID; none where there are none.
///
/// Other modalities, localizers, files that are not DICOM and hidden files are passed over. Slices
/// that cannot be read for other reasons, their compression say, are listed: reading tells why.
///
/// # Errors
///
/// Fails if the folder cannot be read, if a DICOM file is cut off or malformed before its series,
/// or if a file named `.dcm` is not DICOM: a slice must not vanish from its series unseen.
pub fn find_series(folder: &Path) -> Result<Vec<SeriesFiles>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && fs::metadata(entry.path())?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    let found: Vec<_> = files.par_iter().map(|file| series_of(file)).collect();
    let mut series: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (file, uid) in files.into_iter().zip(found) {
        if let Some(uid) = uid? {
            series.entry(uid).or_default().push(file);
        }
    }
    let named = |(series_instance_uid, files)| SeriesFiles { series_instance_uid, files };
    Ok(series.into_iter().map(named).collect())
}

/// Modalities of the DICOM files directly in a folder; none where there are none.
///
/// # Errors
///
/// As [`find_series`].
pub fn modalities(folder: &Path) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        if file.is_file()
            && let Some(elements) = elements::read(&file, &[tags::MODALITY])?
        {
            let modality = header::text(&elements.values, tags::MODALITY);
            found.extend(modality.map_err(|problem| Error::file(&file, problem))?);
        }
    }
    Ok(found)
}

/// The CT series that a file belongs to.
fn series_of(file: &Path) -> Result<Option<String>, Error> {
    let Some(elements) = elements::read(file, &WANTED)? else {
        let named_dicom = file.extension().is_some_and(|found| found.eq_ignore_ascii_case("dcm"));
        return if named_dicom { Err(Error::file(file, Problem::NotDicom)) } else { Ok(None) };
    };
    let text =
        |tag| header::text(&elements.values, tag).map_err(|problem| Error::file(file, problem));
    if text(tags::MODALITY)?.as_deref() != Some("CT") || header::is_localizer(&elements.values) {
        return Ok(None);
    }
    let uid = text(tags::SERIES_INSTANCE_UID)?;
    let missing = || Problem::Missing(error::name(tags::SERIES_INSTANCE_UID));
    uid.map(Some).ok_or_else(|| Error::file(file, missing()))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use dicom_core::{PrimitiveValue, VR};
    use std::path::Path;

    fn set(file: &Path, tag: Tag, vr: VR, value: &'static str) {
        samples::edit(file, |object| {
            object.put_element(dicom_core::DataElement::new(tag, vr, PrimitiveValue::from(value)));
        });
    }

    #[test]
    fn series_are_told_apart_and_the_rest_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let files = samples::write(folder.path(), &samples::volume());
        set(&files[0], tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3");
        set(&files[1], tags::MODALITY, VR::CS, "SEG");
        set(&files[2], tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
        for name in ["notes.xml", "empty", "._000001.dcm"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        fs::create_dir_all(folder.path().join("below")).unwrap();
        fs::copy(&files[3], folder.path().join("below/1.dcm")).unwrap();
        let found = find_series(folder.path()).unwrap();
        let series = |uid: &str, at: usize| SeriesFiles {
            series_instance_uid: uid.to_owned(),
            files: vec![files[at].clone()],
        };
        assert_eq!(found, [series("1.2.3", 0), series(samples::SERIES, 3)]);
    }

    #[test]
    fn a_slice_does_not_vanish_unseen() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find_series(folder.path()).unwrap(), []);
        assert!(matches!(find_series(&folder.path().join("none")), Err(Error::Io(_))));
        let files = samples::write(folder.path(), &samples::volume());
        let bytes = fs::read(&files[1]).unwrap();
        fs::write(&files[1], &bytes[..400]).unwrap();
        let error = find_series(folder.path()).unwrap_err().to_string();
        assert!(error.contains("000002.dcm`: cut off at byte 400"), "{error}");
        fs::write(&files[1], "").unwrap();
        let error = find_series(folder.path()).unwrap_err().to_string();
        assert!(error.contains("000002.dcm`: not a DICOM file"), "{error}");
        fs::write(&files[1], bytes).unwrap();
        samples::edit(&files[1], |object| {
            object.remove_element(tags::SERIES_INSTANCE_UID);
        });
        let error = find_series(folder.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("000002.dcm`: SeriesInstanceUID (0020,000E) is missing"),
            "{error}"
        );
    }
}

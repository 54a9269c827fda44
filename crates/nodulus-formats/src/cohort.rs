//! Which files of a folder make up a case, by the layout of the cohort.

use super::case_files::{CaseFiles, has_extension};
use super::scan_geometry::ScanGeometries;
use super::{archive, dicom, image_file, lidc_folders, lidc_xml, pairing, volumes};
use crate::volume::{LoadedSlices, SliceRanges, Volume};
use fs_err as fs;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Whose layout a cohort's files follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// LIDC-IDRI: DICOM series in folders and archives, with the readers' XML.
    Lidc,
    /// LUNA16: image files named by their series; the readers' XML in another folder.
    Luna16,
    /// CTs, each a DICOM folder, an archive of one or an image file, and masks or outlines of one or more
    /// readers.
    Volumes,
    /// LIDC-IDRI's XML alone, with a table of scan geometry in place of the images.
    LidcAnnotations,
}

impl Layout {
    /// Name in `scans.source`.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Lidc | Self::LidcAnnotations => "lidc",
            Self::Luna16 => "luna16",
            Self::Volumes => "volumes",
        }
    }

    /// Whether the layout has images.
    pub const fn has_images(self) -> bool {
        !matches!(self, Self::LidcAnnotations)
    }
}

/// Where a cohort's files are.
#[derive(Clone, Debug, PartialEq)]
pub struct Location<'a> {
    /// Layout of the files.
    pub layout: Layout,
    /// Folder of the images, or of the XML where there are none; paths of cases are relative to it.
    pub root: &'a Path,
    /// Folder of the readers' XML, where it is not beside the images.
    pub annotations: Option<&'a Path>,
    /// Pattern of a patient's image below the root.
    pub image: &'a str,
    /// Pattern of each reader's masks below the root.
    pub masks: Vec<&'a str>,
    /// Geometry of the scans, where there are no images.
    pub scan_geometry: Option<&'a ScanGeometries>,
}

/// Files that are read together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The image's path below the root, with `/`; the series where only annotations are there; the
    /// path of a file of annotations that belongs to no scan.
    pub case_id: String,
    /// Whether there is a scan; else the case is annotations that belong to none.
    pub has_scan: bool,
    /// The patient, where the path tells.
    pub patient: Option<String>,
    /// Files of the image.
    pub images: Vec<PathBuf>,
    /// Files of annotations or masks.
    pub annotations: Vec<PathBuf>,
    /// Whose each mask is, as an index of the cohort's readers; empty where annotations say that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<usize>,
    /// Files that masks name: voxels beside their header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotation_data: Vec<PathBuf>,
    /// Why the files do not pair up, so that none of them is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A cohort's files could not be listed or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is no such folder.
    #[error("`{0}` is not a folder")]
    NotAFolder(PathBuf),
    /// A pattern of a patient's files is none.
    #[error(transparent)]
    Pattern(#[from] pairing::Error),
    /// A DICOM series could not be read.
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    /// An image file could not be read.
    #[error(transparent)]
    ImageFile(#[from] image_file::Error),
    /// An archive could not be unpacked.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// A folder or archive has no CT series.
    #[error("`{path}` holds no CT series, but {}", kinds_text(kinds))]
    NoSeries {
        /// The folder or archive.
        path: PathBuf,
        /// DICOM modalities of its files, with what a CT's are instead of slices.
        kinds: BTreeSet<String>,
    },
}

/// A scan as its files have it.
#[derive(Debug)]
pub struct Image {
    /// The series: from the header, from the file's name, or made from its voxels.
    pub series_instance_uid: String,
    /// The header, where the format has one.
    pub info: Option<dicom::SeriesInfo>,
    /// Hounsfield units.
    pub volume: Volume<i16>,
}

/// Lists a cohort's cases, sorted by id; none where the folder is empty. `series_of` tells the series in
/// the files of a folder, whose path below the root is given too; [`dicom::series_uids`] does.
///
/// # Errors
///
/// Fails if a folder is missing or cannot be read, or a pattern is not one.
pub fn cases(
    location: &Location<'_>,
    series_of: &dyn Fn(&str, &[PathBuf]) -> BTreeSet<String>,
) -> Result<Vec<Case>, Error> {
    for folder in [Some(location.root), location.annotations].into_iter().flatten() {
        if !folder.is_dir() {
            return Err(Error::NotAFolder(folder.to_owned()));
        }
    }
    let mut cases = match location.layout {
        Layout::Lidc => lidc_folders::cases(location.root, series_of)?,
        Layout::Luna16 => luna16(location.root, location.annotations)?,
        Layout::Volumes => volumes::cases(location.root, location.image, &location.masks)?,
        Layout::LidcAnnotations => {
            let none = ScanGeometries::new();
            lidc_annotations(location.root, location.scan_geometry.unwrap_or(&none))?
        }
    };
    cases.sort_by(|a, b| a.case_id.cmp(&b.case_id));
    Ok(cases)
}

/// Reads the scans of a case, one or the CT series of a DICOM folder or archive, and gives what `each`
/// makes of them; one is in memory at a time.
///
/// # Errors
///
/// Fails if there is no scan; `each` is told of one that cannot be read.
pub fn read_images<R>(
    files: &CaseFiles,
    tolerances: &dicom::Tolerances,
    mut each: impl FnMut(Result<Image, Error>) -> R,
) -> Result<Vec<R>, Error> {
    if files.is_image_file() {
        let volume = image_file::read(&files.path)?;
        let series_instance_uid = image_file::series(&files.path, &volume);
        return Ok(vec![each(Ok(Image { series_instance_uid, info: None, volume }))]);
    }
    let named = |error| files.named(error);
    let series = dicom::find_series(&files.dicom).map_err(named)?;
    if series.is_empty() {
        let kinds = dicom::kinds(&files.dicom).map_err(named)?;
        return Err(Error::NoSeries { path: files.path.clone(), kinds });
    }
    let read = |slices: dicom::SeriesFiles| {
        let series = dicom::read_series(&slices.files, tolerances).map_err(named)?;
        let dicom::CtSeries { info, volume, .. } = series;
        Ok(Image {
            series_instance_uid: info.series_instance_uid.clone(),
            info: Some(info),
            volume,
        })
    };
    Ok(series.into_iter().map(|slices| each(read(slices))).collect())
}

/// Reads some slices of one scan of a case: an image file's, or a series' of a DICOM folder or archive,
/// whatever else there cannot be read; `None` where it is not there. What is then not checked is said
/// with each format.
///
/// # Errors
///
/// Fails if the scan cannot be read.
pub fn read_slices(
    files: &CaseFiles,
    tolerances: &dicom::Tolerances,
    series_instance_uid: &str,
    wanted: &SliceRanges,
) -> Result<Option<LoadedSlices<i16>>, Error> {
    if files.is_image_file() {
        return Ok(Some(image_file::read_slices(&files.path, wanted)?));
    }
    let slices = dicom::files_of_series(&files.dicom, series_instance_uid);
    if slices.is_empty() {
        return Ok(None);
    }
    let loaded = dicom::read_slices(&slices, tolerances, wanted);
    Ok(Some(loaded.map_err(|error| files.named(error))?))
}

/// How many times its own bytes a compressed archive of slices holds, at most.
///
/// METHOD: CT slices shrink to half or a third of their bytes; more is not known before unpacking.
const ARCHIVE_TIMES: u64 = 4;

/// Bytes that reading a case takes at most, by its files' headers and lengths: its scan, or after it
/// its masks. What cannot be read counts for nothing.
pub fn memory_bytes(case: &Case) -> u64 {
    let length = |file: &Path| fs::metadata(file).map_or(0, |file| file.len());
    let image = match &case.images[..] {
        [file, ..] if image_file::is_one(file) => image_file::memory_bytes(file),
        [file] if archive::is_one(file) => ARCHIVE_TIMES.saturating_mul(length(file)),
        files => dicom::memory_bytes(files),
    };
    let mask = |file: &PathBuf| {
        if image_file::is_one(file) {
            image_file::memory_bytes(file)
        } else {
            // Segmentations and structure sets: the file, and as much again for what is made of it.
            2 * length(file)
        }
    };
    image.max(case.annotations.iter().map(mask).sum())
}

/// A file of annotations that belongs to no scan.
pub(super) fn without_scan(root: &Path, file: PathBuf) -> Case {
    let case_id = relative(root, &file);
    let (images, annotations) = (Vec::new(), vec![file]);
    Case { case_id, images, annotations, ..Case::default() }
}

/// Files of CT reads by series, and the files that are none; each sorted by path.
type Reads = (BTreeMap<String, Vec<PathBuf>>, Vec<PathBuf>);

fn reads_below(folder: &Path) -> Result<Reads, Error> {
    let files: Vec<_> =
        files_below(folder)?.into_iter().filter(|file| has_extension(file, "xml")).collect();
    // Why a file is none is told where it is read for its rows.
    let series: Vec<Option<String>> = files
        .par_iter()
        .map(|file| lidc_xml::read(file).ok().map(|reads| reads.series_instance_uid))
        .collect();
    let (mut by_series, mut others) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for (file, series) in files.into_iter().zip(series) {
        match series {
            Some(series) => by_series.entry(series).or_default().push(file),
            None => others.push(file),
        }
    }
    Ok((by_series, others))
}

/// One case for each series of the table, and one for each file that belongs to none of them.
fn lidc_annotations(root: &Path, geometry: &ScanGeometries) -> Result<Vec<Case>, Error> {
    let (mut by_series, mut others) = reads_below(root)?;
    let mut cases = Vec::new();
    for (series, scan) in geometry {
        cases.push(Case {
            case_id: series.clone(),
            has_scan: true,
            patient: scan.patient_id.clone(),
            images: Vec::new(),
            annotations: by_series.remove(series).unwrap_or_default(),
            ..Case::default()
        });
    }
    others.extend(by_series.into_values().flatten());
    cases.extend(others.into_iter().map(|file| without_scan(root, file)));
    Ok(cases)
}

fn luna16(root: &Path, annotations: Option<&Path>) -> Result<Vec<Case>, Error> {
    let (mut by_series, mut others) = annotations.map(reads_below).transpose()?.unwrap_or_default();
    let mut cases = Vec::new();
    for file in files_below(root)?.into_iter().filter(|file| image_file::is_one(file)) {
        let images = image_file::files(&file);
        let annotations = by_series.remove(&image_file::stem(&file)).unwrap_or_default();
        let case_id = relative(root, &file);
        cases.push(Case { case_id, has_scan: true, images, annotations, ..Case::default() });
    }
    others.extend(by_series.into_values().flatten());
    let base = annotations.unwrap_or(root);
    cases.extend(others.into_iter().map(|file| without_scan(base, file)));
    Ok(cases)
}

/// Every file below a folder, sorted; hidden ones are passed over.
///
/// # Errors
///
/// Fails if a folder cannot be read.
pub fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(entries_below(folder)?.0)
}

/// Every file and every folder below a folder, sorted; hidden ones are passed over.
pub(super) fn entries_below(folder: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let path = entry.path();
            if path.is_dir() {
                left.push(path.clone());
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

fn kinds_text(kinds: &BTreeSet<String>) -> String {
    match kinds.len() {
        0 => "no DICOM file".to_owned(),
        _ => kinds.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}

/// A path below a root, with `/` on every machine.
pub fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|c| c.as_os_str().to_string_lossy()).collect();
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, name: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    fn cases(location: &Location<'_>) -> Result<Vec<Case>, Error> {
        super::cases(location, &|_, files| dicom::series_uids(files))
    }

    fn location(layout: Layout, root: &Path) -> Location<'_> {
        Location {
            layout,
            root,
            annotations: None,
            image: "{patient}/ct",
            masks: vec!["{patient}/m.nii"],
            scan_geometry: None,
        }
    }

    #[test]
    fn a_lidc_case_is_a_folder_with_dicom_files() {
        let root = tempfile::tempdir().unwrap();
        for name in ["p/a/1.dcm", "p/a/2.dcm", "p/a/69.xml", "p/b/IM1", "LICENSE", "x/notes.txt"] {
            touch(root.path(), name);
        }
        let cases = cases(&location(Layout::Lidc, root.path())).unwrap();
        let ids: Vec<_> = cases.iter().map(|case| case.case_id.as_str()).collect();
        assert_eq!(ids, ["p/a", "p/b"]);
        assert_eq!(cases[0].images.len(), 2);
        assert_eq!(cases[0].annotations.len(), 1);
    }

    #[test]
    fn a_patient_of_volumes_is_named_by_the_pattern() {
        let root = tempfile::tempdir().unwrap();
        for name in ["p1/ct/1.dcm", "p2/ct/1.dcm", "p1/m.nii", "p3/other/1.dcm"] {
            touch(root.path(), name);
        }
        let cases = cases(&location(Layout::Volumes, root.path())).unwrap();
        let patients: Vec<_> = cases.iter().filter_map(|case| case.patient.as_deref()).collect();
        assert_eq!(patients, ["p1", "p2"]);
        assert_eq!(cases[0].annotations, [root.path().join("p1/m.nii")]);
        assert!(cases[1].annotations.is_empty());
    }

    #[test]
    fn an_image_file_is_a_case_with_the_files_that_it_names() {
        let root = tempfile::tempdir().unwrap();
        for name in ["s/1.2.mhd", "s/1.2.raw", "s/1.3.mha", "1.4.nii.gz", "1.5.nii", "x.raw"] {
            touch(root.path(), name);
        }
        let header = "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 1\n\
            DimSize = 1 1 2\nElementType = MET_CHAR\nElementDataFile = LIST\n1.2.raw\n../x.raw";
        fs::write(root.path().join("s/1.2.mhd"), header.replace("../x.raw", "1.3.mha")).unwrap();
        let listed = || {
            let cases = cases(&location(Layout::Luna16, root.path())).unwrap();
            let ids: Vec<_> = cases.iter().map(|case| case.case_id.as_str()).collect();
            assert_eq!(ids, ["1.4.nii.gz", "1.5.nii", "s/1.2.mhd", "s/1.3.mha"]);
            cases[2].images.clone()
        };
        let place = |name: &str| root.path().join(name);
        assert_eq!(listed(), ["s/1.2.mhd", "s/1.2.raw", "s/1.3.mha"].map(place));
        // A header that cannot be read is a case: it fails where its voxels are read.
        fs::write(root.path().join("s/1.2.mhd"), header).unwrap();
        assert_eq!(listed(), [place("s/1.2.mhd")]);
        let location =
            Location { image: "s/{patient}.mhd", ..location(Layout::Volumes, root.path()) };
        let cases = cases(&location).unwrap();
        assert_eq!(cases[0].patient.as_deref(), Some("1.2"));
        assert_eq!(cases[0].images, [place("s/1.2.mhd")]);
        let files = CaseFiles::at(&place("x.raw")).unwrap();
        let error = read_images(&files, &dicom::Tolerances::default(), |_| ());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("x.raw` has no image's name"), "{error}");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("none");
        let error = cases(&location(Layout::Lidc, &missing)).unwrap_err();
        assert!(error.to_string().ends_with("none` is not a folder"));
    }
}

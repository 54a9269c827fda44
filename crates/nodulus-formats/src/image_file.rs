//! Image files (MetaImage, NIfTI or NRRD), with the format chosen by the file's name.

pub use crate::image_rules::ImageRules;
use crate::image_rules::ReadRules;
use crate::loaded_image::LoadedImage;
use crate::mask_file::{LabelGrid, LabelMask};
use crate::repair::Repairs;
use crate::volume::{LoadedSlices, SliceRanges, Volume};
use crate::voxel_encoding::Voxel;
use crate::{metaimage, nifti, nrrd, uid};
use nodulus_faults::fs;
use nodulus_faults::quoted;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// An image file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name does not end like that of an image file.
    #[error(
        "{path} is not named like an image file, expected .mhd, .mha, .nii, .nii.gz, .hdr, .hdr.gz, .nrrd or \
         .nhdr",
        path = quoted::path(.0)
    )]
    Name(PathBuf),
    /// A MetaImage could not be read.
    #[error(transparent)]
    MetaImage(#[from] metaimage::Error),
    /// A NIfTI file could not be read.
    #[error(transparent)]
    Nifti(#[from] nifti::Error),
    /// An NRRD file could not be read.
    #[error(transparent)]
    Nrrd(#[from] nrrd::Error),
    /// The voxels do not fit in memory.
    #[error("{}: {} voxels do not fit in memory", quoted::path(.0), quoted::numbers(.1))]
    TooLarge(PathBuf, [usize; 3]),
}

impl Error {
    /// What is wrong, in the same words for every file, and the setting that would admit the file, if there is one.
    pub fn cause(&self) -> (&'static str, Option<&'static str>) {
        use nifti::InvalidOrientation::NoCode;
        match self {
            Self::Nifti(nifti::Error::Orientation { source: NoCode, .. })
            | Self::Nrrd(nrrd::Error::Unplaced(_)) => (
                "an image file that does not place its voxels",
                Some("ingest.tolerances.image_files.unplaced"),
            ),
            Self::Nifti(nifti::Error::Orientation { .. })
            | Self::Nrrd(nrrd::Error::Geometry { .. }) => {
                ("an image file whose axes or transforms are not valid", None)
            }
            Self::Name(_) => ("a file whose name is not that of an image", None),
            _ => ("an image file that cannot be read", None),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ImageFormat {
    MetaImage,
    Nifti,
    Nrrd,
}

/// Image files have names that end with one of these; a longer one comes before its own end.
const EXTENSIONS: [(&str, ImageFormat); 9] = [
    (".mhd", ImageFormat::MetaImage),
    (".mha", ImageFormat::MetaImage),
    (".nii", ImageFormat::Nifti),
    (".nii.gz", ImageFormat::Nifti),
    (".hdr", ImageFormat::Nifti),
    (".hdr.gz", ImageFormat::Nifti),
    (".seg.nrrd", ImageFormat::Nrrd),
    (".nrrd", ImageFormat::Nrrd),
    (".nhdr", ImageFormat::Nrrd),
];

/// The format, and the name without its extension. A series UID has dots of its own.
fn split(path: &Path) -> Option<(ImageFormat, String)> {
    let name = path.file_name()?.to_string_lossy();
    EXTENSIONS.iter().find_map(|(extension, format)| {
        let at = name.len().checked_sub(extension.len())?;
        let (stem, end) = name.split_at_checked(at)?;
        end.eq_ignore_ascii_case(extension).then(|| (*format, stem.to_owned()))
    })
}

/// Whether a file is an image file, by its name.
pub fn is_image(path: &Path) -> bool {
    split(path).is_some()
}

/// Whether a file holds the voxels of a header, by its name; the image file is the header.
pub fn is_voxel_data(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    [".raw", ".raw.gz", ".zraw", ".img", ".img.gz"].iter().any(|end| name.ends_with(end))
}

/// A file's name without the extension of its format; without its last extension where the format is unknown.
pub fn stem(path: &Path) -> String {
    let other = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    split(path).map_or_else(other, |(_, stem)| stem)
}

/// Reads an image file in Hounsfield units.
///
/// # Errors
///
/// Fails if the name is that of no format, or the file cannot be read in that format.
pub fn read(path: &Path, rules: &ImageRules) -> Result<Volume<i16>, Error> {
    Ok(read_with_repairs(path, rules)?.0)
}

/// Reads an image file as [`read`]; also returns what was put right.
///
/// # Errors
///
/// Fails as [`read`] does.
pub fn read_with_repairs(path: &Path, rules: &ImageRules) -> Result<(Volume<i16>, Repairs), Error> {
    let mut loaded = load(path, &SliceRanges::all(), &rules.into())?;
    let repairs = std::mem::take(&mut loaded.repairs);
    Ok((loaded.into_volume(|size| Error::TooLarge(path.to_owned(), size))?, repairs))
}

/// Reads some slices of an image file; those past its end are ignored. Each format documents what it then does not
/// check.
///
/// # Errors
///
/// Fails as [`read`] does, for the part that is read.
pub fn read_slices(
    path: &Path,
    wanted: &SliceRanges,
    rules: &ImageRules,
) -> Result<LoadedSlices<i16>, Error> {
    Ok(load(path, wanted, &rules.into())?.slices)
}

/// Reads the grid of a mask of labels by the rules, and none of its voxels.
pub(crate) fn label_grid(path: &Path, rules: &ReadRules) -> Result<LabelGrid, Error> {
    if let Some((ImageFormat::Nrrd, _)) = split(path) {
        return Ok(nrrd::label_grid(path, rules)?);
    }
    let loaded = load::<u16>(path, &SliceRanges::default(), rules)?;
    let geometry = *loaded.slices.geometry();
    Ok(LabelGrid { geometry, is_placed: loaded.is_placed, has_segments: false })
}

/// Reads a mask of labels by the rules, with 0 for the background.
pub(crate) fn read_labels(path: &Path, rules: &ReadRules) -> Result<LabelMask, Error> {
    if let Some((ImageFormat::Nrrd, _)) = split(path) {
        return Ok(nrrd::load_labels(path, rules)?);
    }
    let mut loaded = load(path, &SliceRanges::all(), rules)?;
    let (is_placed, repairs) = (loaded.is_placed, std::mem::take(&mut loaded.repairs));
    let labels = loaded.into_volume(|size| Error::TooLarge(path.to_owned(), size))?;
    Ok(LabelMask { layers: vec![labels], segments: Vec::new(), is_placed, repairs })
}

fn load<T: Voxel>(
    path: &Path,
    wanted: &SliceRanges,
    rules: &ReadRules,
) -> Result<LoadedImage<T>, Error> {
    match split(path) {
        Some((ImageFormat::MetaImage, _)) => Ok(metaimage::load(path, wanted, rules)?),
        Some((ImageFormat::Nifti, _)) => Ok(nifti::load(path, wanted, rules)?),
        Some((ImageFormat::Nrrd, _)) => Ok(nrrd::load(path, wanted, rules)?),
        None => Err(Error::Name(path.to_owned())),
    }
}

/// Estimates the bytes that an image or mask needs in memory, from its header; 0 where that cannot be read.
pub fn estimate_bytes(path: &Path) -> u64 {
    // Reading the voxels reports what is wrong.
    match split(path) {
        Some((ImageFormat::MetaImage, _)) => metaimage::estimate_bytes(path).unwrap_or(0),
        Some((ImageFormat::Nifti, _)) => nifti::estimate_bytes(path).unwrap_or(0),
        Some((ImageFormat::Nrrd, _)) => nrrd::estimate_bytes(path).unwrap_or(0),
        None => 0,
    }
}

/// The files of an image: the image file itself, then those that its header names and that exist.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let mut files = vec![path.to_owned()];
    match split(path) {
        Some((ImageFormat::MetaImage, _)) => files.extend(metaimage::data_files(path)),
        Some((ImageFormat::Nifti, _)) => {
            let images = nifti::image_names(path).into_iter().flatten();
            files.extend(images.into_iter().find(|image| fs::exists(image)));
        }
        Some((ImageFormat::Nrrd, _)) => files.extend(nrrd::data_file(path)),
        None => {}
    }
    files
}

/// The series UID of an image: its name where that is a UID, else a UID made from its size and voxels.
///
/// METHOD: `p1/ct.nii` and `p2/ct.nii` are two series, and a scan has the same UID in every format and folder. The
/// UID is that of a UUID (DICOM PS3.5, B.2) of version 8 (RFC 9562) with bits of a SHA-256.
pub fn series_uid(path: &Path, volume: &Volume<i16>) -> String {
    if let Some(named) = series_uid_in_name(path) {
        return named;
    }
    let mut hash = Sha256::new();
    for n in volume.geometry().size() {
        hash.update((n as u64).to_le_bytes());
    }
    let mut bytes: Vec<[u8; 2]> = Vec::new();
    for slice in volume.voxels().outer_iter() {
        bytes.clear();
        bytes.extend(slice.iter().map(|value| value.to_le_bytes()));
        hash.update(bytes.as_flattened());
    }
    uid::from_digest(&hash.finalize().into())
}

/// The series UID that is an image's name; `None` where the name is not a UID.
pub fn series_uid_in_name(path: &Path) -> Option<String> {
    Some(stem(path)).filter(|stem| uid::is_uid(stem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Geometry;
    use fs_err as fs;
    use ndarray::Array3;

    fn volume(first: i16) -> Volume<i16> {
        let geometry =
            Geometry::new([3, 2, 2], [0.7, 0.8, 2.5], [1.0, 2.0, 3.0], Geometry::AXIAL).unwrap();
        let mut voxels = Array3::from_shape_fn((2, 2, 3), |(k, j, i)| (6 * k + 3 * j + i) as i16);
        voxels[[0, 0, 0]] = first;
        Volume::new(geometry, voxels).unwrap()
    }

    #[test]
    fn a_name_gives_the_format_and_the_stem() {
        for (name, expected) in [
            ("1.3.6.mhd", "1.3.6"),
            ("ct.MHA", "ct"),
            ("a.b.nii", "a.b"),
            ("a.b.NII.gz", "a.b"),
            ("a.hdr.gz", "a"),
            ("a.b.nrrd", "a.b"),
            ("ct.seg.nrrd", "ct"),
            ("a.nhdr", "a"),
        ] {
            assert!(is_image(Path::new(name)), "{name}");
            assert_eq!(stem(Path::new(name)), expected);
        }
        for name in ["a.raw", "nii", "a.gz", "é", "a.img"] {
            assert!(!is_image(Path::new(name)), "{name}");
        }
        assert_eq!(
            read(Path::new("a.raw"), &ImageRules::default()).unwrap_err().to_string(),
            "`a.raw` is not named like an image file, expected .mhd, .mha, .nii, .nii.gz, .hdr, .hdr.gz, \
             .nrrd or .nhdr"
        );
    }

    #[test]
    fn one_scan_is_one_series_in_each_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        metaimage::write(&path("a.mhd"), &volume(9), true).unwrap();
        metaimage::write(&path("b.mha"), &volume(9), false).unwrap();
        nifti::write(&path("c.nii"), &volume(9)).unwrap();
        nifti::write(&path("d.nii.gz"), &volume(9)).unwrap();
        let read_series = |name: &str| {
            let volume = read(&path(name), &ImageRules::default()).unwrap();
            series_uid(&path(name), &volume)
        };
        let first = read_series("a.mhd");
        assert!(first.starts_with("2.25.") && uid::is_uid(&first), "{first}");
        for name in ["b.mha", "c.nii", "d.nii.gz"] {
            assert_eq!(read_series(name), first, "{name}");
            assert_eq!(files(&path(name)), [path(name)]);
        }
        assert_eq!(files(&path("a.mhd")), [path("a.mhd"), path("a.zraw")]);
        assert_ne!(series_uid(Path::new("a.mhd"), &volume(8)), first);
        assert_eq!(series_uid(Path::new("1.3.6.nii.gz"), &volume(9)), "1.3.6");
        fs::write(path("e.hdr"), "").unwrap();
        fs::write(path("e.img.gz"), "").unwrap();
        assert_eq!(files(&path("e.hdr")), [path("e.hdr"), path("e.img.gz")]);
    }
}

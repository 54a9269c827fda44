//! Slices that are read alone equal those of the whole scan, in every format.

use crate::volume::{Geometry, LoadedSlices, SliceRanges, Volume};
use crate::{dicom, image_file, metaimage, nifti};
use fs_err as fs;
use ndarray::Array3;
use proptest::prelude::*;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Slices of 200 × 150 voxels: five of them need more than a block of bytes.
const SIZE: [usize; 3] = [200, 150, 12];

fn volume() -> Volume<i16> {
    let geometry = Geometry::new(SIZE, [0.7, 0.8, 2.5], [-10.0, 20.0, 30.0], Geometry::AXIAL);
    let [ni, nj, nk] = SIZE;
    let value = |(k, j, i)| ((k * 7919 + j * 104_729 + i * 31) % 4096) as i16 - 1024;
    Volume::new(geometry.unwrap(), Array3::from_shape_fn((nk, nj, ni), value)).unwrap()
}

/// Writes a header for the volume as 32-bit big-endian reals in the file `data`.
fn reals(folder: &Path, name: &str, data: &str, compressed: bool) -> PathBuf {
    let path = folder.join(name);
    metaimage::write(&path, &volume(), false).unwrap();
    let header = fs::read_to_string(&path).unwrap();
    let header = header
        .replace("MET_SHORT", "MET_FLOAT")
        .replace("MSB = False", "MSB = True")
        .replace("CompressedData = False", &format!("CompressedData = {compressed}"));
    let (before, _) = header.split_once("ElementDataFile").unwrap();
    let before = before.replace("CompressedData = true", "CompressedData = True");
    fs::write(&path, format!("{before}ElementDataFile = {data}\n")).unwrap();
    path
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn be_bytes(volume: &Volume<i16>) -> Vec<u8> {
    volume.voxels().iter().flat_map(|value| f32::from(*value).to_be_bytes()).collect()
}

/// Writes the volume in every format; returns the image files.
fn files(folder: &Path) -> Vec<PathBuf> {
    let volume = volume();
    let path = |name: &str| folder.join(name);
    metaimage::write(&path("a.mhd"), &volume, false).unwrap();
    metaimage::write(&path("b.mhd"), &volume, true).unwrap();
    metaimage::write(&path("c.mha"), &volume, false).unwrap();
    metaimage::write(&path("d.mha"), &volume, true).unwrap();
    nifti::write(&path("e.nii"), &volume).unwrap();
    nifti::write(&path("f.nii.gz"), &volume).unwrap();
    let bytes = be_bytes(&volume);
    let one = reals(folder, "g.mhd", "g.zraw", true);
    fs::write(path("g.zraw"), zlib(&bytes)).unwrap();
    let each = reals(folder, "h.mhd", "h%02d.raw 0 11 1", false);
    for (k, slice) in bytes.chunks(bytes.len() / SIZE[2]).enumerate() {
        fs::write(path(&format!("h{k:02}.raw")), slice).unwrap();
    }
    let names = ["a.mhd", "b.mhd", "c.mha", "d.mha", "e.nii", "f.nii.gz"];
    names.map(path).into_iter().chain([one, each]).collect()
}

fn assert_same(found: &LoadedSlices<i16>, wanted: &SliceRanges, what: &str) {
    let whole = volume();
    assert_eq!(found.geometry().size(), SIZE, "{what}");
    for k in 0..SIZE[2] + 3 {
        let expected = wanted.position(k).and_then(|_| whole.slice(k));
        assert_eq!(found.slice(k), expected, "{what}, slice {k} of {wanted:?}");
    }
}

fn rules() -> image_file::ImageRules {
    image_file::ImageRules::default()
}

fn wanted(ranges: &[(usize, usize)]) -> SliceRanges {
    ranges.iter().map(|(start, end)| *start..*end).collect()
}

fn series(folder: &Path) -> Vec<PathBuf> {
    let uids: Vec<String> = (0..SIZE[2]).map(|k| format!("1.2.3.{k}")).collect();
    let new = dicom::NewSeries {
        series_instance_uid: "1.2.3",
        study_instance_uid: "1.2.4",
        frame_of_reference_uid: "1.2.5",
        sop_instance_uids: &uids,
        patient_id: "p",
        patient_name: "",
        patient_birth_date: None,
        study_date: None,
        slice_thickness_mm: 2.5,
        manufacturer: "m",
        model: "n",
        kernel: "k",
        kvp: 120.0,
        tube_current: 100,
        rescale_slope: 1.0,
        rescale_intercept: -1024.0,
        numbering: dicom::Numbering::AgainstK,
    };
    dicom::write_series(folder, &new, &volume()).unwrap()
}

#[test]
fn slices_are_those_of_the_whole_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let dicom_files = series(&folder.path().join("dicom"));
    for ranges in
        [&[(0, 99)][..], &[(3, 4)], &[(0, 1), (5, 8), (11, 14)], &[(10, 11)], &[(20, 30)], &[]]
    {
        let wanted = wanted(ranges);
        for path in files(folder.path()) {
            let found = image_file::read_slices(&path, &wanted, &rules()).unwrap();
            assert_same(&found, &wanted, path.to_str().unwrap());
        }
        let found = dicom::read_slices(&dicom_files, &dicom::Tolerances::default(), &wanted);
        assert_same(&found.unwrap(), &wanted, "DICOM");
    }
    for path in files(folder.path()) {
        assert_eq!(image_file::read(&path, &rules()).unwrap().voxels(), volume().voxels());
        assert_eq!(image_file::estimate_bytes(&path), 2 * 200 * 150 * 12, "{}", path.display());
    }
}

#[test]
fn errors_are_found_in_the_part_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let all = files(folder.path());
    let mut bytes = be_bytes(&volume());
    // Voxel (7, 9) of slice 6, well past the first block.
    let at = 4 * ((6 * 150 + 9) * 200 + 7);
    bytes[at..at + 4].copy_from_slice(&0.5f32.to_be_bytes());
    fs::write(folder.path().join("g.zraw"), zlib(&bytes)).unwrap();
    fs::write(folder.path().join("h06.raw"), &bytes[6 * 120_000..7 * 120_000]).unwrap();
    for path in &all[6..] {
        for ranges in [&[(0, 99)][..], &[(6, 7)], &[(0, 1), (4, 8)]] {
            let error =
                image_file::read_slices(path, &wanted(ranges), &rules()).unwrap_err().to_string();
            let expected = "raw`: voxel [7, 9, 6] (i, j, k) is 0.5, expected a 16-bit integer;";
            assert!(error.contains(expected), "{error}");
        }
        assert!(image_file::read_slices(path, &wanted(&[(0, 6), (7, 12)]), &rules()).is_ok());
    }
    // A stream that ends within slice 6.
    let packed = fs::read(folder.path().join("b.zraw")).unwrap();
    let half = packed.len() / 2;
    fs::write(folder.path().join("b.zraw"), &packed[..half]).unwrap();
    let header = fs::read_to_string(&all[1]).unwrap();
    let header = header.replace(&format!("Size = {}", packed.len()), &format!("Size = {half}"));
    fs::write(&all[1], header).unwrap();
    assert!(image_file::read_slices(&all[1], &wanted(&[(2, 4)]), &rules()).is_ok());
    let error =
        image_file::read_slices(&all[1], &wanted(&[(2, 4), (9, 10)]), &rules()).unwrap_err();
    assert!(error.to_string().ends_with("b.zraw` is not a valid zlib stream"), "{error}");
    // The length of an uncompressed file is checked for all slices, whichever are read.
    fs::write(folder.path().join("h11.raw"), "short").unwrap();
    let error =
        image_file::read_slices(&all[7], &wanted(&[(2, 4)]), &rules()).unwrap_err().to_string();
    assert!(error.ends_with("h11.raw` holds 5 bytes of voxels, expected 120000"), "{error}");
}

#[test]
fn only_the_wanted_pixels_of_a_series_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let files = series(folder.path());
    let read = |ranges: &[(usize, usize)]| {
        dicom::read_slices(&files, &dicom::Tolerances::default(), &wanted(ranges))
    };
    // The last file is slice 11: its slope makes its values too large.
    let bytes = fs::read(&files[11]).unwrap();
    let at = bytes.windows(4).position(|w| w == [0x28, 0, 0x53, 0x10]).unwrap();
    let mut other = bytes.clone();
    other[at + 8] = b'9';
    other[at + 9] = b'9';
    fs::write(&files[11], other).unwrap();
    let error = read(&[(10, 12)]).unwrap_err().to_string();
    let expected = format!("`{}`: the voxel at column", files[11].display());
    assert!(error.starts_with(&expected), "{error}");
    assert_same(&read(&[(0, 11)]).unwrap(), &wanted(&[(0, 11)]), "DICOM");
}

#[test]
fn a_claimed_size_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, data, size) in
        [("a.mhd", "a.zraw", "32000 32000 32000"), ("b.mhd", "b.zraw", "65535 65535 65535")]
    {
        metaimage::write(&path(name), &volume(), true).unwrap();
        let header = fs::read_to_string(path(name)).unwrap();
        fs::write(path(name), header.replace("= 200 150 12", &format!("= {size}"))).unwrap();
        let stored = fs::metadata(path(data)).unwrap().len();
        assert_eq!(image_file::estimate_bytes(&path(name)), stored * 1032, "{name}");
        let error = metaimage::read(&path(name)).unwrap_err().to_string();
        assert!(error.contains("zraw` holds 720000 bytes of voxels, expected"), "{error}");
    }
    nifti::write(&path("c.nii.gz"), &volume()).unwrap();
    assert_eq!(nifti::estimate_bytes(&path("c.nii.gz")).unwrap(), 720_000);
    assert_eq!(image_file::estimate_bytes(&path("none.nii")), 0);
    assert_eq!(image_file::estimate_bytes(&path("a.zraw")), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_ranges_give_their_slices(
        ranges in prop::collection::vec((0..16usize, 0..16usize), 0..5),
        compressed in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(&ranges);
        let path = folder.path().join("a.mhd");
        metaimage::write(&path, &volume(), compressed).unwrap();
        assert_same(&metaimage::read_slices(&path, &wanted).unwrap(), &wanted, "a.mhd");
    }
}

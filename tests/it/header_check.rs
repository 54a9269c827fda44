//! `--dry-run --check`: what headers alone tell is what the run refuses.

use crate::fixture;
use ndarray::Array3;
use nodulus::tables::{Failure, Mark};
use nodulus_formats::volume::{Geometry, Volume};
use nodulus_formats::{metaimage, nifti};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const SIZE: [usize; 3] = [12, 10, 8];
const SPACING: [f64; 3] = [0.7, 0.8, 2.5];

fn grid(size: [usize; 3], spacing: [f64; 3], origin: [f64; 3], turn: f64) -> Geometry {
    let (s, c) = turn.sin_cos();
    Geometry::new(size, spacing, origin, [c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0]).unwrap()
}

fn volume(geometry: Geometry, value: impl Fn([usize; 3]) -> i16) -> Volume<i16> {
    let [ni, nj, nk] = geometry.size();
    let voxels = Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| value([i, j, k]));
    Volume::new(geometry, voxels).unwrap()
}

/// A patient with an image and a mask on this grid, as NIfTI and as MetaImage in turn.
fn patient(root: &Path, name: &str, mask: Geometry, is_nifti: bool) {
    let folder = root.join(name);
    fs_err::create_dir_all(&folder).unwrap();
    let image = volume(grid(SIZE, SPACING, [0.0; 3], 0.0), |[i, j, k]| (i + j + k) as i16);
    metaimage::write(&folder.join("ct.mha"), &image, false).unwrap();
    let labels = volume(mask, |[i, j, k]| i16::from(i == 3 && j == 3 && k == 3));
    if is_nifti {
        nifti::write(&folder.join("mask.nii.gz"), &labels).unwrap();
    } else {
        metaimage::write(&folder.join("mask.mha"), &labels, true).unwrap();
    }
}

/// The pipeline's stage, with these settings of the cohort's masks.
fn ingest(folder: &Path, masks: &str, more: &[&str]) -> (Option<i32>, String) {
    let store = folder.join("store");
    let text = format!(
        "store = {:?}\n[[ingest.cohorts]]\nname = \"clinic\"\nsource = \"volumes\"\nroot = {:?}\n\
         image = \"{{patient}}/ct.mha\"\nmask = \"{{patient}}/mask.*\"\nmasks = {{ {masks} }}\n",
        store.to_str().unwrap(),
        folder.join("root").to_str().unwrap()
    );
    let file = folder.join("pipeline.toml");
    fs_err::write(&file, text).unwrap();
    let arguments = ["ingest", file.to_str().unwrap(), "--progress", "none"];
    let output = fixture::run(&[&arguments[..], more].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text)
}

fn refused(folder: &Path, masks: &str) -> BTreeMap<String, (u64, String, String)> {
    let (status, text) = ingest(folder, masks, &["--dry-run", "--check", "--json"]);
    assert_eq!(status, Some(0), "{text}");
    let found: Value = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let groups = found["headers"]["refused"].as_array().unwrap().iter();
    let group = |group: &Value| {
        let told = (group["n"].as_u64().unwrap(), text(&group["setting"]), text(&group["example"]));
        (text(&group["cause"]), told)
    };
    groups.map(group).collect()
}

#[test]
fn masks_off_their_scan_are_refused_by_their_headers_as_by_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let at = |origin| grid(SIZE, SPACING, origin, 0.0);
    for is_nifti in [true, false] {
        let patient = |name: &str, mask| {
            patient(&root, &format!("{name}-{}", i32::from(is_nifti)), mask, is_nifti);
        };
        patient("right", at([0.0; 3]));
        patient("rounded", at([0.0004, 0.0, 0.0]));
        patient("size", grid([12, 10, 7], SPACING, [0.0; 3], 0.0));
        patient("spacing", grid(SIZE, [0.7, 0.75, 2.5], [0.0; 3], 0.0));
        patient("offset", at([0.21, 0.0, 0.0]));
        patient("origin", at([0.0, 0.0, 5.0]));
        patient("axes", grid(SIZE, SPACING, [0.0; 3], 0.2));
        patient("outside", at([500.0, 0.0, 0.0]));
    }
    let found = refused(folder.path(), "");
    let resample = "masks.resample";
    let expected = [
        ("a mask beside the voxels of its scan", "masks.off_grid"),
        ("a mask of another size than its scan", resample),
        ("a mask of another spacing than its scan", resample),
        ("a mask outside its scan", "-"),
        ("a mask with another origin than its scan", resample),
        ("a mask with other axes than its scan", resample),
    ];
    let told: Vec<_> =
        found.iter().map(|(cause, told)| (cause.as_str(), told.1.as_str())).collect();
    assert_eq!(told, expected);
    assert!(found.values().all(|(n, ..)| *n == 2), "{found:?}");
    // The run refuses the same masks in the same words.
    let (status, text) = ingest(folder.path(), "", &[]);
    assert_eq!(status, Some(3), "{text}");
    let store = folder.path().join("store");
    let failures = fixture::rows::<Failure>(&store);
    assert_eq!(failures.len(), 12);
    for (.., example) in found.values() {
        let (path, message) = example.split_once("`: ").unwrap();
        let own = failures.iter().find(|failure| path.ends_with(failure.path.as_deref().unwrap()));
        assert!(own.unwrap().cause.contains(message), "{example} beside {own:?}");
    }
    assert_eq!(fixture::rows::<Mark>(&store).len(), 4);
    // The settings that are named admit them; what lies outside stays refused.
    let found = refused(folder.path(), "resample = true");
    let causes: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(causes, ["a mask outside its scan"]);
    let (status, _) = ingest(folder.path(), "resample = true, most_lost = 1.0", &[]);
    assert_eq!(status, Some(3));
    assert_eq!(fixture::rows::<Failure>(&store).len(), 2);
    let found = refused(folder.path(), "off_grid = 0.4");
    assert!(!found.contains_key("a mask beside the voxels of its scan"), "{found:?}");
}

#[test]
fn what_fails_the_run_is_refused_by_headers_too() {
    let folder = tempfile::tempdir().unwrap();
    let lidc = folder.path().join("lidc");
    let slices = crate::series::two_patients(&lidc);
    let own = slices[0].parent().unwrap();
    fs_err::write(own.join("broken.xml"), "<LidcReadMessage>").unwrap();
    // The other patient's reads lie alone, and in a folder without any slice.
    let files = nodulus_formats::cohort::files_below(&lidc).unwrap();
    let is_other = |file: &&std::path::PathBuf| {
        file.extension().is_some_and(|end| end == "xml") && !file.starts_with(own)
    };
    let reads = fs_err::read(files.iter().find(is_other).unwrap()).unwrap();
    let unknown = String::from_utf8(reads).unwrap().replace("2.25.", "2.25.9");
    for name in ["alone/reads.xml", "pages/reads.xml", "pages/1.dcm"] {
        fs_err::create_dir_all(lidc.join(name).parent().unwrap()).unwrap();
        let content = if name.ends_with("xml") { unknown.as_str() } else { "<html></html>" };
        fs_err::write(lidc.join(name), content).unwrap();
    }
    let run = |more: &[&str]| {
        let store = folder.path().join("store");
        let root = format!("ingest.cohorts.0.root={}", lidc.display());
        let arguments = ["ingest", "pipelines/lidc.toml", "--progress", "none", "--store"];
        let arguments = [&arguments[..], &[store.to_str().unwrap(), "--set", &root], more].concat();
        let output = fixture::run(&arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text)
    };
    let (status, text) = run(&["--dry-run", "--check", "--json"]);
    assert_eq!(status, Some(0), "{text}");
    let found: Value = serde_json::from_str(&text).unwrap();
    let groups = found["headers"]["refused"].as_array().unwrap();
    let causes: BTreeMap<&str, u64> =
        groups.iter().map(|g| (g["cause"].as_str().unwrap(), g["n"].as_u64().unwrap())).collect();
    let expected = BTreeMap::from([
        ("readers' XML that cannot be read", 1),
        ("readers' XML of a scan that is not there", 2),
    ]);
    assert_eq!(causes, expected);
    // Scans that the rules exclude are none that can be used.
    let thick = ["--set", "ingest.inclusion.max_slice_thickness_mm=0.1"];
    let (_, text) = run(&[&thick[..], &["--dry-run", "--check"]].concat());
    assert!(text.contains("headers: 0 scans can be read"), "{text}");
    assert!(text.contains("a rule of inclusion") && text.contains("is over 0.1 mm"), "{text}");
    assert_eq!(run(&[]).0, Some(3));
    let failures = fixture::rows::<Failure>(&folder.path().join("store"));
    assert_eq!(failures.len() as u64, expected.values().sum::<u64>(), "{failures:?}");
    // A cohort that names its images misses them.
    let root = folder.path().join("root");
    patient(&root, "a", grid(SIZE, SPACING, [0.0; 3], 0.0), false);
    fs_err::rename(root.join("a/ct.mha"), folder.path().join("ct.mha")).unwrap();
    fs_err::create_dir(root.join("a/ct.mha")).unwrap();
    fs_err::write(root.join("a/ct.mha/1.dcm"), "<html></html>").unwrap();
    let refused = refused(folder.path(), "");
    let (n, _, example) = &refused["a folder without a CT series"];
    assert!(*n == 1 && example.contains("its only file is not DICOM"), "{refused:?}");
    assert_eq!(ingest(folder.path(), "", &[]).0, Some(3));
}

#[test]
fn series_that_are_no_scans_are_left_out_although_they_cannot_be_read() {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_dictionary_std::tags;
    let folder = tempfile::tempdir().unwrap();
    let lidc = folder.path().join("lidc");
    let slices = crate::series::two_patients(&lidc);
    let own = slices[0].parent().unwrap();
    let files = nodulus_formats::cohort::files_below(own).unwrap();
    for xml in files.iter().filter(|file| file.extension().is_some_and(|end| end == "xml")) {
        fs_err::remove_file(xml).unwrap();
    }
    let change = |image_type: &str, is_still: bool| {
        for slice in &slices {
            let mut object = dicom_object::open_file(slice).unwrap();
            object.remove_element(tags::RESCALE_SLOPE);
            let value = PrimitiveValue::from(image_type);
            object.put_element(DataElement::new(tags::IMAGE_TYPE, VR::CS, value));
            if is_still {
                let value = PrimitiveValue::from("0\\0\\0");
                object.put_element(DataElement::new(tags::IMAGE_POSITION_PATIENT, VR::DS, value));
            }
            object.write_to_file(slice).unwrap();
        }
    };
    let store = folder.path().join("store");
    let run = |more: &[&str]| {
        let root = format!("ingest.cohorts.0.root={}", lidc.display());
        let arguments = ["ingest", "pipelines/lidc.toml", "--progress", "none", "--store"];
        let arguments = [&arguments[..], &[store.to_str().unwrap(), "--set", &root], more].concat();
        let output = fixture::run(&arguments);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let original = "ORIGINAL\\PRIMARY\\AXIAL";
    for (image_type, is_still, reason) in [
        ("DERIVED\\SECONDARY\\AXIAL\\MIP", false, "a reformat by ImageType (MIP)"),
        ("DERIVED\\SECONDARY\\AXIAL\\IODINE", false, "holds amounts of iodine"),
        (original, true, "slices lie at one position"),
    ] {
        change(image_type, is_still);
        let (status, text) = run(&[]);
        assert_eq!(status, Some(0), "{image_type}: {text}");
        let rows = fixture::rows::<nodulus::tables::Exclusion>(&store);
        let row = rows.iter().find(|row| row.rule == "not_a_scan");
        let row = row.unwrap_or_else(|| panic!("{image_type}: {rows:?}"));
        assert!(row.reason.contains(reason) && row.series_instance_uid.is_some(), "{row:?}");
        let (_, text) = run(&["--dry-run", "--check"]);
        assert!(text.contains("a series that is no scan") && text.contains(reason), "{text}");
    }
    // A scan with the same fault is a failure.
    let folder = tempfile::tempdir().unwrap();
    let scan = crate::series::two_patients(&folder.path().join("lidc"));
    for (slice, whole) in slices.iter().zip(&scan) {
        fs_err::copy(whole, slice).unwrap();
    }
    change(original, false);
    assert_eq!(run(&[]).0, Some(3));
}

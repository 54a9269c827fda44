//! One odd entry in a folder never stops a run, and costs no series that it does not belong to.

use crate::fixture;
use crate::nightly_job::Job;
use crate::series::two_patients;
use nodulus::tables::{Failure, PassedOverFile, Scan};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Puts what a disk of a hospital may hold into a folder; `slice` is a file of a series in it.
fn add_odd_entries(folder: &Path, slice: &Path) {
    let at = |name: &str| folder.join(name);
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    symlink(at("none"), at("broken")).unwrap();
    symlink(folder, at("circle")).unwrap();
    fs_err::write(at("empty.dcm"), "").unwrap();
    fs_err::write(at("page.dcm"), "<html><body>Not found</body></html>").unwrap();
    fs_err::write(at("VERSION"), vec![7; 300]).unwrap();
    // Bytes that are not Unicode.
    let named = folder.join(OsStr::from_bytes(b"sl\xff\xe4.dcm"));
    fs_err::rename(slice, named).unwrap();
}

fn ingest(folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let store = folder.join("store");
    let root = format!("ingest.cohorts.0.root={}", folder.join("lidc").display());
    let arguments = ["ingest", "pipelines/lidc.toml", "--progress", "none", "--store"];
    let arguments = [&arguments[..], &[store.to_str().unwrap(), "--set", &root], more].concat();
    let output = fixture::run(&arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn odd_entries_are_passed_over_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let slices = two_patients(&folder.path().join("lidc"));
    let series = slices[0].parent().unwrap();
    add_odd_entries(series, &slices[1]);
    let (status, text) = ingest(folder.path(), &[]);
    assert_eq!(status, Some(0), "{text}");
    let store = folder.path().join("store");
    let scans = fixture::rows::<Scan>(&store);
    assert!(scans.len() == 2 && scans.iter().all(|scan| scan.included), "{scans:?}");
    let own = nodulus_formats::cohort::relative(&folder.path().join("lidc"), series);
    let own = scans.iter().find(|scan| scan.path.as_deref() == Some(own.as_str())).unwrap();
    assert_eq!(own.n_slices as usize, slices.len());
    assert_eq!(own.irregularities, ["unreadable_files: 1"]);
    assert_eq!(fixture::rows::<Failure>(&store), []);
    let rows = fixture::rows::<PassedOverFile>(&store);
    let found: BTreeSet<_> =
        rows.iter().map(|row| (row.path.rsplit('/').next().unwrap(), row.rule.as_str())).collect();
    let expected = BTreeSet::from([
        ("pipe", "no_file"),
        ("broken", "no_file"),
        ("circle", "no_file"),
        ("empty.dcm", "empty"),
        ("page.dcm", "not_dicom"),
        ("VERSION", "not_dicom"),
    ]);
    assert_eq!(found, expected);
    // A slice that is cut off before its series is a failure; both series are still read.
    let bytes = fs_err::read(&slices[2]).unwrap();
    fs_err::write(series.join("cut.dcm"), &bytes[..300]).unwrap();
    let (status, text) = ingest(folder.path(), &[]);
    assert_eq!(status, Some(3), "{text}");
    let [failure] = &fixture::rows::<Failure>(&store)[..] else { panic!() };
    assert!(failure.path.as_deref().is_some_and(|path| path.ends_with("/cut.dcm")), "{failure:?}");
    assert!(failure.cause.contains("cut off at byte 300"), "{failure:?}");
    let scans = fixture::rows::<Scan>(&store);
    assert!(scans.len() == 2 && scans.iter().all(|scan| scan.included), "{scans:?}");
    // Headers alone tell as much, and change nothing.
    let before = fixture::outputs(&store);
    let (status, text) = ingest(folder.path(), &["--dry-run", "--check"]);
    assert_eq!(status, Some(0), "{text}");
    let expected =
        "headers: 2 scans can be read, 1 scans, masks or files are refused, 6 files are left aside";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("a file that is cut off") && text.contains("cut.dcm`"), "{text}");
    assert_eq!(fixture::outputs(&store), before);
}

#[test]
fn odd_entries_do_not_stop_a_nightly_job() {
    let job = Job::new();
    let series = job.series();
    let slices = nodulus_formats::cohort::files_below(&series[0]).unwrap();
    let slice = slices.iter().find(|file| file.extension().is_some_and(|end| end == "dcm"));
    add_odd_entries(&series[0], slice.unwrap());
    // An empty file may be a slice that is still to be written: its series waits for it.
    fs_err::remove_file(series[0].join("empty.dcm")).unwrap();
    assert_eq!(job.counts(&[])[..2], [3, 3]);
}

/// Contents of a slice's file that no longer tell its series.
fn unreadable(slice: &[u8]) -> [(&'static str, Vec<u8>); 5] {
    [
        ("an empty file", Vec::new()),
        ("a file of zeros alone", vec![0; slice.len()]),
        ("a file of zeros alone", slice[..100].to_vec()),
        ("no DICOM file", slice[..131].to_vec()),
        ("cut off at byte 200", slice[..200].to_vec()),
    ]
}

#[test]
fn a_first_or_last_slice_that_cannot_be_read_fails_its_series() {
    let folder = tempfile::tempdir().unwrap();
    let slices = two_patients(&folder.path().join("lidc"));
    for end in [&slices[0], &slices[slices.len() - 1]] {
        let whole = fs_err::read(end).unwrap();
        for (found, content) in unreadable(&whole) {
            fs_err::write(end, content).unwrap();
            let (status, text) = ingest(folder.path(), &[]);
            assert_eq!(status, Some(3), "{found}: {text}");
            let store = folder.path().join("store");
            let scans = fixture::rows::<Scan>(&store);
            assert!(scans.len() == 1 && scans[0].irregularities.is_empty(), "{found}: {scans:?}");
            let failures = fixture::rows::<Failure>(&store);
            let cause = failures.iter().find(|row| row.cause.contains("may lack a slice"));
            let cause = &cause.unwrap_or_else(|| panic!("{failures:?}")).cause;
            assert!(cause.contains(found) && cause.contains("copy it again"), "{cause}");
            let (status, text) = ingest(folder.path(), &["--dry-run", "--check"]);
            assert_eq!(status, Some(0), "{text}");
            assert!(text.contains("a slice that may be missing"), "{text}");
            assert!(text.contains("headers: 1 scans can be read"), "{text}");
        }
        fs_err::write(end, whole).unwrap();
    }
    let (status, text) = ingest(folder.path(), &[]);
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(fixture::rows::<Scan>(&folder.path().join("store")).len(), 2);
}

/// What cannot be opened, and what puts it in the place of a slice.
type InPlace = (&'static str, fn(&Path));

const IN_PLACE: [InPlace; 3] = [
    ("a link that leads nowhere", |at| symlink("none", at).unwrap()),
    ("a link that leads nowhere", |at| symlink(at.file_name().unwrap(), at).unwrap()),
    ("a pipe, socket or device", |at| {
        assert!(Command::new("mkfifo").arg(at).status().unwrap().success());
    }),
];

#[test]
fn a_first_or_last_slice_that_leads_nowhere_fails_its_series() {
    let folder = tempfile::tempdir().unwrap();
    let slices = two_patients(&folder.path().join("lidc"));
    for end in [&slices[0], &slices[slices.len() - 1]] {
        let whole = fs_err::read(end).unwrap();
        for (found, put) in IN_PLACE {
            fs_err::remove_file(end).unwrap();
            put(end);
            let (status, text) = ingest(folder.path(), &[]);
            assert_eq!(status, Some(3), "{found}: {text}");
            let store = folder.path().join("store");
            assert_eq!(fixture::rows::<Scan>(&store).len(), 1, "{found}");
            let failures = fixture::rows::<Failure>(&store);
            let cause = failures.iter().find(|row| row.cause.contains("may lack a slice"));
            assert!(cause.is_some_and(|row| row.cause.contains(found)), "{found}: {failures:?}");
            let (_, text) = ingest(folder.path(), &["--dry-run", "--check"]);
            assert!(text.contains("a slice that may be missing"), "{text}");
        }
        fs_err::remove_file(end).unwrap();
        fs_err::write(end, whole).unwrap();
    }
}

#[test]
fn a_night_scores_no_series_whose_slice_leads_nowhere() {
    for (found, put) in IN_PLACE {
        let job = Job::new();
        let slices = nodulus_formats::cohort::files_below(&job.series()[0]).unwrap();
        let is_slice =
            |file: &&std::path::PathBuf| file.extension().is_some_and(|end| end == "dcm");
        let last = slices.iter().rfind(is_slice).unwrap();
        fs_err::remove_file(last).unwrap();
        put(last);
        let (summary, log) = job.run(3, &[]);
        assert_eq!(summary["failed"], 1, "{found}: {log}");
        assert!(log.contains("may lack a slice"), "{found}: {log}");
    }
}

#[test]
fn a_series_with_fewer_files_than_it_announces_is_told() {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_dictionary_std::tags;
    let folder = tempfile::tempdir().unwrap();
    let slices = two_patients(&folder.path().join("lidc"));
    let plain: Vec<_> = slices.iter().map(|slice| fs_err::read(slice).unwrap()).collect();
    let store = folder.path().join("store");
    for (tag, n_more, is_failure) in [
        (tags::NUMBER_OF_SERIES_RELATED_INSTANCES, 1, true),
        (tags::NUMBER_OF_SERIES_RELATED_INSTANCES, 0, false),
        (tags::IMAGES_IN_ACQUISITION, 2, false),
    ] {
        for (slice, plain) in slices.iter().zip(&plain) {
            fs_err::write(slice, plain).unwrap();
            let mut object = dicom_object::open_file(slice).unwrap();
            let text = (slices.len() + n_more).to_string();
            object.put_element(DataElement::new(tag, VR::IS, PrimitiveValue::from(text)));
            object.write_to_file(slice).unwrap();
        }
        let (status, text) = ingest(folder.path(), &[]);
        assert_eq!(status, Some(if is_failure { 3 } else { 0 }), "{text}");
        let scans = fixture::rows::<Scan>(&store);
        let told: Vec<&String> = scans.iter().flat_map(|scan| &scan.irregularities).collect();
        if is_failure {
            let failures = fixture::rows::<Failure>(&store);
            let is_told = |row: &Failure| row.cause.contains("NumberOfSeriesRelatedInstances");
            assert!(failures.iter().any(is_told), "{failures:?}");
        } else if n_more > 0 {
            assert_eq!(told, ["announced_images: 2"]);
        } else {
            assert!(scans.len() == 2 && told.is_empty(), "{told:?}");
        }
    }
}

#[test]
fn a_night_scores_no_series_that_may_lack_a_slice() {
    let job = Job::new();
    let series = job.series();
    let slices = nodulus_formats::cohort::files_below(&series[0]).unwrap();
    let last = slices.iter().rfind(|file| file.extension().is_some_and(|end| end == "dcm"));
    let last = last.unwrap();
    let whole = fs_err::read(last).unwrap();
    for (found, content) in unreadable(&whole) {
        fs_err::write(last, content).unwrap();
        let (summary, log) = job.run(3, &["--retry-failed"]);
        assert_eq!(summary["failed"], 1, "{found}: {log}");
        assert!(log.contains("may lack a slice: file-") && log.contains(found), "{found}: {log}");
        assert!(!log.contains(last.file_name().unwrap().to_str().unwrap()), "{log}");
    }
    fs_err::write(last, whole).unwrap();
    let (summary, log) = job.run(0, &[]);
    assert_eq!((&summary["scored"], &summary["failed"]), (&1.into(), &0.into()), "{log}");
}

#[test]
fn a_folder_without_any_slice_fails_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lidc = folder.path().join("lidc");
    two_patients(&lidc);
    for (name, content) in [
        ("pages/1.dcm", &b"<html></html>"[..]),
        ("readme/README", b"Look into the other folder."),
        ("empty/1.dcm", b""),
    ] {
        fs_err::create_dir_all(lidc.join(name).parent().unwrap()).unwrap();
        fs_err::write(lidc.join(name), content).unwrap();
    }
    let (status, text) = ingest(folder.path(), &[]);
    assert_eq!(status, Some(0), "{text}");
    let store = folder.path().join("store");
    assert_eq!(fixture::rows::<Failure>(&store), []);
    let rows = fixture::rows::<PassedOverFile>(&store);
    let found: BTreeSet<_> = rows.iter().map(|row| (&*row.path, &*row.rule)).collect();
    let expected =
        [("empty/1.dcm", "empty"), ("pages/1.dcm", "not_dicom"), ("readme/README", "not_dicom")];
    assert_eq!(found, BTreeSet::from(expected));
    let job = Job::new();
    for name in ["pages", "readme", "empty"] {
        crate::nightly_job::copy(&lidc.join(name), &job.input().join(name));
    }
    assert_eq!(job.counts(&[])[..2], [3, 3]);
}

#[test]
fn a_folder_or_archive_whose_name_is_not_unicode_is_cropped_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let lidc = folder.path().join("lidc");
    let slices = two_patients(&lidc);
    let pipeline = folder.path().join("p.toml");
    let run = |store: &str| {
        let store = folder.path().join(store);
        let [store_, root] = [&store, &lidc].map(|path| path.to_str().unwrap());
        let text = format!(
            "store = {store_:?}\n[[ingest.cohorts]]\nname = \"c\"\nsource = \"lidc\"\nroot = {root:?}\n\
             [merge]\nrule = \"linkage\"\n[crop]\nmargin_slices = 1\n\
             window = {{ low_hu = -1000, high_hu = 400 }}\n"
        );
        fs_err::write(&pipeline, text).unwrap();
        let arguments = ["run", pipeline.to_str().unwrap(), "--to", "crop", "--progress", "none"];
        fixture::run_well(&arguments);
        assert_eq!(fixture::rows::<Failure>(&store), []);
        let rows = fixture::rows::<nodulus::tables::Roi>(&store);
        let pixels = |row: nodulus::tables::Roi| {
            (row.series_instance_uid, row.slice_index, row.mask_bits, row.hu)
        };
        rows.into_iter().map(pixels).collect::<BTreeSet<_>>()
    };
    let expected = run("before");
    assert!(expected.len() > 1);
    // One patient's folder, and an archive of the other one's.
    let odd = |name: &[u8]| lidc.join(OsStr::from_bytes(name));
    let first = lidc.join(slices[0].strip_prefix(&lidc).unwrap().iter().next().unwrap());
    fs_err::rename(&first, odd(b"P\xe4t")).unwrap();
    let mut patients = fs_err::read_dir(&lidc).unwrap().map(|entry| entry.unwrap().path());
    let second = patients.find(|path| *path != odd(b"P\xe4t")).unwrap();
    crate::series::pack(&second, &folder.path().join("packed.tar"));
    fs_err::remove_dir_all(&second).unwrap();
    fs_err::rename(folder.path().join("packed.tar"), odd(b"Arch\xfc.tar")).unwrap();
    assert_eq!(run("after"), expected);
    // Two names that look alike in a table are refused.
    fs_err::create_dir(odd(b"Q\xe4")).unwrap();
    fs_err::create_dir(odd(b"Q\xf6")).unwrap();
    for name in [&b"Q\xe4"[..], b"Q\xf6"] {
        fs_err::write(odd(name).join("page.dcm"), "<html></html>").unwrap();
    }
    let output = fixture::run(&["ingest", pipeline.to_str().unwrap(), "--progress", "none"]);
    assert_eq!(output.status.code(), Some(3));
    let failures = fixture::rows::<Failure>(&folder.path().join("after"));
    assert!(failures.iter().any(|row| row.cause.contains("is not UTF-8")), "{failures:?}");
}

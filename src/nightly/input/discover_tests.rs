use super::*;
use fs_err as fs;
use ndarray::Array3;
use nodulus_formats::dicom::{NewSeries, Numbering, write_series};
use nodulus_formats::volume::{Geometry, Volume};
use nodulus_formats::{metaimage, nifti};

fn volume(first: i16) -> Volume<i16> {
    let geometry = Geometry::new([4, 3, 3], [1.0; 3], [0.0; 3], Geometry::AXIAL).unwrap();
    let value = |(k, j, i): (usize, usize, usize)| (12 * k + 4 * j + i) as i16 + first;
    Volume::new(geometry, Array3::from_shape_fn((3, 3, 4), value)).unwrap()
}

fn write(folder: &Path, series: &str) -> Vec<PathBuf> {
    let uids: Vec<String> = (1..4).map(|n| format!("{series}.{n}")).collect();
    let new = NewSeries {
        series_instance_uid: series,
        study_instance_uid: "2.25.1",
        frame_of_reference_uid: "2.25.2",
        sop_instance_uids: &uids,
        patient_id: "DOE^JOHN",
        patient_name: "",
        patient_birth_date: None,
        study_date: None,
        slice_thickness_mm: 1.0,
        manufacturer: "Maker",
        model: "M",
        kernel: "SOFT",
        kvp: 120.0,
        tube_current: 100,
        rescale_slope: 1.0,
        rescale_intercept: -1024.0,
        numbering: Numbering::AlongK,
    };
    write_series(folder, &new, &volume(0)).unwrap()
}

fn private(path: &Path) -> PrivateFolder<'_> {
    PrivateFolder { path, key: None }
}

fn discovered(input: &Path, cache: &mut ContentsCache) -> Vec<DiscoveredSeries> {
    discover(private(input), cache, &str::to_owned).unwrap().0
}

#[test]
fn series_are_discovered_in_every_layout() {
    let root = tempfile::tempdir().unwrap();
    let input = root.path();
    write(&input.join("DOE^JOHN/a"), "1.2");
    // One series over two folders, and two in one.
    let files = write(&input.join("b"), "1.3");
    fs::create_dir_all(input.join("c")).unwrap();
    fs::rename(&files[2], input.join("c/3.dcm")).unwrap();
    write(&input.join("c"), "1.4");
    metaimage::write(&input.join("1.5.mhd"), &volume(1), false).unwrap();
    nifti::write(&input.join("ct.nii.gz"), &volume(2)).unwrap();
    write(&input.join(".hidden"), "1.6");
    for other in ["notes.txt", "b/reads.xml"] {
        fs::write(input.join(other), "x").unwrap();
    }
    let mut cache = ContentsCache::default();
    let series = discovered(input, &mut cache);
    let summary: Vec<_> = series.iter().map(|f| (f.id.as_str(), f.n_files)).collect();
    assert_eq!(summary[..4], [("1.2", 3), ("1.3", 3), ("1.4", 3), ("1.5", 1)]);
    assert!(summary[4].0.starts_with("2.25.") && summary.len() == 5, "{summary:?}");
    assert!(series.iter().all(|f| f.problem.is_none() && f.warnings.is_empty()));
    let files = |n: usize| -> Vec<PathBuf> {
        let SeriesSource::Folders(folders) = &series[n].source else { panic!("{:?}", series[n]) };
        folders.iter().flat_map(|folder| folder.files().unwrap()).collect()
    };
    assert_eq!((files(0).len(), files(1).len(), files(2).len()), (3, 3, 3));
    for series in &series {
        assert_eq!(series.source.stamp(input).unwrap(), series.stamp, "{}", series.id);
    }
    // The cache gives the same series, and holds no name of a folder.
    let text = serde_json::to_string(&cache).unwrap();
    assert!(!text.contains("DOE") && !text.contains("hidden"), "{text}");
    let mut again: ContentsCache = serde_json::from_str(&text).unwrap();
    assert_eq!(discovered(input, &mut again), series);
    assert_eq!(again, cache);
}

#[test]
fn an_unchanged_source_is_not_read_again() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("a"), "1.2");
    let mut cache = ContentsCache::default();
    let series = discovered(root.path(), &mut cache);
    // As if the folder had held another series.
    let mut other = cache.clone();
    for contents in other.sources.values_mut() {
        contents.series[0].series_instance_uid = "1.9".to_owned();
    }
    assert_eq!(discovered(root.path(), &mut other.clone())[0].id, "1.9");
    // What another version read may be wrong.
    let mut old = ContentsCache { version: 0, ..other.clone() };
    assert_eq!(discovered(root.path(), &mut old), series);
    fs::write(root.path().join("a/new.dcm"), fs::read(root.path().join("a/000001.dcm")).unwrap())
        .unwrap();
    let changed = discovered(root.path(), &mut other);
    assert_eq!((changed[0].id.as_str(), changed[0].n_files), ("1.2", 4));
    assert_ne!(changed[0].stamp.text, series[0].stamp.text);
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_of_its_series_or_of_its_folder() {
    let root = tempfile::tempdir().unwrap();
    let input = root.path();
    let path = |name: &str| input.join(name);
    // The only series of its folder, and one of two.
    write(&path("a"), "1.2");
    write(&path("b/x"), "1.3");
    write(&path("b/x"), "1.4");
    fs::rename(path("b/x/000001.dcm"), path("b/x/y.dcm")).unwrap();
    write(&path("b/x"), "1.3");
    for folder in ["a", "b/x", "c"] {
        fs::create_dir_all(path(folder)).unwrap();
        fs::write(path(folder).join("DOE^JOHN.dcm"), [&[0; 128][..], b"DICM"].concat()).unwrap();
        // What is not DICOM is no slice.
        fs::write(path(folder).join("page.dcm"), "<html></html>").unwrap();
    }
    fs::write(path("d.zip"), "x").unwrap();
    fs::write(path("1.5.mha"), "x").unwrap();
    metaimage::write(&path("1.6.mhd"), &volume(1), false).unwrap();
    fs::create_dir_all(path("copy")).unwrap();
    metaimage::write(&path("copy/1.6.mha"), &volume(1), false).unwrap();
    // Named as the slices of the second series.
    write(&path("e"), "1.7");
    fs::rename(path("e/000001.dcm"), path("e/A1.dcm")).unwrap();
    fs::rename(path("e/000002.dcm"), path("e/A2.dcm")).unwrap();
    fs::remove_file(path("e/000003.dcm")).unwrap();
    write(&path("e"), "1.8");
    fs::write(path("e/000004.dcm"), [0; 100]).unwrap();
    // An empty file is no series.
    fs::create_dir_all(path("f")).unwrap();
    fs::write(path("f/1.dcm"), "").unwrap();
    let series = discovered(input, &mut ContentsCache::default());
    let of = |id: &str| series.iter().find(|series| series.id == id).unwrap();
    let problem = of("1.8").problem.clone().unwrap();
    // A text that is not clearly a UID is not shown.
    assert!(problem.starts_with("series (redacted) may lack a slice: file-"), "{problem}");
    assert!(!problem.contains("0000"), "{problem}");
    assert_eq!(of("1.7").problem, None);
    assert!(of("1.7").warnings[0].contains("a file of zeros alone"), "{:?}", of("1.7"));
    assert!(!series.iter().any(|s| s.id == private(input).name(&path("f"))));
    let problem = of("1.2").problem.clone().unwrap();
    assert!(
        problem.contains("TransferSyntaxUID (0002,0010) is missing") && !problem.contains("DOE"),
        "{problem}"
    );
    assert_eq!((of("1.3").problem.clone(), of("1.4").problem.clone()), (None, None));
    assert!(of("1.3").warnings[0].starts_with("a file of its folder cannot be read: file-"));
    for name in ["b/x", "c", "d.zip"] {
        let series = of(&private(input).name(&path(name)));
        assert!(series.problem.is_some(), "{name}");
    }
    // Its name is a UID: the problem appears when it is read.
    assert_eq!(of("1.5").problem, None);
    assert!(of("1.6").problem.clone().unwrap().starts_with("the series exists twice, in file-"));
    assert!(
        discover(private(&path("none")), &mut ContentsCache::default(), &str::to_owned).is_err()
    );
    assert!(discovered(&path("copy"), &mut ContentsCache::default()).len() == 1);
}

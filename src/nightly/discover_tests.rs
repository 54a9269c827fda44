use super::*;
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

fn find(input: &Path, known: &mut Known) -> Vec<Found> {
    discover(input, known, &str::to_owned).unwrap().0
}

#[test]
fn series_are_found_in_every_layout() {
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
    let mut known = Known::default();
    let found = find(input, &mut known);
    let summary: Vec<_> = found.iter().map(|f| (f.id.as_str(), f.n_files)).collect();
    assert_eq!(summary[..4], [("1.2", 3), ("1.3", 3), ("1.4", 3), ("1.5", 1)]);
    assert!(summary[4].0.starts_with("2.25.") && summary.len() == 5, "{summary:?}");
    assert!(found.iter().all(|f| f.problem.is_none() && f.warnings.is_empty()));
    let files = |n: usize| -> Vec<PathBuf> {
        let Source::Folders(folders) = &found[n].source else { panic!("{:?}", found[n]) };
        folders.iter().flat_map(|folder| folder.files().unwrap()).collect()
    };
    assert_eq!((files(0).len(), files(1).len(), files(2).len()), (3, 3, 3));
    for found in &found {
        assert_eq!(found.source.stamp(input).unwrap(), found.stamp, "{}", found.id);
    }
    // What is known is found again, and no name of a folder is kept.
    let text = serde_json::to_string(&known).unwrap();
    assert!(!text.contains("DOE") && !text.contains("hidden"), "{text}");
    let mut again: Known = serde_json::from_str(&text).unwrap();
    assert_eq!(find(input, &mut again), found);
    assert_eq!(again, known);
}

#[test]
fn what_is_known_is_not_read_again() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("a"), "1.2");
    let mut known = Known::default();
    let found = find(root.path(), &mut known);
    // As if the folder had held another series.
    let mut other = known.clone();
    for place in other.places.values_mut() {
        place.series[0].series_instance_uid = "1.9".to_owned();
    }
    assert_eq!(find(root.path(), &mut other)[0].id, "1.9");
    fs::write(root.path().join("a/new.dcm"), fs::read(root.path().join("a/000001.dcm")).unwrap())
        .unwrap();
    let changed = find(root.path(), &mut other);
    assert_eq!((changed[0].id.as_str(), changed[0].n_files), ("1.2", 4));
    assert_ne!(changed[0].stamp.text, found[0].stamp.text);
}

#[test]
fn what_cannot_be_read_is_a_place_or_a_problem_of_its_series() {
    let root = tempfile::tempdir().unwrap();
    let input = root.path();
    let place = |name: &str| input.join(name);
    // The only series of its folder, and one of two.
    write(&place("a"), "1.2");
    write(&place("b/x"), "1.3");
    write(&place("b/x"), "1.4");
    fs::rename(place("b/x/000001.dcm"), place("b/x/y.dcm")).unwrap();
    write(&place("b/x"), "1.3");
    for folder in ["a", "b/x", "c"] {
        fs::create_dir_all(place(folder)).unwrap();
        fs::write(place(folder).join("DOE^JOHN.dcm"), "x").unwrap();
    }
    fs::write(place("d.zip"), "x").unwrap();
    fs::write(place("1.5.mha"), "x").unwrap();
    metaimage::write(&place("1.6.mhd"), &volume(1), false).unwrap();
    fs::create_dir_all(place("copy")).unwrap();
    metaimage::write(&place("copy/1.6.mha"), &volume(1), false).unwrap();
    let found = find(input, &mut Known::default());
    let of = |id: &str| found.iter().find(|found| found.id == id).unwrap();
    let problem = of("1.2").problem.clone().unwrap();
    assert!(problem.contains("not a DICOM file") && !problem.contains("DOE"), "{problem}");
    assert_eq!((of("1.3").problem.clone(), of("1.4").problem.clone()), (None, None));
    assert!(of("1.3").warnings[0].starts_with("a file of its folder cannot be read: file-"));
    for name in ["b/x", "c", "d.zip"] {
        let found = of(&told::name(input, &place(name)));
        assert!(found.problem.is_some(), "{name}");
    }
    // Its name is a series: what is wrong is told where it is read.
    assert_eq!(of("1.5").problem, None);
    assert!(of("1.6").problem.clone().unwrap().starts_with("the series is there twice, in file-"));
    assert!(discover(&place("none"), &mut Known::default(), &str::to_owned).is_err());
    assert!(find(&place("copy"), &mut Known::default()).len() == 1);
}

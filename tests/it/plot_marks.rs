//! Pictures of what readers marked, over slices and over a blank grid.

use crate::{annotations, fixture};
use nodulus::tables::{Mark, Nodule};
use serde_json::Value;
use std::path::Path;

/// The series of a cohort with most marks, and its nodules.
fn busiest(store: &Path, cohort: &str) -> (String, Vec<Nodule>) {
    let marks: Vec<Mark> = fixture::rows(store);
    let nodules: Vec<Nodule> = fixture::rows(store);
    let of = |series: &str| marks.iter().filter(|m| m.series_instance_uid == series).count();
    let own = nodules.iter().filter(|n| n.cohort == cohort);
    let series =
        own.map(|n| n.series_instance_uid.clone()).max_by_key(|series| of(series)).unwrap();
    let is_own = |n: &Nodule| n.cohort == cohort && n.series_instance_uid == series;
    let own = nodules.iter().filter(|n| is_own(n)).cloned().collect();
    (series, own)
}

#[test]
fn lesions_that_a_reader_joined_are_drawn_as_in_the_docs() {
    let store = annotations::finished();
    let marks: Vec<Mark> = fixture::rows(store);
    let joined = marks.iter().find(|m| m.source_path == "traps/joined.xml").unwrap();
    let series = &joined.series_instance_uid;
    let mut nodules: Vec<Nodule> = fixture::rows(store);
    nodules.retain(|nodule| nodule.series_instance_uid == *series);
    nodules.sort_by_key(|nodule| nodule.n_readers);
    let found: Vec<_> = nodules.iter().map(|n| (n.n_readers, n.n_small)).collect();
    assert_eq!(found, [(2, 1), (4, 0)]);
    let folder = tempfile::tempdir().unwrap();
    let [store, out] = [store, folder.path()].map(|path| path.to_str().unwrap());
    fixture::run_well(&["plot-marks", "--store", store, "--series", series, "--out", out]);
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let read = |path: &Path| fs_err::read_to_string(path).unwrap();
    let drawn = read(&folder.path().join(format!("{}.svg", nodules[1].nodule_id)));
    assert!(drawn.contains("reader 3: nodule, small_nodule") && drawn.contains("<circle"));
    let picture = docs.join("images/joined-lesions.svg");
    assert!(drawn == read(&picture), "{} is not what plot-marks draws", picture.display());
    // The command of the page names the series.
    assert!(read(&docs.join("annotations.md")).contains(series));
}

#[test]
fn each_nodule_is_drawn_over_its_slice_with_every_reader() {
    let store = fixture::finished().join("store");
    let (series, nodules) = busiest(&store, "luna16");
    let folder = tempfile::tempdir().unwrap();
    let [store, out] = [&store, folder.path()].map(|path| path.to_str().unwrap());
    let plot =
        ["plot-marks", "--store", store, "--series", &series, "--cohort", "luna16", "--out", out];
    let text = fixture::run_well(&[&plot[..], &["--json"]].concat());
    let record: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(record["n_nodules"], nodules.len());
    assert_eq!(record["n_over_slice"], nodules.len());
    let marks: Vec<Mark> = fixture::rows(Path::new(store));
    for nodule in &nodules {
        let read = |extension: &str| {
            fs_err::read(folder.path().join(format!("{}.{extension}", nodule.nodule_id))).unwrap()
        };
        let svg = String::from_utf8(read("svg")).unwrap();
        assert!(svg.contains("<image") && svg.contains("mm</text>"), "{svg}");
        assert!(svg.contains(&nodule.nodule_id));
        // The slice shows a line of the nodule; readers who drew elsewhere on it alone are not named.
        let mut own = marks.iter().filter(|mark| nodule.mark_ids.contains(&mark.mark_id));
        assert!(own.any(|mark| svg.contains(&format!("reader {}", mark.reading_session))), "{svg}");
        assert!(read("png").starts_with(b"\x89PNG"));
    }
    // The same store gives the same bytes; one nodule replaces the others.
    let one = &nodules[0].nodule_id;
    let before = fs_err::read(folder.path().join(format!("{one}.png"))).unwrap();
    fixture::run_well(&[&plot[..], &["--nodule", one]].concat());
    assert_eq!(fs_err::read(folder.path().join(format!("{one}.png"))).unwrap(), before);
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 3);

    for (more, expected, status) in [
        (["--nodule", "n-0"], "has no nodule `n-0`", Some(1)),
        (["--cohort", "luna"], "did you mean `luna16`?", Some(2)),
    ] {
        let plot = ["plot-marks", "--store", store, "--series", &series, "--out", out];
        let (error, found) = fixture::run_badly(&[&plot[..], &more[..]].concat());
        assert!(error.contains(expected), "{error}");
        assert_eq!(found, status);
    }
    let plot = ["plot-marks", "--store", store, "--series", "1.2.3", "--out", out];
    let (error, _) = fixture::run_badly(&plot);
    assert!(error.contains("no scan of series 1.2.3"), "{error}");
}

use super::*;
use crate::nightly::input::stamp::Stamp;
use ::parquet::arrow::arrow_writer::ArrowWriter;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use fs_err as fs;
use std::sync::Arc;
use std::time::Duration;

const OWN_NAMES: [&str; 4] = ["series_instance_uid", "x_mm", "y_mm", "z_mm"];
const LUNA16_NAMES: [&str; 4] = ["seriesuid", "coordX", "coordY", "coordZ"];
const HEAD: &str = "seriesuid,coordX,coordY,coordZ,probability\n";

fn write(path: &Path, names: [&str; 4], x: Option<f64>) {
    let number = |x: Option<f64>| Arc::new(Float64Array::from(vec![x, Some(1.0)])) as ArrayRef;
    let series = Arc::new(StringArray::from(vec!["1.2", "1.3"])) as ArrayRef;
    let columns = [series, number(x), number(Some(2.0)), number(Some(3.0))];
    let score = Arc::new(Float64Array::from(vec![Some(0.5), None])) as ArrayRef;
    let columns = names.into_iter().zip(columns).chain([("score", score)]);
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true)));
    let batch = batch.unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The candidates of files that settled long ago.
fn read(paths: &[PathBuf]) -> Result<CandidateIndex, Error> {
    CandidateIndex::read(paths, SystemTime::now() + Duration::from_mins(1), None)
}

/// The candidates of tables.
fn tables(texts: &[&str]) -> CandidateIndex {
    let folder = tempfile::tempdir().unwrap();
    for (n, text) in texts.iter().enumerate() {
        fs::write(folder.path().join(format!("{n}.csv")), format!("{HEAD}{text}")).unwrap();
    }
    read(&[folder.path().to_owned()]).unwrap()
}

#[test]
fn tables_of_each_kind_are_read_and_joined() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.csv"), "seriesuid,coordX,coordY,coordZ,class\n1.2,1,2,3,1\n").unwrap();
    write(&path("b.parquet"), OWN_NAMES, Some(9.0));
    write(&path("c.parquet"), LUNA16_NAMES, Some(8.0));
    fs::write(path("notes.txt"), "").unwrap();
    let paths = [path("a.csv"), path("b.parquet"), path("c.parquet")];
    for index in [read(&paths), read(&[folder.path().to_owned()])] {
        let index = index.unwrap();
        let found = index.of(["none", "1.2"]).candidates;
        let xs: Vec<_> = found.iter().map(|c| (c.position_mm[0], c.confidence)).collect();
        // Those with a confidence come first.
        assert_eq!(xs, [(8.0, Some(0.5)), (9.0, Some(0.5)), (1.0, None)]);
        assert_eq!(index.of(["1.3"]).candidates[0].confidence, None);
        assert!(index.of(["1.4"]).says_nothing() && index.unreadable.is_empty());
    }
    let hash = |candidates: &CandidateIndex| candidates.of(["1.2"]).sha256();
    let [one, other] = [&paths[..1], &paths[..2]].map(|p| read(p).unwrap());
    assert_ne!(hash(&one), hash(&other));
}

#[test]
fn a_table_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.csv"), "seriesuid,coordX,coordY,coordZ\n1.2,1,2,3\n").unwrap();
    write(&path("c.parquet"), ["series", "x_mm", "y_mm", "z_mm"], Some(0.0));
    let error = |name: &str| read(&[path(name)]).unwrap_err().to_string();
    assert!(error("c.parquet").contains("has no column series_instance_uid; found series"));
    assert!(error("d.csv").contains("that `score.candidates` names"));
    let index = read(&[folder.path().to_owned()]).unwrap();
    assert_eq!((index.unreadable.len(), index.of(["1.2"]).candidates.len()), (1, 1));
}

#[test]
fn a_malformed_row_is_one_of_its_series_alone() {
    let index = tables(&["1.2,1,2,3,0.5\n1.3,1,x,3,0.5\n1.4,1\n"]);
    let malformed = |name: &str| index.of([name]).malformed;
    assert_eq!(malformed("1.2"), [""; 0]);
    let wrong = malformed("1.3");
    assert!(wrong[0].starts_with("file-") && wrong[0].contains(", line 3: coordY is"), "{wrong:?}");
    assert!(malformed("1.4")[0].contains("line 4: 2 values, expected 5"));
    assert!(index.unreadable.is_empty());
    let folder = tempfile::tempdir().unwrap();
    for (n, x, expected) in [
        (0, Some(f64::NAN), "row 1: position (redacted), expected -1000000 to"),
        // A date of birth in the wrong column.
        (2, Some(19_560_229.0), "row 1: position (redacted), expected -1000000 to"),
        (1, None, "row 1: x_mm is missing"),
    ] {
        let path = folder.path().join(format!("{n}.parquet"));
        write(&path, OWN_NAMES, x);
        let index = read(&[path]).unwrap();
        let wrong = index.of(["1.2"]).malformed;
        assert!(wrong[0].contains(expected), "{wrong:?}");
        assert_eq!(index.of(["1.3"]).candidates.len(), 1);
    }
}

#[test]
fn a_file_with_damage_that_cannot_be_placed_does_not_count() {
    let long = "1.2.840.113619.2.55.3";
    for (damaged, expected) in [
        ("1.2,1,2,3,0.5\n,1,2\n", "line 3: 3 values, expected 5"),
        // Cut within a UID, which may be that of the row before, its beginning, or another one.
        ("1.2,1,2,3,0.5\n1.", "line 3: the line does not end"),
        ("1.2,1,2,3,0.5\n1.2.840.11361", "line 3: the line does not end"),
        ("1.2,1,2,3,0.5\n1.2.8\n1.3,1,2,3,0.5\n", "line 3: 1 values, expected 5"),
        ("1.2,1,2,3,0.5\n\0\0\0\0", "line 3: a control character"),
        ("1.2,1,2,3,0.5\n\"1.2.840,1,2,3,0.5\n", "line 3: a quote in value 1 that is not closed"),
        ("1.2,1,2,3,0.5\nseriesuid,coordX,coordY,coordZ,probability\n", "line 3: probability is"),
    ] {
        let index = tables(&[damaged, &format!("{long},1,2,3,0.5\n")]);
        let [file] = &index.unreadable[..] else { panic!("{damaged}: {:?}", index.unreadable) };
        assert!(file.cause.starts_with(&file.file) && file.cause.contains(expected), "{file:?}");
        assert!(index.of(["1.2"]).says_nothing() && index.of(["1.3"]).says_nothing(), "{damaged}");
        assert_eq!(index.of([long]).n_places(), 1);
    }
    let of = tables(&["1.2,1,2,3,0.5\n"]).of(["1.2"]);
    assert_ne!(ScanCandidates { may_lack_rows: true, ..of.clone() }.sha256(), of.sha256());
}

/// A series of the input.
fn series(id: &str, source: SeriesSource) -> DiscoveredSeries {
    DiscoveredSeries {
        id: id.to_owned(),
        name: id.to_owned(),
        source,
        stamp: Stamp { text: String::new(), newest: SystemTime::UNIX_EPOCH },
        n_files: 1,
        announced: None,
        problem: None,
        fault: None,
        no_scan: None,
        warnings: Vec::new(),
    }
}

#[test]
fn a_row_with_a_damaged_uid_is_one_of_the_series_that_it_may_have_named() {
    let dicom = |id| series(id, SeriesSource::Folders(Vec::new()));
    let input = [dicom("1.2.840.55.1"), dicom("1.2.840.55.2"), dicom("DOE^JOHN")];
    let mut index = tables(&[
        "1.2.840.55.1,1,2,3,0.5\n1.2.8x0.55.1,4,5,6,0.5\n1.2.840.55.2,1,2,3,0.5\nDOE^JOHN,1,2,3,0.5\n",
        "9,1,2,3,0.5\n,1,2,3,0.5\n1.2.9?.3,1,x,3,0.5\n1.2.3,1,2,3,0.5\n",
    ]);
    index.place(&input);
    let wrong = index.of(["1.2.840.55.1"]);
    assert_eq!(wrong.candidates.len(), 1);
    let [text] = &wrong.malformed[..] else { panic!("{wrong:?}") };
    assert!(text.contains(", line 3: the series is (redacted), expected a UID"), "{text}");
    assert!(text.ends_with("by its digits, the row may be of this series"), "{text}");
    for other in ["1.2.840.55.2", "DOE^JOHN"] {
        let of = index.of([other]);
        assert_eq!((of.n_places(), of.malformed.len()), (1, 0), "{other}");
    }
    assert!(index.may_lack_rows());
    let [rows] = &index.unplaced[..] else { panic!("{:?}", index.unplaced) };
    assert_eq!(rows.n_rows, 3);
    assert!(rows.cause.starts_with(&rows.file) && rows.cause.contains("the series is (redacted)"));
    let known = BTreeSet::from(["1.2.840.55.1", "1.2.840.55.2", "DOE^JOHN"]);
    let Reconciliation { in_all, n_unplaced_rows, .. } =
        index.reconcile(&known, &|_| BTreeSet::new());
    let expected = CandidateCounts {
        rows: 8,
        matched: 3,
        unknown_series: 1,
        malformed: 4,
        ..CandidateCounts::default()
    };
    assert_eq!((in_all, n_unplaced_rows), (expected, 3));
    // Where there are image files, other texts may be their names.
    let mut index = tables(&["9,1,2,3,0.5\nscan,1,2,3,0.5\n"]);
    index.place(&[dicom("1.2.3"), series("1.2.4", SeriesSource::Image("scan.mha".into()))]);
    assert!(!index.may_lack_rows());
    assert_eq!(index.of(["1.2.4", "scan"]).n_places(), 1);
}

#[test]
fn a_row_that_names_several_image_files_is_malformed_for_each() {
    let image = |id, path: &str| series(id, SeriesSource::Image(path.into()));
    let mut index =
        tables(&["scan,1,2,3,0.5\nscan,4,5,6,0.5\nother,1,2,3,0.5\n2.25.2,7,8,9,0.5\n"]);
    let input = [
        image("2.25.1", "a/scan.nii.gz"),
        image("2.25.2", "b/scan.mha"),
        image("2.25.3", "other.mha"),
    ];
    index.place(&input);
    for of in &input[..2] {
        let names = of.candidate_names();
        let found = index.of(names.iter().map(String::as_str));
        let [text] = &found.malformed[..] else { panic!("{found:?}") };
        assert!(text.contains("the name of 2 image files"), "{text}");
    }
    assert_eq!(index.of(["2.25.3", "other"]).n_places(), 1);
    let known = BTreeSet::from(["2.25.1", "2.25.2", "other"]);
    let counts = index.reconcile(&known, &|_| BTreeSet::new()).in_all;
    assert_eq!((counts.rows, counts.matched, counts.malformed), (4, 2, 2));
    assert!(!index.may_lack_rows());
}

#[test]
fn order_and_repetition_of_rows_do_not_matter() {
    let rows =
        ["1.2,1,2,3,0.5\n", "1.2,4,5,6,0.9\n", "1.2,-0.0,5,6,0.1\n", "1.2,1.0,2.0,3.00,0.4\n"];
    let whole = tables(&[&rows.concat()]).of(["1.2"]);
    let confidences: Vec<_> = whole.candidates.iter().map(|c| c.confidence.unwrap()).collect();
    assert_eq!(confidences, [0.9, 0.5, 0.1]);
    let other = tables(&[&[rows[2], rows[3], rows[1], rows[1]].concat(), rows[0]]).of(["1.2"]);
    assert_eq!(other.candidates, whole.candidates);
    assert_eq!(other.sha256(), whole.sha256());
    let same_zero = rows.concat().replace("-0.0", "0");
    assert_eq!(tables(&[&same_zero]).of(["1.2"]).sha256(), whole.sha256());
    for changed in [rows[..2].concat(), rows.concat().replace("0.9", "0.8")] {
        assert_ne!(tables(&[&changed]).of(["1.2"]).sha256(), whole.sha256());
    }
}

#[test]
fn an_empty_list_states_that_a_scan_has_no_candidates() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("1.2.csv"), HEAD).unwrap();
    fs::write(path("scan.csv"), HEAD).unwrap();
    fs::write(path("1.3.csv"), HEAD.trim_end()).unwrap();
    fs::write(path("seriesuids.csv"), "1.4\n1.5\n").unwrap();
    fs::write(path("others.csv"), "1.6\n1.7").unwrap();
    fs::write(path("all.csv"), format!("{HEAD}1.5,1,2,3,0.5\n")).unwrap();
    let index = read(&[folder.path().to_owned()]).unwrap();
    for (name, expected) in [
        ("1.2", Some(0)),
        ("scan", Some(0)),
        ("1.3", None),
        ("1.4", Some(0)),
        ("1.5", Some(1)),
        ("1.6", None),
        ("1.7", None),
        ("1.8", None),
    ] {
        let found = index.of([name]);
        let stated = (!found.says_nothing()).then(|| found.n_places());
        assert_eq!(stated, expected, "{name}");
    }
    // Those that may be cut off.
    assert_eq!(index.unreadable.len(), 2, "{:?}", index.unreadable);
    // What has just changed may still get rows.
    let settled = SystemTime::now() - Duration::from_mins(1);
    let index = CandidateIndex::read(&[folder.path().to_owned()], settled, None).unwrap();
    assert!(index.of(["1.2"]).says_nothing() && !index.of(["1.4"]).says_nothing());
}

#[test]
fn every_row_counts_once() {
    let index = tables(&[
        "1.2,1,2,3,0.5\n1.2,1,2,3,0.6\n1.2,9,9,9,0.5\n1.3,1,2,3,x\n1.4,1,2,3,0.5\n1.4,1,2,3,0.5\n",
        "1.2,4,5,6,0.5\n",
        "1.2,1,2,3,0.5\n",
    ]);
    let outside = |name: &str| {
        assert_eq!(name, "1.2");
        BTreeSet::from([position_key([9.0; 3])])
    };
    let found = index.reconcile(&BTreeSet::from(["1.2"]), &outside);
    let counts = |[rows, matched, outside, unknown_series, malformed, duplicate]: [usize; 6]| {
        CandidateCounts { rows, matched, outside, unknown_series, malformed, duplicate }
    };
    assert_eq!(found.in_all, counts([8, 2, 1, 2, 1, 2]));
    // The second file has nothing but a matched row.
    let of_files: Vec<_> = found.files.iter().map(|file| file.counts).collect();
    assert_eq!(of_files, [counts([6, 1, 1, 2, 1, 1]), counts([1, 0, 0, 0, 0, 1])]);
    assert_eq!((found.n_files, found.n_unreadable_files, found.n_unlisted_files), (3, 0, 0));
}

#[test]
fn keys_and_hashes_of_points_stay() {
    let patient =
        PointPosition::Patient { point_mm: [1.0, 2.5, -3.0], frame_of_reference_uid: None };
    let ij = [1.5, 2.0];
    let image = PointPosition::Image { sop_instance_uid: "1.2".to_owned(), frame: Some(3), ij };
    for position in [patient, image] {
        assert_eq!(point_text(&position), format!("{position:?}"));
    }
    assert_eq!(position_key([-0.0, 1.5, 2.0]), position_key([0.0, 1.5, 2.0]));
}

use super::*;
use crate::nightly::follow_up::scan::FollowUpNodule;
use crate::nightly::records::entry::SeriesState;
use crate::nightly::records::record::{AttemptOutcome, SeriesResult};
use crate::nightly::scan::exclusion::SeriesExclusion;
use crate::nightly::scan::result_inputs::ResultInputs;
use nodulus_imaging::lungs::LungBox;

fn attempt(key: &str, day: &str, outcome: AttemptOutcome) -> Attempt {
    let inputs = ResultInputs {
        stamp: String::new(),
        content_sha256: key.to_owned(),
        candidates_sha256: String::new(),
        recipe_sha256: String::new(),
        model_id: "m".to_owned(),
        outside: BTreeSet::new(),
        candidate_files: BTreeSet::new(),
    };
    Attempt::new(inputs, format!("{day}T01:00:00Z"), day.to_owned(), outcome)
}

fn scored(n_rows: usize) -> AttemptOutcome {
    let row = |n: usize| Score {
        series_instance_uid: "1.2".to_owned(),
        study_instance_uid: None,
        patient_id: None,
        nodule_id: n.to_string(),
        nodule_number: n as i64,
        candidate_x_mm: 0.0,
        candidate_y_mm: 0.0,
        candidate_z_mm: 0.0,
        candidate_score: None,
        centroid_x_mm: 0.0,
        centroid_y_mm: 0.0,
        centroid_z_mm: 0.0,
        probability: None,
        volume_mm3: 1.0,
        threshold: Some(0.5),
        component: Some("centre".to_owned()),
        reach_mm: Some(5.0),
        equivalent_diameter_mm: 1.0,
        axial_diameter_mm: None,
        axial_short_diameter_mm: None,
        disagreement: None,
        training_distance: None,
        mean_hu: None,
        nodule_type: None,
        model_id: "m".to_owned(),
        warnings: Vec::new(),
        scan_warnings: Vec::new(),
        superseded: false,
    };
    AttemptOutcome::Scored(Box::new(SeriesResult {
        rows: (1..=n_rows).map(row).collect(),
        ..SeriesResult::default()
    }))
}

#[test]
fn an_older_result_stays_and_its_day_changes() {
    let store = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(store.path(), None).unwrap();
    let mut record = ledger.read("1.2").unwrap();
    record.waiting_since = Some("2026-01-01T00:00:00Z".to_owned());
    assert!(ledger.write(&record).unwrap().is_empty());
    assert!(matches!(ledger.state("1.2").unwrap(), SeriesState::Waiting(_)));
    let failed = AttemptOutcome::Failed("no".to_owned());
    record.supersede(attempt("a", "2026-01-01", failed));
    assert!(ledger.write(&record).unwrap().is_empty());
    record.supersede(attempt("b", "2026-01-02", scored(2)));
    assert_eq!(ledger.write(&record).unwrap(), BTreeSet::from(["2026-01-02".to_owned()]));
    let before = ledger.hash_of_day("2026-01-02");
    record.supersede(attempt("c", "2026-01-03", scored(1)));
    assert_eq!(ledger.write(&record).unwrap().len(), 2);
    assert_ne!(ledger.hash_of_day("2026-01-02"), before);
    // As another process reads it.
    let ledger = Ledger::open(store.path(), None).unwrap();
    assert_eq!(ledger.read("1.2").unwrap(), record);
    let rows =
        |day| ledger.rows_on(day).unwrap().scores.iter().map(|r| r.superseded).collect::<Vec<_>>();
    assert_eq!(rows("2026-01-02"), [true, true]);
    assert_eq!(rows("2026-01-03"), [false]);
    assert_eq!(rows("2026-01-01"), [false; 0]);
    assert_eq!(ledger.days().collect::<Vec<_>>(), ["2026-01-02", "2026-01-03"]);
    assert!(
        matches!(ledger.state("1.2").unwrap(), SeriesState::Scored { inputs, .. } if inputs.content_sha256 == "c")
    );
}

#[test]
fn a_damaged_record_is_named() {
    let store = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(store.path(), None).unwrap();
    let record =
        SeriesRecord { waiting_since: Some("x".to_owned()), ..ledger.read("1.2").unwrap() };
    ledger.write(&record).unwrap();
    let path = ledger.path("1.2");
    fs::write(path.with_extension("json.1.tmp"), "{").unwrap();
    ledger.remove_unfinished().unwrap();
    assert_eq!(Ledger::open(store.path(), None).unwrap().states().count(), 1);
    fs::write(&path, "{").unwrap();
    let found = Ledger::open(store.path(), None).unwrap();
    let damage: Vec<String> = found.damaged().map(ToString::to_string).collect();
    assert!(damage.len() == 1 && damage[0].contains("cannot be read"), "{damage:?}");
    assert_eq!(found.states().count(), 0);
    ledger.remove("1.2").unwrap();
    assert!(Ledger::open(store.path(), None).unwrap().states().next().is_none());
}

#[test]
fn an_exclusion_is_superseded_once_the_series_is_scored() {
    let store = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(store.path(), None).unwrap();
    let mut record = ledger.read("1.2").unwrap();
    let exclusion = SeriesExclusion {
        rule: "not_hu".to_owned(),
        reason: "holds densities".to_owned(),
        n_candidates: 3,
    };
    record.supersede(attempt("a", "2026-01-01", AttemptOutcome::Excluded(exclusion)));
    let first = BTreeSet::from(["2026-01-01".to_owned()]);
    assert_eq!(ledger.write(&record).unwrap(), first);
    let rows = |ledger: &Ledger| ledger.rows_on("2026-01-01").unwrap().exclusions;
    let [row] = &rows(&ledger)[..] else { panic!() };
    assert_eq!((row.rule.as_str(), row.n_candidates), ("not_hu", 3));
    assert_eq!(row.excluded_at, "2026-01-01T01:00:00Z");
    assert!(ledger.rows_on("2026-01-01").unwrap().scores.is_empty());
    // The ledger is the same when it is read again.
    let again = Ledger::open(store.path(), None).unwrap();
    assert_eq!(rows(&again), rows(&ledger));
    assert_eq!(again.hash_of_day("2026-01-01"), ledger.hash_of_day("2026-01-01"));
    record.supersede(attempt("b", "2026-01-02", scored(1)));
    let both = BTreeSet::from(["2026-01-01".to_owned(), "2026-01-02".to_owned()]);
    assert_eq!(ledger.write(&record).unwrap(), both);
    assert!(rows(&ledger)[0].superseded);
    // An exclusion later keeps the rows of the result, as superseded.
    let exclusion = SeriesExclusion {
        rule: "inclusion".to_owned(),
        reason: "too thick".to_owned(),
        n_candidates: 0,
    };
    record.supersede(attempt("b", "2026-01-03", AttemptOutcome::Excluded(exclusion)));
    ledger.write(&record).unwrap();
    assert!(ledger.rows_on("2026-01-02").unwrap().scores.iter().all(|row| row.superseded));
}

/// A result of a scan of patient `p`, with one nodule.
fn compared(series: &str, visit: &str, thickness_mm: f64, volume_mm3: f64) -> AttemptOutcome {
    let lungs = LungBox { low_mm: [0.0; 3], high_mm: [200.0; 3], cut: [[false; 2]; 3] };
    let nodule =
        FollowUpNodule { nodule_id: format!("of {series}"), centroid_mm: [9.0; 3], volume_mm3 };
    let visit = FollowUpScan {
        series_instance_uid: series.to_owned(),
        study_instance_uid: Some(visit.to_owned()),
        patient_id: "p".to_owned(),
        acquired_on: None,
        slice_thickness_mm: Some(thickness_mm),
        kernel: Some("B30f".to_owned()),
        model_id: "m".to_owned(),
        settings: None,
        grid: None,
        image: None,
        origin_mm: None,
        patient_name: None,
        patient_issuer: None,
        lungs: Some(lungs),
        warnings: Vec::new(),
        nodules: vec![nodule],
    };
    AttemptOutcome::Scored(Box::new(SeriesResult { visit: Some(visit), ..SeriesResult::default() }))
}

#[test]
fn a_nodule_of_two_visits_stands_on_the_day_of_the_most_alike_series() {
    let store = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(store.path(), None).unwrap();
    let days = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"];
    let mut add = |series: &str, day: &str, outcome: AttemptOutcome| {
        let mut record = ledger.read(series).unwrap();
        record.supersede(attempt(series, day, outcome));
        let changed = ledger.write(&record).unwrap();
        let rows = days.map(|day| {
            let rows = ledger.growth_on(day).unwrap();
            let pair = |row: &Growth| {
                (
                    row.earlier_series_instance_uid.clone() + " " + &row.series_instance_uid,
                    row.alike,
                )
            };
            rows.iter().map(pair).collect::<Vec<_>>()
        });
        // As another process reads it.
        let hashes = days.map(|day| ledger.hash_of_day(day));
        let again = Ledger::open(store.path(), None).unwrap();
        assert_eq!(days.map(|day| again.hash_of_day(day)), hashes);
        (changed, rows)
    };
    let pair = |text: &str, alike| vec![(text.to_owned(), alike)];
    let none = Vec::new();
    let (_, rows) = add("thin", days[0], compared("thin", "A", 1.0, 50.0));
    assert_eq!(rows, [none.clone(), none.clone(), none.clone(), none.clone()]);
    let (_, rows) = add("thick", days[1], compared("thick", "B", 5.0, 96.0));
    assert_eq!(rows[1], pair("thin thick", false));
    // The thick series of the first visit is more alike, and then the thin one of the second.
    let (changed, rows) = add("also thick", days[2], compared("also thick", "A", 5.0, 96.0));
    assert_eq!(rows, [none.clone(), none.clone(), pair("thick also thick", true), none.clone()]);
    assert!(changed.is_superset(&days[1..3].iter().map(|day| (*day).to_owned()).collect()));
    let (changed, rows) = add("also thin", days[3], compared("also thin", "B", 1.0, 50.0));
    assert_eq!(rows, [none.clone(), none.clone(), none, pair("thin also thin", true)]);
    assert!(changed.contains(days[2]));
    let [row] = &ledger.growth_on(days[3]).unwrap()[..] else { panic!() };
    assert_eq!(row.change_percent, Some(0.0));
    assert_eq!(row.other_series_instance_uids, ["also thick", "thick"]);
}

#[test]
fn an_id_of_two_issuers_is_of_two_patients() {
    let store = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(store.path(), None).unwrap();
    let mut add = |series: &str, issuer: Option<&str>| {
        let mut outcome = compared(series, series, 1.0, 50.0);
        let AttemptOutcome::Scored(result) = &mut outcome else { panic!() };
        result.visit.as_mut().unwrap().patient_issuer = issuer.map(str::to_owned);
        let visit = result.visit.clone().unwrap();
        let mut record = ledger.read(series).unwrap();
        record.supersede(attempt(series, "2026-01-01", outcome));
        ledger.write(&record).unwrap();
        (ledger.growth_on("2026-01-01").unwrap().len(), ledger.n_other_issuers(&visit))
    };
    assert_eq!(add("a1", Some("A")), (0, 0));
    // Without an issuer, it is of the one that there is.
    assert_eq!(add("none", None), (1, 0));
    // Of another one, and then it is of neither.
    assert_eq!(add("b1", Some("B")), (0, 1));
    assert_eq!(add("b2", Some("B")), (1, 1));
}

#[test]
fn an_earlier_result_becomes_current_again() {
    let store = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(store.path(), None).unwrap();
    let mut record = ledger.read("1.2").unwrap();
    let first = attempt("a", "2026-01-01", scored(2));
    record.supersede(first.clone());
    record.supersede(attempt("b", "2026-01-02", scored(1)));
    ledger.write(&record).unwrap();
    let [superseded] = &record.superseded_results()[..] else { panic!() };
    assert_eq!((&superseded.inputs, superseded.is_overwritten), (&first.inputs, false));
    assert!(!record.restore(&attempt("c", "2026-01-03", scored(1)).inputs, "new".to_owned()));
    assert!(record.restore(&first.inputs, "new".to_owned()));
    let both = BTreeSet::from(["2026-01-01".to_owned(), "2026-01-02".to_owned()]);
    assert_eq!(ledger.write(&record).unwrap(), both);
    let superseded =
        |day| ledger.rows_on(day).unwrap().scores.iter().map(|r| r.superseded).collect::<Vec<_>>();
    assert_eq!([superseded("2026-01-01"), superseded("2026-01-02")], [vec![false; 2], vec![true]]);
    let state = ledger.state("1.2").unwrap();
    assert!(matches!(state, SeriesState::Scored { inputs, .. } if inputs.stamp == "new"));
}

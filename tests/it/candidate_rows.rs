//! The nightly job says what became of each row of its candidates.

use crate::nightly_job::{Job, candidates, counts, files, series_of};
use crate::planted::find;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use serde_json::{Value, json};
use std::path::Path;

/// Counts of rows: rows, matched, outside, unknown series, malformed, duplicate.
fn row_counts(found: &Value) -> [u64; 6] {
    ["rows", "matched", "outside", "unknown_series", "malformed", "duplicate"]
        .map(|name| found[name].as_u64().unwrap())
}

/// The current rows of a series.
fn current(job: &Job, series: &str) -> Vec<Value> {
    let rows = job.rows().into_iter();
    rows.filter(|row| row["series_instance_uid"] == series && row["superseded"] == false).collect()
}

fn failed(job: &Job) -> Vec<Value> {
    job.status()["failed"].as_array().unwrap().clone()
}

fn write(path: &Path, text: &str) {
    fs_err::write(path, text).unwrap();
}

#[test]
fn each_row_is_counted_and_a_bad_one_fails_its_series_alone() {
    let job = Job::new();
    let folders = job.series();
    let [a, b, c] = [0, 1, 2].map(|n| series_of(&folders[n]));
    let good = candidates(|series| series == a);
    let n = good.lines().count() as u64 - 1;
    let first = good.lines().nth(1).unwrap();
    let of_b = candidates(|series| series == b);
    let of_b = of_b.lines().nth(1).unwrap();
    let bad = format!("{b},1,2\n{of_b}\n{c},9000,9000,9000,1\n1.2.3,1,2,3,1\n{first}\n");
    write(&job.candidates(), &format!("{good}{bad}"));
    let (summary, log) = job.run(3, &["--log", "json"]);
    assert_eq!(counts(&summary)[1], 1);
    assert_eq!(summary["failed"], 2);
    let expected = [n + 5, n + 1, 1, 1, 1, 1];
    let found = &summary["candidates"];
    assert_eq!(row_counts(found), expected);
    assert_eq!(row_counts(&found["files"][0]), expected);
    assert!(found["files"][0]["file"].as_str().unwrap().starts_with("file-"));
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&Value> = events.iter().filter(|e| e["event"] == "candidates").collect();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| row_counts(event) == expected), "{events:?}");
    let cause = |id: &str| {
        let failures = summary["failures"].as_array().unwrap();
        let own = failures.iter().find(|failure| failure["id"] == id).unwrap();
        own["cause"].as_str().unwrap().to_owned()
    };
    assert!(cause(&b).contains("3 values, expected 5"), "{}", cause(&b));
    assert!(cause(&c).contains("all 1 candidates lie outside the scan"), "{}", cause(&c));
    // The next night knows it all without reading a scan.
    let (summary, _) = job.run(3, &[]);
    assert_eq!((&summary["failed"], &summary["failed_before"]), (&json!(0), &json!(2)));
    assert_eq!(row_counts(&summary["candidates"]), expected);
}

#[test]
fn bad_candidates_leave_a_good_result_and_good_ones_bring_it_back() {
    let job = Job::new();
    job.counts(&[]);
    let series = series_of(&job.series()[0]);
    let (good, rows) = (fs_err::read_to_string(job.candidates()).unwrap(), job.rows());
    let own = |line: &&str| line.starts_with(&series);
    // All outside, then a row that is cut short.
    let away: Vec<String> = good
        .lines()
        .map(|line| if own(&line) { format!("{series},9000,9000,9000,1") } else { line.to_owned() })
        .collect();
    let others: Vec<&str> = good.lines().filter(|line| !own(line)).collect();
    let rows_of: Vec<&str> = good.lines().filter(own).collect();
    let cut = format!("{}\n{}", others.join("\n"), rows_of.join("\n"));
    for text in [away.join("\n") + "\n", cut] {
        write(&job.candidates(), &text);
        let (summary, _) = job.run(3, &[]);
        assert_eq!(
            (summary["failed"].as_u64(), &counts(&summary)[1..4]),
            (Some(1), &[0, 0, 2][..])
        );
        assert_eq!(summary["never_scored"], 0);
        assert_eq!(job.rows(), rows);
        assert_eq!(failed(&job).len(), 1);
        let (summary, _) = job.run(3, &[]);
        assert_eq!(summary["failed_before"], 1);
    }
    // In another order and with repetitions, the candidates are the same.
    let mut same: Vec<&str> = good.lines().skip(1).collect();
    same.reverse();
    same.push(same[0]);
    let head = good.lines().next().unwrap();
    write(&job.candidates(), &format!("{head}\n{}\n", same.join("\n")));
    assert_eq!(job.counts(&[])[1..4], [0, 0, 3]);
    assert!(failed(&job).is_empty());
    assert_eq!(job.rows(), rows);
    // Another set, and back: the first result is current again, and nothing is scored.
    let fewer = format!("{head}\n{}\n{}\n", others[1..].join("\n"), rows_of[0]);
    write(&job.candidates(), &fewer);
    let is_fewer = rows_of.len() > 1;
    assert!(is_fewer, "the series has several candidates");
    assert_eq!(job.counts(&[])[1..4], [1, 1, 2]);
    assert_ne!(current(&job, &series).len(), 0);
    write(&job.candidates(), &good);
    let (summary, _) = job.run(0, &[]);
    assert_eq!((counts(&summary)[1], &summary["restored"]), (0, &json!(1)));
    let of = |rows: &[Value]| -> Vec<Value> {
        let own = rows.iter().filter(|row| row["superseded"] == false);
        own.cloned().collect()
    };
    assert_eq!(of(&job.rows()), of(&rows));
    assert_eq!(job.counts(&[])[1..4], [0, 0, 3]);
}

#[test]
fn a_damaged_table_fails_the_run_and_replaces_no_result() {
    let job = Job::new();
    let folders = job.series();
    let [a, b] = [0, 1].map(|n| series_of(&folders[n]));
    let tables = job.folder.path().join("tables");
    fs_err::create_dir_all(&tables).unwrap();
    let table = tables.join("a.csv");
    let (of_a, of_b) = (candidates(|series| series == a), candidates(|series| series == b));
    let own = |text: &str| text.lines().skip(1).fold(String::new(), |all, line| all + line + "\n");
    let good = of_a.clone() + &own(&of_b);
    write(&table, &good);
    let set = format!("score.candidates={:?}", tables.to_str().unwrap());
    let run = |status: i32| job.run(status, &["--set", &set]).0;
    assert_eq!(counts(&run(0))[1], 2);
    let rows = job.rows();
    let lines: Vec<&str> = good.lines().collect();
    let fewer = lines[..lines.len() - 1].join("\n") + "\n";
    for damaged in [
        fewer.clone() + &"\0".repeat(200),
        fewer.clone() + &a[..a.len() / 2],
        fewer.clone() + &b[..b.len() / 2],
        fewer.clone() + &format!("\"{b},1,2,3,0.5\n"),
        fewer.clone() + ",1,2\n",
        lines[1..].join("\n") + "\n",
        "\u{fffe}".to_owned() + &fewer.replace('\n', "\0\n"),
        String::new(),
    ] {
        write(&table, &damaged);
        for _ in 0..2 {
            let summary = run(3);
            assert_eq!(summary["candidates"]["n_unreadable_files"], 1, "{damaged:?}");
            let file = &summary["candidates"]["unreadable_files"][0];
            assert!(file["cause"].as_str().unwrap().starts_with(file["file"].as_str().unwrap()));
            assert_eq!(counts(&summary)[1..4], [0, 0, 2], "{damaged:?}");
        }
        assert_eq!(job.rows(), rows);
        let status = job.status();
        assert_eq!(status["unreadable_candidates"].as_array().unwrap().len(), 1);
        assert_eq!(status["last_run"]["exit_status"], 3);
    }
    // Rows of another table do not stand for those that cannot be read; a series without a result takes them.
    let c = series_of(&folders[2]);
    let first = of_a.lines().take(2).fold(String::new(), |all, line| all + line + "\n");
    write(&tables.join("b.csv"), &(first + &own(&candidates(|series| series == c))));
    for (n, outcomes) in [[1, 0, 1], [0, 0, 2]].into_iter().enumerate() {
        let summary = run(3);
        assert_eq!(counts(&summary)[1..4], outcomes);
        assert_eq!(summary[["failed", "failed_before"][n]], 1);
    }
    assert_eq!(
        current(&job, &a).len(),
        rows.iter().filter(|r| r["series_instance_uid"] == a).count()
    );
    let cause = failed(&job)[0]["detail"].as_str().unwrap().to_owned();
    assert!(cause.contains("a file of candidates cannot be read"), "{cause}");
    // Once the table is whole, or gone, they count.
    write(&table, &good);
    let summary = run(0);
    assert_eq!((&summary["failed"], counts(&summary)[1]), (&json!(0), 0));
    // A cut list of series states nothing.
    write(&tables.join("seriesuids.csv"), &format!("{a}\n{}", &b[..b.len() - 5]));
    let summary = run(3);
    assert_eq!(summary["candidates"]["n_unreadable_files"], 1);
}

#[test]
fn a_row_with_a_damaged_uid_replaces_no_result() {
    let job = Job::new();
    let folders = job.series();
    let [a, b, c] = [0, 1, 2].map(|n| series_of(&folders[n]));
    let good = candidates(|series| series != c);
    write(&job.candidates(), &good);
    assert_eq!(counts(&job.run(0, &[]).0)[1], 2);
    let rows = job.rows();
    let n = good.lines().count() as u64 - 1;
    let of_c = candidates(|series| series == c);
    let of_c = of_c.lines().skip(1).fold(String::new(), |all, line| all + line + "\n");
    // A character in place of one, one too many, and bytes that were no text: the row is of its own series.
    let half = a.len() / 2;
    for damaged in [
        format!("{}x{}", &a[..half], &a[half + 1..]),
        format!("{} {}", &a[..half], &a[half..]),
        format!("{a}\u{fffd}"),
    ] {
        write(&job.candidates(), &good.replacen(&a, &damaged, 1));
        for _ in 0..2 {
            let (summary, _) = job.run(3, &[]);
            assert_eq!(counts(&summary)[1..3], [0, 0], "{damaged}");
            let found = &summary["candidates"];
            assert_eq!(row_counts(found), [n, n - 1, 0, 0, 1, 0], "{damaged}");
            assert_eq!(found["n_unplaced_rows"], 0);
        }
        assert_eq!(job.rows(), rows);
        let [failed] = &failed(&job)[..] else { panic!("{damaged}") };
        assert_eq!(failed["id"], a.as_str());
        let cause = failed["detail"].as_str().unwrap();
        let line = 1 + good.lines().position(|line| line.starts_with(&a)).unwrap();
        let expected = format!("line {line}: the series is (redacted), expected a UID");
        assert!(cause.contains(&expected), "{cause}");
    }
    // A row that may be of any series: others are scored, and no result is replaced.
    for damaged in ["1.2.3.4x", "DOE^JOHN", ""] {
        let fewer = good.replacen(&a, damaged, 1);
        write(&job.candidates(), &fewer);
        let (summary, log) = job.run(3, &["--log", "text"]);
        assert_eq!(counts(&summary)[1..4], [0, 0, 1], "{damaged}");
        assert_eq!(summary["candidates"]["malformed"], 1);
        assert_eq!(summary["candidates"]["n_unplaced_rows"], 1);
        assert!(log.contains("1 malformed rows of file-"), "{log}");
        assert!(!log.contains("DOE"), "{log}");
        assert_eq!(job.rows(), rows);
        let status = job.status();
        assert_eq!(status["unplaced_candidates"].as_array().unwrap().len(), 1);
    }
    write(&job.candidates(), &(good.replacen(&a, "1.2.3.4x", 1) + &of_c));
    let (summary, _) = job.run(3, &[]);
    assert_eq!(counts(&summary)[1..4], [1, 0, 1]);
    assert!(
        !current(&job, &c).is_empty()
            && current(&job, &b).len() == rows.len() - current(&job, &a).len()
    );
    // A UID that is one still, but cut, longer or without a dot: a result is not replaced without the row.
    let dot = a.rfind('.').unwrap();
    for near in
        [a[..a.len() - 2].to_owned(), format!("{a}.0"), format!("{}{}", &a[..dot], &a[dot + 1..])]
    {
        write(&job.candidates(), &(good.replacen(&a, &near, 1) + &of_c));
        let (summary, _) = job.run(3, &[]);
        // The rows that are left are the same each time.
        let n_failed = ["failed", "failed_before"].map(|key| summary[key].as_u64().unwrap());
        assert_eq!((counts(&summary)[2], n_failed[0] + n_failed[1]), (0, 1), "{near}");
        assert_eq!(summary["candidates"]["unknown_series"], 1);
        let cause = failed(&job)[0]["detail"].as_str().unwrap().to_owned();
        assert!(cause.contains("by a UID that is cut or has lost a dot"), "{cause}");
        assert!(summary["warnings"].to_string().contains("1 rows of candidates name unknown"));
    }
    // Once the table is whole, all is as it was.
    write(&job.candidates(), &(good + &of_c));
    let (summary, _) = job.run(0, &[]);
    assert_eq!(counts(&summary)[1..4], [0, 0, 3]);
}

#[test]
fn a_position_that_may_be_a_number_of_a_patient_is_not_shown() {
    let job = Job::new();
    let series = series_of(&job.series()[0]);
    let good = candidates(|id| id == series);
    write(&job.candidates(), &format!("{good}{series},560229.125,1,2,1\n{series},9000,1.26,2,1\n"));
    let (summary, log) = job.run(0, &["--set", "score.outputs=[\"json\"]"]);
    let warnings = summary["warnings"].to_string();
    assert!(warnings.contains("candidate at (redacted) mm is not in the scan"), "{warnings}");
    assert!(warnings.contains("candidate at [9000.0, 1.3, 2.0] mm is not"), "{warnings}");
    assert!(!log.contains("560229.1"), "{log}");
    for (path, bytes) in files(&job.store()) {
        assert!(find(&bytes, b"560229.1").is_none(), "{}", path.display());
    }
}

#[test]
fn a_scan_without_candidates_is_scored_if_a_detector_says_so() {
    let job = Job::new();
    let folders = job.series();
    let [a, b, c] = [0, 1, 2].map(|n| series_of(&folders[n]));
    let tables = job.folder.path().join("tables");
    fs_err::create_dir_all(&tables).unwrap();
    write(&tables.join("all.csv"), &candidates(|series| series == a));
    write(&tables.join(format!("{b}.csv")), "seriesuid,coordX,coordY,coordZ,probability\n");
    let set = format!("score.candidates={:?}", tables.to_str().unwrap());
    let (summary, _) = job.run(0, &["--set", &set, "--set", "score.outputs=[\"json\"]"]);
    assert_eq!(counts(&summary), [3, 2, 0, 0, 1, 0, 0]);
    assert!(current(&job, &b).is_empty());
    assert_eq!(job.status()["scored"], 2);
    // LUNA16's list of series.
    write(&tables.join("seriesuids.csv"), &format!("{a}\n{b}\n{c}\n"));
    assert_eq!(job.counts(&["--set", &set])[1..5], [1, 0, 2, 0]);
}

#[test]
fn a_list_of_series_replaces_no_result_whose_table_is_gone() {
    let job = Job::new();
    let [a, b] = [0, 1].map(|n| series_of(&job.series()[n]));
    let tables = job.folder.path().join("tables");
    fs_err::create_dir_all(&tables).unwrap();
    let set = format!("score.candidates={:?}", tables.to_str().unwrap());
    let run = |status| job.run(status, &["--set", &set, "--set", "score.outputs=[\"json\"]"]).0;
    let table = |name: &str, of: &str| {
        write(&tables.join(name), &candidates(|series| series == of));
    };
    // Nothing but a list says nothing: the candidates may still come.
    write(&tables.join("seriesuids.csv"), &format!("{a}\n{b}\n"));
    let summary = run(0);
    assert_eq!(counts(&summary)[1], 0);
    assert!(summary["warnings"].to_string().contains("a list of series and no table"));
    table("a.csv", &a);
    table("b.csv", &b);
    assert_eq!(counts(&run(0))[1..3], [2, 0]);
    let rows = job.rows();
    // A table is gone, and the list stays.
    fs_err::remove_file(tables.join("a.csv")).unwrap();
    for n in 0..2 {
        let summary = run(3);
        assert_eq!(summary[["failed", "failed_before"][n]], 1);
        assert_eq!((counts(&summary)[2], job.rows()), (0, rows.clone()));
    }
    let [failed] = &failed(&job)[..] else { panic!("one series") };
    assert_eq!(failed["id"], a.as_str());
    assert!(failed["detail"].as_str().unwrap().contains("is gone, and a list of series alone"));
    // All are gone: a disk may not be mounted.
    fs_err::remove_file(tables.join("b.csv")).unwrap();
    let (summary, _) = job.run(1, &["--set", &set, "--set", "score.outputs=[\"json\"]"]);
    assert!(summary["error"].to_string().contains("no table, structure set or report"));
    // The table is back, and then says itself that the scan has no candidates.
    table("a.csv", &a);
    table("b.csv", &b);
    assert_eq!((counts(&run(0))[1..3].to_vec(), job.rows()), (vec![0, 0], rows));
    let text = candidates(|_| true);
    write(&tables.join("a.csv"), &format!("{}\n", text.lines().next().unwrap()));
    assert_eq!(counts(&run(0))[1..3], [1, 1]);
    assert!(current(&job, &a).is_empty());
}

/// Changes the value of an element of items of a report, the first `most` that have this value.
fn change(object: &mut InMemDicomObject, of: Tag, from: &str, to: &str, most: &mut usize) {
    let mut elements = object.clone();
    for element in object.iter() {
        let tag = element.header().tag;
        if let Some(items) = element.items() {
            let mut items = items.to_vec();
            for item in &mut items {
                change(item, of, from, to, most);
            }
            elements.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
        } else if tag == of && element.to_str().unwrap().trim() == from && *most > 0 {
            *most -= 1;
            elements.put(DataElement::new(tag, element.vr(), PrimitiveValue::from(to)));
        }
    }
    *object = elements;
}

#[test]
fn a_report_that_has_lost_points_replaces_no_result() {
    let job = Job::new();
    assert_eq!(job.counts(&["--set", "score.outputs=[\"seg\",\"sr\"]"])[1], 3);
    let reports = files(&job.store().join("output"));
    let reports = reports.iter();
    let reports = reports.filter(|(path, _)| path.to_str().unwrap().ends_with("_measurements.dcm"));
    let (report, _) = reports.max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let report = dicom_object::open_file(report).unwrap();
    let folder = job.folder.path().join("reports");
    fs_err::create_dir(&folder).unwrap();
    let store = job.folder.path().join("other");
    let set = [&folder, &store].map(|path| path.to_str().unwrap().to_owned());
    let set = [format!("score.candidates={:?}", set[0]), format!("score.store={:?}", set[1])];
    let run = |status| job.run(status, &["--set", &set[0], "--set", &set[1]]).0;
    report.write_to_file(folder.join("a.dcm")).unwrap();
    let summary = run(0);
    // Each point counts once, although the report references its segmentation's series too.
    let [n, matched, .., duplicate] = row_counts(&summary["candidates"]);
    assert!(n > 1 && n == matched + duplicate, "{summary}");
    let rows = Job::rows_of(&store);
    assert!(!rows.is_empty());
    for most in [1, usize::MAX] {
        let mut changed = report.clone();
        let mut left = most;
        change(&mut changed, tags::VALUE_TYPE, "SCOORD3D", "TEXT", &mut left);
        changed.write_to_file(folder.join("a.dcm")).unwrap();
        let summary = run(3);
        assert_eq!((counts(&summary)[1], &summary["failed"]), (0, &json!(1)), "{most}");
        let lost = if most == 1 { 1 } else { n };
        assert_eq!(summary["candidates"]["malformed"], lost);
        let cause = summary["failures"][0]["cause"].as_str().unwrap();
        assert!(cause.contains(" is a finding without a point, "), "{cause}");
        assert_eq!(Job::rows_of(&store), rows);
    }
}

#[test]
fn an_input_and_candidates_that_vanish_are_errors() {
    let job = Job::new();
    assert_eq!(job.counts(&[])[1], 3);
    let away = job.folder.path().join("away");
    let error = |more: &[&str]| {
        let (summary, _) = job.run(1, more);
        summary["error"].as_str().unwrap().to_owned()
    };
    fs_err::rename(job.input(), &away).unwrap();
    assert!(error(&[]).contains("cannot read the folder `score.input`; mount it"));
    fs_err::create_dir(job.input()).unwrap();
    // Not the first night alone.
    for _ in 0..2 {
        let found = error(&[]);
        assert!(
            found.contains("`score.input` holds no series, and 3 were there before"),
            "{found}"
        );
    }
    assert_eq!(job.counts(&["--set", "score.allow_empty=true"]), [0; 7]);
    fs_err::remove_dir(job.input()).unwrap();
    fs_err::rename(&away, job.input()).unwrap();
    assert_eq!(job.counts(&[])[3], 3);
    let text = fs_err::read_to_string(job.candidates()).unwrap();
    fs_err::remove_file(job.candidates()).unwrap();
    assert!(error(&[]).contains("does not exist; mount or create it"));
    let tables = job.folder.path().join("tables");
    fs_err::create_dir(&tables).unwrap();
    let set = format!("score.candidates={:?}", tables.to_str().unwrap());
    let found = error(&["--set", &set]);
    assert!(
        found.contains("`score.candidates` holds no table, structure set or report"),
        "{found}"
    );
    write(&tables.join("a.csv"), &text);
    assert_eq!(job.counts(&["--set", &set])[3], 3);
}

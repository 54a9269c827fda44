//! The nightly job on the phantom's scans.

use crate::fixture;
use crate::nightly_job::{Job, candidates, copy, counts, files, phantom, series_of};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn a_folder_is_scored_exactly_once() {
    let job = Job::new();
    let before = files(&job.input());
    let (summary, log) = job.run(0, &["--log", "json"]);
    assert_eq!(counts(&summary), [3, 3, 0, 0, 0, 0, 0]);
    let rows = job.rows();
    assert_eq!(summary["nodules"], rows.len());
    assert!(rows.len() >= 3);
    for row in &rows {
        assert!(row["probability"].as_f64().is_some_and(|p| (0.0..=1.0).contains(&p)), "{row}");
        assert!(row["model_id"].as_str().unwrap().starts_with("proposed-"));
        let (volume, mean) = (row["volume_mm3"].as_f64().unwrap(), &row["mean_hu"]);
        assert_eq!(volume > 0.0, mean.is_f64(), "{row}");
    }
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["time"].is_string() && event["event"].is_string(), "{line}");
    }
    // Nothing is new, so no byte changes except in the run's own summary.
    let kept = |job: &Job| -> BTreeMap<PathBuf, Vec<u8>> {
        let files = files(&job.store()).into_iter();
        files
            .filter(|(path, _)| {
                !path.starts_with(job.store().join("runs")) && !path.ends_with("lock")
            })
            .collect()
    };
    let store = kept(&job);
    assert_eq!(job.counts(&[]), [3, 0, 0, 3, 0, 0, 0]);
    assert_eq!(kept(&job), store);
    assert_eq!(files(&job.store().join("runs")).len(), 2);
    // Moved files have the same content.
    let series = job.series();
    fs_err::rename(&series[0], series[0].with_file_name("moved")).unwrap();
    assert_eq!(job.counts(&[]), [3, 0, 0, 3, 0, 0, 0]);
    // A copy of its files in another folder adds nothing.
    copy(&series[1], &series[1].with_file_name("copy"));
    assert_eq!(job.counts(&[]), [3, 0, 0, 3, 0, 0, 0]);
    fs_err::remove_dir_all(series[1].with_file_name("copy")).unwrap();
    assert_eq!(job.rows(), rows);
    // Nothing was written to the input, and no patient is named.
    let contents =
        |files: &BTreeMap<PathBuf, Vec<u8>>| files.values().cloned().collect::<BTreeSet<_>>();
    assert_eq!(contents(&files(&job.input())), contents(&before));
    let patients: Vec<String> = fs_err::read_dir(phantom().join("lidc"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let status = job.status();
    assert_eq!((status["scored"].as_u64(), status["holder"].is_null()), (Some(3), true));
    let texts = log + &status.to_string() + &summary.to_string();
    for patient in patients {
        assert!(!texts.contains(&patient), "{patient} is named");
    }
    assert!(!texts.contains(job.folder.path().to_str().unwrap()), "{texts}");
}

#[test]
fn changed_content_and_candidates_supersede() {
    let job = Job::new();
    assert_eq!(job.counts(&[])[1], 3);
    let first = job.rows();
    let folder = &job.series()[1];
    let changed = series_of(folder);
    let slice = folder.join("000009.dcm");
    let mut bytes = fs_err::read(&slice).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(&slice, bytes).unwrap();
    assert_eq!(job.counts(&[]), [3, 1, 1, 2, 0, 0, 0]);
    let of = |rows: &[Value], superseded: bool| -> Vec<Value> {
        let of =
            |row: &&Value| row["series_instance_uid"] == changed && row["superseded"] == superseded;
        rows.iter().filter(of).cloned().collect()
    };
    let rows = job.rows();
    let old: Vec<Value> = of(&first, false)
        .into_iter()
        .map(|mut row| {
            row["superseded"] = true.into();
            row
        })
        .collect();
    assert_eq!(of(&rows, true), old);
    assert_eq!(of(&rows, false).len(), old.len());
    assert_eq!(rows.len(), first.len() + old.len());
    // Only one series has other candidates.
    let other = |line: &str| match line.strip_suffix(",1") {
        Some(row) if line.starts_with(&changed) => format!("{row},0"),
        _ => line.to_owned(),
    };
    let text = fs_err::read_to_string(job.candidates()).unwrap();
    let same: Vec<String> = text.lines().map(other).collect();
    fs_err::write(job.candidates(), same.join("\n") + "\n").unwrap();
    // The `class` column is ignored.
    assert_eq!(job.counts(&[])[1], 0);
    let fewer: Vec<&str> = text.lines().take(text.lines().count() - 1).collect();
    fs_err::write(job.candidates(), fewer.join("\n") + "\n").unwrap();
    assert_eq!(job.counts(&[])[1..4], [1, 1, 2]);
    // A setting that results depend on supersedes all series.
    assert_eq!(job.counts(&["--set", "score.probability_threshold=0.4"])[1..4], [3, 3, 0]);
}

#[test]
fn a_scan_waits_for_its_candidates_and_for_its_slices() {
    let job = Job::new();
    let folders = job.series();
    let [a, b, _] = [0, 1, 2].map(|n| series_of(&folders[n]));
    fs_err::write(job.candidates(), candidates(|series| series == a)).unwrap();
    assert_eq!(job.counts(&["--set", "score.settle_seconds=3600"]), [3, 0, 0, 0, 0, 3, 0]);
    assert_eq!(job.status()["settling"].as_array().unwrap().len(), 3);
    assert_eq!(job.counts(&[]), [3, 1, 0, 0, 2, 0, 0]);
    let waiting = job.status()["waiting"].clone();
    assert_eq!(waiting.as_array().unwrap().len(), 2);
    assert_eq!(job.counts(&[]), [3, 0, 0, 1, 2, 0, 0]);
    assert_eq!(job.status()["waiting"], waiting);
    // As a detector writes them: a folder with a table for each scan.
    let tables = job.folder.path().join("tables");
    fs_err::create_dir_all(&tables).unwrap();
    fs_err::write(tables.join("a.csv"), candidates(|series| series == a)).unwrap();
    fs_err::write(tables.join("b.csv"), candidates(|series| series == b)).unwrap();
    fs_err::write(tables.join("c.csv"), "seriesuid\n").unwrap();
    // The header announces more instances than have arrived.
    let slice = folders[1].join("000001.dcm");
    let mut object = dicom_object::open_file(&slice).unwrap();
    object.put_element(dicom_core::DataElement::new(
        dicom_dictionary_std::tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
        dicom_core::VR::IS,
        dicom_core::PrimitiveValue::from("99"),
    ));
    object.write_to_file(&slice).unwrap();
    let set = format!("score.candidates={:?}", tables.to_str().unwrap());
    let (summary, _) = job.run(3, &["--set", &set]);
    assert_eq!(counts(&summary), [3, 0, 0, 1, 1, 1, 0]);
    let unreadable = &summary["candidates"]["unreadable_files"];
    assert!(unreadable.to_string().contains("column coordX occurs 0 times"), "{summary}");
    // The warning is about the window that the job allows.
    assert_eq!(summary["warnings"].as_array().unwrap().len(), 1, "{summary}");
    fs_err::remove_file(tables.join("c.csv")).unwrap();
    assert_eq!(
        job.counts(&["--set", &set, "--set", "score.announced_hours=0"]),
        [3, 1, 0, 1, 1, 0, 0]
    );
}

#[test]
fn one_bad_scan_does_not_stop_the_night() {
    let job = Job::new();
    let folder = &job.series()[0];
    let slice = folder.join("000003.dcm");
    let whole = fs_err::read(&slice).unwrap();
    fs_err::write(&slice, &whole[..whole.len() - 100]).unwrap();
    fs_err::write(job.input().join("more.zip"), "PK no archive").unwrap();
    let (summary, log) = job.run(3, &[]);
    assert_eq!(counts(&summary), [4, 2, 0, 0, 0, 0, 0]);
    assert_eq!(
        (summary["failed"].as_u64(), summary["failures"].as_array().unwrap().len()),
        (Some(2), 2)
    );
    let series = series_of(folder);
    let failure =
        summary["failures"].as_array().unwrap().iter().find(|f| f["id"] == series.as_str());
    let cause = failure.unwrap()["cause"].as_str().unwrap();
    assert!(cause.starts_with("file-") && cause.contains("would end at byte"), "{cause}");
    assert!(log.contains(&format!("{series} failed: file-")), "{log}");
    assert_eq!(job.status()["failed"].as_array().unwrap().len(), 2);
    // A failed scan is not tried again until it changes, or with `--retry-failed`; the night is not green until then.
    let (summary, _) = job.run(3, &[]);
    assert_eq!((summary["never_scored"].as_u64(), summary["failed"].as_u64()), (Some(2), Some(0)));
    assert_eq!(job.status()["never_scored"], 2);
    assert_eq!(
        (summary["failed_before"].as_u64(), summary["unchanged"].as_u64()),
        (Some(2), Some(2))
    );
    assert_eq!(job.run(3, &["--retry-failed"]).0["failed"], 2);
    fs_err::write(&slice, whole).unwrap();
    fs_err::remove_file(job.input().join("more.zip")).unwrap();
    assert_eq!(job.counts(&[]), [3, 1, 0, 2, 0, 0, 0]);
    assert_eq!(job.status()["failed"].as_array().unwrap().len(), 0);
}

#[test]
fn two_jobs_at_once_do_not_clash() {
    let job = Job::new();
    let mut children: Vec<_> = (0..3)
        .map(|_| {
            job.command(&["--log", "none"])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut ended = Vec::new();
    for child in &mut children {
        let mut error = String::new();
        std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut error).unwrap();
        let status = child.wait().unwrap().code();
        assert!(
            status == Some(0) || error.contains("is in use by process "),
            "{status:?}: {error}"
        );
        ended.push(status);
    }
    assert!(ended.contains(&Some(0)), "{ended:?}");
    assert_eq!(job.counts(&[]), [3, 0, 0, 3, 0, 0, 0]);
    // The holder of the lock is named, by `status` too, as long as its process runs.
    let store = nodulus_store::Store::open(&job.store()).unwrap();
    let lock = store.lock().unwrap();
    let output = job.command(&[]).output().unwrap();
    let holder = format!("process {} on ", std::process::id());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&holder));
    assert!(job.status()["holder"].as_str().unwrap().starts_with(&holder));
    drop(lock);
    // The file that a killed process leaves is not a lock.
    fs_err::write(job.store().join("lock"), "process 1 on elsewhere").unwrap();
    assert_eq!(job.counts(&[])[3], 3);
}

#[test]
fn a_table_that_is_lost_is_made_again_from_the_records() {
    let job = Job::new();
    assert_eq!(job.counts(&[])[1], 3);
    let rows = job.rows();
    let tables: Vec<PathBuf> = files(&job.store().join("scores")).into_keys().collect();
    fs_err::write(&tables[0], "x").unwrap();
    assert_eq!(job.counts(&[])[3], 3);
    assert_eq!(job.rows(), rows);
}

#[test]
fn a_night_ends_between_scans() {
    let job = Job::new();
    let (summary, log) = job.run(0, &["--max-minutes", "0"]);
    assert_eq!(counts(&summary), [3, 0, 0, 0, 0, 0, 3]);
    assert_eq!(summary["stopped"], "max_minutes");
    assert!(log.contains("stopped by `--max-minutes`, 3 series remain"), "{log}");
    // More scans than run side by side, so that some are left after a signal.
    copy(&phantom().join("clinical"), &job.input().join("clinical"));
    let truth: Value =
        serde_json::from_slice(&fs_err::read(phantom().join("truth.json")).unwrap()).unwrap();
    let mut text = fs_err::read_to_string(phantom().join("luna16/candidates.csv")).unwrap();
    for patient in truth["clinical"].as_array().unwrap() {
        let [x, y, z] = [0, 1, 2].map(|a| &patient["nodules"][0]["centre_mm"][a]);
        let series = patient["series_instance_uid"].as_str().unwrap();
        writeln!(text, "{series},{x},{y},{z},1").unwrap();
    }
    fs_err::write(job.candidates(), text).unwrap();
    let mut child = job.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut next = || log.next().map(Result::unwrap);
    while let Some(line) = next() {
        if line.contains("to process") {
            break;
        }
    }
    let signalled = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    while next().is_some() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["stopped"], "signal", "{summary}");
    let left = summary["left"].as_u64().unwrap();
    assert!(left >= 2, "{summary}");
    assert_eq!(job.counts(&[])[1], left);
}

#[test]
fn impossible_settings_end_with_a_reason_and_an_empty_folder_is_fine() {
    let job = Job::new();
    let empty = job.folder.path().join("empty");
    fs_err::create_dir_all(&empty).unwrap();
    let set = |name: &str, path: &Path| format!("score.{name}={:?}", path.to_str().unwrap());
    let input = set("input", &empty);
    assert_eq!(job.counts(&["--set", &input]), [0; 7]);
    let missing = empty.join("none");
    for (set, expected) in [
        (set("input", &missing), "cannot read the folder `score.input`; mount it"),
        (set("candidates", &missing), "that `score.candidates` names"),
        (set("model", &missing), "`score.model` holds no weights; mount it"),
        (set("deidentify.key", &missing), "cannot read or write `score.deidentify.key`: "),
        (
            set("store", &job.input().join("store")),
            "error: `score.store` lies in `score.input`, which is never written to",
        ),
        (set("output", &job.input().join("out")), "lies in `score.input`"),
    ] {
        let output = job.command(&["--set", &set]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(expected), "{error}");
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["exit_status"], 1);
        assert!(summary["error"].is_string(), "{summary}");
        assert_eq!(summary["stopped"], "error");
        assert!(!job.input().join("store").exists() && !job.input().join("out").exists());
    }
    // Another job works: this one has a summary and keeps none.
    let lock = nodulus_store::Store::create(&job.store()).unwrap().lock().unwrap();
    let (summary, _) = job.run(1, &[]);
    assert!(summary["error"].as_str().unwrap().contains("is in use by process "), "{summary}");
    drop(lock);
    let text = fixture::run_well(&["score", "status", job.file().to_str().unwrap()]);
    assert!(
        text.contains(" until an error: 0 scored") && text.contains("\nerror       "),
        "{text}"
    );
    let (error, status) =
        fixture::run_badly(&["score", job.file().to_str().unwrap(), "--max-minutes", "-1"]);
    assert_eq!(status, Some(2), "{error}");
    let (_, status) =
        fixture::run_badly(&["score", job.file().to_str().unwrap(), "--set", "score.x=1"]);
    assert_eq!(status, Some(2));
}

#[test]
fn a_scan_is_the_same_in_every_format() {
    let job = Job::new();
    assert_eq!(job.counts(&[])[1], 3);
    let key = |row: &Value| {
        let names = ["series_instance_uid", "nodule_id", "volume_mm3", "mean_hu", "probability"];
        names.map(|name| row[name].to_string())
    };
    let expected: Vec<_> = job.rows().iter().map(key).collect();
    // MetaImage, as in LUNA16.
    let store = job.folder.path().join("metaimage");
    let set = [
        format!("score.input={:?}", phantom().join("luna16").to_str().unwrap()),
        format!("score.store={:?}", store.to_str().unwrap()),
    ];
    assert_eq!(job.counts(&["--set", &set[0], "--set", &set[1]])[1], 3);
    let arguments =
        ["show", "scores", "--store", store.to_str().unwrap(), "--json", "--rows", "1000"];
    let text = fixture::run_well(&arguments);
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.iter().map(key).collect::<Vec<_>>(), expected);
    assert!(rows.iter().all(|row| row["patient_id"].is_null()));
    // An archive of a series.
    let folder = &job.series()[0];
    let archive = job.input().join("series.tar");
    let mut tar = tar::Builder::new(fs_err::File::create(&archive).unwrap());
    tar.append_dir_all("s", folder).unwrap();
    tar.finish().unwrap();
    fs_err::remove_dir_all(folder).unwrap();
    assert_eq!(job.counts(&[]), [3, 0, 0, 3, 0, 0, 0]);
    assert_eq!(job.counts(&["--set", "score.probability_threshold=0.51"])[1], 3);
}

//! Series that a nightly job excludes: no scans, and scans that the rules exclude. None of them fails the night.

use crate::fixture;
use crate::nightly_job::{Job, series_of};
use serde_json::Value;
use std::path::Path;

/// Replaces bytes by others of the same length in every DICOM file of a folder.
fn replace(folder: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let paths = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for path in paths.filter(|path| path.extension().is_some_and(|end| end == "dcm")) {
        let mut bytes = fs_err::read(&path).unwrap();
        let mut n = 0;
        for at in 0..bytes.len() {
            if bytes[at..].starts_with(from.as_bytes()) {
                bytes.splice(at..at + from.len(), to.bytes());
                n += 1;
            }
        }
        assert!(n > 0, "{} is without {from}", path.display());
        fs_err::write(path, bytes).unwrap();
    }
}

fn excluded(summary: &Value) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |row: &Value| {
        (text(&row["rule"]), text(&row["reason"]), row["n_candidates"].as_u64().unwrap())
    };
    let mut found: Vec<_> = summary["exclusions"].as_array().unwrap().iter().map(of).collect();
    found.sort();
    found
}

const ORIGINAL: &str = "ORIGINAL\\PRIMARY\\AXIAL";

#[test]
fn what_is_no_scan_is_excluded_with_a_reason_and_fails_no_night() {
    let job = Job::new();
    let [mip, scout, density] = &job.series()[..] else { panic!() };
    // A projection, a localizer with candidates, and electron densities.
    replace(mip, ORIGINAL, "DERIVED\\SECONDARY\\MIP ");
    replace(scout, ORIGINAL, "DERIVED\\MORE\\LOCALIZER");
    replace(density, "LO\u{2}\0HU", "LO\u{2}\0ED");
    // Bolus tracking: several images at one position. Its candidates are in a second list.
    let bolus = job.input().join("bolus");
    fs_err::create_dir_all(&bolus).unwrap();
    let slice = fs_err::read(mip.join("000001.dcm")).unwrap();
    let uid = series_of(mip);
    let other = format!("{}1", &uid[..uid.len() - 1]);
    let other = if other == uid { format!("{}2", &uid[..uid.len() - 1]) } else { other };
    for n in 0..4u8 {
        let mut bytes = slice.clone();
        let last = bytes.len() - 1;
        bytes[last] = n;
        fs_err::write(bolus.join(format!("{n}.dcm")), bytes).unwrap();
    }
    replace(&bolus, &uid, &other);
    replace(&bolus, "DERIVED\\SECONDARY\\MIP ", ORIGINAL);
    let list = job.folder.path().join("more.csv");
    fs_err::write(&list, format!("seriesuid,coordX,coordY,coordZ\n{other},1,2,3\n")).unwrap();
    let lists = ["--set", "score.candidates=[\"candidates.csv\", \"more.csv\"]"];
    let (summary, log) = job.run(0, &lists);
    let counts = ["found", "scored", "failed", "waiting", "excluded", "excluded_before"]
        .map(|name| summary[name].as_u64().unwrap());
    assert_eq!(counts, [4, 0, 0, 0, 4, 0], "{log}");
    let found = excluded(&summary);
    let rules: Vec<&str> = found.iter().map(|(rule, ..)| rule.as_str()).collect();
    assert_eq!(rules, ["inclusion", "localizer", "not_hu", "one_position"]);
    assert_eq!(found[0].1, "a reformat by ImageType (MIP)");
    assert_eq!(found[1].1, "CT (localizer)");
    assert!(
        found[2].1.contains("holds electron densities (RescaleType is (redacted))"),
        "{found:?}"
    );
    assert!(found[3].1.starts_with("all 4 slices lie at one position, as in bolus"), "{found:?}");
    assert!(found.iter().all(|(.., n)| *n > 0) && found[3].2 == 1, "{found:?}");
    assert!(!found[2].1.contains(job.folder.path().to_str().unwrap()), "{found:?}");
    let notices = summary["notices"].to_string();
    assert!(
        notices.contains("4 series with ") && notices.contains("`score_exclusions`"),
        "{notices}"
    );
    assert!(log.contains("excluded with 1 candidates: all 4 slices"), "{log}");
    // The table of the night and the status say so too.
    let store = job.store();
    let arguments = ["show", "score_exclusions", "--store", store.to_str().unwrap(), "--json"];
    let rows = fixture::run_well(&arguments);
    assert_eq!(rows.lines().count(), 4, "{rows}");
    let row: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert!(row["scored_on"].is_string() && row["reason"].is_string(), "{row}");
    assert_eq!(job.status()["excluded"].as_array().unwrap().len(), 4);
    assert_eq!(job.status()["failed"].as_array().unwrap().len(), 0);
    // They are not read again until they change or the rules do.
    let (summary, _) = job.run(0, &lists);
    assert_eq!((&summary["excluded"], &summary["excluded_before"]), (&0.into(), &4.into()));
    let keep = [&lists[..], &["--set", "score.inclusion.exclude_reformats=false"]].concat();
    let (summary, log) = job.run(0, &keep);
    assert_eq!((&summary["scored"], &summary["excluded"]), (&1.into(), &3.into()), "{log}");
    // A scan that was scored and is excluded later keeps its rows, as superseded.
    job.run(0, &lists);
    let rows = job.rows();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["superseded"] == true), "{rows:?}");
}

#[test]
fn rules_of_inclusion_are_those_of_ingest() {
    let job = Job::new();
    let rules = ["--set", "score.inclusion.max_slice_thickness_mm=0.1"];
    let (summary, _) = job.run(0, &rules);
    let found = excluded(&summary);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|(_, reason, _)| reason.ends_with("mm is over 0.1 mm")), "{found:?}");
    let rules = ["--set", "score.inclusion.kernels=[\"NONE\"]"];
    let found = excluded(&job.run(0, &rules).0);
    assert!(found[0].1.ends_with("is not in score.inclusion.kernels"), "{found:?}");
    // A scan with a fault is a failure still.
    fs_err::remove_file(job.series()[0].join("000005.dcm")).unwrap();
    let (summary, _) = job.run(3, &[]);
    assert_eq!((&summary["failed"], &summary["scored"]), (&1.into(), &2.into()), "{summary}");
    let more = ["--set", "score.inclusion.thinnest_of_study=true"];
    let output = job.command(&more).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("scans arrive one at a time"), "{text}");
}

#[test]
fn what_a_series_is_comes_before_its_faults() {
    let job = Job::new();
    let [mip, density, scan] = &job.series()[..] else { panic!() };
    // A projection without a slope, electron densities of 32 bits, and a scan with both faults.
    let slope = ["\x28\0\x53\x10DS", "\x28\0\x55\x10DS"];
    let bits = ["\x28\0\0\x01US\x02\0\x10\0", "\x28\0\0\x01US\x02\0\x20\0"];
    replace(mip, ORIGINAL, "DERIVED\\SECONDARY\\MIP ");
    replace(density, "LO\u{2}\0HU", "LO\u{2}\0ED");
    for (folder, [from, to]) in [(mip, slope), (density, bits), (scan, slope)] {
        replace(folder, from, to);
    }
    // The last slice of the projection is empty as well.
    let files = nodulus_formats::cohort::files_below(mip).unwrap();
    let is_slice = |file: &&std::path::PathBuf| file.extension().is_some_and(|end| end == "dcm");
    fs_err::write(files.iter().rfind(is_slice).unwrap(), "").unwrap();
    let (summary, log) = job.run(3, &[]);
    let found = excluded(&summary);
    let rules: Vec<&str> = found.iter().map(|(rule, ..)| rule.as_str()).collect();
    assert_eq!(rules, ["inclusion", "not_hu"], "{log}");
    assert_eq!(summary["failed"], 1, "{log}");
    assert!(log.contains("RescaleSlope (0028,1053) is missing"), "{log}");
    // Where projections are scored, its faults count, beside those of the scan.
    let (summary, log) = job.run(3, &["--set", "score.inclusion.exclude_reformats=false"]);
    assert_eq!(summary["failed"], 2, "{log}");
    assert!(log.contains("may lack a slice"), "{log}");
}

//! No name of the input, and none of its dates beside a moved one, reaches what the nightly job writes.

use crate::fixture;
use crate::nightly_job::files;
use crate::planted::{NAME, PATIENT, Planted, UID, find};
use nodulus_store::hash;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

const OUTPUTS: &str = "score.outputs=[\"seg\",\"rtstruct\",\"nifti\",\"png\",\"json\"]";
const DEIDENTIFY: &str = "score.deidentify.key=\"key\"";

/// What a run wrote, by name.
type Written = BTreeMap<String, Vec<u8>>;

fn planted() -> Planted {
    let mut planted = Planted::new();
    planted.broken_series();
    #[cfg(unix)]
    planted.odd_names();
    planted.archives();
    planted.images();
    planted
}

/// Runs the job in both forms of its log and tables; returns all that it wrote.
fn run(planted: &Planted, set: &[&str]) -> (Value, Written) {
    let job = &planted.job;
    let tables = format!("score.candidates={:?}", planted.candidates().to_str().unwrap());
    let threshold = "score.probability_threshold=0.3";
    let more =
        [set, &["--set", threshold, "--set", &tables, "--set", "score.points_in_input=true"]]
            .concat();
    let rules = "score.inclusion.exclude_description=[\"nothing like it\"]";
    let kernels = "score.inclusion.kernels=[\"B30f\"]";
    let mut written = Written::new();
    let (summary, log) = job.run(3, &more);
    written.insert("the log".to_owned(), log.into_bytes());
    written.insert("the summary".to_owned(), summary.to_string().into_bytes());
    // Once more, so that what was kept is read: with a log of text, another rule, and failures tried again.
    let again = [&more[..], &["--retry-failed", "--log", "text", "--set", rules]].concat();
    written.insert("the second log".to_owned(), job.run(3, &again).1.into_bytes());
    let excluding = [&more[..], &["--set", kernels]].concat();
    written.insert("the third log".to_owned(), job.run(3, &excluding).1.into_bytes());
    written.insert("the status".to_owned(), job.status().to_string().into_bytes());
    // A table that the settings name and that cannot be read stops the run.
    let bad = planted.candidates().join(format!("{NAME}`0.csv"));
    let bad = format!("score.candidates={:?}", bad.to_str().unwrap());
    let output = job.command(&[set, &["--set", &bad]].concat()).output().unwrap();
    written.insert("the error".to_owned(), [output.stderr, output.stdout].concat());
    let store = job.store();
    for table in ["scores", "score_exclusions", "growth", "drift"] {
        let arguments =
            ["show", table, "--store", store.to_str().unwrap(), "--json", "--rows", "9999"];
        written.insert(format!("the table {table}"), fixture::run_well(&arguments).into_bytes());
    }
    for (path, bytes) in files(&store) {
        let name = path.strip_prefix(&store).unwrap().to_string_lossy().into_owned();
        written.insert(format!("the name {name}"), name.clone().into_bytes());
        let unpacked =
            if path.extension().is_some_and(|end| end == "gz") { unzipped(&bytes) } else { bytes };
        written.insert(name, unpacked);
    }
    (summary, written)
}

fn unzipped(bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut unpacked).unwrap();
    unpacked
}

/// The forms in which a text may stand: as it is, in UTF-16, percent-encoded and as hexadecimal.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let text = text.to_ascii_lowercase();
    let wide = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect();
    let hexadecimal = |before: &str| -> Vec<u8> {
        text.bytes().flat_map(|byte| format!("{before}{byte:02x}").into_bytes()).collect()
    };
    // Read as the tag of an element.
    let tag =
        |of: &[u8]| format!("{:02x}{:02x},{:02x}{:02x}", of[1], of[0], of[3], of[2]).into_bytes();
    let upper = text.to_ascii_uppercase();
    let mut forms = vec![
        text.clone().into_bytes(),
        wide(u16::to_le_bytes),
        wide(u16::to_be_bytes),
        hexadecimal("%"),
        hexadecimal(""),
    ];
    forms.extend(upper.as_bytes().windows(4).take(8).map(tag));
    forms
}

/// Every place where one of the marks stands, with the text about it.
fn found(written: &Written, marks: &[&str], is_searched: impl Fn(&str) -> bool) -> Vec<String> {
    let forms: Vec<Vec<u8>> = marks.iter().flat_map(|mark| forms(mark)).collect();
    let mut places = Vec::new();
    for (name, bytes) in written.iter().filter(|(name, _)| is_searched(name)) {
        let bytes = bytes.to_ascii_lowercase();
        for form in &forms {
            if let Some(at) = find(&bytes, form) {
                let about = &bytes[at.saturating_sub(150)..(at + 60).min(bytes.len())];
                places.push(format!("{name}: ...{}...", String::from_utf8_lossy(about)));
            }
        }
    }
    places
}

/// The redacted names of files in a text.
fn file_names(bytes: &[u8]) -> Vec<String> {
    const BEGIN: &str = "file-";
    let length = hash::id(BEGIN, [""]).len();
    let names = bytes.windows(length).filter(|name| name.starts_with(BEGIN.as_bytes()));
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// Whether the run met what was planted: most of it fails or is excluded, the whole series are scored.
fn check_outcomes(summary: &Value) {
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert!(count("scored") >= 4, "{summary:#}");
    assert!(count("failed") >= 25, "{summary:#}");
    assert!(count("excluded") >= 2, "{summary:#}");
    let warnings = summary["warnings"].as_array().unwrap();
    assert!(warnings.len() >= 5, "{summary:#}");
}

#[test]
fn de_identified_results_and_messages_name_nobody() {
    let planted = planted();
    fs_err::write(planted.job.folder.path().join("key"), "0123456789abcdef0123456789abcdef")
        .unwrap();
    let (summary, written) = run(&planted, &["--set", OUTPUTS, "--set", DEIDENTIFY]);
    check_outcomes(&summary);
    let places = found(&written, &[NAME, PATIENT], |_| true);
    assert!(places.is_empty(), "{} places:\n{}", places.len(), places.join("\n"));
    // The cache of the input has the UIDs of its series, and is no output.
    let uid = planted.first_series();
    let places = found(&written, &[UID, &uid], |name| name != "cache/input.json");
    assert!(places.is_empty(), "{} places:\n{}", places.len(), places.join("\n"));
    check_dates(&planted.job.store());
    // Nobody without the key can test which path a redacted name is of.
    let below = |folder: &Path| -> Vec<String> {
        let relative =
            |path: &PathBuf| path.strip_prefix(folder).unwrap().to_str().map(str::to_owned);
        let paths = files(folder).into_keys();
        let folders =
            paths.flat_map(|path| path.ancestors().map(PathBuf::from).collect::<Vec<_>>());
        let inside: BTreeSet<PathBuf> = folders.filter(|path| path.starts_with(folder)).collect();
        inside.iter().filter_map(relative).map(|path| hash::id("file-", [path.as_str()])).collect()
    };
    let plain = [below(&planted.job.input()), below(&planted.candidates())].concat();
    let plain: BTreeSet<String> = plain.into_iter().collect();
    assert!(plain.len() > 50);
    let shown: BTreeSet<String> = written.values().flat_map(|bytes| file_names(bytes)).collect();
    assert!(!shown.is_empty());
    let unkeyed: Vec<&String> = shown.intersection(&plain).collect();
    assert!(unkeyed.is_empty(), "{unkeyed:?}");
}

#[test]
fn logs_summaries_and_records_name_nobody() {
    let planted = planted();
    let (summary, mut written) = run(&planted, &["--set", OUTPUTS]);
    check_outcomes(&summary);
    // `growth` names kernels as scanners do, and is made of records.
    for (_, bytes) in written.iter_mut().filter(|(name, _)| name.starts_with("series/")) {
        let mut record: Value = serde_json::from_slice(bytes).unwrap();
        remove_kernels(&mut record);
        *bytes = serde_json::to_vec(&record).unwrap();
    }
    let is_message = |name: &str| {
        name.starts_with("the ") && !name.starts_with("the table")
            || ["runs/", "series/", "cache/"].iter().any(|folder| name.starts_with(folder))
    };
    let folder = planted.job.folder.path().to_str().unwrap();
    let places = found(&written, &[NAME, folder], is_message);
    assert!(places.is_empty(), "{} places:\n{}", places.len(), places.join("\n"));
    // Records have rows, and these the id of their patient.
    let places =
        found(&written, &[PATIENT], |name| is_message(name) && !name.starts_with("series/"));
    assert!(places.is_empty(), "{} places:\n{}", places.len(), places.join("\n"));
    // What is searched for can be found: results that are not de-identified name their patients.
    let is_output = |name: &str| name.starts_with("output/") || name == "the table scores";
    assert!(found(&written, &[PATIENT], is_output).len() >= 4);
    assert!(!found(&written, &[NAME], |name| name.ends_with("_segmentation.dcm")).is_empty());
}

fn remove_kernels(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("kernel");
            fields.values_mut().for_each(remove_kernels);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_kernels),
        _ => {}
    }
}

/// Every date of a patient's results is moved by the same days: none is the day of scoring.
fn check_dates(store: &Path) {
    use dicom_dictionary_std::tags;
    use nodulus_formats::dicom::Date;
    let rows = |table: &str| -> Vec<Value> {
        let store = store.to_str().unwrap();
        let arguments = ["show", table, "--store", store, "--json", "--rows", "9999"];
        let text = fixture::run_well(&arguments);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let nights: BTreeSet<String> = files(&store.join("runs"))
        .keys()
        .map(|path| path.file_name().unwrap().to_str().unwrap()[..10].to_owned())
        .collect();
    let mut days: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows("scores") {
        let [series, day] =
            ["series_instance_uid", "scored_on"].map(|key| row[key].as_str().unwrap());
        days.entry(series.to_owned()).or_default().insert(day.to_owned());
    }
    assert!(days.len() >= 3, "{days:?}");
    assert!(days.values().flatten().all(|day| !nights.contains(day)), "{days:?}");
    let excluded = rows("score_exclusions");
    assert!(!excluded.is_empty());
    for row in excluded {
        let at = row["excluded_at"].as_str().unwrap();
        assert_eq!(Date::from_iso(at).map(|_| at), row["scored_on"].as_str(), "{row}");
        assert!(!nights.contains(at), "{row}");
    }
    // Drift is of nights, and names no series.
    assert!(rows("drift").iter().all(|row| nights.contains(row["scored_on"].as_str().unwrap())));
    // Objects and documents have the day of their rows.
    let is_object = |path: &&PathBuf| path.to_str().unwrap().ends_with("_segmentation.dcm");
    let output = files(&store.join("output"));
    let mut n_objects = 0;
    for path in output.keys().filter(is_object) {
        let object = dicom_object::open_file(path).unwrap();
        let text = |tag| object.element(tag).unwrap().to_str().unwrap().into_owned();
        let name = path.file_name().unwrap().to_str().unwrap();
        let series = name.strip_suffix("_segmentation.dcm").unwrap();
        let day = Date::from_dicom(text(tags::CONTENT_DATE).trim()).unwrap().to_string();
        assert!(days[series].contains(&day), "{day} {days:?}");
        n_objects += 1;
    }
    assert!(n_objects > 0);
    for (path, bytes) in &output {
        for night in &nights {
            for text in [night.clone(), night.replace('-', "")] {
                assert!(find(bytes, text.as_bytes()).is_none(), "{text} is in {}", path.display());
            }
        }
    }
}

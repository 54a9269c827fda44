//! A nightly job that scores scans again: what lasts, and what is replaced.

use crate::fixture;
use crate::nightly_job::{Job, copy, files, series_of, write_visits};
use dicom_dictionary_std::tags;
use dicom_object::{FileDicomObject, InMemDicomObject};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

type Object = FileDicomObject<InMemDicomObject>;

const OUTPUTS: &str =
    "score.outputs=[\"seg\",\"rtstruct\",\"sr\",\"sc\",\"rejection\",\"png\",\"json\"]";

fn text(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned()
}

/// The records of the scored series, by series.
fn records(job: &Job) -> BTreeMap<String, Value> {
    let records = files(&job.store().join("series")).into_values();
    let records = records.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
    records.map(|record| (record["id"].as_str().unwrap().to_owned(), record)).collect()
}

/// The file of a result whose name has this end.
fn file_of(output: &Path, attempt: &Value, end: &str) -> Option<PathBuf> {
    let outputs = attempt["outcome"]["scored"]["outputs"].as_array()?;
    let path = outputs.iter().find(|path| path.as_str().unwrap().ends_with(end))?;
    Some(output.join(path.as_str().unwrap()))
}

fn opened(output: &Path, attempt: &Value, end: &str) -> Option<Object> {
    Some(dicom_object::open_file(file_of(output, attempt, end)?).unwrap())
}

/// `TrackingID` and `TrackingUID` of the segments.
fn tracked(segmentation: &Object) -> BTreeMap<String, String> {
    let segments = segmentation.element(tags::SEGMENT_SEQUENCE).unwrap().items().unwrap();
    let ids = segments.iter().map(|of| (text(of, tags::TRACKING_ID), text(of, tags::TRACKING_UID)));
    ids.collect()
}

#[test]
fn a_rescore_keeps_ids_and_series_and_rejects_what_it_replaces() {
    let job = Job::new();
    let output = job.store().join("output");
    let at = |threshold: &str| {
        let set = format!("score.probability_threshold={threshold}");
        job.run(0, &["--set", OUTPUTS, "--set", &set]).0
    };
    assert_eq!(at("0.3")["scored"], 3);
    // A detector's next run moves its candidates by half a millimetre, so that no id follows from them.
    let before = job.rows();
    let text_of = fs_err::read_to_string(job.candidates()).unwrap();
    let mut moved = String::new();
    for (n, line) in text_of.lines().enumerate() {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        if n > 0 {
            cells[1] = (cells[1].parse::<f64>().unwrap() + 0.5).to_string();
        }
        writeln!(moved, "{}", cells.join(",")).unwrap();
    }
    fs_err::write(job.candidates(), moved).unwrap();
    let summary = at("0.3");
    assert_eq!((&summary["scored"], &summary["superseded"]), (&3.into(), &3.into()));
    let ids = |rows: &[Value], superseded: bool| -> Vec<String> {
        let with_voxels = rows.iter().filter(|row| {
            row["superseded"] == superseded && row["volume_mm3"].as_f64() > Some(0.0)
        });
        let mut ids: Vec<String> =
            with_voxels.map(|row| row["nodule_id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let after = job.rows();
    let kept = ids(&before, false);
    assert_eq!(ids(&after, true), kept);
    let again = ids(&after, false);
    let n_kept = again.iter().filter(|id| kept.contains(id)).count();
    // Masks with another outline may merge or part; most nodules are the same.
    assert!(n_kept > 0 && 2 * n_kept >= again.len(), "{n_kept} of {}", again.len());

    let mut n_compared = 0;
    for record in records(&job).values() {
        let (old, new) = (&record["superseded"][0], &record["current"]);
        let [Some(seg), Some(was)] = [new, old].map(|of| opened(&output, of, "_segmentation.dcm"))
        else {
            continue;
        };
        n_compared += 1;
        assert_ne!(text(&seg, tags::SOP_INSTANCE_UID), text(&was, tags::SOP_INSTANCE_UID));
        for tag in [tags::SERIES_INSTANCE_UID, tags::SERIES_NUMBER] {
            assert_eq!(text(&seg, tag), text(&was, tag));
        }
        let instance = |of: &Object| text(of, tags::INSTANCE_NUMBER);
        assert_eq!((instance(&was).as_str(), instance(&seg).as_str()), ("1", "2"));
        let (now, then) = (tracked(&seg), tracked(&was));
        assert!(now.iter().all(|(id, uid)| then.get(id).is_none_or(|earlier| earlier == uid)));
        // The report follows the same nodules.
        let report = file_of(&output, new, "_measurements.dcm").unwrap();
        let report = String::from_utf8_lossy(&fs_err::read(report).unwrap()).into_owned();
        assert!(now.values().all(|uid| report.contains(uid.as_str())));
        // The note rejects each object of the earlier result, and nothing else.
        let note = opened(&output, new, "_rejection_note.dcm").unwrap();
        let rejected: Vec<String> = note
            .element(tags::CONTENT_SEQUENCE)
            .unwrap()
            .items()
            .unwrap()
            .iter()
            .filter_map(|item| item.element(tags::REFERENCED_SOP_SEQUENCE).ok()?.items()?.first())
            .map(|item| text(item, tags::REFERENCED_SOP_INSTANCE_UID))
            .collect();
        let objects = old["outcome"]["scored"]["objects"].as_object().unwrap();
        let mut expected: Vec<&str> =
            objects.values().map(|of| of["sop_instance_uid"].as_str().unwrap()).collect();
        assert_eq!(expected.len(), 4);
        expected.sort_unstable();
        let mut rejected_sorted = rejected.clone();
        rejected_sorted.sort();
        assert_eq!(rejected_sorted, expected);
        assert!(opened(&output, old, "_rejection_note.dcm").is_none());
    }
    assert!(n_compared > 0);

    // A third result rejects the second one alone, whose note rejects the first.
    assert_eq!(at("0.35")["superseded"], 3);
    for record in records(&job).values() {
        let Some(note) = opened(&output, &record["current"], "_rejection_note.dcm") else {
            continue;
        };
        let second = &record["superseded"][1]["outcome"]["scored"]["objects"];
        let second = second.as_object().unwrap();
        let n = second.keys().filter(|kind| *kind != "rejection").count();
        let listed = note.element(tags::CONTENT_SEQUENCE).unwrap().items().unwrap().iter();
        let listed = listed.filter(|of| of.element(tags::REFERENCED_SOP_SEQUENCE).is_ok());
        assert_eq!(listed.count(), n);
    }
    // What was requested later is the same as if it had been requested at once.
    let all = files(&output);
    assert_eq!(at("0.35")["unchanged"], 3);
    assert_eq!(files(&output), all);
}

/// The objects of the current result of each series, by kind.
fn current_objects(job: &Job) -> BTreeMap<String, BTreeMap<String, Value>> {
    let of = |record: &Value| -> BTreeMap<String, Value> {
        let objects = record["current"]["outcome"]["scored"]["objects"].as_object();
        objects.into_iter().flatten().map(|(kind, of)| (kind.clone(), of.clone())).collect()
    };
    records(job).iter().map(|(series, record)| (series.clone(), of(record))).collect()
}

/// Every instance that an object refers to, in any sequence.
fn referenced(object: &InMemDicomObject, found: &mut Vec<String>) {
    for element in object {
        if element.header().tag == tags::REFERENCED_SOP_INSTANCE_UID {
            found.push(element.to_str().unwrap().trim_end_matches('\0').to_owned());
        }
        for item in element.items().into_iter().flatten() {
            referenced(item, found);
        }
    }
}

#[test]
fn every_object_has_one_place_in_a_history_that_goes_back() {
    let job = Job::new();
    let output = job.store().join("output");
    let at = |threshold: &str| {
        let set = format!("score.probability_threshold={threshold}");
        let (summary, _) = job.run(0, &["--set", OUTPUTS, "--set", &set]);
        ["scored", "restored", "unchanged"].map(|key| summary[key].as_u64().unwrap())
    };
    let shown = |job: &Job| -> Vec<Value> {
        job.rows().into_iter().filter(|row| row["superseded"] == false).collect()
    };
    // The first and the second result come back, and the first again.
    let nights = ["0.3", "0.35", "0.3", "0.4", "0.35", "0.3"];
    let (mut rows, mut before): (BTreeMap<&str, Vec<Value>>, _) =
        (BTreeMap::new(), BTreeMap::new());
    let mut instances = std::collections::BTreeSet::new();
    // The objects of each series and kind, oldest first.
    let mut history: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut n_notes = 0;
    for (n, threshold) in nights.into_iter().enumerate() {
        let is_back = nights[..n].contains(&threshold);
        assert_eq!(at(threshold), if is_back { [0, 3, 0] } else { [3, 0, 0] }, "{n}");
        // A result that comes back has its rows, with the ids of its nodules.
        assert_eq!(*rows.entry(threshold).or_insert_with(|| shown(&job)), shown(&job), "{n}");
        let now = current_objects(&job);
        for (series, objects) in &now {
            let earlier: &BTreeMap<String, Value> =
                before.get(series).unwrap_or(const { &BTreeMap::new() });
            let record = &records(&job)[series];
            for (kind, object) in objects {
                let uid = object["sop_instance_uid"].as_str().unwrap();
                assert!(instances.insert(uid.to_owned()), "{kind} of night {n} is an earlier one");
                let of_kind = history.entry((series.clone(), kind.clone())).or_default();
                assert_eq!(object["instance_number"], of_kind.len() + 1, "{kind} of night {n}");
                let ending = match kind.as_str() {
                    "seg" => "_segmentation.dcm",
                    "rtstruct" => "_structure_set.dcm",
                    "sr" => "_measurements.dcm",
                    "sc" => "_overlay.dcm",
                    _ => "_rejection_note.dcm",
                };
                let file = opened(&output, &record["current"], ending).unwrap();
                assert_eq!(text(&file, tags::SOP_INSTANCE_UID), uid);
                let mut found = Vec::new();
                referenced(&file, &mut found);
                // A note refers to all that was current, any other object to the last one of its kind.
                let uid_of = |of: &Value| of["sop_instance_uid"].as_str().unwrap().to_owned();
                let mut expected: Vec<String> = match kind.as_str() {
                    "rejection" => {
                        n_notes += 1;
                        let rejected = earlier.iter().filter(|(kind, _)| *kind != "rejection");
                        rejected.map(|(_, of)| uid_of(of)).collect()
                    }
                    _ => of_kind.last().cloned().into_iter().collect(),
                };
                found.retain(|uid| {
                    instances.contains(uid) && objects.values().all(|of| uid_of(of) != *uid)
                });
                for list in [&mut found, &mut expected] {
                    list.sort();
                    list.dedup();
                }
                assert_eq!(found, expected, "{kind} of night {n}");
                of_kind.push(uid.to_owned());
            }
        }
        before = now;
        assert_eq!(at(threshold), [0, 0, 3]);
    }
    assert!(n_notes >= nights.len() - 1);
    // What is requested later joins the objects of its night.
    let more = OUTPUTS.replace("\"png\"", "\"png\",\"nifti\"");
    let set = ["--set", &more, "--set", "score.probability_threshold=0.3"];
    assert_eq!(job.run(0, &set).0["completed"], 3);
    assert_eq!(current_objects(&job), before);
}

#[test]
fn a_store_refuses_other_names_before_anything_is_read() {
    let job = Job::new();
    for (name, key) in [("key", "0123456789abcdef"), ("other", "another key of 26 characters")] {
        fs_err::write(job.store().with_file_name(name), key).unwrap();
    }
    let as_is = job.store();
    assert_eq!(job.run(0, &["--set", OUTPUTS]).0["scored"], 3);
    let rows = job.rows();
    let with = |key: &str, uids: &str| {
        [format!("score.deidentify.key={key:?}"), format!("score.deidentify.uids={uids:?}")]
    };
    let refused = |store: &Path, sets: &[String], expected: &str| {
        let at = format!("score.store={:?}", store.to_str().unwrap());
        // Nothing is read: the input does not even exist.
        let mut more = vec!["--set", OUTPUTS, "--set", "score.input=none", "--set", &at];
        more.extend(sets.iter().flat_map(|set| ["--set", set.as_str()]));
        let (summary, log) = job.run(1, &more);
        let error = summary["error"].as_str().unwrap();
        assert!(
            error.contains(expected) && error.contains("name another `score.store`"),
            "{error}"
        );
        assert!(log.contains(error), "{log}");
    };
    refused(&as_is, &with("key", "keep"), "ask for pseudonyms with their own UIDs");
    assert_eq!(job.rows(), rows);
    assert_eq!(job.run(0, &["--set", OUTPUTS]).0["unchanged"], 3);
    // A store of pseudonyms, by key and by what becomes of UIDs.
    let hidden = as_is.with_file_name("hidden");
    let at = format!("score.store={:?}", hidden.to_str().unwrap());
    let [key, uids] = with("key", "replace");
    assert_eq!(job.run(0, &["--set", &at, "--set", &key, "--set", &uids]).0["scored"], 3);
    refused(&hidden, &with("other", "replace"), "with replaced UIDs of another key");
    refused(&hidden, &with("key", "keep"), "pseudonyms with their own UIDs");
    refused(&hidden, &[], "ask for the patients as they are");
    // A store of an earlier program tells it by its results.
    fs_err::remove_file(hidden.join("identity.json")).unwrap();
    refused(&hidden, &[], "name others, and the settings ask for the patients as they are");
}

/// A copy of a visit's files under other UIDs, with another thickness or kernel in their headers.
fn reconstruct(from: &Path, to: &Path, change: &dyn Fn(&mut InMemDicomObject)) -> String {
    fs_err::create_dir_all(to).unwrap();
    let paths: Vec<PathBuf> = files(from).into_keys().collect();
    for path in &paths {
        let mut object = dicom_object::open_file(path).unwrap();
        change(&mut object);
        let uid = text(&object, tags::SOP_INSTANCE_UID);
        object.meta_mut().media_storage_sop_instance_uid = uid;
        object.meta_mut().update_information_group_length();
        object.write_to_file(to.join(path.file_name().unwrap())).unwrap();
    }
    series_of(to)
}

#[test]
fn a_nodule_of_two_visits_has_one_row_and_identical_data_do_not_grow() {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    let job = Job::new();
    let input = job.store().with_file_name("visits");
    let made = job.store().with_file_name("made");
    let visits = write_visits(&made);
    let put = |object: &mut InMemDicomObject, tag, vr, value: &str| {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    };
    // Two visits of the same data, each as a soft and a sharp reconstruction. The sharp one is the grown scan, so that
    // pairs across would differ by the growth.
    let mut candidates = "seriesuid,coordX,coordY,coordZ\n".to_owned();
    let mut sharp = Vec::new();
    for (visit, study, day) in [("1", "2.25.81", "20250101"), ("2", "2.25.82", "20250701")] {
        for (scan, n, kernel) in [("earlier", 0, "SOFT"), ("later", 1, "SHARP")] {
            let uid = reconstruct(
                &made.join(scan),
                &input.join(format!("{visit}-{kernel}")),
                &|object| {
                    for tag in [tags::SOP_INSTANCE_UID, tags::SERIES_INSTANCE_UID] {
                        let own = text(object, tag);
                        put(object, tag, VR::UI, &format!("{own}.{visit}"));
                    }
                    put(object, tags::STUDY_INSTANCE_UID, VR::UI, study);
                    put(object, tags::STUDY_DATE, VR::DA, day);
                    put(object, tags::CONVOLUTION_KERNEL, VR::SH, kernel);
                },
            );
            for nodule in &visits[n].nodules {
                let [x, y, z] = nodule.centre_mm;
                writeln!(candidates, "{uid},{x},{y},{z}").unwrap();
            }
            sharp.extend((kernel == "SHARP").then_some(uid));
        }
    }
    fs_err::write(job.candidates(), candidates).unwrap();
    let set = format!("score.input={:?}", input.to_str().unwrap());
    let arguments = ["--set", &set, "--set", "score.probability_threshold=0.3"];
    assert_eq!(job.counts(&arguments)[1], 4);
    let store = job.store();
    let shown = ["show", "growth", "--store", store.to_str().unwrap(), "--json", "--rows", "99"];
    let growth: Vec<Value> =
        fixture::run_well(&shown).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!growth.is_empty());
    let mut nodules: Vec<&str> = Vec::new();
    for row in &growth {
        assert_eq!(
            (&row["alike"], &row["kernel"]),
            (&true.into(), &row["earlier_kernel"]),
            "{row}"
        );
        assert_eq!(row["differences"].as_array().unwrap().len(), 0);
        assert_eq!(row["other_series_instance_uids"].as_array().unwrap().len(), 2);
        assert_eq!((&row["matched"], &row["days"]), (&true.into(), &181.into()), "{row}");
        assert_eq!(
            (row["change_mm3"].as_f64(), row["change_percent"].as_f64()),
            (Some(0.0), Some(0.0))
        );
        nodules.push(row["nodule_id"].as_str().unwrap());
    }
    nodules.sort_unstable();
    let n = nodules.len();
    nodules.dedup();
    assert_eq!(nodules.len(), n);
    // Once the later visit lacks the earlier one's reconstruction, the change is flagged.
    let kept = growth[0]["series_instance_uid"].as_str().unwrap();
    let is_sharp = sharp.iter().any(|uid| uid == kept);
    let other = if is_sharp { ["1-SHARP", "2-SOFT"] } else { ["1-SOFT", "2-SHARP"] };
    let few = job.store().with_file_name("few");
    for folder in other {
        copy(&input.join(folder), &few.join(folder));
    }
    let set = format!("score.input={:?}", few.to_str().unwrap());
    let second = job.store().with_file_name("second");
    let at = format!("score.store={:?}", second.to_str().unwrap());
    let arguments = ["--set", &set, "--set", &at, "--set", "score.probability_threshold=0.3"];
    assert_eq!(job.counts(&arguments)[1], 2);
    let shown = ["show", "growth", "--store", second.to_str().unwrap(), "--json", "--rows", "99"];
    let rows = fixture::run_well(&shown);
    assert!(!rows.is_empty());
    for line in rows.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&row["alike"], &row["significant"]), (&false.into(), &Value::Null), "{row}");
        assert_eq!(row["doubling_days"], Value::Null);
        assert!(row["differences"][0].as_str().unwrap().starts_with("kernels are "), "{row}");
    }
}

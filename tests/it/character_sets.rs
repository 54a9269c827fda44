//! Names of patients in DICOM's character sets come out in UTF-8.

use crate::python;
use crate::scored_files::{case, write_ct};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use nodulus::nightly::Identity;
use nodulus_formats::cohort::files_below;
use nodulus_formats::dicom::undecoded_attributes;
use serde_json::Value;
use std::path::Path;

#[test]
fn a_text_with_a_backslash_is_left_out_of_objects() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_ct(folder.path()).remove(0);
    assert!(undecoded_attributes(&first).unwrap().is_empty());
    let mut object = dicom_object::open_file(&first).unwrap();
    for (tag, vr) in [
        (tags::PATIENT_NAME, VR::PN),
        (tags::STUDY_DESCRIPTION, VR::LO),
        (tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from("2\\3")));
    }
    object.write_to_file(&first).unwrap();
    assert_eq!(undecoded_attributes(&first).unwrap(), ["StudyDescription", "PatientName"]);
}

#[test]
fn names_in_every_character_set_are_written_as_utf_8() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (ct, copies) = (path("ct"), path("copies"));
    write_ct(&ct);
    let arguments = ["write", ct.to_str().unwrap(), copies.to_str().unwrap()];
    let Some(text) = python::script("character_sets.py", &arguments) else { return };
    let mut all: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(all.len(), 20);
    for (n, made) in all.iter_mut().enumerate() {
        let files = files_below(Path::new(made["folder"].as_str().unwrap())).unwrap();
        let written = case(&files, &Identity::AsIs, false, &path(&format!("out{n}")));
        made["files"] = written["files"].clone();
        let left_out = undecoded_attributes(&files[0]).unwrap();
        let expected: &[&str] = if made["name"] == "" { &["PatientName"] } else { &[] };
        assert_eq!(left_out, expected, "{made}");
    }
    let list = path("cases.json");
    fs_err::write(&list, serde_json::to_vec(&all).unwrap()).unwrap();
    python::script("character_sets.py", &["check", list.to_str().unwrap()]).unwrap();
}

//! Files of two images in one series, by each attribute and arrangement: as single slices and as frames of one file.

use super::multi_frame::{change_group, enhanced_of, put, sequence};
use super::samples;
use crate::dicom::error::keyword;
use crate::dicom::series::telling::{keywords, told_tags};
use crate::dicom::{Error, Tolerances, read_series};
use crate::volume::{Geometry, Volume};
use dicom_core::VR::{AS, CS, DA, DS, DT, FD, FL, IS, LO, LT, SH, SQ, ST, TM, UI, UL, US};
use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::collections::BTreeSet;
use std::path::PathBuf;

const N_SLICES: usize = 12;

/// An attribute with the values of two images.
struct Case {
    tag: Tag,
    vr: VR,
    values: [&'static str; 2],
    /// Its functional group, where a frame has it.
    group: Option<Tag>,
    of_slices: bool,
    /// Whether a slice without a value may be of any image.
    may_lack: bool,
}

const fn case(tag: Tag, vr: VR, values: [&'static str; 2]) -> Case {
    Case { tag, vr, values, group: None, of_slices: true, may_lack: false }
}

impl Case {
    const fn group(self, group: Tag) -> Self {
        Self { group: Some(group), ..self }
    }

    const fn or_missing(self) -> Self {
        Self { may_lack: true, ..self }
    }

    const fn frames_only(self) -> Self {
        Self { of_slices: false, ..self }
    }

    fn value(&self, at: usize) -> PrimitiveValue {
        let text = self.values[at];
        match self.vr {
            VR::FD => PrimitiveValue::from(text.parse::<f64>().unwrap()),
            VR::FL => PrimitiveValue::from(text.parse::<f32>().unwrap()),
            VR::UL => PrimitiveValue::from(text.parse::<u32>().unwrap()),
            VR::US => PrimitiveValue::from(text.parse::<u16>().unwrap()),
            _ => PrimitiveValue::from(text),
        }
    }

    fn set(&self, object: &mut InMemDicomObject, image: Option<usize>) {
        match image {
            Some(at) if self.vr == SQ => {
                let mut item = InMemDicomObject::new_empty();
                put(&mut item, tags::CODE_VALUE, SH, self.value(at));
                object.put(sequence(self.tag, vec![item]));
            }
            Some(at) => put(object, self.tag, self.vr, self.value(at)),
            None => {
                object.remove_element(self.tag);
            }
        }
    }
}

const AB: [&str; 2] = ["AAA", "BBB"];
const NUMBERS: [&str; 2] = ["10", "20"];
const TIMES: [&str; 2] = ["120000", "121500"];
const DOSES: [&str; 2] = ["10", "30"];
const UNITS: [&str; 2] = ["10000", "30000"];
const DATES: [&str; 2] = ["20200101", "20200102"];
const DATE_TIMES: [&str; 2] = ["20200101120000", "20200101121500"];
const UIDS: [&str; 2] = ["1.2.3.1", "1.2.3.2"];

const CONTENT: Tag = tags::FRAME_CONTENT_SEQUENCE;
const RECONSTRUCTION: Tag = tags::CT_RECONSTRUCTION_SEQUENCE;
const OF_EXPOSURE: Tag = tags::CT_EXPOSURE_SEQUENCE;
const ACQUISITION: Tag = tags::CT_ACQUISITION_DETAILS_SEQUENCE;
const RAYS: Tag = tags::CTX_RAY_DETAILS_SEQUENCE;
const CARDIAC: Tag = tags::CARDIAC_SYNCHRONIZATION_SEQUENCE;
const RESPIRATORY: Tag = tags::RESPIRATORY_SYNCHRONIZATION_SEQUENCE;

const CASES: [Case; 117] = [
    // What a slice has for other reasons too.
    case(tags::ACQUISITION_NUMBER, IS, NUMBERS),
    case(tags::TEMPORAL_POSITION_IDENTIFIER, IS, NUMBERS),
    case(tags::CONVOLUTION_KERNEL, SH, ["B30f", "B70f"]).group(RECONSTRUCTION),
    case(tags::KVP, DS, ["80", "140"]).group(RAYS),
    case(tags::IMAGE_TYPE, CS, ["ORIGINAL\\PRIMARY\\AXIAL\\A", "ORIGINAL\\PRIMARY\\AXIAL\\B"]),
    case(tags::SERIES_DESCRIPTION, LO, AB),
    case(tags::SERIES_NUMBER, IS, NUMBERS),
    case(tags::SLICE_THICKNESS, DS, ["1", "5"]),
    case(tags::CONTRAST_BOLUS_AGENT, LO, AB),
    case(tags::BODY_PART_EXAMINED, CS, AB),
    case(tags::MANUFACTURER, LO, AB),
    case(tags::MANUFACTURER_MODEL_NAME, LO, AB),
    // Times and delays.
    case(tags::ACQUISITION_TIME, TM, TIMES),
    case(tags::ACQUISITION_DATE_TIME, DT, DATE_TIMES),
    case(tags::FRAME_ACQUISITION_DATE_TIME, DT, DATE_TIMES).group(CONTENT).frames_only(),
    case(tags::FRAME_REFERENCE_DATE_TIME, DT, DATE_TIMES).group(CONTENT).frames_only(),
    case(tags::TRIGGER_TIME, DS, NUMBERS),
    case(tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME, FD, NUMBERS).group(CARDIAC),
    case(tags::NOMINAL_RESPIRATORY_TRIGGER_DELAY_TIME, FD, NUMBERS).group(RESPIRATORY),
    case(tags::TEMPORAL_POSITION_TIME_OFFSET, FD, NUMBERS)
        .group(tags::TEMPORAL_POSITION_SEQUENCE)
        .frames_only(),
    case(tags::CONTENT_TIME, TM, TIMES),
    case(tags::INSTANCE_CREATION_TIME, TM, TIMES),
    case(tags::SERIES_TIME, TM, TIMES),
    case(tags::STUDY_TIME, TM, TIMES),
    case(tags::PERFORMED_PROCEDURE_STEP_START_TIME, TM, TIMES),
    case(tags::CONTENT_DATE, DA, DATES),
    case(tags::INSTANCE_CREATION_DATE, DA, DATES),
    // One for a whole acquisition, reconstruction or phase.
    case(tags::NOMINAL_PERCENTAGE_OF_CARDIAC_PHASE, FL, NUMBERS).group(CARDIAC),
    case(tags::NOMINAL_PERCENTAGE_OF_RESPIRATORY_PHASE, FL, NUMBERS).group(RESPIRATORY),
    case(tags::CARDIAC_CYCLE_POSITION, CS, AB).group(CONTENT),
    case(tags::RESPIRATORY_CYCLE_POSITION, CS, AB).group(CONTENT),
    case(tags::ACQUISITION_UID, UI, UIDS),
    case(tags::IRRADIATION_EVENT_UID, UI, UIDS)
        .group(tags::IRRADIATION_EVENT_IDENTIFICATION_SEQUENCE),
    case(tags::FRAME_ACQUISITION_NUMBER, US, NUMBERS).group(CONTENT).frames_only(),
    case(tags::TEMPORAL_POSITION_INDEX, UL, NUMBERS).group(CONTENT).frames_only(),
    case(tags::ACTUAL_CARDIAC_TRIGGER_DELAY_TIME, FD, NUMBERS).group(CARDIAC),
    case(tags::ACTUAL_RESPIRATORY_TRIGGER_DELAY_TIME, FD, NUMBERS).group(RESPIRATORY),
    case(tags::DIMENSION_INDEX_VALUES, UL, NUMBERS).group(CONTENT).frames_only(),
    case(tags::CONCATENATION_UID, UI, UIDS),
    case(tags::STUDY_DATE, DA, DATES),
    case(tags::STUDY_ID, SH, AB),
    case(tags::ACCESSION_NUMBER, SH, AB),
    case(tags::PATIENT_AGE, AS, ["050Y", "051Y"]),
    case(tags::PATIENT_WEIGHT, DS, NUMBERS),
    case(tags::REQUESTED_PROCEDURE_DESCRIPTION, LO, AB),
    case(tags::CONTRAST_BOLUS_INGREDIENT, CS, AB),
    case(tags::CONTRAST_BOLUS_AGENT_NUMBER, US, NUMBERS)
        .group(tags::CONTRAST_BOLUS_USAGE_SEQUENCE)
        .frames_only(),
    case(tags::CONTRAST_BOLUS_AGENT_PHASE, CS, AB)
        .group(tags::CONTRAST_BOLUS_USAGE_SEQUENCE)
        .frames_only(),
    case(tags::CONTRAST_BOLUS_AGENT_SEQUENCE, SQ, AB),
    case(tags::PERFORMED_PROTOCOL_CODE_SEQUENCE, SQ, AB),
    case(tags::REQUEST_ATTRIBUTES_SEQUENCE, SQ, AB),
    case(tags::ANATOMIC_REGION_SEQUENCE, SQ, AB),
    case(tags::ACQUISITION_TYPE, CS, AB).group(tags::CT_ACQUISITION_TYPE_SEQUENCE).frames_only(),
    case(tags::RECONSTRUCTION_TARGET_CENTER_PATIENT, FD, NUMBERS).group(RECONSTRUCTION),
    case(tags::DISTANCE_SOURCE_TO_DETECTOR, DS, ["900", "1100"]).group(tags::CT_GEOMETRY_SEQUENCE),
    case(tags::STACK_ID, SH, AB).group(CONTENT),
    case(tags::FRAME_TYPE, CS, ["ORIGINAL\\PRIMARY\\VOLUME\\A", "ORIGINAL\\PRIMARY\\VOLUME\\B"])
        .group(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE)
        .frames_only(),
    case(tags::FILTER_TYPE, SH, AB).group(RAYS),
    case(tags::FILTER_MATERIAL, CS, AB).group(RAYS),
    case(tags::PROTOCOL_NAME, LO, AB),
    case(tags::ACQUISITION_PROTOCOL_NAME, LO, AB),
    case(tags::STUDY_DESCRIPTION, LO, AB),
    case(tags::SERIES_DATE, DA, DATES),
    case(tags::ACQUISITION_DATE, DA, DATES),
    case(tags::SCAN_OPTIONS, CS, AB).group(ACQUISITION),
    case(tags::PATIENT_POSITION, CS, ["HFS", "FFS"]),
    case(tags::CONTRAST_BOLUS_ROUTE, LO, AB),
    case(tags::CONTRAST_BOLUS_AGENT_ADMINISTERED, CS, ["YES", "NO"])
        .group(tags::CONTRAST_BOLUS_USAGE_SEQUENCE)
        .frames_only(),
    case(tags::EXPOSURE_MODULATION_TYPE, CS, AB).group(OF_EXPOSURE),
    case(tags::MULTIENERGY_CT_ACQUISITION, CS, ["NO", "N"]),
    case(tags::RECONSTRUCTION_ALGORITHM, CS, AB).group(RECONSTRUCTION),
    case(tags::CONVOLUTION_KERNEL_GROUP, CS, AB).group(RECONSTRUCTION),
    case(tags::RECONSTRUCTION_FIELD_OF_VIEW, FD, ["350", "200"]).group(RECONSTRUCTION),
    case(tags::RECONSTRUCTION_DIAMETER, DS, ["350", "200"]).group(RECONSTRUCTION),
    case(tags::DATA_COLLECTION_DIAMETER, DS, ["500", "300"]).group(ACQUISITION),
    case(tags::GANTRY_DETECTOR_TILT, DS, ["0", "20"]).group(ACQUISITION),
    // Slice by slice, in some programs.
    case(tags::TABLE_HEIGHT, DS, ["150", "170"]).group(ACQUISITION),
    case(tags::EXPOSURE_TIME, IS, DOSES),
    case(tags::X_RAY_TUBE_CURRENT, IS, DOSES),
    case(tags::EXPOSURE, IS, DOSES),
    case(tags::EXPOSURE_TIME_INMS, FD, DOSES).group(OF_EXPOSURE),
    case(tags::X_RAY_TUBE_CURRENT_INM_A, FD, DOSES).group(OF_EXPOSURE),
    case(tags::EXPOSURE_INM_AS, FD, DOSES).group(OF_EXPOSURE),
    case(tags::EXPOSURE_TIME_INU_S, DS, UNITS),
    case(tags::X_RAY_TUBE_CURRENT_INU_A, DS, UNITS),
    case(tags::EXPOSURE_INU_AS, IS, UNITS),
    case(tags::ACQUISITION_DURATION, FD, NUMBERS),
    case(tags::NOMINAL_INTERVAL, IS, NUMBERS),
    case(tags::RR_INTERVAL_TIME_NOMINAL, FD, NUMBERS).group(CARDIAC),
    case(tags::CARDIAC_RR_INTERVAL_SPECIFIED, FD, NUMBERS),
    case(tags::LOW_RR_VALUE, IS, NUMBERS).group(CARDIAC),
    case(tags::HIGH_RR_VALUE, IS, NUMBERS).group(CARDIAC),
    case(tags::HEART_RATE, IS, NUMBERS),
    case(tags::RESPIRATORY_INTERVAL_TIME, FD, NUMBERS).group(RESPIRATORY),
    case(tags::REVOLUTION_TIME, FD, NUMBERS).group(ACQUISITION),
    case(tags::SPIRAL_PITCH_FACTOR, FD, NUMBERS).group(tags::CT_TABLE_DYNAMICS_SEQUENCE),
    case(tags::TOTAL_COLLIMATION_WIDTH, FD, NUMBERS).group(ACQUISITION),
    case(tags::SINGLE_COLLIMATION_WIDTH, FD, NUMBERS).group(ACQUISITION),
    case(tags::TABLE_SPEED, FD, NUMBERS).group(tags::CT_TABLE_DYNAMICS_SEQUENCE),
    case(tags::TABLE_FEED_PER_ROTATION, FD, NUMBERS).group(tags::CT_TABLE_DYNAMICS_SEQUENCE),
    case(tags::CTD_IVOL, FD, DOSES).group(OF_EXPOSURE),
    case(tags::CONTRAST_BOLUS_VOLUME, DS, NUMBERS),
    case(tags::CONTRAST_BOLUS_TOTAL_DOSE, DS, NUMBERS),
    case(tags::CONTRAST_FLOW_RATE, DS, NUMBERS),
    case(tags::CONTRAST_BOLUS_START_TIME, TM, TIMES),
    case(tags::WINDOW_CENTER, DS, ["40", "-600"]).group(tags::FRAME_VOILUT_SEQUENCE),
    case(tags::WINDOW_WIDTH, DS, ["400", "1500"]).group(tags::FRAME_VOILUT_SEQUENCE),
    case(tags::WINDOW_CENTER_WIDTH_EXPLANATION, LO, AB),
    case(tags::IMAGE_COMMENTS, LT, AB),
    case(tags::FRAME_COMMENTS, LT, AB).group(CONTENT).frames_only(),
    case(tags::FRAME_LABEL, LO, AB).group(CONTENT).frames_only(),
    case(tags::DERIVATION_DESCRIPTION, ST, AB).or_missing(),
    case(tags::STATION_NAME, SH, AB).or_missing(),
    case(tags::DEVICE_SERIAL_NUMBER, LO, AB).or_missing(),
    case(tags::SOFTWARE_VERSIONS, LO, AB).or_missing(),
    case(tags::PERFORMED_PROCEDURE_STEP_ID, SH, AB),
    case(tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION, LO, AB),
];

/// What is made of an arrangement.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Refused,
    Read,
    /// Refused where a slice without a value is of no image.
    RefusedIfMissing,
}

/// The image, if any, whose value the n-th slice has.
type ImageOf = fn(usize) -> Option<usize>;

const ARRANGEMENTS: [(&str, ImageOf, Outcome); 10] = [
    ("alternately", |n| Some(n % 2), Outcome::Refused),
    ("alternately, one without", |n| (n % 2 == 0).then_some(0), Outcome::RefusedIfMissing),
    ("alternately, one slice without", |n| (n != 7).then_some(n % 2), Outcome::Refused),
    ("alternately, one slice odd", |n| Some(if n == 7 { 0 } else { n % 2 }), Outcome::Refused),
    ("in pairs", |n| Some(n / 2 % 2), Outcome::Refused),
    ("two of three alike", |n| Some(usize::from(n % 3 == 0)), Outcome::Refused),
    ("in halves", |n| Some(n / 6), Outcome::Read),
    ("in halves, one without", |n| (n < 6).then_some(0), Outcome::Read),
    ("one slice odd", |n| Some(usize::from(n == 5)), Outcome::Read),
    ("on one slice", |n| (n == 5).then_some(0), Outcome::Read),
];

fn volume() -> Volume<i16> {
    let size = [3, 2, N_SLICES];
    samples::on(
        Geometry::new(size, [0.5, 0.75, 2.5], [-10.0, 20.0, -99.5], Geometry::AXIAL).unwrap(),
    )
}

/// The attribute by which files are refused as several images; `None` where they are read.
fn differing(files: &[PathBuf]) -> Option<String> {
    match read_series(files, &Tolerances::default()) {
        Ok(_) => None,
        Err(Error::Refused { reason, .. }) => match *reason {
            Error::SeveralImages { attribute, .. } => Some(attribute.to_owned()),
            other => panic!("{other}"),
        },
        Err(other) => panic!("{other}"),
    }
}

fn check(case: &Case, arrangement: &(&str, ImageOf, Outcome), files: &[PathBuf]) {
    let (name, _, outcome) = arrangement;
    let expected = match outcome {
        Outcome::Refused => true,
        Outcome::Read => false,
        Outcome::RefusedIfMissing => !case.may_lack,
    };
    let found = differing(files);
    let attribute = keyword(case.tag);
    assert_eq!(found, expected.then(|| attribute.clone()), "{attribute} {name}");
}

#[test]
fn every_attribute_has_its_case_and_is_documented() {
    let of_cases: BTreeSet<String> = CASES.iter().map(|case| keyword(case.tag)).collect();
    let told: BTreeSet<String> = keywords().map(str::to_owned).collect();
    for (tag, name) in told_tags().zip(keywords()) {
        assert_eq!(keyword(tag), name);
    }
    // The order of the slices' numbers tells, and not two values of it; which file frames are in; and slices at one position.
    let others = ["InstanceNumber", "SOPInstanceUID", "RotationDirection"].map(str::to_owned);
    assert_eq!(of_cases, &told - &BTreeSet::from(others));
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tolerances.md");
    let page = fs_err::read_to_string(page).unwrap();
    let (_, section) = page.split_once("### Several images in one series").unwrap();
    let (table, _) = section.split_once("- Values **interleave**").unwrap();
    let attributes = table.lines().filter_map(|row| row.strip_prefix("| ")?.split(" | ").next());
    let documented = attributes.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    assert_eq!(documented.map(str::to_owned).collect::<BTreeSet<_>>(), told);
}

#[test]
fn slices_of_two_images_are_refused_by_each_attribute() {
    let folder = tempfile::tempdir().unwrap();
    let files = samples::write(folder.path(), &volume());
    assert_eq!(differing(&files), None);
    let plain: Vec<_> = files.iter().map(|file| dicom_object::open_file(file).unwrap()).collect();
    for case in CASES.iter().filter(|case| case.of_slices) {
        for arrangement in &ARRANGEMENTS {
            for (n, (file, object)) in files.iter().zip(&plain).enumerate() {
                let mut object = object.clone();
                case.set(&mut object, arrangement.1(n));
                object.write_to_file(file).unwrap();
            }
            check(case, arrangement, &files);
        }
    }
}

#[test]
fn frames_of_two_images_are_refused_by_each_attribute() {
    for case in CASES {
        let Some(group_tag) = case.group else { continue };
        for arrangement in &ARRANGEMENTS {
            let folder = tempfile::tempdir().unwrap();
            let file = enhanced_of(folder.path(), &volume(), |object| {
                change_group(object, None, |shared| {
                    shared.remove_element(group_tag);
                });
                for n in 0..N_SLICES {
                    let mut item = InMemDicomObject::new_empty();
                    case.set(&mut item, arrangement.1(n));
                    change_group(object, Some(n), |group| {
                        group.put(sequence(group_tag, vec![item.clone()]));
                    });
                }
            });
            check(&case, arrangement, &[file]);
        }
    }
}

/// Attributes of which a copy of a slice may have its own value.
const OF_FILES: [Tag; 11] = [
    tags::WINDOW_CENTER,
    tags::WINDOW_WIDTH,
    tags::WINDOW_CENTER_WIDTH_EXPLANATION,
    tags::IMAGE_COMMENTS,
    tags::DERIVATION_DESCRIPTION,
    tags::STATION_NAME,
    tags::SOFTWARE_VERSIONS,
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::INSTANCE_CREATION_DATE,
    tags::INSTANCE_CREATION_TIME,
];

#[test]
fn a_copy_of_a_slice_has_what_tells_images_apart_in_common() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = samples::write(folder.path(), &volume());
    let file = files[4].clone();
    files.push(folder.path().join("copy.dcm"));
    let plain = dicom_object::open_file(&file).unwrap();
    let written = |case: &Case, image: [Option<usize>; 2]| {
        for (at, path) in [&file, &files[N_SLICES]].into_iter().enumerate() {
            let mut object = plain.clone();
            case.set(&mut object, image[at]);
            if at == 1 {
                put(&mut object, tags::SOP_INSTANCE_UID, UI, "2.25.77");
            }
            object.write_to_file(path).unwrap();
        }
        match read_series(&files, &Tolerances::default()) {
            Ok(series) => {
                assert_eq!(series.info.n_duplicate_slices, 1);
                String::new()
            }
            Err(Error::Refused { reason, .. }) => reason.to_string(),
            Err(other) => panic!("{other}"),
        }
    };
    let rotation = case(tags::ROTATION_DIRECTION, CS, ["CW", "CC"]);
    let numbers = case(tags::INSTANCE_NUMBER, IS, NUMBERS);
    let within_a_second = case(tags::ACQUISITION_TIME, TM, ["120000", "120000.5"]);
    let of_slices = CASES.iter().filter(|case| case.of_slices);
    let cases = of_slices.map(|case| (case, OF_FILES.contains(&case.tag)));
    for (case, is_of_file) in
        cases.chain([(&rotation, false), (&numbers, true), (&within_a_second, true)])
    {
        let attribute = keyword(case.tag);
        assert_eq!(written(case, [Some(0), Some(0)]), "", "{attribute}");
        let error = written(case, [Some(0), Some(1)]);
        if is_of_file {
            assert_eq!(error, "", "{attribute}");
            continue;
        }
        let [a, b] = case.values;
        let expected = format!(
            "lie at one position, -89.5000 mm along the normal, and differ in {attribute} ("
        );
        assert!(error.contains(&expected), "{attribute}: {error}");
        assert!(case.vr == SQ || error.contains(a) && error.contains(b), "{attribute}: {error}");
        assert_eq!(written(case, [Some(0), None]).is_empty(), case.may_lack, "{attribute}");
    }
}

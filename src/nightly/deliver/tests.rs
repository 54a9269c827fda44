//! Files of small scans, read back.

use super::*;
use crate::nightly::identity::{DeidentifySettings, Identity, UidPolicy};
use crate::nightly::scan::scored::{ScoredNodule, ScoredScan, ScoringModel};
use dicom_dictionary_std::tags;
use fs_err as fs;
use ndarray::Array3;
use nodulus_formats::dicom::{
    self, AnnotationObject, Date, NewSeries, Numbering, ObjectReference, PointPosition, Tolerances,
};
use nodulus_formats::nifti;
use nodulus_formats::volume::{Geometry, LoadedSlices, Mask, PlacedMask, Volume};
use nodulus_imaging::planar_contours::{self, ContourRules};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ALL: [OutputKind; 8] = [
    OutputKind::Seg,
    OutputKind::Rtstruct,
    OutputKind::Sr,
    OutputKind::Sc,
    OutputKind::Rejection,
    OutputKind::Nifti,
    OutputKind::Png,
    OutputKind::Json,
];

/// Writes the files of a first result.
fn deliver(
    scan: &ScoredScan,
    hu: &LoadedSlices<i16>,
    requested: &BTreeSet<OutputKind>,
    identity: &Identity,
    folder: &Path,
) -> Result<Vec<DeliveredFile>, Error> {
    super::deliver(scan, hu, requested, identity, &EarlierObjects::default(), folder)
}

fn geometry() -> Geometry {
    Geometry::new([12, 10, 6], [0.75, 0.5, 2.0], [-10.0, 20.0, -99.5], Geometry::AXIAL).unwrap()
}

fn nodule(number: u16, mask: Option<PlacedMask>) -> ScoredNodule {
    ScoredNodule {
        number,
        nodule_id: format!("nod_P-7_{number}"),
        earlier_id: None,
        candidate_mm: geometry().voxel_to_patient([5.0, 4.0, 2.0]),
        candidate_confidence: None,
        probability: Some(0.75),
        centroid_mm: [1.0, 2.0, 3.0],
        volume_mm3: 6.0,
        equivalent_diameter_mm: 2.25,
        axial_diameter_mm: Some(2.5),
        axial_short_diameter_mm: None,
        disagreement: None,
        training_distance: None,
        mean_hu: Some(-100.0),
        mask,
        warnings: vec!["small".to_owned()],
    }
}

/// Two nodules that share a voxel, one of them with a hole; and one without voxels.
fn scan(folder: &Path) -> (ScoredScan, LoadedSlices<i16>) {
    let geometry = geometry();
    let hu = Array3::from_shape_fn((6, 10, 12), |(k, j, i)| (100 * k + 10 * j + i) as i16 - 900);
    let volume = Volume::new(geometry, hu).unwrap();
    let uids: Vec<String> = (0..6).map(|k| format!("2.25.100.{k}")).collect();
    let series = NewSeries {
        series_instance_uid: "2.25.10",
        study_instance_uid: "2.25.11",
        frame_of_reference_uid: "2.25.12",
        sop_instance_uids: &uids,
        patient_id: "P-7",
        patient_name: "Muster^Max",
        patient_birth_date: Date::new(1940, 2, 29),
        study_date: Date::new(2024, 1, 31),
        slice_thickness_mm: 2.0,
        manufacturer: "Maker",
        model: "M 1",
        kernel: "SOFT",
        kvp: 120.0,
        tube_current: 250,
        rescale_slope: 1.0,
        rescale_intercept: -1024.0,
        numbering: Numbering::AlongK,
    };
    let files = dicom::write_series(folder, &series, &volume).unwrap();
    let read = dicom::read_series(&files, &Tolerances::default()).unwrap();
    let ring = Mask::from_fn([4, 4, 2], |i, j, _| !((1..3).contains(&i) && j == 1));
    let masks = [
        Some(PlacedMask { start: [0, 0, 1], mask: ring }),
        Some(PlacedMask { start: [3, 3, 2], mask: Mask::from_fn([2, 3, 3], |_, _, _| true) }),
        None,
    ];
    let scan = ScoredScan {
        series_instance_uid: "2.25.10".to_owned(),
        info: Some(read.info),
        files,
        sop_instance_uids: read.sop_instance_uids,
        geometry,
        model: ScoringModel {
            id: "unet-0123456789ab".to_owned(),
            name: "unet".to_owned(),
            version: "0.1.0".to_owned(),
        },
        scored_at: "2026-11-24T12:52:27Z".to_owned(),
        nodules: (1..).zip(masks).map(|(number, mask)| nodule(number, mask)).collect(),
        warnings: Vec::new(),
    };
    (scan, read.volume.into())
}

fn all() -> BTreeSet<OutputKind> {
    BTreeSet::from(ALL)
}

fn paths(delivered: &[DeliveredFile]) -> Vec<PathBuf> {
    let path = |delivered: &DeliveredFile| match delivered {
        DeliveredFile::Written { path, .. } => Some(path.clone()),
        _ => None,
    };
    delivered.iter().filter_map(path).collect()
}

/// The voxels of the nodules with a mask.
fn masks(scan: &ScoredScan) -> Vec<BTreeSet<[usize; 3]>> {
    let masks = scan.nodules.iter().filter_map(|nodule| nodule.mask.as_ref());
    masks.map(|placed| placed.voxels().collect()).collect()
}

#[test]
fn every_file_holds_the_voxels() {
    let folder = tempfile::tempdir().unwrap();
    let (scan, hu) = scan(&folder.path().join("ct"));
    let out = folder.path().join("out");
    let delivered = deliver(&scan, &hu, &all(), &Identity::AsIs, &out).unwrap();
    let names: Vec<String> = paths(&delivered)
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    // A first result rejects nothing.
    let expected = [
        "segmentation.dcm",
        "structure_set.dcm",
        "measurements.dcm",
        "overlay.dcm",
        "labels.nii.gz",
        "overlay.png",
        "nodules.json",
    ];
    assert_eq!(names, expected.map(|ending| format!("2.25.10_{ending}")));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 7);

    let AnnotationObject::Segmentation(found) =
        dicom::read_annotation_object(&out.join(&names[0]), 0.5).unwrap()
    else {
        panic!("a segmentation")
    };
    let voxels = found.segments.iter().map(|segment| {
        let frames = segment.frames.iter().flat_map(|(frame, mask)| {
            let k =
                geometry().patient_to_voxel(found.planes[*frame].position_mm)[2].round() as usize;
            mask.voxels().map(move |[i, j, _]| [i, j, k])
        });
        frames.collect::<BTreeSet<_>>()
    });
    assert_eq!(voxels.collect::<Vec<_>>(), masks(&scan));

    let AnnotationObject::StructureSet(found) =
        dicom::read_annotation_object(&out.join(&names[1]), 0.5).unwrap()
    else {
        panic!("a structure set")
    };
    assert_eq!(found.rois.iter().map(|roi| roi.number).collect::<Vec<_>>(), [Some(1), Some(2)]);
    let voxels = found.rois.iter().map(|roi| {
        let lines: Vec<_> = roi.contours.iter().map(|contour| contour.points_mm.clone()).collect();
        let placed = planar_contours::mask(&lines, &scan.geometry, &ContourRules::default())
            .unwrap()
            .mask
            .unwrap();
        placed.voxels().collect::<BTreeSet<_>>()
    });
    assert_eq!(voxels.collect::<Vec<_>>(), masks(&scan));

    let labels = nifti::read_labels(&out.join(&names[4])).unwrap();
    assert_eq!(labels.geometry().size(), [12, 10, 6]);
    for ((k, j, i), label) in labels.voxels().indexed_iter() {
        let own = scan.nodules.iter().find(|n| n.mask.as_ref().is_some_and(|m| m.get(i, j, k)));
        assert_eq!(*label, own.map_or(0, |nodule| nodule.number), "{i} {j} {k}");
    }

    // The picture is that of the overlay.
    let object = dicom_object::open_file(out.join(&names[3])).unwrap();
    let pixels = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
    let mut png = png::Decoder::new(std::io::Cursor::new(fs::read(out.join(&names[5])).unwrap()))
        .read_info()
        .unwrap();
    let mut overlay = vec![0; png.output_buffer_size().unwrap()];
    png.next_frame(&mut overlay).unwrap();
    assert_eq!(&pixels[..overlay.len()], &overlay[..]);

    // The report has the positions of all nodules.
    let points = dicom::read_points(&out.join(&names[2])).unwrap();
    assert!(points.skipped.is_empty(), "{:?}", points.skipped);
    assert_eq!(points.points.len(), 3);
    for point in &points.points {
        assert_eq!(point.confidence, Some(0.75));
        let PointPosition::Patient { point_mm, .. } = &point.position else { panic!("{point:?}") };
        assert_eq!(point_mm.map(f64::to_bits), [1.0f64, 2.0, 3.0].map(f64::to_bits));
    }

    let text = fs::read_to_string(out.join(&names[6])).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["nodules"][1]["mask"]["n_voxels"], 18);
    assert_eq!(document["nodules"][2]["mask"], serde_json::Value::Null);
    assert_eq!(document["patient_id"], "P-7");
    assert_eq!(document["files"][6]["name"], names[5].as_str());
    assert!(!text.contains(folder.path().to_str().unwrap()));

    // Again, the same bytes.
    assert_eq!(deliver(&scan, &hu, &all(), &Identity::AsIs, &out).unwrap(), delivered);
}

#[test]
fn a_scan_without_nodules_has_the_files_that_can_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let (mut scan, hu) = scan(&folder.path().join("ct"));
    scan.nodules.truncate(0);
    let delivered = deliver(&scan, &hu, &all(), &Identity::AsIs, folder.path()).unwrap();
    let written: Vec<OutputKind> = delivered
        .iter()
        .filter(|d| matches!(d, DeliveredFile::Written { .. }))
        .map(DeliveredFile::output)
        .collect();
    assert_eq!(written, [OutputKind::Sr, OutputKind::Nifti, OutputKind::Json]);
    assert!(delivered.iter().all(|d| d.warning().is_none()));
    let labels = nifti::read_labels(&paths(&delivered)[1]).unwrap();
    assert!(labels.voxels().iter().all(|label| *label == 0));
}

#[test]
fn an_image_file_has_no_objects_and_files_do_not_hold_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (mut scan, hu) = scan(&folder.path().join("ct"));
    scan.series_instance_uid = "mustermann_erika".to_owned();
    (scan.info, scan.files, scan.sop_instance_uids) = (None, Vec::new(), Vec::new());
    let out = folder.path().join("out");
    let delivered = deliver(&scan, &hu, &all(), &Identity::AsIs, &out).unwrap();
    let warnings: Vec<String> = delivered.iter().filter_map(DeliveredFile::warning).collect();
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    assert!(warnings[0].starts_with("no segmentation.dcm: the scan is an image file"));
    for path in paths(&delivered) {
        assert!(!path.to_str().unwrap().contains("mustermann"));
        assert!(!String::from_utf8_lossy(&fs::read(path).unwrap()).contains("mustermann"));
    }
}

#[test]
fn nothing_of_the_patient_is_in_a_file_with_pseudonyms() {
    let folder = tempfile::tempdir().unwrap();
    let (scan, hu) = scan(&folder.path().join("ct"));
    let key = folder.path().join("key");
    fs::write(&key, "correct horse battery staple").unwrap();
    for uids in [UidPolicy::Replace, UidPolicy::Keep] {
        let identity = Identity::new(Some(&DeidentifySettings { key: key.clone(), uids })).unwrap();
        let out = folder.path().join(format!("{uids:?}"));
        let delivered = deliver(&scan, &hu, &all(), &identity, &out).unwrap();
        assert_eq!(paths(&delivered).len(), 7);
        for path in paths(&delivered) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned() + &name;
            for part in ["P-7", "20261124", "2026-11-24", "125227", "12:52"] {
                assert!(!text.contains(part), "{part} in {name}");
            }
            let is_kept = uids == UidPolicy::Keep;
            assert_eq!(name.starts_with("2.25.10_"), is_kept);
            let holds = |uid: &str| {
                let mut found = text.match_indices(uid).map(|(at, _)| &text[at + uid.len()..]);
                found.any(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
            };
            let own = ["2.25.10", "2.25.100.3", "2.25.11", "2.25.12"];
            assert!(is_kept || !own.iter().any(|uid| holds(uid)), "{name}");
        }
    }
}

#[test]
fn an_inconsistent_scan_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (scan, hu) = scan(&folder.path().join("ct"));
    let refused = |scan: &ScoredScan| {
        let requested = BTreeSet::from([OutputKind::Json]);
        deliver(scan, &hu, &requested, &Identity::AsIs, folder.path()).unwrap_err().to_string()
    };
    for time in ["", "2026-11-24", "2026-13-24T12:52:27Z", "2026-11-24 12:52:27Z"] {
        let error = refused(&ScoredScan { scored_at: time.to_owned(), ..scan.clone() });
        assert!(error.contains("expected a time in UTC"), "{error}");
    }
    let mut off = scan.clone();
    off.geometry = Geometry::new([12, 10, 4], [1.0; 3], [0.0; 3], Geometry::AXIAL).unwrap();
    let error = refused(&off);
    assert!(
        error.contains("nodule 2 reaches to voxel [5, 6, 5], expected within [12, 10, 4]"),
        "{error}"
    );
}

/// The objects of a result.
fn objects(delivered: &[DeliveredFile]) -> ResultObjects {
    let object = |delivered: &DeliveredFile| match delivered {
        DeliveredFile::Written { output, object: Some(object), .. } => {
            Some((*output, object.clone()))
        }
        _ => None,
    };
    delivered.iter().filter_map(object).collect()
}

#[test]
fn a_later_result_replaces_and_rejects_the_objects_of_the_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let (scan, hu) = scan(&folder.path().join("ct"));
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let before = objects(&deliver(&scan, &hu, &all(), &Identity::AsIs, &first).unwrap());
    let later = ScoredScan { scored_at: "2026-11-25T01:02:03Z".to_owned(), ..scan.clone() };
    let earlier = EarlierObjects::of([&before]);
    let delivered =
        super::deliver(&later, &hu, &all(), &Identity::AsIs, &earlier, &second).unwrap();
    let after = objects(&delivered);
    assert_eq!((before.len(), after.len()), (4, 5));
    for (kind, object) in &after {
        let Some(replaced) = before.get(kind) else { continue };
        assert_ne!(object.sop_instance_uid, replaced.sop_instance_uid);
        assert_eq!(object.series_instance_uid, replaced.series_instance_uid);
        assert_eq!((replaced.instance_number, object.instance_number), (1, 2));
    }
    // Another model gives another series, as other equipment.
    let mut by_other = later.clone();
    by_other.model.id = "unet-999999999999".to_owned();
    let delivered =
        super::deliver(&by_other, &hu, &all(), &Identity::AsIs, &earlier, &second).unwrap();
    for (kind, object) in objects(&delivered) {
        let same =
            before.get(&kind).filter(|of| of.series_instance_uid == object.series_instance_uid);
        assert_eq!(same, None);
    }
    // Objects of another study are neither replaced nor rejected.
    let elsewhere = before.into_iter().map(|(kind, object)| {
        (kind, ObjectReference { study_instance_uid: "2.25.9".to_owned(), ..object })
    });
    let earlier = EarlierObjects::of([&elsewhere.collect()]);
    let delivered =
        super::deliver(&later, &hu, &all(), &Identity::AsIs, &earlier, &second).unwrap();
    assert!(objects(&delivered).values().all(|object| object.instance_number == 1));
    assert!(!objects(&delivered).contains_key(&OutputKind::Rejection));
}

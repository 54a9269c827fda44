//! Tests of the stage, and the rows that tests of later stages start from.

use super::mask_readings::Reading;
use super::*;
use ndarray::Array3;
use nodulus_formats::cohort::{Layout, ScanFacts};
use nodulus_formats::dicom::Tolerances;
use nodulus_formats::lidc_xml::{Annotations, Contour, NonNodule, ReadNodule, Session};
use nodulus_formats::mask_file::{LabelMask, MaskFile};
use nodulus_formats::repair::Repairs;
use nodulus_formats::scan_geometry::ScanGeometry;
use nodulus_formats::volume::{Geometry, ImageFacts, Mask, PlacedMask, Slices, Volume};
use std::path::PathBuf;

fn geometry(size: [usize; 3]) -> Geometry {
    Geometry::new(size, [0.7, 0.8, 2.5], [1.0, 2.0, 3.0], Geometry::AXIAL).unwrap()
}

fn image(size: [usize; 3]) -> ScanFacts {
    let [ni, nj, nk] = size;
    let volume = Volume::new(geometry(size), Array3::from_elem((nk, nj, ni), -7i16)).unwrap();
    ScanFacts {
        series_instance_uid: "1.2".to_owned(),
        info: None,
        image: ImageFacts::of(&volume),
        repairs: Repairs::default(),
    }
}

/// A scan of 20 × 20 × 4 voxels, for tests of this and later stages.
pub(in crate::stages) fn scan() -> Scan {
    scan_row::of_image(&config(), None, &cohort(), &source(), &image([20, 20, 4]))
}

/// A mark of a full box of voxels on [`scan`].
pub(in crate::stages) fn mark(
    id: &str,
    session: usize,
    start: [usize; 3],
    size: [usize; 3],
) -> Mark {
    let scan = scan();
    let mut mark = mask_marks::blank(&scan, id.to_owned(), session, id, "r.xml");
    let placed = PlacedMask { start, mask: Mask::from_fn(size, |_, _, _| true) };
    Frame::of_image(&geometry([20, 20, 4])).place_mask(&mut mark, placed);
    mark
}

fn config() -> Config {
    Config {
        shard_size: 16,
        tolerances: Tolerances::default(),
        tilt: nodulus_formats::dicom::Tilt::Refuse,
        inclusion: Inclusion::default(),
        series_list: None,
        root: None,
        scan_geometry: None,
        cohorts: vec![cohort()],
    }
}

fn cohort() -> Cohort {
    Cohort {
        name: "c".to_owned(),
        source: Layout::Volumes,
        root: PathBuf::from("root"),
        annotations: None,
        scan_geometry: None,
        image: "{patient}/ct".to_owned(),
        mask: None,
        readers: Vec::new(),
        masks: MaskRules::default(),
        lidc_mask: LidcMask::default(),
    }
}

fn source() -> SourceCase {
    let case = cohort::Case {
        case_id: "p/ct".to_owned(),
        has_scan: true,
        patient: Some("p".to_owned()),
        ..cohort::Case::default()
    };
    SourceCase {
        cohort: "c".to_owned(),
        case,
        content_sha256: "0".to_owned(),
        files_sha256: "1".to_owned(),
        places_sha256: "2".to_owned(),
        fault: None,
        stamp: String::new(),
    }
}

fn labels_of(session: usize, labels: Volume<u16>) -> Annotation {
    let mask = Ok(MaskFile::Labels(LabelMask {
        layers: vec![labels],
        segments: Vec::new(),
        is_placed: true,
        repairs: Repairs::default(),
    }));
    Annotation::Mask(Reading { session, reader: Some(format!("r{session}")), mask })
}

fn small_image_rows(annotations: &[(String, Annotation)]) -> CaseRows {
    let image = image([4, 4, 3]);
    let scan = scan_row::of_image(&config(), None, &cohort(), &source(), &image);
    transform(scan, &Frame::of_image(&image.image.geometry), annotations, HowMarked::of(&cohort()))
}

#[test]
fn a_scan_and_its_mask_become_a_row_and_a_mark() {
    let mut labels = Array3::zeros((3, 4, 4));
    labels[[1, 2, 3]] = 1;
    let labels = Volume::new(geometry([4, 4, 3]), labels).unwrap();
    let rows = small_image_rows(&[("p/mask".to_owned(), labels_of(0, labels))]);
    assert_eq!(rows.failures, []);
    assert_eq!(rows.scans[0].patient_id, "p");
    assert_eq!(rows.scans[0].hu_min, Some(-7));
    assert_eq!(rows.scans[0].annotation_paths, ["p/mask"]);
    assert_eq!(rows.marks.len(), 1);
    assert_eq!([rows.marks[0].bbox_i, rows.marks[0].bbox_j], [Some(3), Some(2)]);
    let z = rows.marks[0].centroid_z_mm.unwrap();
    assert!((z - 5.5).abs() < 1e-9, "{z}");
}

#[test]
fn a_mask_on_another_grid_is_a_failure_with_both_geometries() {
    let other =
        Geometry::new([4, 4, 3], [0.7, 0.7, 2.5], [1.0, 2.0, 3.0], Geometry::AXIAL).unwrap();
    let labels = Volume::new(other, Array3::from_elem((3, 4, 4), 1)).unwrap();
    let rows = small_image_rows(&[("p/mask".to_owned(), labels_of(0, labels))]);
    assert!(rows.marks.is_empty());
    assert!(rows.failures[0].cause.contains("0.8") && rows.failures[0].cause.contains("0.7"));
}

#[test]
fn a_reader_with_a_refused_file_has_no_marks_and_others_keep_theirs() {
    let labels = |spacing: f64| {
        let grid = Geometry::new([4, 4, 3], [0.7, spacing, 2.5], [1.0, 2.0, 3.0], Geometry::AXIAL);
        Volume::new(grid.unwrap(), Array3::from_elem((3, 4, 4), 1)).unwrap()
    };
    let files = [
        ("a1".to_owned(), labels_of(0, labels(0.8))),
        ("a2".to_owned(), labels_of(0, labels(0.9))),
        ("b".to_owned(), labels_of(1, labels(0.8))),
    ];
    let rows = small_image_rows(&files);
    assert_eq!(rows.scans[0].n_reading_sessions, 1);
    let [mark] = &rows.marks[..] else { panic!("{:?}", rows.marks) };
    assert_eq!((mark.reading_session, mark.reader.as_deref()), (1, Some("r1")));
    assert_eq!(rows.failures.len(), 1);
    assert_eq!(rows.failures[0].path.as_deref(), Some("a2"));
    assert_eq!(rows.exclusions.len(), 1);
    let excluded = (rows.exclusions[0].rule.as_str(), rows.exclusions[0].path.as_deref());
    assert_eq!(excluded, ("incomplete_reading", Some("a1")));
}

/// A line about the pixel (6, 6), and a finding at (9, 8); slices at 0, 2, 4 and 10 mm.
fn reads() -> Annotations {
    let line = [[5, 5], [6, 5], [7, 5], [7, 6], [7, 7], [6, 7], [5, 7], [5, 6]];
    let contour = |z_mm| Contour {
        z_mm,
        inclusion: true,
        points: line.to_vec(),
        sop_instance_uid: String::new(),
    };
    let nodule = ReadNodule {
        reader_nodule_id: "1".to_owned(),
        ratings: None,
        contours: vec![contour(4.0), contour(10.0)],
    };
    let finding = |id: &str, z_mm| NonNodule {
        id: id.to_owned(),
        z_mm,
        point: [9, 8],
        sop_instance_uid: String::new(),
    };
    let session =
        Session { nodules: vec![nodule], non_nodules: vec![finding("2", 2.0), finding("3", 7.0)] };
    Annotations {
        series_instance_uid: "1.2".to_owned(),
        study_instance_uid: Some("1.1".to_owned()),
        delivered: None,
        sessions: vec![session],
    }
}

fn scan_geometry(z_mm: &[f64]) -> ScanGeometry {
    ScanGeometry {
        study_instance_uid: None,
        patient_id: None,
        slice_thickness_mm: Some(2.0),
        slices: Slices::at_heights(None, [0.5, 0.5], z_mm.to_vec()).unwrap(),
        in_plane: None,
        n_duplicate_slices: 1,
    }
}

fn annotation_rows(list: Option<&BTreeSet<String>>) -> CaseRows {
    let geometry = scan_geometry(&[0.0, 2.0, 4.0, 10.0]);
    let mut source = source();
    source.case.case_id = "1.2".to_owned();
    let scan = scan_row::of_geometry(&config(), list, &cohort(), &source, &geometry);
    let frame = Frame::of_geometry(&geometry);
    let files = [("a.xml".to_owned(), Annotation::Lidc(reads()))];
    transform(scan, &frame, &files, HowMarked::of(&cohort()))
}

#[test]
fn where_lines_cross_the_two_rules_for_masks_differ_and_the_mark_says_by_how_much() {
    let mut reads = reads();
    let across = [[6, 5], [7, 5], [8, 5], [8, 6], [8, 7], [7, 7], [6, 7], [6, 6]];
    let nodule = &mut reads.sessions[0].nodules[0];
    nodule.contours[1] = Contour { points: across.to_vec(), ..nodule.contours[0].clone() };
    let frame = Frame::of_geometry(&scan_geometry(&[2.0, 4.0]));
    // Pixels (6, 6) and (7, 6) each lie on the other's line.
    for (lidc_mask, n_voxels) in [(LidcMask::EachLine, Some(2)), (LidcMask::Luna16, None)] {
        let scan = Scan { series_instance_uid: "1.2".to_owned(), ..scan() };
        let files = [("a.xml".to_owned(), Annotation::Lidc(reads.clone()))];
        let rows = transform(scan, &frame, &files, HowMarked { masks: None, lidc_mask });
        let mark = &rows.marks[0];
        assert_eq!(mark.n_voxels, n_voxels);
        assert_eq!((mark.n_voxels_luna16, mark.n_voxels_differ), (Some(0), Some(2)));
        let is_lost = mark.irregularities.contains(&"no_voxels".to_owned());
        assert_eq!(is_lost, n_voxels.is_none());
        assert_eq!((rows.marks[1].n_voxels_luna16, rows.marks[1].n_voxels_differ), (None, None));
    }
}

#[test]
fn without_an_image_what_needs_one_is_null_and_heights_are_the_slices() {
    let rows = annotation_rows(None);
    let scan = &rows.scans[0];
    assert_eq!(
        (scan.n_columns, scan.hu_min, &scan.path, &scan.direction),
        (None, None, &None, &None)
    );
    assert_eq!(
        (scan.n_slices, scan.n_missing_slices, scan.n_duplicate_slices),
        (4, Some(2), Some(1))
    );
    assert_eq!((scan.spacing_k_mm, scan.slice_gap_max_deviation_mm), (Some(2.0), Some(4.0)));
    assert_eq!((scan.patient_id.as_str(), scan.n_reading_sessions), ("1.2", 1));
    assert_eq!(scan.study_instance_uid.as_deref(), Some("1.1"));
    let [nodule, finding, lost] = &rows.marks[..] else { panic!("{:?}", rows.marks) };
    // Pixel (6, 6) on the slices at 4 and 10 mm: the mean is between slices 2 and 3.
    assert_eq!([nodule.centroid_i, nodule.centroid_k], [Some(6.0), Some(2.5)]);
    assert_eq!([nodule.centroid_x_mm, nodule.centroid_z_mm], [None, Some(7.0)]);
    assert_eq!((nodule.n_voxels, nodule.volume_mm3), (Some(2), Some(2.0 * 0.25 * 2.0)));
    assert_eq!(nodule.irregularities, ["unrated"]);
    assert_eq!([finding.centroid_k, finding.centroid_z_mm], [Some(1.0), Some(2.0)]);
    // 7 mm is in the gap: the finding is kept, and has no place.
    assert_eq!([lost.centroid_i, lost.centroid_k], [None, None]);
    assert_eq!(lost.irregularities, ["off_slice"]);
    assert_eq!(lost.contours[0].points, [[9, 8]]);
}

#[test]
fn a_scan_off_the_list_has_no_marks_and_its_file_is_told_of() {
    let list = BTreeSet::from(["1.3".to_owned()]);
    let rows = annotation_rows(Some(&list));
    assert!(rows.marks.is_empty() && !rows.scans[0].included);
    assert_eq!(rows.scans[0].exclusion_reasons, ["not in ingest.series_list"]);
    assert_eq!(rows.exclusions[0].rule, "scan_not_included");
}

#[test]
fn an_outline_without_a_voxel_stays_and_is_told_of() {
    let mut scan = scan();
    scan.series_instance_uid = "1.2".to_owned();
    let files = [("a.xml".to_owned(), Annotation::Lidc(reads()))];
    let frame = Frame::of_geometry(&scan_geometry(&[0.0, 2.0]));
    let rows = transform(scan, &frame, &files, HowMarked::of(&cohort()));
    assert_eq!(rows.marks.len(), 3);
    assert_eq!(rows.marks[0].irregularities, ["no_voxels", "off_slice", "unrated"]);
    assert_eq!(rows.exclusions[0].rule, "no_voxels");
    assert_eq!(rows.exclusions[0].case_id, rows.marks[0].mark_id);
}

#[test]
fn a_session_without_a_height_of_the_scan_reads_another_one_where_others_have_one() {
    let scan = Scan { series_instance_uid: "1.2".to_owned(), ..scan() };
    // Half a millimetre off every height.
    let frame = Frame::of_geometry(&scan_geometry(&[0.5, 2.5, 4.5, 10.5]));
    let rows = |reads: Annotations| {
        let files = [("a.xml".to_owned(), Annotation::Lidc(reads))];
        transform(scan.clone(), &frame, &files, HowMarked::of(&cohort()))
    };
    let of_this =
        NonNodule { id: "t".to_owned(), z_mm: 2.5, point: [1, 1], sop_instance_uid: String::new() };
    let mut with_this = reads();
    with_this.sessions.push(Session::default());
    with_this.sessions.push(Session { non_nodules: vec![of_this], ..Session::default() });
    let found = rows(with_this);
    // A session without marks reads this scan, as far as is known.
    assert_eq!(found.scans[0].n_reading_sessions, 2);
    let of_other = found.marks.iter().filter(|mark| mark.is_of_other_scan());
    assert_eq!((of_other.count(), found.marks.len()), (3, 4));
    assert_eq!(found.marks[0].n_voxels, Some(2));
    let rules: Vec<_> = found.exclusions.iter().map(|row| row.rule.as_str()).collect();
    assert_eq!(rules, ["other_scan"; 3]);
    assert_eq!(found.exclusions[0].case_id, found.marks[0].mark_id);

    // Where no session fits, it is the grid that does not: lines belong to their nearest slices.
    let found = rows(reads());
    assert_eq!(found.scans[0].n_reading_sessions, 1);
    assert!(!found.marks.iter().any(Mark::is_of_other_scan));
    assert_eq!((found.marks[0].n_voxels, found.exclusions.len()), (Some(2), 0));
}

#[test]
fn listed_series_that_no_cohort_has_are_told_of() {
    let mut config = config();
    let mut sources = Sources { series_list: None, shards: vec![vec![source()]] };
    assert_eq!(not_found(&config, &sources), []);
    sources.series_list = Some(BTreeSet::from(["1.9".to_owned(), "p/ct".to_owned()]));
    // Images tell their series when they are read.
    assert_eq!(not_found(&config, &sources), []);
    config.cohorts[0].source = Layout::LidcAnnotations;
    let missing = not_found(&config, &sources);
    assert_eq!(missing.len(), 1);
    assert_eq!(
        (missing[0].rule.as_str(), missing[0].case_id.as_str()),
        ("series_not_found", "1.9")
    );
}

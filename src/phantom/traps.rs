//! XML files with each trap that LIDC's XML contains; every trap has a series of its own and known marks.

use super::seed::uid;
use fs_err as fs;
use nodulus_formats::lidc_xml::{
    self, Annotations, Contour, NonNodule, Ratings, ReadNodule, Session,
};
use nodulus_formats::scan_geometry::NewScanGeometry;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// Slices of every trap's scan: eight, 2 mm apart, upwards from this height.
const FIRST_Z_MM: f64 = -100.0;
const STEP_MM: f64 = 2.0;
const SLICES: usize = 8;

/// The traps, by the names of their files below `traps/`.
///
/// METHOD: cases that LIDC-IDRI's 1,318 files contain (docs/annotations.md). A line is a square of pixels, 5 wide unless
/// stated otherwise, with a known inside of 3 × 3 pixels.
pub const TRAPS: [&str; 18] = [
    // Marks of another modality.
    "chest-x-ray",
    // Two files with the same marks: one mark in total.
    "repeated-a",
    "repeated-b",
    // Two files of one series: the later one, with one mark, corrects the earlier with two.
    "superseded-a",
    "superseded-b",
    // Three and eight sessions with one mark each.
    "three-sessions",
    "eight-sessions",
    // An id twice in a session: an outline and a point, both without ratings.
    "duplicate-id",
    // An outline on two slices and off the slices; a point and a finding off the slices.
    "off-slice",
    // Only corners: steps of more than a pixel, not closed.
    "open-contour",
    // An outline whose second slice is one point, and an outline of only two points.
    "point-contour",
    // A line of 7 with a hole whose line is 3 wide: 25 - 9 pixels.
    "hole",
    // Two lines on one slice.
    "several-inclusions",
    // Points without `characteristics`, with an empty one and with zeros.
    "no-ratings",
    // A session without marks.
    "nothing",
    // Slices in descending order.
    "descending",
    // A scan whose only mark has no position in it: an outline above the scan.
    "no-voxels",
    // Two lesions, 9 wide, that two readers outlined apart and a third joined by one line; a fourth outlined one of them, and
    // marked the other as a point.
    "joined",
];

/// Writes the traps' files into a folder; returns series and study of each scan.
pub(super) fn write(folder: &Path, seed: u64) -> io::Result<Vec<(String, String)>> {
    fs::create_dir_all(folder)?;
    let mut series = Vec::new();
    for name in TRAPS {
        let scan = name.strip_suffix("-a").or(name.strip_suffix("-b")).unwrap_or(name);
        let [uid, study] = ["series", "study"].map(|what| uid(seed, &["trap", scan, what]));
        let path = folder.join(format!("{name}.xml"));
        if name == "chest-x-ray" {
            fs::write(&path, x_ray(&uid))?;
            continue;
        }
        lidc_xml::write(&path, &reads(name, &uid, &study))?;
        if name == "no-ratings" {
            // Some of LIDC's files have empty `characteristics`.
            let zeros = fs::read_to_string(&path)?;
            let emptied = emptied(&zeros);
            fs::write(&path, emptied)?;
        }
        if !series.contains(&(uid.clone(), study.clone())) {
            series.push((uid, study));
        }
    }
    Ok(series)
}

/// The geometry of a trap's scan.
pub(super) fn geometry<'a>(series: &'a str, study: &'a str) -> NewScanGeometry<'a> {
    let mut z_mm: Vec<String> = (0..SLICES).map(|k| height(k).to_string()).collect();
    // The order of the heights has no meaning.
    z_mm.reverse();
    NewScanGeometry {
        series_instance_uid: series,
        study_instance_uid: study,
        patient_id: "TRAPS",
        slice_thickness_mm: STEP_MM,
        pixel_spacing_mm: 0.5,
        z_positions_mm: z_mm.join(" "),
    }
}

fn reads(name: &str, series: &str, study: &str) -> Annotations {
    let one = |nodule: ReadNodule| vec![session(vec![nodule])];
    let plain = || outlined("1", vec![square(2, 50, 5), square(3, 50, 5)]);
    let sessions = match name {
        "superseded-a" => vec![session(vec![plain(), outlined("2", vec![square(5, 90, 5)])])],
        "three-sessions" => (0..3).map(|_| session(vec![plain()])).collect(),
        "eight-sessions" => (0..8).map(|_| session(vec![plain()])).collect(),
        "duplicate-id" => {
            let unrated = ReadNodule { ratings: None, ..plain() };
            vec![session(vec![unrated, point("1", 2, 200)])]
        }
        "off-slice" => {
            let mut outline = outlined("1", vec![square(6, 50, 5), square(7, 50, 5)]);
            outline.contours.push(square(12, 50, 5));
            let mut session = session(vec![outline, point("2", 12, 80)]);
            session.non_nodules = vec![finding("3", 12), finding("4", 3)];
            vec![session]
        }
        "open-contour" => {
            let corners = vec![[50, 50], [54, 50], [54, 54], [50, 54]];
            one(outlined("1", vec![contour(2, corners)]))
        }
        "point-contour" => {
            let outline = outlined("1", vec![square(2, 50, 5), contour(3, vec![[52, 52]])]);
            let pair = outlined("2", vec![contour(2, vec![[90, 90], [91, 90]])]);
            vec![session(vec![outline, pair])]
        }
        "hole" => {
            let hole = Contour { inclusion: false, ..square(2, 52, 3) };
            one(outlined("1", vec![square(2, 50, 7), hole]))
        }
        "several-inclusions" => one(outlined("1", vec![square(2, 50, 5), square(2, 60, 5)])),
        "no-ratings" => {
            let zeros = ReadNodule { ratings: Some(Ratings::default()), ..point("zeros", 2, 60) };
            let empty = ReadNodule { ratings: Some(Ratings::default()), ..point("empty", 3, 70) };
            vec![session(vec![point("none", 4, 80), zeros, empty])]
        }
        "nothing" => vec![Session::default()],
        "descending" => one(outlined("1", vec![square(3, 50, 5), square(2, 50, 5)])),
        "no-voxels" => one(outlined("1", vec![square(12, 50, 5)])),
        "joined" => joined(),
        _ => one(plain()),
    };
    let delivered = match name {
        "superseded-a" => Some("2006-06-05 17:08:37".to_owned()),
        "superseded-b" => Some("2006-06-06 09:00:00".to_owned()),
        _ => None,
    };
    Annotations {
        series_instance_uid: series.to_owned(),
        study_instance_uid: Some(study.to_owned()),
        delivered,
        sessions,
    }
}

/// Four readers of two neighbouring lesions.
fn joined() -> Vec<Session> {
    let two_slices = |id: &str, start: [i64; 2], size: [i64; 2]| {
        outlined(id, vec![rectangle(2, start, size), rectangle(3, start, size)])
    };
    let lesion = |id: &str, start: [i64; 2]| two_slices(id, start, [9, 9]);
    vec![
        session(vec![lesion("1", [44, 48]), lesion("2", [54, 48])]),
        session(vec![lesion("1", [43, 49]), lesion("2", [55, 49])]),
        session(vec![two_slices("1", [42, 47], [23, 11])]),
        session(vec![lesion("1", [45, 47]), point_at("2", 3, [59, 52])]),
    ]
}

fn height(k: usize) -> f64 {
    FIRST_Z_MM + STEP_MM * k as f64
}

fn session(nodules: Vec<ReadNodule>) -> Session {
    Session { nodules, non_nodules: Vec::new() }
}

fn outlined(id: &str, contours: Vec<Contour>) -> ReadNodule {
    let ratings = Ratings {
        subtlety: Some(5),
        internal_structure: Some(1),
        calcification: Some(6),
        sphericity: Some(4),
        margin: Some(4),
        lobulation: Some(1),
        spiculation: Some(1),
        texture: Some(5),
        malignancy: Some(3),
    };
    ReadNodule { reader_nodule_id: id.to_owned(), ratings: Some(ratings), contours }
}

fn point(id: &str, k: usize, at: i64) -> ReadNodule {
    point_at(id, k, [at, at])
}

fn point_at(id: &str, k: usize, at: [i64; 2]) -> ReadNodule {
    let contours = vec![contour(k, vec![at])];
    ReadNodule { reader_nodule_id: id.to_owned(), ratings: None, contours }
}

fn finding(id: &str, k: usize) -> NonNodule {
    let sop_instance_uid = "2.25.1".to_owned();
    NonNodule { id: id.to_owned(), z_mm: height(k), point: [300, 300], sop_instance_uid }
}

fn contour(k: usize, points: Vec<[i64; 2]>) -> Contour {
    let sop_instance_uid = "2.25.1".to_owned();
    Contour { z_mm: height(k), inclusion: true, points, sop_instance_uid }
}

/// A closed square line of pixels, `width` pixels wide, from (`start`, `start`).
fn square(k: usize, start: i64, width: i64) -> Contour {
    rectangle(k, [start; 2], [width; 2])
}

/// A closed line of pixels around a rectangle, clockwise from its first pixel.
fn rectangle(k: usize, [i, j]: [i64; 2], size: [i64; 2]) -> Contour {
    let [right, down] = size.map(|n| n - 1);
    let mut points = Vec::new();
    points.extend((0..right).map(|t| [i + t, j]));
    points.extend((0..down).map(|t| [i + right, j + t]));
    points.extend((0..right).map(|t| [i + right - t, j + down]));
    points.extend((0..down).map(|t| [i, j + down - t]));
    points.push([i, j]);
    contour(k, points)
}

/// The last nodule's `characteristics` without values.
fn emptied(text: &str) -> String {
    let (open, close) = ("<characteristics>", "</characteristics>");
    match text.rfind(open).zip(text.rfind(close)) {
        Some((from, to)) => format!("{}{}", &text[..from + open.len()], &text[to..]),
        None => text.to_owned(),
    }
}

/// Marks of a chest X-ray, which also name a CT series.
fn x_ray(series: &str) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        r#"<?xml version="1.0" encoding="UTF-8"?>
<IdriReadMessage uid="{series}.0" xmlns="http://www.nih.gov/idri">
<ResponseHeader>
<SeriesInstanceUID>{series}</SeriesInstanceUID>
<CTSeriesInstanceUid>{series}</CTSeriesInstanceUid>
<Modality>CXR</Modality>
</ResponseHeader>
</IdriReadMessage>
"#
    );
    text
}

//! Marks of LIDC-IDRI against pylidc and against published counts.

use super::{linkage, rasterise};
use crate::formats::lidc_xml::{self, Annotations, Kind, ReadNodule};
use crate::volume::Geometry;
use fs_err as fs;
use rayon::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Made by `tests/golden/pylidc_masks.py`.
const GOLDEN: &str = include_str!("../../tests/golden/pylidc_masks.json");

#[derive(Deserialize)]
struct Golden {
    scans: Vec<GoldenScan>,
}

#[derive(Deserialize)]
struct GoldenScan {
    patient_id: String,
    n_slices: usize,
    first_z_mm: f64,
    spacing_mm: [f64; 3],
    marks: Vec<GoldenMark>,
}

#[derive(Deserialize)]
struct GoldenMark {
    reader_nodule_id: String,
    n_contours: usize,
    n_voxels: usize,
    voxels_by_slice: BTreeMap<usize, usize>,
    sha256: String,
    /// Voxels that the line closes but the polygon through its points leaves out.
    pockets: BTreeSet<[usize; 3]>,
}

#[test]
fn voxels_inside_each_mark_agree_with_pylidc() {
    let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
    let temp = tempfile::tempdir().unwrap();
    for scan in golden.scans {
        let Some(folder) = scan_folder(&scan.patient_id, temp.path()) else { continue };
        let [file] = &xml_below(&folder)[..] else { panic!("one XML file in the scan's folder") };
        let reads = lidc_xml::read(file).unwrap();
        let size = [512, 512, scan.n_slices];
        let origin = [0.0, 0.0, scan.first_z_mm];
        let geometry = Geometry::new(size, scan.spacing_mm, origin, Geometry::AXIAL).unwrap();
        let nodules: Vec<_> = nodules(&reads).collect();
        assert_eq!(nodules.len(), scan.marks.len(), "{}", scan.patient_id);
        for (nodule, golden) in nodules.into_iter().zip(scan.marks) {
            check(nodule, &golden, &geometry);
        }
    }
}

fn check(nodule: &ReadNodule, golden: &GoldenMark, geometry: &Geometry) {
    let id = &golden.reader_nodule_id;
    assert_eq!(&nodule.reader_nodule_id, id);
    assert_eq!(nodule.contours.len(), golden.n_contours, "{id}");
    let placed = rasterise::mark_mask(&nodule.contours, geometry).unwrap();
    let (mut text, mut n_voxels) = (String::new(), 0);
    let mut by_slice: BTreeMap<usize, usize> =
        golden.voxels_by_slice.keys().map(|k| (*k, 0)).collect();
    let mut pockets = BTreeSet::new();
    for voxel in placed.mask.voxels() {
        let [i, j, k] = std::array::from_fn(|a| voxel[a] + placed.start[a]);
        if golden.pockets.contains(&[i, j, k]) {
            pockets.insert([i, j, k]);
        } else {
            writeln!(text, "{i} {j} {k}").unwrap();
            *by_slice.entry(k).or_default() += 1;
            n_voxels += 1;
        }
    }
    assert_eq!(n_voxels, golden.n_voxels, "{id}");
    assert_eq!(by_slice, golden.voxels_by_slice, "{id}");
    assert_eq!(pockets, golden.pockets, "{id}");
    let digest: String =
        Sha256::digest(text).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert_eq!(digest, golden.sha256, "{id}");
}

/// The marks are LUNA16's own count (Setio et al. 2017). Its nodules with at least 1, 2, 3 and 4
/// marks are 2290, 1602, 1186 and 777; single linkage comes within 6 of them, and every change to
/// what is inside a mark or to what is linked shows here.
#[test]
fn marks_and_nodules_of_all_scans_are_as_published() {
    let temp = tempfile::tempdir().unwrap();
    let Some(Cohort { reads, scans, luna16 }) = cohort(temp.path()) else { return };
    let counted: Vec<(bool, Counts)> = reads
        .par_iter()
        .map(|reads| {
            let series = &reads.series_instance_uid;
            (luna16.contains(series), count(reads, &scans[series]))
        })
        .collect();
    let sum = |wanted: &dyn Fn(bool) -> bool| {
        let mut total = Counts::default();
        for (_, counts) in counted.iter().filter(|(luna16, _)| wanted(*luna16)) {
            total.add(counts);
        }
        total
    };
    let luna16 = Counts {
        scans: 888,
        non_nodules: 19_004,
        small_nodules: 11_509,
        rated: 5_863,
        unrated: 2,
        nodules: [2284, 1600, 1186, 777],
    };
    assert_eq!(sum(&|luna16| luna16), luna16);
    let all = sum(&|_| true);
    assert_eq!(all.scans, 1018);
    assert_eq!(all.non_nodules + all.small_nodules + all.rated + all.unrated, 41_759);
    assert_eq!(all.nodules, [2656, 1881, 1392, 912]);
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    scans: usize,
    non_nodules: usize,
    small_nodules: usize,
    rated: usize,
    unrated: usize,
    nodules: [usize; 4],
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.scans += other.scans;
        self.non_nodules += other.non_nodules;
        self.small_nodules += other.small_nodules;
        self.rated += other.rated;
        self.unrated += other.unrated;
        for (sum, n) in self.nodules.iter_mut().zip(other.nodules) {
            *sum += n;
        }
    }
}

/// Slices of a scan: spacing within them and their heights, upwards.
struct Slices {
    pixel_mm: f64,
    z_mm: Vec<f64>,
}

fn count(reads: &Annotations, slices: &Slices) -> Counts {
    let mut steps: Vec<f64> = slices.z_mm.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_by(f64::total_cmp);
    let step = steps[steps.len() / 2];
    let spacing = [slices.pixel_mm, slices.pixel_mm, step];
    // Some scans miss slices: a slice's number stands for its height.
    let geometry =
        Geometry::new([512, 512, slices.z_mm.len()], spacing, [0.0; 3], Geometry::AXIAL).unwrap();
    let (mut centres, mut diameters) = (Vec::new(), Vec::new());
    let (mut rated, mut unrated) = (0, 0);
    for nodule in nodules(reads) {
        let mut contours = nodule.contours.clone();
        contours.retain_mut(|contour| {
            let k = slices.z_mm.iter().position(|z| (z - contour.z_mm).abs() < 0.2);
            contour.z_mm = k.unwrap_or_default() as f64 * step;
            k.is_some()
        });
        let placed = rasterise::mark_mask(&contours, &geometry).unwrap();
        let volume = placed.mask.count() as f64 * geometry.spacing().voxel_volume_mm3();
        centres.push(geometry.voxel_to_patient(placed.centroid().unwrap()));
        diameters.push((6.0 / std::f64::consts::PI * volume).cbrt());
        *(if nodule.ratings.is_some() { &mut rated } else { &mut unrated }) += 1;
    }
    let groups = linkage::single_linkage(&centres, &diameters);
    let mut members: BTreeMap<usize, usize> = BTreeMap::new();
    for group in groups {
        *members.entry(group).or_default() += 1;
    }
    let at_least = |least: usize| members.values().filter(|n| **n >= least).count();
    let all = || reads.sessions.iter();
    let small = |nodule: &&ReadNodule| nodule.kind() == Kind::SmallNodule;
    Counts {
        scans: 1,
        non_nodules: all().map(|session| session.non_nodules.len()).sum(),
        small_nodules: all().map(|session| session.nodules.iter().filter(small).count()).sum(),
        rated,
        unrated,
        nodules: [at_least(1), at_least(2), at_least(3), at_least(4)],
    }
}

fn nodules(reads: &Annotations) -> impl Iterator<Item = &ReadNodule> {
    let nodules = reads.sessions.iter().flat_map(|session| &session.nodules);
    nodules.filter(|nodule| nodule.kind() == Kind::Nodule)
}

struct Cohort {
    /// Reads of each series once.
    reads: Vec<Annotations>,
    scans: BTreeMap<String, Slices>,
    luna16: BTreeSet<String>,
}

fn cohort(temp: &Path) -> Option<Cohort> {
    let data = data();
    let geometry = data.join("lidc-scan-geometry.csv.xz");
    if !unpack(&data.join("lidc-xml.tar.zst"), temp) || !geometry.is_file() {
        skip("all reads of LIDC-IDRI");
        return None;
    }
    let table = Command::new("xz").arg("-dc").arg(geometry).output().unwrap();
    let mut scans = BTreeMap::new();
    for row in csv::Reader::from_reader(table.stdout.as_slice()).records() {
        let row = row.unwrap();
        let mut z_mm: Vec<f64> = row[5].split(' ').map(|z| z.parse().unwrap()).collect();
        z_mm.sort_by(f64::total_cmp);
        z_mm.dedup();
        scans.insert(row[0].to_owned(), Slices { pixel_mm: row[4].parse().unwrap(), z_mm });
    }
    let files = xml_below(temp);
    let read: Vec<Annotations> = files
        .par_iter()
        .filter_map(|file| match lidc_xml::read(file) {
            Err(lidc_xml::Error::XRay(_)) => None,
            reads => Some(reads.unwrap()),
        })
        .collect();
    assert_eq!((files.len(), read.len()), (1318, 1035));
    // Six series have several files, which say the same.
    let mut reads: BTreeMap<String, Annotations> = BTreeMap::new();
    for read in read {
        if let Some(again) = reads.get(&read.series_instance_uid) {
            assert_eq!(again.sessions, read.sessions);
        }
        reads.insert(read.series_instance_uid.clone(), read);
    }
    let luna16 = crate::formats::luna_csv::read_series_uids(&data.join("luna16-seriesuids.csv"));
    Some(Cohort {
        reads: reads.into_values().collect(),
        scans,
        luna16: luna16.unwrap().into_iter().collect(),
    })
}

/// A folder with the scan below it: unpacked by someone, or from the archive into `temp`.
fn scan_folder(patient: &str, temp: &Path) -> Option<PathBuf> {
    let folder = if let Some(root) = std::env::var_os("NODULUS_REAL") {
        Path::new(&root).join(patient)
    } else {
        unpack(&data().join(format!("{}.tar.zst", patient.to_lowercase())), temp);
        temp.join(patient)
    };
    let found = folder.is_dir();
    if !found {
        skip(patient);
    }
    found.then_some(folder)
}

fn data() -> PathBuf {
    std::env::var_os("NODULUS_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from)
}

/// Unpacks an archive's XML.
fn unpack(archive: &Path, to: &Path) -> bool {
    let mut tar = Command::new("tar");
    tar.arg("--zstd").arg("-xf").arg(archive).arg("-C").arg(to).args(["--wildcards", "*.xml"]);
    archive.is_file() && tar.status().is_ok_and(|status| status.success())
}

fn skip(what: &str) {
    let place = "NODULUS_DATA or ../shared/data";
    writeln!(std::io::stderr(), "skipped: {what}: no archive in {place}").unwrap();
}

fn xml_below(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "xml") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

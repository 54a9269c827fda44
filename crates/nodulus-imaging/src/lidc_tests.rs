//! Marks of LIDC-IDRI compared with pylidc.

use super::rasterise;
use fs_err as fs;
use nodulus_formats::lidc_xml::{self, Annotations, NoduleKind, ReadNodule};
use nodulus_formats::volume::{Geometry, Slices};
use nodulus_test_needs::real_scan;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Made by `tests/golden/pylidc_masks.py`.
const GOLDEN: &str = include_str!("../../../tests/golden/pylidc_masks.json");

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
    /// Voxels that the line encloses but the polygon through its points does not.
    pockets: BTreeSet<[usize; 3]>,
}

#[test]
fn voxels_inside_each_mark_agree_with_pylidc() {
    let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
    let temp = tempfile::tempdir().unwrap();
    for scan in golden.scans {
        let Some(folder) = real_scan(&scan.patient_id, Some("*.xml"), temp.path()) else {
            continue;
        };
        let [file] = &xml_below(&folder)[..] else { panic!("one XML file in the scan's folder") };
        let reads = lidc_xml::read(file).unwrap();
        let size = [512, 512, scan.n_slices];
        let origin = [0.0, 0.0, scan.first_z_mm];
        let geometry = Geometry::new(size, scan.spacing_mm, origin, Geometry::AXIAL).unwrap();
        let slices = Slices::of(&geometry).unwrap();
        let nodules: Vec<_> = nodules(&reads).collect();
        assert_eq!(nodules.len(), scan.marks.len(), "{}", scan.patient_id);
        for (nodule, golden) in nodules.into_iter().zip(scan.marks) {
            check(nodule, &golden, &slices);
        }
    }
}

fn check(nodule: &ReadNodule, golden: &GoldenMark, slices: &Slices) {
    let id = &golden.reader_nodule_id;
    assert_eq!(&nodule.reader_nodule_id, id);
    assert_eq!(nodule.contours.len(), golden.n_contours, "{id}");
    let placed = rasterise::mark_mask(&nodule.contours, slices).mask.unwrap();
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

fn nodules(reads: &Annotations) -> impl Iterator<Item = &ReadNodule> {
    let nodules = reads.sessions.iter().flat_map(|session| &session.nodules);
    nodules.filter(|nodule| nodule.kind() == NoduleKind::Nodule)
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

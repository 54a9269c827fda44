//! Crops about nodules that were laid into scans of filler: only what holds data is learnt from, predicted and measured.

use crate::fixture;
use ndarray::Array3;
use nodulus::tables::{Nodule, Prediction, Roi, Scan};
use nodulus_formats::metaimage;
use nodulus_formats::volume::{Mask, Volume};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const SIDE: i64 = 64;

/// The pipeline of the crops; `{FOLDER}` stands for the test's folder.
const PIPELINE: &str = r#"
store = "{FOLDER}/store"

[[ingest.cohorts]]
name = "luna16"
source = "luna16"
root = "{FOLDER}/scans"
annotations = "{XML}"

[crop]
size = 64
margin_slices = 3

[balance]
assignment = "exact"
folds_from = "hash"
split = { validation = 0.0, test = 0.4 }

[train.model]
architecture = "unet"
preset = "tiny"
image_size = 64

[[train.phases]]
name = "train"
cohorts = ["luna16"]
schedule = { epochs = 2, warm_up_epochs = 0.5, decay = "cosine" }

[infer]
splits = ["test"]
"#;

/// The window that is kept about a nodule, three pixels beside its region: its first column and row, and the slices that some
/// reader drew.
struct Crop {
    start: [i64; 2],
    slices: std::ops::Range<i64>,
}

impl Crop {
    fn of(nodule: &Nodule) -> Self {
        let start = [nodule.centroid_i, nodule.centroid_j].map(|c| c.round() as i64 - SIDE / 2 + 3);
        let first = nodule.union_bbox_k;
        Self { start, slices: first..first + nodule.union_bbox_size_k }
    }

    fn holds(&self, [i, j, k]: [i64; 3]) -> bool {
        let within = |at: i64, start: i64| (start..start + SIDE).contains(&at);
        within(i, self.start[0]) && within(j, self.start[1]) && self.slices.contains(&k)
    }
}

/// The voxels of a scan, and its crops.
type Cropped = (Array3<i16>, Vec<Crop>);

/// Writes the scans with -1000 HU outside the crops of all nodules but the first of each scan, and returns them.
fn write_crops(source: &Path, nodules: &[Nodule], folder: &Path) -> BTreeMap<String, Cropped> {
    fs_err::create_dir_all(folder).unwrap();
    let scans: Vec<Scan> = fixture::rows(&source.join("store"));
    let mut all = BTreeMap::new();
    for scan in scans.iter().filter(|scan| scan.cohort == "luna16") {
        let of_scan = nodules.iter().filter(|n| n.series_instance_uid == scan.series_instance_uid);
        let crops: Vec<Crop> = of_scan.skip(1).map(Crop::of).collect();
        let path = source.join("store/phantom/luna16").join(scan.path.as_deref().unwrap());
        let volume = metaimage::read(&path).unwrap();
        let mut voxels = volume.voxels().to_owned();
        for ((k, j, i), hu) in voxels.indexed_iter_mut() {
            let voxel = [i, j, k].map(|v| v as i64);
            if !crops.iter().any(|crop| crop.holds(voxel)) {
                *hu = -1000;
            }
        }
        let cropped = Volume::new(*volume.geometry(), voxels.clone()).unwrap();
        let name = path.file_name().unwrap();
        metaimage::write(&folder.join(name), &cropped, true).unwrap();
        all.insert(scan.series_instance_uid.clone(), (voxels, crops));
    }
    all
}

#[test]
fn only_what_holds_data_is_cut_learnt_and_predicted() {
    let source = fixture::finished();
    let nodules: Vec<Nodule> = fixture::rows(&source.join("store"));
    let nodules: Vec<Nodule> = nodules.into_iter().filter(|n| n.cohort == "luna16").collect();
    let folder = tempfile::tempdir().unwrap();
    let crops = write_crops(source, &nodules, &folder.path().join("scans"));
    let pipeline = folder.path().join("crops.toml");
    let xml = source.join("store/phantom/luna16/xml");
    let text = PIPELINE.replace("{FOLDER}", folder.path().to_str().unwrap());
    fs_err::write(&pipeline, text.replace("{XML}", xml.to_str().unwrap())).unwrap();
    let output =
        fixture::run(&["run", pipeline.to_str().unwrap(), "--progress", "log", "--to", "infer"]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");

    // A nodule has a region if each voxel of its mask is in a crop.
    let has_data = |nodule: &&Nodule| {
        let (_, crops) = &crops[&nodule.series_instance_uid];
        let placed = nodule.placed().unwrap();
        let mut voxels = placed.voxels();
        voxels.all(|voxel| crops.iter().any(|crop| crop.holds(voxel.map(|v| v as i64))))
    };
    let expected: BTreeSet<&str> =
        nodules.iter().filter(has_data).map(|nodule| &*nodule.nodule_id).collect();
    let store = folder.path().join("store");
    let rois: Vec<Roi> = fixture::rows(&store);
    let found: BTreeSet<&str> = rois.iter().map(|roi| &*roi.nodule_id).collect();
    assert_eq!(found, expected);
    let n_without = nodules.len() - expected.len();
    assert!(n_without > 0 && !expected.is_empty(), "{n_without}");
    let told =
        format!("{n_without} nodules have no region, because their scans hold no data there");
    assert!(log.contains(&told), "{log}");

    // The flags are the pixels outside the crops.
    let mut n_partly = 0;
    for roi in &rois {
        let (voxels, crops) = &crops[&roi.series_instance_uid];
        let mask = Mask::from_bits([64, 64, 1], roi.no_data_bits.clone()).unwrap();
        assert_eq!(mask.count() as i64, roi.n_no_data_pixels);
        let at = |i: i64, j: i64| [roi.start_i as i64 + i, roi.start_j as i64 + j, roi.slice_index];
        let in_image =
            |[i, j, _]: [i64; 3]| (0..roi.n_columns).contains(&i) && (0..roi.n_rows).contains(&j);
        let lacks = |voxel| in_image(voxel) && !crops.iter().any(|crop| crop.holds(voxel));
        // The phantom has values of -1000 HU of its own.
        let is_filler = |[i, j, _]: [usize; 3]| {
            let [i, j, k] = at(i as i64, j as i64).map(|v| v as usize);
            voxels[[k, j, i]] == -1000
        };
        assert!(mask.voxels().all(is_filler), "{}", roi.roi_id);
        let pixels = (0..64).flat_map(|j| (0..64).map(move |i| at(i, j)));
        let n_lacking = pixels.filter(|voxel| lacks(*voxel)).count() as i64;
        // Slivers beside crops, narrower than 5 pixels, are not found.
        let on_slice = crops.iter().filter(|crop| crop.slices.contains(&roi.slice_index));
        if let [crop] = on_slice.collect::<Vec<_>>()[..] {
            let size = [roi.n_columns, roi.n_rows];
            let beside = [0, 1].map(|a| [crop.start[a], size[a] - crop.start[a] - SIDE]);
            if beside.iter().flatten().all(|n| *n <= 0 || *n >= 5) {
                assert!(roi.n_no_data_pixels >= n_lacking, "{}", roi.roi_id);
            }
        }
        assert!(roi.n_no_data_pixels <= 64 * 64 / 2);
        n_partly += usize::from(roi.n_no_data_pixels > 0);
    }
    assert!(rois.iter().any(|roi| !roi.has_nodule), "slices that a minority drew");
    assert!(n_partly > 0, "no region is cut by its crop");

    let flags: BTreeMap<&str, &Roi> = rois.iter().map(|roi| (&*roi.roi_id, roi)).collect();
    let predictions: Vec<Prediction> = fixture::rows(&store);
    assert!(!predictions.is_empty());
    for prediction in &predictions {
        let lacking = &flags[&*prediction.roi_id].no_data_bits;
        let overlap =
            prediction.mask_bits.iter().zip(lacking).any(|(mask, lacks)| mask & lacks > 0);
        assert!(!overlap, "{}", prediction.roi_id);
    }
}

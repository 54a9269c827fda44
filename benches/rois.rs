//! Speed of writing regions to Parquet and reading them, compared with the same bytes in a plain file.
//!
//! `NODULUS_BENCH_SERIES` names a folder with one CT series, from which regions of 128 × 128 pixels are cut; without it they
//! are noise. Files are written to `NODULUS_BENCH_FOLDER`, or to the temporary folder. Writing ends when the disk has the
//! bytes; before reading, `dd` drops the file from the page cache.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use fs_err as fs;
use ndarray::{Array3, s};
use nodulus::tables::{Roi, Table};
use nodulus_formats::cohort::files_below;
use nodulus_formats::dicom::{Tolerances, find_series, read_series};
use nodulus_formats::volume::Geometry;
use nodulus_store::{PartReader, PartWriter, Provenance};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 9;
const SIZE: usize = 128;
const ROWS: usize = 4096;

fn main() {
    let rows = regions(&voxels());
    let pixels: Vec<u8> = rows.iter().flat_map(bytes).collect();
    let megabytes = pixels.len() as f64 / 1e6;
    let folder = std::env::var_os("NODULUS_BENCH_FOLDER").map(PathBuf::from);
    let folder = tempfile::tempdir_in(folder.unwrap_or_else(std::env::temp_dir));
    let folder = folder.expect("a temporary folder");
    let [plain, parquet] = ["plain", "rois.parquet"].map(|name| folder.path().join(name));
    let mut seconds: [Vec<f64>; 6] = Default::default();
    for _ in 0..=ROUNDS {
        seconds[0].push(time(|| {
            let mut file = fs::File::create(&plain).expect("a file");
            file.write_all(&pixels).and_then(|()| file.sync_all()).expect("room on the disk");
        }));
        let copy = rows.clone();
        seconds[1].push(time(|| {
            let mut writer = PartWriter::create(&parquet, &Provenance::new()).expect("a file");
            writer.write(copy).expect("room on the disk");
            writer.finish().expect("room on the disk");
        }));
        for (file, cold, warm) in [(&plain, 2, 4), (&parquet, 3, 5)] {
            drop_from_cache(file);
            for at in [cold, warm] {
                seconds[at].push(time(|| {
                    if file == &plain { read_plain(file) } else { read_parquet(file) }
                }));
            }
        }
    }
    let stored = fs::metadata(&parquet).expect("a file").len() as f64 / 1e6;
    println!("{ROWS} regions, {megabytes:.0} MB of pixels and masks, {stored:.0} MB as Parquet");
    let speeds = seconds.map(|seconds| megabytes / median(seconds));
    for (what, at) in [("written", 0), ("read from the disk", 2), ("read from the cache", 4)] {
        let [a, b] = [speeds[at], speeds[at + 1]];
        println!("{what}: plain {a:.0} MB/s, Parquet {b:.0} MB/s, {:.2} of plain", b / a);
    }
}

fn time(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

/// The median without the first value, which warms up.
fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Reads one block at a time, like `cat`.
fn read_plain(path: &Path) {
    let mut file = fs::File::open(path).expect("a plain file");
    let mut block = vec![0; 1 << 20];
    while file.read(&mut block).expect("a plain file") > 0 {
        std::hint::black_box(&block);
    }
}

fn read_parquet(path: &Path) {
    for batch in PartReader::<Roi>::open(path, Table::Rois, None).expect("a part") {
        std::hint::black_box(batch.expect("rows"));
    }
}

/// Drops a file from the page cache, as in GNU's manual of `dd`; needs no privileges.
fn drop_from_cache(path: &Path) {
    let mut dd = Command::new("dd");
    let input = format!("if={}", path.display());
    let status = dd.arg(input).args(["iflag=nocache", "count=0"]).stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "`dd` cannot drop a file from the cache");
}

/// The pixels and the mask of a region.
fn bytes(row: &Roi) -> impl Iterator<Item = u8> + '_ {
    row.hu.iter().chain(&row.mask_bits).chain(&row.other_mask_bits).copied()
}

fn voxels() -> Array3<i16> {
    if let Some(folder) = std::env::var_os("NODULUS_BENCH_SERIES").map(PathBuf::from) {
        let series = find_series(&files_below(&folder).expect("a folder")).expect("DICOM files");
        let files = &series.first().expect("a CT series").files;
        let series = read_series(files, &Tolerances::default()).expect("a series");
        return series.volume.into_voxels();
    }
    let hu = |(k, j, i)| ((i * 7919 + j * 104_729 + k * 1_299_709) / 7 % 512) as i16 - 1024;
    Array3::from_shape_fn((133, 512, 512), hu)
}

/// Regions from all over the scan, with a disc as mask.
fn regions(voxels: &Array3<i16>) -> Vec<Roi> {
    let (nk, nj, ni) = voxels.dim();
    let mut mask = vec![0u8; SIZE * SIZE / 8];
    for n in (0..SIZE * SIZE)
        .filter(|n| (n % SIZE).abs_diff(64).pow(2) + (n / SIZE).abs_diff(64).pow(2) < 100)
    {
        mask[n / 8] |= 1 << (n % 8);
    }
    let region = |n: usize| {
        let [i, j, k] = [n * 37 % (ni - SIZE), n * 53 % (nj - SIZE), n % nk];
        let window = voxels.slice(s![k, j..j + SIZE, i..i + SIZE]);
        Roi {
            roi_id: format!("n-{n:016x}-k{k:04}"),
            nodule_id: format!("n-{n:016x}"),
            cohort: "lidc".to_owned(),
            series_instance_uid: "1.3.6.1.4.1.14519.5.2.1.6279.6001.1".to_owned(),
            patient_id: "p".to_owned(),
            slice_index: k as i64,
            z_mm: k as f64,
            start_i: i as f64,
            start_j: j as f64,
            n_columns: 512,
            n_rows: 512,
            height: SIZE as i64,
            width: SIZE as i64,
            spacing_i_mm: 0.7,
            spacing_j_mm: 0.7,
            spacing_k_mm: 2.5,
            native_spacing_i_mm: 0.7,
            native_spacing_j_mm: 0.7,
            origin_x_mm: 0.7 * i as f64,
            origin_y_mm: 0.7 * j as f64,
            origin_z_mm: k as f64,
            direction: Geometry::AXIAL.to_vec(),
            hu: window.iter().flat_map(|hu| hu.to_le_bytes()).collect(),
            norm_low_hu: -1000.0,
            norm_high_hu: 400.0,
            mask_bits: mask.clone(),
            other_mask_bits: vec![0; SIZE * SIZE / 8],
            neighbours: "include".to_owned(),
            n_other_nodules: 0,
            n_mask_pixels: 305,
            n_cut_pixels: 0,
            oversize: None,
            has_nodule: true,
            distance_to_nodule_slices: 0,
            padded: false,
            reader_counts: vec![0; SIZE * SIZE],
            n_readers: 4,
            n_no_data_pixels: 0,
            no_data_bits: vec![0; SIZE * SIZE / 8],
        }
    };
    (0..ROWS).map(region).collect()
}

//! DICOM slices read per second, from a folder to a volume in HU.
//!
//! `NODULUS_BENCH_SERIES` names a folder with one CT series; without it, a synthetic series of 512 × 512 × 133 voxels is
//! written first. `benches/peers/read_series.py` does the same with pydicom and SimpleITK, and makes compressed copies of a
//! series.

mod ct;

use criterion::{Criterion, Throughput};
use ndarray::Array3;
use nodulus_formats::cohort::files_below;
use nodulus_formats::dicom::{
    NewSeries, Numbering, SeriesFiles, Tolerances, find_series, read_series, write_series,
};
use nodulus_formats::volume::{Geometry, Volume};
use std::path::{Path, PathBuf};

const SIZE: [usize; 3] = [512, 512, 133];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let temp = tempfile::tempdir().expect("a temporary folder");
    let folder = std::env::var_os("NODULUS_BENCH_SERIES").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| {
        write(temp.path());
        temp.path().to_owned()
    });
    let found = find(&folder);
    let [series] = &found[..] else { panic!("`{}` needs one CT series", folder.display()) };
    let mut group = criterion.benchmark_group("dicom_series");
    group.sample_size(20).throughput(Throughput::Elements(series.files.len() as u64));
    group.bench_function("find", |b| b.iter(|| find(&folder)));
    group.bench_function("read", |b| {
        b.iter(|| read_series(&series.files, &Tolerances::default()).expect("a series"));
    });
    group.bench_function("find_and_read", |b| {
        b.iter(|| {
            let found = find(&folder);
            read_series(&found[0].files, &Tolerances::default()).expect("a series")
        });
    });
    group.finish();
    criterion.final_summary();
}

fn find(folder: &Path) -> Vec<SeriesFiles> {
    find_series(&files_below(folder).expect("a folder")).expect("DICOM files")
}

/// Writes a series whose voxels are noise from -1024 to 3071 HU.
fn write(folder: &Path) {
    let [ni, nj, nk] = SIZE;
    let geometry = Geometry::new(SIZE, [0.7, 0.7, 2.5], [-180.0; 3], Geometry::AXIAL);
    let geometry = geometry.expect("a valid geometry");
    let hu = |(k, j, i)| ((i * 7919 + j * 104_729 + k * 1_299_709) % 4096) as i16 - 1024;
    let voxels = Array3::from_shape_fn((nk, nj, ni), hu);
    let volume = Volume::new(geometry, voxels).expect("the geometry's shape");
    let sop_instance_uids: Vec<_> = (0..nk).map(|k| format!("2.25.100.{k}")).collect();
    let series = NewSeries {
        slice_thickness_mm: 2.5,
        numbering: Numbering::AgainstK,
        ..ct::series(&sop_instance_uids)
    };
    write_series(folder, &series, &volume).expect("a folder to write to");
}

//! Peak memory of `ingest` and `crop` on a scan of 512 × 512 × 1,200 voxels, by format.
//!
//! Each runs in a process of its own, whose memory Linux reports. The benchmark needs 1 GB of temporary files.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set itself up should panic")]

mod ct;
#[path = "../tests/it/large_scan.rs"]
mod large_scan;
#[path = "../tests/it/peak_memory.rs"]
mod peak_memory;

use large_scan::{SIZE, slice, write_mask, write_reals, write_zraw};
use nodulus_formats::dicom::{NewSeries, write_series};
use nodulus_formats::volume::{Geometry, Volume};
use peak_memory::peak_memory;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

fn main() {
    for (format, image) in [
        (".zraw", "ct/{patient}.mhd"),
        (".nii.gz of reals", "ct/{patient}.nii.gz"),
        ("DICOM", "ct/{patient}"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let [ct, mask] = ["ct", "mask"].map(|name| folder.path().join("data").join(name));
        fs_err::create_dir_all(&ct).unwrap();
        fs_err::create_dir_all(&mask).unwrap();
        match format {
            "DICOM" => write_dicom(&ct.join("a")),
            ".zraw" => write_zraw(&ct, "a"),
            _ => write_reals(&ct.join("a.nii.gz")),
        }
        write_mask(&mask.join("a.nii.gz"));
        let pipeline = folder.path().join("large.toml");
        let root = folder.path().to_str().unwrap();
        let text = format!(
            "store = \"{root}/store\"\n[[ingest.cohorts]]\nname = \"c\"\nsource = \"volumes\"\n\
             root = \"{root}/data\"\nimage = \"{image}\"\nmask = \"mask/{{patient}}.nii.gz\"\n\
             [infer]\ncheckpoint = \"unused.safetensors\"\n"
        );
        fs_err::write(&pipeline, text).unwrap();
        for stage in ["ingest", "merge", "crop"] {
            let mut nodulus = Command::new(env!("CARGO_BIN_EXE_nodulus"));
            nodulus.args([stage, pipeline.to_str().unwrap(), "--progress", "none"]);
            let begun = Instant::now();
            let (status, peak) = peak_memory(nodulus.stdout(Stdio::null()));
            assert!(status.success(), "{format}, {stage}");
            let seconds = begun.elapsed().as_secs_f64();
            println!("{format}, {stage}: {} MiB, {seconds:.1} s", peak >> 20);
        }
    }
}

/// Writes 16 slices at a time, with the paths and positions that the whole volume would have.
fn write_dicom(folder: &Path) {
    let [ni, nj, nk] = SIZE;
    let one = slice();
    let uids: Vec<String> = (0..nk).map(|k| format!("2.25.100.{k}")).collect();
    let aside = tempfile::tempdir().unwrap();
    fs_err::create_dir_all(folder).unwrap();
    for (n, uids) in uids.chunks(16).enumerate() {
        let z = -300.0 + 0.3 * (16 * n) as f64;
        let size = [ni, nj, uids.len()];
        let geometry = Geometry::new(size, [0.7, 0.7, 0.3], [-180.0, -170.0, z], Geometry::AXIAL);
        let slices: Vec<_> = uids.iter().map(|_| one.slice(0).unwrap()).collect();
        let voxels = ndarray::stack(ndarray::Axis(0), &slices).unwrap();
        let series = NewSeries { slice_thickness_mm: 0.3, ..ct::series(uids) };
        let volume = Volume::new(geometry.unwrap(), voxels).unwrap();
        for (at, file) in write_series(aside.path(), &series, &volume).unwrap().iter().enumerate() {
            fs_err::rename(file, folder.join(format!("{:06}.dcm", 16 * n + at))).unwrap();
        }
    }
}

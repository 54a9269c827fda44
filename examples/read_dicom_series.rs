//! Reads the CT series of a folder of DICOM files into a volume, and prints its geometry and range of Hounsfield units:
//!
//! ```sh
//! cargo run --release --example read_dicom_series -- FOLDER
//! ```

use nodulus_formats::cohort::files_below;
use nodulus_formats::dicom::{Tolerances, find_series, read_series};
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = match std::env::args_os().nth(1) {
        Some(folder) => print_series(Path::new(&folder)),
        None => Err("no folder is given: name a folder of DICOM files, as in \
                     `cargo run --release --example read_dicom_series -- FOLDER`"
            .into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            // If standard error is closed, there is nobody to tell.
            let _ = writeln!(io::stderr(), "error: {text}");
            ExitCode::FAILURE
        }
    }
}

fn print_series(folder: &Path) -> Result<(), Box<dyn Error>> {
    // A folder may hold several series, and files that are not CT; `find_series` sorts them by `SeriesInstanceUID`.
    let found = find_series(&files_below(folder)?)?;
    if found.is_empty() {
        return Err(format!("`{}` contains no CT series", folder.display()).into());
    }
    let mut out = io::stdout().lock();
    for files in found {
        // The slices must make up an even grid: the tolerances say how even.
        let series = read_series(&files.files, &Tolerances::default())?;
        let geometry = series.volume.geometry();
        let [columns, rows, slices] = geometry.size();
        let [spacing_i, spacing_j, spacing_k] = geometry.spacing().ijk();
        let [x, y, z] = geometry.origin_mm();
        writeln!(out, "series   {}", series.info.series_instance_uid)?;
        writeln!(out, "size     {columns} x {rows} x {slices} voxels (i, j, k)")?;
        writeln!(out, "spacing  {spacing_i} x {spacing_j} x {spacing_k} mm")?;
        writeln!(out, "origin   ({x}, {y}, {z}) mm, LPS")?;
        for (axis, name) in ["i", "j", "k"].into_iter().enumerate() {
            writeln!(out, "axis {name}   {:?}", geometry.axis(axis))?;
        }
        // A geometry has one voxel or more, so there is a minimum and a maximum.
        let voxels = series.volume.voxels();
        if let (Some(least), Some(greatest)) = (voxels.iter().min(), voxels.iter().max()) {
            writeln!(out, "values   {least} to {greatest} HU")?;
        }
    }
    Ok(())
}

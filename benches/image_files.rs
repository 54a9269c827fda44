//! Milliseconds from an image file to its voxels, compared with SimpleITK and nibabel.
//!
//! `NODULUS_BENCH_SERIES` names a folder with one CT series, which is first written as `.zraw`, `.raw` and `.nii.gz`;
//! without it, a synthetic scan is. If `NODULUS_PYTHON` names a Python with both packages, the readers take turns. The
//! figures are medians.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use ndarray::Array3;
use nodulus_formats::cohort::files_below;
use nodulus_formats::dicom::{Tolerances, find_series, read_series};
use nodulus_formats::image_file::ImageRules;
use nodulus_formats::volume::{Geometry, Volume};
use nodulus_formats::{image_file, metaimage, nifti};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 15;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let series = std::env::var_os("NODULUS_BENCH_SERIES").map(PathBuf::from);
    let volume = series.map_or_else(synthetic, |folder| {
        let series = find_series(&files_below(&folder).expect("a folder")).expect("DICOM files");
        let files = &series.first().expect("a CT series").files;
        read_series(files, &Tolerances::default()).expect("a series").volume
    });
    let file = |name: &str| folder.path().join(name);
    metaimage::write(&file("ct.mhd"), &volume, true).expect("a folder to write to");
    metaimage::write(&file("raw.mhd"), &volume, false).expect("a folder to write to");
    nifti::write(&file("ct.nii.gz"), &volume).expect("a folder to write to");
    drop(volume);
    let mut peers = Peers::start();
    for (name, readers) in [
        ("ct.mhd", &["SimpleITK"][..]),
        ("raw.mhd", &["SimpleITK"]),
        ("ct.nii.gz", &["SimpleITK", "nibabel"]),
    ] {
        let path = file(name);
        let mut own = Vec::new();
        let mut others = vec![Vec::new(); readers.len()];
        for _ in 0..=ROUNDS {
            let begun = Instant::now();
            let volume = image_file::read(&path, &ImageRules::default())
                .expect("a file that was just written");
            own.push(begun.elapsed().as_secs_f64());
            drop(volume);
            if let Some(peers) = &mut peers {
                for (reader, seconds) in readers.iter().zip(&mut others) {
                    seconds.push(peers.read(reader, &path));
                }
            }
        }
        let own = median(own);
        println!("{name}: nodulus {:.1} ms", 1e3 * own);
        for (reader, seconds) in readers.iter().zip(others).filter(|(_, s)| !s.is_empty()) {
            let seconds = median(seconds);
            println!(
                "{name}: {reader} {:.1} ms, {:.2} times as long",
                1e3 * seconds,
                seconds / own
            );
        }
    }
}

/// The median without the first value, which warms up.
fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// 512 × 512 × 133 voxels: smooth, with noise of 5 bits.
fn synthetic() -> Volume<i16> {
    let size = [512, 512, 133];
    let geometry = Geometry::new(size, [0.7, 0.7, 2.5], [-180.0; 3], Geometry::AXIAL);
    let hu = |(k, j, i): (usize, usize, usize)| {
        let noise = (i * 7919 + j * 104_729 + k * 1_299_709) / 7 % 32;
        (noise + (i + j) / 4) as i16 - 1000
    };
    let voxels = Array3::from_shape_fn((133, 512, 512), hu);
    Volume::new(geometry.expect("a valid geometry"), voxels).expect("the geometry's shape")
}

/// `benches/peers/read_images.py`.
struct Peers {
    process: Child,
}

impl Peers {
    fn start() -> Option<Self> {
        let python = std::env::var_os("NODULUS_PYTHON")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/read_images.py");
        let process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`NODULUS_PYTHON` runs");
        let mut peers = Self { process };
        println!("{}", peers.answer());
        Some(peers)
    }

    fn read(&mut self, reader: &str, path: &Path) -> f64 {
        let input = self.process.stdin.as_mut().expect("a pipe");
        writeln!(input, "{reader} {}", path.display()).expect("a Python that listens");
        self.answer().parse().expect("seconds")
    }

    fn answer(&mut self) -> String {
        let output = self.process.stdout.as_mut().expect("a pipe");
        let mut line = String::new();
        // One line answers one question, so nothing is lost with the buffer.
        BufReader::new(output).read_line(&mut line).expect("a Python that answers");
        line.trim().to_owned()
    }
}

//! Time and peak memory of `nodulus run` on a cohort of 100,000 scans, by how much of it is new.
//!
//! The cohort has annotations and no images, so that what is measured is what a run does beside its work. It needs
//! 2 GB of temporary files and a million inodes; `NODULUS_BENCH_CASES` may set another number of cases.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set itself up should panic")]

#[path = "../tests/it/peak_memory.rs"]
mod peak_memory;

use nodulus_formats::lidc_xml::{Annotations, Contour, Ratings, ReadNodule, Session, write};
use peak_memory::peak_memory;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Slices of a scan.
const SLICES: usize = 30;

fn main() {
    let n = std::env::var("NODULUS_BENCH_CASES").map_or(100_000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench { folder: folder.path().to_owned() };
    bench.write_geometry(n + 10);
    let begun = Instant::now();
    (0..n).for_each(|case| bench.write_case(case));
    println!("{n} cases written in {:.0} s", begun.elapsed().as_secs_f64());
    bench.run("first run", &["run"]);
    bench.run("nothing new", &["run"]);
    bench.run("status", &["status"]);
    (n..n + 10).for_each(|case| bench.write_case(case));
    bench.run("dry run, 10 new", &["run", "--dry-run"]);
    bench.run("10 new", &["run"]);
    bench.run("gc --dry-run", &["gc", "--dry-run"]);
    bench.run("gc", &["gc"]);
}

struct Bench {
    folder: PathBuf,
}

impl Bench {
    fn run(&self, what: &str, arguments: &[&str]) {
        let file = self.folder.join("pipeline.toml");
        let text = "[ingest]\nroot = \"xml\"\nscan_geometry = \"geometry.csv\"\n\
             [[ingest.cohorts]]\nname = \"many\"\nsource = \"lidc_annotations\"\n";
        fs_err::write(&file, format!("store = \"store\"\n{text}")).unwrap();
        let mut nodulus = Command::new(env!("CARGO_BIN_EXE_nodulus"));
        nodulus.current_dir(&self.folder);
        if arguments[0] == "gc" {
            nodulus.args(arguments).args(["--store", "store"]);
        } else {
            nodulus.args([arguments[0], "pipeline.toml"]).args(&arguments[1..]);
        }
        if arguments == ["run"] {
            nodulus.args(["--progress", "none"]);
        }
        let printed = self.folder.join("printed.json");
        let output = fs_err::File::create(&printed).unwrap();
        let begun = Instant::now();
        let (status, peak) = peak_memory(nodulus.arg("--json").stdout(output.into_file()));
        let seconds = begun.elapsed().as_secs_f64();
        assert!(status.success(), "{what}");
        println!("{what}: {seconds:.1} s, {} MiB{}", peak >> 20, stages(&printed));
    }

    fn write_geometry(&self, n: usize) {
        let mut text = "series_instance_uid,study_instance_uid,patient_id,slice_thickness_mm,\
                        pixel_spacing_mm,z_positions_mm\n"
            .to_owned();
        let z: Vec<String> = (0..SLICES).map(|k| format!("{}", 2.5 * k as f64)).collect();
        for case in 0..n {
            let uid = uid(case);
            writeln!(text, "{uid},{uid}.1,P{},2.5,0.7,{}", case / 2, z.join(" ")).unwrap();
        }
        fs_err::write(self.folder.join("geometry.csv"), text).unwrap();
    }

    /// A nodule of two slices that four readers marked.
    fn write_case(&self, case: usize) {
        let session = |reader: usize| {
            let at = 100 + (case % 200) as i64;
            let contour = |k: usize| Contour {
                z_mm: 2.5 * k as f64,
                inclusion: true,
                points: outline(at, 4 + reader as i64 % 2),
                sop_instance_uid: String::new(),
            };
            let rating = Some(1 + (case + reader) as i64 % 5);
            let ratings = Ratings { subtlety: rating, malignancy: rating, ..Ratings::default() };
            let nodule = ReadNodule {
                reader_nodule_id: format!("{reader}"),
                ratings: Some(ratings),
                contours: (10..12).map(contour).collect(),
            };
            Session { nodules: vec![nodule], ..Session::default() }
        };
        let annotations = Annotations {
            series_instance_uid: uid(case),
            study_instance_uid: None,
            delivered: None,
            sessions: (0..4).map(session).collect(),
        };
        let folder = self.folder.join(format!("xml/{:03}", case / 1000));
        fs_err::create_dir_all(&folder).unwrap();
        write(&folder.join(format!("{case}.xml")), &annotations).unwrap();
    }
}

/// The outline of a square about a pixel.
fn outline(at: i64, half: i64) -> Vec<[i64; 2]> {
    let side = -half..half;
    let edges = [
        side.clone().map(|d| [at + d, at - half]).collect::<Vec<_>>(),
        side.clone().map(|d| [at + half, at + d]).collect(),
        side.clone().map(|d| [at - d, at + half]).collect(),
        side.map(|d| [at - half, at - d]).collect(),
    ];
    edges.concat()
}

fn uid(case: usize) -> String {
    format!("1.2.840.{case}")
}

/// The time of each stage and the shards that it made, where a run prints them.
fn stages(printed: &Path) -> String {
    let Ok(output) = serde_json::from_slice::<Value>(&fs_err::read(printed).unwrap()) else {
        return String::new();
    };
    let mut text = String::new();
    for stage in output["stages"].as_array().into_iter().flatten() {
        if let Some(seconds) = stage["seconds"].as_f64() {
            write!(text, "; {} {seconds:.1} s", stage["stage"].as_str().unwrap_or("")).unwrap();
        }
    }
    text
}

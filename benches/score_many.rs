//! Time and peak memory of `nodulus score` on an input of 100,000 series, by how much is new.
//!
//! `NODULUS_BENCH_MODEL` names a checkpoint's folder, or a store with a checkpoint; `NODULUS_BENCH_SERIES` may set another
//! number of series. The benchmark needs 2.5 GB of temporary files and 400,000 inodes.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set itself up should panic")]

mod ct;
#[path = "../tests/it/peak_memory.rs"]
mod peak_memory;

use nodulus_formats::dicom::{NewSeries, write_series};
use nodulus_formats::volume::{Geometry, Volume};
use nodulus_store::hash;
use peak_memory::peak_memory;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Columns, rows and slices of a series.
const SIZE: [usize; 3] = [16, 16, 3];

/// Days over which results are spread.
const DAYS: usize = 1000;

fn main() {
    let Some(model) = std::env::var_os("NODULUS_BENCH_MODEL") else {
        println!(
            "set NODULUS_BENCH_MODEL to a checkpoint's folder or a store with one; nothing was measured"
        );
        return;
    };
    let n = std::env::var("NODULUS_BENCH_SERIES").map_or(100_000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let night = Night { folder: folder.path().to_owned(), model: model.into() };
    for series in 0..n {
        write(&night.folder.join(format!("in/{:03}/{series}", series / 1000)), series);
    }
    let candidate = format!("seriesuid,coordX,coordY,coordZ\n{},0,0,1\n", uid(0));
    fs_err::write(night.folder.join("candidates.csv"), candidate).unwrap();
    println!("{n} series of {} files", SIZE[2]);
    night.run("first night: one has a candidate, the others wait");
    night.run("next night: nothing is new");
    spread(&night.folder.join("store/series"), n);
    night.run(&format!("all scored, over {DAYS} days, their tables made anew"));
    night.run("next night: nothing is new");
}

struct Night {
    folder: PathBuf,
    model: PathBuf,
}

impl Night {
    fn run(&self, what: &str) {
        let file = self.folder.join("score.toml");
        let model = std::path::absolute(&self.model).unwrap();
        let text = format!(
            "[score]\ninput = \"in\"\nstore = \"store\"\nmodel = {:?}\ncandidates = \"candidates.csv\"\n\
             settle_seconds = 0\n",
            model.to_str().unwrap()
        );
        fs_err::write(&file, text).unwrap();
        let printed = self.folder.join("summary.json");
        let mut nodulus = Command::new(env!("CARGO_BIN_EXE_nodulus"));
        nodulus.args(["score", file.to_str().unwrap(), "--json", "--log", "none"]);
        let output = fs_err::File::create(&printed).unwrap();
        let (status, peak) = peak_memory(nodulus.stdout(output.into_file()));
        let summary: Value =
            serde_json::from_str(&fs_err::read_to_string(&printed).unwrap()).unwrap();
        assert!(status.success(), "{summary}");
        let count = |name: &str| summary[name].as_u64().unwrap();
        println!(
            "{what}: {:.1} s, of them {:.1} s listing; {} MiB; {} scored, {} waiting, {} unchanged",
            summary["seconds"]["total"].as_f64().unwrap(),
            summary["seconds"]["list"].as_f64().unwrap(),
            peak >> 20,
            count("scored"),
            count("waiting"),
            count("unchanged"),
        );
    }
}

fn uid(series: usize) -> String {
    format!("2.25.7.{series}")
}

fn write(folder: &Path, series: usize) {
    let geometry = Geometry::new(SIZE, [0.7, 0.7, 1.0], [-5.6, -5.6, 0.0], Geometry::AXIAL);
    let [ni, nj, nk] = SIZE;
    let voxel = |(k, j, i): (usize, usize, usize)| ((k + j + i + series) % 200) as i16 - 800;
    let voxels = ndarray::Array3::from_shape_fn([nk, nj, ni], voxel);
    let volume = Volume::new(geometry.unwrap(), voxels).unwrap();
    let own = uid(series);
    let uids: Vec<String> = (0..nk).map(|k| format!("{own}.{k}")).collect();
    fs_err::create_dir_all(folder).unwrap();
    let new = NewSeries {
        series_instance_uid: &own,
        study_instance_uid: &format!("2.25.8.{series}"),
        frame_of_reference_uid: &format!("2.25.9.{series}"),
        patient_id: &format!("patient {}", series / 3),
        ..ct::series(&uids)
    };
    write_series(folder, &new, &volume).unwrap();
}

/// Copies the one scored record for every series, with different days.
fn spread(records: &Path, n: usize) {
    let record_path = |id: &str| {
        let name = hash::id("", [id]);
        records.join(&name[..2]).join(format!("{name}.json"))
    };
    let one = fs_err::read_to_string(record_path(&uid(0))).unwrap();
    let one: Value = serde_json::from_str(&one).unwrap();
    for series in 0..n {
        let mut record = one.clone();
        let id = uid(series);
        let day = format!("20{:02}-{:02}-01", series % DAYS / 12, series % 12 + 1);
        record["id"] = json!(id);
        record["current"]["scored_on"] = json!(day);
        record["current"]["at"] = json!(format!("{day}T01:00:00Z"));
        let scored = &mut record["current"]["outcome"]["scored"];
        for row in scored["rows"].as_array_mut().unwrap() {
            row["series_instance_uid"] = json!(id);
        }
        scored["visit"]["series_instance_uid"] = json!(id);
        scored["visit"]["study_instance_uid"] = json!(format!("2.25.8.{series}"));
        scored["visit"]["patient_id"] = json!(format!("patient {}", series / 3));
        fs_err::write(record_path(&id), record.to_string()).unwrap();
    }
}

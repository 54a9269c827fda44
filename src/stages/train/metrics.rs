//! Metrics of each epoch as files beside the log, written as training goes on, for programs that follow a training.
//!
//! They hold the epochs whose state is saved, each once: a training that resumes makes them so before it goes on.

use super::tensorboard::{EVENTS, EventFile};
use crate::tables::TrainingLog;
use fs_err::{self as fs, File};
use nodulus_store::{Error, durable, folder_record};
use serde::Serialize;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The lines: a JSON object for each epoch.
const LINES: &str = "metrics.jsonl";

/// Most characters of a run's name, as file systems have at most 255 bytes.
const NAME_LENGTH: usize = 60;

/// A line: the row of `training_log`, with the model's name and the number of the epoch among those of all phases, from 1.
#[derive(Serialize)]
struct EpochLine<'a> {
    model_id: &'a str,
    step: usize,
    #[serde(flatten)]
    row: &'a TrainingLog,
}

/// The files of a training.
pub(super) struct EpochMetrics {
    /// The training's folder.
    folder: PathBuf,
    model_id: String,
    lines: File,
    /// The event file in its folder, which `TensorBoard` names the run after.
    events: Option<(PathBuf, EventFile)>,
}

impl EpochMetrics {
    /// Opens the files in a training's folder, which then have these finished epochs and no others.
    pub(super) fn open(
        folder: PathBuf,
        model_id: &str,
        has_events: bool,
        epochs: &[TrainingLog],
    ) -> Result<Self, Error> {
        durable::remove_unfinished(&folder)?;
        forget(&folder)?;
        let path = folder.join(LINES);
        let steps = 1..=epochs.len();
        let expected =
            steps.map(|step| line(model_id, &epochs[..step])).collect::<io::Result<Vec<_>>>()?;
        let expected = expected.concat();
        // Whoever reads the file goes on where it is as it should be.
        if read(&path)?.as_deref() != Some(expected.as_slice()) {
            durable::write(&path, &expected)?;
        }
        let lines = fs::OpenOptions::new().append(true).open(&path)?;
        let mut events = None;
        if has_events {
            let run = folder.join(run_name(model_id));
            fs::create_dir_all(&run)?;
            forget(&run)?;
            let file = EventFile::open(&run.join(EVENTS), epochs)?;
            events = Some((run, file));
        }
        Ok(Self { folder, model_id: model_id.to_owned(), lines, events })
    }

    /// Adds the last of these epochs.
    pub(super) fn add(&mut self, epochs: &[TrainingLog]) -> io::Result<()> {
        // At once, so that a reader sees whole lines.
        self.lines.write_all(&line(&self.model_id, epochs)?)?;
        if let Some((_, events)) = &mut self.events {
            events.add(epochs)?;
        }
        Ok(())
    }

    /// Records the files as they are at the end of the training, so that `fsck` finds damage.
    pub(super) fn finish(self) -> Result<(), Error> {
        self.lines.sync_all()?;
        folder_record::write_of(&self.folder, &[LINES])?;
        match self.events {
            Some((run, _)) => folder_record::write_of(&run, &[EVENTS]),
            None => Ok(()),
        }
    }
}

/// The name of a run in `TensorBoard`: that of the model, without dots, which may make the name of another file or folder.
fn run_name(model_id: &str) -> String {
    let name: String = model_id.replace('.', "_").chars().take(NAME_LENGTH).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

/// The line of the last of these epochs.
fn line(model_id: &str, epochs: &[TrainingLog]) -> io::Result<Vec<u8>> {
    let Some(row) = epochs.last() else { return Ok(Vec::new()) };
    let mut line = serde_json::to_vec(&EpochLine { model_id, step: epochs.len(), row })?;
    line.push(b'\n');
    Ok(line)
}

/// Removes the record of files that change again.
fn forget(folder: &Path) -> io::Result<()> {
    durable::remove(&folder.join(folder_record::NAME))
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn epochs(n: usize) -> Vec<TrainingLog> {
        let row = |n: usize| TrainingLog {
            run_id: "0123456789abcdef".to_owned(),
            phase: "pretrain".to_owned(),
            epoch: n as i64,
            fold: Some(2),
            learning_rate: 1e-3,
            loss: 1.0 / n as f64,
            loss_segmentation: 0.1,
            loss_classification: None,
            dice: Some(0.1 + 0.2),
            iou: None,
            validation_dice: None,
            pixel_calibration: Some(vec![-0.5, 0.0, 0.25]),
            slice_temperature: None,
            collapsed: false,
            n_samples: 30,
            seconds: Some(2.5),
            samples_per_second: Some(12.0),
        };
        (1..=n).map(row).collect()
    }

    fn lines(folder: &Path) -> Vec<Value> {
        let text = fs::read_to_string(folder.join(LINES)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_the_row_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let epochs = epochs(2);
        let open = |epochs| EpochMetrics::open(folder.path().to_owned(), "U-Net", false, epochs);
        let mut metrics = open(&[]).unwrap();
        assert!(lines(folder.path()).is_empty());
        for n in 1..=2 {
            metrics.add(&epochs[..n]).unwrap();
        }
        let found = lines(folder.path());
        for (n, (found, row)) in found.iter().zip(&epochs).enumerate() {
            let mut expected = serde_json::to_value(row).unwrap();
            expected["model_id"] = json!("U-Net");
            expected["step"] = json!(n + 1);
            assert_eq!(*found, expected);
        }
        assert_eq!((found.len(), found[1]["dice"].as_f64()), (2, Some(0.1 + 0.2)));
        metrics.finish().unwrap();
        assert_eq!(folder_record::damage(folder.path()).unwrap(), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_run_has_the_name_of_its_model() {
        let names = ["U-Net", "..", "", "a.tmp", "metrics.jsonl"].map(run_name);
        assert_eq!(names, ["U-Net", "__", "_", "a_tmp", "metrics_jsonl"]);
        assert!(run_name(&"\u{10000}".repeat(100)).len() < 255);
    }

    #[test]
    fn files_that_are_opened_again_have_the_saved_epochs_alone() {
        let folder = tempfile::tempdir().unwrap();
        let epochs = epochs(4);
        let open =
            |epochs| EpochMetrics::open(folder.path().to_owned(), "m", true, epochs).unwrap();
        let path = folder.path().join(LINES);
        let mut metrics = open(&[]);
        for n in 1..=4 {
            metrics.add(&epochs[..n]).unwrap();
        }
        metrics.finish().unwrap();
        let whole = fs::read(&path).unwrap();
        for end in (0..=whole.len()).step_by(11).chain([whole.len()]) {
            fs::write(&path, &whole[..end]).unwrap();
            open(&epochs[..3]).add(&epochs).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole, "{end}");
        }
        let events = folder.path().join("m").join(EVENTS);
        let before = fs::read(&events).unwrap();
        drop(open(&epochs));
        assert_eq!([fs::read(&path).unwrap(), fs::read(&events).unwrap()], [whole, before]);
        // The files change again: no record tells what they are.
        assert!(!folder_record::is_written(folder.path()));
        assert!(!folder_record::is_written(&folder.path().join("m")));
    }
}

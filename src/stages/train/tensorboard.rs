//! Event files as `TensorBoard` reads them: records of `TFRecord`, each a message `Event` of protocol buffers.
//!
//! Source: `tensorflow/core/lib/io/record_writer.h` (records and their masked CRC-32C), `event.proto` and `summary.proto`.

use crate::tables::TrainingLog;
use fs_err::{self as fs, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Name of the file; `TensorBoard` reads files with `tfevents` in their names.
pub(super) const EVENTS: &str = "events.out.tfevents.nodulus";

/// The format of the events, in the first of them.
const VERSION: &[u8] = b"brain.Event:2";

/// Bytes of a record about its content: length and checksum before it, checksum after it.
const HEAD: usize = 12;
const TAIL: usize = 4;

/// An event file that grows by an event for each epoch.
#[derive(Debug)]
pub(super) struct EventFile {
    file: File,
}

impl EventFile {
    /// Opens a file, which then has one event for each of these epochs. Events of theirs that it has already stay, with their
    /// times; whatever follows them goes.
    pub(super) fn open(path: &Path, epochs: &[TrainingLog]) -> io::Result<Self> {
        let found = match fs::read(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (length, n_records) = whole_records(&found, epochs);
        let file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        if length < found.len() {
            file.set_len(length as u64)?;
        }
        let mut events = Self { file };
        if n_records == 0 {
            events.file.write_all(&record(&begun(now())))?;
        }
        for n in n_records.saturating_sub(1)..epochs.len() {
            events.add(&epochs[..=n])?;
        }
        Ok(events)
    }

    /// Adds the last of these epochs.
    pub(super) fn add(&mut self, epochs: &[TrainingLog]) -> io::Result<()> {
        match epochs.last() {
            Some(row) => self.file.write_all(&record(&event(now(), epochs.len(), row))),
            None => Ok(()),
        }
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// How many bytes and records at the start of a file are those of a file of these epochs, at whatever times.
fn whole_records(file: &[u8], epochs: &[TrainingLog]) -> (usize, usize) {
    let (mut length, mut n_records) = (0, 0);
    while n_records <= epochs.len() {
        // The time is the first field: a byte of its number and type, and eight of its value.
        let start = length + HEAD + 1;
        let Some(time) = file.get(start..start + 8).and_then(|time| time.try_into().ok()) else {
            break;
        };
        let time = f64::from_le_bytes(time);
        let expected = match n_records {
            0 => record(&begun(time)),
            n => record(&event(time, n, &epochs[n - 1])),
        };
        if !file[length..].starts_with(&expected) {
            break;
        }
        length += expected.len();
        n_records += 1;
    }
    (length, n_records)
}

/// The first event of a file.
fn begun(wall_time: f64) -> Vec<u8> {
    let mut message = Vec::new();
    put_fixed(&mut message, 1, &wall_time.to_le_bytes());
    put_bytes(&mut message, 3, VERSION);
    message
}

/// The event of an epoch; `step` counts the epochs of all phases, from 1. Values that the epoch does not have are left out.
fn event(wall_time: f64, step: usize, row: &TrainingLog) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, number) in scalars(row) {
        let Some(number) = number else { continue };
        let mut value = Vec::new();
        put_bytes(&mut value, 1, tag.as_bytes());
        // The format has single precision.
        put_fixed(&mut value, 2, &(number as f32).to_le_bytes());
        put_bytes(&mut summary, 1, &value);
    }
    let mut message = Vec::new();
    put_fixed(&mut message, 1, &wall_time.to_le_bytes());
    put_key(&mut message, 2, 0);
    put_varint(&mut message, step as u64);
    put_bytes(&mut message, 5, &summary);
    message
}

/// The values of an epoch by their tags, which are names of columns.
fn scalars(row: &TrainingLog) -> [(&'static str, Option<f64>); 9] {
    [
        ("loss", Some(row.loss)),
        ("loss_segmentation", Some(row.loss_segmentation)),
        ("loss_classification", row.loss_classification),
        ("dice", row.dice),
        ("iou", row.iou),
        ("validation_dice", row.validation_dice),
        ("learning_rate", Some(row.learning_rate)),
        ("seconds", row.seconds),
        ("samples_per_second", row.samples_per_second),
    ]
}

/// The number and the type of a field: 0 a varint, 1 eight bytes, 2 bytes with their length, 5 four bytes.
fn put_key(message: &mut Vec<u8>, field: u8, kind: u8) {
    message.push((field << 3) | kind);
}

fn put_varint(message: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest >= 0x80 {
        message.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    message.push(rest as u8);
}

fn put_fixed(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    put_key(message, field, if bytes.len() == 8 { 1 } else { 5 });
    message.extend(bytes);
}

fn put_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    put_key(message, field, 2);
    put_varint(message, bytes.len() as u64);
    message.extend(bytes);
}

/// A record of `TFRecord`.
fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(HEAD + content.len() + TAIL);
    record.extend(length);
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(content);
    record.extend(masked_crc(content).to_le_bytes());
    record
}

/// The checksum of a record, which is masked as it may itself be part of checked data.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: a record has a few hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let carry = if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            (crc >> 1) ^ carry
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The file of `tests/golden/tensorboard_events.py`, and the epochs that it is of with their times.
    fn golden() -> (Vec<u8>, f64, Vec<(f64, TrainingLog)>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let text = fs::read(folder.join("tensorboard_events.json")).unwrap();
        let mut json: Value = serde_json::from_slice(&text).unwrap();
        let begun = json["begun"].as_f64().unwrap();
        let epochs = json["epochs"].as_array_mut().unwrap().iter_mut().map(|epoch| {
            let time = epoch["wall_time"].take().as_f64().unwrap();
            (time, serde_json::from_value(epoch["row"].take()).unwrap())
        });
        let epochs = epochs.collect();
        (fs::read(folder.join("tensorboard_events.bin")).unwrap(), begun, epochs)
    }

    #[test]
    fn a_file_has_the_bytes_that_tensorboard_writes() {
        // Source of the first: RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        let (expected, time, epochs) = golden();
        let mut file = record(&begun(time));
        for (n, (time, row)) in epochs.iter().enumerate() {
            file.extend(record(&event(*time, n + 1, row)));
        }
        assert!(epochs.len() > 128, "steps of one and of two bytes");
        assert_eq!(file, expected);
    }

    #[test]
    fn a_file_that_is_opened_again_has_each_epoch_once() {
        let (whole, _, epochs) = golden();
        let epochs: Vec<TrainingLog> = epochs.into_iter().map(|(_, row)| row).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(EVENTS);
        let n_epochs = |path: &Path| {
            let file = fs::read(path).unwrap();
            let (length, n_records) = whole_records(&file, &epochs);
            assert_eq!(length, file.len());
            n_records - 1
        };
        // New, with epochs of a training that had no events, and one more.
        let mut events = EventFile::open(&path, &epochs[..2]).unwrap();
        events.add(&epochs[..3]).unwrap();
        assert_eq!(n_epochs(&path), 3);
        drop(EventFile::open(&path, &[]).unwrap());
        assert_eq!(n_epochs(&path), 0);
        // Killed at any byte, before or after the state of the third epoch was saved: times of whole events stay.
        let (length, _) = whole_records(&whole, &epochs[..4]);
        for end in 0..=length {
            fs::write(&path, &whole[..end]).unwrap();
            EventFile::open(&path, &epochs[..3]).unwrap();
            assert_eq!(n_epochs(&path), 3, "{end}");
            let kept = whole_records(&whole[..end], &epochs[..3]).0;
            assert!(fs::read(&path).unwrap().starts_with(&whole[..kept]));
        }
        // Another training, and no event file at all.
        fs::write(&path, &whole).unwrap();
        EventFile::open(&path, &epochs[5..7]).unwrap();
        let (length, n_records) = whole_records(&fs::read(&path).unwrap(), &epochs[5..7]);
        assert_eq!((length as u64, n_records), (fs::metadata(&path).unwrap().len(), 3));
        fs::write(&path, "text").unwrap();
        EventFile::open(&path, &epochs[..1]).unwrap();
        assert_eq!(n_epochs(&path), 1);
    }
}

//! Streams the samples of a split to the network, with a bounded number in memory.

use super::config::{Config, Phase, Targets};
use super::error::Error;
use super::training_sample::{SelectedSlice, training_sample};
use crate::stages::Task;
use crate::stages::nodule_slices::ScatteredSlices;
use crate::tables::{Roi, Sample, Split, Table};
use nodulus_nets::{TrainingSample, input_slices};
use nodulus_store::Version;
use rand::{Rng as _, SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha12Rng;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::vec::IntoIter;

/// Which samples are read.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// Cohorts of the samples.
    pub(super) cohorts: Vec<String>,
    /// Split of the samples.
    pub(super) split: Split,
    /// Fold that replaces the validation split.
    pub(super) fold: Option<i64>,
}

impl Selection {
    /// The samples of a phase in a split.
    pub(super) fn of(config: &Config, phase: &Phase, split: Split) -> Self {
        Self { cohorts: phase.cohorts.clone(), split, fold: config.fold }
    }

    pub(super) fn holds(&self, sample: &Sample) -> bool {
        self.takes(&sample.cohort, &sample.split, sample.fold)
    }

    /// Whether the samples of a cohort with this split and fold are read.
    pub(super) fn takes(&self, cohort: &str, split: &str, fold: Option<i64>) -> bool {
        let learning = split != Split::Test.name();
        self.cohorts.iter().any(|of| of == cohort)
            && match (self.fold, self.split) {
                (Some(held_out), Split::Validation) => learning && fold == Some(held_out),
                (Some(held_out), Split::Train) => learning && fold != Some(held_out),
                (_, wanted) => split == wanted.name(),
            }
    }
}

/// The order of the samples.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Scans by cohort and series.
    Stored,
    /// Scans in random order, and random draws from a buffer of their samples.
    Shuffled {
        /// Seed of the training.
        seed: u64,
        /// Number of the phase, from 0.
        phase: usize,
        /// Epoch of the phase, from 1.
        epoch: usize,
        /// Number of samples in the buffer.
        buffer: usize,
    },
}

/// Counts the selected samples.
pub(super) fn count(samples: &Version, selection: &Selection) -> Result<usize, Error> {
    let mut count = 0;
    for batch in samples.rows::<Sample>() {
        count += batch?.iter().filter(|sample| selection.holds(sample)).count();
    }
    Ok(count)
}

/// The selected slices of a scan.
#[derive(Clone, Debug)]
pub(super) struct ScanSlices {
    shard: usize,
    /// Their positions in the shard's regions, ascending.
    positions: Vec<u64>,
}

/// The columns of `rois` that say which slice of which scan a row is.
#[derive(Deserialize)]
struct RoiScan {
    roi_id: String,
    cohort: String,
    series_instance_uid: String,
    /// Read only where neighbours are.
    #[serde(default)]
    nodule_id: String,
}

const ROI_SCAN: &[&str] = &["roi_id", "cohort", "series_instance_uid", "nodule_id"];

/// The selected slices, scan by scan, by cohort and series.
///
/// METHOD: their order follows from the selected scans alone, and not from the shards that hold them, which other scans change.
fn scans(
    rois: &Version,
    samples: &Version,
    selection: &Selection,
    n_slices: usize,
) -> Result<Vec<ScanSlices>, Error> {
    let columns = if n_slices > 1 { ROI_SCAN } else { &ROI_SCAN[..3] };
    let mut scans: BTreeMap<(String, String, usize), Vec<u64>> = BTreeMap::new();
    for shard in 0..rois.manifest.n_shards() {
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for batch in samples.shard_rows::<Sample>(shard) {
            let held = batch?.into_iter().filter(|sample| selection.holds(sample));
            wanted.extend(held.map(|sample| sample.roi_id));
        }
        if wanted.is_empty() {
            continue;
        }
        let mut position = 0;
        let (mut last, mut finished) = (None, BTreeSet::new());
        for batch in rois.shard_columns::<RoiScan>(shard, columns) {
            for roi in batch? {
                // Neighbours are looked for beside a slice.
                if n_slices > 1 && last.as_ref() != Some(&roi.nodule_id) {
                    if finished.contains(&roi.nodule_id) {
                        return Err(ScatteredSlices { nodule_id: roi.nodule_id }.into());
                    }
                    finished.extend(last.replace(roi.nodule_id));
                }
                if wanted.contains(&roi.roi_id) {
                    let scan = (roi.cohort, roi.series_instance_uid, shard);
                    scans.entry(scan).or_default().push(position);
                }
                position += 1;
            }
        }
    }
    let slices = |((_, _, shard), positions)| ScanSlices { shard, positions };
    Ok(scans.into_iter().map(slices).collect())
}

/// The source of streams of the same samples, one for each epoch.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    rois: Version,
    scans: Vec<ScanSlices>,
    targets: Targets,
    /// Slices of a sample's image.
    n_slices: usize,
}

/// The slices of a scan that are read, each with whether it is selected; the others are neighbours.
type Rows = Peekable<Box<dyn Iterator<Item = Result<(Roi, bool), nodulus_store::Error>>>>;

/// A stream of samples; the same for the same selection and order, on every machine.
pub(super) struct Examples {
    rois: Version,
    scans: IntoIter<ScanSlices>,
    reading: Option<Rows>,
    /// Selected slices of the nodule that was read.
    of_nodule: IntoIter<SelectedSlice>,
    buffer: Vec<SelectedSlice>,
    capacity: usize,
    random: Option<ChaCha12Rng>,
    targets: Targets,
    n_slices: usize,
}

impl Stream {
    /// Finds the selected slices, of which each sample's image has `n_slices`: the slice and its neighbours.
    ///
    /// # Errors
    ///
    /// Fails if a table cannot be read, or the slices of a nodule are not together.
    pub(super) fn new(
        task: &Task<'_>,
        selection: &Selection,
        targets: Targets,
        n_slices: usize,
    ) -> Result<Self, Error> {
        let rois = task.table(Table::Rois)?;
        let scans = scans(rois, task.table(Table::Samples)?, selection, n_slices)?;
        Ok(Self { rois: rois.clone(), scans, targets, n_slices })
    }

    /// Opens a stream at its first sample.
    pub(super) fn open(self, order: Order) -> Examples {
        let Self { rois, mut scans, targets, n_slices } = self;
        let (capacity, random) = match order {
            Order::Stored => (1, None),
            Order::Shuffled { seed, phase, epoch, buffer } => {
                let mut random = ChaCha12Rng::seed_from_u64(seed);
                random.set_stream(((phase as u64) << 32) | epoch as u64);
                scans.shuffle(&mut random);
                (buffer.max(1), Some(random))
            }
        };
        Examples {
            rois,
            scans: scans.into_iter(),
            reading: None,
            of_nodule: Vec::new().into_iter(),
            buffer: Vec::new(),
            capacity,
            random,
            targets,
            n_slices,
        }
    }
}

impl Examples {
    /// The selected slices themselves, scan by scan.
    pub(super) fn rois(mut self) -> impl Iterator<Item = Result<Roi, Error>> {
        std::iter::from_fn(move || self.read().map(|slice| slice.map(|s| s.roi)).transpose())
    }

    /// The next selected slice.
    fn read(&mut self) -> Result<Option<SelectedSlice>, Error> {
        loop {
            if let Some(slice) = self.of_nodule.next() {
                return Ok(Some(slice));
            }
            let nodule = self.read_nodule()?;
            if !nodule.is_empty() {
                self.of_nodule = with_neighbours(nodule, self.n_slices)?.into_iter();
                continue;
            }
            let Some(scan) = self.scans.next() else { return Ok(None) };
            self.reading = Some(rows(&self.rois, scan, self.n_slices).peekable());
        }
    }

    /// The rows of the scan's next nodule that are read; none at the scan's end.
    fn read_nodule(&mut self) -> Result<Vec<(Roi, bool)>, Error> {
        let mut nodule: Vec<(Roi, bool)> = Vec::new();
        let Some(rows) = &mut self.reading else { return Ok(nodule) };
        let is_of = |nodule: &[(Roi, bool)], roi: &Roi| {
            nodule.first().is_none_or(|(first, _)| first.nodule_id == roi.nodule_id)
        };
        while let Some(row) =
            rows.next_if(|row| row.as_ref().map_or(true, |(roi, _)| is_of(&nodule, roi)))
        {
            nodule.push(row?);
        }
        Ok(nodule)
    }

    fn draw(&mut self) -> Result<Option<SelectedSlice>, Error> {
        while self.buffer.len() < self.capacity {
            match self.read()? {
                Some(slice) => self.buffer.push(slice),
                None => break,
            }
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let n = self
            .random
            .as_mut()
            .map_or(0, |random| random.random_range(0..self.buffer.len() as u64));
        Ok(Some(self.buffer.swap_remove(n as usize)))
    }
}

/// The selected rows of a scan and those beside them, as far as neighbours may lie, which may be of other nodules.
fn rows(
    rois: &Version,
    scan: ScanSlices,
    n_slices: usize,
) -> Box<dyn Iterator<Item = Result<(Roi, bool), nodulus_store::Error>>> {
    let ScanSlices { shard, positions } = scan;
    let half = (n_slices / 2) as u64;
    let beside = positions.iter().flat_map(|at| at.saturating_sub(half)..=at.saturating_add(half));
    let read: Vec<u64> = beside.collect::<BTreeSet<u64>>().into_iter().collect();
    let batches = rois.shard_rows_at::<Roi>(shard, &read);
    let rows = batches.flat_map(|batch| match batch {
        Ok(rows) => rows.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    });
    // Positions past the shard's last row have none, and they are the last.
    let is_selected = move |at: u64| positions.binary_search(&at).is_ok();
    Box::new(rows.zip(read).map(move |(row, at)| Ok((row?, is_selected(at)))))
}

/// The selected slices of a nodule, each with its neighbours; `rows` are those of the nodule that were read, which have all
/// neighbours of a selected one.
fn with_neighbours(rows: Vec<(Roi, bool)>, n_slices: usize) -> Result<Vec<SelectedSlice>, Error> {
    let mut beside = Vec::with_capacity(rows.len());
    for (n, (roi, is_selected)) in rows.iter().enumerate() {
        let mut pixels = [Vec::new(), Vec::new()];
        if *is_selected && n_slices > 1 {
            for plane in input_slices(n, &(0..rows.len()), n_slices) {
                let Some((neighbour, _)) = rows.get(plane) else { continue };
                let expected = roi.slice_index + plane as i64 - n as i64;
                if neighbour.slice_index != expected {
                    let (roi_id, found) = (roi.roi_id.clone(), neighbour.slice_index);
                    return Err(Error::Gap { roi_id, found, expected });
                }
                if neighbour.hu.len() != roi.hu.len() {
                    return Err(Error::pixels(neighbour, [roi.height, roi.width]));
                }
            }
            let planes: Vec<usize> = input_slices(n, &(0..rows.len()), n_slices).collect();
            let (before, after) = planes.split_at(n_slices / 2);
            pixels = [before, after.get(1..).unwrap_or_default()].map(|planes| {
                let rows = planes.iter().filter_map(|n| rows.get(*n));
                rows.map(|(roi, _)| roi.hu.as_slice()).collect::<Vec<&[u8]>>().concat()
            });
        }
        beside.push(pixels);
    }
    let selected = rows.into_iter().zip(beside).filter(|((_, is_selected), _)| *is_selected);
    Ok(selected.map(|((roi, _), [before, after])| SelectedSlice { roi, before, after }).collect())
}

impl Iterator for Examples {
    type Item = Result<TrainingSample, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.draw() {
            Ok(slice) => slice.map(|slice| training_sample(&slice, self.targets)),
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    /// Rows of slices with these indices, which are their HU too, each with whether it is selected.
    fn read(slices: &[(i16, bool)]) -> Vec<(Roi, bool)> {
        let row = |(k, is_selected): &(i16, bool)| {
            (Roi { slice_index: i64::from(*k), ..roi(&[*k], &[true], &[0]) }, *is_selected)
        };
        slices.iter().map(row).collect()
    }

    fn images(slices: &[(i16, bool)], n_slices: usize) -> Vec<Vec<i16>> {
        let image = |slice: SelectedSlice| {
            let hu = [slice.before, slice.roi.hu, slice.after].concat();
            hu.chunks_exact(2).map(|hu| i16::from_le_bytes([hu[0], hu[1]])).collect()
        };
        let slices = with_neighbours(read(slices), n_slices).unwrap();
        slices.into_iter().map(image).collect()
    }

    #[test]
    fn a_selected_slice_comes_with_its_neighbours() {
        // Slices 6 and 12 of a region that begins at 5 and ends at 12.
        let read_with_one = [(5, false), (6, true), (7, false), (11, false), (12, true)];
        assert_eq!(images(&read_with_one, 3), [[5, 6, 7], [11, 12, 12]]);
        let with_two =
            [(5, false), (6, true), (7, false), (8, false), (10, false), (11, false), (12, true)];
        assert_eq!(images(&with_two, 5), [[5, 5, 6, 7, 8], [10, 11, 12, 12, 12]]);
        assert_eq!(images(&[(6, true), (12, true)], 1), [[6], [12]]);
        assert_eq!(images(&[(6, true)], 7), [[6; 7]]);
        assert_eq!(images(&[(6, false)], 3), [[0; 0]; 0]);
    }

    #[test]
    fn slices_that_are_no_neighbours_are_refused() {
        let error = |rows| with_neighbours(rows, 3).err().unwrap().to_string();
        let gap = error(read(&[(5, true), (7, false)]));
        assert!(
            gap.starts_with("the slice beside region `n-k0000` has index 7, expected 6"),
            "{gap}"
        );
        let mut rows = read(&[(5, true), (6, false)]);
        rows[1].0.hu.pop();
        assert_eq!(error(rows), "region `n-k0000` has 1 bytes of pixels, expected 1 × 1 × 2");
    }
}

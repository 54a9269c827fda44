//! Streams the samples of a split to the network, with a bounded number in memory.

use super::config::{Config, Phase, Targets};
use super::error::Error;
use crate::stages::Task;
use crate::tables::{Neighbours, Roi, Sample, Split, Table};
use nodulus_formats::volume::Mask;
use nodulus_imaging::normalise::normalise_slice;
use nodulus_nets::{IGNORED_PIXEL, TrainingSample};
use nodulus_store::Version;
use rand::{Rng as _, SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha12Rng;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
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
}

const ROI_SCAN: &[&str] = &["roi_id", "cohort", "series_instance_uid"];

/// The selected slices, scan by scan, by cohort and series.
///
/// METHOD: their order follows from the selected scans alone, and not from the shards that hold them, which other scans change.
fn scans(
    rois: &Version,
    samples: &Version,
    selection: &Selection,
) -> Result<Vec<ScanSlices>, Error> {
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
        for batch in rois.shard_columns::<RoiScan>(shard, ROI_SCAN) {
            for roi in batch? {
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
}

type Rois = Box<dyn Iterator<Item = Result<Vec<Roi>, nodulus_store::Error>>>;

/// A stream of samples; the same for the same selection and order, on every machine.
pub(super) struct Examples {
    rois: Version,
    scans: IntoIter<ScanSlices>,
    reading: Option<Rois>,
    batch: IntoIter<Roi>,
    buffer: Vec<Roi>,
    capacity: usize,
    random: Option<ChaCha12Rng>,
    targets: Targets,
}

impl Stream {
    /// Finds the selected slices.
    ///
    /// # Errors
    ///
    /// Fails if a table cannot be read.
    pub(super) fn new(
        task: &Task<'_>,
        selection: &Selection,
        targets: Targets,
    ) -> Result<Self, Error> {
        let rois = task.table(Table::Rois)?;
        let scans = scans(rois, task.table(Table::Samples)?, selection)?;
        Ok(Self { rois: rois.clone(), scans, targets })
    }

    /// Opens a stream at its first sample.
    pub(super) fn open(self, order: Order) -> Examples {
        let Self { rois, mut scans, targets } = self;
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
            batch: Vec::new().into_iter(),
            buffer: Vec::new(),
            capacity,
            random,
            targets,
        }
    }
}

impl Examples {
    /// The selected slices themselves, scan by scan.
    pub(super) fn rois(mut self) -> impl Iterator<Item = Result<Roi, Error>> {
        std::iter::from_fn(move || self.read().transpose())
    }

    /// The next selected slice.
    fn read(&mut self) -> Result<Option<Roi>, Error> {
        loop {
            if let Some(roi) = self.batch.next() {
                return Ok(Some(roi));
            }
            if let Some(batch) = self.reading.as_mut().and_then(Iterator::next) {
                self.batch = batch?.into_iter();
                continue;
            }
            let Some(ScanSlices { shard, positions }) = self.scans.next() else { return Ok(None) };
            self.reading = Some(Box::new(self.rois.shard_rows_at::<Roi>(shard, &positions)));
        }
    }

    fn draw(&mut self) -> Result<Option<Roi>, Error> {
        while self.buffer.len() < self.capacity {
            match self.read()? {
                Some(roi) => self.buffer.push(roi),
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

impl Iterator for Examples {
    type Item = Result<TrainingSample, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.draw() {
            Ok(roi) => roi.map(|roi| example(&roi, self.targets)),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A slice's pixels, with the masks of its nodule and of other nodules.
pub(super) struct Pixels {
    pub(super) hu: Vec<i16>,
    pub(super) own: Mask,
    pub(super) others: Mask,
    pub(super) no_data: Mask,
}

/// The pixels of a slice.
pub(super) fn pixels(roi: &Roi) -> Result<Pixels, Error> {
    let wrong = || Error::Pixels {
        roi_id: roi.roi_id.clone(),
        found: roi.hu.len(),
        height: roi.height,
        width: roi.width,
    };
    let hu = roi.pixels_hu().ok_or_else(wrong)?;
    let size = [roi.width as usize, roi.height as usize, 1];
    let [own, others, no_data] = [&roi.mask_bits, &roi.other_mask_bits, &roi.no_data_bits]
        .map(|bits| Mask::from_bits(size, bits.clone()).map_err(|_| wrong()));
    Ok(Pixels { hu, own: own?, others: others?, no_data: no_data? })
}

/// METHOD: `neighbours` says how other nodules of the scan in the region are learnt: as nodule, or not at all. In the
/// latter case, a slice that shows only such nodules counts neither as showing a nodule nor as empty, and the classifier
/// learns nothing from it. Where the nodule and another one overlap, the pixel belongs to the nodule. A pixel without data
/// has no part in the loss.
fn example(roi: &Roi, targets: Targets) -> Result<TrainingSample, Error> {
    let Pixels { hu, own, others, no_data } = pixels(roi)?;
    let rule = Neighbours::from_name(&roi.neighbours).ok_or_else(|| Error::Neighbours {
        roi_id: roi.roi_id.clone(),
        found: roi.neighbours.clone(),
    })?;
    let has_nodule = match rule {
        _ if !own.is_empty() => Some(true),
        _ if others.is_empty() => Some(false),
        Neighbours::Include => Some(true),
        Neighbours::Ignore => None,
    };
    let other = match rule {
        Neighbours::Include => 1,
        Neighbours::Ignore => IGNORED_PIXEL,
    };
    let pixel = |((own, others), no_data)| match (own, others, no_data) {
        (_, _, true) => IGNORED_PIXEL,
        (true, _, _) => 1,
        (false, true, _) => other,
        (false, false, _) => 0,
    };
    let pixels = own.to_bools().into_iter().zip(others.to_bools()).zip(no_data.to_bools());
    let mask: Vec<u8> = pixels.map(pixel).collect();
    let soft = match targets {
        Targets::Consensus => Vec::new(),
        Targets::Readers => shares(roi, &mask, &others)?,
    };
    let image = normalise_slice(&hu, roi.norm_low_hu, roi.norm_high_hu);
    Ok(TrainingSample { id: roi.roi_id.clone(), image, mask, soft, has_nodule })
}

/// The share of the readers whose masks include each pixel; a pixel of another nodule alone is what the mask says.
///
/// METHOD: readers do not agree on a nodule's border, and a pixel that one of four included is neither nodule nor background.
/// The shares are of the readers that the consensus is taken over, so that a share above its level is nodule by consensus.
fn shares(roi: &Roi, mask: &[u8], others: &Mask) -> Result<Vec<f32>, Error> {
    if roi.reader_counts.is_empty() {
        return Ok(mask.iter().map(|y| f32::from(*y == 1)).collect());
    }
    if roi.reader_counts.len() != mask.len() || roi.n_readers < 1 {
        return Err(Error::ReaderCounts {
            roi_id: roi.roi_id.clone(),
            found: roi.reader_counts.len(),
            expected: mask.len(),
            n_readers: roi.n_readers,
        });
    }
    let of_pixels = roi.reader_counts.iter().zip(mask).zip(others.to_bools());
    let share = |((count, y), other): ((&u8, &u8), bool)| {
        if other && *count == 0 {
            f32::from(*y == 1)
        } else {
            (f32::from(*count) / roi.n_readers as f32).min(1.0)
        }
    };
    Ok(of_pixels.map(share).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::crop::test_rows::roi;

    #[test]
    fn other_nodules_are_learnt_as_nodule_or_not_at_all() {
        let learnt = |rule: &str, mask: &[bool; 4], others: u8| {
            let roi = roi(&[0; 4], mask, &[others]);
            example(&Roi { neighbours: rule.to_owned(), ..roi }, Targets::Consensus).unwrap()
        };
        let own = [true, true, false, false];
        let [included, ignored] = ["include", "ignore"].map(|rule| learnt(rule, &own, 0b0110));
        assert_eq!((included.mask, included.has_nodule), (vec![1, 1, 1, 0], Some(true)));
        assert_eq!((ignored.mask, ignored.has_nodule), (vec![1, 1, IGNORED_PIXEL, 0], Some(true)));
        // Another nodule only: the slice counts neither as showing a nodule nor as empty.
        let [included, ignored] = ["include", "ignore"].map(|rule| learnt(rule, &[false; 4], 1));
        assert_eq!((included.mask[0], included.has_nodule), (1, Some(true)));
        assert_eq!((ignored.mask[0], ignored.has_nodule), (IGNORED_PIXEL, None));
        assert_eq!(learnt("ignore", &[false; 4], 0).has_nodule, Some(false));
        // Nothing is learnt from a pixel without data, whatever lies there.
        let cut = Roi { no_data_bits: vec![0b1101], ..roi(&[0; 4], &own, &[0b0100]) };
        let cut = example(&cut, Targets::Consensus).unwrap();
        assert_eq!(cut.mask, [IGNORED_PIXEL, 1, IGNORED_PIXEL, IGNORED_PIXEL]);
        let odd = Roi { neighbours: "both".to_owned(), ..roi(&[0; 4], &own, &[0]) };
        let error = example(&odd, Targets::Consensus).unwrap_err().to_string();
        assert_eq!(error, "region `n-k0000` has neighbours `both`, expected include or ignore");
    }

    #[test]
    fn shares_of_readers_replace_the_consensus() {
        let counted = |counts: &[u8], others: u8| Roi {
            reader_counts: counts.to_vec(),
            n_readers: 4,
            ..roi(&[0; 4], &[true, true, false, false], &[others])
        };
        let soft = |roi: &Roi| example(roi, Targets::Readers).map(|sample| sample.soft);
        assert_eq!(soft(&counted(&[4, 2, 1, 0], 0)).unwrap(), [1.0, 0.5, 0.25, 0.0]);
        // Another nodule is learnt as the mask says, where no reader of this one marked.
        assert_eq!(soft(&counted(&[4, 2, 1, 0], 0b1100)).unwrap(), [1.0, 0.5, 0.25, 1.0]);
        let ignored = Roi { neighbours: "ignore".to_owned(), ..counted(&[4, 2, 0, 0], 0b1000) };
        let sample = example(&ignored, Targets::Readers).unwrap();
        assert_eq!((sample.mask[3], sample.soft[3]), (IGNORED_PIXEL, 0.0));
        assert_eq!(soft(&roi(&[0; 4], &[false; 4], &[0])).unwrap(), [0.0; 4]);
        let error = soft(&counted(&[4, 2], 0)).unwrap_err().to_string();
        assert!(
            error.starts_with("region `n-k0000` has 2 counts of 4 readers, expected 4"),
            "{error}"
        );
    }
}

//! The samples of a split as a stream of training examples, with a bounded number in memory.

use super::Error;
use crate::imaging::normalise::normalise_slice;
use crate::model::Example;
use crate::tables::store::Version;
use crate::tables::{Roi, Sample, Split, parquet};
use crate::volume::Mask;
use rand::{Rng as _, SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha12Rng;
use std::collections::BTreeSet;
use std::vec::IntoIter;

/// Which samples.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// Cohorts they come from.
    pub(super) cohorts: Vec<String>,
    /// Split they belong to.
    pub(super) split: Split,
    /// Fold that stands in for validation.
    pub(super) fold: Option<i64>,
}

impl Selection {
    fn holds(&self, sample: &Sample) -> bool {
        let learning = sample.split != Split::Test.name();
        self.cohorts.contains(&sample.cohort)
            && match (self.fold, self.split) {
                (Some(fold), Split::Validation) => learning && sample.fold == Some(fold),
                (Some(fold), Split::Train) => learning && sample.fold != Some(fold),
                (_, split) => sample.split == split.name(),
            }
    }
}

/// In which order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// As they are stored.
    Stored,
    /// Shards in random order, then drawn from a buffer of their samples.
    Shuffled {
        /// Seed of the training.
        seed: u64,
        /// Number of the phase, from 0.
        phase: usize,
        /// Epoch of the phase, from 1.
        epoch: usize,
        /// Samples in the buffer.
        buffer: usize,
    },
}

type Rois = Box<dyn Iterator<Item = Result<Vec<Roi>, parquet::Error>>>;

/// The stream. It is the same for the same selection and order, on every machine.
pub(super) struct Examples {
    rois: Version,
    samples: Version,
    selection: Selection,
    shards: IntoIter<usize>,
    wanted: BTreeSet<String>,
    reading: Option<Rois>,
    batch: IntoIter<Roi>,
    buffer: Vec<Roi>,
    capacity: usize,
    random: Option<ChaCha12Rng>,
}

impl Examples {
    pub(super) fn new(rois: Version, samples: Version, selection: Selection, order: Order) -> Self {
        let mut shards: Vec<usize> = (0..rois.manifest.n_shards()).collect();
        let (capacity, random) = match order {
            Order::Stored => (1, None),
            Order::Shuffled { seed, phase, epoch, buffer } => {
                let mut random = ChaCha12Rng::seed_from_u64(seed);
                random.set_stream(((phase as u64) << 32) | epoch as u64);
                shards.shuffle(&mut random);
                (buffer.max(1), Some(random))
            }
        };
        Self {
            rois,
            samples,
            selection,
            shards: shards.into_iter(),
            wanted: BTreeSet::new(),
            reading: None,
            batch: Vec::new().into_iter(),
            buffer: Vec::new(),
            capacity,
            random,
        }
    }

    /// The next selected region, in the order of storage.
    fn read(&mut self) -> Result<Option<Roi>, Error> {
        loop {
            let wanted = &self.wanted;
            if let Some(roi) = self.batch.find(|roi| wanted.contains(&roi.roi_id)) {
                return Ok(Some(roi));
            }
            if let Some(batch) = self.reading.as_mut().and_then(Iterator::next) {
                self.batch = batch?.into_iter();
                continue;
            }
            let Some(shard) = self.shards.next() else { return Ok(None) };
            self.wanted.clear();
            for batch in self.samples.shard_rows::<Sample>(shard) {
                let held = batch?.into_iter().filter(|sample| self.selection.holds(sample));
                self.wanted.extend(held.map(|sample| sample.roi_id));
            }
            // Pixels of a shard without a wanted slice are not read at all.
            self.reading = (!self.wanted.is_empty())
                .then(|| Box::new(self.rois.shard_rows::<Roi>(shard)) as Rois);
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
    type Item = Result<Example, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.draw() {
            Ok(roi) => roi.map(|roi| example(&roi)),
            Err(error) => Some(Err(error)),
        }
    }
}

/// METHOD: every nodule of the scan in the region is learnt, not only the one at its centre: they
/// look the same to the network.
fn example(roi: &Roi) -> Result<Example, Error> {
    let wrong = || Error::Pixels {
        roi_id: roi.roi_id.clone(),
        found: roi.hu.len(),
        height: roi.height,
        width: roi.width,
    };
    let hu = roi.pixels_hu().ok_or_else(wrong)?;
    let size = [roi.width as usize, roi.height as usize, 1];
    let [own, others] = [&roi.mask_bits, &roi.other_mask_bits]
        .map(|bits| Mask::from_bits(size, bits.clone()).map_err(|_| wrong()));
    let mask: Vec<bool> =
        own?.to_bools().into_iter().zip(others?.to_bools()).map(|(a, b)| a || b).collect();
    let image = normalise_slice(&hu, roi.norm_low_hu, roi.norm_high_hu);
    Ok(Example {
        image,
        has_nodule: mask.contains(&true),
        mask: mask.into_iter().map(u8::from).collect(),
    })
}

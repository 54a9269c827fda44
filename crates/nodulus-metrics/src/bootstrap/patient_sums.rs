//! Sums over each patient's cases, and the intervals of statistics that follow from them.

use super::{Interval, PointEstimate, Statistic, intervals};
use pulp::{Arch, Simd, WithSimd};
use std::collections::BTreeMap;

/// Sums of several leave-outs side by side, so that the processor computes on them at once.
pub const LANES: usize = 8;

/// A sum, or a statistic, of each; a statistic that is undefined is not a number.
pub type Lanes = [f64; LANES];

/// Sums over each patient's cases, from which a statistic of all patients follows.
#[derive(Clone, Debug)]
pub struct PatientSums {
    width: usize,
    /// The sums of each patient, one patient after the other.
    sums: Vec<f64>,
}

impl PatientSums {
    /// Sums of no patient, `width` numbers for each.
    pub const fn new(width: usize) -> Self {
        Self { width, sums: Vec::new() }
    }

    /// Adds a patient; the sums must be as many as the width.
    pub fn push(&mut self, sums: &[f64]) {
        debug_assert_eq!(sums.len(), self.width);
        self.sums.extend_from_slice(sums);
    }

    /// Number of patients.
    pub const fn n_patients(&self) -> usize {
        self.sums.len() / self.width
    }

    /// The sums over all patients.
    pub fn total(&self) -> Vec<f64> {
        let mut all = vec![0.0; self.width];
        for sums in self.sums.chunks_exact(self.width) {
            all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
        }
        all
    }

    /// 95% interval of the statistic that `of` computes from the sums over patients; see [`interval`](super::interval).
    pub fn interval(
        &self,
        range: [f64; 2],
        seed: u64,
        of: impl Fn(&[f64]) -> Option<f64> + Send,
    ) -> Interval {
        let mut one = vec![0.0; self.width];
        let statistic = self.statistic(
            range,
            #[inline(always)]
            move |sums| {
                std::array::from_fn(|lane| {
                    one.iter_mut().zip(sums).for_each(|(one, sums)| *one = sums[lane]);
                    of(&one).unwrap_or(f64::NAN)
                })
            },
        );
        intervals(self.n_patients(), seed, vec![statistic]).pop().unwrap_or_default()
    }

    /// A statistic that `of` computes from several sums at once, for [`intervals`]. `of` gains from the processor's vectors
    /// only if it is inlined.
    pub fn statistic<'a>(
        &self,
        range: [f64; 2],
        of: impl FnMut(&[Lanes]) -> Lanes + Send + 'a,
    ) -> Statistic<'a> {
        let mut resampled = Resampled::new(self, of);
        Statistic { range, of: Box::new(move |times| resampled.estimate(times)) }
    }

    /// Each different set of sums once, in the order of their first patients, and which one each patient has.
    ///
    /// Patients with the same sums are alike to a statistic: many, where readers rate few nodules.
    fn grouped(&self) -> (Self, Vec<usize>) {
        let mut groups: BTreeMap<Vec<u64>, usize> = BTreeMap::new();
        let mut alike = Self::new(self.width);
        let group_of = self.sums.chunks_exact(self.width).map(|sums| {
            let bits = sums.iter().map(|sum| sum.to_bits()).collect();
            *groups.entry(bits).or_insert_with(|| {
                alike.push(sums);
                alike.n_patients() - 1
            })
        });
        let group_of = group_of.collect();
        (alike, group_of)
    }
}

/// A statistic of patients that are drawn again and again.
struct Resampled<F> {
    width: usize,
    group_of: Vec<usize>,
    /// How often each group was drawn, filled up to whole lanes.
    drawn: Vec<u32>,
    /// The sums of each group, filled up to whole lanes, one group after the other.
    rows: Vec<Lanes>,
    /// The same sums: for each [`LANES`] groups, those of one kind side by side.
    blocks: Vec<Lanes>,
    /// The sums over all that were drawn.
    all: Vec<Lanes>,
    /// These sums without one patient of each of [`LANES`] groups.
    rest: Vec<Lanes>,
    of: F,
}

impl<F: FnMut(&[Lanes]) -> Lanes> Resampled<F> {
    fn new(sums: &PatientSums, of: F) -> Self {
        let (alike, group_of) = sums.grouped();
        let (width, n_groups) = (alike.width, alike.n_patients());
        let sum = |group: usize, n: usize| {
            if n < width { alike.sums.get(group * width + n).copied().unwrap_or(0.0) } else { 0.0 }
        };
        let per_row = width.div_ceil(LANES);
        let rows = (0..n_groups * per_row)
            .map(|n| std::array::from_fn(|lane| sum(n / per_row, n % per_row * LANES + lane)));
        let n_blocks = n_groups.div_ceil(LANES);
        let blocks = (0..n_blocks * width)
            .map(|n| std::array::from_fn(|lane| sum(n / width * LANES + lane, n % width)));
        Self {
            width,
            group_of,
            drawn: vec![0; n_blocks * LANES],
            rows: rows.collect(),
            blocks: blocks.collect(),
            all: vec![[0.0; LANES]; per_row],
            rest: vec![[0.0; LANES]; width],
            of,
        }
    }

    /// The statistic of patients that are each drawn as often as `times` says, with its standard error by the jackknife of
    /// [`PointEstimate`].
    fn estimate(&mut self, times: &[u32]) -> Option<PointEstimate> {
        self.drawn.fill(0);
        for (group, times) in self.group_of.iter().zip(times) {
            self.drawn[*group] += times;
        }
        // Compiled for the widest vectors of the machine: the same operations in the same order, so the same numbers.
        Arch::new().dispatch(Estimate(self))
    }
}

struct Estimate<'a, F>(&'a mut Resampled<F>);

impl<F: FnMut(&[Lanes]) -> Lanes> WithSimd for Estimate<'_, F> {
    type Output = Option<PointEstimate>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Option<PointEstimate> {
        let Resampled { width, drawn, rows, blocks, all, rest, of, .. } = self.0;
        all.fill([0.0; LANES]);
        for (row, times) in rows.chunks_exact(all.len()).zip(&*drawn) {
            let times = f64::from(*times);
            for (all, row) in all.iter_mut().zip(row) {
                (0..LANES).for_each(|lane| all[lane] += times * row[lane]);
            }
        }
        let all = all.as_flattened();
        rest.iter_mut().zip(all).for_each(|(rest, all)| *rest = [*all; LANES]);
        let [value, ..] = of(rest);
        let (mut n, mut squares) = (0.0, 0.0);
        for (block, times) in blocks.chunks_exact(*width).zip(drawn.as_chunks::<LANES>().0) {
            for ((rest, all), sums) in rest.iter_mut().zip(all).zip(block) {
                (0..LANES).for_each(|lane| rest[lane] = all - sums[lane]);
            }
            let without = of(rest);
            // Groups that were not drawn are computed and left out, which costs less than to ask for each.
            let terms: Lanes = std::array::from_fn(|lane| {
                let square = (without[lane] - value).powi(2);
                if times[lane] > 0 { f64::from(times[lane]) * square } else { 0.0 }
            });
            for lane in 0..LANES {
                n += f64::from(times[lane]);
                squares += terms[lane];
            }
        }
        let standard_error = (squares * (n - 1.0) / n).sqrt();
        standard_error.is_finite().then_some(PointEstimate { value, standard_error })
    }
}

#[cfg(test)]
mod tests {
    use super::super::interval;
    use super::*;
    use crate::interval::UNBOUNDED;

    fn ends(interval: Interval) -> [f64; 2] {
        match interval {
            Interval::Ends(ends) => ends,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn patients_with_the_same_sums_count_as_often_as_they_are() {
        let values = [0.25, 0.5, 0.25, 0.75, 0.5, 0.25, 1.0, 0.75];
        let mut sums = PatientSums::new(1);
        for value in values {
            sums.push(&[value]);
        }
        let (alike, group_of) = sums.grouped();
        assert_eq!(
            (alike.sums, group_of),
            (vec![0.25, 0.5, 0.75, 1.0], vec![0, 1, 0, 2, 1, 0, 3, 2])
        );
        // The same as one patient at a time: squares of sums of quarters are exact.
        let of = |sums: &[f64]| Some(sums[0] * sums[0]);
        let one_by_one = interval(values.len(), UNBOUNDED, 5, |times| {
            let all: f64 = values.iter().zip(times).map(|(value, n)| value * f64::from(*n)).sum();
            PointEstimate::by_jackknife(of(&[all])?, times, |patient| of(&[all - values[patient]]))
        });
        let ([low, high], [one_low, one_high]) =
            (ends(sums.interval(UNBOUNDED, 5, of)), ends(one_by_one));
        assert!((low - one_low).abs() < 1e-12 && (high - one_high).abs() < 1e-12);
    }
}

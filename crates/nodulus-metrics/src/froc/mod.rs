//! Free-response ROC of nodule detectors, as in LUNA16.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// False positives per scan at which LUNA16 reads the sensitivity.
pub const RATES: [f64; 7] = [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0];
/// Number of resamples, as in LUNA16.
pub const RESAMPLES: usize = 1_000;
/// Fewest scans for which an interval is given.
///
/// METHOD: LUNA16's interval is the percentile bootstrap, which covers 90 to 93% where 30 units are resampled and 79 to
/// 88% where 6 or 11 are (docs/metrics.md).
pub const MIN_SCANS: usize = 30;
/// Detections of a scan that count, as in LUNA16.
pub const MAX_PER_SCAN: usize = 100;
/// Diameter of marks without one, as in LUNA16.
const POINT_DIAMETER_MM: f64 = 10.0;

/// A reference mark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReferenceMark {
    /// Index of its scan, below the number of scans.
    pub scan: usize,
    /// Centre, LPS.
    pub centre_mm: [f64; 3],
    /// Diameter; `None` for points.
    pub diameter_mm: Option<f64>,
    /// Whether it is a nodule of the reference standard; detections of other marks are neither
    /// right nor wrong.
    pub included: bool,
}

/// A detection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Index of its scan, below the number of scans.
    pub scan: usize,
    /// Position, LPS.
    pub position_mm: [f64; 3],
    /// Number by which the detector ranks, of any scale: higher is more confident.
    pub confidence: f64,
}

/// Sensitivity at a rate of false positives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrocPoint {
    /// False positives per scan.
    pub rate: f64,
    /// Share of the nodules that are detected.
    pub sensitivity: f64,
    /// Mean sensitivity over resamples of the scans; `None` where no resample has a nodule.
    pub resampled_mean: Option<f64>,
    /// 95% percentile bootstrap interval of the sensitivity, by scan; `None` for fewer than [`MIN_SCANS`] scans.
    pub interval: Option<[f64; 2]>,
}

/// A detector's curve; see [`froc`].
#[derive(Clone, Debug, PartialEq)]
pub struct FrocCurve {
    /// Scans.
    pub n_scans: usize,
    /// Nodules of the reference standard.
    pub n_nodules: usize,
    /// Nodules detected with any confidence.
    pub n_detected: usize,
    /// What became of the detections.
    pub detections: DetectionCounts,
    /// Nodules that are missed only because the detections that hit them do not count.
    pub n_missed_by_limit: usize,
    /// Nodules whose confidence a false positive has too: the curve passes such ties on a straight line.
    pub n_tied: usize,
    /// Mean sensitivity if ties were broken by the order of the rows, at worst and at best.
    pub mean_sensitivity_of_ties: [f64; 2],
    /// Sensitivities at [`RATES`].
    pub points: [FrocPoint; RATES.len()],
    /// Mean of the sensitivities at [`RATES`], by which LUNA16 ranks detectors.
    pub mean_sensitivity: f64,
}

/// What became of detections: all are those over the limit, hits, ignored ones and false positives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DetectionCounts {
    /// All detections.
    pub n_all: usize,
    /// Scans with more than [`MAX_PER_SCAN`] detections.
    pub n_scans_over_limit: usize,
    /// Detections of such scans that do not count.
    pub n_over_limit: usize,
    /// Of those, the ones among the first [`MAX_PER_SCAN`] of their scan, which do not count because they tie with the next
    /// one.
    pub n_over_limit_tied: usize,
    /// Detections that hit a nodule.
    pub n_hits: usize,
    /// Hits beyond the first one of each nodule; of a nodule, the most confident one counts.
    pub n_repeated: usize,
    /// Hits of several nodules at once, whose marks overlap.
    pub n_shared: usize,
    /// Detections that hit only marks that are not included.
    pub n_ignored: usize,
    /// Detections that hit no mark.
    pub n_false_positives: usize,
}

/// A detected nodule or a false positive, with its confidence.
#[derive(Clone, Copy, Debug)]
struct RankedEvent {
    scan: usize,
    confidence: f64,
    detected: bool,
}

/// Evaluates detections against reference marks; `None` without a scan or a nodule.
///
/// A scan's detections and marks are taken in the given order; `seed` determines the resamples.
///
/// METHOD: `noduleCADEvaluationLUNA16.py` (Setio et al. 2017). Of a scan with more than 100
/// detections, those count whose confidence is above that of the 101st. A detection hits a mark
/// when it is less than the radius away; points have a diameter of 10 mm. A nodule has the highest
/// confidence of its hits; a hit on a mark that is not included is ignored; a detection that hits
/// nothing is a false positive. The curve has a point for each confidence, from (0, 0) on; it is
/// straight between points and level past the last one. Intervals: 1,000 resamples of scans, from
/// the 26th to the 976th value; none for fewer than 30 scans, a limit of our own. A resample without a nodule has no curve
/// and is excluded.
pub fn froc(
    n_scans: usize,
    marks: &[ReferenceMark],
    detections: &[Detection],
    seed: u64,
) -> Option<FrocCurve> {
    let mut counts = DetectionCounts::default();
    let mut n_missed_by_limit = 0;
    let mut entries: Vec<RankedEvent> = Vec::new();
    let mut n_nodules_of = vec![0usize; n_scans];
    let (marks, detections) =
        (by_scan(n_scans, marks, |f| f.scan), by_scan(n_scans, detections, |d| d.scan));
    for scan in 0..n_scans {
        let (detections, others) = most_suspicious(&detections[scan], &mut counts);
        let mut unclaimed = vec![true; detections.len()];
        let mut n_nodules_hit = vec![0usize; detections.len()];
        let (nodules, other_marks): (Vec<&ReferenceMark>, Vec<&ReferenceMark>) =
            marks[scan].iter().partition(|mark| mark.included);
        n_nodules_of[scan] = nodules.len();
        for nodule in nodules {
            let hitting = (0..detections.len()).filter(|n| hits(&detections[*n], nodule));
            let confidences: Vec<f64> = hitting
                .map(|n| {
                    unclaimed[n] = false;
                    n_nodules_hit[n] += 1;
                    detections[n].confidence
                })
                .collect();
            counts.n_repeated += confidences.len().saturating_sub(1);
            match confidences.into_iter().reduce(f64::max) {
                Some(confidence) => entries.push(RankedEvent { scan, confidence, detected: true }),
                None => n_missed_by_limit += usize::from(others.iter().any(|d| hits(d, nodule))),
            }
        }
        counts.n_hits += n_nodules_hit.iter().filter(|n| **n > 0).count();
        counts.n_shared += n_nodules_hit.iter().filter(|n| **n > 1).count();
        for other in other_marks {
            for (n, free) in unclaimed.iter_mut().enumerate().filter(|(_, free)| **free) {
                if hits(&detections[n], other) {
                    *free = false;
                    counts.n_ignored += 1;
                }
            }
        }
        for (detection, _) in detections.iter().zip(unclaimed).filter(|(_, free)| *free) {
            entries.push(RankedEvent { scan, confidence: detection.confidence, detected: false });
            counts.n_false_positives += 1;
        }
    }
    entries.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let sensitivities = sensitivities_of(&entries, &n_nodules_of, &vec![1; n_scans])?;
    let resampled = resample(&entries, &n_nodules_of, seed);
    let mean = |values: [f64; RATES.len()]| values.iter().sum::<f64>() / RATES.len() as f64;
    let point = |n: usize| {
        let mut values: Vec<f64> = resampled.iter().map(|of_resample| of_resample[n]).collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| values.get((share * values.len() as f64).floor() as usize).copied();
        FrocPoint {
            rate: RATES[n],
            sensitivity: sensitivities[n],
            resampled_mean: super::summary::mean(&values),
            interval: at(0.025)
                .zip(at(0.975))
                .filter(|_| n_scans >= MIN_SCANS)
                .map(|(low, high)| [low, high]),
        }
    };
    Some(FrocCurve {
        n_scans,
        n_nodules: n_nodules_of.iter().sum(),
        n_detected: entries.iter().filter(|entry| entry.detected).count(),
        detections: counts,
        n_missed_by_limit,
        n_tied: n_tied(&entries),
        mean_sensitivity_of_ties: [false, true].map(|detected_first| {
            let broken = without_ties(&entries, detected_first);
            sensitivities_of(&broken, &n_nodules_of, &vec![1; n_scans]).map_or(0.0, mean)
        }),
        points: std::array::from_fn(point),
        mean_sensitivity: mean(sensitivities),
    })
}

/// Number of detected nodules whose confidence a false positive has too.
fn n_tied(entries: &[RankedEvent]) -> usize {
    let tied = entries.chunk_by(|a, b| a.confidence.total_cmp(&b.confidence).is_eq());
    let is_mixed = |tied: &&[RankedEvent]| tied.iter().any(|entry| !entry.detected);
    tied.filter(is_mixed).map(|tied| tied.iter().filter(|entry| entry.detected).count()).sum()
}

/// The entries, each with a rank of its own instead of its confidence: of tied ones, those that are detected come first or
/// last.
fn without_ties(entries: &[RankedEvent], detected_first: bool) -> Vec<RankedEvent> {
    let mut broken = entries.to_vec();
    broken.sort_by(|a, b| {
        let by_confidence = b.confidence.total_cmp(&a.confidence);
        by_confidence
            .then_with(|| (a.detected != detected_first).cmp(&(b.detected != detected_first)))
    });
    let ranked = broken.into_iter().enumerate();
    ranked.map(|(n, entry)| RankedEvent { confidence: -(n as f64), ..entry }).collect()
}

/// The items of each scan, in the given order; items of unknown scans are ignored.
fn by_scan<T: Copy>(n_scans: usize, all: &[T], scan: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut scans = vec![Vec::new(); n_scans];
    for one in all {
        if let Some(members) = scans.get_mut(scan(one)) {
            members.push(*one);
        }
    }
    scans
}

/// The detections of a scan that count, and the others.
fn most_suspicious(
    detections: &[Detection],
    counts: &mut DetectionCounts,
) -> (Vec<Detection>, Vec<Detection>) {
    counts.n_all += detections.len();
    if detections.len() <= MAX_PER_SCAN {
        return (detections.to_vec(), Vec::new());
    }
    let mut confidences: Vec<f64> =
        detections.iter().map(|detection| detection.confidence).collect();
    confidences.sort_unstable_by(|a, b| b.total_cmp(a));
    let above = confidences[MAX_PER_SCAN];
    let (kept, others): (Vec<Detection>, Vec<Detection>) =
        detections.iter().partition(|detection| detection.confidence > above);
    counts.n_scans_over_limit += 1;
    counts.n_over_limit += others.len();
    counts.n_over_limit_tied += MAX_PER_SCAN - kept.len();
    (kept, others)
}

fn hits(detection: &Detection, mark: &ReferenceMark) -> bool {
    let radius_mm = mark.diameter_mm.unwrap_or(POINT_DIAMETER_MM) / 2.0;
    let axes = detection.position_mm.iter().zip(mark.centre_mm);
    axes.map(|(a, b)| (a - b) * (a - b)).sum::<f64>() < radius_mm * radius_mm
}

/// Sensitivity at each rate where each scan counts `times` times; `None` without a nodule.
/// `entries` are in descending order of confidence.
fn sensitivities_of(
    entries: &[RankedEvent],
    n_nodules_of: &[usize],
    times: &[usize],
) -> Option<[f64; RATES.len()]> {
    let n_nodules: usize = n_nodules_of.iter().zip(times).map(|(n, times)| n * times).sum();
    let n_scans: usize = times.iter().sum();
    if n_nodules == 0 || n_scans == 0 {
        return None;
    }
    let (mut n_detected, mut n_false) = (0, 0);
    let mut found = [None; RATES.len()];
    // The last point of the curve at or before a rate, and the first one past it.
    let mut before = [0.0; 2];
    for tied in entries.chunk_by(|a, b| a.confidence.total_cmp(&b.confidence).is_eq()) {
        for entry in tied {
            let n = if entry.detected { &mut n_detected } else { &mut n_false };
            *n += times[entry.scan];
        }
        let point = [n_false as f64 / n_scans as f64, n_detected as f64 / n_nodules as f64];
        for (found, rate) in found.iter_mut().zip(RATES) {
            if found.is_none() && point[0] > rate {
                let share = (rate - before[0]) / (point[0] - before[0]);
                *found = Some(before[1] + share * (point[1] - before[1]));
            }
        }
        before = point;
    }
    Some(found.map(|sensitivity| sensitivity.unwrap_or(before[1])))
}

fn resample(entries: &[RankedEvent], n_nodules_of: &[usize], seed: u64) -> Vec<[f64; RATES.len()]> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let n_scans = n_nodules_of.len();
    // Drawn as 32 bits, to be the same on machines of every word size.
    let below = u32::try_from(n_scans).unwrap_or(u32::MAX);
    (0..RESAMPLES)
        .filter_map(|_| {
            let mut times = vec![0; n_scans];
            (0..n_scans).for_each(|_| times[random.random_range(0..below) as usize] += 1);
            sensitivities_of(entries, n_nodules_of, &times)
        })
        .collect()
}

#[cfg(test)]
mod tests;

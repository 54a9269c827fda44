//! Warnings where a scan lies outside the range of the model's training cohort.

use nodulus_faults::quoted;
use nodulus_metrics::{HuCounts, ValueRange};
use nodulus_nets::TrainingProfile;

/// Share by which a distance may lie past the training cohort's range.
///
/// METHOD: chosen; headers round a spacing to a few digits.
const ROUNDING: f64 = 0.01;

/// How far the mean of a scan's regions may lie past the range of the training scans' means.
///
/// METHOD: chosen; patients and positions of nodules differ by about as much, while another unit or
/// rescaling differs by hundreds.
const MEAN_SLACK_HU: f64 = 100.0;

/// Share of pixels past the training pixels' 1st and 99th percentile: 2% are expected.
///
/// METHOD: chosen.
const MOST_OUTSIDE: f64 = 0.1;

/// The warning for a model without a profile.
pub fn without_profile(model_id: &str) -> String {
    format!("model {model_id} has no profile of its training cohort: no scan is compared with it")
}

/// What is compared of a scan.
#[derive(Clone, Copy, Debug)]
pub struct ScanCharacteristics<'a> {
    /// Distance between voxel centres along i, j, k.
    pub spacing_mm: [f64; 3],
    /// DICOM `SliceThickness`.
    pub slice_thickness_mm: Option<f64>,
    /// DICOM `ConvolutionKernel`.
    pub kernel: Option<&'a str>,
    /// Pixels of the scan's regions, before they are normalised.
    pub regions: &'a HuCounts,
}

/// A warning for each characteristic outside the range of the training cohort. One that the scan or the
/// profile lacks is not compared.
pub fn warnings(profile: &TrainingProfile, scan: &ScanCharacteristics<'_>) -> Vec<String> {
    let [i, j, k] = scan.spacing_mm;
    let distances = [
        ("spacing along i", Some(i), profile.spacing_i_mm),
        ("spacing along j", Some(j), profile.spacing_j_mm),
        ("spacing along k", Some(k), profile.spacing_k_mm),
        ("slice thickness", scan.slice_thickness_mm, profile.slice_thickness_mm),
    ];
    let outside = |(what, value, range): (&str, Option<f64>, Option<ValueRange>)| {
        let (value, range) = (value?, range?);
        let (low, high) = (range.min * (1.0 - ROUNDING), range.max * (1.0 + ROUNDING));
        (!(low..=high).contains(&value)).then(|| {
            format!(
                "{what} {} mm is outside the training cohort's {} mm",
                number(value),
                ends(range.min, range.max)
            )
        })
    };
    let mut warnings: Vec<String> = distances.into_iter().filter_map(outside).collect();
    warnings.extend(kernel(profile, scan.kernel));
    warnings.extend(intensity(profile, scan.regions));
    warnings
}

fn kernel(profile: &TrainingProfile, kernel: Option<&str>) -> Option<String> {
    let kernel = kernel.filter(|kernel| !profile.kernels.contains_key(*kernel))?;
    // A training scan's kernel is a text of a file too: somebody may have typed a name there.
    let shown = |(name, n): (&String, &u64)| format!("{} ({n})", quoted::text(name));
    let known: Vec<String> = profile.kernels.iter().map(shown).collect();
    (!known.is_empty()).then(|| {
        format!(
            "kernel {} is not among the training cohort's: {}",
            quoted::text(kernel),
            known.join(", ")
        )
    })
}

fn intensity(profile: &TrainingProfile, regions: &HuCounts) -> Vec<String> {
    let mut warnings = Vec::new();
    if let (Some(mean), Some(range)) = (regions.mean(), profile.region_mean_hu) {
        let (low, high) = (range.min - MEAN_SLACK_HU, range.max + MEAN_SLACK_HU);
        if !(low..=high).contains(&mean) {
            warnings.push(format!(
                "mean intensity of the regions {mean:.0} HU is outside the training cohort's {:.0} to {:.0} HU",
                range.min, range.max
            ));
        }
    }
    if let Some(range) = profile.region_hu {
        let share = regions.share_outside(range.p1, range.p99).unwrap_or(0.0);
        if share > MOST_OUTSIDE {
            warnings.push(format!(
                "{:.0}% of the regions' pixels are outside {} HU, where 98% of the training cohort's are",
                100.0 * share,
                ends(range.p1, range.p99)
            ));
        }
    }
    warnings
}

fn ends(low: f64, high: f64) -> String {
    format!("{} to {}", number(low), number(high))
}

/// Up to three decimals, without zeros at the end.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn profile() -> TrainingProfile {
        let mut pixels = HuCounts::default();
        (-1000..=200).for_each(|hu| pixels.add(&[hu]));
        TrainingProfile {
            spacing_i_mm: ValueRange::of([0.55, 0.9]),
            spacing_j_mm: ValueRange::of([0.55, 0.9]),
            spacing_k_mm: ValueRange::of([0.6, 2.5]),
            slice_thickness_mm: ValueRange::of([0.6, 1.0, 2.5]),
            kernels: BTreeMap::from([("STANDARD".to_owned(), 12), ("B30f".to_owned(), 3)]),
            region_mean_hu: ValueRange::of([-700.0, -400.0]),
            region_hu: pixels.range(),
            ..TrainingProfile::default()
        }
    }

    fn warned(change: impl FnOnce(&mut ScanCharacteristics<'_>), hu: &[i16]) -> Vec<String> {
        let mut regions = HuCounts::default();
        regions.add(hu);
        let mut scan = ScanCharacteristics {
            spacing_mm: [0.7, 0.7, 2.5],
            slice_thickness_mm: Some(2.5),
            kernel: Some("STANDARD"),
            regions: &regions,
        };
        change(&mut scan);
        warnings(&profile(), &scan)
    }

    #[test]
    fn a_scan_within_the_ranges_has_no_warning() {
        assert_eq!(warned(|_| {}, &[-800, -400]), Vec::<String>::new());
        // Rounded differently, or missing.
        let same = |scan: &mut ScanCharacteristics<'_>| {
            scan.spacing_mm = [0.549, 0.904, 0.6];
            (scan.slice_thickness_mm, scan.kernel) = (None, None);
        };
        assert_eq!(warned(same, &[]), Vec::<String>::new());
    }

    #[test]
    fn warnings_name_the_value_and_the_range() {
        let coarse = |scan: &mut ScanCharacteristics<'_>| {
            scan.spacing_mm = [0.976_562_5, 0.5, 5.0];
            (scan.slice_thickness_mm, scan.kernel) = (Some(5.0), Some("B80f"));
        };
        assert_eq!(
            warned(coarse, &[-800, -400]),
            [
                "spacing along i 0.977 mm is outside the training cohort's 0.55 to 0.9 mm",
                "spacing along j 0.5 mm is outside the training cohort's 0.55 to 0.9 mm",
                "spacing along k 5 mm is outside the training cohort's 0.6 to 2.5 mm",
                "slice thickness 5 mm is outside the training cohort's 0.6 to 2.5 mm",
                "kernel B80f is not among the training cohort's: B30f (3), STANDARD (12)",
            ]
        );
        let pixels = [vec![-500; 8], vec![1500; 2]].concat();
        assert_eq!(
            warned(|_| {}, &pixels),
            [
                "mean intensity of the regions -100 HU is outside the training cohort's -700 to -400 HU",
                "20% of the regions' pixels are outside -988 to 188 HU, where 98% of the training cohort's are",
            ]
        );
    }

    #[test]
    fn a_redacted_warning_shows_no_kernel() {
        let other = |scan: &mut ScanCharacteristics<'_>| scan.kernel = Some("DOE");
        let names = std::rc::Rc::new(|_: &std::path::Path| "file".to_owned());
        let found = quoted::redacted(names, || warned(other, &[-800, -400]));
        let expected =
            "kernel (redacted) is not among the training cohort's: (redacted) (3), (redacted) (12)";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn an_empty_profile_gives_no_warning() {
        let mut regions = HuCounts::default();
        regions.add(&[3000]);
        let scan = ScanCharacteristics {
            spacing_mm: [5.0; 3],
            slice_thickness_mm: Some(10.0),
            kernel: Some("X"),
            regions: &regions,
        };
        assert!(warnings(&TrainingProfile::default(), &scan).is_empty());
    }
}

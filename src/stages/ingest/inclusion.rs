//! Which scans later stages, and the nightly job, use.

use super::judged::JudgedScan;
use super::reformats::reformat;
use crate::tables::Scan;
use nodulus_faults::quoted;
use nodulus_formats::limits::decimals_over;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A named set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// LUNA16's: slices of 2.5 mm at most, evenly spaced, none missing and none twice (Setio et al. 2017).
    Luna16,
    /// The paper's: slices of 3 mm at most (arXiv 2410.20154).
    Paper,
}

/// Rules by which scans are excluded, each with its reason (in `scans`; of the nightly job in `score_exclusions`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Inclusion {
    /// Named set of rules; a rule that is given here replaces its own.
    pub preset: Option<Preset>,
    /// Greatest `SliceThickness`, mm.
    #[schemars(range(min = 0, max = 1000), extend("examples" = [2.5]))]
    pub max_slice_thickness_mm: Option<f64>,
    /// Greatest deviation of a gap between slices from the spacing along k, as a share of that spacing.
    #[schemars(range(min = 0, max = 1000), extend("examples" = [0.01]))]
    pub max_slice_gap_deviation: Option<f64>,
    /// Greatest number of missing slices.
    #[schemars(range(min = 0, max = 1_000_000), extend("examples" = [0]))]
    pub max_missing_slices: Option<i64>,
    /// Greatest number of slices that are there twice.
    #[schemars(range(min = 0, max = 1_000_000), extend("examples" = [0]))]
    pub max_duplicate_slices: Option<i64>,
    /// Convolution kernels that every slice of an included scan has; without it, all kernels.
    #[schemars(length(min = 1), extend("examples" = [["B30f", "STANDARD"]]))]
    pub kernels: Option<BTreeSet<String>>,
    /// Excludes projections and reformats by their `ImageType`: MIP, `MinIP`, MPR, resampled images and volume rendering.
    pub exclude_reformats: bool,
    /// Excludes images that are `DERIVED` by their `ImageType`.
    pub exclude_derived: bool,
    /// Values that the `ImageType` of every slice of an included scan has.
    #[schemars(length(min = 1), extend("examples" = [["ORIGINAL", "AXIAL"]]))]
    pub image_type: Option<BTreeSet<String>>,
    /// Patterns of included scans' `SeriesDescription`, with `*` and `?`, in upper or lower case; one must fit, on every
    /// slice of a DICOM series.
    #[schemars(length(min = 1), extend("examples" = [["*lung*", "*thorax*"]]))]
    pub description: Option<BTreeSet<String>>,
    /// Patterns of excluded scans' `SeriesDescription`, as in `description`.
    #[schemars(length(min = 1), extend("examples" = [["*monitoring*"]]))]
    pub exclude_description: Option<BTreeSet<String>>,
    /// Of the scans of a patient's study that the other rules include, keeps the one with the least `SliceThickness`,
    /// then with the least spacing along k. Headers are read twice.
    pub thinnest_of_study: bool,
    /// Least and greatest tube voltage, kV.
    #[schemars(inner(range(min = 0, max = 1000)), extend("examples" = [[100.0, 140.0]]))]
    pub kvp: Option<[f64; 2]>,
}

impl Default for Inclusion {
    fn default() -> Self {
        Self {
            preset: None,
            max_slice_thickness_mm: None,
            max_slice_gap_deviation: None,
            max_missing_slices: None,
            max_duplicate_slices: None,
            kernels: None,
            exclude_reformats: true,
            exclude_derived: false,
            image_type: None,
            description: None,
            exclude_description: None,
            thinnest_of_study: false,
            kvp: None,
        }
    }
}

impl Inclusion {
    /// The rules with those of the preset filled in.
    fn resolved(&self) -> Self {
        let preset = match self.preset {
            None => Self::default(),
            Some(Preset::Luna16) => Self {
                max_slice_thickness_mm: Some(2.5),
                max_slice_gap_deviation: Some(0.01),
                max_missing_slices: Some(0),
                max_duplicate_slices: Some(0),
                ..Self::default()
            },
            Some(Preset::Paper) => Self { max_slice_thickness_mm: Some(3.0), ..Self::default() },
        };
        Self {
            max_slice_thickness_mm: self.max_slice_thickness_mm.or(preset.max_slice_thickness_mm),
            max_slice_gap_deviation: self
                .max_slice_gap_deviation
                .or(preset.max_slice_gap_deviation),
            max_missing_slices: self.max_missing_slices.or(preset.max_missing_slices),
            max_duplicate_slices: self.max_duplicate_slices.or(preset.max_duplicate_slices),
            ..self.clone()
        }
    }

    /// Why a scan is excluded; empty where it is included. `section` is where the settings' file has the rules.
    ///
    /// METHOD: a value that the source of a scan cannot have excludes none: MetaImage has no thickness, and a table of scan
    /// geometry no kernel. Rules that list what is included exclude a DICOM series whose slices do not say what they are.
    /// One slice that a rule excludes excludes its series.
    pub(crate) fn reasons(&self, section: &str, scan: &JudgedScan<'_>) -> Vec<String> {
        let rules = self.resolved();
        let mut reasons = Vec::new();
        let over = |value: Option<f64>, limit: Option<f64>| {
            value.zip(limit).filter(|(value, limit)| value > limit)
        };
        if let Some((mm, limit)) = over(scan.slice_thickness_mm, rules.max_slice_thickness_mm) {
            reasons.push(format!("slice thickness {mm} mm is over {limit} mm"));
        }
        let deviation = scan
            .slice_gap_max_deviation_mm
            .zip(scan.spacing_k_mm)
            .map(|(mm, spacing)| mm / spacing);
        if let Some((share, limit)) = over(deviation, rules.max_slice_gap_deviation) {
            let [percent, limit] = [share, limit].map(|share| 100.0 * share);
            let n = decimals_over(percent, limit, 1);
            reasons.push(format!(
                "a gap between slices is {percent:.n$}% off the spacing, over {limit}%"
            ));
        }
        let counts = [
            ("missing", scan.n_missing_slices, rules.max_missing_slices),
            ("duplicate", scan.n_duplicate_slices, rules.max_duplicate_slices),
        ];
        for (what, found, limit) in counts {
            if let Some((n, limit)) = found.zip(limit).filter(|(n, limit)| n > limit) {
                reasons.push(format!("{n} {what} slices are over {limit}"));
            }
        }
        if let Some(kernels) = &rules.kernels {
            let is_other = |kernel: Option<&str>| kernel.is_none_or(|name| !kernels.contains(name));
            reasons.extend(scan.kernels.excluded(is_other).map(|(kernel, share)| {
                let kernel = kernel.map_or("a missing kernel".to_owned(), |k| {
                    format!("kernel {}", quoted::text(k))
                });
                format!("{kernel} is not in {section}.kernels{share}")
            }));
        }
        reasons.extend(rules.reasons_by_labels(section, scan));
        if let Some([low, high]) = rules.kvp {
            let is_other = |kvp: Option<f64>| kvp.is_some_and(|kvp| !(low..=high).contains(&kvp));
            reasons.extend(scan.kvps.excluded(is_other).map(|(kvp, share)| {
                let kvp = kvp.unwrap_or_default();
                format!("tube voltage {kvp} kV is not in {low} to {high} kV{share}")
            }));
        }
        reasons
    }

    /// Why a scan is excluded by what it says about its images.
    fn reasons_by_labels(&self, section: &str, scan: &JudgedScan<'_>) -> Vec<String> {
        let mut reasons = Vec::new();
        let excluded =
            |is: &dyn Fn(&[&str]) -> bool| scan.image_types.excluded(|types| is(&values_of(types)));
        if self.exclude_reformats {
            let found = excluded(&|values| reformat(values).is_some());
            reasons.extend(found.map(|(types, share)| {
                let word = reformat(&values_of(types)).unwrap_or_default();
                format!("a reformat by ImageType ({word}){share}")
            }));
        }
        if self.exclude_derived {
            let found = excluded(&|values| values.contains(&"DERIVED"));
            reasons.extend(
                found.map(|(_, share)| format!("derived from other images by ImageType{share}")),
            );
        }
        for wanted in self.image_type.iter().flatten() {
            let found = excluded(&|values| !values.contains(&wanted.as_str()));
            let reason = |(_, share)| format!("ImageType is without {wanted}{share}");
            reasons.extend(found.map(reason));
        }
        let fitting = |description: Option<&str>, patterns: &BTreeSet<String>| {
            let description = description?;
            patterns.iter().find(|pattern| is_like(description, pattern)).cloned()
        };
        if let Some(patterns) = &self.description {
            let found = scan.descriptions.excluded(|found| fitting(found, patterns).is_none());
            reasons.extend(found.map(|(description, share)| match description {
                Some(description) => format!(
                    "SeriesDescription {} fits no pattern of {section}.description{share}",
                    quoted::text(description)
                ),
                None => format!(
                    "SeriesDescription is missing, and {section}.description lists patterns{share}"
                ),
            }));
        }
        if let Some(patterns) = &self.exclude_description {
            let found = scan.descriptions.excluded(|found| fitting(found, patterns).is_some());
            reasons.extend(found.and_then(|(description, share)| {
                let pattern = fitting(description, patterns)?;
                let description = quoted::text(description?);
                Some(format!("SeriesDescription {description} fits {pattern}{share}"))
            }));
        }
        reasons
    }
}

/// The values of an image type.
fn values_of(image_type: Option<&str>) -> Vec<&str> {
    image_type.into_iter().flat_map(|values| values.split('\\')).map(str::trim).collect()
}

/// Reasons for which scans are excluded because another one of their study is thinner, by cohort and series.
pub(super) type Thicker = BTreeMap<(String, String), String>;

/// The included scans of each study that are thicker than another one. Scans that name no study are not compared.
pub(super) fn thicker(scans: &[Scan]) -> Thicker {
    let thickness = |scan: &Scan| {
        let known = |mm: Option<f64>| mm.unwrap_or(f64::INFINITY);
        [known(scan.slice_thickness_mm), known(scan.spacing_k_mm)]
    };
    let mut thinnest = BTreeMap::new();
    let compared = || {
        let included = scans.iter().filter(|scan| scan.included);
        included
            .filter_map(|scan| Some((scan, (&*scan.cohort, scan.study_instance_uid.as_deref()?))))
    };
    for (scan, study) in compared() {
        let own = (scan.series_instance_uid.as_str(), thickness(scan));
        let kept = thinnest.entry(study).or_insert(own);
        // Of two alike, the one with the lesser UID, whatever their order.
        let order = own.1.partial_cmp(&kept.1).unwrap_or(Ordering::Equal).then(own.0.cmp(kept.0));
        if order == Ordering::Less {
            *kept = own;
        }
    }
    let reason = |(scan, study): (&Scan, _)| {
        let (series, kept) =
            thinnest.get(&study).filter(|(s, _)| *s != scan.series_instance_uid)?;
        let own = (scan.cohort.clone(), scan.series_instance_uid.clone());
        Some((own, not_thinnest(thickness(scan), series, *kept)))
    };
    compared().filter_map(reason).collect()
}

/// Why a scan of this thickness and spacing is not the thinnest one; infinite numbers are unknown.
fn not_thinnest(own: [f64; 2], series: &str, kept: [f64; 2]) -> String {
    let [thick, apart] = own;
    match (thick.total_cmp(&kept[0]), apart.total_cmp(&kept[1])) {
        (Ordering::Greater, _) if thick.is_infinite() => {
            format!("without a slice thickness, which series {series} of its study has")
        }
        (Ordering::Greater, _) => format!("thicker than series {series} of its study"),
        (_, Ordering::Greater) if apart.is_infinite() => {
            format!("of unknown spacing, which series {series} of its study has")
        }
        (_, Ordering::Greater) => {
            format!("as thick as series {series} of its study, with slices further apart")
        }
        _ => format!("as thick as series {series} of its study, whose UID comes first"),
    }
}

/// Excludes an included scan that is thicker than another one of its study.
pub(super) fn exclude_thicker(scan: &mut Scan, thicker: &Thicker) {
    let own = (scan.cohort.clone(), scan.series_instance_uid.clone());
    if let Some(reason) = thicker.get(&own).filter(|_| scan.included) {
        scan.included = false;
        scan.exclusion_reasons.push(reason.clone());
    }
}

/// Whether a text fits a pattern with `*` for any letters and `?` for one, in upper or lower case.
fn is_like(text: &str, pattern: &str) -> bool {
    fn fits(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|at| fits(&text[at..], rest)),
            ['?', rest @ ..] => !text.is_empty() && fits(&text[1..], rest),
            [letter, rest @ ..] => text.first() == Some(letter) && fits(&text[1..], rest),
        }
    }
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    fits(&letters(text), &letters(pattern))
}

#[cfg(test)]
mod tests {
    use super::super::tests::scan;
    use super::*;

    fn reasons(rules: &Inclusion, scan: &Scan) -> Vec<String> {
        rules.reasons("ingest.inclusion", &scan.into())
    }

    fn thick(mm: f64) -> Scan {
        Scan { slice_thickness_mm: Some(mm), ..scan() }
    }

    #[test]
    fn unknown_values_exclude_nothing() {
        let rules = Inclusion {
            preset: Some(Preset::Luna16),
            kernels: Some(BTreeSet::new()),
            kvp: Some([100.0, 140.0]),
            ..Inclusion::default()
        };
        assert_eq!(reasons(&rules, &scan()), [] as [&str; 0]);
    }

    #[test]
    fn each_rule_gives_its_reason() {
        let rules = Inclusion {
            preset: Some(Preset::Luna16),
            kernels: Some(BTreeSet::from(["B30f".to_owned()])),
            kvp: Some([100.0, 120.0]),
            ..Inclusion::default()
        };
        let wrong = Scan {
            slice_thickness_mm: Some(3.0),
            // Spacing along k is 2.5 mm.
            slice_gap_max_deviation_mm: Some(0.5),
            n_missing_slices: Some(2),
            n_duplicate_slices: Some(1),
            kernel: Some("B70f".to_owned()),
            kvp: Some(140.0),
            ..scan()
        };
        assert_eq!(
            reasons(&rules, &wrong),
            [
                "slice thickness 3 mm is over 2.5 mm",
                "a gap between slices is 20.0% off the spacing, over 1%",
                "2 missing slices are over 0",
                "1 duplicate slices are over 0",
                "kernel B70f is not in ingest.inclusion.kernels",
                "tube voltage 140 kV is not in 100 to 120 kV",
            ]
        );
        let right = Scan {
            slice_thickness_mm: Some(2.5),
            slice_gap_max_deviation_mm: Some(0.024),
            n_missing_slices: Some(0),
            n_duplicate_slices: Some(0),
            kernel: Some("B30f".to_owned()),
            kvp: Some(120.0),
            ..scan()
        };
        assert_eq!(reasons(&rules, &right), [] as [&str; 0]);
    }

    #[test]
    fn what_a_series_says_of_its_images_excludes_it() {
        let set = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect());
        let with = |image_type: &str, description: &str| Scan {
            image_type: Some(image_type.to_owned()),
            series_description: Some(description.to_owned()),
            ..scan()
        };
        let of = |rules: &Inclusion, scan: &Scan| reasons(rules, scan);
        let default = Inclusion::default();
        let mip = with("DERIVED\\SECONDARY\\AXIAL\\CT_SOM5 MIP", "MIP 8/2");
        assert_eq!(of(&default, &mip), ["a reformat by ImageType (MIP)"]);
        let keep = Inclusion { exclude_reformats: false, ..Inclusion::default() };
        assert_eq!(of(&keep, &mip), [] as [&str; 0]);
        let derived = Inclusion { exclude_derived: true, ..keep };
        assert_eq!(of(&derived, &mip), ["derived from other images by ImageType"]);
        let lung = with("ORIGINAL\\PRIMARY\\AXIAL", "Lung 1.25 B60");
        let rules = Inclusion {
            image_type: set(&["ORIGINAL", "HELIX"]),
            description: set(&["*LUNG ?.*"]),
            exclude_description: set(&["*b60"]),
            ..Inclusion::default()
        };
        let expected = ["ImageType is without HELIX", "SeriesDescription Lung 1.25 B60 fits *b60"];
        assert_eq!(of(&rules, &lung), expected);
        let expected = "SeriesDescription Bone fits no pattern of ingest.inclusion.description";
        assert_eq!(of(&rules, &with("ORIGINAL\\HELIX", "Bone")), [expected]);
        // Unknown values exclude nothing.
        assert_eq!(of(&rules, &scan()), [] as [&str; 0]);
    }

    #[test]
    fn the_thinnest_scan_of_each_study_is_kept() {
        let of = |study: &str, series: &str, mm: f64| Scan {
            study_instance_uid: Some(study.to_owned()),
            series_instance_uid: series.to_owned(),
            ..thick(mm)
        };
        let refused = Scan { included: false, ..of("1", "e", 0.5) };
        let other_cohort = Scan { cohort: "other".to_owned(), ..of("1", "f", 9.0) };
        let no_study = |series, mm| Scan { study_instance_uid: None, ..of("", series, mm) };
        let mut scans =
            vec![of("1", "a", 5.0), of("1", "b", 1.0), of("2", "c", 3.0), of("1", "d", 1.0)];
        scans.extend([refused, other_cohort, no_study("g", 1.0), no_study("h", 2.0)]);
        let found = thicker(&scans);
        for scan in &mut scans {
            exclude_thicker(scan, &found);
        }
        let included: Vec<bool> = scans.iter().map(|scan| scan.included).collect();
        assert_eq!(included, [false, true, true, false, false, true, true, true]);
        assert_eq!(scans[0].exclusion_reasons, ["thicker than series b of its study"]);
        let reason = &scans[3].exclusion_reasons;
        assert_eq!(*reason, ["as thick as series b of its study, whose UID comes first"]);
        for (mm, spacing, expected) in [
            (None, 1.0, "without a slice thickness, which series b of its study has"),
            (Some(1.0), 3.0, "as thick as series b of its study, with slices further apart"),
        ] {
            let other =
                Scan { slice_thickness_mm: mm, spacing_k_mm: Some(spacing), ..of("1", "x", 1.0) };
            let found = thicker(&[of("1", "b", 1.0), other]);
            assert_eq!(found.values().collect::<Vec<_>>(), [expected]);
        }
    }

    #[test]
    fn a_rule_of_the_settings_overrides_the_preset() {
        let paper = Inclusion { preset: Some(Preset::Paper), ..Inclusion::default() };
        assert!(reasons(&paper, &thick(3.0)).is_empty());
        assert_eq!(reasons(&paper, &thick(3.5)).len(), 1);
        let thinner = Inclusion { max_slice_thickness_mm: Some(1.0), ..paper };
        assert_eq!(reasons(&thinner, &thick(3.0)), ["slice thickness 3 mm is over 1 mm"]);
        assert!(reasons(&Inclusion::default(), &thick(10.0)).is_empty());
    }
}

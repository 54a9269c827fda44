//! Which scans later stages use.

use crate::tables::Scan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A named set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// LUNA16's: slices of 2.5 mm at most, evenly spaced, none missing and none twice (Setio et al. 2017).
    Luna16,
    /// The paper's: slices of 3 mm at most (arXiv 2410.20154).
    Paper,
}

/// Rules by which scans are excluded, each with its reason in `scans`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Convolution kernels of included scans; without it, all kernels.
    #[schemars(length(min = 1), extend("examples" = [["B30f", "STANDARD"]]))]
    pub kernels: Option<BTreeSet<String>>,
    /// Least and greatest tube voltage, kV.
    #[schemars(inner(range(min = 0, max = 1000)), extend("examples" = [[100.0, 140.0]]))]
    pub kvp: Option<[f64; 2]>,
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
            preset: self.preset,
            max_slice_thickness_mm: self.max_slice_thickness_mm.or(preset.max_slice_thickness_mm),
            max_slice_gap_deviation: self
                .max_slice_gap_deviation
                .or(preset.max_slice_gap_deviation),
            max_missing_slices: self.max_missing_slices.or(preset.max_missing_slices),
            max_duplicate_slices: self.max_duplicate_slices.or(preset.max_duplicate_slices),
            kernels: self.kernels.clone(),
            kvp: self.kvp,
        }
    }

    /// Why a scan is excluded; empty where it is included.
    ///
    /// METHOD: an unknown value excludes no scan: MetaImage has no thickness, and a table of scan geometry no
    /// kernel.
    pub(super) fn reasons(
        &self,
        series_list: Option<&BTreeSet<String>>,
        scan: &Scan,
    ) -> Vec<String> {
        let rules = self.resolved();
        let mut reasons = Vec::new();
        if series_list.is_some_and(|list| !list.contains(&scan.series_instance_uid)) {
            reasons.push("not in ingest.series_list".to_owned());
        }
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
            reasons.push(format!(
                "a gap between slices is {percent:.1}% off the spacing, over {limit}%"
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
        if let (Some(kernel), Some(kernels)) = (&scan.kernel, &rules.kernels)
            && !kernels.contains(kernel)
        {
            reasons.push(format!("kernel {kernel} is not in ingest.inclusion.kernels"));
        }
        if let (Some(kvp), Some([low, high])) = (scan.kvp, rules.kvp)
            && !(low..=high).contains(&kvp)
        {
            reasons.push(format!("tube voltage {kvp} kV is not in {low} to {high} kV"));
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::scan;
    use super::*;

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
        assert_eq!(rules.reasons(None, &scan()), [] as [&str; 0]);
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
        let list = BTreeSet::from(["1.3".to_owned()]);
        assert_eq!(
            rules.reasons(Some(&list), &wrong),
            [
                "not in ingest.series_list",
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
        let list = BTreeSet::from([right.series_instance_uid.clone()]);
        assert_eq!(rules.reasons(Some(&list), &right), [] as [&str; 0]);
    }

    #[test]
    fn a_rule_of_the_settings_overrides_the_preset() {
        let paper = Inclusion { preset: Some(Preset::Paper), ..Inclusion::default() };
        assert!(paper.reasons(None, &thick(3.0)).is_empty());
        assert_eq!(paper.reasons(None, &thick(3.5)).len(), 1);
        let thinner = Inclusion { max_slice_thickness_mm: Some(1.0), ..paper };
        assert_eq!(thinner.reasons(None, &thick(3.0)), ["slice thickness 3 mm is over 1 mm"]);
        assert!(Inclusion::default().reasons(None, &thick(10.0)).is_empty());
    }
}

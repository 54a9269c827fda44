//! Settings of the stage: `[merge]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the readers' marks of one nodule are joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Merge")]
pub struct Config {
    /// Rule by which marks are joined.
    pub rule: MergeRule,
    /// Intersection over union of two masks above which the rule `overlap` joins their marks; 0 asks for one
    /// voxel in common.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub iou_threshold: f64,
    /// Treatment of a nodule that one reader marked more than once. Without it, `split`, and `flag` under the rule `luna16`, which
    /// keeps LUNA16's own nodules.
    pub chains: Option<Chains>,
    /// Share of the readers whose masks must hold a voxel of the consensus mask.
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
    pub consensus_level: f64,
    /// Readers that `consensus_level` is a share of.
    pub denominator: Denominator,
    /// Least number of marks of a nodule; nodules with fewer are omitted. LUNA16's reference standard has 3.
    #[schemars(range(min = 1, max = 1000))]
    pub min_marks: usize,
}

/// Rule by which marks are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeRule {
    /// Single linkage of centres nearer than the sum of the radii; plain means.
    Linkage,
    /// As LUNA16 made its nodules: one mark after the other, each new mark counting half.
    Luna16,
    /// Single linkage of masks that share voxels; plain means.
    Overlap,
}

/// Treatment of a nodule that one reader marked more than once: two nodules near each other may have been
/// joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Chains {
    /// The nodule stays, with the groups into which its marks could be split.
    Flag,
    /// Those groups become the nodules, with plain means under every rule.
    Split,
}

/// Readers that the consensus level is a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Denominator {
    /// Readers who marked the nodule.
    Marking,
    /// All readers of the scan.
    All,
}

impl Config {
    /// What happens to a nodule that one reader marked more than once.
    ///
    /// METHOD: a reader who marks twice sees two nodules. Where two readers drew two and a third joined them, single linkage makes
    /// one nodule of them, whose centre lies in neither.
    pub fn chains(&self) -> Chains {
        self.chains.unwrap_or(match self.rule {
            MergeRule::Luna16 => Chains::Flag,
            MergeRule::Linkage | MergeRule::Overlap => Chains::Split,
        })
    }
}

impl MergeRule {
    /// Name in pipeline files and in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linkage => "linkage",
            Self::Luna16 => "luna16",
            Self::Overlap => "overlap",
        }
    }
}

impl Denominator {
    /// Name in pipeline files and in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Marking => "marking",
            Self::All => "all",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rule: MergeRule::Linkage,
            iou_threshold: 0.0,
            chains: None,
            consensus_level: 0.5,
            denominator: Denominator::Marking,
            min_marks: 1,
        }
    }
}

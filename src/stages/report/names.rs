//! Names of metrics and subgroups as a reader sees them. All of it is plain text, not markup.

use nodulus_metrics::Metric;
use nodulus_pages::text::words;

/// Prefix of the names of metrics over slices, in the plane.
pub(super) const SLICE_PREFIX: &str = "slice_";

/// Prefixes of the names of metrics by the rule of components that was not delivered, with what they measure.
pub(super) const RULE_PREFIXES: [(&str, &str); 2] = [
    ("all_", "Metrics over nodules of every component that a model marks"),
    ("centre_", "Metrics over nodules of the component at the nodule’s centre alone"),
];

/// Decimals of a metric: thousandths of a share, hundredths of a millimetre.
pub(super) fn decimals(metric: &str) -> usize {
    if known(metric).is_some_and(Metric::is_distance) { 2 } else { 3 }
}

/// The metric behind a name: over nodules, over slices, or by the other rule of components.
pub(super) fn known(metric: &str) -> Option<Metric> {
    let mut prefixes = RULE_PREFIXES.iter().map(|(prefix, _)| *prefix).chain([SLICE_PREFIX]);
    let plain = prefixes.find_map(|prefix| metric.strip_prefix(prefix));
    Metric::from_name(plain.unwrap_or(metric))
}

/// A metric's name and unit.
pub(super) fn metric_title(metric: &str) -> String {
    let title = match known(metric) {
        Some(Metric::Dice) => "Dice",
        Some(Metric::Iou) => "IoU",
        Some(Metric::Precision) => "Precision",
        Some(Metric::Sensitivity) => "Sensitivity",
        Some(Metric::Hausdorff) => "Hausdorff distance (mm)",
        Some(Metric::Hausdorff95) => "95% Hausdorff distance (mm)",
        Some(Metric::Assd) => "Average symmetric surface distance (mm)",
        Some(Metric::Masd) => "Mean average surface distance (mm)",
        Some(Metric::SurfaceDice) => "Surface Dice at 1 mm",
        None => metric,
    };
    title.to_owned()
}

/// The name of a subgroup, which is `name=value` in the table.
pub(super) fn subgroup_title(subgroup: &str) -> String {
    let Some((name, _)) = subgroup.split_once('=') else {
        return words(subgroup);
    };
    let value = subgroup_value(subgroup);
    match name.strip_suffix("_mm") {
        Some(name) => format!("{} (mm): {value}", words(name)),
        None => format!("{}: {value}", words(name)),
    }
}

/// The value of a subgroup, which is `name=value` in the table.
pub(super) fn subgroup_value(subgroup: &str) -> String {
    subgroup.split_once('=').map_or(subgroup, |(_, value)| value).replace('_', " ")
}

/// Sorts subgroups by their name, then bands by size: `under_6`, `6_to_8`, `over_8`.
pub(super) fn subgroup_order(subgroup: &str) -> (String, u8, u64, String) {
    let (name, value) = subgroup.split_once('=').unwrap_or((subgroup, ""));
    let rank = match value.split('_').next() {
        Some("under" | "up") => 0,
        Some("over") => 2,
        _ => 1,
    };
    // In thousandths, so that bands of fractions are in order too.
    let number = value.split('_').find_map(|word| word.parse::<f64>().ok()).unwrap_or(0.0);
    (name.to_owned(), rank, (1000.0 * number.max(0.0)) as u64, value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable() {
        assert_eq!(metric_title("hausdorff_95_mm"), "95% Hausdorff distance (mm)");
        assert_eq!(metric_title("slice_dice"), "Dice");
        assert_eq!(metric_title("all_hausdorff_mm"), "Hausdorff distance (mm)");
        assert_eq!(metric_title("centre_iou"), "IoU");
        assert_eq!(metric_title("unknown"), "unknown");
        assert_eq!((decimals("slice_assd_mm"), decimals("dice")), (2, 3));
        assert_eq!(subgroup_title("diameter_mm=under_6"), "Diameter (mm): under 6");
        assert_eq!(subgroup_title("texture_type=ground_glass"), "Texture type: ground glass");
        let mut bands = ["d=over_8", "fold=10", "d=6_to_8", "d=under_6", "fold=2", "all"];
        bands.sort_by_key(|band| subgroup_order(band));
        assert_eq!(bands, ["all", "d=under_6", "d=6_to_8", "d=over_8", "fold=2", "fold=10"]);
    }
}

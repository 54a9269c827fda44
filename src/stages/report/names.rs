//! Names of metrics and subgroups as a reader sees them. All of it is plain text, not markup.

use nodulus_metrics::Metric;
use nodulus_pages::text::words;

/// Prefix of the names of metrics over slices, in the plane.
pub(super) const SLICE_PREFIX: &str = "slice_";

/// Decimals of a metric: thousandths of a share, hundredths of a millimetre.
pub(super) fn decimals(metric: &str) -> usize {
    if known(metric).is_some_and(Metric::is_distance) { 2 } else { 3 }
}

/// The metric behind a name, over nodules or over slices.
pub(super) fn known(metric: &str) -> Option<Metric> {
    Metric::from_name(metric.strip_prefix(SLICE_PREFIX).unwrap_or(metric))
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
    let Some((name, value)) = subgroup.split_once('=') else {
        return words(subgroup);
    };
    let value = value.replace('_', " ");
    match name.strip_suffix("_mm") {
        Some(name) => format!("{} (mm): {value}", words(name)),
        None => format!("{}: {value}", words(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable() {
        assert_eq!(metric_title("hausdorff_95_mm"), "95% Hausdorff distance (mm)");
        assert_eq!(metric_title("slice_dice"), "Dice");
        assert_eq!(metric_title("unknown"), "unknown");
        assert_eq!((decimals("slice_assd_mm"), decimals("dice")), (2, 3));
        assert_eq!(subgroup_title("diameter_mm=under_6"), "Diameter (mm): under 6");
        assert_eq!(subgroup_title("texture_type=ground_glass"), "Texture type: ground glass");
    }
}

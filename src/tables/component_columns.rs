//! The metrics by either rule of components, which `slice_metrics` and `nodule_metrics` share.

use nodulus_imaging::components::ComponentRule;
use nodulus_metrics::{MaskMetrics, Metric};
use nodulus_store::columns;
use serde::{Deserialize, Serialize};

columns! {
    /// Metrics of a prediction by either rule of components. A row holds both, so that a join on the nodule and the model
    /// finds one row, whatever rule was delivered.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct ComponentColumns {
        /// rule of components of the delivered mask, which the columns without prefix measure: centre or all
        pub component: String,
        /// precision of every component
        pub all_precision: Option<f64>,
        /// sensitivity of every component
        pub all_sensitivity: Option<f64>,
        /// dice of every component
        pub all_dice: Option<f64>,
        /// iou of every component
        pub all_iou: Option<f64>,
        /// hausdorff_mm of every component
        pub all_hausdorff_mm: Option<f64>,
        /// hausdorff_95_mm of every component
        pub all_hausdorff_95_mm: Option<f64>,
        /// assd_mm of every component
        pub all_assd_mm: Option<f64>,
        /// masd_mm of every component
        pub all_masd_mm: Option<f64>,
        /// surface_dice_1mm of every component
        pub all_surface_dice_1mm: Option<f64>,
        /// outcome of every component: scored, missed, spurious or both_empty
        pub all_outcome: String,
        /// precision of the component at the centre
        pub centre_precision: Option<f64>,
        /// sensitivity of the component at the centre
        pub centre_sensitivity: Option<f64>,
        /// dice of the component at the centre
        pub centre_dice: Option<f64>,
        /// iou of the component at the centre
        pub centre_iou: Option<f64>,
        /// hausdorff_mm of the component at the centre
        pub centre_hausdorff_mm: Option<f64>,
        /// hausdorff_95_mm of the component at the centre
        pub centre_hausdorff_95_mm: Option<f64>,
        /// assd_mm of the component at the centre
        pub centre_assd_mm: Option<f64>,
        /// masd_mm of the component at the centre
        pub centre_masd_mm: Option<f64>,
        /// surface_dice_1mm of the component at the centre
        pub centre_surface_dice_1mm: Option<f64>,
        /// outcome of the component at the centre: scored, missed, spurious or both_empty
        pub centre_outcome: String,
    }
}

impl ComponentColumns {
    /// The columns of a prediction: the metrics of the delivered mask, and those by the other rule.
    pub fn new(rule: ComponentRule, delivered: &MaskMetrics, other: &MaskMetrics) -> Self {
        let [all, centre] = match rule {
            ComponentRule::All => [delivered, other],
            ComponentRule::Centre => [other, delivered],
        };
        Self {
            component: rule.name().to_owned(),
            all_precision: all.precision,
            all_sensitivity: all.sensitivity,
            all_dice: all.dice,
            all_iou: all.iou,
            all_hausdorff_mm: all.hausdorff_mm,
            all_hausdorff_95_mm: all.hausdorff_95_mm,
            all_assd_mm: all.assd_mm,
            all_masd_mm: all.masd_mm,
            all_surface_dice_1mm: all.surface_dice_1mm,
            all_outcome: all.outcome.name().to_owned(),
            centre_precision: centre.precision,
            centre_sensitivity: centre.sensitivity,
            centre_dice: centre.dice,
            centre_iou: centre.iou,
            centre_hausdorff_mm: centre.hausdorff_mm,
            centre_hausdorff_95_mm: centre.hausdorff_95_mm,
            centre_assd_mm: centre.assd_mm,
            centre_masd_mm: centre.masd_mm,
            centre_surface_dice_1mm: centre.surface_dice_1mm,
            centre_outcome: centre.outcome.name().to_owned(),
        }
    }

    /// The rule that was not delivered; `None` for a rule that this program does not know.
    pub fn other_rule(&self) -> Option<ComponentRule> {
        Some(match ComponentRule::from_name(&self.component)? {
            ComponentRule::All => ComponentRule::Centre,
            ComponentRule::Centre => ComponentRule::All,
        })
    }

    /// The value of a metric by a rule, where it is defined.
    pub const fn value(&self, rule: ComponentRule, metric: Metric) -> Option<f64> {
        match (rule, metric) {
            (ComponentRule::All, Metric::Precision) => self.all_precision,
            (ComponentRule::All, Metric::Sensitivity) => self.all_sensitivity,
            (ComponentRule::All, Metric::Dice) => self.all_dice,
            (ComponentRule::All, Metric::Iou) => self.all_iou,
            (ComponentRule::All, Metric::Hausdorff) => self.all_hausdorff_mm,
            (ComponentRule::All, Metric::Hausdorff95) => self.all_hausdorff_95_mm,
            (ComponentRule::All, Metric::Assd) => self.all_assd_mm,
            (ComponentRule::All, Metric::Masd) => self.all_masd_mm,
            (ComponentRule::All, Metric::SurfaceDice) => self.all_surface_dice_1mm,
            (ComponentRule::Centre, Metric::Precision) => self.centre_precision,
            (ComponentRule::Centre, Metric::Sensitivity) => self.centre_sensitivity,
            (ComponentRule::Centre, Metric::Dice) => self.centre_dice,
            (ComponentRule::Centre, Metric::Iou) => self.centre_iou,
            (ComponentRule::Centre, Metric::Hausdorff) => self.centre_hausdorff_mm,
            (ComponentRule::Centre, Metric::Hausdorff95) => self.centre_hausdorff_95_mm,
            (ComponentRule::Centre, Metric::Assd) => self.centre_assd_mm,
            (ComponentRule::Centre, Metric::Masd) => self.centre_masd_mm,
            (ComponentRule::Centre, Metric::SurfaceDice) => self.centre_surface_dice_1mm,
        }
    }

    /// The outcome by a rule.
    pub fn outcome(&self, rule: ComponentRule) -> &str {
        match rule {
            ComponentRule::All => &self.all_outcome,
            ComponentRule::Centre => &self.centre_outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodulus_formats::volume::Mask;
    use nodulus_metrics::measure;
    use nodulus_store::Columns as _;

    #[test]
    fn each_rule_has_its_own_columns_by_the_metrics_names() {
        let mask = |n: usize| Mask::from_fn([6, 1, 1], |i, _, _| i < n);
        let [three, two] = [3, 2].map(|n| measure(&mask(n), &mask(4), [1.0; 3]));
        let row = ComponentColumns::new(ComponentRule::Centre, &two, &three);
        assert_eq!(
            (row.component.as_str(), row.other_rule()),
            ("centre", Some(ComponentRule::All))
        );
        assert_eq!(
            ComponentColumns::new(ComponentRule::All, &three, &two)
                .value(ComponentRule::Centre, Metric::Dice),
            two.dice
        );
        let json = serde_json::to_value(&row).unwrap();
        for metric in Metric::ALL {
            for (rule, metrics) in [(ComponentRule::All, &three), (ComponentRule::Centre, &two)] {
                let value = row.value(rule, metric);
                assert!(value.is_some() && value == metric.of(metrics));
                let name = format!("{}_{}", rule.name(), metric.name());
                assert_eq!(json[&name].as_f64(), value, "{name}");
            }
        }
        assert_eq!(ComponentColumns::columns().len(), 1 + 2 * (Metric::ALL.len() + 1));
        assert_eq!(ComponentColumns::default().other_rule(), None);
    }
}

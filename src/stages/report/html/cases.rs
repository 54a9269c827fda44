//! Nodules to look at.

use super::Page;
use crate::stages::report::content::{Case, CasePrediction};
use crate::stages::report::overlay;
use crate::stages::report::text::{decimal, escape, words};
use std::fmt::Write as _;

impl Page<'_> {
    pub(super) fn cases(&mut self) {
        let cases = &self.content.cases;
        if cases.is_empty() {
            self.html.push_str("<p>Nodules predicted: none.</p>\n");
            return;
        }
        self.html.push_str(
            "<ul class=\"legend\"><li><span class=\"swatch reference\"></span>readers’ consensus</li>\
             <li><span class=\"swatch prediction\"></span>prediction</li></ul>\n",
        );
        for (n, case) in cases.iter().enumerate() {
            self.figures += 1;
            let panels = self.panels_of(case, &format!("slice-{n}"));
            let window = case.picture.window_hu.map(|hu| decimal(Some(hu), 0));
            let [low, high] = window;
            let _ = writeln!(
                self.html,
                "<figure>{panels}<figcaption><b>Figure {}.</b> {} by the Dice of {}: nodule \
                 <code>{}</code>, {} mm in diameter. Axial slice at z = {} mm on which it is largest; \
                 black to white: {low} to {high} HU. Numbers are over the nodule’s whole \
                 region.</figcaption></figure>",
                self.figures,
                words(&case.rank),
                self.label(&case.ranked_by),
                escape(&case.nodule_id),
                decimal(Some(case.diameter_mm), 1),
                decimal(Some(case.z_mm), 2),
            );
        }
    }

    /// The whole slice, and a panel with its numbers for each prediction.
    fn panels_of(&self, case: &Case, id: &str) -> String {
        let nodule = escape(&case.nodule_id);
        let masks: Vec<_> = case
            .predictions
            .iter()
            .map(|prediction| {
                let model = self.label(&prediction.model_id);
                let what =
                    format!("Nodule {nodule} with the outlines of the consensus and of {model}");
                (&prediction.mask, what)
            })
            .collect();
        let description = format!("Slice of nodule {nodule}");
        let panels = match overlay::panels(&case.picture, &masks, id, &description) {
            Ok(panels) => panels,
            Err(error) => {
                return format!(
                    "<p>The slice cannot be shown: {}.</p>",
                    escape(&error.to_string())
                );
            }
        };
        let mut html = format!(
            "<div class=\"slices\"><div>{}<p>The region; the square is enlarged</p></div>\n",
            panels.whole
        );
        for (prediction, panel) in case.predictions.iter().zip(&panels.enlarged) {
            let _ = writeln!(html, "<div>{panel}<p>{}</p></div>", self.numbers(prediction));
        }
        html + "</div>"
    }

    fn numbers(&self, prediction: &CasePrediction) -> String {
        let mm = |name: &str, value: Option<f64>| {
            let unit = if value.is_some() { " mm" } else { "" };
            format!("{name} {}{unit}", decimal(value, 2))
        };
        format!(
            "<b>{}</b><br/>Dice {} · {}<br/>{} · {}<br/>{} of {} mm³",
            self.label(&prediction.model_id),
            decimal(prediction.dice, 3),
            mm("ASSD", prediction.assd_mm),
            mm("HD", prediction.hausdorff_mm),
            mm("HD95", prediction.hausdorff_95_mm),
            decimal(Some(prediction.predicted_volume_mm3), 0),
            decimal(Some(prediction.reference_volume_mm3), 0),
        )
    }
}

//! The shown nodules.

use super::ReportPage;
use crate::stages::report::content::{CasePrediction, ShownCase};
use maud::{Markup, html};
use nodulus_formats::volume::Mask;
use nodulus_imaging::drawing::png::{encode_grey, grey};
use nodulus_pages::picture::{Panels, Picture, Stroke, View, legend, panels, side_by_side};
use nodulus_pages::text::{decimal, words};

impl ReportPage<'_> {
    pub(super) fn cases(&mut self) {
        let cases = &self.content.cases;
        if cases.is_empty() {
            self.page.add(html! { p { "Predicted nodules: none." } });
            return;
        }
        self.page
            .add(legend(&[(Stroke::Broad, "readers’ consensus"), (Stroke::Fine, "prediction")]));
        for (n, case) in cases.iter().enumerate() {
            let panels = self.panels_of(case, &format!("slice-{n}"));
            let [low, high] = case.picture.window_hu.map(|hu| decimal(Some(hu), 0));
            let caption = html! {
                (words(&case.rank)) " by the Dice of " (self.label(&case.ranked_by)) ": nodule "
                code { (case.nodule_id) } ", " (decimal(Some(case.diameter_mm), 1))
                " mm in diameter. Axial slice at z = " (decimal(Some(case.z_mm), 2))
                " mm, where its mask is largest; black to white: " (low) " to " (high)
                " HU. Metrics are over the nodule’s whole region."
            };
            self.page.figure(panels, caption);
        }
    }

    /// The whole slice, and a panel with its numbers for each prediction.
    fn panels_of(&self, case: &ShownCase, id: &str) -> Markup {
        let slice = &case.picture;
        let greys: Vec<u8> = slice.hu.iter().map(|hu| grey(*hu, slice.window_hu)).collect();
        let png = match encode_grey(slice.size, &greys) {
            Ok(png) => png,
            Err(error) => {
                return html! { p { "The slice cannot be shown: " (error.to_string()) "." } };
            }
        };
        let picture = Picture { png: &png, size: slice.size, pixel_mm: slice.spacing_mm };
        let view = |prediction: &CasePrediction| View {
            pixels: pixels(&prediction.mask, slice.size),
            description: format!(
                "Nodule {} with the outlines of the consensus and of {}",
                case.nodule_id,
                self.label(&prediction.model_id)
            ),
        };
        // The leading model first: the enlarged field surrounds its outline.
        let mut predictions: Vec<&CasePrediction> = case.predictions.iter().collect();
        predictions.sort_by_key(|prediction| prediction.model_id != case.ranked_by);
        let views: Vec<View> = predictions.iter().copied().map(view).collect();
        let reference = pixels(&slice.reference, slice.size);
        let description = format!("Slice of nodule {}", case.nodule_id);
        let Panels { whole, enlarged } = panels(&picture, &reference, &views, id, &description);
        let enlarged = enlarged.into_iter().zip(predictions).map(|(panel, prediction)| {
            let numbers = html! {
                (self.numbers(prediction))
                @if panel.is_cut { br; "The outline continues outside the square." }
            };
            (panel.svg, numbers)
        });
        let whole = (whole, html! { "The region; the square is shown enlarged" });
        side_by_side(&std::iter::once(whole).chain(enlarged).collect::<Vec<_>>())
    }

    fn numbers(&self, prediction: &CasePrediction) -> Markup {
        let mm = |name: &str, value: Option<f64>| {
            let unit = if value.is_some() { " mm" } else { "" };
            format!("{name} {}{unit}", decimal(value, 2))
        };
        html! {
            b { (self.label(&prediction.model_id)) }
            br; "Dice " (decimal(prediction.dice, 3)) " · " (mm("ASSD", prediction.assd_mm))
            br; (mm("HD", prediction.hausdorff_mm)) " · " (mm("HD95", prediction.hausdorff_95_mm))
            br; (decimal(Some(prediction.predicted_volume_mm3), 0)) " of "
            (decimal(Some(prediction.reference_volume_mm3), 0)) " mm³"
        }
    }
}

/// The pixels of a slice's mask, row by row.
fn pixels(mask: &Mask, [width, height]: [usize; 2]) -> Vec<bool> {
    (0..height).flat_map(|j| (0..width).map(move |i| mask.get(i, j, 0))).collect()
}

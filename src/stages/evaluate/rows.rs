//! Rows of `nodule_metrics` and `slice_metrics`.

use super::slice::{Region, Slice};
use crate::tables::{ComponentColumns, NoduleMetrics, SliceMetrics};
use nodulus_metrics::{METRIC_DEFINITION, MaskMetrics, MaskSize, SizeMeasure};

/// Metrics of one delivered prediction, and the sizes of prediction and reference.
pub(super) struct MeasuredMasks {
    pub(super) metrics: MaskMetrics,
    /// Metrics by either rule of components.
    pub(super) components: ComponentColumns,
    pub(super) sizes: [MaskSize; 2],
}

pub(super) fn nodule_row(
    model_id: &str,
    slice: &Slice,
    measured: &MeasuredMasks,
    region: &Region,
) -> NoduleMetrics {
    let MeasuredMasks { metrics, components, sizes: [predicted, reference] } = measured;
    let [volume, diameter, long, short] =
        SizeMeasure::ALL.map(|measure| measure.error(predicted, reference));
    NoduleMetrics {
        nodule_id: slice.nodule_id.clone(),
        patient_id: slice.patient_id.clone(),
        model_id: model_id.to_owned(),
        n_slices: region.size[2] as i64,
        metrics: metrics.into(),
        components: components.clone(),
        predicted_volume_mm3: predicted.volume_mm3,
        reference_volume_mm3: reference.volume_mm3,
        cut_volume_mm3: 0.0,
        oversize: slice.oversize.clone(),
        volume_error_mm3: volume.signed,
        volume_relative_error: volume.relative,
        predicted_equivalent_diameter_mm: predicted.equivalent_diameter_mm,
        reference_equivalent_diameter_mm: reference.equivalent_diameter_mm,
        equivalent_diameter_error_mm: diameter.signed,
        equivalent_diameter_relative_error: diameter.relative,
        predicted_long_axis_mm: predicted.long_axis_mm,
        reference_long_axis_mm: reference.long_axis_mm,
        long_axis_error_mm: long.signed,
        long_axis_relative_error: long.relative,
        predicted_short_axis_mm: predicted.short_axis_mm,
        reference_short_axis_mm: reference.short_axis_mm,
        short_axis_error_mm: short.signed,
        short_axis_relative_error: short.relative,
        calibration_pixels: None,
        calibration_nodule_pixels: None,
        calibration_probability: None,
        outcome: metrics.outcome.name().to_owned(),
        doubts: Vec::new(),
        metric_definition: METRIC_DEFINITION.to_owned(),
    }
}

pub(super) fn slice_row(
    model_id: &str,
    slice: &Slice,
    measured: &MeasuredMasks,
    doubts: &[String],
) -> SliceMetrics {
    let MeasuredMasks { metrics, components, sizes: [predicted, reference] } = measured;
    SliceMetrics {
        roi_id: slice.roi_id.clone(),
        nodule_id: slice.nodule_id.clone(),
        patient_id: slice.patient_id.clone(),
        model_id: model_id.to_owned(),
        metrics: metrics.into(),
        components: components.clone(),
        predicted_volume_mm3: predicted.volume_mm3,
        reference_volume_mm3: reference.volume_mm3,
        predicted_long_axis_mm: predicted.long_axis_mm,
        reference_long_axis_mm: reference.long_axis_mm,
        predicted_short_axis_mm: predicted.short_axis_mm,
        reference_short_axis_mm: reference.short_axis_mm,
        outcome: metrics.outcome.name().to_owned(),
        doubts: doubts.to_vec(),
        metric_definition: METRIC_DEFINITION.to_owned(),
    }
}

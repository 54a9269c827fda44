//! The segments that 3D Slicer lists in the header of a `.seg.nrrd`.

use super::error::Error;
use super::fields::HeaderFields;
use crate::mask_file::LabelSegment;

/// The segments, in the file's order; empty where the header lists none.
///
/// METHOD: Slicer's `vtkMRMLSegmentationStorageNode`: `Segment0_Name`, `Segment0_LabelValue` and `Segment0_Layer`.
/// Slicer 4 gave each segment a layer of its own with the value 1, and wrote neither of the last two.
pub(super) fn of_keys(
    fields: &HeaderFields<'_>,
    n_layers: usize,
) -> Result<Vec<LabelSegment>, Error> {
    let key = |n: usize, name: &str| {
        let name = format!("Segment{n}_{name}");
        fields.keys.get(&name).map(|value| (name, value.trim()))
    };
    let is_listed = |n: &usize| key(*n, "ID").or_else(|| key(*n, "Name")).is_some();
    let whole = |n: usize, name: &str, most: usize| match key(n, name) {
        None => Ok(None),
        Some((name, found)) => match found.parse() {
            Ok(value) if value <= most => Ok(Some(value)),
            _ => Err(fields.wrong(&name, found, format!("a whole number up to {most}"))),
        },
    };
    let mut segments = Vec::new();
    for n in (0..).take_while(is_listed) {
        let name = key(n, "Name").or_else(|| key(n, "ID")).map(|(_, name)| name.to_owned());
        let value = whole(n, "LabelValue", usize::from(u16::MAX))?.unwrap_or(1);
        let own_layer = if n_layers > 1 { n } else { 0 };
        let layer = whole(n, "Layer", n_layers.saturating_sub(1))?.unwrap_or(own_layer);
        if layer >= n_layers {
            let found = format!("{n}, the segment's own number");
            let expected = format!("one of {n_layers} layers from 0");
            return Err(fields.wrong(&format!("Segment{n}_Layer"), &found, expected));
        }
        segments.push(LabelSegment { name: name.unwrap_or_default(), layer, value: value as u16 });
    }
    Ok(segments)
}

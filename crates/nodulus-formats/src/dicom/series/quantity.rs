//! What the values of a slice are, by its `RescaleType` and `ImageType`.

use super::slice::SliceHeader;
use super::sop_class::is_legacy;
use crate::dicom::element::values::text;
use crate::dicom::error::Error;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// A quantity that is not HU, and what says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OtherQuantity {
    quantity: &'static str,
    attribute: &'static str,
    found: String,
}

/// The quantity of a slice; `None` for HU. `rescaling` are its slope and intercept.
///
/// METHOD: a CT without a `RescaleType` holds HU (PS3.3, C.8.2.1), unless it is one of multi-energy CT, which must name
/// its type, or its `ImageType` names another quantity (PS3.3, C.8.15.2.1.1.3). `US` is no quantity. A converter writes it
/// for slices without a type, so a legacy converted file whose values are not rescaled is read as its slices are.
pub(crate) fn of(
    values: &InMemDicomObject,
    rescale_type: Option<&str>,
    image_type: Option<&str>,
    rescaling: [f64; 2],
) -> Option<OtherQuantity> {
    let class = text(values, tags::SOP_CLASS_UID).ok().flatten().unwrap_or_default();
    let by_type = |quantity| OtherQuantity {
        quantity,
        attribute: "RescaleType",
        found: rescale_type.unwrap_or("missing").to_owned(),
    };
    let Some(found) = rescale_type else {
        let is_multi_energy = text(values, tags::MULTIENERGY_CT_ACQUISITION);
        if is_multi_energy.is_ok_and(|found| found.as_deref() == Some("YES")) {
            return Some(by_type("an unnamed quantity of multi-energy CT"));
        }
        let named =
            image_type?.split('\\').find_map(|part| Some((part, of_image_type(part.trim())?)));
        let (part, quantity) = named?;
        let found = part.trim().to_owned();
        return Some(OtherQuantity { quantity, attribute: "ImageType", found });
    };
    match found.to_ascii_uppercase().as_str() {
        "HU" => None,
        "US" if is_legacy(&class) && rescaling == [1.0, 0.0] => None,
        "US" => Some(by_type("an unspecified quantity")),
        "MGML" => Some(by_type("concentrations in mg/ml")),
        "Z_EFF" => Some(by_type("effective atomic numbers")),
        "ED" => Some(by_type("electron densities")),
        "EDW" => Some(by_type("electron densities relative to water")),
        "HU_MOD" => Some(by_type("modified Hounsfield units")),
        "PCT" => Some(by_type("percentages")),
        "OD" => Some(by_type("optical densities")),
        _ => Some(by_type("another quantity")),
    }
}

fn of_image_type(part: &str) -> Option<&'static str> {
    match part {
        "ELECTRON_DENSITY" => Some("electron densities"),
        "EFF_ATOMIC_NUM" => Some("effective atomic numbers"),
        "MAT_SPECIFIC" => Some("a property of one material"),
        "MAT_FRACTIONAL" => Some("fractions of a material"),
        "MAT_VALUE_BASED" => Some("values of a material"),
        "MAT_MODIFIED" => Some("modified Hounsfield units"),
        _ => None,
    }
}

/// Refuses slices that hold another quantity than HU.
pub(crate) fn check(slices: &[SliceHeader]) -> Result<(), Error> {
    let other = slices.iter().find_map(|slice| Some((slice, slice.quantity.as_ref()?)));
    match other {
        None => Ok(()),
        Some((slice, OtherQuantity { quantity, attribute, found })) => Err(Error::NotHounsfield {
            file: slice.name(),
            quantity,
            attribute,
            found: found.clone(),
        }),
    }
}

//! What the values of a slice are, by its `RescaleType` and `ImageType`.

use super::slice::SliceHeader;
use super::sop_class::is_legacy;
use crate::dicom::element::values::text;
use crate::dicom::error::Error;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::path::PathBuf;

/// A quantity that is not HU, and what says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OtherQuantity {
    quantity: &'static str,
    attribute: &'static str,
    found: String,
}

impl OtherQuantity {
    /// The refusal of a file that holds it.
    pub(crate) fn refused(&self, file: PathBuf) -> Error {
        let Self { quantity, attribute, found } = self;
        Error::NotHounsfield { file, quantity, attribute, found: found.clone() }
    }
}

/// The quantity of a slice; `None` for HU. `rescaling` are its slope and intercept.
///
/// METHOD: a CT without a `RescaleType` holds HU (PS3.3, C.8.2.1), unless it is one of multi-energy CT, which must name
/// its type. An image type that names another quantity (PS3.3, C.8.15.2.1.1.3, and manufacturers' words) says so whatever
/// the `RescaleType`, as some scanners write `HU` into every image. `US` is no quantity. A converter writes it
/// for slices without a type, so a legacy converted file whose values are not rescaled is read as its slices are.
pub(crate) fn of(
    values: &InMemDicomObject,
    rescale_type: Option<&str>,
    image_types: [Option<&str>; 2],
    rescaling: [f64; 2],
) -> Option<OtherQuantity> {
    let class = text(values, tags::SOP_CLASS_UID).ok().flatten().unwrap_or_default();
    let found = rescale_type.map_or("missing".to_owned(), |found| format!("`{found}`"));
    let by_type = |quantity| Some(OtherQuantity { quantity, attribute: "RescaleType", found });
    match rescale_type.map(str::to_ascii_uppercase).as_deref() {
        None => {
            let is_multi_energy = text(values, tags::MULTIENERGY_CT_ACQUISITION);
            if is_multi_energy.is_ok_and(|found| found.as_deref() == Some("YES")) {
                return by_type("an unnamed quantity of multi-energy CT");
            }
        }
        Some("HU") => {}
        Some("US")
            if is_legacy(&class) && rescaling.map(f64::to_bits) == [1.0, 0.0].map(f64::to_bits) => {
        }
        Some("US") => return by_type("an unspecified quantity"),
        Some("MGML") => return by_type("concentrations in mg/ml"),
        Some("Z_EFF") => return by_type("effective atomic numbers"),
        Some("ED") => return by_type("electron densities"),
        Some("EDW") => return by_type("electron densities relative to water"),
        Some("HU_MOD") => return by_type("modified Hounsfield units"),
        Some("PCT") => return by_type("percentages"),
        Some("OD") => return by_type("optical densities"),
        _ => return by_type("another quantity"),
    }
    let mut values = image_types.into_iter().flatten().flat_map(|types| types.split('\\'));
    let (value, quantity) = values.find_map(|value| Some((value, of_image_type(value)?)))?;
    let found = format!("`{}`", value.trim());
    Some(OtherQuantity { quantity, attribute: "ImageType", found })
}

/// Words of an image type that name another quantity than HU.
const QUANTITIES: [(&str, &str); 29] = [
    ("ELECTRON DENSITY", "electron densities"),
    ("RHO", "electron densities"),
    ("EFF ATOMIC NUM", "effective atomic numbers"),
    ("EFFECTIVE ATOMIC", "effective atomic numbers"),
    ("EFFECTIVE Z", "effective atomic numbers"),
    ("Z EFFECTIVE", "effective atomic numbers"),
    ("Z EFF", "effective atomic numbers"),
    ("ZEFF", "effective atomic numbers"),
    ("EFF Z", "effective atomic numbers"),
    ("MAT SPECIFIC", "a property of one material"),
    ("MATERIAL", "a property of one material"),
    ("MAT FRACTIONAL", "fractions of a material"),
    ("MAT VALUE BASED", "values of a material"),
    ("MAT MODIFIED", "modified Hounsfield units"),
    ("IODINE", "amounts of iodine"),
    ("WATER", "amounts of water"),
    ("HAP", "amounts of hydroxyapatite"),
    ("URIC ACID", "amounts of uric acid"),
    ("GADOLINIUM", "amounts of gadolinium"),
    // General Electric's material density images; those at one energy are `GSI MONO`.
    ("GSI MD", "a property of one material"),
    // Maps that are computed from several images: PS3.3, C.8.16.1.4.
    ("STD DEVIATION", "standard deviations"),
    ("DIVISION", "ratios of images"),
    ("MULTIPLICATION", "products of images"),
    ("MTT", "mean transit times"),
    ("RCBF", "a blood flow"),
    ("RCBV", "a blood volume"),
    ("TTP", "times to a peak"),
    ("T TEST", "values of a test"),
    ("Z SCORE", "values of a test"),
];

/// Images in HU, from which a material was taken away.
const IN_HU: [&str; 4] = ["REMOVED", "SUPPRESSED", "SUBTRACTED", "FREE"];

/// The quantity that one value of an image type names.
fn of_image_type(value: &str) -> Option<&'static str> {
    let words = words(value);
    let has = |wanted: &str| words.contains(&format!(" {wanted} "));
    if IN_HU.into_iter().any(has) {
        return None;
    }
    QUANTITIES.into_iter().find(|(wanted, _)| has(wanted)).map(|(_, quantity)| quantity)
}

/// A value as words in capitals, with a space around each: ` EFF ATOMIC NUM ` for `EFF_ATOMIC_NUM`.
fn words(value: &str) -> String {
    let mut words = String::from(" ");
    for word in value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        words.push_str(&word.to_ascii_uppercase());
        words.push(' ');
    }
    words
}

/// Refuses slices that hold another quantity than HU.
pub(crate) fn check(slices: &[SliceHeader]) -> Result<(), Error> {
    let other = slices.iter().find_map(|slice| Some((slice, slice.quantity.as_ref()?)));
    match other {
        None => Ok(()),
        Some((slice, quantity)) => Err(quantity.refused(slice.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_type_names_a_quantity_by_its_words() {
        for (value, expected) in [
            ("IODINE", "amounts of iodine"),
            ("WATER(IODINE)", "amounts of iodine"),
            ("PURE_IODINE", "amounts of iodine"),
            ("Iodine no Water", "amounts of iodine"),
            ("HAP(WATER)", "amounts of water"),
            ("GSI MD", "a property of one material"),
            ("MATERIAL_SPECIFIC", "a property of one material"),
            ("Z_EFF", "effective atomic numbers"),
            ("Z Effective", "effective atomic numbers"),
            ("EFF_ATOMIC_NUM", "effective atomic numbers"),
            ("ELECTRON_DENSITY", "electron densities"),
            ("DE_RHO", "electron densities"),
            ("STD_DEVIATION", "standard deviations"),
            ("MTT", "mean transit times"),
            ("T_TEST", "values of a test"),
        ] {
            assert_eq!(of_image_type(value), Some(expected), "{value}");
        }
        for hu in [
            "ORIGINAL",
            "PRIMARY",
            "AXIAL",
            "CT_SOM7 SPI DE",
            "GSI MONO",
            "MONO_70KEV",
            "MONOENERGETIC",
            "VMI",
            "VIRT_NON_CON",
            "VNC",
            "IODINE_REMOVED",
            "FAT FREE",
            "MAT_REMOVED",
            "HELIX",
            "",
        ] {
            assert_eq!(of_image_type(hu), None, "{hu}");
        }
    }
}

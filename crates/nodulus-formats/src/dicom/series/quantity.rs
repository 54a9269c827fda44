//! What the values of a slice are, by its `RescaleType` and `ImageType`.

use super::quantity_words::{
    ENDINGS, IN_HU, PLAIN, QUANTITIES, QUANTITIES_OF_DERIVED, WHOLE_VALUES, has_word, words,
};
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
/// its type. An image type that names another quantity (PS3.3, C.8.2.1.1.1 and C.8.16.1.4, and manufacturers' words) says
/// so whatever the `RescaleType`, as some scanners write `HU` into every image. `US` is no quantity. A converter writes it
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
            if let Some(units) = other_units(values) {
                let attribute = "RealWorldValueMappingSequence";
                return Some(OtherQuantity {
                    quantity: "another quantity",
                    attribute,
                    found: units,
                });
            }
            let is_multi_energy = text(values, tags::MULTIENERGY_CT_ACQUISITION);
            if is_multi_energy.is_ok_and(|found| found.as_deref() == Some("YES")) {
                return by_type("an unnamed quantity of multi-energy CT");
            }
        }
        Some(found) if found == "HU" || found.starts_with("HOUNSFIELD") => {}
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
    let (value, quantity) = image_types.into_iter().flatten().find_map(of_image_type)?;
    Some(OtherQuantity { quantity, attribute: "ImageType", found: format!("`{value}`") })
}

/// The texts of a mapping to real world values that are not in HU.
fn other_units(values: &InMemDicomObject) -> Option<String> {
    let found = text(values, tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE).ok().flatten()?;
    let upper = found.to_ascii_uppercase();
    let is_hu =
        upper.contains("HNSF") || upper.contains("HOUNSFIELD") || has_word(&words(&upper), "HU");
    (!is_hu).then(|| format!("`{found}`"))
}

/// Whether an image is derived and its type has words of which it is not known whether they leave HU.
///
/// METHOD: manufacturers invent words. Those that are known to name another quantity are refused and those of [`PLAIN`] and
/// [`IN_HU`] are read; others are read, and counted as an irregularity. One letter, and words with digits, are no names of
/// quantities.
pub(crate) fn is_unknown(image_type: &str) -> bool {
    let mut values = image_type.split('\\');
    if !values.next().is_some_and(|first| first.trim().eq_ignore_ascii_case("DERIVED")) {
        return false;
    }
    values.any(|value| {
        let words = words(value);
        let is_in_hu = IN_HU.into_iter().any(|word| has_word(&words, word));
        let is_known = |word: &str| {
            word.len() < 2 || word.contains(|c: char| c.is_ascii_digit()) || PLAIN.contains(&word)
        };
        !is_in_hu && !words.split(' ').filter(|word| !word.is_empty()).all(is_known)
    })
}

/// The first value of an image type that names another quantity, with that quantity.
fn of_image_type(image_type: &str) -> Option<(&str, &'static str)> {
    let values: Vec<&str> = image_type.split('\\').collect();
    let from = contrast_of(&values);
    values.iter().enumerate().find_map(|(at, value)| {
        let quantity = of_value(value, from.is_some_and(|from| at >= from))?;
        Some((value.trim(), quantity))
    })
}

/// The first value by which a derived image says how it was made.
///
/// METHOD: the fourth one of an image of several values; without it, the third one, or the second one where it is not
/// `PRIMARY` or `SECONDARY`.
fn contrast_of(values: &[&str]) -> Option<usize> {
    let [first, rest @ ..] = values else { return None };
    if !first.trim().eq_ignore_ascii_case("DERIVED") {
        return None;
    }
    let is_kind = |value: &str| matches!(value.trim(), "PRIMARY" | "SECONDARY");
    match rest {
        [second, ..] if !is_kind(second) => Some(1),
        [_, _, _, ..] => Some(3),
        _ => Some(2),
    }
}

/// The quantity that one value of an image type names.
fn of_value(value: &str, is_contrast_of_derived: bool) -> Option<&'static str> {
    // The usual value, without a look at every word.
    if PLAIN.contains(&value.trim()) {
        return None;
    }
    let words = words(value);
    let has = |wanted: &str| has_word(&words, wanted);
    if IN_HU.into_iter().any(has) || words.ends_with(" FREE ") {
        return None;
    }
    let named = QUANTITIES.into_iter().find(|(wanted, _)| has(wanted));
    let of_derived = || {
        let whole = words.trim();
        let is_ending = |(ending, _): &(&str, &str)| {
            words.match_indices(ending).any(|(at, _)| words[at + ending.len()..].starts_with(' '))
        };
        QUANTITIES_OF_DERIVED
            .into_iter()
            .find(|(wanted, _)| has(wanted))
            .or_else(|| ENDINGS.into_iter().find(is_ending))
            .or_else(|| WHOLE_VALUES.into_iter().find(|(wanted, _)| whole == *wanted))
            .or_else(|| value.contains('%').then_some(("", "percentages")))
    };
    let found = named.or_else(|| is_contrast_of_derived.then(of_derived).flatten());
    found.map(|(_, quantity)| quantity)
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
            ("IODINEMAP", "amounts of iodine"),
            ("DE_IODINE_ENHANCED", "amounts of iodine"),
            ("IODINE_FREE_WATER_MD", "amounts of iodine"),
            ("HAP(WATER)", "amounts of water"),
            ("FREE_WATER", "amounts of water"),
            ("URICACID", "amounts of uric acid"),
            ("FAT_FRACTION", "fractions of fat"),
            ("GSI MD", "a property of one material"),
            ("MATERIAL_SPECIFIC", "a property of one material"),
            ("Z_EFF", "effective atomic numbers"),
            ("Z Effective", "effective atomic numbers"),
            ("EFFECTIVEZ", "effective atomic numbers"),
            ("EFF_ATOMIC_NUM", "effective atomic numbers"),
            ("ELECTRON_DENSITY", "electron densities"),
            ("ELECTRONDENSITY", "electron densities"),
            ("REL_ED", "electron densities"),
            ("DE_RHO", "electron densities"),
            ("STD_DEVIATION", "standard deviations"),
            ("QUANTITY", "another quantity"),
            ("MTT", "mean transit times"),
            ("CBF", "a blood flow"),
            ("LUNG_PBV", "a blood volume"),
            ("TMAX", "times to a peak"),
            ("T_TEST", "values of a test"),
        ] {
            assert_eq!(of_value(value, false), Some(expected), "{value}");
        }
        for hu in [
            "ORIGINAL",
            "PRIMARY",
            "AXIAL",
            "CT_SOM7 SPI DE",
            "GSI MONO",
            "MONO_70KEV",
            "MONO_IODINE_ENHANCED",
            "MONOENERGETIC",
            "VMI",
            "VIRT_NON_CON",
            "VNC",
            "VNC(IODINE)",
            "VUE(IODINE)",
            "IODINE_REMOVED",
            "CALCIUM SUPPRESSED",
            "FAT FREE",
            "MAT_REMOVED",
            "WATER_CORRECTED",
            "MIXED",
            "HELIX",
            "",
        ] {
            assert_eq!(of_value(hu, true), None, "{hu}");
        }
        let derived = |words: &str, before: &str| {
            for word in words.split_whitespace() {
                let image_type = format!("{before}\\{word}");
                assert!(of_image_type(&image_type).is_some(), "{image_type}");
            }
        };
        let maps = "HYDROXYAPATITE FAT_MAP FAT% LIVER_FAT IRON GOUT MSU ATOMIC_NUMBER EDENSITY SPR STOPPING_POWER \
            XENON_MAP VENTILATION K_EDGE MD BF BV TTD TTS STD VARIANCE JACOBIAN COLOR_MAP LABELMAP SEGMENTATION \
            PROBABILITY IODINE_OVERLAY RED ZMAP COMPTON STDDEV UNCERTAINTY DIFFERENCE SPECTRAL_SLOPE DRAIN_TIME LPBV";
        derived(maps, "DERIVED\\SECONDARY\\AXIAL");
        derived(maps, "DERIVED\\SECONDARY");
        derived("IRON FAT_MAP", "DERIVED");
        for hu in "IRON_MAR WATER_BHC IMAR OMAR MONO_70KEV VMI_70KEV VNI RED_NOISE IDOSE4 SPP_120KV DE_MIXED M_0.5 \
            CALCIUM_SCORING CASC PERFUSION_BASE RCT ED_PHASE T3D QC BLENDED LOW_ENERGY BONE_REMOVED METAL_REDUCED \
            CT_SOM5_SPI NORM CONTRAST LUNG"
            .split_whitespace()
        {
            let image_type = format!("DERIVED\\PRIMARY\\AXIAL\\{hu}");
            assert_eq!(of_image_type(&image_type), None, "{image_type}");
        }
        // What was imaged, and not how.
        for hu in ["ORIGINAL\\PRIMARY\\AXIAL\\IRON", "DERIVED\\PRIMARY\\VENTILATION\\NONE"] {
            assert_eq!(of_image_type(hu), None, "{hu}");
        }
        for (image_type, expected) in [
            ("DERIVED\\PRIMARY\\AXIAL\\PERFUSION", Some(("PERFUSION", "a perfusion"))),
            ("DERIVED\\PRIMARY\\AXIAL\\CALCIUM", Some(("CALCIUM", "amounts of calcium"))),
            ("ORIGINAL\\PRIMARY\\PERFUSION\\NONE", None),
            ("DERIVED\\PRIMARY\\PERFUSION\\NONE", None),
            ("ORIGINAL\\PRIMARY\\AXIAL\\CALCIUM", None),
        ] {
            assert_eq!(of_image_type(image_type), expected, "{image_type}");
        }
    }

    #[test]
    fn words_of_derived_images_that_are_not_known_are_told() {
        for plain in [
            "ORIGINAL\\PRIMARY\\AXIAL\\WONDER",
            "DERIVED\\PRIMARY\\AXIAL",
            "DERIVED\\PRIMARY\\AXIAL\\CT_SOM7 SPI DE",
            "DERIVED\\SECONDARY\\AXIAL\\VMI_70KEV",
            "DERIVED\\PRIMARY\\AXIAL\\IMAR",
            "DERIVED\\PRIMARY\\VOLUME\\NONE",
            "",
        ] {
            assert!(!is_unknown(plain), "{plain}");
        }
        for unknown in ["DERIVED\\PRIMARY\\AXIAL\\WONDER", "DERIVED\\SECONDARY\\PULMO_X"] {
            assert!(is_unknown(unknown), "{unknown}");
        }
    }

    #[test]
    fn a_mapping_to_real_world_values_says_what_they_are_where_no_type_does() {
        use dicom_core::{DataElement, PrimitiveValue, VR};
        let mapped = |text: &str, rescale_type| {
            let mut values = InMemDicomObject::new_empty();
            let value = PrimitiveValue::from(text);
            values.put(DataElement::new(tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE, VR::LO, value));
            of(&values, rescale_type, [None, None], [1.0, -1024.0]).is_some()
        };
        assert!(mapped("mg/ml UCUM mg/ml X", None));
        assert!(!mapped("mg/ml UCUM mg/ml X", Some("HU")));
        assert!(!mapped("[hnsf'U] UCUM Hounsfield unit", None));
    }
}

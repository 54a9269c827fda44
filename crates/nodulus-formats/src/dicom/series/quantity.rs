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
                return Some(OtherQuantity { quantity: "another quantity", attribute, found: units });
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
    let is_hu = upper.contains("HNSF") || upper.contains("HOUNSFIELD") || words(&upper).contains(" HU ");
    (!is_hu).then(|| format!("`{found}`"))
}

/// Words of an image type that name another quantity than HU.
const QUANTITIES: [(&str, &str); 50] = [
    ("ELECTRON DENSITY", "electron densities"),
    ("ELECTRONDENSITY", "electron densities"),
    ("RHO", "electron densities"),
    ("REL ED", "electron densities"),
    ("EFF ATOMIC NUM", "effective atomic numbers"),
    ("EFFECTIVE ATOMIC", "effective atomic numbers"),
    ("EFFECTIVE Z", "effective atomic numbers"),
    ("EFFECTIVEZ", "effective atomic numbers"),
    ("Z EFFECTIVE", "effective atomic numbers"),
    ("ZEFFECTIVE", "effective atomic numbers"),
    ("Z EFF", "effective atomic numbers"),
    ("ZEFF", "effective atomic numbers"),
    ("EFF Z", "effective atomic numbers"),
    ("EFFZ", "effective atomic numbers"),
    ("MAT SPECIFIC", "a property of one material"),
    ("MATERIAL", "a property of one material"),
    ("MAT FRACTIONAL", "fractions of a material"),
    ("MAT VALUE BASED", "values of a material"),
    ("MAT MODIFIED", "modified Hounsfield units"),
    ("IODINE", "amounts of iodine"),
    ("IODINEMAP", "amounts of iodine"),
    ("IODINEDENSITY", "amounts of iodine"),
    ("WATER", "amounts of water"),
    ("HAP", "amounts of hydroxyapatite"),
    ("URIC ACID", "amounts of uric acid"),
    ("URICACID", "amounts of uric acid"),
    ("GADOLINIUM", "amounts of gadolinium"),
    ("FAT FRACTION", "fractions of fat"),
    ("FATFRACTION", "fractions of fat"),
    // General Electric's material density images; those at one energy are `GSI MONO`.
    ("GSI MD", "a property of one material"),
    // Maps that are computed from several images: PS3.3, C.8.16.1.4.
    ("STD DEVIATION", "standard deviations"),
    ("DIVISION", "ratios of images"),
    ("MULTIPLICATION", "products of images"),
    ("QUANTITY", "another quantity"),
    ("MTT", "mean transit times"),
    ("RCBF", "a blood flow"),
    ("CBF", "a blood flow"),
    ("BLOOD FLOW", "a blood flow"),
    ("RCBV", "a blood volume"),
    ("CBV", "a blood volume"),
    ("PBV", "a blood volume"),
    ("BLOOD VOLUME", "a blood volume"),
    ("TTP", "times to a peak"),
    ("TMAX", "times to a peak"),
    ("PERMEABILITY", "a permeability"),
    ("KTRANS", "a permeability"),
    ("PERFUSION MAP", "a perfusion"),
    ("CALCIUM MAP", "amounts of calcium"),
    ("T TEST", "values of a test"),
    ("Z SCORE", "values of a test"),
];

/// Words that name another quantity only where a derived image says how it was made ([`contrast_of`]).
///
/// METHOD: the third value of an Enhanced CT says what was imaged (PS3.3, C.8.16.1.3): `ORIGINAL\PRIMARY\PERFUSION\NONE`
/// are the images in HU from which perfusion is computed. A scan for the score of calcium is an original image.
const QUANTITIES_OF_DERIVED: [(&str, &str); 44] = [
    ("PERFUSION", "a perfusion"),
    ("CALCIUM", "amounts of calcium"),
    ("MAP", "a map of another quantity"),
    ("MAPS", "a map of another quantity"),
    ("OVERLAY", "a map of another quantity"),
    ("FRACTION", "fractions of a material"),
    ("DENSITY", "densities"),
    ("DENSITIES", "densities"),
    ("CONCENTRATION", "concentrations"),
    ("CONTENT", "amounts of a material"),
    ("ATOMIC", "effective atomic numbers"),
    ("COMPTON", "coefficients of absorption"),
    ("PHOTOELECTRIC", "coefficients of absorption"),
    ("K EDGE", "amounts of a material"),
    ("XENON", "amounts of xenon"),
    ("KRYPTON", "amounts of krypton"),
    ("IRON", "amounts of iron"),
    ("FAT", "amounts of fat"),
    ("HYDROXYAPATITE", "amounts of hydroxyapatite"),
    ("URATE", "amounts of uric acid"),
    ("URIC", "amounts of uric acid"),
    ("GOUT", "amounts of uric acid"),
    ("MSU", "amounts of uric acid"),
    ("CONTRAST AGENT", "amounts of a contrast agent"),
    ("STOPPING", "stopping powers"),
    ("SPR", "stopping powers"),
    ("VENTILATION", "a ventilation"),
    ("FLOW", "a blood flow"),
    ("LPBV", "a blood volume"),
    ("TTD", "times of a contrast agent"),
    ("TTS", "times of a contrast agent"),
    ("IRF", "times of a contrast agent"),
    ("DRAIN", "times of a contrast agent"),
    ("DEVIATION", "standard deviations"),
    ("STDDEV", "standard deviations"),
    ("VARIANCE", "standard deviations"),
    ("UNCERTAINTY", "standard deviations"),
    ("DIFFERENCE", "differences of images"),
    ("JACOBIAN", "a deformation"),
    ("DEFORMATION", "a deformation"),
    ("LABEL", "labels"),
    ("SEGMENTATION", "labels"),
    ("PROBABILITY", "probabilities"),
    ("SLOPE", "slopes of a spectrum"),
];

/// Letters that a word of a derived image ends with: `LABELMAP`, `ZMAP`, `EDENSITY`.
const ENDINGS: [(&str, &str); 3] = [
    ("MAP", "a map of another quantity"),
    ("DENSITY", "densities"),
    ("FRACTION", "fractions of a material"),
];

/// Abbreviations that are the whole value of a derived image.
const WHOLE_VALUES: [(&str, &str); 12] = [
    ("MD", "a property of one material"),
    ("CM", "amounts of a contrast agent"),
    ("RED", "electron densities"),
    ("ED", "electron densities"),
    ("BF", "a blood flow"),
    ("BV", "a blood volume"),
    ("PS", "a permeability"),
    ("VE", "a permeability"),
    ("VENT", "a ventilation"),
    ("DELAY", "times of a contrast agent"),
    ("STD", "standard deviations"),
    ("Z", "effective atomic numbers"),
];

/// Words of images in HU, whatever material they name.
///
/// METHOD: PS3.3, C.8.2.1.1.1: an image without a material (`MAT_REMOVED`; of manufacturers `VNC(IODINE)`, `VUE`) and one at
/// one energy (`VMI`) are in HU. One that is corrected for a material, as for the beam's hardening in water or for metal, is
/// the usual CT.
const IN_HU: [&str; 36] = [
    "REMOVED",
    "REDUCED",
    "REDUCTION",
    "SUPPRESSED",
    "SUBTRACTED",
    "CORRECTED",
    "CORRECTION",
    "HARDENING",
    "BHC",
    "MAR",
    "IMAR",
    "OMAR",
    "SEMAR",
    "SMARTMAR",
    "DENOISED",
    "SCORE",
    "SCORING",
    "CASC",
    "BASE",
    "BASELINE",
    "BLENDED",
    "MIXED",
    "CONVENTIONAL",
    "KEV",
    "VIRTUAL",
    "VNI",
    "VNC",
    "VNCA",
    "VUE",
    "NON CON",
    "NON CONTRAST",
    "NONCONTRAST",
    "UNENHANCED",
    "MONO",
    "MONOENERGETIC",
    "VMI",
];

/// Words of image types that leave HU as they are and say nothing about a quantity: PS3.3, C.8.16.1, and manufacturers'.
const PLAIN: [&str; 62] = [
    "ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "AXIAL", "LOCALIZER", "VOLUME", "NONE", "OTHER", "MPR", "MIP",
    "MINIP", "AVIP", "CPR", "VRT", "SSD", "REFORMATTED", "RESAMPLED", "RESAMPLE", "AVERAGE", "MEAN", "MAXIMUM", "MINIMUM",
    "SUBTRACTION", "ADDITION", "MASKED", "PROJECTION", "CORONAL", "SAGITTAL", "OBLIQUE", "CURVED", "THICK", "THIN",
    "HELIX", "HELICAL", "SPIRAL", "SEQUENCE", "SEQ", "STATIC", "CINE", "ANGIO", "CARDIAC", "GATED", "RESP", "RECON",
    "SPI", "HALF", "FULL", "DUAL", "DE", "SOM", "CT", "CENTER", "ANGLE", "ATTENUATION", "FLUOROSCOPY", "STATIONARY",
    "CARDIO", "IDOSE", "ASIR", "SAFIRE", "ADMIRE",
];

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
        let is_in_hu = IN_HU.into_iter().any(|word| words.contains(&format!(" {word} ")));
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
    let words = words(value);
    let has = |wanted: &str| words.contains(&format!(" {wanted} "));
    if IN_HU.into_iter().any(has) || words.ends_with(" FREE ") {
        return None;
    }
    let named = QUANTITIES.into_iter().find(|(wanted, _)| has(wanted));
    let of_derived = || {
        let whole = words.trim();
        let is_ending = |(ending, _): &(&str, &str)| words.contains(&format!("{ending} "));
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
}

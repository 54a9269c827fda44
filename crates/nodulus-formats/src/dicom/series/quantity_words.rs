//! Words by which an image type says what its values are.

/// Words of an image type that name another quantity than HU.
pub(super) const QUANTITIES: [(&str, &str); 50] = [
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

/// Words that name another quantity only where a derived image says how it was made.
///
/// METHOD: the third value of an Enhanced CT says what was imaged (PS3.3, C.8.16.1.3): `ORIGINAL\PRIMARY\PERFUSION\NONE`
/// are the images in HU from which perfusion is computed. A scan for the score of calcium is an original image.
pub(super) const QUANTITIES_OF_DERIVED: [(&str, &str); 44] = [
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
pub(super) const ENDINGS: [(&str, &str); 3] = [
    ("MAP", "a map of another quantity"),
    ("DENSITY", "densities"),
    ("FRACTION", "fractions of a material"),
];

/// Abbreviations that are the whole value of a derived image.
pub(super) const WHOLE_VALUES: [(&str, &str); 12] = [
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
pub(super) const IN_HU: [&str; 36] = [
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
    "CALCIUM SCORE",
    "SCORING",
    "CASC",
    "PERFUSION BASE",
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
pub(super) const PLAIN: [&str; 62] = [
    "ORIGINAL",
    "DERIVED",
    "PRIMARY",
    "SECONDARY",
    "AXIAL",
    "LOCALIZER",
    "VOLUME",
    "NONE",
    "OTHER",
    "MPR",
    "MIP",
    "MINIP",
    "AVIP",
    "CPR",
    "VRT",
    "SSD",
    "REFORMATTED",
    "RESAMPLED",
    "RESAMPLE",
    "AVERAGE",
    "MEAN",
    "MAXIMUM",
    "MINIMUM",
    "SUBTRACTION",
    "ADDITION",
    "MASKED",
    "PROJECTION",
    "CORONAL",
    "SAGITTAL",
    "OBLIQUE",
    "CURVED",
    "THICK",
    "THIN",
    "HELIX",
    "HELICAL",
    "SPIRAL",
    "SEQUENCE",
    "SEQ",
    "STATIC",
    "CINE",
    "ANGIO",
    "CARDIAC",
    "GATED",
    "RESP",
    "RECON",
    "SPI",
    "HALF",
    "FULL",
    "DUAL",
    "DE",
    "SOM",
    "CT",
    "CENTER",
    "ANGLE",
    "ATTENUATION",
    "FLUOROSCOPY",
    "STATIONARY",
    "CARDIO",
    "IDOSE",
    "ASIR",
    "SAFIRE",
    "ADMIRE",
];

/// A value as words in capitals, with a space around each: ` EFF ATOMIC NUM ` for `EFF_ATOMIC_NUM`.
pub(super) fn words(value: &str) -> String {
    let mut words = String::from(" ");
    for word in value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        words.push_str(&word.to_ascii_uppercase());
        words.push(' ');
    }
    words
}

/// Whether words as of [`words`] have this one, or these in a row.
pub(super) fn has_word(words: &str, wanted: &str) -> bool {
    words
        .match_indices(wanted)
        .any(|(at, _)| words[..at].ends_with(' ') && words[at + wanted.len()..].starts_with(' '))
}

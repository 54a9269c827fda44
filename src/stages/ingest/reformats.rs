//! The words by which an image says that it is a projection or reformat.

/// Words in the values of `ImageType` by which an image is a projection or reformat of a scan (PS3.3, C.8.16.1.4 and
/// C.8.16.2.1.4, and manufacturers').
///
/// METHOD: of the derived contrasts of C.8.16.1.4, `RESAMPLED` is a reformat by its definition, and `MAXIMUM`, `MINIMUM`,
/// `MEAN` and `SUBTRACTION` mix images, as a projection does: their voxels are no measurement of one place at one time.
/// `ADDITION` (images of two energies) and `MASKED` (without the table) keep the HU of the anatomy. Maps of other quantities
/// are no HU and are refused when they are read.
const REFORMATS: [&str; 31] = [
    "MIP",
    "MIPS",
    "MIPTHICK",
    "MINIP",
    "TMIP",
    "AVIP",
    "AVEIP",
    "AIP",
    "AVE IP",
    "AVG IP",
    "RAYSUM",
    "STRAIGHTENED",
    "MAX IP",
    "MIN IP",
    "MPR",
    "MPVR",
    "CPR",
    "VRT",
    "SSD",
    "3D",
    "VOLUME RENDER",
    "VOLUME RENDERING",
    "SURFACE RENDER",
    "PROJECTION IMAGE",
    "REFORMATTED",
    "AVERAGE",
    "RESAMPLED",
    "MAXIMUM",
    "MINIMUM",
    "MEAN",
    "SUBTRACTION",
];

/// The word by which an image is a projection or reformat.
///
/// METHOD: a value has several words, as `CT_SOM5 MIP` or `MPR_THICK`. `VOLUME` is the third of four values of an ordinary
/// Enhanced CT (`DERIVED\PRIMARY\VOLUME\NONE`), and a reformat only where a derived image has it in another place.
pub(super) fn reformat(values: &[&str]) -> Option<&'static str> {
    for value in values {
        let words: Vec<&str> = value.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let words = format!(" {} ", words.join(" ").to_ascii_uppercase());
        let found = REFORMATS.into_iter().find(|word| words.contains(&format!(" {word} ")));
        if found.is_some() {
            return found;
        }
    }
    let is_volume = match values {
        ["DERIVED", _, "VOLUME"] => true,
        ["DERIVED", _, _, rest @ ..] => rest.contains(&"VOLUME"),
        _ => false,
    };
    is_volume.then_some("VOLUME")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reformats_are_known_by_their_words() {
        for image_type in [
            "DERIVED\\SECONDARY\\AXIAL\\CT_SOM5 MIP",
            "DERIVED\\SECONDARY\\REFORMATTED\\AVERAGE",
            "DERIVED\\SECONDARY\\PROJECTION IMAGE",
            "DERIVED\\SECONDARY\\AXIAL\\AVERAGE",
            "DERIVED\\SECONDARY\\VOLUME",
            "DERIVED\\SECONDARY\\AXIAL\\VOLUME",
            "DERIVED\\PRIMARY\\VOLUME\\MIN_IP",
            "DERIVED\\SECONDARY\\AXIAL\\MIN IP",
            "DERIVED\\SECONDARY\\AXIAL\\THIN_MIP",
            "DERIVED\\SECONDARY\\AVIP",
            "DERIVED\\SECONDARY\\AXIAL\\TMIP",
            "DERIVED\\SECONDARY\\AXIAL\\MPR_THICK",
            "DERIVED\\SECONDARY\\AXIAL\\MIPTHICK",
            "DERIVED\\SECONDARY\\AXIAL\\CPR",
            "DERIVED\\SECONDARY\\AXIAL\\SSD",
            "DERIVED\\SECONDARY\\AXIAL\\MPVR",
            "DERIVED\\SECONDARY\\AXIAL\\mip",
            "DERIVED\\PRIMARY\\VOLUME\\CURVED_MPR",
            "DERIVED\\PRIMARY\\VOLUME\\RESAMPLED",
            "DERIVED\\SECONDARY\\AXIAL\\RESAMPLED",
            "DERIVED\\PRIMARY\\VOLUME\\MAXIMUM",
            "DERIVED\\PRIMARY\\AXIAL\\MEAN",
            "DERIVED\\PRIMARY\\AXIAL\\SUBTRACTION",
        ] {
            let values: Vec<&str> = image_type.split('\\').collect();
            assert!(reformat(&values).is_some(), "{image_type}");
        }
        for image_type in [
            "ORIGINAL\\PRIMARY\\VOLUME\\NONE",
            "DERIVED\\PRIMARY\\VOLUME\\NONE",
            "ORIGINAL\\PRIMARY\\VOLUME",
            "DERIVED\\PRIMARY\\VOLUME\\ADDITION",
            "DERIVED\\PRIMARY\\AXIAL\\MASKED",
            "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM7 SPI DE",
            "ORIGINAL\\PRIMARY\\AXIAL\\HELIX",
            "",
        ] {
            let values: Vec<&str> = image_type.split('\\').collect();
            assert_eq!(reformat(&values), None, "{image_type}");
        }
    }
}

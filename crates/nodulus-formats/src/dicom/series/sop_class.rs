//! What a file of modality CT is, by its SOP class and image type.

use crate::dicom::element::values::text;
use crate::dicom::error::Problem;
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

/// What a SOP class means for a CT series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SopClass {
    /// One slice in each file.
    Ct,
    /// Several slices in a file.
    MultiFrameCt,
    /// Not a slice of a scan, but this.
    NoScan(&'static str),
    /// Unknown. If it has an image, skipping it could leave a gap in its series.
    Other,
}

/// PS3.4, B.5.
const STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";

pub(crate) fn of(uid: &str) -> SopClass {
    match uid {
        uids::CT_IMAGE_STORAGE => return SopClass::Ct,
        uids::ENHANCED_CT_IMAGE_STORAGE | uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE => {
            return SopClass::MultiFrameCt;
        }
        _ => {}
    }
    let Some(storage) = uid.strip_prefix(STORAGE) else { return SopClass::Other };
    match storage.split('.').next().unwrap_or_default() {
        "7" => SopClass::NoScan("secondary capture"),
        "9" => SopClass::NoScan("waveform"),
        "11" => SopClass::NoScan("presentation state"),
        "66" => SopClass::NoScan("raw data, registration or segmentation"),
        "67" => SopClass::NoScan("real world value mapping"),
        "88" => SopClass::NoScan("report or key object selection"),
        "104" => SopClass::NoScan("encapsulated document"),
        "200" => SopClass::NoScan("protocol"),
        "481" => SopClass::NoScan("radiotherapy object"),
        _ => SopClass::Other,
    }
}

/// The modality of a file. If it is missing, a class of CT images says that it is CT.
pub(crate) fn modality(values: &InMemDicomObject) -> Result<Option<String>, Problem> {
    if let Some(modality) = text(values, tags::MODALITY)? {
        return Ok(Some(modality));
    }
    let class = text(values, tags::SOP_CLASS_UID)?.unwrap_or_default();
    let is_ct = matches!(of(&class), SopClass::Ct | SopClass::MultiFrameCt);
    Ok(is_ct.then(|| "CT".to_owned()))
}

/// Whether a modality is CT, in whichever letters.
pub(crate) fn is_ct(modality: &str) -> bool {
    modality.eq_ignore_ascii_case("CT")
}

/// Whether a class is that of slices that were converted into one file.
pub(crate) fn is_legacy(uid: &str) -> bool {
    uid == uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE
}

/// Whether an image type, of a file or of a frame, is that of a localizer (scout view). Some scanners put it into the
/// series that it plans.
pub(crate) fn is_localizer(values: &InMemDicomObject, image_type: Tag) -> bool {
    text(values, image_type).is_ok_and(|found| {
        found.is_some_and(|types| {
            types.split('\\').any(|t| t.trim().eq_ignore_ascii_case("LOCALIZER"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_recognised_by_their_uid() {
        assert_eq!(of("1.2.840.10008.5.1.4.1.1.2"), SopClass::Ct);
        assert_eq!(of("1.2.840.10008.5.1.4.1.1.2.1"), SopClass::MultiFrameCt);
        assert_eq!(of("1.2.840.10008.5.1.4.1.1.2.2"), SopClass::MultiFrameCt);
        assert_eq!(of("1.2.840.10008.5.1.4.1.1.7.4"), SopClass::NoScan("secondary capture"));
        let report = SopClass::NoScan("report or key object selection");
        assert_eq!(of("1.2.840.10008.5.1.4.1.1.88.67"), report);
        // For Processing, an MR image, and a manufacturer's own class.
        for other in ["1.2.840.10008.5.1.4.1.1.2.4", "1.2.840.10008.5.1.4.1.1.4", "1.3.46.670589.5"]
        {
            assert_eq!(of(other), SopClass::Other);
        }
    }
}
